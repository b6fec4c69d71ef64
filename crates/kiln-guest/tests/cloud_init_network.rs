// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Network configurations as cloud-init itself reads them.

#![expect(clippy::unwrap_used, reason = "a test fails by panic")]

use std::path::{Path, PathBuf};

use kiln_guest::seed::{NetworkVersion, check_network_config, network_config, network_data};
use kiln_spec::Datasource;
use kiln_spec::interface::{Addressing, InterfaceSpec};
use kiln_spec::mac::Mac;
use kiln_testkit::{need_program, run};

/// What each of cloud-init's writers makes of an interface of DHCP and one of static addresses:
/// the writer, the distribution, the file, and lines that are to be in it.
const WRITTEN: &[(&str, &str, &str, &[&str])] = &[
    (
        "networkd",
        "debian",
        "etc/systemd/network/10-cloud-init-eth1.network",
        &[
            "Name=eth1",
            "MACAddress=52:54:00:00:00:01",
            "Address=10.0.0.5/24",
            "Address=fd00::5/64",
            "Gateway=10.0.0.1",
            "Gateway=fd00::1",
            "DNS=10.0.0.1",
        ],
    ),
    ("networkd", "debian", "etc/systemd/network/10-cloud-init-eth0.network", &["DHCP=ipv4"]),
    (
        "eni",
        "debian",
        "etc/network/interfaces.d/50-cloud-init",
        &[
            "iface eth0 inet dhcp",
            "iface eth1 inet static",
            "    address 10.0.0.5/24",
            "    gateway 10.0.0.1",
            "iface eth1 inet6 static",
            "    address fd00::5/64",
            "    gateway fd00::1",
        ],
    ),
    (
        "sysconfig",
        "centos",
        "etc/sysconfig/network-scripts/ifcfg-eth1",
        &[
            "HWADDR=52:54:00:00:00:01",
            "IPADDR=10.0.0.5",
            "GATEWAY=10.0.0.1",
            "IPV6ADDR=fd00::5/64",
            "IPV6_DEFAULTGW=fd00::1",
        ],
    ),
    (
        "network-manager",
        "debian",
        "etc/NetworkManager/system-connections/cloud-init-eth1.nmconnection",
        &["mac-address=52:54:00:00:00:01", "address1=10.0.0.5/24", "gateway=10.0.0.1"],
    ),
    ("netplan", "ubuntu", "etc/netplan/50-cloud-init.yaml", &["            set-name: eth1"]),
];

/// OpenStack says a gateway as a route, which some write otherwise.
const OF_ROUTES: &[(&str, &str, &str)] = &[
    ("eni", "    gateway 10.0.0.1", "    post-up route add default gw 10.0.0.1 || true"),
    ("eni", "    gateway fd00::1", "    post-up route add -A inet6 default gw fd00::1 || true"),
    ("network-manager", "gateway=10.0.0.1", "route1=0.0.0.0/0,10.0.0.1"),
];

#[test]
fn every_writer_of_cloud_init_understands_both_formats_of_interfaces() {
    if !need_program("cloud-init") {
        return;
    }
    let specs = [
        "lan",
        "db,static=10.0.0.5/24,static=fd00::5/64,gateway=10.0.0.1,gateway=fd00::1,dns=10.0.0.1",
    ]
    .map(|text| text.parse::<InterfaceSpec>().unwrap());
    let all: Vec<(Mac, &Addressing)> =
        (0_u8..).map(|n| Mac::qemu([0, 0, n])).zip(specs.iter().map(|s| &s.addressing)).collect();
    let formats = [
        ("yaml", network_config(&all, NetworkVersion::V1)),
        ("yaml", network_config(&all, NetworkVersion::V2)),
        ("network_data.json", network_data(&all)),
    ];
    for (kind, text) in formats {
        let folder = tempfile::tempdir().unwrap();
        for (writer, system, file, lines) in WRITTEN {
            let to = written(folder.path(), (kind, &text), (writer, system)).unwrap();
            let text = std::fs::read_to_string(to.join(file)).unwrap();
            for line in *lines {
                let other = OF_ROUTES.iter().find(|(of, usual, _)| of == writer && usual == line);
                let line = match other.filter(|_| kind != "yaml") {
                    Some((.., routed)) => routed,
                    None => line,
                };
                assert!(text.lines().any(|l| l == *line), "{kind}, {writer}: {line}: {text}");
            }
        }
    }
}

