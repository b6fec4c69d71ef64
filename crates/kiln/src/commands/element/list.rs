// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln element list`.

use kiln_build::element::{dib, native};
use serde_json::json;

use crate::args::element::list::List;
use crate::context::Context;
use crate::ui::Table;

/// Lists elements.
pub(crate) fn run(ctx: &Context, args: &List) -> anyhow::Result<u8> {
    if !args.dib.is_empty() {
        return of_dib(ctx, args);
    }
    let mut all = Vec::new();
    for source in native::ELEMENTS {
        all.push((source.name, source.read()?.summary));
    }
    if ctx.ui.json() {
        let all: Vec<_> =
            all.iter().map(|(name, what)| json!({ "name": name, "summary": what })).collect();
        ctx.ui.result(&json!({ "elements": all }));
        return Ok(0);
    }
    let mut table = Table::new(&["NAME", "WHAT"]);
    for (name, what) in all {
        table.row(vec![name.to_owned(), what]);
    }
    table.lines().iter().for_each(|line| ctx.ui.out(line));
    Ok(0)
}

fn of_dib(ctx: &Context, args: &List) -> anyhow::Result<u8> {
    let shelf = dib::Shelf::open(&args.dib)?;
    for hidden in &shelf.hidden {
        ctx.ui.detail(format!("hidden by one of the same name: {}", hidden.path.display()));
    }
    if ctx.ui.json() {
        let all: Vec<_> = shelf.iter().map(|e| json!({ "name": e.name, "path": e.path })).collect();
        ctx.ui.result(&json!({ "elements": all }));
        return Ok(0);
    }
    shelf.iter().for_each(|element| ctx.ui.out(&element.name));
    Ok(0)
}
