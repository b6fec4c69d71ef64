// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln schema`, judged by a validator of others: Python's jsonschema, of the editors' own kind.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::path::{Path, PathBuf};

use kiln_testkit::{need, need_program, run};

/// Says of each file what is wrong with it by a schema: `FILE: PLACE`, one on a line.
const VALIDATE: &str = "
import json, sys, yaml, jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft7Validator.check_schema(schema)
validator = jsonschema.Draft7Validator(schema)
for name in sys.argv[2:]:
    for error in validator.iter_errors(yaml.safe_load(open(name))):
        print(name + ': ' + '/'.join(map(str, error.absolute_path)) + ': ' + error.message[:200])
";

/// Keys of every kind, some as parameters, and numbers where YAML sees some.
const RECIPE: &str = r#"
kiln: 1
name: full
parameters: {suite: trixie, size: 4GiB, boot: both, epoch: 1735689600, net: true, must: }
base: {debian: "${suite}", variant: minbase, components: [main, non-free-firmware]}
arch: arm64
packages: [nginx, "vim=2:9.0"]
elements: [guest-agent, {name: sshd-policy, with: {root: "no", users: [ops]}}]
disk:
  size: ${size}
  firmware: ${boot}
  lvm: vg0
  partitions: [{mount: /srv, filesystem: xfs, grow: true}, {mount: /, size: 3GiB}]
memory: 1GiB
files:
  - {path: /etc/motd, content: hello, mode: 0644, owner: 0}
  - {path: /srv/a, source: a, template: true}
source_date_epoch: ${epoch}
users: [{name: ops, uid: 1234, groups: [adm], ssh_keys: ["ssh-ed25519 AAAA x"], sudo: true}]
commands:
  - "true"
  - run: "true"
    network: ${net}
    name: n
units: {enable: [nginx]}
outputs: [raw, qcow2-zstd]
properties: {hw_disk_bus: virtio, hw_multiqueue: true}
"#;
const SET: &str = r#"
kiln: 1
name: full
networks: {lan: {nat: 10.7.0.0/24, dhcp: [10.7.0.5, 10.7.0.9], hosts: {a.lan: 10.7.0.2}}}
pools:
  fast: {dir: /srv/vms}
  disks: {lvm: vg0}
  shared: {nfs: "nas:/x", mount: /mnt/x}
  ceph: {rbd: {pool: vms, monitors: [10.0.0.1], secret: ceph}}
secrets: {ceph: {keyring: k, user: libvirt}}
images: {base: {catalog: debian-12}, own: {build: r.yaml}}
machines:
  web:
    count: 3
    image: own
    clone: full
    cpus: 2
    memory: 2GiB
    networks: [{name: lan, ip: auto}, {name: default, static: [10.8.0.2/24], gateway: [10.8.0.1]}]
    forwards: ["2201:22"]
    users: [{name: ops, ssh_keys: [k.pub], sudo: true, password_hash: h}]
    files: [{path: /a, content: x, mode: "0600"}]
    commands: [systemctl start x, [echo, a b]]
    datasource: configdrive
    firmware: uefi
    autostart: true
    seed_url: http://10.0.0.1:8000/
"#;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

fn is_able() -> bool {
    need_program("python3")
        && need(
            run(&["python3", "-c", "import jsonschema, yaml"]).code == 0,
            "Python's jsonschema and yaml: apt install python3-jsonschema python3-yaml",
        )
}

/// Returns what the schema of a kind of file says of files.
fn said(of: &str, folder: &Path, files: &[PathBuf]) -> String {
    let schema = folder.join(format!("{of}.json"));
    fs::write(&schema, run(&[env!("CARGO_BIN_EXE_kiln"), "schema", of]).success().stdout).unwrap();
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let program = ["python3", "-c", VALIDATE, schema.to_str().unwrap()];
    run(&[&program[..], &names].concat()).success().stdout
}

/// Returns the files of the examples of a kind: sets are those called `kiln.yaml`.
fn examples(sets: bool) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join("examples")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "yaml")
                && (path.file_name().unwrap() == "kiln.yaml") == sets
            {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn what_kiln_takes_the_schemas_take() {
    if !is_able() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (of, text) in [("recipe", RECIPE), ("set", SET)] {
        let own = folder.path().join(format!("{of}.yaml"));
        fs::write(&own, text).unwrap();
        // Kiln itself reads it.
        match of {
            "recipe" => {
                let given = std::collections::BTreeMap::from([("must".to_owned(), "x".to_owned())]);
                drop(kiln_spec::Recipe::parse_with(text, of, &given).unwrap());
            }
            _ => drop(kiln_spec::Set::parse(text, of).unwrap()),
        }
        let mut files = examples(of == "set");
        assert!(files.len() >= 2, "{files:?}");
        files.push(own);
        assert_eq!(said(of, folder.path(), &files), "");
    }
}

#[test]
fn what_the_schemas_refuse_is_wrong_and_found_where_it_is() {
    if !is_able() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let recipe = "kiln: 1\nname: x\nbase: {debian: trixie}\n";
    let set = "kiln: 1\nname: x\n";
    let cases = [
        ("recipe", recipe, "bsae: {}", ""),
        ("recipe", recipe, "disk: {sise: 4GiB}", "disk"),
        ("recipe", recipe, "disk: {firmware: efi}", "disk/firmware"),
        ("recipe", recipe, "users: {name: ops}", "users"),
        ("recipe", recipe, "users: [{sudo: true}]", "users/0"),
        ("recipe", recipe, "users: [{name: a, sudo: perhaps}]", "users/0/sudo"),
        ("recipe", recipe, "commands: [{rum: x}]", "commands/0"),
        ("recipe", recipe, "outputs: [vmdk]", "outputs/0"),
        ("recipe", recipe, "memory: [1GiB]", "memory"),
        ("set", set, "machines: {web: {imgae: x}}", "machines/web"),
        ("set", set, "machines: {web: {image: x, cpus: two}}", "machines/web/cpus"),
        ("set", set, "machines: {web: {image: x, cpus: 0}}", "machines/web/cpus"),
        ("set", set, "machines: {web: {image: x, clone: fork}}", "machines/web/clone"),
        ("set", set, "networks: {lan: {net: 10.0.0.0/24}}", "networks/lan"),
        ("set", set, "pools: {fast: {lvn: vg0}}", "pools/fast"),
        ("set", set, "kilm: 1", ""),
    ];
    for (of, before, wrong, place) in cases {
        let file = folder.path().join("wrong.yaml");
        let text = format!("{before}{wrong}\n");
        fs::write(&file, &text).unwrap();
        let refused = match of {
            "recipe" => kiln_spec::Recipe::parse(&text, of).is_err(),
            _ => kiln_spec::Set::parse(&text, of).is_err(),
        };
        assert!(refused, "{wrong}");
        let said = said(of, folder.path(), std::slice::from_ref(&file));
        assert!(said.contains(&format!("wrong.yaml: {place}: ")), "{wrong}: {said:?}");
    }
}
