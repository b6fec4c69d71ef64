// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Elements, read and expanded for each family.

use serde_json::json;

use super::*;

fn given(value: serde_json::Value) -> Given {
    serde_json::from_value(value).unwrap()
}

#[test]
fn every_element_is_read_and_told_in_its_readme() {
    assert!(ELEMENTS.is_sorted_by_key(|source| source.name));
    for source in ELEMENTS {
        let native = source.read().unwrap_or_else(|e| panic!("{}: {e:?}", source.name));
        assert_eq!(native.kiln, 1);
        assert!(source.readme.starts_with(&format!("# {}\n", source.name)), "{}", source.name);
        for name in native.parameters.keys() {
            let row = format!("| `{name}` |");
            assert!(source.readme.contains(&row), "{}: {name}", source.name);
        }
    }
}

#[test]
fn every_element_expands_for_each_family() {
    let needed = given(json!({"name": "web", "url": "http://m/x", "keys": ["ssh-ed25519 A a"]}));
    for source in ELEMENTS {
        let known = source.read().unwrap().parameters;
        let wanted = |name: &String| known.get(name).is_some_and(|p| p.default.is_none());
        let given = needed.iter().filter(|(name, _)| wanted(name));
        let given: Given = given.map(|(name, value)| (name.clone(), value.clone())).collect();
        for family in [Family::Debian, Family::Rpm] {
            let expansion = source.expand(&given, family);
            let expansion = expansion.unwrap_or_else(|e| panic!("{}: {e}", source.name));
            assert_ne!(expansion, Expansion::default(), "{}", source.name);
            let text = format!("{expansion:?}");
            assert!(!text.contains("${name}") && !text.contains("${url}"), "{text}");
        }
    }
}

#[test]
fn values_reach_files_units_and_scripts() {
    let console = find("serial-console").unwrap();
    let expansion = console.expand(&given(json!({"console": "ttyAMA0"})), Family::Debian).unwrap();
    assert_eq!(expansion.units.enable, ["serial-getty@ttyAMA0.service"]);
    let words = expansion.kernel_cmdline.unwrap();
    assert_eq!(words.as_str(), "console=tty0 console=ttyAMA0,115200");
    let env = expansion.script.unwrap().env;
    assert!(env.contains(&("P_CONSOLE".into(), "ttyAMA0".into())), "{env:?}");
    assert!(env.contains(&("FAMILY".into(), "debian".into())), "{env:?}");
    let init = find("cloud-init").unwrap();
    let expansion =
        init.expand(&given(json!({"datasources": ["Ec2", "None"]})), Family::Rpm).unwrap();
    assert!(expansion.files[0].content.ends_with("datasource_list: [ Ec2, None ]\n"));
}

#[test]
fn what_is_wrong_is_told_with_the_element() {
    let error = find("acpdi").unwrap_err();
    assert_eq!(error.to_string(), "there is no element `acpdi`");
    assert_eq!(error.hint().as_deref(), Some("did you mean `acpid`?"));
    let error = find("hostname").unwrap().expand(&Given::new(), Family::Rpm).unwrap_err();
    assert_eq!(error.to_string(), "the element `hostname`: the parameter `name` is needed");
    let swap = find("swap").unwrap();
    let error = swap.expand(&given(json!({"path": "$(reboot)"})), Family::Debian).unwrap_err();
    assert_eq!(error.to_string(), "the element `swap`: `path`: `$(reboot)` is no word");
}

#[test]
fn families_are_told_by_os_release() {
    let family = |text| Family::of_os_release(text);
    assert_eq!(family("NAME=x\nID=debian\n"), Some(Family::Debian));
    assert_eq!(family("ID=\"rocky\"\nID_LIKE=\"rhel\"\n"), Some(Family::Rpm));
    assert_eq!(family("ID=mint\nID_LIKE=\"ubuntu debian\"\n"), Some(Family::Debian));
    assert_eq!(family("ID=arch\n"), None);
}
