// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Operations on real ext file systems, with the programs of Linux as outside authority.

use std::fs;
use std::path::Path;

use kiln_guest::ops::{EditContext, Network, Operation, Plan, customize};
use kiln_guest::tree::Tree;
use kiln_testkit::{Files, need_program, run};

use crate::support::{Image, NOW, path};

fn apply(tree: &mut dyn Tree, operations: &[(&str, &str)]) {
    let mut plan = Plan::default();
    for (name, argument) in operations {
        let takes = Operation::find(name).unwrap().argument.is_some();
        plan.add(name, takes.then_some(*argument)).unwrap();
    }
    let mut seed = 1_u8;
    let mut random = |bytes: &mut [u8]| {
        for byte in bytes {
            seed = seed.wrapping_mul(61).wrapping_add(17);
            *byte = seed;
        }
        Ok(())
    };
    let ctx = EditContext {
        tree,
        now: NOW,
        random: &mut random,
        keys: &[],
        runner: None,
        network: Network::None,
        progress: &mut |_| {},
    };
    customize(&plan, ctx).unwrap_or_else(|error| panic!("{error}: {}", error.source));
}

fn image(files: &Files, operations: &[(&str, &str)]) -> Option<Image> {
    let image = Image::new(files, "16M", &[])?;
    let mut tree = image.tree();
    apply(&mut tree, operations);
    tree.finish().unwrap();
    image.check();
    Some(image)
}

#[test]
fn libcrypt_takes_the_hashes() {
    if !need_program("python3") {
        return;
    }
    for (crypto, start) in
        [("md5", "$1$"), ("sha256", "$5$"), ("sha512", "$6$"), ("yescrypt", "$y$j9T$")]
    {
        let operations =
            [("password-crypto", crypto), ("root-password", "password:Gr\u{fc}n+blau")];
        let Some(image) = image(&Files::debian(), &operations) else { return };
        let shadow = image.debugfs("cat /etc/shadow");
        let hash = shadow.lines().next().unwrap().split(':').nth(1).unwrap().to_owned();
        assert!(hash.starts_with(start), "{hash}");
        let script = "import crypt, sys; print(crypt.crypt(sys.argv[1], sys.argv[2]))";
        let out = run(&["python3", "-W", "ignore", "-c", script, "Gr\u{fc}n+blau", &hash]);
        assert_eq!(out.success().stdout.trim(), hash, "{crypto}");
        // All other lines, and what the file itself has, stay.
        let rest: Vec<&str> = shadow.lines().skip(1).collect();
        assert_eq!(rest, ["daemon:*:19000:0:99999:7:::", "debian:!:19000:0:99999:7:::"]);
        let stat = image.debugfs("stat /etc/shadow");
        assert!(stat.contains("Mode:  0640") && stat.contains("Group:    42"), "{stat}");
    }
}

#[test]
fn what_is_scrubbed_is_nowhere_on_the_disk() {
    let secret = "the-very-secret-words-".repeat(2000);
    let files = Files::debian().file("etc/secret", &secret).file("etc/open", "open-words");
    let Some(image) = image(&files, &[("scrub", "/etc/secret")]) else { return };
    let bytes = fs::read(image.path()).unwrap();
    let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    assert!(has(b"open-words"));
    assert!(!has(b"the-very-secret-words-the"));
    assert!(!image.debugfs("ls /etc").contains("secret"));
}

#[test]
fn five_operations_leave_a_whole_file_system() {
    let host = tempfile::tempdir().unwrap();
    let site = host.path().join("site");
    fs::create_dir_all(site.join("sub")).unwrap();
    fs::write(site.join("index.html"), "<p>").unwrap();
    fs::write(site.join("sub/big"), vec![7; 300_000]).unwrap();
    let files = Files::debian().file("usr/share/zoneinfo/Europe/Berlin", "TZif2");
    let operations = [
        ("root-password", "password:x"),
        ("hostname", "web"),
        ("ssh-inject", "debian:string:ssh-ed25519 AAAAC3 me"),
        ("copy-in", &format!("{}:/srv", site.display())),
        ("timezone", "Europe/Berlin"),
    ];
    let Some(image) = image(&files.dir("srv"), &operations) else { return };
    assert_eq!(image.debugfs("cat /etc/hostname"), "web\n");
    assert_eq!(image.debugfs("cat /etc/hosts"), "127.0.0.1\tlocalhost\n127.0.1.1\tweb\n");
    let keys = image.debugfs("stat /home/debian/.ssh/authorized_keys");
    assert!(keys.contains("Mode:  0600") && keys.contains("User:  1000"), "{keys}");
    assert!(image.debugfs("stat /etc/localtime").contains("/usr/share/zoneinfo/Europe/Berlin"));
    let mut tree = image.tree();
    assert_eq!(tree.read(&path("/srv/site/sub/big"), 1 << 20).unwrap(), vec![7; 300_000]);
}

