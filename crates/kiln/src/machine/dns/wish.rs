// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Machines to be that are to have a name in DNS: checked before anything is made.

use kiln_dns::claim::Claim;
use kiln_libvirt::Connection;
use kiln_spec::interface::{Addressing, InterfaceSpec};
use kiln_spec::{DnsServerName, MachineName};
use uuid::Uuid;

use super::config;
use super::problem::problem;
use super::register::{register, settle};
use crate::context::Context;
use crate::error::{Class, Problem, report};
use crate::machine::existing::Machine;
use crate::machine::forward::gives_out;
use crate::machine::network::USER;
use crate::machine::networks;

/// Has the networks reserve the addresses of machines that are to have a name: it should lead to
/// them tomorrow, too.
///
/// # Errors
///
/// There is user-mode networking only, whose machines nobody else reaches (class usage).
pub(crate) fn at_launch(conn: &Connection, interfaces: &mut [InterfaceSpec]) -> anyhow::Result<()> {
    if interfaces.iter().all(|spec| spec.network == USER) {
        let what = "a machine with user-mode networking has no address for a name in DNS";
        let hint = "name a network of the host: `--network NAME`";
        return Err(Problem::new(Class::Usage, what).hint(hint).into());
    }
    for spec in interfaces {
        if spec.network != USER && spec.addressing == Addressing::Dhcp {
            let ips = networks::find(conn, &spec.network)?.xml()?.ips();
            if ips.iter().any(gives_out) {
                spec.addressing = Addressing::Reserved(None);
            }
        }
    }
    Ok(())
}

/// Checks that names can be taken. A server that is not there is no reason to make no machine.
///
/// # Errors
///
/// The server is not known here, somebody has a name (class object); the server refuses.
pub(crate) fn check(
    ctx: &Context,
    server: &DnsServerName,
    names: &[MachineName],
) -> anyhow::Result<()> {
    let config = config::find(ctx, server.as_str())?;
    let zone = config.zone.to_string().to_ascii_lowercase();
    for name in names {
        let name = config.name_of(name.as_str());
        settle(ctx, (server.as_str(), &name), Uuid::nil());
        let claim = Claim { zone: &zone, name: &name, machine: Uuid::nil(), ttl: config.ttl };
        match claim.check(&config.server()) {
            Ok(()) => {}
            Err(error) if error.is_absence() => {
                ctx.silent.note(server.as_str(), &error);
                return Ok(());
            }
            Err(error) => return Err(problem(server.as_str(), error).into()),
        }
    }
    Ok(())
}

/// Registers a machine that was just made, if it is to be and its address is known. Returns what came
/// of it; `None` if there is nothing to do yet.
pub(crate) fn early(ctx: &Context, machine: &Machine) -> Option<anyhow::Result<Machine>> {
    let server = &machine.dns()?.server;
    let known = !machine.known_addresses().is_empty();
    known.then(|| tried(ctx, machine, server))
}

/// Registers a machine that is to be, unless [`early`] has. Returns it as it is then.
///
/// # Errors
///
/// What did not work: the machine is there all the same.
pub(crate) fn late(
    ctx: &Context,
    machine: Machine,
    early: Option<anyhow::Result<Machine>>,
) -> anyhow::Result<Machine> {
    match (early, machine.dns()) {
        (Some(done), _) => done,
        (None, None) => Ok(machine),
        (None, Some(_)) if machine.outside_addresses().is_empty() => {
            let name = &machine.name;
            let what = format!("`{name}` has no address that is known, and so no name in DNS yet");
            ctx.ui.warn(format!("{what}; `kiln dns update {name}` when it has one"));
            Ok(machine)
        }
        (None, Some(dns)) => tried(ctx, &machine, &dns.server),
    }
}

fn tried(ctx: &Context, machine: &Machine, server: &str) -> anyhow::Result<Machine> {
    register(ctx, &machine.conn, (machine.uuid, server)).map_err(|error| {
        let name = &machine.name;
        let class = report(&error).class;
        let what = format!("`{name}` was made, but not its name in the DNS server `{server}`");
        let again = format!("`kiln dns update {name}` does it when that is mended");
        Problem::new(class, what).hint(again).because(error).into()
    })
}
