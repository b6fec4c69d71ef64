// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln template rm`.

use serde_json::json;

use crate::args::template::rm::Rm;
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::templates::Template;
use crate::machine::{host, pools, template, templates};

/// Removes templates.
pub(crate) fn run(ctx: &Context, args: &Rm) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let pool = pools::find(&conn, &args.pool)?;
    let mut found = Vec::new();
    // Refused before the first is touched.
    for name in &args.names {
        let one = templates::find(ctx, &conn, &pool, name)?;
        if !one.clones.is_empty() {
            return Err(in_use(&one).into());
        }
        found.push(one);
    }
    for one in &found {
        if !args.dry_run {
            template::remove(ctx, &conn, &pool, &one.volume)?;
            ctx.ui.say(format!("removed the template `{}`", one.full_name()));
        } else if !ctx.ui.json() {
            ctx.ui.out(format!("template `{}` ({})", one.full_name(), one.volume.name));
        }
    }
    if ctx.ui.json() {
        let word = if args.dry_run { "would_remove" } else { "removed" };
        let all: Vec<String> = found.iter().map(Template::full_name).collect();
        ctx.ui.result(&json!({ word: all }));
    }
    Ok(0)
}

fn in_use(one: &Template) -> Problem {
    let names: Vec<String> = one.clones.iter().map(|name| format!("`{name}`")).collect();
    let what = format!("on the template `{}` hang {}", one.full_name(), names.join(", "));
    Problem::new(Class::Object, what).hint("remove them first")
}
