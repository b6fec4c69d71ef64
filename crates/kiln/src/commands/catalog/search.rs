// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln catalog search`.

use kiln_build::catalog::{Entry, is_arch};
use serde_json::json;

use super::read::{self, Tools, as_json, plain};
use crate::args::catalog::search::Search;
use crate::context::Context;
use crate::ui::Table;

/// Lists what catalogs offer.
pub(crate) fn run(ctx: &Context, args: &Search) -> anyhow::Result<u8> {
    let sources = read::sources(ctx);
    let tools = Tools::new(ctx);
    let reader = tools.reader(ctx);
    let mut all = Vec::new();
    if let Some(name) = &args.catalog {
        let source = sources.find(name)?;
        all = reader.read(source)?;
        read::warn_of(ctx, source);
    } else {
        for source in &sources.list {
            all.extend(read::offered(ctx, &reader, source).into_iter().flatten());
        }
    }
    let arch = read::arch(args.arch.as_deref());
    all.retain(|entry| arch == "all" || is_arch(entry, &arch));
    all.retain(|entry| (args.hidden || !entry.hidden) && has_words(entry, &args.words));
    if ctx.ui.json() {
        let all: Vec<_> = all.iter().map(as_json).collect();
        ctx.ui.result(&json!({ "images": all }));
        return Ok(0);
    }
    if all.is_empty() {
        ctx.ui.say("no catalog has such an image");
        return Ok(0);
    }
    let headings = ["NAME", "CATALOG", "ARCH", "VERSION", "DOWNLOAD", "PROVEN BY", "TITLE"];
    let mut table = Table::new(&headings);
    for entry in &all {
        table.row(vec![
            plain(&entry.name),
            entry.catalog.clone(),
            plain(&entry.arch),
            plain(&entry.version),
            entry.download.map(|size| size.to_string()).unwrap_or_default(),
            entry.proven_by(),
            plain(&entry.title),
        ]);
    }
    table.lines().iter().for_each(|line| ctx.ui.out(line));
    Ok(0)
}

fn has_words(entry: &Entry, words: &[String]) -> bool {
    let all = format!("{} {} {}", entry.name, entry.aliases.join(" "), entry.title).to_lowercase();
    words.iter().all(|word| all.contains(&word.to_lowercase()))
}
