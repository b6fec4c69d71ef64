// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln pool list`.

use serde_json::json;

use crate::context::Context;
use crate::machine::{host, pools};
use crate::ui::Table;

/// Lists the host's pools. None of them is refreshed: one that hangs stops nobody.
pub(crate) fn run(ctx: &Context) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let mut found = conn.pools()?;
    found.sort_by(|a, b| a.name().cmp(b.name()));
    let mut table = Table::new(&["NAME", "STATE", "TYPE", "CAPACITY", "FREE", "WHERE"]);
    let mut all = Vec::new();
    for pool in &found {
        let (view, info) = match (pool.xml(), pool.info()) {
            (Ok(view), Ok(info)) => (view, info),
            // Removed between the listing and now.
            (Err(error), _) | (_, Err(error)) if error.is_not_found() => continue,
            (Err(error), _) | (_, Err(error)) => return Err(error.into()),
        };
        let active = pool.is_active()?;
        all.push(pools::json(pool)?);
        let size = |size: kiln_spec::Bytes| if active { size.to_string() } else { String::new() };
        table.row(vec![
            pool.name().to_owned(),
            if active { "active" } else { "inactive" }.to_owned(),
            view.kind().unwrap_or_default(),
            size(info.capacity),
            size(info.available),
            view.target_path().or(view.source_name()).unwrap_or_default(),
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
