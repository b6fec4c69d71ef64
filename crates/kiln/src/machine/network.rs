// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where a machine's interface goes, and the address that is reserved for it.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use kiln_libvirt::Connection;
use kiln_libvirt::network::{DhcpHost, Network};
use kiln_spec::interface::Addressing;
use kiln_spec::mac::Mac;
use uuid::Uuid;

use super::meta::Reservation;
use crate::error::{Class, Problem};

/// The name that stands for user-mode networking.
pub(crate) const USER: &str = "user";
/// How often another address is tried when somebody else was faster.
const TRIES: u32 = 50;

/// The IPv4 addresses that a network gives out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Details {
    /// The first and the last of the range; `None` if it gives out none.
    pub(crate) range: Option<(Ipv4Addr, Ipv4Addr)>,
    /// The host's own address in it, and the length of the prefix.
    pub(crate) subnet: Option<(Ipv4Addr, u32)>,
    /// The reserved ones.
    pub(crate) hosts: Vec<DhcpHost>,
}

impl Details {
    /// Reads them from a network's definition.
    ///
    /// # Errors
    ///
    /// What libvirt says.
    pub(crate) fn of(network: &Network) -> Result<Self, kiln_libvirt::Error> {
        let mut details = Self::default();
        for ip in network.xml()?.ips() {
            if let (Some(IpAddr::V4(first)), Some(IpAddr::V4(last))) =
                (ip.dhcp_start(), ip.dhcp_end())
            {
                details.range = details.range.or(Some((first, last)));
                if let (Some(IpAddr::V4(own)), Some(prefix)) = (ip.address(), ip.prefix()) {
                    details.subnet = details.subnet.or(Some((own, prefix)));
                }
            }
            details.hosts.extend(ip.dhcp_hosts());
        }
        Ok(details)
    }
}

/// A machine's network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attachment {
    /// A network of the host.
    Network {
        /// Its name.
        name: String,
    },
    /// passt, with a port of the host led to port 22.
    User {
        /// The host's port.
        ssh_port: u16,
    },
}

/// An interface of a machine to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Nic {
    /// Its hardware address.
    pub(crate) mac: Mac,
    /// Where it goes.
    pub(crate) attachment: Attachment,
    /// How it gets its addresses.
    pub(crate) addressing: Addressing,
}

impl Nic {
    /// Returns what is to be reserved for it: the network, and the address if it must be a
    /// certain one.
    pub(crate) fn wish(&self) -> Option<(&str, Option<Ipv4Addr>)> {
        match (&self.attachment, &self.addressing) {
            (Attachment::Network { name }, Addressing::Reserved(ip)) => Some((name, *ip)),
            _ => None,
        }
    }

    /// Returns the addresses that the machine is told.
    pub(crate) fn own(&self) -> &[IpNet] {
        match &self.addressing {
            Addressing::Static(own) => &own.addresses,
            _ => &[],
        }
    }
}

/// Returns the hardware address of an interface, counted from 0, of the machine with this UUID:
/// QEMU's prefix 52:54:00, and three bytes that differ as the UUID does.
pub(crate) fn mac(uuid: Uuid, index: u32) -> Mac {
    // The last bytes of a UUID are random in versions 4 and 7 alike. Each further interface takes
    // them with other random bytes mixed in: the next number could be another machine's first.
    let bytes = uuid.as_bytes();
    let end = u32::from_be_bytes([0, bytes[13], bytes[14], bytes[15]]);
    let more = u32::from_be_bytes([0, bytes[10], bytes[11], bytes[12]]) | 1;
    let [_, a, b, c] = end.wrapping_add(more.wrapping_mul(index)).to_be_bytes();
    Mac::qemu([a, b, c])
}

