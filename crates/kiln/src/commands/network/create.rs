// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln network create`.

use std::path::Path;

use kiln_libvirt::network::element;
use kiln_libvirt::xml::Element;
use kiln_libvirt::{Connection, Error};
use kiln_spec::network::{NetworkMode, NetworkSpec};
use serde_json::json;
use uuid::Uuid;

use crate::args::network::create::{Create, Mode, Subnet};
use crate::context::{Context, unix_secs};
use crate::error::{Class, Problem};
use crate::machine::undo::{self, Undo};
use crate::machine::{host, networks};

/// How often other addresses are chosen when somebody else was faster.
const TRIES: usize = 5;

/// Makes a network.
pub(crate) fn run(ctx: &Context, args: &Create) -> anyhow::Result<u8> {
    let mut spec = wanted(args);
    let chosen = args.subnet.is_none() && spec.mode.is_libvirts();
    if !chosen {
        checked(&mut spec, args)?;
    }
    let conn = host::connect(ctx)?;
    if conn.is_session() && spec.mode.is_libvirts() {
        let what = "a session may not make bridges, and so no networks of its own";
        let hint = "as root, or in the group libvirt: `-c qemu:///system`";
        return Err(Problem::new(Class::Host, what).hint(hint).into());
    }
    if conn.is_local() {
        device_is_there(&spec)?;
    }
    let uuid = Uuid::now_v7();
    for attempt in 1.. {
        let taken = networks::taken(&conn)?;
        if chosen {
            spec.ipv4 = Some(networks::choose(&taken)?);
            checked(&mut spec, args)?;
        }
        let nets = [spec.ipv4.map(Into::into), spec.ipv6.map(Into::into)];
        nets.into_iter().flatten().try_for_each(|net| networks::check_free(net, &taken))?;
        let xml = element(&spec, uuid, &mark());
        if args.dry_run {
            refuse_taken(&conn, &spec)?;
            would(ctx, &spec, &xml);
            return Ok(0);
        }
        match make(ctx, &conn, (uuid, &spec, &xml), !args.no_autostart) {
            // The addresses were taken between the look and the start.
            Err(_) if chosen && attempt < TRIES && is_taken(&conn, &spec) => {}
            other => {
                other?;
                break;
            }
        }
    }
    show(ctx, &conn, &spec)
}

/// Refuses an interface that the host does not have: libvirt would say so only when a machine
/// starts. Of another host only libvirt knows.
fn device_is_there(spec: &NetworkSpec) -> Result<(), Problem> {
    let (device, what, is_it) = match &spec.mode {
        NetworkMode::Bridge(device) => (device, "bridge", "bridge"),
        NetworkMode::Macvtap(device) => (device, "interface", ""),
        _ => return Ok(()),
    };
    if Path::new("/sys/class/net").join(device.as_str()).join(is_it).exists() {
        return Ok(());
    }
    let problem = Problem::new(Class::Object, format!("the host has no {what} `{device}`"));
    Err(problem.hint("`ip link` shows what there is"))
}

fn wanted(args: &Create) -> NetworkSpec {
    let mode = match (&args.bridge, &args.macvtap) {
        (Some(bridge), _) => NetworkMode::Bridge(bridge.clone()),
        (_, Some(device)) => NetworkMode::Macvtap(device.clone()),
        _ => match args.mode {
            Mode::Nat => NetworkMode::Nat,
            Mode::Routed => NetworkMode::Routed,
            Mode::Isolated => NetworkMode::Isolated,
            Mode::Open => NetworkMode::Open,
        },
    };
    NetworkSpec {
        name: args.name.clone(),
        mode,
        ipv4: match args.subnet {
            Some(Subnet::Net(net)) => Some(net),
            _ => None,
        },
        dhcp: args.dhcp,
        ipv6: args.subnet6,
        domain: args.domain.clone(),
        hosts: args.dns_host.clone(),
    }
}

/// Fills in the usual range of DHCP, and checks the whole.
fn checked(spec: &mut NetworkSpec, args: &Create) -> Result<(), Problem> {
    if !args.no_dhcp && args.dhcp.is_none() {
        // A net that is too small is refused by the check.
        let usual = spec.ipv4.filter(|net| net.prefix_len() < 31);
        spec.dhcp = usual.map(NetworkSpec::usual_range);
    }
    spec.check().map_err(|error| Problem::new(Class::Usage, error.to_string()))
}

/// What Kiln is to know the network by.
fn mark() -> Element {
    let made = Element::new("made").attr("at", unix_secs()).attr("by", env!("CARGO_PKG_VERSION"));
    Element::new("network").child(made)
}

fn already(spec: &NetworkSpec) -> Problem {
    let what = format!("the host has a network `{}` already", spec.name);
    Problem::new(Class::Object, what).hint("choose another name, or `kiln network rm` it")
}

fn refuse_taken(conn: &Connection, spec: &NetworkSpec) -> anyhow::Result<()> {
    match conn.network(spec.name.as_str()) {
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(already(spec).into()),
    }
}

/// Whether somebody else has addresses of the network by now.
fn is_taken(conn: &Connection, spec: &NetworkSpec) -> bool {
    let taken = networks::taken(conn).unwrap_or_default();
    spec.ipv4.is_some_and(|net| networks::check_free(net.into(), &taken).is_err())
}

/// Defines and starts it; undone as a whole if one of the steps fails.
fn make(
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

fn would(ctx: &Context, spec: &NetworkSpec, xml: &Element) {
    if ctx.ui.json() {
        ctx.ui
            .result(&json!({ "would": { "create": spec.name.as_str(), "xml": xml.to_string() } }));
    } else {
        ctx.ui.out(format!("make and start the network `{}`", spec.name));
        ctx.ui.out(xml.to_string());
    }
}

fn show(ctx: &Context, conn: &Connection, spec: &NetworkSpec) -> anyhow::Result<u8> {
    if ctx.ui.json() {
        let network = networks::find(conn, spec.name.as_str())?;
        ctx.ui.result(&super::info::Known::of(conn, &network)?.json());
        return Ok(0);
    }
    ctx.ui.say(format!("network `{}` is up", spec.name));
    if let Some(net) = spec.ipv4 {
        let gateway = spec.gateway().map_or_else(String::new, |ip| format!("; the host is {ip}"));
        ctx.ui.say(format!("addresses: {net}{gateway}"));
    }
    ctx.ui.out(spec.name.as_str());
    Ok(0)
}
