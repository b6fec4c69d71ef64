// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Networks of the host. No guest boots here.

use std::time::Instant;

use kiln_testkit::run;
use libtest_mimic::Trial;
use serde_json::json;

use crate::lab::{Lab, cut_short, kills, ours, parsed, spawn, trial, virsh};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("e2e::networks::a_network_lives_its_whole_life", whole_life),
        trial("e2e::networks::what_cannot_be_a_network_is_refused", refused),
        trial("e2e::networks::two_at_once_get_addresses_of_their_own", at_once),
        trial("e2e::networks::a_create_killed_at_any_moment_leaves_nothing", killed),
    ]
}

/// Removes the networks of an earlier run that was killed.
pub(crate) fn remove_all() {
    for name in names() {
        drop(virsh(&["net-destroy", &name]));
        drop(virsh(&["net-undefine", &name]));
    }
}

fn names() -> Vec<String> {
    ours("net-list")
}

fn whole_life(lab: &Lab) {
    let lab = &lab.with_home("networks");
    let name = "kt-net-life";
    let create = [
        "network",
        "create",
        name,
        "--subnet",
        "10.77.1.0/24",
        "--dhcp",
        "10.77.1.100-10.77.1.199",
        "--subnet6",
        "fd77:1::/64",
        "--domain",
        "life.test",
        "--dns-host",
        "db.life.test=10.77.1.5",
    ];
    let would = lab.kiln(&[&create[..], &["--dry-run"]].concat()).success();
    assert!(would.stdout.contains("<network>"), "{}", would.stdout);
    assert!(!names().contains(&name.to_owned()));
    let made = parsed(lab.kiln(&[&create[..], &["--json"]].concat()));
    assert_eq!((&made["active"], &made["mode"]), (&json!(true), &json!("nat")), "{made}");
    assert_eq!(made["subnets"][0]["host"], "10.77.1.1");
    assert_eq!(made["subnets"][0]["dhcp"]["first"], "10.77.1.100");
    assert_eq!(made["subnets"][1]["net"], "fd77:1::/64");
    // libvirt's own view, and the kernel's.
    assert!(virsh(&["net-info", name]).success().stdout.contains("Autostart:      yes"));
    let bridge = made["bridge"].as_str().expect("a bridge");
    let shown = run(&["ip", "-br", "addr", "show", bridge]).success().stdout;
    assert!(shown.contains("10.77.1.1/24") && shown.contains("fd77:1::1/64"), "{shown}");
    let info = lab.kiln(&["network", "info", name]).success().stdout;
    assert!(info.contains("db.life.test is 10.77.1.5"), "{info}");
    let list = lab.kiln(&["network", "list"]).success().stdout;
    assert!(list.lines().any(|l| l.starts_with(name) && l.contains("10.77.1.0/24")), "{list}");

    // A machine on it: neither stopped nor removed under it.
    let image = crate::faults::phony(lab);
    let machine = "kt-net-guest";
    let fixed = "kt-net-life,static=10.77.1.60/24,gateway=10.77.1.1,mac=52:54:00:77:01:60";
    let more = ["--network", name, "--network", fixed, "--ip", "10.77.1.50", "--no-wait"];
    drop(lab.launch(&image, machine, &more).success());
    let its = parsed(lab.kiln(&["info", machine, "--json"]));
    assert_eq!(its["addresses"], json!(["10.77.1.50", "10.77.1.60"]), "{its}");
    assert_eq!(its["interfaces"][1]["mac"], "52:54:00:77:01:60", "{its}");
    addresses_that_others_have(lab, &image);
    let info = parsed(lab.kiln(&["network", "info", name, "--json"]));
    assert_eq!(info["machines"], json!([{ "name": machine, "running": true }]), "{info}");
    assert_eq!(info["reservations"][0]["address"], "10.77.1.50", "{info}");
    for verb in ["stop", "rm"] {
        let out = lab.kiln(&["network", verb, name]);
        assert!(out.code == 4 && out.stderr.contains(&format!("`{machine}`")), "{}", out.stderr);
    }
    drop(lab.kiln(&["rm", machine]).success());
    drop(lab.kiln(&["network", "stop", name]).success());
    let again = lab.kiln(&["network", "stop", name]).success();
    assert_eq!(again.stderr, format!("network `{name}` is down already\n"));
    drop(lab.kiln(&["network", "start", name]).success());
    let removed = lab.kiln(&["network", "rm", name]).success();
    assert_eq!(removed.stderr, format!("removed the network `{name}`\n"));
    assert!(!names().contains(&name.to_owned()) && lab.journals() == 0);
    // Another network may have its bridge's name by now.
    assert!(!run(&["ip", "-br", "addr", "show", bridge]).stdout.contains("10.77.1.1"));
}

