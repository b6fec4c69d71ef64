// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Adding forwards to a machine that is there, and taking them away.
//!
//! What a machine remembers is the truth, and is changed in one call; the rules follow. How to
//! take a change back is in the journal before it is done.

use std::net::IpAddr;

use kiln_host::journal::Journal;
use kiln_libvirt::Connection;
use kiln_libvirt::domain::AddressSource;
use kiln_libvirt::xml::Element;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::way::place;
use super::{Way, check_free, find_way, lock, passt_ports, rebuild, rebuild_if_able, targets};
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::existing::Machine;
use crate::machine::meta::{Forward, Meta, Reservation};
use crate::machine::network::Wish;
use crate::machine::networks;
use crate::machine::step;
use crate::machine::undo::{Undo, roll_back};

/// Forwards of a machine, and the address that was reserved for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// The machine.
    pub(crate) uuid: Uuid,
    /// Its name, for people.
    pub(crate) name: String,
    /// The forwards.
    pub(crate) forwards: Vec<Forward>,
    /// What was reserved with them.
    pub(crate) reservation: Option<Reservation>,
}

/// Adds forwards to a machine: they are in effect, or wait for its next start if passt makes
/// them. Reserves the machine's address if none is known: a forward needs one that stays. Returns
/// what was reserved. After an error or a signal nothing is changed.
///
/// # Errors
///
/// Somebody has a port (class object), the network gives out no addresses (class object); what
/// libvirt or the packet filter says.
pub(crate) fn add(
    ctx: &Context,
    machine: &Machine,
    (way, forwards): (Way, &[Forward]),
) -> anyhow::Result<Option<Reservation>> {
    let mut job = Journal::begin(&ctx.sub("journal"), &format!("forward-{}", Uuid::now_v7()))?;
    match steps(ctx, machine, (way, forwards), &mut job) {
        Ok(reserved) => {
            job.commit()?;
            Ok(reserved)
        }
        Err(error) => Err(roll_back(ctx, &machine.conn, job, error)),
    }
}

fn steps(
    ctx: &Context,
    machine: &Machine,
    (way, forwards): (Way, &[Forward]),
    job: &mut Journal<Undo>,
) -> anyhow::Result<Option<Reservation>> {
    let conn = &machine.conn;
    let reservation = match way {
        Way::Host => reserve(machine, job)?,
        Way::Passt => None,
    };
    {
        let _lock = lock(ctx)?;
        // Asked before, but only now nobody else can take it.
        check_free(ctx, conn, (forwards, way), (Some(machine.uuid), &[]))?;
        let change = Change {
            uuid: machine.uuid,
            name: machine.name.clone(),
            forwards: forwards.to_vec(),
            reservation: reservation.clone(),
        };
        job.before(Undo::Forwards { uri: conn.uri().to_string(), change })?;
        // As it is now: somebody may have added others.
        let now = Machine::of(conn, conn.domain_by_uuid(machine.uuid)?)?;
        let mut meta = now.meta()?.clone();
        meta.forwards.extend_from_slice(forwards);
        meta.reservations.extend(reservation.clone());
        write(&now, &meta, way == Way::Passt)?;
    }
    if way != Way::Passt {
        rebuild(ctx, conn, false)?;
    }
    Ok(reservation)
}

/// Takes forwards from a machine, and what was reserved with them out of its memory. What is not
/// there is as good as taken.
pub(crate) fn take(ctx: &Context, conn: &Connection, change: &Change) -> anyhow::Result<()> {
    let machine = match conn.domain_by_uuid(change.uuid) {
        Err(error) if error.is_not_found() => return rebuild_if_able(ctx, conn),
        other => Machine::of(conn, other?)?,
    };
    // A network that was removed meanwhile is no reason to keep them.
    let way = find_way(&machine).ok();
    {
        let _lock = lock(ctx)?;
        let now = Machine::of(conn, conn.domain_by_uuid(change.uuid)?)?;
        let mut meta = now.meta()?.clone();
        meta.forwards.retain(|forward| !change.forwards.contains(forward));
        meta.reservations.retain(|own| Some(own) != change.reservation.as_ref());
        let passt = way == Some(Way::Passt);
        if passt || Some(&meta) != now.meta.as_ref() {
            write(&now, &meta, passt)?;
        }
    }
    if way == Some(Way::Passt) { Ok(()) } else { rebuild_if_able(ctx, conn) }
}

