// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Seeds as cloud-init itself sees them: its data source, its merge, its schema, its YAML.

#![expect(clippy::unwrap_used, reason = "a test fails by panic")]

mod setup;

use kiln_guest::seed::{Login, Seed, Setup, network_data};
use kiln_guest::userdata::UserData;
use kiln_spec::Datasource;
use kiln_spec::interface::InterfaceSpec;
use kiln_spec::mac::Mac;
use kiln_testkit::{need, need_program, run};
use serde_json::{Value, json};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA a@b";
const THEIR_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB c@d";

fn cloud_init() -> bool {
    need_program("cloud-init")
        && need(
            run(&["/usr/bin/python3", "-c", "import cloudinit"]).code == 0,
            "Python's cloudinit",
        )
}

fn ask(what: &str, about: &Value) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("question.json");
    std::fs::write(&file, json!({"ask": what, "about": about}).to_string()).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guest.py");
    let out = run(&["/usr/bin/python3", script, file.to_str().unwrap()]).success();
    serde_json::from_str(&out.stdout).unwrap_or_else(|e| panic!("{e}: {out:?}"))
}

fn parsed(text: &str) -> UserData {
    UserData::parse(text.as_bytes(), "u.yaml").unwrap()
}

fn seed(user_data: Option<&str>) -> Seed {
    Seed {
        datasource: Datasource::NoCloud,
        instance_id: "01900000-0000-7000-8000-000000000001".to_owned(),
        hostname: "web1".parse().unwrap(),
        fqdn: None,
        login: Login {
            name: "debian".to_owned(),
            is_default_user: true,
            ssh_keys: vec![KEY.to_owned()],
        },
        setup: Setup::default(),
        user_data: user_data.map(parsed),
        network_config: None,
        vendor_data: None,
    }
}

/// What cloud-init makes of a seed.
fn seen(seed: &Seed) -> Value {
    let folder = tempfile::tempdir().unwrap();
    for file in seed.files().unwrap() {
        let path = folder.path().join(file.name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, file.bytes).unwrap();
    }
    let question = match seed.datasource {
        Datasource::NoCloud => "seed",
        Datasource::ConfigDrive => "config_drive",
    };
    let seen = ask(question, &json!(folder.path()));
    assert_eq!(seen["found"], true, "{seen}");
    seen
}

fn user_data(seed: &Seed) -> String {
    let file =
        seed.files().unwrap().into_iter().find(|f| f.name == seed.datasource.files()[1]).unwrap();
    String::from_utf8(file.bytes).unwrap()
}

#[test]
fn the_smallest_seed() {
    if !cloud_init() {
        return;
    }
    let seed = seed(None);
    assert_eq!(user_data(&seed), format!("#cloud-config\nssh_authorized_keys:\n- {KEY}\n"));
    let seen = seen(&seed);
    assert_eq!(seen["metadata"]["instance-id"], "01900000-0000-7000-8000-000000000001");
    assert_eq!(seen["metadata"]["local-hostname"], "web1");
    assert_eq!(seen["user"]["errors"], Value::Null);
    assert_eq!(seen["user"]["keys"], json!({"debian": [KEY]}));
    assert_eq!(seen["network"], Value::Null);
}

#[test]
fn all_files_and_another_account() {
    if !cloud_init() {
        return;
    }
    let mut seed = seed(None);
    seed.fqdn = Some("web1.example.org".to_owned());
    seed.login = Login { name: "ann".into(), is_default_user: false, ssh_keys: vec![KEY.into()] };
    seed.network_config =
        Some("network:\n  version: 2\n  ethernets: {eth0: {dhcp4: true}}\n".into());
    seed.vendor_data = Some(parsed("#cloud-config\npackages: [vim] # as written\n"));
    let seen = seen(&seed);
    assert_eq!(seen["hostname"], json!(["web1", "web1.example.org"]));
    assert_eq!(seen["network"], json!({"version": 2, "ethernets": {"eth0": {"dhcp4": true}}}));
    assert_eq!(seen["vendor"], "#cloud-config\npackages: [vim] # as written\n");
    assert_eq!(seen["user"]["errors"], Value::Null);
    assert_eq!(seen["user"]["keys"], json!({"debian": [], "ann": [KEY]}));
    assert_eq!(seen["user"]["users"]["ann"]["sudo"], "ALL=(ALL) NOPASSWD:ALL");
    assert_eq!(seen["user"]["users"]["ann"]["lock_passwd"], true);
}

