// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln catalog sign`.

use kiln_build::catalog::repository::{self, Change, Options};
use serde_json::json;

use super::read::{Tools, plain};
use crate::args::catalog::sign::Sign;
use crate::context::Context;
use crate::ui::Table;

/// Makes a repository of a folder.
pub(crate) fn run(ctx: &Context, args: &Sign) -> anyhow::Result<u8> {
    let tools = Tools::new(ctx);
    let options = Options {
        key: args.key.clone(),
        level: (!args.no_pack).then_some(args.level),
        dry_run: args.dry_run,
    };
    let task = ctx.ui.task("catalog");
    let progress = |image: &str, doing: &'static str, done| {
        task.phase(doing, &format!("{image}, {done}"));
    };
    let made = repository::make(&args.folder, &options, tools.openpgp(ctx), &progress)?;
    drop(task);
    if args.unsigned {
        ctx.ui.warn("the index is UNSIGNED: whoever can change it is believed");
    }
    if ctx.ui.json() {
        let all: Vec<_> = made
            .iter()
            .map(|(t, change)| {
                json!({
                    "name": t.id, "arch": t.arch, "file": t.file, "revision": t.revision,
                    "change": word(change), "download_size": t.compressed_size,
                    "virtual_size": t.size, "title": t.name,
                })
            })
            .collect();
        let signed = args.key.is_some();
        ctx.ui.result(&json!({ "images": all, "signed": signed, "dry_run": args.dry_run }));
        return Ok(0);
    }
    if made.is_empty() {
        ctx.ui.say("there is no image in the folder");
        return Ok(0);
    }
    let mut table = Table::new(&["NAME", "ARCH", "REVISION", "FILE", "DOWNLOAD", "CHANGE"]);
    for (template, change) in &made {
        table.row(vec![
            template.id.clone(),
            plain(&template.arch),
            template.revision.to_string(),
            plain(&template.file),
            template.compressed_size.map(|size| size.to_string()).unwrap_or_default(),
            word(change).to_owned(),
        ]);
    }
    table.lines().iter().for_each(|line| ctx.ui.out(line));
    Ok(0)
}

fn word(change: &Change) -> &'static str {
    match change {
        Change::Added => "added",
        Change::Updated => "updated",
        Change::Unchanged => "unchanged",
        Change::Removed => "removed",
    }
}
