// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln template list`.

use serde_json::{Value, json};

use crate::args::template::list::List;
use crate::context::Context;
use crate::machine::templates::{MadeOf, Template};
use crate::machine::{host, pools, templates};
use crate::ui::Table;

/// Lists the templates of a pool, each with what hangs on it.
pub(crate) fn run(ctx: &Context, args: &List) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let pool = pools::find(&conn, &args.pool)?;
    let all = if pool.is_active()? { templates::all(ctx, &conn, &pool)? } else { Vec::new() };
    if ctx.ui.json() {
        let all: Value = all.iter().map(Template::json).collect();
        ctx.ui.result(&json!({ "pool": args.pool, "templates": all }));
        return Ok(0);
    }
    if all.is_empty() {
        let what = format!("no templates in the pool `{}`", args.pool);
        ctx.ui.say(format!("{what}; `kiln template create MACHINE NAME` makes one"));
        return Ok(0);
    }
    let mut table = Table::new(&["TEMPLATE", "SIZE", "TAKES", "MADE OF"]);
    for one in &all {
        let name = one.full_name();
        table.row(vec![name, one.capacity.to_string(), one.allocation.to_string(), made_of(one)]);
        for (n, clone) in one.clones.iter().enumerate() {
            let branch = if n + 1 == one.clones.len() { "└─" } else { "├─" };
            // What was made of this clone is a template again.
            let of_it = all.iter().filter(|other| is_made_of(other, clone));
            let more: Vec<String> = of_it.map(Template::full_name).collect();
            let made =
                if more.is_empty() { String::new() } else { format!("of it: {}", more.join(", ")) };
            table.row(vec![format!("{branch} {clone}"), String::new(), String::new(), made]);
        }
    }
    table.lines().iter().for_each(|line| ctx.ui.out(line));
    Ok(0)
}

/// Returns what a template was made of, for people.
pub(super) fn made_of(template: &Template) -> String {
    match template.facts.as_ref().map(|facts| &facts.made) {
        Some(MadeOf::Machine { name, .. }) => format!("machine {name}"),
        Some(MadeOf::Image { name, .. }) => format!("image {name}"),
        None => format!("image {}", template.name),
    }
}

fn is_made_of(template: &Template, machine: &str) -> bool {
    let made = template.facts.as_ref().map(|facts| &facts.made);
    matches!(made, Some(MadeOf::Machine { name, .. }) if name == machine)
}