/// OpenStack's drive says the same.
#[test]
fn a_config_drive_is_read() {
    if !cloud_init() {
        return;
    }
    let mut seed = seed(Some("#cloud-config\npackages: [vim]\n"));
    seed.datasource = Datasource::ConfigDrive;
    seed.fqdn = Some("web1.example.org".to_owned());
    seed.vendor_data = Some(parsed("#!/bin/sh\necho hi\n"));
    let text = "lan,static=10.0.0.5/24,gateway=10.0.0.1,dns=10.0.0.1";
    let interface: InterfaceSpec = text.parse().unwrap();
    seed.network_config = Some(network_data(&[(Mac::qemu([0, 0, 1]), &interface.addressing)]));
    let seen = seen(&seed);
    assert_eq!(seen["metadata"]["instance-id"], seed.instance_id);
    assert_eq!(seen["hostname"], json!(["web1", "web1.example.org"]));
    assert_eq!(seen["public_keys"], json!([KEY]));
    assert_eq!(seen["vendor"], "#!/bin/sh\necho hi\n");
    assert_eq!(seen["user"]["errors"], Value::Null);
    assert_eq!(seen["user"]["config"]["packages"], json!(["vim"]));
    assert_eq!(seen["user"]["keys"], json!({"debian": [KEY]}));
    let network = &seen["network"];
    assert_eq!(network["config"][0]["name"], "eth0", "{network}");
    assert_eq!(network["config"][0]["mac_address"], "52:54:00:00:00:01");
    assert_eq!(network["config"][0]["subnets"][0]["address"], "10.0.0.5");
    // The account that the seed makes is not the image's own, which the keys would open, too.
    seed.login.is_default_user = false;
    assert_eq!(self::seen(&seed)["public_keys"], json!([]));
}

#[test]
fn a_cloud_config_is_merged() {
    if !cloud_init() {
        return;
    }
    let theirs = format!(
        "#cloud-config\nhostname: theirs\nssh_authorized_keys:\n  - {THEIR_KEY}\nusers:\n  - name: bob\n\
         \x20   sudo: false\nwrite_files:\n  - path: /etc/x\n    permissions: 0640\n    content: |\n\
         \x20     MIME-Version: 1.0\n      a: b\n    # lost\n  - path: /etc/y\n    encoding: b64\n    \
         content: aGk=\nruncmd:\n- [ls, -l]\n- |\n  set -e\n  echo 'a: b' > /x\npackage_update: yes\n"
    );
    let seed = seed(Some(&theirs));
    let seen = seen(&seed);
    let config = &seen["user"]["config"];
    assert_eq!(config["hostname"], "theirs");
    assert_eq!(config["package_update"], true);
    assert_eq!(config["write_files"][0]["permissions"], 0o640);
    assert_eq!(config["write_files"][0]["content"], "MIME-Version: 1.0\na: b\n");
    assert_eq!(config["runcmd"][1], "set -e\necho 'a: b' > /x\n");
    assert_eq!(seen["user"]["keys"], json!({"bob": [], "debian": [THEIR_KEY, KEY]}));
    // cloud-init alone would take the text above for a mail.
    assert_eq!(seen["user"]["parts"].as_array().unwrap().len(), 1);
    assert!(user_data(&seed).starts_with("Content-Type: multipart/mixed"));
}

