// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The host's networks: found by name, who is on them, and which addresses they take.

use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::Context as _;
use ipnet::{IpNet, Ipv4Net};
use kiln_host::routes;
use kiln_libvirt::domain::DomainXml;
use kiln_libvirt::network::{ForwardMode, Network, NetworkView};
use kiln_libvirt::xml::Element;
use kiln_libvirt::{Connection, Error};
use kiln_spec::network::{NetworkMode, NetworkSpec};
use uuid::Uuid;

use super::existing::Machine;
use super::undo::{self, Undo};
use crate::context::{Context, unix_secs};
use crate::error::{Class, Problem};

/// Where a network's addresses are chosen from: 192.168.N.0/24.
const CHOICE: std::ops::RangeInclusive<u8> = 100..=254;

/// Addresses that are in use, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The addresses.
    pub(crate) net: IpNet,
    /// By what, for people.
    pub(crate) by: String,
}

/// Finds a network.
///
/// # Errors
///
/// Not there (class object), with the nearest name.
pub(crate) fn find(conn: &Connection, name: &str) -> anyhow::Result<Network> {
    match conn.network(name) {
        Err(error) if error.is_not_found() => {}
        other => return Ok(other?),
    }
    let problem = Problem::new(Class::Object, format!("the host has no network `{name}`"));
    let (all, otherwise) = (conn.networks()?, "`kiln network list` shows what there is");
    Err(problem.did_you_mean(name, all.iter().map(Network::name), otherwise).into())
}

/// Returns the word for how a network reaches the outside.
pub(crate) fn mode(view: &NetworkView) -> String {
    match view.forward_mode() {
        None => "isolated".to_owned(),
        Some(ForwardMode::Route) => "routed".to_owned(),
        Some(ForwardMode::Bridge) if view.bridge().is_none() => "macvtap".to_owned(),
        Some(mode) => mode.to_string(),
    }
}

/// A machine on a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attached {
    /// Its name.
    pub(crate) name: String,
    /// Whether it runs.
    pub(crate) running: bool,
}

