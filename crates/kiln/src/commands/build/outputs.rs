// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Files that `kiln build` makes of the image in the store: the recipe's `outputs`.
//!
//! All are made in a folder of their own beside their places, and get their names when each is
//! whole.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use kiln_build::bundle::{About, Packer};
use kiln_build::store::Image;
use kiln_disk::convert::{ConvertOptions, TargetFormat, convert_from};
use kiln_disk::device::Device;
use kiln_disk::format::qcow2::Compression;
use kiln_guest::transfer::tar_out;
use kiln_guest::tree::GuestPath;
use kiln_host::beside::Folder;
use kiln_host::tools::sqfstar;
use kiln_host::{CmdError, Host, Tool};
use kiln_spec::bundle::{MANIFEST_ENDING, Origin};
use kiln_spec::recipe::{Output, Recipe};

use crate::args::image::target::{Opening, Source};
use crate::commands::image::{guest_reading, readers};
use crate::context::{Context, now};
use crate::error::{Class, Problem};

/// The most times that an image is opened to be read at once.
const MOST_READERS: usize = 4;
/// Bytes that are gathered before they are written.
const BUFFER: usize = 1 << 20;

/// Makes the outputs of `recipe` in `folder`, in place of older ones. Returns the files.
pub(super) fn make(
    ctx: &Context,
    recipe: &Recipe,
    (image, epoch): (&Image, u64),
    folder: &Path,
) -> anyhow::Result<Vec<PathBuf>> {
    if recipe.outputs.is_empty() {
        return Ok(Vec::new());
    }
    let failed = |path: &Path| {
        let what = format!("could not write `{}`", path.display());
        move |source: std::io::Error| Problem::new(Class::Host, what).because(source)
    };
    fs::create_dir_all(folder).map_err(failed(folder))?;
    let work = Folder::beside(folder).map_err(failed(folder))?;
    let source = Source { image: image.path.display().to_string(), opening: Opening::default() };
    let task = ctx.ui.task(recipe.name.as_str());
    let mut made = Vec::new();
    for output in &recipe.outputs {
        task.phase(output.as_str(), "");
        let name = format!("{}{}", recipe.name, output.ending());
        let path = work.path().join(&name);
        match output {
            Output::Qcow2 => disk(ctx, &source, (TargetFormat::Qcow2, None), &path)?,
            Output::Qcow2Zstd => {
                disk(ctx, &source, (TargetFormat::Qcow2, Some(Compression::Zstd)), &path)?;
            }
            Output::Qcow2Zlib => {
                disk(ctx, &source, (TargetFormat::Qcow2, Some(Compression::Zlib)), &path)?;
            }
            Output::Raw => disk(ctx, &source, (TargetFormat::Raw, None), &path)?,
            Output::Tar => bundle(ctx, &source, recipe, &path)?,
            Output::Squashfs => squashfs(ctx, &source, epoch, &path)?,
            other => {
                let what = format!("the output `{}` cannot be made", other.as_str());
                return Err(Problem::new(Class::Bug, what).into());
            }
        }
        made.push(name);
    }
    drop(task);
    let mut files = Vec::new();
    for name in made {
        let manifest = format!("{name}{MANIFEST_ENDING}");
        for name in [manifest, name] {
            let (from, to) = (work.path().join(&name), folder.join(&name));
            if from.exists() {
                fs::rename(&from, &to).map_err(failed(&to))?;
                files.push(to);
            }
        }
    }
    Ok(files)
}

fn disk(
    ctx: &Context,
    source: &Source,
    (format, compress): (TargetFormat, Option<Compression>),
    path: &Path,
) -> anyhow::Result<()> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let disks = readers(ctx, source, processors.min(MOST_READERS))?;
    let sources = disks.iter().map(|disk| -> Box<dyn Device> { Box::new(disk.device()) }).collect();
    let options = ConvertOptions { compress, ..ConvertOptions::new(format) };
    convert_from(sources, path, &options, &|_, _| ())?;
    Ok(())
}

fn bundle(ctx: &Context, source: &Source, recipe: &Recipe, path: &Path) -> anyhow::Result<()> {
    let about = About {
        name: recipe.name.to_string(),
        from: Origin::Image,
        left_out: Vec::new(),
        now: now(),
        tool: format!("kiln {}", env!("CARGO_PKG_VERSION")),
    };
    let mut packer = Packer::begin(path, None)?;
    let mut guest = guest_reading(ctx, source)?;
    let written = tar_out(guest.tree(), &GuestPath::root(), &mut packer);
    // The packer knows why it takes no more.
    packer.finish(&about)?;
    written?;
    Ok(())
}

fn squashfs(ctx: &Context, source: &Source, epoch: u64, path: &Path) -> anyhow::Result<()> {
    if Tool::Sqfstar.find().is_none() {
        return Err(CmdError::Missing { tool: Tool::Sqfstar }.into());
    }
    let tar = path.with_extension("tar");
    let failed = |source| {
        Problem::new(Class::Host, format!("could not write `{}`", tar.display())).because(source)
    };
    let mut out = BufWriter::with_capacity(BUFFER, File::create(&tar).map_err(failed)?);
    let mut guest = guest_reading(ctx, source)?;
    tar_out(guest.tree(), &GuestPath::root(), &mut out)?;
    out.flush().map_err(failed)?;
    drop(out);
    ctx.host.run(&sqfstar::make(&tar, path, epoch, ctx.root))?;
    fs::remove_file(&tar).map_err(failed)?;
    Ok(())
}
