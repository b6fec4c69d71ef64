// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The interfaces of machines to be: what is wanted, checked before anything is made, and found
//! on the host.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use kiln_libvirt::Connection;
use kiln_libvirt::network::{DhcpHost, IpView, NetworkView};
use kiln_spec::interface::{Addressing, InterfaceSpec};
use kiln_spec::mac::Mac;
use uuid::Uuid;

use super::existing::Machine;
use super::network::{self, Attachment, Nic};
use super::networks;
use crate::args::launch::WantedIp;
use crate::error::{Class, Problem};

/// Returns the interfaces that are wanted: those given, or the usual one of the host; `ip` is of
/// the first.
///
/// # Errors
///
/// What does not go together (class usage).
pub(crate) fn wanted(
    conn: &Connection,
    given: &[InterfaceSpec],
    ip: Option<WantedIp>,
) -> Result<Vec<InterfaceSpec>, Problem> {
    let usual = if conn.is_session() { network::USER } else { "default" };
    let mut all = given.to_vec();
    if all.is_empty() {
        all.push(InterfaceSpec::on(usual));
    }
    if let (Some(ip), Some(first)) = (ip, all.first_mut()) {
        if first.addressing != Addressing::Dhcp {
            let what = format!("`--network {first}` says its addresses, and so does `--ip`");
            return Err(Problem::new(Class::Usage, what).hint("leave one of them out"));
        }
        first.addressing = Addressing::Reserved(match ip {
            WantedIp::Auto => None,
            WantedIp::This(ip) => Some(ip),
        });
    }
    let user: Vec<_> = all.iter().filter(|spec| spec.network == network::USER).collect();
    if user.len() > 1 {
        return Err(Problem::new(Class::Usage, "a machine has user-mode networking once only"));
    }
    if user.iter().any(|spec| spec.addressing != Addressing::Dhcp) {
        let what = "user-mode networking has no addresses to choose or to reserve";
        let hint = "leave the address out, or name a network with `--network`";
        return Err(Problem::new(Class::Usage, what).hint(hint));
    }
    Ok(all)
}

/// Returns the interfaces of each machine of these numbers, from 1.
///
/// # Errors
///
/// Addresses that cannot be counted on so far (class usage).
pub(crate) fn of_each(
    wanted: &[InterfaceSpec],
    numbers: &[u32],
) -> Result<Vec<Vec<InterfaceSpec>>, Problem> {
    let of = |number: &u32| wanted.iter().map(|spec| spec.counted(*number)).collect();
    numbers
        .iter()
        .map(of)
        .collect::<Result<_, _>>()
        .map_err(|error| Problem::new(Class::Usage, error.to_string()))
}

/// Checks the addresses of all interfaces of all machines: each is of its network, and nobody
/// has it but machines that go before.
///
/// # Errors
///
/// No network of that name, an address that somebody has (class object), or that is not of its
/// network (class usage); what libvirt says.
pub(crate) fn check(
    conn: &Connection,
    machines: &[Vec<InterfaceSpec>],
    leaving: &[String],
) -> anyhow::Result<()> {
    let all = || machines.iter().flatten();
    let macs: Vec<Mac> = all().filter_map(|spec| spec.mac).collect();
    let fixed = all().any(|spec| matches!(spec.addressing, Addressing::Static(_)));
    let mut others = if fixed || !macs.is_empty() { Machine::all(conn)? } else { Vec::new() };
    others.retain(|other| !leaving.contains(&other.name));
    macs_are_free(&macs, &others)?;
    let mut seen = BTreeSet::new();
    // Each network is asked once, however many machines there are to be.
    let mut wished: BTreeMap<&str, Vec<Ipv4Addr>> = BTreeMap::new();
    let mut told: BTreeMap<&str, Vec<IpNet>> = BTreeMap::new();
    for spec in all() {
        let network = spec.network.as_str();
        match &spec.addressing {
            Addressing::Dhcp | Addressing::Reserved(None) => {}
            Addressing::Reserved(Some(ip)) => {
                once(&mut seen, network, (*ip).into())?;
                wished.entry(network).or_default().push(*ip);
            }
            Addressing::Static(own) => {
                own.addresses.iter().try_for_each(|net| once(&mut seen, network, net.addr()))?;
                told.entry(network).or_default().extend(&own.addresses);
            }
        }
    }
    for (network, ips) in wished {
        network::check_wishes(conn, network, &ips, leaving)?;
    }
    for (network, nets) in told {
        let view = networks::find(conn, network)?.xml()?;
        nets.iter().try_for_each(|net| is_free((&view, network), *net, (&others, leaving)))?;
    }
    Ok(())
}

