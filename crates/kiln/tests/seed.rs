// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln seed`: drives and folders, made and shown.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use kiln_testkit::{Output, need, need_program, run, run_with};
use serde_json::{Value, json};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA a@b";
const CONFIG: &str = "#cloud-config\npackages: [vim]\npassword: $6$salt$hash\n";
const MESSAGE: &str = "Content-Type: multipart/mixed; boundary=\"B\"\nMIME-Version: 1.0\n\n\
    --B\nContent-Type: text/cloud-config\n\nruncmd: [ls]\n\n\
    --B\nContent-Type: text/x-shellscript\n\n#!/bin/sh\necho hi\n\n--B--\n";

/// A folder with a key and a home of its own.
struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        let lab = Self { folder: tempfile::tempdir().unwrap() };
        lab.file("key.pub", KEY);
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn shown(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn file(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.shown(name)
    }

    fn kiln(&self, args: &[&str]) -> Output {
        let home = self.shown("home");
        run_with(&[&[env!("CARGO_BIN_EXE_kiln")], args].concat(), &[("KILN_HOME", &home)])
    }

    /// Makes a seed of this name with the key and these options.
    fn build(&self, name: &str, more: &[&str]) -> Output {
        let (output, key) = (self.shown(name), self.shown("key.pub"));
        let usual = ["seed", "build", &output, "--hostname", "web1", "--ssh-key", &key];
        self.kiln(&[&usual[..], more].concat())
    }

    fn show(&self, name: &str, more: &[&str]) -> Value {
        let path = self.shown(name);
        let out = self.kiln(&[&["seed", "show", &path, "--json"], more].concat()).success();
        let shown: Value = serde_json::from_str(&out.stdout).unwrap();
        shown["seed"].clone()
    }
}

/// Returns the text of a part of a file.
fn text(seed: &Value, file: usize, part: usize) -> &str {
    seed["files"][file]["parts"][part]["text"].as_str().unwrap_or_else(|| panic!("{seed}"))
}

#[test]
fn a_drive_is_made_that_others_read_and_shown_without_secrets() {
    if !need_program("isoinfo") || !need_program("blkid") {
        return;
    }
    let lab = Lab::new();
    let data = lab.file("u.yaml", CONFIG);
    let vendor = lab.file("v.sh", "#!/bin/sh\necho vendor\n");
    let network = lab.file("n.yaml", "version: 1\nconfig: []\n");
    let more = ["--user-data", &data, "--vendor-data", &vendor, "--network-config", &network];
    let id = ["--instance-id", "iid-web1", "--fqdn", "web1.example.org"];
    let out = lab.build("web1.iso", &[&more[..], &id].concat()).success();
    let path = lab.shown("web1.iso");
    assert_eq!(out.stdout, format!("{path}\n"));
    let label = run(&["blkid", "-p", "-o", "value", "-s", "LABEL", &path]).success();
    assert_eq!(label.stdout, "cidata\n");
    let read = |name: &str| run(&["isoinfo", "-R", "-i", &path, "-x", name]).success().stdout;
    let meta = read("/meta-data");
    assert_eq!(meta, "instance-id: iid-web1\nlocal-hostname: web1.example.org\n");
    assert_eq!(read("/vendor-data"), "#!/bin/sh\necho vendor\n");
    assert_eq!(read("/network-config"), "version: 1\nconfig: []\n");
    assert!(read("/user-data").contains("$6$salt$hash"));
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);

    let shown = lab.show("web1.iso", &[]);
    assert_eq!(shown["datasource"], "nocloud");
    assert_eq!(text(&shown, 0, 0), meta);
    let user = text(&shown, 1, 0);
    assert!(user.contains("password: \"***\"") && user.contains(KEY), "{user}");
    let open = lab.show("web1.iso", &["--secrets"]);
    assert!(text(&open, 1, 0).contains("$6$salt$hash"), "{open}");
    // For people: a line of what it is, and each file with its name.
    let said = lab.kiln(&["seed", "show", &path]).success().stdout;
    assert!(said.starts_with("# a seed for cloud-init's nocloud\n\n==> meta-data <==\n"), "{said}");
    assert!(said.contains("\n==> vendor-data <==\n#!/bin/sh\necho vendor\n"), "{said}");

    // What is there stays as it is.
    let (bytes, again) = (fs::read(&path).unwrap(), lab.build("web1.iso", &[]));
    assert_eq!(again.code, 4, "{}", again.stderr);
    assert!(fs::read(&path).unwrap() == bytes);
}

