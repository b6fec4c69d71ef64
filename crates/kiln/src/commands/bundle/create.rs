// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln bundle create`.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use kiln_build::bundle::{self, About, BundleFile, Packer};
use kiln_guest::transfer::{TransferError, tar_out_without};
use kiln_guest::tree::GuestPath;
use kiln_host::beside::folder_of;
use kiln_host::{CmdError, Host};
use kiln_spec::Bytes;
use kiln_spec::bundle::{BundleManifest, Exclude, Origin, excludes};
use kiln_spec::recipe::ImageName;
use serde_json::json;

use super::source::{self, Source, Stream};
use crate::args::bundle::create::Create;
use crate::args::image::target::Source as ImageSource;
use crate::commands::catalog::read::Tools;
use crate::commands::image::guest_reading;
use crate::context::{Context, now};
use crate::error::{Class, Problem};
use crate::ui::Task;

/// Bytes that are moved together.
const BUFFER: usize = 1 << 20;

/// Makes a bundle.
pub(crate) fn run(ctx: &Context, args: &Create) -> anyhow::Result<u8> {
    let began = Instant::now();
    let mut out = excludes(!args.no_default_excludes, !args.keep_identity, &args.exclude);
    let own = own_folders(ctx, args)?;
    out.extend(own.iter().cloned());
    let source = source::find(ctx, args, &out)?;
    let name = name(args, &source)?;
    let output = match &args.output {
        Some(output) => output.clone(),
        None => super::shelf(ctx)?.place(&name),
    };
    // Where Kiln's own things lie is nobody's business.
    let left_out = out.iter().filter(|o| !own.contains(o)).map(ToString::to_string).collect();
    let about = |from| About {
        name: name.to_string(),
        from,
        left_out,
        now: now(),
        tool: format!("kiln {}", env!("CARGO_PKG_VERSION")),
    };
    let packer = Packer::begin(&output, args.level)?;
    let task = ctx.ui.task(name.as_str());
    let manifest = match source {
        Source::Stream(stream) => {
            let about = about(stream.from);
            of_stream(ctx, &stream, (packer, &task))?.finish(&about)?
        }
        Source::Image(image, _) => {
            let about = about(Origin::Image);
            of_image(ctx, &image, &out, packer, &about)?
        }
    };
    drop(task);
    if let Some(key) = &args.sign {
        let bundle = BundleFile::open(&output)?;
        bundle::sign(&bundle, &Tools::new(ctx).openpgp(ctx), key)?;
    }
    told(ctx, &manifest, &output, began);
    Ok(0)
}

/// Returns the folders of Kiln and of the output, as far as they lie in the folder that is read.
fn own_folders(ctx: &Context, args: &Create) -> anyhow::Result<Vec<Exclude>> {
    let Ok(top) = Path::new(&args.source).canonicalize() else { return Ok(Vec::new()) };
    if !top.is_dir() {
        return Ok(Vec::new());
    }
    let output = args.output.as_ref().map(|path| {
        let folder = folder_of(path).canonicalize();
        folder.map(|folder| folder.join(path.file_name().unwrap_or_default()))
    });
    let output = output.transpose().ok().flatten();
    let places = [Some(ctx.folder.clone()), output.clone(), output.map(under_way)];
    let mut found = Vec::new();
    for place in places.into_iter().flatten() {
        let below = place.strip_prefix(&top).ok().map(|rest| format!("/{}", rest.display()));
        found.extend(below.and_then(|pattern| pattern.parse::<Exclude>().ok()));
    }
    Ok(found)
}

/// Returns the pattern of the file that the output is while it is made.
fn under_way(output: PathBuf) -> PathBuf {
    output.with_file_name(".kiln-*")
}