/// Writes what a machine remembers, and what its passt is to be told at its next start.
fn write(machine: &Machine, meta: &Meta, passt: bool) -> anyhow::Result<()> {
    let mut xml = machine.xml.0.clone();
    // It holds what the machine remembered before: so it goes first.
    if passt && set_ports(&mut xml, meta) {
        machine.conn.define_domain_xml(&xml)?;
    }
    Ok(machine.domain.set_metadata(Some(&meta.element()))?)
}

/// Sets the ports of a domain's first interface of passt; returns whether it has one.
fn set_ports(xml: &mut Element, meta: &Meta) -> bool {
    let devices = xml.find_mut("devices");
    let mut interfaces = devices.into_iter().flat_map(Element::elements_mut);
    let of_user = |e: &&mut Element| e.name == "interface" && e.attribute("type") == Some("user");
    let Some(interface) = interfaces.find(of_user) else { return false };
    while interface.remove("portForward") {}
    for forward in passt_ports(meta.ssh_port, &meta.forwards) {
        interface.push(forward.to_element());
    }
    true
}

/// Reserves the machine's address, if none is known: the one that it has now.
fn reserve(machine: &Machine, job: &mut Journal<Undo>) -> anyhow::Result<Option<Reservation>> {
    let (conn, meta) = (&machine.conn, machine.meta()?);
    let Some((name, mac)) = place(machine) else { return Ok(None) };
    let view = networks::find(conn, &name)?.xml()?;
    if !targets(&view, mac, meta).is_empty() {
        return Ok(None);
    }
    let leases = machine.domain.interfaces(AddressSource::Lease).unwrap_or_default();
    let own = leases.into_iter().filter(|interface| interface.mac == Some(mac));
    let ip = own.flat_map(|interface| interface.addresses).find_map(|(ip, _)| match ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    });
    let wish = Wish { machine: &machine.name, mac: &mac.to_string(), ip };
    match step::reserve(conn, job, &name, &wish)? {
        Some(made) => Ok(Some(made)),
        None => Err(no_address(&name).into()),
    }
}

/// Returns the problem of a network on which no address can be made to stay.
pub(crate) fn no_address(network: &str) -> Problem {
    let what =
        format!("a forward needs an address that stays, and network `{network}` gives out none");
    let hint = format!("launch with one: `--network {network},static=ADDRESS/BITS`");
    Problem::new(Class::Object, what).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::meta::tests::sample;

    #[test]
    fn passt_is_told_all_ports_and_the_one_for_ssh_first() {
        let text = "<domain><devices><interface type='network'/><interface type='user'>\
                    <backend type='passt'/><portForward proto='tcp'/></interface></devices></domain>";
        let mut xml = Element::parse(text).unwrap();
        assert!(set_ports(&mut xml, &sample()));
        let user = xml.find_all("devices/interface")[1];
        let ports: Vec<String> = user
            .find_all("portForward")
            .iter()
            .map(|f| {
                let of = |path| f.get(path).unwrap_or_default();
                [of("@proto"), of("@address"), of("range/@start"), of("range/@to")].join(" ")
            })
            .collect();
        let wanted = ["tcp 127.0.0.1 20022 22", "tcp  8080 80", "udp 192.168.1.5 53 5353"];
        assert_eq!(ports, wanted);
        let mut other = Element::parse("<domain><devices/></domain>").unwrap();
        assert!(!set_ports(&mut other, &sample()));
    }
}