fn once(seen: &mut BTreeSet<(String, IpAddr)>, network: &str, ip: IpAddr) -> Result<(), Problem> {
    if seen.insert((network.to_owned(), ip)) {
        return Ok(());
    }
    let what = format!("the address {ip} of network `{network}` is asked for twice");
    Err(Problem::new(Class::Usage, what))
}

fn macs_are_free(macs: &[Mac], others: &[Machine]) -> Result<(), Problem> {
    for (n, mac) in macs.iter().enumerate() {
        if macs[..n].contains(mac) {
            let what = format!("the hardware address {mac} is asked for twice");
            return Err(Problem::new(Class::Usage, what));
        }
        let has = |other: &&Machine| other.xml.interfaces().iter().any(|i| i.mac() == Some(*mac));
        if let Some(other) = others.iter().find(has) {
            let what = format!("the machine `{}` has the hardware address {mac}", other.name);
            return Err(Problem::new(Class::Object, what).hint("choose another"));
        }
    }
    Ok(())
}

/// Refuses an address that a guest is to be told, if it is not of the network or somebody has it.
fn is_free(
    (view, name): (&NetworkView, &str),
    net: IpNet,
    (others, leaving): (&[Machine], &[String]),
) -> Result<(), Problem> {
    let (ips, ip) = (view.ips(), net.addr());
    let nets: Vec<IpNet> = ips.iter().filter_map(IpView::net).collect();
    let own_kind = |other: &&IpNet| other.addr().is_ipv4() == ip.is_ipv4();
    // Of a bridge or a network without addresses libvirt knows nothing.
    if nets.iter().any(|other| own_kind(&other)) && !nets.iter().any(|other| other.contains(&ip)) {
        let there: Vec<String> = nets.iter().map(|net| format!("`{net}`")).collect();
        let what = format!("{ip} is no address of network `{name}`, which is {}", there.join(", "));
        return Err(Problem::new(Class::Usage, what));
    }
    let taken = |by: String| {
        let what = format!("the address {ip} of network `{name}` is {by}");
        Err(Problem::new(Class::Object, what).hint("choose another"))
    };
    if ips.iter().any(|of| of.address() == Some(ip)) {
        return taken("the host's own".to_owned());
    }
    let range = |of: &IpView| Some((of.dhcp_start()?, of.dhcp_end()?));
    if let Some((first, last)) =
        ips.iter().filter_map(range).find(|(first, last)| (*first..=*last).contains(&ip))
    {
        let what = format!("{ip} is one of {first} to {last}, which network `{name}` gives away");
        let hint = format!("choose one outside, or have it reserved: `--network {name},ip={ip}`");
        return Err(Problem::new(Class::Usage, what).hint(hint));
    }
    let reserved = ips.iter().flat_map(IpView::dhcp_hosts).find(|host| host.ip == ip);
    let stays = |host: &DhcpHost| host.name.as_ref().is_none_or(|name| !leaving.contains(name));
    if let Some(host) = reserved.filter(stays) {
        return taken(format!("reserved for `{}`", host.name.unwrap_or_default()));
    }
    match others.iter().find(|other| has(other, name, ip)) {
        Some(other) => taken(format!("that of `{}`", other.name)),
        None => Ok(()),
    }
}

/// Whether a machine was told that address on that network.
fn has(other: &Machine, network: &str, ip: IpAddr) -> bool {
    let Some(meta) = &other.meta else { return false };
    let interfaces = other.xml.interfaces();
    let on_it = interfaces.iter().filter(|i| i.network().as_deref() == Some(network));
    let mut macs = on_it.filter_map(|interface| Some(interface.mac()?.to_string()));
    macs.any(|mac| meta.addresses.iter().any(|own| own.ip == ip && own.mac == mac))
}

/// Finds where the interfaces of the machine with this UUID go; `may_start` networks that are
/// off.
///
/// # Errors
///
/// A network that is not there or not active (class object); no free port (class host).
pub(crate) fn found(
    conn: &Connection,
    specs: &[InterfaceSpec],
    uuid: Uuid,
    may_start: bool,
) -> anyhow::Result<Vec<Nic>> {
    let nic = |(index, spec): (u32, &InterfaceSpec)| -> anyhow::Result<Nic> {
        let attachment = if spec.network == network::USER {
            Attachment::User { ssh_port: network::free_port(uuid)? }
        } else {
            network::find(conn, &spec.network, may_start)?
        };
        let mac = spec.mac.unwrap_or_else(|| network::mac(uuid, index));
        Ok(Nic { mac, attachment, addressing: spec.addressing.clone() })
    };
    (0..).zip(specs).map(nic).collect()
}
