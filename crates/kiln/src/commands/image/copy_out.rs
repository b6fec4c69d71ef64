// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image copy-out`.

use kiln_guest::transfer::{CopyOut as Options, copy_out};
use serde_json::json;

use super::{names, open};
use crate::args::image::copy_out::CopyOut;
use crate::context::Context;

/// How many that are left out are named.
const SHOWN: usize = 10;

/// Copies files and folders of the guest here.
pub(crate) fn run(ctx: &Context, args: &CopyOut) -> anyhow::Result<u8> {
    let paths = args.paths.iter().map(open::path).collect::<Result<Vec<_>, _>>()?;
    let mut guest = open::guest_reading(ctx, &args.source)?;
    let options = Options { all_links: args.all_links };
    let (mut entries, mut bytes, mut left) = (0, 0, Vec::new());
    for path in &paths {
        let done = copy_out(guest.tree(), path, &args.to, options)?;
        entries += done.entries;
        bytes += done.bytes;
        for one in done.left_out {
            let line = format!("`{}` is left out: {}", one.path, one.why);
            if left.len() < SHOWN {
                ctx.ui.say(line)
            } else {
                ctx.ui.detail(line)
            }
            let mut value = names::path(one.path.as_bytes());
            value["why"] = json!(one.why);
            left.push(value);
        }
    }
    if left.len() > SHOWN {
        ctx.ui.say(format!("{} more are left out; `-v` shows all", left.len() - SHOWN));
    }
    if ctx.ui.json() {
        ctx.ui.result(&json!({ "entries": entries, "bytes": bytes, "left_out": left }));
    } else {
        let noun = if entries == 1 { "file" } else { "files, folders and links" };
        ctx.ui.say(format!("copied {entries} {noun} to `{}`", args.to.display()));
    }
    Ok(0)
}
