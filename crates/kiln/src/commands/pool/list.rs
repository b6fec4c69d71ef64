// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln pool list`.

use kiln_libvirt::storage::PoolInfo;
use kiln_spec::Bytes;
use serde_json::json;

use crate::context::Context;
use crate::machine::host;
use crate::machine::pools::Summary;
use crate::ui::Table;

/// Lists the host's pools. None of them is refreshed: one that hangs stops nobody.
pub(crate) fn run(ctx: &Context) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let mut found = conn.pools()?;
    found.sort_by(|a, b| a.name().cmp(b.name()));
    let mut table = Table::new(&["NAME", "STATE", "TYPE", "CAPACITY", "FREE", "WHERE"]);
    let mut all = Vec::new();
    for pool in &found {
        let summary = match Summary::of(pool) {
            // Removed between the listing and now.
            Err(error) if error.is_not_found() => continue,
            other => other?,
        };
        all.push(summary.json());
        let size = |of: fn(&PoolInfo) -> Bytes| {
            summary.room.as_ref().map_or_else(String::new, |room| of(room).to_string())
        };
        table.row(vec![
            summary.name.clone(),
            summary.state().to_owned(),
            summary.view.kind().unwrap_or_default(),
            size(|room| room.capacity),
            size(|room| room.available),
            summary.place().unwrap_or_default(),
        ]);
    }
    if ctx.ui.json() {
        ctx.ui.result(&json!({ "host": conn.uri().to_string(), "pools": all }));
    } else if all.is_empty() {
        ctx.ui.say(format!(
            "no pools on {}; `kiln pool create NAME --dir FOLDER` makes one",
            conn.uri()
        ));
    } else {
        table.lines().iter().for_each(|line| ctx.ui.out(line));
    }
    Ok(0)
}