/// Returns what libvirt is told of a reservation; `None` if it is none (written by somebody
/// else).
pub(crate) fn dhcp_host(reservation: &Reservation) -> Option<DhcpHost> {
    Some(DhcpHost {
        mac: Some(reservation.mac.parse().ok()?),
        ip: reservation.ip.parse().ok()?,
        name: Some(reservation.name.clone()),
    })
}

/// Finds the network, active.
///
/// # Errors
///
/// Not there or not active (class object), with what to do.
pub(crate) fn find(conn: &Connection, name: &str, may_start: bool) -> anyhow::Result<Attachment> {
    let network = match conn.network(name) {
        Err(error) if error.is_not_found() => {
            let names: Vec<String> = conn.networks()?.iter().map(|n| n.name().to_owned()).collect();
            let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let what = format!("the host has no network `{name}`");
            let hint = format!("networks there: {there}; `--network user` needs none");
            return Err(Problem::new(Class::Object, what).hint(hint).into());
        }
        other => other?,
    };
    if !network.is_active()? {
        if !may_start {
            let what = format!("the network `{name}` is not active");
            let hint = "start it with `--start-network`, or use `--network user`";
            return Err(Problem::new(Class::Object, what).hint(hint).into());
        }
        match network.start() {
            // Somebody else was faster.
            Err(error) if error.is_operation_invalid() => {}
            other => other?,
        }
    }
    Ok(Attachment::Network { name: name.to_owned() })
}

/// Refuses a name that another machine's reservation has: libvirt takes each name once. One that
/// was removed without its reservation leaves it, and somebody may have made it on purpose.
fn name_is_free(details: &Details, network: &str, wish: &Wish<'_>) -> Result<(), Problem> {
    let name = wish.machine;
    let Some(host) = details.hosts.iter().find(|host| host.name.as_deref() == Some(name)) else {
        return Ok(());
    };
    let of = host.mac.map_or_else(String::new, |mac| format!(" of {mac}"));
    let what = format!("the name `{name}` has the address {}{of} on network `{network}`", host.ip);
    let hint = format!(
        "choose another name, or: virsh net-update {network} delete ip-dhcp-host \"<host name='{name}'/>\" --live --config"
    );
    Err(Problem::new(Class::Object, what).hint(hint))
}

/// What is to be reserved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    /// The machine's name.
    pub(crate) machine: &'a str,
    /// Its hardware address.
    pub(crate) mac: &'a str,
    /// The address, if it must be this one.
    pub(crate) ip: Option<Ipv4Addr>,
}

/// Reserves an address for a machine: the one that is wished for, or one picked by its hardware address, the next when it is taken.
/// libvirt refuses a second reservation of the same address, so machines launched at the same
/// time never share one.
///
/// Returns `None` when the network gives out no IPv4 addresses.
///
/// # Errors
///
/// When libvirt refuses for another reason, or all addresses are taken (class object).
pub(crate) fn reserve(
    conn: &Connection,
    network: &str,
    wish: &Wish<'_>,
    before: &mut dyn FnMut(&Reservation) -> anyhow::Result<()>,
) -> anyhow::Result<Option<Reservation>> {
    let network_handle = conn.network(network)?;
    let mut refused = None;
    for attempt in 0..TRIES {
        let details = Details::of(&network_handle)?;
        if details.range.is_none() {
            return Ok(None);
        }
        name_is_free(&details, network, wish)?;
        let mut leased = leases(&network_handle)?;
        // What it has now it may keep.
        leased.retain(|(mac, _)| mac != wish.mac);
        let ip = match wish.ip {
            None => pick(&details, &leased, wish.mac, attempt),
            Some(ip) => Some(free(&details, &leased, ip, network)?),
        };
        let Some(ip) = ip else { break };
        let reservation = Reservation {
            network: network.to_owned(),
            mac: wish.mac.to_owned(),
            ip: ip.to_string(),
            name: wish.machine.to_owned(),
        };
        before(&reservation)?;
        let Some(host) = dhcp_host(&reservation) else {
            return Err(Problem::new(
                Class::Bug,
                format!("made a wrong reservation for `{}`", wish.machine),
            )
            .into());
        };
        match network_handle.add_dhcp_host(&host) {
            Ok(()) => return Ok(Some(reservation)),
            Err(error) if error.is_operation_invalid() || error.is_exists() => {
                refused = Some(error);
            }
            Err(error) => return Err(error.into()),
        }
    }
    let problem = Problem::new(Class::Object, format!("network `{network}` has no free address"));
    Err(match refused {
        Some(error) => problem.because(error).into(),
        None => problem.hint("remove machines, or widen the network's DHCP range").into(),
    })
}