#[test]
fn a_folder_for_openstacks_readers_is_made_and_cloud_init_reads_it() {
    let lab = Lab::new();
    let data = lab.file("u.mime", MESSAGE);
    let more = ["--folder", "--datasource", "configdrive", "--user-data", &data, "--json"];
    let made: Value = serde_json::from_str(&lab.build("web1", &more).success().stdout).unwrap();
    let seed = &made["seed"];
    assert_eq!((&seed["hostname"], &seed["label"]), (&json!("web1"), &Value::Null));
    let files =
        ["openstack/latest/meta_data.json", "openstack/latest/user_data"].map(|file| json!(file));
    assert_eq!(seed["files"], json!(files));
    assert_eq!(fs::metadata(lab.path("web1")).unwrap().mode() & 0o777, 0o700);
    // Part by part, Kiln's last.
    let shown = lab.show("web1", &[]);
    let parts = shown["files"][1]["parts"].as_array().unwrap();
    let types: Vec<&Value> = parts.iter().map(|part| &part["type"]).collect();
    assert_eq!(types, ["text/cloud-config", "text/x-shellscript", "text/cloud-config"]);
    assert!(text(&shown, 1, 2).contains(KEY), "{shown}");
    assert_eq!(lab.build("web1", &more).code, 4);
    let entries = fs::read_dir(lab.folder.path()).unwrap();
    let left =
        entries.filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
    assert_eq!(left.count(), 0, "nothing is left of what was refused");

    let python = ["/usr/bin/python3", "-c", "import cloudinit"];
    if !need(run(&python).code == 0, "Python's cloudinit") {
        return;
    }
    let question = json!({ "ask": "config_drive", "about": lab.path("web1") }).to_string();
    let question = lab.file("question.json", &question);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../kiln-guest/tests/guest.py");
    let seen = run(&["/usr/bin/python3", script, &question]).success().stdout;
    let seen: Value = serde_json::from_str(&seen).unwrap();
    assert_eq!((&seen["found"], &seen["public_keys"]), (&json!(true), &json!([KEY])), "{seen}");
    assert_eq!(seen["metadata"]["instance-id"], seed["instance_id"]);
    assert_eq!(seen["user"]["config"]["runcmd"], json!(["ls"]));
    assert_eq!(seen["user"]["keys"], json!({ "debian": [KEY] }));
}

#[test]
fn mistakes_are_told_with_their_place_and_nothing_is_made() {
    let lab = Lab::new();
    let message = lab.file("u.mime", &MESSAGE.replace("[ls]", "ls"));
    let network = lab.file("n.yaml", "version: 2\nethernets:\n  a: {addresses: 10.0.0.1/24}\n");
    let patch = lab.file("p.json", "#cloud-config-jsonp\n[{]\n");
    let two = lab.file("v.yaml", "#cloud-config\nusers: 5\n");
    for (args, code, said) in [
        (vec!["--user-data", &message], 3, "u.mime:7:9`: `runcmd` must be a list, and is a text"),
        (vec!["--user-data", &patch], 3, "p.json:2:3`: key must be a string"),
        (vec!["--vendor-data", &two], 3, "v.yaml` is no valid vendor-data"),
        (vec!["--network-config", &network], 3, "n.yaml:3:18`: `ethernets.a.addresses` must be"),
        (
            vec!["--network-config", &network, "--datasource", "configdrive"],
            3,
            "n.yaml:1:1`: OpenStack's `network_data.json` is JSON",
        ),
        (vec!["--network-config", "/no/such.yaml"], 4, "/no/such.yaml"),
        (vec!["--fqdn", "db1.example.org"], 2, "`db1.example.org` is no full host name of `web1`"),
        (vec!["--instance-id", "../x"], 2, "`../x` is no instance-id"),
        (vec!["--user", "Root"], 2, "`Root` is no login name"),
    ] {
        let out = lab.build("x.iso", &args);
        assert_eq!(out.code, code, "{args:?}: {}", out.stderr);
        assert!(out.stderr.contains(said), "{args:?}: {}", out.stderr);
        assert!(!lab.path("x.iso").exists(), "{args:?}");
    }
    for (what, code, said) in [
        (lab.shown("u.mime"), 3, "is no seed"),
        (lab.shown("none.iso"), 4, "none.iso"),
        (
            lab.folder.path().display().to_string(),
            3,
            "a seed has a file `meta-data`, and this has none",
        ),
    ] {
        let out = lab.kiln(&["seed", "show", &what]);
        assert_eq!(out.code, code, "{what}: {}", out.stderr);
        assert!(out.stderr.contains(said), "{what}: {}", out.stderr);
    }
}
