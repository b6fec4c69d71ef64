// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What makes a machine's forwards, and whether we may.
//!
//! They lead to the machine's first interface: that is where its default route is, and answers
//! that leave by another one would not come back.

use std::io;
use std::net::{IpAddr, UdpSocket};

use kiln_host::Tool;
use kiln_libvirt::Connection;
use kiln_libvirt::network::{ForwardMode, NetworkView};
use kiln_spec::mac::Mac;
use rustix::thread::{CapabilitySet, capabilities};

use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::existing::Machine;
use crate::machine::{host, networks};

/// What makes a machine's forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The host's packet filter, to an address on a network.
    Host,
    /// passt, from the machine's next start on.
    Passt,
}

/// Finds what makes a machine's forwards.
///
/// # Errors
///
/// A machine without interface, or on one that no forward can lead to (class object).
pub(crate) fn find_way(machine: &Machine) -> anyhow::Result<Way> {
    let name = &machine.name;
    let interfaces = machine.xml.interfaces();
    let Some(first) = interfaces.first() else {
        return Err(Problem::new(Class::Object, format!("`{name}` has no interface")).into());
    };
    let kind = first.kind().unwrap_or_default();
    if kind == "user" && first.backend().as_deref() == Some("passt") {
        return Ok(Way::Passt);
    }
    if let Some((network, _)) = place(machine) {
        check_network(&machine.conn, &network)?;
        return Ok(Way::Host);
    }
    let what = format!("the first interface of `{name}` is of the type `{kind}`");
    let hint = "forwards lead to interfaces on a network of libvirt, and to those of passt";
    Err(Problem::new(Class::Object, what).hint(hint).into())
}

/// Returns the network that a machine's first interface is on, and its hardware address there;
/// `None` if it is on none.
pub(crate) fn place(machine: &Machine) -> Option<(String, Mac)> {
    let first = machine.xml.interfaces().into_iter().next()?;
    Some((first.network()?, first.mac()?))
}

/// Refuses a network whose machines no forward can reach.
///
/// # Errors
///
/// Not there, isolated, a bridge or macvtap (class object); what libvirt says.
pub(crate) fn check_network(conn: &Connection, name: &str) -> anyhow::Result<NetworkView> {
    let view = networks::find(conn, name)?.xml()?;
    let (what, hint) = match view.forward_mode() {
        Some(ForwardMode::Nat | ForwardMode::Route | ForwardMode::Open) => return Ok(view),
        None => (
            format!("the network `{name}` is isolated: no forward leads into it"),
            "put the machine on a network of another kind, such as `--mode nat`",
        ),
        Some(_) => (
            format!("machines on the network `{name}` are reached by addresses of their own"),
            "no forward is needed: use the machine's address",
        ),
    };
    Err(Problem::new(Class::Object, what).hint(hint).into())
}

/// Refuses what this process cannot do: the packet filter is changed by root, on the host itself.
///
/// # Errors
///
/// Another host, no rights, no `nft` (class host).
pub(crate) fn check_able(ctx: &Context, conn: &Connection, way: Way) -> Result<(), Problem> {
    if way == Way::Passt {
        return Ok(());
    }
    if !conn.is_local() {
        let what = format!(
            "forwards are rules of the host's packet filter, which libvirt at `{}` cannot change",
            conn.uri()
        );
        return Err(Problem::new(Class::Host, what).hint("run it on the host itself, as root"));
    }
    if !may_filter() {
        let problem = Problem::new(Class::Host, "only root may change the host's packet filter");
        let hint = format!("sudo {} -c {} forward …", ctx.program, host::SYSTEM);
        return Err(problem.hint(hint));
    }
    if Tool::Nft.find().is_none() {
        let what = format!("`{}` is not installed", Tool::Nft.program());
        let hint = format!("install it: apt install {}", Tool::Nft.package());
        return Err(Problem::new(Class::Host, what).hint(hint));
    }
    Ok(())
}

/// Whether this process has the right to change the packet filter: capabilities(7).
pub(super) fn may_filter() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::NET_ADMIN))
}

/// Refuses an address that is none of this host's, if the host is this machine.
///
/// # Errors
///
/// Class usage; class host when it cannot be found out.
pub(crate) fn listen_is_ours(conn: &Connection, listen: Option<IpAddr>) -> Result<(), Problem> {
    let Some(ip) = listen.filter(|_| conn.is_local()) else { return Ok(()) };
    if ip.is_unspecified() || ip.is_multicast() {
        let what = format!("{ip} is no address of one host");
        return Err(Problem::new(Class::Usage, what)
            .hint("without `--listen` a forward is on all of the host's addresses"));
    }
    match UdpSocket::bind((ip, 0)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
            let what = format!("{ip} is no address of this host");
            Err(Problem::new(Class::Usage, what).hint("`ip -brief address` shows them"))
        }
        Err(error) => {
            let what = format!("could not find out whether {ip} is an address of this host");
            Err(Problem::new(Class::Host, what).because(error))
        }
    }
}