/// Checks wished addresses of a network before anything is made; those of machines that go before are
/// free.
///
/// # Errors
///
/// Not of the network (class usage), reserved or leased (class object); what libvirt says.
pub(crate) fn check_wishes(
    conn: &Connection,
    network: &str,
    ips: &[Ipv4Addr],
    leaving: &[String],
) -> anyhow::Result<()> {
    let handle = conn.network(network)?;
    let (mut details, mut leased) = (Details::of(&handle)?, leases(&handle)?);
    let goes = |host: &DhcpHost| host.name.as_ref().is_some_and(|name| leaving.contains(name));
    let (gone, stays) = details.hosts.into_iter().partition(goes);
    details.hosts = stays;
    leased.retain(|(_, ip)| !gone.iter().any(|host: &DhcpHost| host.ip == *ip));
    ips.iter().try_for_each(|ip| free(&details, &leased, *ip, network).map(drop))?;
    Ok(())
}

/// Returns who has which address now: hardware address and IP address.
fn leases(network: &Network) -> Result<Vec<(String, IpAddr)>, kiln_libvirt::Error> {
    let mac = |mac: Option<kiln_spec::mac::Mac>| mac.map_or_else(String::new, |m| m.to_string());
    Ok(network.leases()?.into_iter().map(|lease| (mac(lease.mac), lease.address)).collect())
}

/// Returns a wished address, if it is of the network and nobody has it.
fn free(
    details: &Details,
    leased: &[(String, IpAddr)],
    ip: Ipv4Addr,
    network: &str,
) -> Result<Ipv4Addr, Problem> {
    if let Some(host) = details.hosts.iter().find(|host| host.ip == IpAddr::V4(ip)) {
        let of = host.name.clone().or(host.mac.map(|mac| mac.to_string())).unwrap_or_default();
        let what = format!("address {ip} of network `{network}` is reserved for `{of}`");
        return Err(Problem::new(Class::Object, what).hint("choose another, or `--ip auto`"));
    }
    let inside = |(net, prefix): (Ipv4Addr, u32)| {
        let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
        // Neither the host's own, nor the network's, nor the one for everybody.
        let host_part = u32::from(ip) & !mask;
        u32::from(ip) & mask == u32::from(net) & mask
            && ip != net
            && host_part != 0
            && host_part != !mask
    };
    if !details.subnet.is_some_and(inside) {
        let what = format!("{ip} is no address of network `{network}` for a machine");
        return Err(Problem::new(Class::Usage, what)
            .hint(format!("`kiln network info {network}` shows its range")));
    }
    if let Some((mac, _)) = leased.iter().find(|(_, address)| *address == IpAddr::V4(ip)) {
        let what = format!("address {ip} of network `{network}` is leased to {mac} now");
        return Err(Problem::new(Class::Object, what).hint("choose another, or `--ip auto`"));
    }
    Ok(ip)
}

