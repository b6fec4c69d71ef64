// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A system's settings: its names, its place, its network, who looks after it.

use kiln_spec::image::Os;

use super::find::Finder;
use super::report::{CloudInit, MachineId, OsReport, Package};
use crate::tree::{GuestPath, walk::real_path};

/// Agents: names, and programs that show that they are there.
const AGENTS: &[(&str, &[&str])] = &[
    ("qemu-guest-agent", &["/usr/sbin/qemu-ga", "/usr/bin/qemu-ga"]),
    ("open-vm-tools", &["/usr/bin/vmtoolsd"]),
    ("hyperv-daemons", &["/usr/sbin/hv_kvp_daemon", "/usr/sbin/hypervkvpd"]),
    ("spice-vdagent", &["/usr/sbin/spice-vdagentd", "/usr/bin/spice-vdagentd"]),
    ("google-guest-agent", &["/usr/bin/google_guest_agent"]),
    ("walinuxagent", &["/usr/sbin/waagent"]),
    ("amazon-ssm-agent", &["/usr/bin/amazon-ssm-agent", "/usr/sbin/amazon-ssm-agent"]),
    ("virtualbox-guest-additions", &["/usr/sbin/VBoxService", "/usr/bin/VBoxService"]),
    ("xe-guest-utilities", &["/usr/sbin/xe-daemon"]),
];

/// Programs that are started first, by a part of their names.
const INITS: &[(&str, &str)] = &[
    ("systemd", "systemd"),
    ("openrc-init", "openrc"),
    ("busybox", "busybox"),
    ("runit-init", "runit"),
    ("upstart", "upstart"),
    ("s6", "s6"),
    ("dinit", "dinit"),
];

pub(super) fn os(find: &mut Finder<'_>) -> OsReport {
    let text = ["/etc/os-release", "/usr/lib/os-release"].iter().find_map(|path| find.text(path));
    let Some(text) = text else { return OsReport::default() };
    let Os { id, version, pretty_name } = Os::from_os_release(&text);
    let given = |text: String| (!text.is_empty()).then_some(text);
    OsReport { id: given(id), version: given(version), name: given(pretty_name) }
}

pub(super) fn hostname(find: &mut Finder<'_>) -> Option<String> {
    let text = find.text("/etc/hostname")?;
    first_line(&text)
}

fn first_line(text: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned)
}

/// Source: machine-id(5).
pub(super) fn machine_id(find: &mut Finder<'_>) -> MachineId {
    let Some(text) = find.text("/etc/machine-id") else { return MachineId::Absent };
    match text.trim() {
        "" => MachineId::Empty,
        "uninitialized" => MachineId::Uninitialized,
        id if id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) => {
            MachineId::Set(id.to_owned())
        }
        _ => MachineId::Other,
    }
}

pub(super) fn init(find: &mut Finder<'_>) -> Option<String> {
    for path in ["/sbin/init", "/usr/lib/systemd/systemd", "/lib/systemd/systemd", "/init"] {
        if !find.is_file(path) {
            continue;
        }
        let path = GuestPath::new(path).ok()?;
        let real = real_path(find.tree, &path, true).ok()?.to_string();
        let name = real.rsplit('/').next().unwrap_or_default();
        let known = INITS.iter().find(|(part, _)| name.contains(part));
        return Some(match known {
            // On Alpine, busybox only starts OpenRC.
            Some((_, "busybox")) if find.is_file("/sbin/openrc") => "openrc".to_owned(),
            Some((_, init)) => (*init).to_owned(),
            None => "sysvinit".to_owned(),
        });
    }
    None
}

pub(super) fn agents(find: &mut Finder<'_>) -> Vec<String> {
    let there = AGENTS.iter().filter(|(_, paths)| paths.iter().any(|path| find.is_file(path)));
    there.map(|(name, _)| (*name).to_owned()).collect()
}

/// Source: selinux_config(5).
pub(super) fn selinux(find: &mut Finder<'_>) -> Option<String> {
    let text = find.text("/etc/selinux/config")?;
    let mut lines = text.lines().map(str::trim);
    let mode = lines.find_map(|line| line.strip_prefix("SELINUX="))?.trim().to_ascii_lowercase();
    ["enforcing", "permissive", "disabled"].contains(&mode.as_str()).then_some(mode)
}

pub(super) fn timezone(find: &mut Finder<'_>) -> Option<String> {
    let link = find.link("/etc/localtime");
    let zone = link.as_deref().and_then(|link| link.split_once("zoneinfo/"));
    if let Some((_, zone)) = zone {
        return Some(zone.to_owned());
    }
    first_line(&find.text("/etc/timezone")?)
}

pub(super) fn locale(find: &mut Finder<'_>) -> Option<String> {
    for path in ["/etc/locale.conf", "/etc/default/locale", "/etc/sysconfig/i18n"] {
        let Some(text) = find.text(path) else { continue };
        let mut lines = text.lines().map(str::trim);
        if let Some(lang) = lines.find_map(|line| line.strip_prefix("LANG=")) {
            return Some(lang.trim_matches(['"', '\'']).to_owned());
        }
    }
    None
}

pub(super) fn ssh_host_keys(find: &mut Finder<'_>) -> Vec<String> {
    let names = find.names("/etc/ssh").into_iter();
    names.filter(|name| name.starts_with("ssh_host_") && name.ends_with("_key")).collect()
}

pub(super) fn network(find: &mut Finder<'_>) -> Vec<String> {
    let mut has = |folder: &str, fits: &dyn Fn(&str) -> bool| {
        find.names(folder).iter().any(|name| fits(name))
    };
    let mut kinds = Vec::new();
    let networks = |name: &str| name.ends_with(".network");
    let profiles = |name: &str| !name.starts_with('.');
    let yaml = |name: &str| name.ends_with(".yaml");
    let ifcfg = |name: &str| name.starts_with("ifcfg-") && name != "ifcfg-lo";
    for (kind, there) in [
        ("netplan", has("/etc/netplan", &yaml)),
        ("networkd", has("/etc/systemd/network", &networks)),
        ("NetworkManager", has("/etc/NetworkManager/system-connections", &profiles)),
        ("ifcfg", has("/etc/sysconfig/network-scripts", &ifcfg)),
        ("wicked", has("/etc/sysconfig/network", &ifcfg)),
    ] {
        if there {
            kinds.push(kind.to_owned());
        }
    }
    let folder = "/etc/network/interfaces.d";
    let interfaces = find.text("/etc/network/interfaces").unwrap_or_default();
    let more: Vec<String> = find.names(folder);
    let more = more.iter().filter_map(|name| find.text(&format!("{folder}/{name}")));
    let text = [interfaces, more.collect::<Vec<_>>().join("\n")].join("\n");
    let is_iface = |line: &str| {
        let mut words = line.split_whitespace();
        words.next() == Some("iface") && words.next().is_some_and(|name| name != "lo")
    };
    if text.lines().any(is_iface) {
        kinds.push("ifupdown".to_owned());
    }
    kinds
}

pub(super) fn cloud_init(find: &mut Finder<'_>, packages: &[Package]) -> CloudInit {
    let package = packages.iter().find(|package| package.name == "cloud-init");
    let ran = find.is_dir("/var/lib/cloud/instance")
        || !find.names("/var/lib/cloud/instances").is_empty()
        || find.is_file("/var/lib/cloud/data/instance-id");
    CloudInit {
        installed: package.is_some() || find.is_file("/usr/bin/cloud-init"),
        version: package.map(|package| package.version.clone()),
        disabled: find.is_file("/etc/cloud/cloud-init.disabled"),
        ran,
    }
}
