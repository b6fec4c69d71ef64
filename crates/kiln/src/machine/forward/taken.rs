// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who has which port of the host.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use kiln_host::listeners::{self, Listener};
use kiln_libvirt::Connection;
use kiln_spec::forward::Protocol;
use uuid::Uuid;

use super::Way;
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::existing::Machine;
use crate::machine::meta::{Forward, Meta};

/// The lowest port that everybody may open: ip(7), sysctl `ip_unprivileged_port_start`.
const UNPRIVILEGED: &str = "/proc/sys/net/ipv4/ip_unprivileged_port_start";

/// Refuses ports that a machine's forward or a listener of the host has; `of` is the machine that
/// they are to lead to, if it is there, and those that are `leaving` have none any more.
///
/// # Errors
///
/// Class object, with whose it is; class usage for one that is asked for twice; class host for
/// one that this user may not open.
pub(crate) fn check_free(
    ctx: &Context,
    conn: &Connection,
    (wanted, way): (&[Forward], Way),
    (of, leaving): (Option<Uuid>, &[String]),
) -> anyhow::Result<()> {
    for (n, forward) in wanted.iter().enumerate() {
        if wanted[..n].iter().any(|other| other.clashes(forward)) {
            let what = format!("the host's port {forward} is asked for twice");
            return Err(Problem::new(Class::Usage, what).into());
        }
    }
    let mut theirs = Vec::new();
    for machine in Machine::ours(conn)? {
        let Some(meta) = &machine.meta else { continue };
        if leaving.contains(&machine.name) {
            theirs.extend(meta.forwards.clone());
            continue;
        }
        let same = of == Some(machine.uuid);
        wanted.iter().try_for_each(|forward| clash(forward, &machine.name, meta, same))?;
    }
    if !conn.is_local() {
        return Ok(());
    }
    if way == Way::Passt {
        wanted.iter().try_for_each(|forward| may_open(ctx, forward))?;
    }
    let all = listeners::all();
    // Passt listens for a machine as long as that runs.
    let left = wanted.iter().filter(|forward| !theirs.iter().any(|own| own.clashes(forward)));
    left.into_iter().try_for_each(|forward| listened(forward, &all))?;
    Ok(())
}

/// Refuses to start a machine whose forwards passt could not make, because somebody else listens
/// there now: passt's own error names no port.
///
/// # Errors
///
/// Class object, with the port.
pub(crate) fn check_start(machine: &str, forwards: &[Forward]) -> Result<(), Problem> {
    let all = listeners::all();
    for forward in forwards {
        if let Err(problem) = listened(forward, &all) {
            let (port, protocol) = (forward.port, forward.protocol);
            let hint = format!("or do without it: `kiln forward rm {machine} {port}/{protocol}`");
            return Err(problem.hint(hint));
        }
    }
    Ok(())
}

/// Refuses what a machine has. The one for SSH counts, too.
fn clash(forward: &Forward, name: &str, meta: &Meta, same: bool) -> Result<(), Problem> {
    let ssh = meta.ssh_port.map(|port| Forward {
        protocol: Protocol::Tcp,
        listen: Some(Ipv4Addr::LOCALHOST.into()),
        port,
        to: 22,
    });
    let Some(other) = meta.forwards.iter().chain(&ssh).find(|other| other.clashes(forward)) else {
        return Ok(());
    };
    let what = format!("the host's port {other} leads to port {} of `{name}` already", other.to);
    let problem = Problem::new(Class::Object, what);
    let rm = format!("`kiln forward rm {name} {}/{}`", other.port, other.protocol);
    Err(if Some(other) == ssh.as_ref() {
        problem.hint("that is how `kiln ssh` reaches it; choose another port")
    } else if same {
        problem.hint(format!("to change it: {rm}"))
    } else {
        problem.hint(format!("choose another port, or: {rm}"))
    })
}

fn listened(forward: &Forward, all: &[Listener]) -> Result<(), Problem> {
    let overlaps = |address: IpAddr| {
        address.is_unspecified() || forward.listen.is_none_or(|listen| listen == address)
    };
    let same = |l: &&Listener| l.protocol == forward.protocol && l.port == forward.port;
    let Some(other) = all.iter().filter(same).find(|l| overlaps(l.address)) else {
        return Ok(());
    };
    let (port, protocol) = (forward.port, forward.protocol);
    let on = if other.address.is_unspecified() {
        "all addresses".to_owned()
    } else {
        other.address.to_string()
    };
    let what = format!("port {port}/{protocol} is taken: a program of the host listens on {on}");
    let flag = if protocol == Protocol::Tcp { "t" } else { "u" };
    let or = if forward.listen.is_none() && !other.address.is_unspecified() {
        ", or one address of the host by `--listen`"
    } else {
        ""
    };
    let hint =
        format!("choose another port{or}; `sudo ss -ln{flag}p 'sport = :{port}'` shows who it is");
    Err(Problem::new(Class::Object, what).hint(hint))
}

fn may_open(ctx: &Context, forward: &Forward) -> Result<(), Problem> {
    if ctx.root {
        return Ok(());
    }
    let text = fs::read_to_string(UNPRIVILEGED).unwrap_or_default();
    let least: u16 = text.trim().parse().unwrap_or(1024);
    if forward.port >= least {
        return Ok(());
    }
    let what = format!("only root may open port {}: it is below {least}", forward.port);
    let hint = format!("choose {least} or more; a session's forwards are its user's");
    Err(Problem::new(Class::Host, what).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forward(spec: &str, listen: Option<&str>) -> Forward {
        Forward::new(spec.parse().unwrap(), listen.map(|ip| ip.parse().unwrap()))
    }

    #[test]
    fn listeners_are_in_the_way_where_addresses_overlap() {
        let on = |ip: &str, port| Listener {
            protocol: Protocol::Tcp,
            address: ip.parse().unwrap(),
            port,
        };
        let all = [on("127.0.0.1", 80), on("::", 443)];
        let said = |spec: &str, listen| {
            listened(&forward(spec, listen), &all).map_err(|problem| problem.to_string())
        };
        let taken = |port: &str, on: &str| {
            Err(format!("port {port} is taken: a program of the host listens on {on}"))
        };
        assert_eq!(said("80:80", None), taken("80/tcp", "127.0.0.1"));
        assert_eq!(said("80:80", Some("10.0.0.1")), Ok(()));
        assert_eq!(said("80:80/udp", None), Ok(()));
        assert_eq!(said("443:80", Some("10.0.0.1")), taken("443/tcp", "all addresses"));
    }

    #[test]
    fn a_machines_own_ports_are_in_the_way() {
        let meta = crate::machine::meta::tests::sample();
        let said = |spec: &str| {
            clash(&forward(spec, None), "web1", &meta, false).map_err(|p| p.to_string())
        };
        let leads = |port: &str, to| {
            Err(format!("the host's port {port} leads to port {to} of `web1` already"))
        };
        assert_eq!(said("8080:81"), leads("8080/tcp", 80));
        assert_eq!(said("53:53/udp"), leads("192.168.1.5:53/udp", 5353));
        assert_eq!(said("20022:22"), leads("127.0.0.1:20022/tcp", 22));
        assert_eq!(said("8081:80"), Ok(()));
    }
}
