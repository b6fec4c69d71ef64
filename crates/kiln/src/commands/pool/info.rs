// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln pool info`.

use kiln_libvirt::domain::RbdHost;

use crate::args::pool::info::Info;
use crate::context::Context;
use crate::machine::existing::Machine;
use crate::machine::pools::Summary;
use crate::machine::{host, pools};
use crate::ui::Table;

/// Shows a pool.
pub(crate) fn run(ctx: &Context, args: &Info) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let pool = pools::find(&conn, &args.name)?;
    if args.xml {
        ctx.ui.xml(&pool.xml()?.0);
        return Ok(0);
    }
    let summary = Summary::of(&pool)?;
    let volumes = match summary.active {
        true => pools::volumes(ctx, &pool, &Machine::all(&conn)?)?,
        false => Vec::new(),
    };
    if ctx.ui.json() {
        let mut json = summary.json();
        json["volumes"] = volumes.iter().map(pools::Held::json).collect();
        ctx.ui.result(&json);
        return Ok(0);
    }
    let line = |name: &str, value: String| ctx.ui.out(format!("{name:<12}{value}"));
    line("name", summary.name.clone());
    let with_host = if summary.autostart { ", taken into use with the host" } else { "" };
    line("state", format!("{}{with_host}", summary.state()));
    line("type", summary.view.kind().unwrap_or_default());
    if let Some(place) = summary.place() {
        line("where", place);
    }
    if let Some(rbd) = summary.view.rbd() {
        rbd.hosts.iter().for_each(|host| line("monitor", shown(host)));
        if let Some(auth) = rbd.auth {
            line("user", format!("client.{}", auth.user));
        }
    }
    let Some(room) = &summary.room else { return Ok(0) };
    line("capacity", room.capacity.to_string());
    line("used", room.allocation.to_string());
    line("free", room.available.to_string());
    if volumes.is_empty() {
        return Ok(0);
    }
    ctx.ui.out("");
    let mut table = Table::new(&["VOLUME", "FORMAT", "SIZE", "TAKES", "OVER", "USED BY"]);
    for held in &volumes {
        table.row(vec![
            held.name.clone(),
            held.format.clone(),
            held.capacity.to_string(),
            held.allocation.to_string(),
            held.over.clone().unwrap_or_default(),
            held.users().join(", "),
        ]);
    }
    table.lines().iter().for_each(|line| ctx.ui.out(line));
    Ok(0)
}

fn shown(host: &RbdHost) -> String {
    let name = if host.name.contains(':') { format!("[{}]", host.name) } else { host.name.clone() };
    host.port.map_or(name.clone(), |port| format!("{name}:{port}"))
}