/// Units for `systemctl`: what each [Install] section says, and what hangs on it.
fn units() -> Files {
    let unit =
        |install: &str| format!("[Unit]\nDescription=x\n[Service]\nExecStart=/bin/true\n{install}");
    let at = |name: &str| format!("usr/lib/systemd/system/{name}");
    Files::debian()
        .dir("etc/systemd/system")
        .file(&at("a.service"), unit("[Install]\nWantedBy=multi-user.target\nAlias=aa.service\n"))
        .file(
            &at("b.service"),
            unit("[Install]\nRequiredBy=a.service\nWantedBy=x.target y.target\nAlso=b.socket\n"),
        )
        .file(
            &at("b.socket"),
            "[Socket]\nListenStream=1\n[Install]\nWantedBy=sockets.target\nAlso=b.service\n",
        )
        .file(&at("t@.service"), unit("[Install]\nWantedBy=getty.target\nDefaultInstance=one\n"))
        .file(&at("static.service"), unit(""))
        .file(&at("link.service"), unit("[Install]\nWantedBy=%p.target\n"))
}

/// Returns the links below /etc/systemd/system, as `name -> last name of the target`.
fn links(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap().path();
            if entry.is_symlink() {
                let target = fs::read_link(&entry).unwrap();
                let name = entry.strip_prefix(folder).unwrap().display().to_string();
                let target = target.file_name().unwrap().to_string_lossy().into_owned();
                found.push(format!("{name} -> {target}"));
            } else if entry.is_dir() {
                open.push(entry);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn units_are_enabled_as_systemctl_does() {
    if !need_program("systemctl") {
        return;
    }
    for verbs in [
        &[("enable", "a.service")][..],
        &[("enable", "b.service")],
        &[("enable", "t@two.service")],
        &[("enable", "t@.service")],
        &[("enable", "static.service")],
        &[("enable", "link.service"), ("enable", "a.service"), ("disable", "link.service")],
        &[("enable", "a.service"), ("disable", "a.service")],
        &[("enable", "b.service"), ("disable", "b.service")],
        &[("enable", "t@two.service"), ("disable", "t@two.service")],
        &[("mask", "a.service")],
        &[("enable", "a.service"), ("mask", "b.service"), ("unmask", "b.service")],
    ] {
        let host = tempfile::tempdir().unwrap();
        units().unpack(host.path());
        let root = format!("--root={}", host.path().display());
        for (verb, unit) in verbs {
            drop(run(&["systemctl", "-q", &root, verb, unit]).success());
        }
        let want = links(&host.path().join("etc/systemd/system"));
        let operations: Vec<(String, &str)> =
            verbs.iter().map(|(verb, unit)| (format!("{verb}-unit"), *unit)).collect();
        let operations: Vec<(&str, &str)> =
            operations.iter().map(|(verb, unit)| (verb.as_str(), *unit)).collect();
        let Some(image) = image(&units(), &operations) else { return };
        let out = host.path().join("out");
        fs::create_dir(&out).unwrap();
        drop(image.debugfs(&format!("rdump /etc/systemd/system {}", out.display())));
        assert_eq!(links(&out.join("system")), want, "{verbs:?}");
    }
}

#[test]
fn archives_keep_owners_and_attributes() {
    if !need_program("tar") {
        return;
    }
    let host = tempfile::tempdir().unwrap();
    fs::create_dir(host.path().join("d")).unwrap();
    fs::write(host.path().join("d/f"), "contents").unwrap();
    let archive = host.path().join("a.tar.gz").display().to_string();
    let folder = host.path().display().to_string();
    let owner = ["--owner=1234", "--group=4321", "--mode=u=rw,go=r", "--mtime=@1000000000"];
    drop(
        run(&[&["tar", "-C", &folder, "-czf", &archive], &owner[..], &["d/f"]].concat()).success(),
    );
    let Some(image) = image(&Files::debian(), &[("tar-in", &format!("{archive}:/tmp"))]) else {
        return;
    };
    let stat = image.debugfs("stat /tmp/d/f");
    assert!(stat.contains("User:  1234") && stat.contains("Group:  4321"), "{stat}");
    assert!(stat.contains("mtime: 0x3b9aca00"), "{stat}");
}

#[test]
fn what_is_new_has_the_group_of_a_folder_that_hands_it_on() {
    let operations = [
        ("mkdir", "/srv/shared"),
        ("chown", "0:50:/srv/shared"),
        ("chmod", "02775:/srv/shared"),
        ("write", "/srv/shared/file:x"),
        ("mkdir", "/srv/shared/one/two"),
        ("link", "/etc/hosts:/srv/shared/link"),
    ];
    let Some(image) = image(&Files::debian().dir("srv"), &operations) else { return };
    for (name, mode) in [("file", "0644"), ("one", "02755"), ("one/two", "02755"), ("link", "0777")]
    {
        let stat = image.debugfs(&format!("stat /srv/shared/{name}"));
        let stat = stat.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(stat.contains("Group: 50 ") && stat.contains(&format!("Mode: {mode} ")), "{stat}");
    }
}
