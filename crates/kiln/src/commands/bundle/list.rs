// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln bundle list`.

use serde_json::json;

use crate::context::Context;
use crate::ui::Table;

/// Lists the bundles that are kept under a name.
pub(crate) fn run(ctx: &Context) -> anyhow::Result<u8> {
    let bundles = super::shelf(ctx)?.list()?;
    if ctx.ui.json() {
        let all: Vec<_> = bundles
            .iter()
            .map(|b| json!({ "name": b.name(), "path": b.path, "manifest": b.manifest }))
            .collect();
        ctx.ui.result(&json!({ "bundles": all }));
        return Ok(0);
    }
    if bundles.is_empty() {
        ctx.ui.say("there are none; `kiln bundle create SOURCE` makes one");
        return Ok(0);
    }
    let mut table = Table::new(&["NAME", "OS", "KERNEL", "TREE", "ON DISK", "DIGEST"]);
    for bundle in &bundles {
        let Some(m) = &bundle.manifest else {
            table.row(vec![bundle.name()]);
            continue;
        };
        table.row(vec![
            m.name.escape_debug().to_string(),
            m.os.pretty_name.clone(),
            m.kernel.clone().unwrap_or_default(),
            m.tree_bytes.to_string(),
            m.file_size.to_string(),
            m.digest.short().to_owned(),
        ]);
    }
    table.lines().iter().for_each(|line| ctx.ui.out(line));
    Ok(0)
}
