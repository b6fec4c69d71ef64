// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln network list`.

use serde_json::json;

use crate::context::Context;
use crate::machine::{host, networks};
use crate::ui::Table;

/// Lists the host's networks.
pub(crate) fn run(ctx: &Context) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let mut found = conn.networks()?;
    found.sort_by(|a, b| a.name().cmp(b.name()));
    let mut table = Table::new(&["NAME", "STATE", "MODE", "BRIDGE", "SUBNET", "AUTOSTART"]);
    let mut all = Vec::new();
    for network in &found {
        let view = match network.xml() {
            // Removed between the listing and now.
            Err(error) if error.is_not_found() => continue,
            other => other?,
        };
        let active = network.is_active()?;
        let autostart = network.autostart().unwrap_or(false);
        let nets: Vec<String> =
            view.ips().iter().filter_map(|ip| Some(ip.net()?.to_string())).collect();
        all.push(json!({
            "name": network.name(),
            "active": active,
            "autostart": autostart,
            "mode": networks::mode(&view),
            "bridge": view.bridge(),
            "device": view.device(),
            "subnets": nets,
            "made_by_kiln": view.metadata().is_some(),
        }));
        table.row(vec![
            network.name().to_owned(),
            if active { "active" } else { "inactive" }.to_owned(),
            networks::mode(&view),
            view.bridge().or(view.device()).unwrap_or_default(),
            nets.join(", "),
            if autostart { "yes" } else { "no" }.to_owned(),
        ]);
    }
    if ctx.ui.json() {
        ctx.ui.result(&json!({ "host": conn.uri().to_string(), "networks": all }));
    } else if all.is_empty() {
        ctx.ui.say(format!("no networks on {}; `kiln network create NAME` makes one", conn.uri()));
    } else {
        table.lines().iter().for_each(|line| ctx.ui.out(line));
    }
    Ok(0)
}
