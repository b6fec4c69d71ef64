// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a set's file says of the first boot, as cloud-init itself sees it.

use std::collections::BTreeSet;

use kiln_guest::seed::{Account, Login, Seed, Setup, SetupFile};
use kiln_spec::recipe::FileMode;
use kiln_spec::set::FirstCommand;
use kiln_testkit::run;
use serde_json::{Value, json};

use super::{KEY, THEIR_KEY, cloud_init, seed, seen, user_data};

/// What a set's file says of the first boot.
fn setup() -> Setup {
    let file = |path: &str, content: &[u8], owner: &str| SetupFile {
        path: path.parse().unwrap(),
        content: content.to_vec(),
        mode: FileMode(0o640),
        owner: owner.parse().unwrap(),
        group: "root".parse().unwrap(),
    };
    let account = |name: &str, sudo, hash: Option<&str>| Account {
        name: name.parse().unwrap(),
        ssh_keys: vec![THEIR_KEY.to_owned()],
        sudo,
        groups: vec!["adm".parse().unwrap(), "www-data".parse().unwrap()],
        shell: Some("/bin/sh".parse().unwrap()),
        password_hash: hash.map(str::to_owned),
    };
    Setup {
        accounts: vec![account("ops", true, None), account("ann", false, Some("$6$salt$hash"))],
        packages: ["nginx", "vim"].map(|name| name.parse().unwrap()).to_vec(),
        files: vec![file("/etc/a", b"yes: 'x'\n", "root"), file("/etc/b", b"\xff\0", "ann")],
        commands: vec![
            FirstCommand::Shell("echo 'a: b' > /x\ntrue\n".into()),
            FirstCommand::Words(vec!["touch".into(), "/a b".into()]),
        ],
    }
}

#[test]
fn what_a_set_says_besides_is_merged() {
    if !cloud_init() {
        return;
    }
    let theirs = "packages: [curl, vim]\nruncmd: [[ls, -l]]\nusers: [default, {name: ann, shell: /bin/zsh}]\n\
                  write_files: [{path: /etc/t, content: t}]\n";
    let config = format!("#cloud-config\n{theirs}");
    let archive =
        format!("#cloud-config-archive\n- {{type: text/cloud-config, content: {config:?}}}\n");
    for text in [config.as_str(), archive.as_str(), "#!/bin/sh\ntrue\n"] {
        let mut seed = seed(Some(text));
        seed.login =
            Login { name: "ops".into(), is_default_user: false, ssh_keys: vec![KEY.into()] };
        seed.setup = setup();
        let seen = seen(&seed);
        let (user, is_theirs) = (&seen["user"], text.starts_with("#cloud"));
        assert_eq!(user["errors"], Value::Null, "{text}");
        let keys = json!({"debian": [], "ops": [THEIR_KEY, KEY], "ann": [THEIR_KEY]});
        assert_eq!(user["keys"], keys, "{text}");
        let shell = if is_theirs { "/bin/zsh" } else { "/bin/sh" };
        let ann = &user["users"]["ann"];
        assert_eq!((&ann["shell"], &ann["passwd"]), (&json!(shell), &json!("$6$salt$hash")));
        assert_eq!((&ann["lock_passwd"], &ann["sudo"]), (&json!(false), &Value::Null));
        let ops = &user["users"]["ops"];
        assert_eq!((&ops["lock_passwd"], &ops["groups"]), (&json!(true), &json!("adm, www-data")));
        assert_eq!(ops["sudo"], "ALL=(ALL) NOPASSWD:ALL");
        let config = &user["config"];
        let rest = |key: &str, own: usize| {
            let all = config[key].as_array().unwrap();
            assert_eq!(all.len(), own + usize::from(is_theirs), "{text}: {key}: {all:?}");
            all[all.len() - own..].to_vec()
        };
        assert_eq!(
            rest("runcmd", 2),
            [json!("echo 'a: b' > /x\ntrue\n"), json!(["touch", "/a b"])]
        );
        let [a, b] = <[Value; 2]>::try_from(rest("write_files", 2)).unwrap();
        let plain = json!({"path": "/etc/a", "content": "yes: 'x'\n", "permissions": "0640"});
        assert_eq!(a, plain, "{text}");
        assert_eq!((&b["encoding"], &b["content"]), (&json!("b64"), &json!("/wA=")));
        assert_eq!((&b["owner"], &b["defer"]), (&json!("ann:root"), &json!(true)));
        let listed = config["packages"].as_array().unwrap();
        let packages: BTreeSet<_> = listed.iter().filter_map(Value::as_str).collect();
        let mut all = BTreeSet::from(["nginx", "vim"]);
        all.extend(is_theirs.then_some("curl"));
        assert_eq!(packages, all);
    }
    // The command that people ask has nothing against it either.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("setup.yaml");
    std::fs::write(&file, user_data(&Seed { setup: setup(), ..seed(None) })).unwrap();
    let _ = run(&["cloud-init", "schema", "--config-file", file.to_str().unwrap()]).success();
}
