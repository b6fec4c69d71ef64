// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln element info`.

use kiln_build::element::dib::deps::OPERATING_SYSTEM;
use kiln_build::element::dib::hooks::Hooks;
use kiln_build::element::dib::{self, Phase};
use kiln_build::element::native;
use serde_json::json;

use crate::args::element::info::Info;
use crate::context::Context;

/// Shows what an element does.
pub(crate) fn run(ctx: &Context, args: &Info) -> anyhow::Result<u8> {
    if !args.dib.is_empty() {
        return of_dib(ctx, args);
    }
    let source = native::find(&args.name)?;
    if ctx.ui.json() {
        let native = source.read()?;
        ctx.ui.result(&json!({
            "name": source.name,
            "summary": native.summary,
            "parameters": native.parameters,
        }));
        return Ok(0);
    }
    source.readme.lines().for_each(|line| ctx.ui.out(line));
    Ok(0)
}

/// Shows an element of diskimage-builder, with all that comes with it.
fn of_dib(ctx: &Context, args: &Info) -> anyhow::Result<u8> {
    let shelf = dib::Shelf::open(&args.dib)?;
    // What makes a system brings its own; all others stand on one.
    let alone = dib::resolve(&shelf, &[args.name.as_str()], &[]);
    let resolved = match alone {
        Ok(resolved) => resolved,
        Err(_) => dib::resolve(&shelf, &[args.name.as_str()], &[OPERATING_SYSTEM])?,
    };
    let hooks = Hooks::of(&resolved)?;
    let with: Vec<_> = resolved
        .elements
        .iter()
        .map(|element| element.name.as_str())
        .filter(|name| *name != args.name)
        .collect();
    let own = resolved.provided.iter().filter(|(_, by)| **by == args.name);
    let provides: Vec<_> = own.map(|(name, _)| name.as_str()).collect();
    let mut scripts = Vec::new();
    for phase in Phase::ALL {
        for (name, hook) in hooks.scripts(phase) {
            if hook.element.name == args.name {
                scripts.push(format!("{}/{name}", phase.folder()));
            }
        }
    }
    if ctx.ui.json() {
        ctx.ui.result(&json!({
            "name": args.name,
            "with": with,
            "provides": provides,
            "scripts": scripts,
            "circles": resolved.circles,
        }));
        return Ok(0);
    }
    for circle in &resolved.circles {
        ctx.ui.warn(format!("these depend on each other in a circle: {}", circle.join(", ")));
    }
    for (title, list) in [("comes with", &with), ("provides", &provides)] {
        if !list.is_empty() {
            ctx.ui.out(format!("{title}: {}", list.join(", ")));
        }
    }
    scripts.iter().for_each(|script| ctx.ui.out(script));
    Ok(0)
}
