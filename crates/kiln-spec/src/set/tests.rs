// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a set's file may say, and what its errors say.

use super::*;
use crate::interface::Addressing;
use crate::network::NetworkMode;
use crate::recipe::FileSource;

const WHOLE: &str = "\
kiln: 1
name: shop
networks:
  lan: {nat: 192.168.101.0/24, dhcp: [192.168.101.100, 192.168.101.199], domain: shop.lan}
  back: {isolated: 10.7.0.0/24, dhcp: [], hosts: {db.shop.lan: 10.7.0.5}}
pools:
  fast: {dir: /srv/vms}
images:
  web: {file: images/web.qcow2}
machines:
  web:
    count: 3
    image: web
    clone: linked
    cpus: 2
    memory: 2GiB
    disk: 20GiB
    pool: fast
    networks: [{name: lan, ip: 192.168.101.10}, {name: back, static: [10.7.0.10/24]}]
    forwards: [\"2201:22\", \"8080:80\"]
    users: [{name: ops, ssh_keys: [~/.ssh/id_ed25519.pub], sudo: true}]
    user_data: web.user-data
    dns: lab
    vendor_data: vendor.sh
    network_config: network.json
    datasource: configdrive
    tags: [front]
  db:
    image: debian-12
    firmware: uefi
";

fn parse(text: &str) -> Result<Set, String> {
    Set::parse(text, "kiln.yaml").map_err(|error| error.to_string())
}

/// Returns the first line of what is wrong with a set of these machines and of the usual rest.
fn said(rest: &str) -> String {
    let text = format!("kiln: 1\nname: shop\n{rest}");
    let error = parse(&text).expect_err(rest);
    error.lines().next().unwrap_or_default().to_owned()
}

/// [`said`] of a machine's keys, which stand in line 4.
fn of_machine(keys: &str) -> String {
    said(&format!("machines:\n  web: {{image: web, {keys}}}\n"))
}

#[test]
fn a_whole_file_is_read() {
    let set = parse(WHOLE).unwrap();
    assert_eq!(set.name.as_str(), "shop");
    let names: Vec<&str> = set.networks.iter().map(|network| network.name.as_str()).collect();
    assert_eq!(names, ["back", "lan"]);
    let lan = &set.networks[1];
    assert_eq!((&lan.mode, lan.ipv4), (&NetworkMode::Nat, "192.168.101.0/24".parse().ok()));
    assert_eq!(lan.dhcp.unwrap().to_string(), "192.168.101.100-192.168.101.199");
    assert_eq!(set.networks[0].dhcp, None);
    assert_eq!(set.networks[0].hosts[0].name.as_str(), "db.shop.lan");
    let fast =
        PoolSpec { name: "fast".parse().unwrap(), source: PoolSource::Dir("/srv/vms".into()) };
    assert_eq!(set.pools, [fast]);
    let [db, web] = set.machines.as_slice() else { panic!("{:?}", set.machines) };
    assert_eq!((db.count, db.cpus, db.memory), (None, 1, Bytes::from_gib(1)));
    assert_eq!((db.pool.as_str(), db.uefi), ("default", true));
    assert_eq!(db.image, ImageSource::Known("debian-12".into()));
    assert_eq!(db.nth(1).as_str(), "db");
    assert_eq!(web.image, ImageSource::File("images/web.qcow2".into()));
    assert_eq!((web.machines(), web.nth(3).as_str()), (3, "web-3"));
    assert_eq!(web.disk, Some(Bytes::from_gib(20)));
    assert_eq!(web.networks[0].addressing, Addressing::Reserved("192.168.101.10".parse().ok()));
    assert_eq!(web.networks[1].to_string(), "back,static=10.7.0.10/24");
    assert_eq!(web.forwards[1].to_string(), "8080:80/tcp");
    let ops = web.login().unwrap();
    assert_eq!((ops.name.as_str(), ops.is_login()), ("ops", true));
    assert_eq!(ops.ssh_keys, ["~/.ssh/id_ed25519.pub"]);
    assert_eq!(db.login(), None);
    assert_eq!(web.user_data.as_deref(), Some("web.user-data"));
    assert_eq!(web.dns.as_ref().map(|server| server.as_str()), Some("lab"));
    assert_eq!(web.vendor_data.as_deref(), Some("vendor.sh"));
    assert_eq!(web.network_config.as_deref(), Some("network.json"));
    assert_eq!((web.datasource, db.datasource), (Datasource::ConfigDrive, Datasource::NoCloud));
}

#[test]
fn a_name_alone_is_a_set_of_nothing() {
    let set = parse("kiln: 1\nname: shop\n").unwrap();
    assert!(set.networks.is_empty() && set.pools.is_empty() && set.machines.is_empty());
}

#[test]
fn an_error_has_its_line_and_column() {
    let wrong = WHOLE.replace("    memory: 2GiB", "    mmeory: 2GiB");
    assert_eq!(
        parse(&wrong).unwrap_err(),
        "kiln.yaml:16:5: unknown key `mmeory`; did you mean `memory`?\n  \
         16 |     mmeory: 2GiB\n     |     ^^^^^^"
    );
    let wrong = WHOLE.replace("count: 3", "count: 0");
    assert_eq!(
        parse(&wrong).unwrap_err(),
        "kiln.yaml:12:12: `count` is 1 to 500\n  12 |     count: 0\n     |            ^"
    );
    assert_eq!(said("kiln: 1\n"), "kiln.yaml:3:1: the key `kiln` is there twice");
    assert_eq!(
        parse("kiln: 2\nname: x\n").unwrap_err().lines().next().unwrap(),
        "kiln.yaml:1:7: this kiln reads format 1, and the file says 2"
    );
    let name = parse("kiln: 1\nname: ../x\n").unwrap_err();
    assert!(name.starts_with("kiln.yaml:2:7: `../x` is no name of a set"), "{name}");
}

#[test]
fn words_of_machines_are_checked() {
    assert_eq!(
        of_machine("memory: 512"),
        "kiln.yaml:4:29: `512` has no unit; write `512MiB` or `512GiB`"
    );
    assert_eq!(of_machine("cpus: 0"), "kiln.yaml:4:27: `cpus` is 1 to 512");
    assert_eq!(
        of_machine("forwards: [\"22\"]"),
        "kiln.yaml:4:32: `22` is no forward; write it like `2201:22`, or `5353:53/udp`"
    );
    assert_eq!(
        of_machine("networks: [{name: lan, ip: 10.0.0}]"),
        "kiln.yaml:4:32: `ip=10.0.0` is not an IPv4 address or `auto`"
    );
    assert_eq!(
        of_machine("networks: [{nme: lan}]"),
        "kiln.yaml:4:33: unknown key `nme`; did you mean `name`?"
    );
    assert_eq!(
        said("machines:\n  Web: {image: web}\n"),
        "kiln.yaml:4:3: `Web` is no host name: `W` may not stand in one (a-z, 0-9 and - may)"
    );
    assert_eq!(said("machines:\n  web: {cpus: 2}\n"), "kiln.yaml:4:9: the key `image` is missing");
    let key = of_machine("users: [{name: ops, sudo: true, ssh_keys: [\"ssh-ed25519 AAAA me\"]}]");
    assert_eq!(key, "kiln.yaml:4:64: this is a key; name the file that it is in");
    assert!(of_machine("users: [{name: ops}]").contains("say `sudo: true` of `ops`"));
    assert!(
        said("machines:\n  web: {image: ./x.qcow2}\n").contains("named in `images`, by `file`")
    );
    assert_eq!(
        of_machine("ready: [agent, \"tcp:0\"]"),
        "kiln.yaml:4:36: `tcp:0` is nothing to wait for: there are `agent`, `cloud-init`, `ssh` and `tcp:PORT`"
    );
}

#[test]
fn what_cannot_be_done_yet_is_named_and_not_left_out() {
    let not_yet = |key: &str| format!("this kiln cannot do `{key}` in a set yet; ");
    for (text, key) in [
        ("images:\n  web: {install: web.yaml}\n", "install"),
        ("machines:\n  web: {image: web, clone: fork}\n", "clone: fork"),
        ("machines:\n  web: {image: web, disks: [{size: 1GiB}]}\n", "disks"),
    ] {
        let said = said(text);
        assert!(said.contains(&not_yet(key)), "{key}: {said}");
        assert!(said.starts_with("kiln.yaml:3:") || said.starts_with("kiln.yaml:4:"), "{said}");
    }
}

#[test]
fn a_first_boot_is_read() {
    let text = "\
kiln: 1
name: shop
machines:
  web:
    image: web
    users:
      - {name: ops, sudo: true, groups: [adm, docker]}
      - {name: ann, shell: /bin/sh, password_hash: ann.hash}
    packages: [nginx, curl=7.88.1-10]
    files:
      - {path: /etc/motd, content: hello}
      - {path: /srv/a, source: a.bin, mode: \"0600\", owner: ann, group: adm}
    commands: [\"systemctl enable nginx\", [touch, /a b]]
";
    let set = parse(text).unwrap();
    let web = &set.machines[0];
    let [ops, ann] = web.users.as_slice() else { panic!("{:?}", web.users) };
    assert!(!ops.is_login() && ops.sudo && !ann.sudo);
    assert_eq!(
        ops.groups.iter().map(|group| group.as_str()).collect::<Vec<_>>(),
        ["adm", "docker"]
    );
    assert_eq!(ann.shell.as_ref().map(|shell| shell.as_str()), Some("/bin/sh"));
    assert_eq!(ann.password_hash.as_deref(), Some("ann.hash"));
    assert_eq!(web.packages[1].as_str(), "curl=7.88.1-10");
    let [motd, a] = web.files.as_slice() else { panic!("{:?}", web.files) };
    assert_eq!(motd.what, FileSource::Content("hello".into()));
    assert_eq!(motd.mode.map(|mode| mode.0), Some(0o644));
    assert_eq!(a.what, FileSource::Source("a.bin".into()));
    assert_eq!(a.mode.map(|mode| mode.0), Some(0o600));
    assert_eq!((a.owner.as_str(), a.group.as_str()), ("ann", "adm"));
    let words = ["touch", "/a b"].map(str::to_owned).to_vec();
    let shell = FirstCommand::Shell("systemctl enable nginx".into());
    assert_eq!(web.commands, [shell, FirstCommand::Words(words)]);
}

#[test]
fn what_is_wrong_with_a_first_boot_is_told_with_its_place() {
    for (keys, place) in [
        ("users: [{name: a, sudo: true}, {name: a}]", "4:52: the user `a` is there twice"),
        (
            "users: [{name: a, sudo: true, password_hash: $6$x$y}]",
            "4:66: this is a hash, and others read this file: name the file that it is in",
        ),
        ("users: [{name: Ann, sudo: true}]", "4:36: `Ann` is no account"),
        ("users: [{name: a, sudo: true, password: x}]", "4:51: unknown key `password`"),
        ("packages: [-y]", "4:32: `-y` is no package"),
        ("files: [{path: /a}]", "4:36: `/a` needs the key `content` or `source`"),
        ("files: [{path: /a, content: x, source: y}]", "4:36: `/a` has both"),
        ("files: [{path: a, content: x}]", "4:36: `a` is no path of a file"),
        ("files: [{path: /a, content: x, mode: 7}]", "4:58: `7` is no file mode"),
        ("files: [{path: /a, content: x}, {path: /a, content: y}]", "4:60: `/a` is there twice"),
        ("files: [{path: /a, content: x, template: true}]", "4:52: unknown key `template`"),
        ("commands: [\"\"]", "4:32: there is nothing to run"),
        ("commands: [[]]", "4:32: there is nothing to run"),
        ("commands: [{run: x}]", "4:32: "),
    ] {
        let said = of_machine(keys);
        assert!(said.starts_with(&format!("kiln.yaml:{place}")), "{keys}: {said}");
    }
}

#[test]
fn images_are_named_in_one_of_six_ways() {
    let of = |keys: &str| {
        let text =
            format!("kiln: 1\nname: a\nimages:\n  web: {keys}\nmachines:\n  m: {{image: web}}\n");
        parse(&text).map(|set| set.machines[0].image.clone()).map_err(|error| error.to_string())
    };
    let digits = "ab".repeat(32);
    let sha256: crate::image::Digest = format!("sha256:{digits}").parse().unwrap();
    let url = "https://x.example/web.qcow2".to_owned();
    for (keys, source) in [
        ("{catalog: ours/debian-12}".to_owned(), ImageSource::Catalog("ours/debian-12".into())),
        ("{build: web.yaml}".to_owned(), ImageSource::Build("web.yaml".into())),
        ("{store: debian-12}".to_owned(), ImageSource::Known("debian-12".into())),
        (
            "{bundle: ../web.tar.zst}".to_owned(),
            ImageSource::Bundle { place: "../web.tar.zst".into(), sha256: None },
        ),
        (
            format!("{{bundle: '{url}', sha256: {digits}}}"),
            ImageSource::Bundle { place: url.clone(), sha256: Some(sha256.clone()) },
        ),
        (format!("{{url: '{url}', sha256: {digits}}}"), ImageSource::Url { url, sha256 }),
    ] {
        assert_eq!(of(&keys), Ok(source), "{keys}");
    }
    for (keys, words) in [
        ("{}", "needs one of `build`, `bundle`, `catalog`, `file`, `store` and `url`"),
        ("{file: a, catalog: b}", "has two of"),
        ("{file: ''}", "it is empty"),
        ("{catalog: a/b/c}", "`a/b/c` is no image of a catalog"),
        ("{catalog: /b}", "is no image of a catalog"),
        ("{url: 'https://x.example/a'}", "say what it must be: `sha256: DIGITS`"),
        ("{url: 'https://x.example/a', sha256: ab}", "`ab` is no SHA-256"),
        ("{url: 'ftp://x.example/a', sha256: DIGITS}", "is no address of a file"),
        ("{url: 'https://x.example', sha256: DIGITS}", "is no address of a file"),
        ("{bundle: 'https://x.example/a'}", "say what it must be: `sha256: DIGITS`"),
        ("{bundle: a, sha256: DIGITS}", "only addresses go with `sha256`"),
        ("{file: a, sha256: DIGITS}", "only addresses go with `sha256`"),
    ] {
        let said = of(&keys.replace("DIGITS", &digits)).expect_err(keys);
        assert!(said.contains(words) && said.starts_with("kiln.yaml:4:"), "{keys}: {said}");
    }
}

#[test]
fn networks_and_pools_are_checked() {
    let network = |keys: &str| said(&format!("networks:\n  lan: {keys}\n"));
    assert!(network("{domain: x.lan}").contains("one of the keys `nat`"));
    assert!(network("{nat: 10.0.0.0/24, open: 10.1.0.0/24}").contains("one of the keys"));
    assert_eq!(
        network("{nat: 10.0.0.7/24}"),
        "kiln.yaml:4:8: `10.0.0.7/24` is an address in the network `10.0.0.0/24`"
    );
    assert!(network("{nat: 10.0.0.0/24, dhcp: [10.0.0.9]}").contains("`[FIRST, LAST]`"));
    assert!(network("{nat: 10.0.0.0/24, dhcp: [10.0.0.9, 10.0.0.5]}").contains("before its"));
    assert!(network("{nat: here}").starts_with("kiln.yaml:4:14: "), "{}", network("{nat: here}"));
    assert_eq!(
        said("networks:\n  a: {nat: 10.0.0.0/16}\n  b: {open: 10.0.3.0/24}\n"),
        "kiln.yaml:5:6: the addresses `10.0.3.0/24` overlap `10.0.0.0/16` of the network `a`"
    );
    let pool = |dir: &str| said(&format!("pools:\n  fast: {{dir: {dir}}}\n"));
    let secret = |keys: &str| said(&format!("secrets:\n  ceph: {keys}\n"));
    assert!(secret("{}").starts_with("kiln.yaml:4:"), "{}", secret("{}"));
    assert!(
        secret("{keyring: a, usr: b}").contains("`user`"),
        "{}",
        secret("{keyring: a, usr: b}")
    );
    let set = parse("kiln: 1\nname: a\nsecrets:\n  ceph: {keyring: a.keyring, user: b}\n").unwrap();
    assert_eq!(
        (
            set.secrets[0].name.as_str(),
            set.secrets[0].keyring.as_str(),
            set.secrets[0].user.as_deref()
        ),
        ("ceph", "a.keyring", Some("b"))
    );
    for dir in ["vms", "/srv/../etc", "\"/a\\nb\""] {
        assert!(pool(dir).contains("is no folder for a pool"), "{dir}: {}", pool(dir));
    }
    assert_eq!(
        said("pools:\n  fast: {}\n"),
        "kiln.yaml:4:9: a pool needs the key `dir`, `lvm`, `nfs` or `rbd`"
    );
    assert_eq!(
        said("pools:\n  a: {dir: /srv/x}\n  b: {dir: /srv/x/}\n"),
        "kiln.yaml:5:6: the pool `a` has the folder `/srv/x/`"
    );
}

#[test]
fn pools_of_ceph_are_checked() {
    let rbd = |rest: &str| said(&format!("pools:\n  c: {{rbd: {{pool: vms, {rest}}}}}\n"));
    let at = "kiln.yaml:4:12: ";
    assert_eq!(
        rbd("monitors: [], secret: a"),
        format!("{at}name the cluster's `monitors`, all of them")
    );
    assert_eq!(rbd("monitors: [a]"), format!("{at}say where the key is: `keyring` or `secret`"));
    assert_eq!(
        rbd("monitors: [a], secret: a, keyring: b"),
        format!("{at}a key is in a `keyring` or in a `secret`")
    );
    assert!(
        said("pools:\n  c: {rbd: {pool: a/b, monitors: [a], secret: s}}\n")
            .contains("no name of a Ceph pool")
    );
    assert!(
        said("pools:\n  c: {dir: /x, rbd: {pool: a, monitors: [a], secret: s}}\n")
            .contains("a pool has one of `dir`, `lvm`, `nfs` and `rbd`")
    );
    let text =
        "kiln: 1\nname: s\npools:\n  c: {rbd: {pool: vms, monitors: [a, \"b:1\"], keyring: k}}\n";
    let set = parse(text).unwrap();
    assert_eq!(set.pools[0].source.to_string(), "Ceph's vms at a, b:1");
}

#[test]
fn pools_of_nfs_are_checked() {
    let text = "kiln: 1\nname: s\npools:\n  far: {nfs: \"filer:/x/vms\", mount: /srv/far}\n";
    let set = parse(text).unwrap();
    assert_eq!(set.pools[0].source.to_string(), "filer:/x/vms at /srv/far");
    assert_eq!(set.pools[0].source.folder(), Some("/srv/far"));
    for (keys, place) in [
        ("{nfs: \"filer:/x\"}", "4:6: say where the host mounts it: `mount: FOLDER`"),
        ("{nfs: filer, mount: /a}", "4:12: `filer` is not HOST:FOLDER"),
        ("{nfs: \"filer:x\", mount: /a}", "4:12: `filer:x` is not HOST:FOLDER"),
        ("{nfs: \"filer:/x\", mount: a}", "4:31: `a` is no folder for a pool"),
        ("{dir: /x, mount: /a}", "4:23: only `nfs` goes with `mount`"),
        ("{dir: /x, nfs: \"h:/x\", mount: /a}", "4:6: a pool has one of"),
    ] {
        let said = said(&format!("pools:\n  p: {keys}\n"));
        assert!(said.starts_with(&format!("kiln.yaml:{place}")), "{keys}: {said}");
    }
    let folders = said("pools:\n  a: {dir: /srv/x}\n  b: {nfs: \"h:/x\", mount: /srv/x}\n");
    assert_eq!(folders, "kiln.yaml:5:6: the pool `a` has the folder `/srv/x`");
}

#[test]
fn images_are_found_in_the_file_first() {
    let images = "images:\n  web: {file: w.qcow2}\n";
    assert_eq!(
        said(&format!("{images}machines:\n  m: {{image: wbe}}\n")),
        "kiln.yaml:6:14: `images` has no `wbe`; did you mean `web`?"
    );
    assert!(
        parse(&format!("kiln: 1\nname: s\n{images}machines:\n  m: {{image: debian-12}}\n")).is_ok()
    );
    assert_eq!(
        said("images:\n  web: {}\n"),
        "kiln.yaml:4:8: the image `web` needs one of `build`, `bundle`, `catalog`, `file`, `store` and `url`"
    );
    assert!(
        said("images:\n  web: {file: a, store: b}\n")
            .contains("has two of `build`, `bundle`, `catalog`, `file`, `store` and `url`")
    );
    assert!(said("images:\n  web: {store: a/b}\n").contains("no name of an image"));
}

#[test]
fn entries_that_contradict_each_other_are_refused() {
    let lan = "networks:\n  lan: {nat: 10.0.0.0/24}\nmachines:\n";
    let of = |machines: &str| said(&format!("{lan}{machines}"));
    let web = "  web: {image: web, count: 2, networks: [{name: lan, ip: 10.0.0.9}]}\n";
    assert_eq!(
        of(&format!("{web}  web-2: {{image: web}}\n")),
        "kiln.yaml:7:10: the machine `web-2` is there twice"
    );
    assert_eq!(
        of(&format!("  db: {{image: web, networks: [{{name: lan, ip: 10.0.0.10}}]}}\n{web}")),
        "kiln.yaml:7:8: the address 10.0.0.10 of `web-2` is another machine's, too"
    );
    assert!(
        of("  a: {image: w, networks: [{name: lan, ip: 10.0.1.9}]}\n")
            .contains("no address for a machine")
    );
    assert!(
        of("  a: {image: w, networks: [{name: lan, ip: 10.0.0.1}]}\n").contains("the host's own")
    );
    assert!(
        of("  a: {image: w, count: 9, networks: [{name: lan, ip: 10.0.0.250}]}\n")
            .contains("`a-6` cannot have 10.0.0.255")
    );
    assert_eq!(
        of(
            "  a: {image: w, count: 2, forwards: [\"80:80\"]}\n  b: {image: w, forwards: [\"81:80\"]}\n"
        ),
        "kiln.yaml:7:6: the host's port 81/tcp of `b` is another forward's, too"
    );
    assert!(
        of("  a: {image: w, count: 2, networks: [{name: lan, mac: \"52:54:00:00:00:01\"}]}\n")
            .contains("several machines cannot")
    );
    let long = "a".repeat(62);
    assert!(of(&format!("  {long}: {{image: w, count: 2}}\n")).contains("64 characters"));
}
