// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image diff`.

use kiln_guest::transfer::{Aspect, DiffOptions, Difference, How, Item, diff};
use serde_json::{Value, json};

use super::{names, open};
use crate::args::image::diff::Diff;
use crate::args::image::target::Source;
use crate::context::Context;
use crate::error::Class;

/// Shows in what two images differ.
pub(crate) fn run(ctx: &Context, args: &Diff) -> anyhow::Result<u8> {
    let path = open::path(&args.path)?;
    let source = |image: &String| Source { image: image.clone(), opening: args.opening.clone() };
    let mut old = open::guest_reading(ctx, &source(&args.old))?;
    let mut new = open::guest_reading(ctx, &source(&args.new))?;
    let options = DiffOptions { times: args.times };
    let all = diff(old.tree(), new.tree(), &path, options)?;
    if ctx.ui.json() {
        let all: Vec<Value> = all.iter().map(as_json).collect();
        ctx.ui.result(&json!({ "differences": all }));
    } else {
        all.iter().for_each(|one| ctx.ui.out(line(one)));
    }
    Ok(if all.is_empty() { 0 } else { Class::Found.code() })
}

fn as_json(one: &Difference) -> Value {
    let mut value = names::path(one.path.as_bytes());
    let (word, old, new) = match &one.how {
        How::Added { new } => ("added", None, Some(new)),
        How::Removed { old } => ("removed", Some(old), None),
        How::Changed { old, new, .. } => ("changed", Some(old), Some(new)),
    };
    value["how"] = json!(word);
    for (key, item) in [("old", old), ("new", new)] {
        let Some(item) = item else { continue };
        value[key] = json!(item);
        if let Some(target) = &item.target {
            names::put(&mut value[key], "target", target);
        }
    }
    if let How::Changed { aspects, .. } = &one.how {
        value["aspects"] = json!(aspects);
    }
    value
}

/// Returns a difference as a line: `+` added, `-` removed, `~` changed.
fn line(one: &Difference) -> String {
    let path = &one.path;
    match &one.how {
        How::Added { new } => format!("+ {path} ({})", shown(new)),
        How::Removed { old } => format!("- {path} ({})", shown(old)),
        How::Changed { old, new, aspects } => {
            let aspects: Vec<String> =
                aspects.iter().map(|aspect| changed(*aspect, old, new)).collect();
            format!("~ {path} ({})", aspects.join(", "))
        }
    }
}

fn shown(item: &Item) -> String {
    let size = item.size.map(|size| format!(", {size} bytes")).unwrap_or_default();
    let target = item.target.as_ref().map(|to| format!(", -> {}", text(to))).unwrap_or_default();
    format!("{}, {}, {}:{}{size}{target}", item.kind, item.mode, item.uid, item.gid)
}

/// Returns a link's target, so that nothing in it reaches the terminal.
fn text(target: &[u8]) -> String {
    String::from_utf8_lossy(target).escape_debug().to_string()
}

fn changed(aspect: Aspect, old: &Item, new: &Item) -> String {
    let link = |item: &Item| text(item.target.as_deref().unwrap_or_default());
    match aspect {
        Aspect::Kind => format!("{} -> {}", old.kind, new.kind),
        Aspect::Mode => format!("mode {} -> {}", old.mode, new.mode),
        Aspect::Owner => format!("owner {}:{} -> {}:{}", old.uid, old.gid, new.uid, new.gid),
        Aspect::Size => {
            format!("{} -> {} bytes", old.size.unwrap_or(0), new.size.unwrap_or(0))
        }
        Aspect::Contents => "contents".to_owned(),
        Aspect::Target => format!("link {} -> {}", link(old), link(new)),
        Aspect::Device => "device".to_owned(),
        Aspect::Xattrs => "extended attributes".to_owned(),
        Aspect::Time => "time".to_owned(),
    }
}
