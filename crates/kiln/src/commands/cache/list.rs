// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln cache list`.

use std::time::UNIX_EPOCH;

use kiln_spec::Bytes;
use kiln_spec::time::rfc3339;
use serde_json::json;

use crate::context::Context;
use crate::ui::Table;

/// Lists the layers of builds.
pub(crate) fn run(ctx: &Context) -> anyhow::Result<u8> {
    let cache = super::existing(ctx)?;
    let mut layers = cache.map_or(Ok(Vec::new()), |cache| cache.list())?;
    layers.sort_by_key(|layer| std::cmp::Reverse(layer.used));
    if ctx.ui.json() {
        let all: Vec<_> = layers
            .iter()
            .map(|layer| {
                json!({
                    "digest": layer.digest,
                    "step": layer.name,
                    "bytes": layer.bytes,
                    "parent": layer.parent,
                    "used": rfc3339(layer.used),
                })
            })
            .collect();
        ctx.ui.result(&json!({ "layers": all }));
        return Ok(0);
    }
    if layers.is_empty() {
        ctx.ui.say("there are none; `kiln build` makes them");
        return Ok(0);
    }
    let mut table = Table::new(&["DIGEST", "STEP", "SIZE", "USED", "BELOW"]);
    for layer in &layers {
        table.row(vec![
            layer.digest.short().to_owned(),
            layer.name.escape_debug().to_string(),
            layer.bytes.to_string(),
            if layer.used == UNIX_EPOCH { String::new() } else { rfc3339(layer.used) },
            layer.parent.as_ref().map_or(String::new(), |parent| parent.short().to_owned()),
        ]);
    }
    table.lines().iter().for_each(|line| ctx.ui.out(line));
    let all = layers.iter().map(|layer| layer.bytes.0).sum();
    ctx.ui.say(format!("{} layers, {}", layers.len(), Bytes(all)));
    Ok(0)
}
