// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image convert`.

use kiln_disk::convert::{ConvertError, ConvertOptions, Converted, TargetFormat, convert_from};
use kiln_disk::device::Device;
use serde_json::json;

use super::open;
use crate::args::image::convert::Convert;
use crate::context::Context;
use crate::error::{Class, Problem};

/// The most times that an image is opened to be read at once.
const MOST_READERS: usize = 4;

/// Copies an image.
pub(crate) fn run(ctx: &Context, args: &Convert) -> anyhow::Result<u8> {
    let format = format(ctx, args)?;
    let there = args.target.symlink_metadata().is_ok();
    let options = ConvertOptions {
        compress: args.compress.map(Into::into),
        overwrite: args.force,
        // Until then the source is the only copy that is sure, and what is replaced is no source.
        durable: args.sync || there,
        ..ConvertOptions::new(format)
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let disks = open::readers(ctx, &args.source, processors.min(MOST_READERS))?;
    disks.iter().try_for_each(open::check_whole)?;
    let size = disks.iter().map(|disk| disk.info().virtual_size).max().unwrap_or_default();
    if args.dry_run {
        if there && !args.force {
            return Err(exists(args));
        }
        say(ctx, args, &options, None);
        return Ok(0);
    }
    let sources = disks.iter().map(|disk| -> Box<dyn Device> { Box::new(disk.device()) }).collect();
    let task = ctx.ui.task("convert");
    let progress = |done: u64, all: u64| {
        let percent = (u128::from(done) * 100).checked_div(u128::from(all)).unwrap_or(100);
        task.phase("copying", &format!("{percent}% of {size}"));
    };
    let made = convert_from(sources, &args.target, &options, &progress);
    let made = made.map_err(|error| match error {
        ConvertError::Exists { .. } => exists(args),
        error => error.into(),
    })?;
    drop(task);
    say(ctx, args, &options, Some(made));
    Ok(0)
}

/// Returns the format of the copy.
fn format(ctx: &Context, args: &Convert) -> anyhow::Result<TargetFormat> {
    if args.target.as_os_str() == "-" {
        let problem = Problem::new(Class::Usage, "a copy cannot go to standard output");
        return Err(problem.hint("name a file; one that is called `-` is `./-`").into());
    }
    if let Some(chosen) = args.to {
        return Ok(chosen.into());
    }
    let named = TargetFormat::of_name(&args.target);
    if let (None, Some(ending)) = (named, args.target.extension()) {
        let ending = ending.to_string_lossy();
        let what = format!("no format is known by `.{ending}`: the copy is qcow2");
        ctx.ui.warn(format!("{what}; `-O FORMAT` chooses another"));
    }
    Ok(named.unwrap_or(TargetFormat::Qcow2))
}

fn exists(args: &Convert) -> anyhow::Error {
    let what = format!("`{}` exists already", args.target.display());
    Problem::new(Class::Object, what).hint("`--force` replaces it").into()
}

fn say(ctx: &Context, args: &Convert, options: &ConvertOptions, made: Option<Converted>) {
    let target = args.target.display().to_string();
    let format = options.format.name();
    if ctx.ui.json() {
        let compress = args.compress.map(|how| format!("{how:?}").to_lowercase());
        let mut result = json!({ "target": target, "format": format, "compress": compress });
        if let Some(made) = made {
            result["virtual_size"] = json!(made.virtual_size);
            result["file_size"] = json!(made.file_size);
            result["allocated"] = json!(made.allocated);
        }
        result["dry_run"] = json!(args.dry_run);
        ctx.ui.result(&result);
        return;
    }
    match made {
        Some(made) => ctx.ui.out(format!(
            "{target}: {format}, a disk of {} in {}",
            made.virtual_size, made.allocated
        )),
        None => ctx.ui.out(format!("{target}: {format}, would be made")),
    }
}
