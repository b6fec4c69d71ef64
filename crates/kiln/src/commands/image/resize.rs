// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image resize`.

use kiln_disk::fs::ext::Progress;
use kiln_disk::resize::{Resize as Wanted, ResizeError, Resized, resize};
use kiln_host::scratch::Scratch;
use serde_json::json;

use super::open;
use crate::args::image::resize::Resize;
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::remains;

/// Resizes an image's disk.
pub(crate) fn run(ctx: &Context, args: &Resize) -> anyhow::Result<u8> {
    let (mut disk, copy) = open::editing(ctx, &args.target)?.split();
    let old = disk.info().virtual_size;
    let Some(size) = args.size.of(old) else {
        let what = format!("`{}` has {old}, and no disk has the size asked for", args.target.image);
        return Err(Problem::new(Class::Usage, what).into());
    };
    let wanted = Wanted { size, which: args.partition, shrink: args.shrink };
    let scratch = Scratch::begin(&remains::folder(ctx), "resize")?;
    let task = ctx.ui.task("resize");
    let mut progress = |progress: Progress| match progress {
        Progress::Copy { done, total } => task.phase("reading", &percent(done, total)),
        Progress::Tool => task.phase("resizing the file system", ""),
        Progress::WriteBack { done, total } => task.phase("writing", &percent(done, total)),
    };
    let done = resize(&mut disk, &wanted, (&ctx.host, scratch.path()), &mut progress);
    let done = done.map_err(|error| match error {
        error @ ResizeError::Smaller { .. } => {
            let what = format!("could not resize `{}`", args.target.image);
            let hint = "allow it with `--shrink`";
            anyhow::Error::from(Problem::new(Class::Usage, what).because(error).hint(hint))
        }
        error => error.into(),
    })?;
    if !args.target.dry_run {
        task.phase("writing", "");
        disk.commit()?;
        if let Some(copy) = copy {
            copy.keep()?;
        }
    }
    drop(task);
    say(ctx, args, &done);
    Ok(0)
}

fn percent(done: u64, total: u64) -> String {
    let percent = (u128::from(done) * 100).checked_div(u128::from(total)).unwrap_or(100);
    format!("{percent}%")
}

fn say(ctx: &Context, args: &Resize, done: &Resized) {
    let changed =
        done.old_size != done.size || done.partition.is_some_and(|change| change.old != change.new);
    if ctx.ui.json() {
        let partition = done.partition.map(
            |change| json!({ "number": change.number, "old_size": change.old, "size": change.new }),
        );
        ctx.ui.result(&json!({
            "image": args.target.image,
            "old_size": done.old_size,
            "size": done.size,
            "partition": partition,
            "content": done.content.map(|kind| kind.name()),
            "file_system_size": done.file_system,
            "changed": changed,
            "dry_run": args.target.dry_run,
        }));
        return;
    }
    let would = if args.target.dry_run { "would have " } else { "" };
    ctx.ui.out(format!("disk: {would}{} (had {})", done.size, done.old_size));
    if let Some(change) = done.partition {
        let (number, new, old) = (change.number, change.new, change.old);
        ctx.ui.out(format!("partition {number}: {would}{new} (had {old})"));
    }
    if let (Some(kind), Some(size)) = (done.content, done.file_system) {
        ctx.ui.out(format!("{kind}: {would}{size}"));
    }
    if done.leaves_room()
        && let Some(kind) = done.content
    {
        ctx.ui.warn(format!("the {kind} file system is as large as before: the guest can grow it"));
    }
}