fn name(args: &Create, source: &Source) -> anyhow::Result<ImageName> {
    if let Some(name) = &args.name {
        return Ok(name.clone());
    }
    let given = match source {
        Source::Stream(stream) => &stream.name,
        Source::Image(_, name) => name,
    };
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let lower: String = given.chars().map(safe).collect::<String>().to_ascii_lowercase();
    Ok(lower.parse().map_err(|error| {
        let what = format!("`{}` gives no name for a bundle", args.source);
        Problem::new(Class::Usage, what)
            .hint("name it with `--name`")
            .because(anyhow::Error::new(error))
    })?)
}

/// Packs what a command writes.
fn of_stream(
    ctx: &Context,
    stream: &Stream,
    (mut packer, task): (Packer, &Task),
) -> anyhow::Result<Packer> {
    ctx.ui.detail(stream.cmd.to_string());
    let mut pipe = ctx.host.pipe(&stream.cmd, Box::new(|_| ()))?;
    let (mut buffer, mut done) = (vec![0; BUFFER], 0);
    let copied = loop {
        match pipe.read(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(got) => {
                if let Err(error) = packer.write_all(&buffer[..got]) {
                    break Err(error);
                }
                done += u64::try_from(got).unwrap_or_default();
                task.phase("pack", &Bytes(done).to_string());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    match copied {
        Ok(()) => pipe.finish().map_err(|error| failed(stream, error))?,
        Err(_) if kiln_host::signal::interrupted() => return Err(Problem::stopped().into()),
        // The packer knows why: `finish` tells.
        Err(_) => drop(pipe),
    }
    Ok(packer)
}

/// Returns the problem of a command that failed.
fn failed(stream: &Stream, error: CmdError) -> Problem {
    let what = format!("could not read the files of `{}`", stream.name);
    match (&error, stream.from) {
        (CmdError::Failed { .. }, Origin::Ssh) => Problem::new(Class::Guest, what)
            .hint(
                "it needs GNU tar there, and root or `sudo` without a password; a key for SSH that \
                 asks nothing",
            )
            .because(error),
        (CmdError::Failed { .. }, _) => Problem::new(Class::Host, what)
            .hint("a whole system can be read by root only")
            .because(error),
        _ => Problem::new(Class::Tool, what).because(error),
    }
}

/// Packs the guest on a disk image.
fn of_image(
    ctx: &Context,
    image: &ImageSource,
    out: &[Exclude],
    mut packer: Packer,
    about: &About,
) -> anyhow::Result<BundleManifest> {
    let mut guest = guest_reading(ctx, image)?;
    let skip = |path: &[u8]| out.iter().any(|pattern| pattern.matches(path));
    let root = GuestPath::new("/").map_err(|error| Problem::new(Class::Bug, error.to_string()))?;
    match tar_out_without(guest.tree(), &root, &skip, &mut packer) {
        Ok(_) => {}
        Err(TransferError::Archive { .. }) if kiln_host::signal::interrupted() => {
            return Err(Problem::stopped().into());
        }
        // The packer knows why.
        Err(TransferError::Archive { source }) => {
            packer.finish(about)?;
            return Err(source.into());
        }
        Err(error) => return Err(error.into()),
    }
    Ok(packer.finish(about)?)
}

fn told(ctx: &Context, manifest: &BundleManifest, output: &Path, began: Instant) {
    let took = began.elapsed();
    if ctx.ui.json() {
        ctx.ui.result(&json!({
            "bundle": manifest,
            "path": output,
            "took_ms": took.as_millis(),
        }));
        return;
    }
    let kernel = manifest.kernel.as_deref().unwrap_or("none");
    ctx.ui.say(format!(
        "bundle `{}` made in {:.1} s: {}, kernel {kernel}, {} files with {}, {} on disk",
        manifest.name,
        took.as_secs_f64(),
        manifest.os.pretty_name,
        manifest.entries,
        manifest.tree_bytes,
        manifest.file_size,
    ));
    if manifest.kernel.is_none() || manifest.firmware.is_empty() {
        ctx.ui.warn("no disk that boots can be made of it: there is no kernel, or no GRUB");
    }
    ctx.ui.out(output.display().to_string());
}