/// Each bad interface on the network `kt-net-life`: what is asked, the exit code, and words of the
/// message.
fn addresses_that_others_have(lab: &Lab, image: &str) {
    let table: &[(&[&str], i32, &str)] = &[
        (&["kt-net-life,static=10.77.1.60/24"], 4, "is that of `kt-net-guest`"),
        (&["kt-net-life,static=10.77.1.50/24"], 4, "is reserved for `kt-net-guest`"),
        (&["kt-net-life,static=10.77.1.1/24"], 4, "is the host's own"),
        (&["kt-net-life,static=10.77.1.150/24"], 2, "gives away"),
        (&["kt-net-life,static=10.99.0.5/24"], 2, "10.99.0.5 is no address of network"),
        (&["kt-net-life,ip=10.77.1.50"], 4, "is reserved for `kt-net-guest`"),
        (&["kt-net-life,mac=52:54:00:77:01:60"], 4, "`kt-net-guest` has the hardware address"),
        (&["kt-net-life,ip=10.77.1.61", "kt-net-life,ip=10.77.1.61"], 2, "asked for twice"),
        (&["kt-net-life,gatway=10.77.1.1"], 2, "did you mean `gateway=`?"),
        (&["kt-net-lif,static=10.77.1.62/24"], 4, "the host has no network `kt-net-lif`"),
        (&["user", "user"], 2, "once only"),
    ];
    for (networks, code, words) in table {
        let asked: Vec<&str> = networks.iter().flat_map(|spec| ["--network", *spec]).collect();
        let out = lab.launch(image, "kt-net-bad", &[&asked[..], &["--no-wait"]].concat());
        assert_eq!(out.code, *code, "{networks:?}: {}", out.stderr);
        assert!(out.stderr.contains(words), "{networks:?}: {}", out.stderr);
    }
    assert!(!lab.domains().contains(&"kt-net-bad".to_owned()));
}

/// Each bad network: what is asked, the exit code, and words of the message.
fn refused(lab: &Lab) {
    let lab = &lab.with_home("networks-refused");
    let own = || virsh(&["net-uuid", "default"]).success().stdout;
    let before = own();
    let table: &[(&[&str], i32, &str)] = &[
        (&["a/b"], 2, "`a/b` is no name of a network"),
        (&["kt-bad", "--subnet", "10.0.0.5/24"], 2, "is an address in the network `10.0.0.0/24`"),
        (&["kt-bad", "--subnet", "lan"], 2, "`lan` is no network of IPv4"),
        (&["kt-bad", "--subnet", "192.168.122.0/25"], 4, "of network `default`"),
        (&["kt-bad", "--subnet", "10.77.2.0/24", "--dhcp", "10.9.0.1-10.9.0.2"], 2, "outside"),
        (&["kt-bad", "--subnet6", "fd00::/48", "--subnet", "none"], 2, "64 bits"),
        (&["kt-bad", "--bridge", "br0", "--subnet", "10.77.2.0/24"], 2, "no addresses of its own"),
        (&["kt-bad", "--subnet", "none"], 2, "needs addresses"),
        (&["default", "--subnet", "10.77.2.0/24"], 4, "the host has a network `default` already"),
        (&["kt-bad", "--bridge", "no-such-br0"], 4, "the host has no bridge `no-such-br0`"),
        (&["kt-bad", "--macvtap", "no-such0"], 4, "the host has no interface `no-such0`"),
    ];
    for (args, code, words) in table {
        let out = lab.kiln(&[&["network", "create"], *args].concat());
        assert_eq!(out.code, *code, "{args:?}: {}", out.stderr);
        assert!(out.stderr.contains(words), "{args:?}: {}", out.stderr);
    }
    let out = lab.kiln(&["network", "rm", "default"]);
    assert!(out.code == 4 && out.stderr.contains("kiln did not make"), "{}", out.stderr);
    let out = lab.kiln(&["network", "info", "defualt"]);
    assert!(out.code == 4 && out.stderr.contains("`default`"), "{}", out.stderr);
    assert!(!names().contains(&"kt-bad".to_owned()));
    assert_eq!(own(), before);
    assert_eq!(lab.journals(), 0);
}

fn at_once(lab: &Lab) {
    let all = ["kt-net-1", "kt-net-2", "kt-net-3"];
    let makers = all.map(|name| spawn(lab, &["network", "create", name, "--mode", "isolated"]));
    for maker in makers {
        let out = maker.wait_with_output().expect("it ends");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
    let mut nets: Vec<String> = all
        .map(|name| {
            let info = parsed(lab.kiln(&["network", "info", name, "--json"]));
            info["subnets"][0]["net"].as_str().expect("a subnet").to_owned()
        })
        .to_vec();
    nets.sort();
    nets.dedup();
    assert_eq!(nets.len(), 3, "{nets:?}");
    drop(lab.kiln(&[&["network", "rm"], &all[..]].concat()).success());
}

/// Kills a create at moments spread over its whole length, and lets the next command tidy.
fn killed(lab: &Lab) {
    let lab = &lab.with_home("networks-killed");
    let name = "kt-net-killed";
    let args = ["network", "create", name, "--subnet", "10.77.3.0/24"];
    let began = Instant::now();
    drop(lab.kiln(&args).success());
    let whole = began.elapsed();
    drop(lab.kiln(&["network", "rm", name]).success());
    let (kills, mut cut, mut n) = (kills(5), 0, 0_u32);
    // What else the machine does changes how long a create takes: so until enough were cut short.
    while cut < kills && n < 10 * kills {
        n += 1;
        cut += u32::from(cut_short(lab, &args, whole, n));
        let list = parsed(lab.kiln(&["network", "list", "--json"]));
        let ours =
            list["networks"].as_array().expect("networks").iter().find(|n| n["name"] == name);
        assert_eq!(lab.journals(), 0, "after kill {n}: nothing is left to undo");
        if let Some(network) = ours {
            assert_eq!(network["active"], true, "after kill {n}");
            drop(lab.kiln(&["network", "rm", name]).success());
        }
        assert!(!names().contains(&name.to_owned()), "after kill {n}");
    }
    assert_eq!(cut, kills, "of {n}");
}