#[test]
fn the_schema_has_nothing_against_what_is_merged() {
    if !cloud_init() {
        return;
    }
    for (theirs, keys) in [
        ("users: [default, {name: bob}]", json!({"debian": [KEY], "bob": []})),
        ("users: bob", json!({"debian": [KEY], "bob": []})),
        ("users: {bob: true}", json!({"debian": [KEY], "bob": []})),
        ("users: [{name: debian, shell: /bin/sh}]", json!({"debian": [KEY]})),
        ("package_upgrade: true", json!({"debian": [KEY]})),
    ] {
        let seen = seen(&seed(Some(&format!("#cloud-config\n{theirs}\n"))));
        assert_eq!(seen["user"]["keys"], keys, "{theirs}");
        // Old forms of `users` are errors to a strict reader whoever wrote them.
        if theirs.contains('[') {
            assert_eq!(seen["user"]["errors"], Value::Null, "{theirs}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("merged.yaml");
    let merged =
        user_data(&seed(Some("#cloud-config\nusers: [default, {name: bob}]\nruncmd: [ls]\n")));
    assert!(merged.starts_with("#cloud-config\n"));
    std::fs::write(&file, merged).unwrap();
    let _ = run(&["cloud-init", "schema", "--config-file", file.to_str().unwrap()]).success();
}

#[test]
fn what_cannot_be_merged_stands_beside() {
    if !cloud_init() {
        return;
    }
    let jinja = "## template: jinja\n#cloud-config\nhostname: {{ v1.region }}\n";
    for (theirs, mime_type) in [
        ("#!/bin/sh\necho \"ü\"\n", "text/x-shellscript"),
        ("#cloud-boothook\n#!/bin/sh\n", "text/cloud-boothook"),
        ("#part-handler\n", "text/part-handler"),
        (jinja, "text/jinja2"),
    ] {
        let seen = seen(&seed(Some(theirs)));
        let parts = &seen["user"]["parts"];
        assert_eq!(parts[0], json!([mime_type, theirs]));
        assert_eq!(parts[1][0], "text/cloud-config");
        assert_eq!(parts.as_array().unwrap().len(), 2);
        assert_eq!(seen["user"]["keys"], json!({"debian": [KEY]}));
        assert_eq!(seen["user"]["errors"], Value::Null);
    }
    let archive = "#cloud-config-archive\n- \"#!/bin/sh\\necho\\n\"\n- {type: text/cloud-config, content: 'packages: [a]'}\n";
    let seen = seen(&seed(Some(archive)));
    assert_eq!(seen["user"]["parts"].as_array().unwrap().len(), 3);
    assert_eq!(seen["user"]["config"]["packages"], json!(["a"]));
    assert_eq!(seen["user"]["keys"], json!({"debian": [KEY]}));
}

#[test]
fn neither_part_wipes_the_other() {
    if !cloud_init() {
        return;
    }
    let config = format!(
        "#cloud-config\nusers: [{{name: bob}}]\nssh_authorized_keys: ['{THEIR_KEY}']\ndisable_root: true\n"
    );
    let message = format!(
        "Content-Type: multipart/mixed; boundary=\"===kiln-0===\"\nMIME-Version: 1.0\n\n\
         --===kiln-0===\nContent-Type: text/cloud-config\n\n{config}\n\
         --===kiln-0===\nContent-Type: text/x-shellscript\n\n#!/bin/sh\necho hi\n\n--===kiln-0===--\n"
    );
    let mut seed = seed(Some(&message));
    let seen_default = seen(&seed);
    let user = &seen_default["user"];
    assert_eq!(user["parts"].as_array().unwrap().len(), 3);
    assert_eq!(user["parts"][1][1], "#!/bin/sh\necho hi\n");
    assert_eq!(user["keys"], json!({"bob": [], "debian": [THEIR_KEY, KEY]}));
    assert_eq!(user["config"]["disable_root"], true);

    seed.login.is_default_user = false;
    seed.login.name = "root".to_owned();
    let user = &seen(&seed)["user"];
    assert_eq!(user["keys"], json!({"bob": [], "debian": [THEIR_KEY], "root": [KEY]}));
    assert_eq!(user["config"]["disable_root"], true, "the user's word stands");

    let patch =
        "#cloud-config-jsonp\n[{\"op\": \"add\", \"path\": \"/hostname\", \"value\": \"x\"}]";
    let user = &seen(&self::seed(Some(patch)))["user"];
    assert_eq!(user["config"]["hostname"], "x");
    assert_eq!(user["keys"], json!({"debian": [KEY]}));
}

/// What must be refused, and cloud-init's schema refuses; and what both take.
#[test]
fn the_checks_agree_with_the_schema() {
    if !cloud_init() {
        return;
    }
    let bad = [
        "packages: 5",
        "packages: {a: b}",
        "packages:",
        "runcmd: x",
        "runcmd: [{a: b}]",
        "bootcmd: [5]",
        "write_files: {path: x}",
        "write_files: [x]",
        "hostname: 5",
        "hostname: 2024-01-01",
        "fqdn: [a]",
        "timezone: 1",
        "users: 5",
        "users: [5]",
        "groups: 5",
        "ssh_authorized_keys: key",
        "ssh_authorized_keys: [5]",
        "ssh_pwauth: 5",
        "package_update: 'x'",
        "package_update: 1",
        "mounts: [a]",
        "mounts: a",
        "ntp: [a]",
        "growpart: auto",
        "apt: [x]",
        "power_state: reboot",
        "final_message: 5",
        "locale: 5",
        "swap: 5",
        "ssh_import_id: x",
        "disable_root: 'x'",
        "manage_etc_hosts: 5",
        "resize_rootfs: 5",
        "chpasswd: x",
        "disk_setup: []",
        "fs_setup: {}",
        "- a",
        "just text",
        "a: [",
    ];
    let good = [
        "packages: [a, [b, '1.0']]",
        "runcmd: [ls, [ls, -l], null]",
        "bootcmd: [[ls], ls]",
        "write_files: [{path: /x, content: y, permissions: '0644'}]",
        "hostname: x",
        "users: [default, {name: x}]",
        "groups: [a, {b: [root]}]",
        "ssh_pwauth: true",
        "ssh_pwauth: no",
        "package_update: yes",
        "mounts: [[a, b]]",
        "ntp: {enabled: true}",
        "growpart: {mode: auto}",
        "power_state: {mode: reboot}",
        "timezone: Europe/Berlin",
        "manage_etc_hosts: localhost",
        "resize_rootfs: noblock",
        "chpasswd: {expire: false}",
        "ssh_authorized_keys: [a]",
        "swap: {size: auto}",
        "apt: {preserve_sources_list: true}",
    ];
    let texts: Vec<&str> = bad.into_iter().chain(good).collect();
    let answers = ask("accepts", &json!(texts));
    for (number, text) in texts.iter().enumerate() {
        let ours = UserData::parse(format!("#cloud-config\n{text}").as_bytes(), "u");
        let theirs = &answers[number];
        assert_eq!(ours.is_err(), number < bad.len(), "{text}: {ours:?}");
        assert_eq!(!theirs.is_null(), number < bad.len(), "{text}: cloud-init says {theirs}");
    }
}

#[test]
fn the_drive_holds_the_files() {
    if !need_program("isoinfo") || !need_program("blkid") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for datasource in Datasource::ALL {
        let seed = Seed { datasource: *datasource, ..seed(Some("#!/bin/sh\nreboot\n")) };
        let file = folder.path().join("seed.iso");
        std::fs::write(&file, seed.to_iso(1_700_000_000).unwrap()).unwrap();
        let file = file.to_str().unwrap();
        let label = run(&["blkid", "-p", "-o", "value", "-s", "LABEL", file]).success();
        assert_eq!(label.stdout.trim_end(), datasource.volume());
        for wanted in seed.files().unwrap() {
            let path = format!("/{}", wanted.name);
            let read = run(&["isoinfo", "-R", "-i", file, "-x", &path]).success();
            assert_eq!(read.stdout.as_bytes(), wanted.bytes);
        }
        let late = seed.to_iso(u64::MAX).unwrap_err();
        assert_eq!(late.to_string(), "could not lay out the drive of the seed");
    }
}

/// A config that is only written anew, since the login has no keys.
fn rewritten(text: &str) -> Option<String> {
    let mut seed = seed(None);
    seed.login.ssh_keys.clear();
    seed.user_data = Some(UserData::parse(format!("#cloud-config\n{text}").as_bytes(), "u").ok()?);
    Some(user_data(&seed))
}

#[test]
fn texts_written_anew_are_the_same_to_pyyaml() {
    if !cloud_init() {
        return;
    }
    let texts = [
        "a: 0644\nb: '0644'\nc: yes\nd: \"yes\"\ne: 1:20\nf: 1e5\ng: ~\nh:\ni: 2024-01-01\n",
        "a: |\n  x\n   y\n\n  z\nb: >\n  folded\n  text\n\n  more\nc: |+\n  a\n\n\nd: |-\n  a\n",
        "a: \"\\x07\\u2028\\t\\u0085 \\\\ \\\" ü 😀 \\uFEFF\"\nb: 'it''s'\nc: \" lead\\ntrail \"\n",
        "a: !!binary aGVsbG8=\nb: !!float 1\nc: !!str 5\nd: !!int '5'\ne: !!null ''\nf: !!bool \"on\"\n",
        "x: &a {k: v, l: [1, 2]}\ny: *a\nz: {<<: *a, k: w}\nw: {<<: [{p: 1}, {p: 2, q: 3}], q: 4}\n",
        "? a b\n: c\n'': d\n5: e\nyes: f\n~: g\n1.5: h\n",
        "a: [[[], {}], [a, [b]], {c: [d, {e: f}]}]\n",
        "a:\n- b\n-\n  - c\n- d: e\n  f:\n  - g\n",
        "a: {b: c, d: 'e, f', g: \"h\"}\n",
        "a: b: c\n",
        "a: http://x:80/y?z#frag\nb: '# no comment'\nc: x # comment\nd: -\ne: - \n",
        "a: 'multi\n\n  line'\nb: plain\n  on two\n\n  lines\n",
        "a: \"first\\n  second: |\\n---\\n...\\n\"\nb: \"x\\r\\ny\"\nc: \"a\\n\\tb\\n\"\n",
        "a: @x\n",
        "a: `x`\n",
        "a: %x\n",
        "a: [x, y]]\n",
        "a: 'x\n",
        "a: ,\n",
        "key with spaces: 1\nkey:with:colons: 2\n-dash: 3\n",
    ];
    let pairs: Vec<Value> = texts.iter().map(|t| json!([t, rewritten(t)])).collect();
    assert_eq!(ask("same", &json!(pairs)), json!([]));
}

#[test]
fn scalars_written_anew_are_the_same_to_pyyaml() {
    if !cloud_init() {
        return;
    }
    let words = [
        "0", "1", "7", "9", "12", "60", "2024", "-", "+", ".", ":", "_", "e", "E", "x", "0x", "0b",
        "0o", "T", "Z", " ", "-01-02", "yes", "No", "null", "~", "inf", ".nan", "true", "a", "<<",
        "=", "f", "#", "'", "\"",
    ];
    // A fixed sequence that looks random: Knuth's MMIX numbers.
    let mut state = 42_u64;
    let mut next = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let mut pairs = Vec::new();
    for _ in 0..6000 {
        let scalar: String = (0..=next(5)).map(|_| words[next(words.len())]).collect();
        // PyYAML fails on these two, which can only be meant as texts; they get quotes.
        if matches!(scalar.trim(), "=" | "<<") {
            continue;
        }
        let text = format!("k: {scalar}\n");
        let ours = rewritten(&text);
        pairs.push(json!([text, ours]));
    }
    let read = pairs.iter().filter(|pair| !pair[1].is_null()).count();
    assert!(read > 3000, "{read} of 6000 are YAML");
    assert_eq!(ask("same", &json!(pairs)), json!([]));
}

/// Whatever the bytes, there is an answer.
#[test]
fn damaged_user_data_never_ends_in_a_panic() {
    let good = "#cloud-config\nusers: [default, {name: a, ssh_authorized_keys: ['x']}]\n\
                a: &x {b: [1, 2], <<: {c: !!int 5}}\nd: *x\nrun: |\n  text\n\"q\": >-\n  f\n";
    let mut state = 7_u64;
    let mut next = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let mut refused = 0;
    for _ in 0..1500 {
        let mut bytes = good.as_bytes().to_vec();
        for _ in 0..=next(4) {
            let at = next(bytes.len());
            match next(3) {
                0 => bytes[at] = u8::try_from(next(256)).unwrap(),
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, b":-[]{}&*!|>'\"#\n\t ,?%@"[next(21)]),
            }
        }
        match UserData::parse(&bytes, "u") {
            Ok(data) => {
                let mut seed = seed(None);
                seed.user_data = Some(data);
                assert_eq!(seed.files().unwrap().len(), 2);
            }
            Err(error) => {
                refused += 1;
                let _ = (error.to_string(), error.hint(), error.snippet());
            }
        }
    }
    assert!((150..1450).contains(&refused), "{refused} of 1500 refused");
}

/// Parts are what cloud-init sees, and each is checked by its schema.
#[test]
fn parts_are_those_of_cloud_init() {
    if !cloud_init() {
        return;
    }
    let message = "Content-Type: multipart/mixed; boundary=\"B\"\nMIME-Version: 1.0\n\n\
        --B\nContent-Type: text/cloud-config\n\npackages: [a]\n\n\
        --B\nContent-Type: multipart/mixed; boundary=\"C\"\n\n\
        --C\nContent-Type: text/plain; charset=\"utf-8\"\nContent-Transfer-Encoding: base64\n\n\
        IyEvYmluL3NoCmVjaG8g44GCCg==\n\n\
        --C\nContent-Type: text/x-shellscript\nContent-Transfer-Encoding: quoted-printable\n\n\
        #!/bin/sh\na=3D1\n--C--\n--B\nContent-Type: text/jinja2\n\n## template: jinja\n#!/bin/sh\n--B--\n";
    let archive = "#cloud-config-archive\n- \"#!/bin/sh\\necho\\n\"\n\
        - {type: text/cloud-config, content: 'packages: [a]'}\n- 'packages: [b]'\n";
    for whole in [message, archive, "#!/bin/sh\necho\n"] {
        let data = parsed(whole);
        let ours: Vec<Value> = data
            .parts()
            .iter()
            .map(|part| json!([part.mime_type, part.text.as_deref().unwrap_or("").trim_end()]))
            .collect();
        let seen = seen(&seed(Some(whole)));
        let mut theirs = seen["user"]["parts"].as_array().unwrap().clone();
        // Kiln's own is the last.
        drop(theirs.pop());
        for part in &mut theirs {
            part[1] = json!(part[1].as_str().unwrap().trim_end());
        }
        assert_eq!(json!(ours), json!(theirs), "{whole}");
    }
}

/// What is packed or included is merged as well.
#[test]
fn what_is_fetched_is_merged_by_the_same_rule() {
    if !cloud_init() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let more = folder.path().join("more");
    std::fs::write(&more, format!("#cloud-config\nssh_authorized_keys: ['{THEIR_KEY}']\n"))
        .unwrap();
    let include = format!("#include\nfile://{}\n", more.display());
    let user = &seen(&seed(Some(&include)))["user"];
    assert_eq!(user["keys"], json!({"debian": [THEIR_KEY, KEY]}));
    // `Merge-Type` of a part of the user's is obeyed, too.
    let message = "Content-Type: multipart/mixed; boundary=\"B\"\nMIME-Version: 1.0\n\n\
        --B\nContent-Type: text/cloud-config\n\npackages: [a]\n\n\
        --B\nContent-Type: text/cloud-config\nMerge-Type: list(append)+dict(recurse_list)+str()\n\npackages: [b]\n--B--\n";
    let user = &seen(&seed(Some(message)))["user"];
    assert_eq!(user["config"]["packages"], json!(["a", "b"]));
    assert_eq!(user["keys"], json!({"debian": [KEY]}));
}
