// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The difference, of sets and hosts that are values.

use kiln_libvirt::domain::DomainXml;
use kiln_libvirt::keyring::{self, Key};
use kiln_libvirt::network::{NetworkView, element};
use kiln_libvirt::xml::Element;
use kiln_spec::Bytes;
use kiln_spec::set::{ImageSource, Set};
use uuid::Uuid;

use super::action::{Action, Allowed};
use super::compare::{all_of, compare};
use super::found::{Found, HostDisk, HostMachine, HostNetwork, HostPool, HostSecret};
use super::{
    Entry, Getting, ImageFacts, Wanted, WantedSecret, new_pool_uuid, new_secret_uuid, owned_pool,
    owned_secret,
};
use crate::machine::meta::{Meta, Owner, Reservation, VolumeRef};

const FILE: &str = "\
kiln: 1
name: shop
networks:
  lan: {nat: 10.9.0.0/24, domain: shop.lan}
pools:
  fast: {dir: /srv/vms}
machines:
  web:
    count: 2
    image: debian
    cpus: 2
    disk: 20GiB
    pool: fast
    networks: [{name: lan, ip: 10.9.0.10}]
    forwards: [\"2201:22\"]
    tags: [front]
";

fn owner(set: &str) -> Owner {
    let text = String::new;
    Owner { set: set.into(), entry: "web".into(), login: text(), user_data: text(), told: text() }
}

fn wanted(text: &str) -> Wanted {
    let set = Set::parse(text, "kiln.yaml").unwrap();
    let entries = set.machines.iter().map(|spec| {
        assert_eq!(spec.image, ImageSource::Known("debian".into()));
        let image = ImageFacts {
            name: "debian".into(),
            digest: "sha256:ab".into(),
            template: None,
            size: Bytes::from_gib(2),
            least_memory: Bytes::from_mib(512),
            missing: None,
        };
        Entry { spec: spec.clone(), image, owner: owner("shop") }
    });
    Wanted {
        name: set.name.to_string(),
        entries: entries.collect(),
        networks: set.networks,
        secrets: Vec::new(),
        pools: set.pools,
    }
}

/// Returns a machine that runs as [`FILE`] wants it.
fn machine(number: u8) -> HostMachine {
    let mac = format!("52:54:00:00:00:0{number}");
    let volume = |suffix: &str| VolumeRef { pool: "fast".into(), name: format!("web{suffix}") };
    let meta = Meta {
        digest: "sha256:ab".into(),
        origin: None,
        owner: Some(owner("shop")),
        disk: volume(".qcow2"),
        reservations: vec![Reservation {
            network: "lan".into(),
            mac: mac.clone(),
            ip: format!("10.9.0.{}", 9 + number),
            name: format!("web-{number}"),
        }],
        addresses: Vec::new(),
        tags: vec!["front".into()],
        ssh_port: None,
        forwards: vec![super::super::meta::Forward::new(
            format!("{}:22", 2200 + u16::from(number)).parse().unwrap(),
            None,
        )],
        dns: None,
        ..crate::machine::meta::tests::sample()
    };
    let xml = format!(
        "<domain><memory unit='KiB'>1048576</memory><vcpu>2</vcpu><os/><devices>\
         <interface type='network'><mac address='{mac}'/><source network='lan'/></interface>\
         </devices></domain>"
    );
    let xml = DomainXml(Element::parse(&xml).unwrap());
    HostMachine {
        meta: Some(meta),
        live: Some(xml.clone()),
        xml,
        disk: HostDisk::Is(Bytes::from_gib(20)),
        autostart: false,
    }
}

/// Returns a host that is as [`FILE`] wants it.
fn whole() -> Found {
    let set = wanted(FILE);
    let view =
        element(&set.networks[0], Uuid::nil(), &crate::machine::networks::mark(Some("shop")));
    let view = NetworkView(Element::parse(&view.to_string()).unwrap());
    let owner = crate::machine::networks::owner(&view);
    let mut found = Found { usual: "default".into(), ..Found::default() };
    found.networks.insert("lan".into(), HostNetwork { owner, active: true, view });
    let folder = Some("/srv/vms/".into());
    let pool = HostPool { owned: true, active: true, folder, nfs: None, group: None, rbd: None };
    found.pools.insert("fast".into(), pool);
    found.machines.insert("web-1".into(), machine(1));
    found.machines.insert("web-2".into(), machine(2));
    found
}

fn lines(actions: &[Action]) -> Vec<String> {
    actions.iter().map(|action| action.line(Allowed::default())).collect()
}

fn difference(text: &str, found: &Found) -> Vec<String> {
    lines(&compare(&wanted(text), found).unwrap())
}

fn refused(text: &str, found: &Found) -> String {
    compare(&wanted(text), found).unwrap_err().to_string()
}

#[test]
fn what_is_as_it_is_wanted_needs_nothing() {
    assert_eq!(difference(FILE, &whole()), Vec::<String>::new());
}

#[test]
fn who_is_started_with_the_host_is_changed_where_the_file_says_it() {
    let mut found = whole();
    found.machines.get_mut("web-1").unwrap().autostart = true;
    assert_eq!(difference(FILE, &found), Vec::<String>::new());
    let with = |wish: bool| {
        FILE.replace("    cpus: 2\n", &format!("    cpus: 2\n    autostart: {wish}\n"))
    };
    let on = "~ machine web-2: have the host start it with itself";
    assert_eq!(difference(&with(true), &found), [on]);
    let off = "~ machine web-1: not started with the host any more";
    assert_eq!(difference(&with(false), &found), [off]);
}

#[test]
fn a_pool_of_another_server_is_told() {
    let mut found = whole();
    let file = |pool: &str| FILE.replace("{dir: /srv/vms}", pool);
    let nfs = file("{nfs: \"filer:/x\", mount: /srv/vms}");
    assert_eq!(
        difference(&nfs, &found),
        ["! pool fast: it is of another kind (not changed: `kiln down` first, or change the file)"]
    );
    found.pools.get_mut("fast").unwrap().nfs = "filer:/x".parse().ok();
    assert_eq!(difference(&nfs, &found), Vec::<String>::new());
    assert!(difference(FILE, &found)[0].contains("it is of another kind"));
    let other = file("{nfs: \"filer:/y\", mount: /srv/other}");
    let said = &difference(&other, &found)[0];
    assert!(said.contains("it is of filer:/x and not filer:/y; its folder is /srv/vms/"), "{said}");
}

#[test]
fn a_host_that_has_nothing_gets_all() {
    assert_eq!(
        difference(FILE, &Found::default()),
        [
            "+ network lan: nat 10.9.0.0/24, DHCP 10.9.0.2-10.9.0.254, domain shop.lan",
            "+ pool fast: /srv/vms",
            "+ machine web-1: image debian, 2 cpus, 1 GiB, disk 20 GiB, lan,ip=10.9.0.10, 2201/tcp to 22",
            "+ machine web-2: image debian, 2 cpus, 1 GiB, disk 20 GiB, lan,ip=10.9.0.11, 2202/tcp to 22",
        ]
    );
}

#[test]
fn changes_are_told_from_what_to_what() {
    let text = FILE
        .replace("count: 2", "count: 1")
        .replace("cpus: 2", "cpus: 3\n    memory: 2GiB")
        .replace("20GiB", "30GiB")
        .replace("2201:22", "2301:22")
        .replace("[front]", "[]");
    assert_eq!(
        difference(&text, &whole()),
        [
            "~ machine web-1: cpus 2 -> 3",
            "~ machine web-1: memory 1 GiB -> 2 GiB",
            "~ machine web-1: disk 20 GiB -> 30 GiB",
            "~ machine web-1: no tags",
            "~ machine web-1: take the forward of 2201/tcp to port 22",
            "~ machine web-1: forward 2301/tcp to port 22",
            "~ machine web-1: restart it, for its processors and its memory (with --restart)",
            "- machine web-2: remove it (with --prune)",
        ]
    );
}

#[test]
fn a_name_in_dns_is_put_there_and_taken_back() {
    let dns =
        |server: &str, text: &str| text.replace("tags:", &format!("dns: {server}\n    tags:"));
    let (lab, text) = (dns("lab", FILE), FILE.replace("count: 2", "count: 1"));
    let new = difference(&lab, &Found::default());
    assert!(new[2].ends_with(", 2201/tcp to 22, name in the DNS server lab"), "{new:?}");
    let mut found = whole();
    found.machines.remove("web-2");
    let put = "~ machine web-1: put its name into the DNS server lab";
    assert_eq!(difference(&dns("lab", &text), &found), [put]);
    // The server was not there when the machine was made.
    let sample = crate::machine::meta::tests::sample().dns.unwrap();
    let set = |found: &mut Found, records| {
        let meta = found.machines.get_mut("web-1").unwrap().meta.as_mut().unwrap();
        meta.dns = Some(crate::machine::dns::Dns { server: "lab".into(), records });
    };
    set(&mut found, Vec::new());
    assert_eq!(difference(&dns("lab", &text), &found), [put]);
    set(&mut found, sample.records);
    assert_eq!(difference(&dns("lab", &text), &found), Vec::<String>::new());
    let take = "~ machine web-1: take its name from the DNS server lab";
    assert_eq!(difference(&text, &found), [take]);
    let other = [take, "~ machine web-1: put its name into the DNS server other"];
    assert_eq!(difference(&dns("other", &text), &found), other);
}

#[test]
fn what_was_changed_but_not_restarted_is_still_seen() {
    let mut found = whole();
    let one = found.machines.get_mut("web-1").unwrap();
    one.live.as_mut().unwrap().set_vcpus(&1);
    let of = difference(FILE, &found);
    assert_eq!(of, ["~ machine web-1: restart it, for its processors (with --restart)"]);
    found.machines.get_mut("web-1").unwrap().live = None;
    assert_eq!(difference(FILE, &found), ["~ machine web-1: start it"]);
}

#[test]
fn what_a_guest_gives_back_needs_no_restart() {
    let text =
        FILE.replace("count: 2", "count: 1").replace("cpus: 2", "cpus: 1\n    memory: 512MiB");
    let mut found = whole();
    found.machines.remove("web-2");
    assert_eq!(
        difference(&text, &found),
        ["~ machine web-1: cpus 2 -> 1", "~ machine web-1: memory 1 GiB -> 512 MiB"]
    );
    // As it is then, if the guest gave back its memory and kept its processors.
    let one = found.machines.get_mut("web-1").unwrap();
    one.xml = DomainXml(
        Element::parse(
            &one.xml.0.to_string().replace("1048576", "524288").replace("<vcpu>2", "<vcpu>1"),
        )
        .unwrap(),
    );
    let live = one.live.as_mut().unwrap();
    live.0.push(Element::new("currentMemory").attr("unit", "KiB").text(524_288));
    let restart = ["~ machine web-1: restart it, for its processors (with --restart)"];
    assert_eq!(difference(&text, &found), restart);
}

#[test]
fn what_machines_of_the_file_are_on_is_not_taken() {
    let text =
        FILE.replace("  lan: {nat: 10.9.0.0/24, domain: shop.lan}", "  wan: {nat: 10.8.0.0/24}");
    assert_eq!(
        refused(&text, &whole()),
        "`web` uses the network `lan`, which the file has no more"
    );
    let text = FILE.replace("  fast: {dir: /srv/vms}", "  slow: {dir: /srv/slow}");
    assert_eq!(refused(&text, &whole()), "`web` uses the pool `fast`, which the file has no more");
}

#[test]
fn what_a_guest_was_told_of_its_networks_is_compared() {
    let mut found = whole();
    let one = found.machines.get_mut("web-1").unwrap();
    one.meta.as_mut().unwrap().owner.as_mut().unwrap().told = "0123".into();
    assert_eq!(
        difference(FILE, &found),
        ["~ machine web-1: make it anew: its guest was told of other networks, gateways or name \
          servers (with --rebuild, which removes its disk)"]
    );
}

#[test]
fn images_that_are_not_in_the_store_are_got_for_those_who_need_them() {
    let mut set = wanted(FILE);
    let image = &mut set.entries[0].image;
    (image.digest, image.size) = (String::new(), Bytes(0));
    image.missing = Some(Getting::Build("debian.yaml".into()));
    let mut found = whole();
    let all = |set: &Wanted, found: &Found| lines(&compare(set, found).unwrap());
    assert_eq!(
        all(&set, &found),
        [
            "+ image debian: build it of debian.yaml (with --rebuild)",
            "~ machine web-1: make it anew: its image `debian` is not in the store yet (with --rebuild, which \
             removes its disk)",
            "~ machine web-2: make it anew: its image `debian` is not in the store yet (with --rebuild, which \
             removes its disk)",
        ]
    );
    found.machines.remove("web-2");
    assert_eq!(all(&set, &found)[0], "+ image debian: build it of debian.yaml");
    let mut of = |how| {
        set.entries[0].image.missing = Some(how);
        lines(&compare(&set, &found).unwrap()).swap_remove(0)
    };
    assert_eq!(
        of(Getting::Pull("ours/debian".into())),
        "+ image debian: pull ours/debian of a catalog"
    );
    let sha256 = format!("sha256:{}", "ab".repeat(32)).parse().unwrap();
    let url = "https://x.example/debian.qcow2".to_owned();
    assert_eq!(
        of(Getting::Fetch(url, sha256)),
        "+ image debian: fetch it from https://x.example/debian.qcow2"
    );
}

#[test]
fn a_full_copy_hangs_on_nothing_and_a_flattened_machine_is_left() {
    let (mut set, mut found) = (wanted(FILE), whole());
    let template = VolumeRef { pool: "fast".into(), name: "kiln-debian-ab.qcow2".into() };
    let of = |found: &mut Found, template: Option<&VolumeRef>| {
        found.machines.values_mut().filter_map(|machine| machine.meta.as_mut()).for_each(|meta| {
            meta.template = template.cloned();
            meta.image = "debian".into();
        });
    };
    of(&mut found, Some(&template));
    assert_eq!(compare(&set, &found).unwrap(), []);
    set.entries[0].spec.full = true;
    let all = lines(&compare(&set, &found).unwrap());
    let why = "make it anew: its disk hangs on a template (with --rebuild, which removes its disk)";
    assert_eq!(all, [format!("~ machine web-1: {why}"), format!("~ machine web-2: {why}")]);
    of(&mut found, None);
    assert_eq!(compare(&set, &found).unwrap(), []);
    set.entries[0].spec.full = false;
    assert_eq!(compare(&set, &found).unwrap(), []);
    // Of a template that was named the name is all that is known then.
    set.entries[0].image.template = Some(template);
    assert_eq!(compare(&set, &found).unwrap(), []);
    set.entries[0].image.name = "debian:2".into();
    assert_eq!(compare(&set, &found).unwrap().len(), 2);
}

#[test]
fn what_cannot_be_changed_is_made_anew_only_if_allowed() {
    let mut found = whole();
    let one = found.machines.get_mut("web-1").unwrap();
    one.meta.as_mut().unwrap().digest = "sha256:cd".into();
    one.disk = HostDisk::Is(Bytes::from_gib(40));
    one.meta.as_mut().unwrap().owner.as_mut().unwrap().login = "other".into();
    let two = found.machines.get_mut("web-2").unwrap();
    two.meta.as_mut().unwrap().reservations.clear();
    two.disk = HostDisk::Gone;
    let actions = compare(&wanted(FILE), &found).unwrap();
    assert_eq!(
        lines(&actions),
        [
            "~ machine web-1: make it anew: its image is another `debian`; its disk of 40 GiB cannot shrink; \
             its login is another (with --rebuild, which removes its disk)",
            "~ machine web-2: make it anew: its disk is gone; its interfaces are others (with --rebuild, which \
             removes its disk)",
        ]
    );
    let none = Allowed::default();
    let rebuild = Allowed { rebuild: true, ..none };
    assert!(actions.iter().all(|one| !one.is_allowed(none) && one.is_allowed(rebuild)));
}

#[test]
fn secrets_are_made_given_another_key_and_taken() {
    let key = |byte| Key::from_bytes(vec![byte; 28]);
    let entry = |user: &str, byte| keyring::Entry { user: user.into(), key: key(byte) };
    let secret = |byte| WantedSecret { name: "sea".into(), entry: entry("libvirt", byte) };
    let (mut set, mut found) = (wanted(FILE), whole());
    let all = |set: &Wanted, found: &Found| compare(set, found).map(|all| lines(&all));
    set.secrets.push(secret(1));
    assert_eq!(all(&set, &found).unwrap(), ["+ secret sea: the key of client.libvirt"]);
    let there = HostSecret { owned: true, user: Some("libvirt".into()), key: Some(key(1)) };
    found.secrets.insert("sea".into(), there.clone());
    assert_eq!(all(&set, &found).unwrap(), [""; 0]);
    // Its making was cut short, or it was given another key.
    for key in [None, Some(key(2))] {
        found.secrets.insert("sea".into(), HostSecret { key, ..there.clone() });
        assert_eq!(all(&set, &found).unwrap(), ["~ secret sea: give it another key"]);
    }
    found.secrets.insert("sea".into(), HostSecret { user: Some("admin".into()), ..there.clone() });
    assert_eq!(
        all(&set, &found).unwrap(),
        [
            "! secret sea: it is of client.admin and not client.libvirt (not changed: `kiln down` first, \
          or change the file)"
        ]
    );
    found.secrets.insert("sea".into(), HostSecret { owned: false, ..there.clone() });
    assert!(
        all(&set, &found).unwrap_err().to_string().contains("already, which `shop` did not make")
    );
    found.secrets.insert("sea".into(), there);
    set.secrets.clear();
    assert_eq!(all(&set, &found).unwrap(), ["- secret sea: remove it (with --prune)"]);
    let rbd =
        "kiln: 1\nname: shop\npools:\n  fast: {rbd: {pool: vms, monitors: [a], secret: sea}}\n";
    set.pools = Set::parse(rbd, "kiln.yaml").unwrap().pools;
    let error = all(&set, &found).unwrap_err().to_string();
    assert!(error.contains("the pool `fast` uses the secret `sea`"), "{error}");
    // What tells whose a secret is cannot be taken for a pool's.
    let uuid = new_secret_uuid("shop", "sea");
    assert!(owned_secret(uuid, "shop", "sea") && !owned_secret(uuid, "other", "sea"));
    assert_eq!(owned_pool(uuid, "shop", "sea"), None);
    assert!(!owned_secret(new_pool_uuid("shop", "sea", true), "shop", "sea"));
}

#[test]
fn networks_and_pools_that_differ_are_told_and_left() {
    let text = FILE.replace("10.9.0.0/24, domain: shop.lan", "10.8.0.0/24, dhcp: []");
    let text = text.replace("/srv/vms", "/srv/other").replace("10.9.0.10", "10.8.0.10");
    let mut found = whole();
    found.pools.get_mut("fast").unwrap().active = false;
    let all = difference(&text, &found);
    assert_eq!(
        all[..3],
        [
            "! network lan: its subnet is 10.9.0.0/24 and not 10.8.0.0/24; its range of DHCP is \
             10.9.0.2-10.9.0.254 and not none; its domain is shop.lan and not none \
             (not changed: `kiln down` first, or change the file)",
            "! pool fast: its folder is /srv/vms/ and not /srv/other (not changed: `kiln down` first, \
             or change the file)",
            "~ pool fast: start it",
        ]
    );
}

#[test]
fn what_others_made_is_never_taken() {
    let mut found = whole();
    found.machines.get_mut("web-2").unwrap().meta = None;
    assert_eq!(
        refused(FILE, &found),
        "the host has a machine `web-2` already, which `shop` did not make"
    );
    let mut found = whole();
    found.machines.get_mut("web-1").unwrap().meta.as_mut().unwrap().owner = Some(owner("other"));
    assert!(refused(FILE, &found).contains("of the set `other` already"));
    let mut found = whole();
    found.networks.get_mut("lan").unwrap().owner = None;
    assert!(refused(FILE, &found).contains("a network `lan` already"));
    let mut found = whole();
    found.pools.get_mut("fast").unwrap().owned = false;
    assert!(refused(FILE, &found).contains("a pool `fast` already"));
    // And none of it is taken away.
    found.machines.get_mut("web-1").unwrap().meta = None;
    assert_eq!(
        lines(&all_of("shop", &found)),
        ["- machine web-2: remove it (with --prune)", "- network lan: remove it (with --prune)"]
    );
    assert_eq!(all_of("other", &found), []);
}

#[test]
fn what_is_nowhere_is_refused_before_anything_is_made() {
    let text = FILE.replace("pool: fast", "pool: slow");
    assert!(refused(&text, &whole()).starts_with("`web` needs the pool `slow`"));
    let text = FILE.replace("name: lan,", "name: wan,");
    assert!(refused(&text, &whole()).starts_with("`web` needs the network `wan`"));
    let text = FILE.replace("cpus: 2", "memory: 256MiB");
    assert_eq!(
        refused(&text, &whole()),
        "`web` is to have 256 MiB of memory, and its image `debian` needs 512 MiB"
    );
    let text = FILE.replace("20GiB", "1GiB");
    assert!(
        refused(&text, &whole()).contains("is to have 1 GiB, and its image `debian` has 2 GiB")
    );
}

#[test]
fn the_uuid_of_a_pool_says_whose_it_is() {
    for made in [true, false] {
        let uuid = new_pool_uuid("shop", "fast", made);
        assert_eq!(owned_pool(uuid, "shop", "fast"), Some(made));
        assert_eq!(owned_pool(uuid, "shop2", "fast"), None);
        assert_eq!(owned_pool(uuid, "shop", "slow"), None);
        // Each making has its own: what is undone of one is nobody else's.
        assert_ne!(uuid, new_pool_uuid("shop", "fast", made));
    }
    assert_eq!(owned_pool(Uuid::new_v4(), "shop", "fast"), None);
}
