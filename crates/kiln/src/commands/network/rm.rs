// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln network rm`.

use kiln_libvirt::Connection;
use kiln_libvirt::network::Network;
use serde_json::json;
use uuid::Uuid;

use crate::args::network::rm::Rm;
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::undo::{self, Undo};
use crate::machine::{host, networks};

/// Removes networks.
pub(crate) fn run(ctx: &Context, args: &Rm) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let mut found = Vec::new();
    // Refused before the first is touched.
    for name in &args.names {
        let network = networks::find(&conn, name)?;
        let uuid = check(&conn, &network, args.foreign)?;
        found.push((network, uuid));
    }
    let mut removed = Vec::new();
    for (network, uuid) in found {
        let name = network.name().to_owned();
        if args.dry_run {
            if !ctx.ui.json() {
                ctx.ui.out(format!("network `{name}`"));
            }
        } else {
            let uri = conn.uri().to_string();
            undo::remove(ctx, &conn, Undo::Network { uri, uuid, name: name.clone() })?;
            ctx.ui.say(format!("removed the network `{name}`"));
        }
        removed.push(name);
    }
    if ctx.ui.json() {
        let word = if args.dry_run { "would_remove" } else { "removed" };
        ctx.ui.result(&json!({ word: removed }));
    }
    Ok(0)
}

/// Refuses one that is somebody's, or that machines need; returns its UUID.
fn check(conn: &Connection, network: &Network, foreign: bool) -> anyhow::Result<Uuid> {
    let (name, view) = (network.name(), network.xml()?);
    if view.metadata().is_none() && !foreign {
        let problem =
            Problem::new(Class::Object, format!("kiln did not make the network `{name}`"));
        return Err(problem.hint("`--foreign` removes it all the same").into());
    }
    let on_it = networks::attached(conn, name)?;
    if !on_it.is_empty() {
        let names: Vec<String> = on_it.iter().map(|m| format!("`{}`", m.name)).collect();
        let what = format!("the network `{name}` is that of {}", names.join(", "));
        return Err(Problem::new(Class::Object, what).hint("remove the machines first").into());
    }
    let problem = || Problem::new(Class::Tool, format!("libvirt names no UUID of `{name}`"));
    Ok(view.uuid().ok_or_else(problem)?)
}