/// Picks an address of the range that nobody has: the first free one at or after the place that
/// the hardware address falls on.
fn pick(
    details: &Details,
    leased: &[(String, IpAddr)],
    mac: &str,
    attempt: u32,
) -> Option<Ipv4Addr> {
    let (first, last) = details.range?;
    let (first, last) = (u32::from(first), u32::from(last));
    let size = last.checked_sub(first)?.checked_add(1)?;
    let place =
        mac.bytes().fold(0_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    let taken = |ip: Ipv4Addr| {
        let ip = IpAddr::V4(ip);
        details.hosts.iter().any(|host| host.ip == ip)
            || leased.iter().any(|(of, address)| *address == ip && of != mac)
    };
    (0..size)
        .map(|n| Ipv4Addr::from(first + (place.wrapping_add(n) % size)))
        .filter(|ip| !taken(*ip))
        .nth(usize::try_from(attempt.min(size - 1)).ok()?)
}

/// Returns a port of this machine that nobody listens on, from 20000 up: the one that the UUID
/// falls on, or the next free.
///
/// # Errors
///
/// None is free (class host).
pub(crate) fn free_port(uuid: Uuid) -> Result<u16, Problem> {
    let bytes = uuid.as_bytes();
    let place = u16::from_be_bytes([bytes[14], bytes[15]]) % 10_000;
    (0..10_000)
        .map(|n| 20_000 + (place + n) % 10_000)
        .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .ok_or_else(|| {
            let what = "no port between 20000 and 29999 is free for the forward of SSH";
            Problem::new(Class::Host, what)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn details(hosts: &[&str]) -> Details {
        let range = Some((Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 4)));
        let host = |ip: &&str| DhcpHost { mac: None, ip: ip.parse().unwrap(), name: None };
        Details {
            range,
            subnet: Some((Ipv4Addr::new(10, 0, 0, 1), 24)),
            hosts: hosts.iter().map(host).collect(),
        }
    }

    #[test]
    fn an_address_that_is_taken_is_not_picked() {
        let free = pick(&details(&["10.0.0.2", "10.0.0.4"]), &[], "m", 0);
        assert_eq!(free, Some(Ipv4Addr::new(10, 0, 0, 3)));
        let leased = [("other".to_owned(), "10.0.0.3".parse().unwrap())];
        assert_eq!(pick(&details(&["10.0.0.2", "10.0.0.4"]), &leased, "m", 0), None);
        let own = [("m".to_owned(), "10.0.0.3".parse().unwrap())];
        assert!(pick(&details(&["10.0.0.2", "10.0.0.4"]), &own, "m", 0).is_some());
    }

    #[test]
    fn a_wished_address_must_be_free_and_inside() {
        let wish = |ip: [u8; 4]| {
            free(
                &details(&["10.0.0.3"]),
                &[("m".to_owned(), "10.0.0.7".parse().unwrap())],
                ip.into(),
                "lan",
            )
            .map_err(|e| e.to_string())
        };
        assert_eq!(wish([10, 0, 0, 9]), Ok([10, 0, 0, 9].into()));
        let outside = |ip: &str| Err(format!("{ip} is no address of network `lan` for a machine"));
        assert_eq!(wish([10, 0, 1, 9]), outside("10.0.1.9"));
        assert_eq!(wish([10, 0, 0, 1]), outside("10.0.0.1"));
        assert_eq!(wish([10, 0, 0, 255]), outside("10.0.0.255"));
        assert_eq!(
            wish([10, 0, 0, 7]),
            Err("address 10.0.0.7 of network `lan` is leased to m now".into())
        );
        assert_eq!(
            wish([10, 0, 0, 3]),
            Err("address 10.0.0.3 of network `lan` is reserved for ``".into())
        );
    }

    #[test]
    fn hardware_addresses_are_qemus_and_differ() {
        assert_eq!(mac(Uuid::from_u128(0xabcdef), 0).to_string(), "52:54:00:ab:cd:ef");
        assert_ne!(mac(Uuid::now_v7(), 0), mac(Uuid::now_v7(), 0));
        let uuid = Uuid::now_v7();
        let all: std::collections::BTreeSet<Mac> = (0..16).map(|n| mac(uuid, n)).collect();
        assert_eq!(all.len(), 16);
    }
}
