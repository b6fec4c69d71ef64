// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln network create`.

use kiln_libvirt::Connection;
use kiln_libvirt::network::element;
use kiln_libvirt::xml::Element;
use kiln_spec::network::{NetworkMode, NetworkSpec};
use serde_json::json;
use uuid::Uuid;

use crate::args::network::create::{Create, Mode, Subnet};
use crate::context::Context;
use crate::error::{Class, Problem};
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
    networks::check_host(&conn, &spec)?;
    let uuid = Uuid::now_v7();
    for attempt in 1.. {
        let taken = networks::taken(&conn)?;
        if chosen {
            spec.ipv4 = Some(networks::choose(&taken)?);
            checked(&mut spec, args)?;
        }
        let nets = [spec.ipv4.map(Into::into), spec.ipv6.map(Into::into)];
        nets.into_iter().flatten().try_for_each(|net| networks::check_free(net, &taken))?;
        let xml = element(&spec, uuid, &networks::mark(None));
        if args.dry_run {
            networks::refuse_taken(&conn, &spec)?;
            would(ctx, &spec, &xml);
            return Ok(0);
        }
        match networks::make(ctx, &conn, (uuid, &spec, &xml), !args.no_autostart) {
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

/// Whether somebody else has addresses of the network by now.
fn is_taken(conn: &Connection, spec: &NetworkSpec) -> bool {
    let taken = networks::taken(conn).unwrap_or_default();
    spec.ipv4.is_some_and(|net| networks::check_free(net.into(), &taken).is_err())
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
