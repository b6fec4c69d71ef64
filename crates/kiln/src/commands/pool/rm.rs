// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln pool rm`.

use serde_json::json;

use crate::args::pool::rm::Rm;
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::{host, pools};

/// Takes pools out of use.
pub(crate) fn run(ctx: &Context, args: &Rm) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let mut found = Vec::new();
    // Refused before the first is touched.
    for name in &args.names {
        let pool = pools::find(&conn, name)?;
        let view = pool.xml()?;
        let users = pools::machines_in(&conn, &pool, &view)?;
        if !users.is_empty() {
            let names: Vec<String> = users.iter().map(|name| format!("`{name}`")).collect();
            let what = format!("the pool `{name}` has volumes of {}", names.join(", "));
            return Err(Problem::new(Class::Object, what).hint("remove the machines first").into());
        }
        let problem = || Problem::new(Class::Tool, format!("libvirt names no UUID of `{name}`"));
        let uuid = view.uuid().ok_or_else(problem)?;
        let count = if pool.is_active()? { pool.volumes()?.len() } else { 0 };
        let place =
            view.target_path().or(view.rbd().map(|rbd| format!("the Ceph pool {}", rbd.pool)));
        let secret = pools::secret_of(&conn, name, &view)?;
        found.push((name, uuid, count, (place.unwrap_or_default(), secret)));
    }
    let mut removed = Vec::new();
    for (name, uuid, count, (place, secret)) in found {
        let stay = match count {
            0 => String::new(),
            _ => format!("; its {count} volumes stay in {place}"),
        };
        if args.dry_run {
            if !ctx.ui.json() {
                ctx.ui.out(format!("pool `{name}`{stay}"));
            }
        } else {
            pools::remove(ctx, &conn, (name, uuid, false), secret)?;
            ctx.ui.say(format!("removed the pool `{name}`{stay}"));
        }
        removed.push(json!({ "name": name, "volumes_left": count, "folder": place }));
    }
    if ctx.ui.json() {
        let word = if args.dry_run { "would_remove" } else { "removed" };
        ctx.ui.result(&json!({ word: removed }));
    }
    Ok(0)
}
