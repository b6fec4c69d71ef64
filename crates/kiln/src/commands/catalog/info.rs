// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln catalog info`.

use super::read::{self, Tools, as_json, plain};
use crate::args::catalog::info::Info;
use crate::context::Context;

/// Shows what a catalog says of an image.
pub(crate) fn run(ctx: &Context, args: &Info) -> anyhow::Result<u8> {
    let sources = read::sources(ctx);
    let tools = Tools::new(ctx);
    let arch = read::arch(args.arch.as_deref());
    let (_, entry) = read::find(ctx, &tools.reader(ctx), &sources, (&args.image, &arch))?;
    if ctx.ui.json() {
        ctx.ui.result(&as_json(&entry));
        return Ok(0);
    }
    let size = |size: Option<kiln_spec::Bytes>| size.map(|s| s.to_string()).unwrap_or_default();
    let lines = [
        ("name", plain(&entry.name)),
        ("aliases", plain(&entry.aliases.join(", "))),
        ("title", plain(&entry.title)),
        ("catalog", entry.catalog.clone()),
        ("arch", plain(&entry.arch)),
        ("version", plain(&entry.version)),
        ("address", entry.url.to_string()),
        ("proven by", entry.proven_by()),
        ("download", size(entry.download)),
        ("disk", size(entry.size)),
        ("user", plain(entry.user.as_deref().unwrap_or_default())),
    ];
    for (key, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
        ctx.ui.out(format!("{key:10} {value}"));
    }
    let locale = ctx.env.locale.as_deref().unwrap_or_default();
    if let Some(notes) = entry.notes_for(locale) {
        ctx.ui.out("");
        notes.lines().for_each(|line| ctx.ui.out(plain(line)));
    }
    Ok(0)
}
