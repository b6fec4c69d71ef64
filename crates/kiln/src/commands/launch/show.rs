// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is told of a machine that was launched.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Common, Made};
use crate::commands::start;
use crate::context::Context;
use crate::machine::dns::Dns;
use crate::machine::existing::Machine;
use crate::machine::ready::Ready;
use crate::machine::ssh::Route;
use crate::machine::timings::Timings;
use crate::ui::waterfall;

/// Width of the waterfall.
const WIDTH: usize = 80;

/// Shows a machine: to people, or as the JSON that it returns.
pub(in crate::commands) fn show(common: &Common<'_>, made: &Made) -> anyhow::Result<Option<Value>> {
    if common.ctx.ui.json() { machine_json(common, made).map(Some) } else { tell(common, made) }
}

fn machine_json(
    common: &Common<'_>,
    Made { machine, ready, timings }: &Made,
) -> anyhow::Result<Value> {
    let route = machine.route(common.ctx)?;
    Ok(json!({
        "name": machine.name,
        "uuid": machine.uuid,
        "host": machine.conn.uri().to_string(),
        "image": common.image.name,
        "addresses": machine.addresses(),
        "dns": names_of(machine),
        "ssh": route.as_ref().map(|route| json!({
            "user": route.user,
            "address": route.address,
            "port": route.port,
            "command": route.line(),
        })),
        "ready": ready.as_ref().map(ready_json),
        "timings": timings.json(),
    }))
}

/// Returns what was proven, as JSON.
pub(crate) fn ready_json(ready: &Ready) -> Value {
    json!({
        "agent": ready.agent,
        "cloud_init": ready.cloud_init,
        "ssh": ready.ssh.is_ok(),
        "ssh_why_not": ready.ssh.as_ref().err(),
    })
}

fn tell(
    common: &Common<'_>,
    Made { machine, ready, timings }: &Made,
) -> anyhow::Result<Option<Value>> {
    let ui = &common.ctx.ui;
    if common.args.timings {
        // Of several at once nobody can say whose libvirt's calls were.
        let alone = common.args.no_wait && common.args.count.is_none_or(|count| count == 1);
        show_timings(common.ctx, timings, alone);
    }
    let name = &machine.name;
    let route = machine.route(common.ctx)?;
    if common.args.count.is_some_and(|count| count > 1) {
        ui.say(line_of_many(name, ready.as_ref().map(|_| timings.whole()), route.as_ref()));
        if let Some(ready) = ready {
            tell_ready(common.ctx, name, ready);
        }
        ui.out(name);
        return Ok(None);
    }
    match ready {
        None => ui.say(start::runs(name)),
        Some(ready) => {
            tell_ready(common.ctx, name, ready);
            let secs = Duration::as_secs_f64(&timings.whole());
            ui.say(format!("`{name}` is ready after {secs:.1} s"));
        }
    }
    if let Some(route) = route {
        ui.say(format!("address: {}", shown_address(&route)));
    }
    for name in names_of(machine) {
        ui.say(format!("name: {name}"));
    }
    if ready.is_some() {
        ui.say(format!("log in with: {} ssh {name}", common.ctx.program));
    }
    ui.out(name);
    Ok(None)
}

/// Returns the machine's names in DNS.
fn names_of(machine: &Machine) -> Vec<&str> {
    machine.dns().map(Dns::names).unwrap_or_default()
}

/// Says of one of several machines what became of it.
fn line_of_many(name: &str, ready: Option<Duration>, route: Option<&Route>) -> String {
    let state = ready
        .map_or("runs".to_owned(), |took| format!("is ready after {:.1} s", took.as_secs_f64()));
    let address = route.map(|route| format!(", {}", shown_address(route)));
    format!("`{name}` {state}{}", address.unwrap_or_default())
}

fn shown_address(route: &Route) -> String {
    if route.port == 22 {
        route.address.clone()
    } else {
        format!("{} port {}", route.address, route.port)
    }
}

/// Says what could not be proven.
pub(crate) fn tell_ready(ctx: &Context, name: &str, ready: &Ready) {
    if !ready.agent {
        ctx.ui.warn(format!(
            "no guest agent answers in `{name}`; it is ready by SSH, its host key was taken on first use"
        ));
    }
    if ready.cloud_init == crate::machine::cloud_init::CloudInit::Absent {
        ctx.ui.warn(format!("`{name}` has no cloud-init: name, keys and user-data were not set"));
    }
    if let Err(why) = &ready.ssh {
        ctx.ui.warn(format!("a login to `{name}` was not tried: {why}"));
    }
}

/// Draws the waterfall, and with `parts` what of it was Kiln's own.
pub(crate) fn show_timings(ctx: &Context, timings: &Timings, parts: bool) {
    waterfall(timings.phases(), WIDTH).iter().for_each(|line| ctx.ui.say(line));
    if parts {
        let own = timings.whole().saturating_sub(timings.in_libvirt());
        ctx.ui.say(format!(
            "of that in libvirt's calls {:.1} ms, Kiln itself {:.1} ms",
            timings.in_libvirt().as_secs_f64() * 1000.0,
            own.as_secs_f64() * 1000.0
        ));
    }
}
