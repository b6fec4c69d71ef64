// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One test for each kind of file.

use std::collections::BTreeMap;
use std::fs;

use kiln_build::element::dib::block_device;
use kiln_build::element::dib::hooks::Hooks;
use kiln_build::element::dib::package_installs::{Packages, Variables, Wanted};
use kiln_build::element::dib::pkg_map::{self, Mapped, PkgMap};
use kiln_build::element::dib::svc_map::Services;
use kiln_build::element::dib::{Element, Phase, Shelf, environment, resolve, source_repository};
use kiln_testkit::{Rng, run, run_with};
use serde_json::{Value, json};

use crate::package::package;
use crate::{lists, outcome, resolved};

#[test]
fn the_same_elements_are_found_for_every_list() {
    let Some(package) = package() else { return };
    let shelf = package.shelf();
    let lists = lists(&shelf);
    let theirs = package.python(
        "import json, sys, logging\n\
         logging.disable(logging.CRITICAL)\n\
         from diskimage_builder import element_dependencies as d\n\
         every = d._find_all_elements(sys.argv[2])\n\
         def ask(names):\n\
         \x20   try: return ' '.join(sorted(e.name for e in d._expand_element_dependencies(names, every)))\n\
         \x20   except Exception as error: return type(error).__name__\n\
         print(json.dumps([ask(names) for names in json.load(open(sys.argv[1]))]))",
        &json!(lists),
    );
    let theirs = theirs.as_array().unwrap();
    assert_eq!(theirs.len(), lists.len());
    let mut whole = 0;
    for (wanted, theirs) in lists.iter().zip(theirs) {
        let ours = resolve(&shelf, wanted, &[]);
        assert_eq!(outcome(&ours), theirs.as_str().unwrap(), "{wanted:?}");
        whole += usize::from(ours.is_ok());
    }
    assert!(shelf.iter().count() > 120 && whole > 700, "{whole} of {}", lists.len());
}

/// Environments that conditions are tried in: with all variables that elements ask for, and
/// without.
fn environments() -> Vec<Variables> {
    let set = |kernel: &str, distro: &str, release: &str, more: &[(&str, &str)]| {
        let all = [
            ("ARCH", "amd64"),
            ("DIB_UBUNTU_KERNEL", kernel),
            ("DISTRO_NAME", distro),
            ("DIB_RELEASE", release),
        ];
        let all = all.iter().chain(more);
        all.map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Variables>()
    };
    let sources = [("DIB_SIMPLE_INIT_NETWORKMANAGER", "0"), ("DIB_PYTHON_VERSION", "2")];
    let packages = [
        ("DIB_SIMPLE_INIT_NETWORKMANAGER", "1"),
        ("DIB_PYTHON_VERSION", "3"),
        ("DIB_DEFAULT_INSTALLTYPE", "package"),
    ];
    let arm = [("ARCH", "arm64"), ("DIB_INSTALLTYPE_pip_and_virtualenv", "package")];
    vec![
        set("linux-image-generic", "debian", "bookworm", &sources),
        set("linux-image-hwe", "ubuntu", "noble", &packages),
        set("linux-image-kvm", "gentoo", "xenial", &arm),
        Variables::from([("ARCH".to_owned(), "amd64".to_owned())]),
    ]
}

