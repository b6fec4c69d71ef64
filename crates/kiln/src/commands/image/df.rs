// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image df`.

use kiln_guest::tree::Usage;
use kiln_spec::Bytes;
use serde_json::json;

use super::{names, open};
use crate::args::image::df::Df;
use crate::context::Context;
use crate::ui::Table;

/// Shows how full the file systems are.
pub(crate) fn run(ctx: &Context, args: &Df) -> anyhow::Result<u8> {
    let mut guest = open::guest_reading(ctx, &args.source)?;
    let all = guest.tree().usage()?;
    if ctx.ui.json() {
        let all: Vec<_> = all.iter().map(as_json).collect();
        ctx.ui.result(&json!({ "file_systems": all }));
        return Ok(0);
    }
    let mut table = Table::new(&["MOUNTED ON", "SOURCE", "TYPE", "SIZE", "USED", "FREE", "USE%"]);
    for usage in &all {
        let used = Bytes(usage.size.0.saturating_sub(usage.free.0));
        table.row(vec![
            usage.mounted_on.to_string(),
            usage.source.clone(),
            usage.fs.clone(),
            usage.size.to_string(),
            used.to_string(),
            usage.free.to_string(),
            format!("{}%", (used.0 * 100).checked_div(usage.size.0).unwrap_or(0)),
        ]);
    }
    table.lines().iter().for_each(|line| ctx.ui.out(line));
    Ok(0)
}

fn as_json(usage: &Usage) -> serde_json::Value {
    let mut value = json!({});
    names::put(&mut value, "mounted_on", usage.mounted_on.as_bytes());
    value["source"] = json!(usage.source);
    value["type"] = json!(usage.fs);
    value["size"] = json!(usage.size);
    value["free"] = json!(usage.free);
    value["inodes"] = json!(usage.inodes);
    value["free_inodes"] = json!(usage.free_inodes);
    value
}
