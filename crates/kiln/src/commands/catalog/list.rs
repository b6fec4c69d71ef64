// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln catalog list`.

use kiln_build::catalog::Trust;
use serde_json::json;

use super::read;
use crate::context::Context;
use crate::ui::Table;

/// Lists the catalogs.
pub(crate) fn run(ctx: &Context) -> anyhow::Result<u8> {
    let sources = read::sources(ctx);
    if ctx.ui.json() {
        let all: Vec<_> = sources
            .list
            .iter()
            .map(|source| {
                json!({
                    "name": source.name,
                    "kind": source.kind.word().unwrap_or("built-in"),
                    "address": source.uri.as_ref().map(ToString::to_string),
                    "trust": source.trust.words(),
                    "signed": matches!(source.trust, Trust::Signed(_)),
                    "file": source.file,
                })
            })
            .collect();
        ctx.ui.result(&json!({ "catalogs": all }));
        return Ok(0);
    }
    let mut table = Table::new(&["NAME", "KIND", "ADDRESS", "TRUST"]);
    for source in &sources.list {
        table.row(vec![
            source.name.clone(),
            source.kind.word().unwrap_or("built-in").to_owned(),
            source.uri.as_ref().map(ToString::to_string).unwrap_or_default(),
            source.trust.words(),
        ]);
    }
    table.lines().iter().for_each(|line| ctx.ui.out(line));
    Ok(0)
}