/// Has cloud-init write a system's own files of a network configuration; returns the folder, or
/// what it says.
fn written(
    folder: &Path,
    (kind, text): (&str, &str),
    (writer, system): (&str, &str),
) -> Result<PathBuf, String> {
    let (from, to) = (folder.join("config"), folder.join("out"));
    std::fs::write(&from, text).unwrap();
    let paths = ["-p", from.to_str().unwrap(), "-d", to.to_str().unwrap()];
    let what = ["-k", kind, "-D", system, "-O", writer];
    // Files of networkd get an owner: a user gives it in a namespace.
    let root = run(&["id", "-u"]).stdout.trim() == "0";
    let inside = ["unshare", "--map-root-user", "--map-auto"];
    let ask = ["cloud-init", "devel", "net-convert"];
    let out = run(&[if root { &[] } else { &inside[..] }, &ask, &paths, &what].concat());
    // What it cannot read of version 1 it leaves out, and says so.
    if out.code == 0 && !out.stderr.contains("Traceback") { Ok(to) } else { Err(out.stderr) }
}

/// What is refused cloud-init's own writers cannot read, and what is taken they can.
#[test]
fn the_shape_of_a_network_configuration_is_cloud_inits() {
    if !need_program("cloud-init") {
        return;
    }
    let bad = [
        "version: 1\nconfig: [{type: physical}]\n",
        "version: 1\nconfig: [{type: phisical, name: a}]\n",
        "version: 1\nconfig: [{type: physical, name: a, subnets: [{type: static}]}]\n",
        "version: 1\nconfig: [a]\n",
        "version: 1\nconfig: [{type: vlan, name: a.5, vlan_link: a}]\n",
        "version: 1\nconfig: [{type: bond, name: b, bond_interfaces: [a]}]\n",
        "version: 1\nconfig: [{type: nameserver}]\n",
        "version: 2\nethernets: {a: [b]}\n",
        "version: 2\nethernets: [a]\n",
        "version: 3\n",
        "ethernets: {}\n",
        "[]\n",
    ];
    let good = [
        "version: 1\nconfig:\n- {type: physical, name: a, subnets: [{type: dhcp}]}\n\
         - {type: vlan, name: a.5, vlan_link: a, vlan_id: 5}\n- {type: nameserver, address: 1.1.1.1}\n\
         - {type: bond, name: b, bond_interfaces: [a], params: {bond-mode: active-backup}}\n- {type: bridge, name: c, bridge_interfaces: [b]}\n\
         - {type: route, destination: 10.0.0.0/8, gateway: 10.1.1.1}\n",
        "version: 2\nethernets:\n  a: {match: {macaddress: '52:54:00:00:00:01'}, addresses: [10.0.0.5/24], \
         routes: [{to: 10.0.0.0/8, via: 10.0.0.1}], nameservers: {addresses: [10.0.0.1]}}\n\
         vlans: {v: {id: 5, link: a}}\n",
        "network: {version: 2, ethernets: {a: {dhcp4: true}}}\n",
    ];
    for (number, text) in bad.iter().chain(&good).enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let ours = check_network_config(text, "n", Datasource::NoCloud);
        let theirs = written(folder.path(), ("yaml", text), ("sysconfig", "centos"));
        assert_eq!(ours.is_err(), number < bad.len(), "{text}: {ours:?}");
        assert_eq!(theirs.is_err(), number < bad.len(), "{text}: cloud-init says {theirs:?}");
    }
}