/// Returns the machines on a network, by name: those that would have it at their next start, and
/// those that have it now.
///
/// # Errors
///
/// What libvirt says.
pub(crate) fn attached(conn: &Connection, network: &str) -> anyhow::Result<Vec<Attached>> {
    let on_it =
        |xml: &DomainXml| xml.interfaces().iter().any(|i| i.network().as_deref() == Some(network));
    let mut all = Vec::new();
    for machine in Machine::all(conn)? {
        let running = machine.now()?.is_some_and(|now| on_it(&now));
        if running || on_it(&machine.xml) {
            all.push(Attached { name: machine.name, running });
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// Returns which addresses are in use: by the host's other networks, active or not, and, of a
/// host that is this machine, by what it is connected to.
///
/// # Errors
///
/// What libvirt says.
pub(crate) fn taken(conn: &Connection) -> anyhow::Result<Vec<Taken>> {
    let mut all = Vec::new();
    let mut bridges = Vec::new();
    for network in conn.networks()? {
        let view = match network.xml() {
            Err(error) if error.is_not_found() => continue,
            other => other?,
        };
        bridges.extend(view.bridge());
        let by = format!("network `{}`", network.name());
        all.extend(
            view.ips().iter().filter_map(|ip| Some(Taken { net: ip.net()?, by: by.clone() })),
        );
    }
    if conn.is_local() {
        let own = routes::all().into_iter().filter(|route| !bridges.contains(&route.device));
        for route in own {
            let net = IpNet::new(route.address, route.prefix).context("a route of the kernel")?;
            all.push(Taken { net, by: format!("the host's interface `{}`", route.device) });
        }
    }
    Ok(all)
}

/// Refuses addresses that are in use.
///
/// # Errors
///
/// Class object, with by what.
pub(crate) fn check_free(net: IpNet, taken: &[Taken]) -> Result<(), Problem> {
    let overlaps = |other: &&Taken| other.net.contains(&net) || net.contains(&other.net);
    let Some(other) = taken.iter().find(overlaps) else { return Ok(()) };
    let what = format!("the addresses `{net}` overlap `{}` of {}", other.net, other.by);
    Err(Problem::new(Class::Object, what).hint("choose others, or leave `--subnet` out"))
}

/// Chooses IPv4 addresses that nobody has.
///
/// # Errors
///
/// Class object if none are left.
pub(crate) fn choose(taken: &[Taken]) -> Result<Ipv4Net, Problem> {
    let net = |n: u8| Ipv4Net::new_assert(Ipv4Addr::new(192, 168, n, 0), 24);
    let free = |net: &Ipv4Net| check_free((*net).into(), taken).is_ok();
    CHOICE.map(net).find(free).ok_or_else(|| {
        let what = "all of 192.168.100.0/24 to 192.168.254.0/24 are in use";
        Problem::new(Class::Object, what).hint("name others with `--subnet`")
    })
}

/// Refuses a network that the host cannot have: of a session, or on a device that is not there,
/// which libvirt would say only when a machine starts. Of another host only libvirt knows.
///
/// # Errors
///
/// Class host, class object.
pub(crate) fn check_host(conn: &Connection, spec: &NetworkSpec) -> Result<(), Problem> {
    if conn.is_session() && spec.mode.is_libvirts() {
        let what = "a session may not make bridges, and so no networks of its own";
        let hint = "as root, or in the group libvirt: `-c qemu:///system`";
        return Err(Problem::new(Class::Host, what).hint(hint));
    }
    let (device, what, is_it) = match &spec.mode {
        NetworkMode::Bridge(device) => (device, "bridge", "bridge"),
        NetworkMode::Macvtap(device) => (device, "interface", ""),
        _ => return Ok(()),
    };
    let there = Path::new("/sys/class/net").join(device.as_str()).join(is_it).exists();
    if there || !conn.is_local() {
        return Ok(());
    }
    let problem = Problem::new(Class::Object, format!("the host has no {what} `{device}`"));
    Err(problem.hint("`ip link` shows what there is"))
}

/// Returns what Kiln is to know a network by; and the set that owns it, if one does.
pub(crate) fn mark(set: Option<&str>) -> Element {
    let made = Element::new("made").attr("at", unix_secs()).attr("by", env!("CARGO_PKG_VERSION"));
    let owner = set.map(|name| Element::new("set").attr("name", name));
    Element::new("network").child(made).maybe(owner)
}

/// Returns the set that owns a network, if one does.
pub(crate) fn owner(view: &NetworkView) -> Option<String> {
    let mark = view.metadata()?;
    mark.find("set")?.attribute("name").map(str::to_owned)
}

/// Refuses a network whose name is taken.
///
/// # Errors
///
/// Class object; what libvirt says.
pub(crate) fn refuse_taken(conn: &Connection, spec: &NetworkSpec) -> anyhow::Result<()> {
    match conn.network(spec.name.as_str()) {
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(already(spec).into()),
    }
}

fn already(spec: &NetworkSpec) -> Problem {
    let what = format!("the host has a network `{}` already", spec.name);
    Problem::new(Class::Object, what).hint("choose another name, or `kiln network rm` it")
}

/// Defines and starts a network; undone as a whole if one of the steps fails.
///
/// # Errors
///
/// The name is taken (class object); what libvirt says.
pub(crate) fn make(
    ctx: &Context,
    conn: &Connection,
    (uuid, spec, xml): (Uuid, &NetworkSpec, &Element),
    autostart: bool,
) -> anyhow::Result<()> {
    refuse_taken(conn, spec)?;
    let steps = || -> Result<(), Error> {
        let network = conn.define_network_xml(xml)?;
        network.start()?;
        if autostart { network.set_autostart(true) } else { Ok(()) }
    };
    let name = spec.name.to_string();
    let undo = Undo::Network { uri: conn.uri().to_string(), uuid, name };
    undo::or_undone(ctx, conn, (&format!("network-{uuid}"), undo), || match steps() {
        Err(error) if error.is_exists() => Err(already(spec).because(error).into()),
        other => Ok(other?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(nets: &[&str]) -> Vec<Taken> {
        let taken = |net: &&str| Taken { net: net.parse().unwrap(), by: "the test".into() };
        nets.iter().map(taken).collect()
    }

    #[test]
    fn addresses_in_use_are_refused_whichever_is_larger() {
        let all = taken(&["10.1.0.0/24", "192.168.0.0/16", "fd00::/64"]);
        let said = |net: &str| check_free(net.parse().unwrap(), &all).map_err(|e| e.to_string());
        assert_eq!(
            said("10.0.0.0/8"),
            Err("the addresses `10.0.0.0/8` overlap `10.1.0.0/24` of the test".into())
        );
        assert!(said("192.168.7.0/24").is_err());
        assert_eq!(said("10.2.0.0/24"), Ok(()));
        assert_eq!(said("fd00:1::/64"), Ok(()));
    }

    #[test]
    fn the_first_free_addresses_are_chosen() {
        let all = taken(&["192.168.100.0/24", "192.168.101.128/25"]);
        assert_eq!(choose(&all).unwrap().to_string(), "192.168.102.0/24");
        assert!(choose(&taken(&["192.168.0.0/16"])).is_err());
    }
}