/// All packages as `phase: {install: […], uninstall: […]}`, without what is empty.
fn as_json(packages: &Packages) -> Value {
    let list = |wanted: &[Wanted]| -> Vec<_> {
        wanted.iter().map(|w| json!([w.package, w.element])).collect()
    };
    packages
        .phases()
        .map(|(phase, lists)| {
            let lists =
                json!({"install": list(&lists.install), "uninstall": list(&lists.uninstall)});
            (phase.to_owned(), lists)
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
}

const SQUASH: &str = r#"
import collections, functools, importlib.machinery, importlib.util, json, os, sys, yaml, io, contextlib
path = sys.argv[2] + '/package-installs/bin/package-installs-squash'
loader = importlib.machinery.SourceFileLoader('squash', path)
module = importlib.util.module_from_spec(importlib.util.spec_from_loader('squash', loader))
loader.exec_module(module)
files = {}
def ask(elements, variables):
    os.environ.clear(); os.environ.update(variables)
    data = collections.defaultdict(functools.partial(collections.defaultdict, list))
    for name in elements:
        for kind in ('json', 'yaml'):
            path = f'{sys.argv[2]}/{name}/package-installs.{kind}'
            if not os.path.exists(path): continue
            if path not in files: files[path] = yaml.safe_load(open(path))
            data = module.collect_data(data, files[path] or {}, name)
    return {phase: {k: lists.get(k, []) for k in ('install', 'uninstall')}
            for phase, lists in data.items() if lists.get('install') or lists.get('uninstall')}
answers = []
for elements, variables in json.load(open(sys.argv[1])):
    with contextlib.redirect_stdout(io.StringIO()):
        try: answers.append(ask(elements, variables))
        except (Exception, SystemExit): answers.append(None)
print(json.dumps(answers))
"#;

#[test]
fn the_same_packages_are_wanted_in_every_environment() {
    let Some(package) = package() else { return };
    let resolved = resolved(&package.shelf());
    let mut asked = Vec::new();
    for list in &resolved {
        let names: Vec<_> = list.elements.iter().map(|e| e.name.clone()).collect();
        asked.extend(environments().into_iter().map(|env| (list, names.clone(), env)));
    }
    let questions: Vec<_> = asked.iter().map(|(_, names, env)| json!([names, env])).collect();
    let theirs = package.python(SQUASH, &json!(questions));
    let mut answered = 0;
    for ((list, names, env), theirs) in asked.iter().zip(theirs.as_array().unwrap()) {
        match Packages::of(&list.elements, env) {
            Ok(ours) => {
                assert_eq!(&as_json(&ours), theirs, "{names:?} {env:?}");
                answered += 1;
            }
            Err(error) => assert!(theirs.is_null(), "{names:?} {env:?}: {error}"),
        }
    }
    assert!(answered > asked.len() / 2, "{answered} of {}", asked.len());
}

const PKG_MAP: &str = r#"
import contextlib, importlib.machinery, importlib.util, io, json, logging, sys
path = sys.argv[2] + '/pkg-map/bin/pkg-map'
loader = importlib.machinery.SourceFileLoader('pkgmap', path)
module = importlib.util.module_from_spec(importlib.util.spec_from_loader('pkgmap', loader))
loader.exec_module(module)
logging.disable(logging.CRITICAL)
def ask(element, package, distro, release):
    out = io.StringIO()
    sys.argv = ['pkg-map', '--pkg-map', f'{folder}/{element}/pkg-map', '--distro', distro,
                '--release', release, package]
    with contextlib.redirect_stdout(out):
        try: module.main()
        except SystemExit as end: return None if end.code else out.getvalue().strip()
folder, file = sys.argv[2], sys.argv[1]
print(json.dumps([ask(*question) for question in json.load(open(file))]))
"#;

#[test]
fn the_same_names_of_packages_are_found_in_every_distribution() {
    let Some(package) = package() else { return };
    let shelf = package.shelf();
    let releases = [
        ("debian", "bullseye"),
        ("debian", "trixie"),
        ("ubuntu", "noble"),
        ("fedora", "37"),
        ("centos", "9"),
        ("centos", "8-stream"),
        ("rhel", "9"),
        ("rocky", "10"),
        ("opensuse", "15.6"),
        ("gentoo", "x"),
    ];
    let mut asked = Vec::new();
    for element in shelf.iter() {
        let Some(map) = PkgMap::of(element).unwrap() else { continue };
        let text = element.read(pkg_map::FILE).unwrap().unwrap();
        // Every word of the file, whether it is a package or not.
        let mut words: Vec<_> = text.split('"').skip(1).step_by(2).collect();
        words.sort_unstable();
        words.dedup();
        for word in words.into_iter().filter(|word| !word.is_empty()) {
            for (distro, release) in releases {
                let ours = match map.map(word, distro, release) {
                    Mapped::Named(name) => Some(name),
                    Mapped::Nothing => Some(String::new()),
                    Mapped::Unknown => None,
                };
                asked.push((json!([element.name, word, distro, release]), ours));
            }
        }
    }
    assert!(asked.len() > 2000, "{}", asked.len());
    let questions: Vec<_> = asked.iter().map(|(question, _)| question.clone()).collect();
    let theirs = package.python(PKG_MAP, &json!(questions));
    for ((question, ours), theirs) in asked.iter().zip(theirs.as_array().unwrap()) {
        assert_eq!(ours.as_deref(), theirs.as_str(), "{question}");
    }
}

const SVC_MAP: &str = r#"
import importlib.machinery, importlib.util, json, sys
path = sys.argv[2] + '/svc-map/extra-data.d/10-merge-svc-map-files'
loader = importlib.machinery.SourceFileLoader('svcmap', path)
module = importlib.util.module_from_spec(importlib.util.spec_from_loader('svcmap', loader))
loader.exec_module(module)
def ask(maps, distro):
    found = {}
    try:
        for one in maps: found = module.merge_data(one, found, distro)
    except Exception: return None
    return found
print(json.dumps([ask(*question) for question in json.load(open(sys.argv[1]))]))
"#;

#[test]
fn the_same_names_of_services_are_found() {
    let Some(package) = package() else { return };
    let mut rng = Rng::new(7);
    let pick = |rng: &mut Rng, words: &[&str]| words[rng.below(words.len())].to_owned();
    let keys = ["debian", "fedora", "redhat", "suse", "opensuse", "default", "rocky", "gentoo"];
    let mut asked = Vec::new();
    for _ in 0..300 {
        let maps: Vec<BTreeMap<String, BTreeMap<String, String>>> = (0..2)
            .map(|_| {
                let service = pick(&mut rng, &["a", "b", "c", "d", "e"]);
                let names = (0..rng.below(4)).map(|n| (pick(&mut rng, &keys), format!("n{n}")));
                BTreeMap::from([(service, names.collect())])
            })
            .collect();
        asked.push((maps, pick(&mut rng, &keys)));
    }
    let theirs = package.python(SVC_MAP, &json!(asked));
    let mut refused = 0;
    for ((maps, distro), theirs) in asked.iter().zip(theirs.as_array().unwrap()) {
        let home = tempfile::tempdir().unwrap();
        for (number, map) in maps.iter().enumerate() {
            let path = home.path().join(format!("e{number}"));
            fs::create_dir(&path).unwrap();
            fs::write(path.join("svc-map"), json!(map).to_string()).unwrap();
        }
        let shelf = Shelf::open(&[home.path().into()]).unwrap();
        let ours = Services::of(shelf.iter(), distro).ok();
        refused += usize::from(ours.is_none());
        let ours = ours.map(|services| {
            let owned = |(k, v): (&str, &str)| (k.to_owned(), v.to_owned());
            services.iter().map(owned).collect::<BTreeMap<_, _>>()
        });
        assert_eq!(&json!(ours), theirs, "{maps:?} {distro}");
    }
    assert!(refused > 10 && refused < 200, "{refused}");
}

#[test]
fn scripts_and_environment_are_merged_and_ordered_alike() {
    let Some(package) = package() else { return };
    let shelf = package.shelf();
    let wanted = [
        "base",
        "vm",
        "block-device-efi",
        "debian",
        "devuser",
        "simple-init",
        "growroot",
        "growvols",
    ];
    let resolved = resolve(&shelf, &wanted, &[]).unwrap();
    let home = tempfile::tempdir().unwrap();
    let (ours, theirs) = (home.path().join("ours"), home.path().join("theirs"));
    fs::create_dir(&ours).unwrap();
    let hooks = Hooks::of(&resolved).unwrap();
    hooks.write(&ours).unwrap();

    // Their merged folder, made by their own function.
    let list: String =
        resolved.elements.iter().map(|e| format!("[{}]={} ", e.name, e.path.display())).collect();
    let script = format!(
        "_LIB={lib}; function get_image_element_array {{ echo \"{list}\"; }}\n\
         TMP_HOOKS_PATH={to}; source {lib}/common-functions; set -e; generate_hooks >/dev/null",
        lib = package.path("lib"),
        to = theirs.display(),
    );
    let _ = run(&["bash", "-c", &script]).success();
    let (ours, theirs) = (ours.to_str().unwrap(), theirs.to_str().unwrap());
    // Of files beside the folders, which element's counts is chance there.
    for folder in fs::read_dir(theirs).unwrap().map(|e| e.unwrap()) {
        let name = folder.file_name().into_string().unwrap();
        assert!(std::path::Path::new(ours).join(&name).exists(), "{name}");
        if folder.path().is_dir() {
            let pair = [format!("{ours}/{name}"), format!("{theirs}/{name}")];
            let _ = run(&["diff", "-r", "--no-dereference", &pair[0], &pair[1]]).success();
        }
    }

    let run_parts = package.path("lib/dib-run-parts");
    let mut scripts = 0;
    for phase in Phase::ALL {
        let folder = format!("{theirs}/{}", phase.folder());
        if !std::path::Path::new(&folder).is_dir() {
            assert!(hooks.scripts(phase).is_empty());
            continue;
        }
        let listed = run(&["bash", &run_parts, "--list", &folder]).success().stdout;
        let theirs: Vec<_> = listed.lines().filter_map(|l| l.rsplit('/').next()).collect();
        let ours: Vec<_> = hooks.scripts(phase).into_iter().map(|(name, _)| name).collect();
        assert_eq!(ours, theirs, "{phase:?}");
        scripts += ours.len();
    }
    assert!(scripts > 50, "{scripts}");

    let empty = format!("{theirs}/empty.d");
    fs::create_dir(&empty).unwrap();
    let envs = [("ARCH", "amd64"), ("IMAGE_NAME", "x"), ("TMPDIR", home.path().to_str().unwrap())];
    let out = run_with(&["bash", &run_parts, &empty], &envs).success();
    let sourced =
        out.stderr.lines().filter_map(|line| line.split_once("Sourcing environment file "));
    let sourced: Vec<_> = sourced.filter_map(|(_, path)| path.rsplit('/').next()).collect();
    let ours = environment::files(&resolved).unwrap();
    assert_eq!(ours.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), sourced);
    assert!(sourced.len() > 10);
}

#[test]
fn every_source_repository_is_read() {
    let Some(package) = package() else { return };
    let of = |element: &Element| source_repository::of(element).unwrap().len();
    assert_eq!(package.shelf().iter().map(of).sum::<usize>(), 9);
}

const GRAPH: &str = r#"
import json, sys, yaml
from diskimage_builder.block_device.config import config_tree_to_graph
def ask(path):
    try: return config_tree_to_graph(yaml.safe_load(open(path)))
    except Exception: return None
print(json.dumps([ask(path) for path in json.load(open(sys.argv[1]))]))
"#;

#[test]
fn the_same_nodes_of_block_devices_are_read() {
    let Some(package) = package() else { return };
    let mut files = Vec::new();
    for element in package.shelf().iter() {
        for entry in fs::read_dir(&element.path).unwrap().map(|e| e.unwrap()) {
            let name = entry.file_name().into_string().unwrap();
            if name.starts_with("block-device-") && name.ends_with(".yaml") {
                files.push(entry.path());
            }
        }
    }
    let configs = package.path("block_device/tests/config");
    files.extend(fs::read_dir(&configs).unwrap().map(|entry| entry.unwrap().path()));
    files.retain(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    assert!(files.len() > 25);
    let theirs = package.python(GRAPH, &json!(files));
    let element = Element { name: "e".into(), path: "/e".into() };
    let mut made = Vec::new();
    for (path, theirs) in files.iter().zip(theirs.as_array().unwrap()) {
        let text = fs::read_to_string(path).unwrap();
        let file = path.file_name().unwrap().to_str().unwrap();
        let Ok(ours) = block_device::graph(&element, file, &text) else {
            // Names that are there twice are found there only later.
            assert!(theirs.is_null() || file == "duplicate_name.yaml", "{file}");
            continue;
        };
        let nodes: Vec<_> = ours.iter().map(|node| json!({&node.kind: node.values})).collect();
        assert_eq!(&json!(nodes), theirs, "{file}");
        if block_device::Disk::of(&element, file, &ours).is_ok() {
            made.push(file.to_owned());
        }
    }
    made.sort_unstable();
    made.dedup();
    assert!(made.contains(&"block-device-default.yaml".to_owned()), "{made:?}");
}
