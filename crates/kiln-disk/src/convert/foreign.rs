// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Formats that QEMU writes for us: `qemu-img` makes an empty image, and its daemon fills it.
//!
//! QEMU names the file in some of them, so it gets its name at once, in a folder of its own beside
//! the target.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use kiln_host::beside::{Folder, folder_of};
use kiln_host::tools::qemu_img::{self, NewImage};
use kiln_host::tools::qemu_storage_daemon::{Access, Backing, Node, Source};
use kiln_host::{Host, RealHost};
use kiln_spec::Bytes;

use super::error::ConvertError;
use super::pump::{Pump, is_zero, runs};
use super::target::sync_folder;
use super::{ConvertOptions, Converted, TargetFormat};
use crate::device::{Device, len64};
use crate::format::nbd::serve;

/// Bytes of a part of a stream.
const GRAIN: usize = 64 << 10;
const GRAIN_LEN: u64 = 64 << 10;

pub(super) fn write(
    sources: Vec<Box<dyn Device + '_>>,
    pump: &Pump<'_>,
    target: &Path,
    options: &ConvertOptions,
) -> Result<Converted, ConvertError> {
    let failed = ConvertError::write(target);
    let Some(name) = target.file_name() else {
        return Err(failed(ErrorKind::InvalidInput.into()));
    };
    let own = Folder::beside(folder_of(target)).map_err(&failed)?;
    // `qemu-img` takes what is before a colon for a protocol, unless a slash comes first.
    let made = std::path::absolute(own.path().join(name)).map_err(&failed)?;
    let stream = options.format == TargetFormat::VmdkStream;
    // QEMU fills a stream in whole parts only.
    let size = pump.size.next_multiple_of(if stream { GRAIN_LEN } else { 512 });
    let image = NewImage { format: driver(options.format), options: settings(options.format) };
    RealHost
        .run(&qemu_img::create(&image, &made, size))
        .map_err(|source| ConvertError::Tool { target: target.to_owned(), source })?;
    fill(sources, pump, (&made, target), options.format)?;
    let file = OpenOptions::new().write(true).open(&made).map_err(&failed)?;
    let mut about = file.metadata().map_err(&failed)?;
    if stream {
        // Its last part ends anywhere; a stream has whole sectors.
        file.set_len(about.len().next_multiple_of(512)).map_err(&failed)?;
        about = file.metadata().map_err(&failed)?;
    }
    if options.durable {
        file.sync_all().map_err(&failed)?;
    }
    name_it(&made, target, options.overwrite)?;
    if options.durable {
        sync_folder(target).map_err(&failed)?;
    }
    Ok(Converted {
        virtual_size: Bytes(size),
        file_size: Bytes(about.len()),
        allocated: Bytes(about.blocks() * 512),
    })
}

/// QEMU's name of a format.
fn driver(format: TargetFormat) -> &'static str {
    match format {
        TargetFormat::VmdkStream => "vmdk",
        other => other.name(),
    }
}

/// Options of `qemu-img create`.
fn settings(format: TargetFormat) -> &'static [&'static str] {
    match format {
        TargetFormat::Vmdk => &["subformat=monolithicSparse"],
        TargetFormat::VmdkStream => &["subformat=streamOptimized"],
        // The size that was asked for, and not the next one that cylinders and heads can tell.
        TargetFormat::Vpc => &["subformat=dynamic", "force_size=on"],
        TargetFormat::Vhdx => &["subformat=dynamic"],
        TargetFormat::Raw | TargetFormat::Qcow2 | TargetFormat::Vdi => &[],
    }
}

/// Writes all that is not zeros. `files` are the image and what errors call it.
fn fill(
    sources: Vec<Box<dyn Device + '_>>,
    pump: &Pump<'_>,
    files: (&Path, &Path),
    format: TargetFormat,
) -> Result<(), ConvertError> {
    let (made, target) = files;
    let failed = ConvertError::write(target);
    let stream = format == TargetFormat::VmdkStream;
    let backing = if driver(format) == "vmdk" { Backing::None } else { Backing::Unknown };
    let source = Source::File(made.to_owned());
    let disk = Node { driver: driver(format).to_owned(), source, backing, key: None };
    let access = if stream { Access::WriteCompressed } else { Access::Write };
    let mut image = serve(&RealHost, disk, access, &target.display().to_string())
        .map_err(|source| ConvertError::Served { target: target.to_owned(), source })?;
    if image.size() < pump.size {
        let text =
            format!("QEMU made it {} bytes long, and {} are needed", image.size(), pump.size);
        return Err(failed(io::Error::other(text)));
    }
    // A stream is written in whole parts, each once.
    let prepare = |_at: u64, bytes: &[u8]| Ok(if stream { grains(bytes) } else { runs(bytes) });
    let place = |at: u64, bytes: &[u8], runs: Vec<Range<usize>>| {
        let mut write =
            |run: Range<usize>| image.write_at(at + len64(&bytes[..run.start]), &bytes[run]);
        runs.into_iter().try_for_each(&mut write)
    };
    pump.run(sources, &prepare, place, &failed)?;
    image.flush().map_err(&failed)
}

/// Returns the parts of a stream that are not zeros.
fn grains(bytes: &[u8]) -> Vec<Range<usize>> {
    let parts = bytes.chunks(GRAIN).enumerate().filter(|(_, part)| !is_zero(part));
    parts.map(|(n, part)| n * GRAIN..n * GRAIN + part.len()).collect()
}

/// Gives the image its name.
fn name_it(made: &Path, target: &Path, overwrite: bool) -> Result<(), ConvertError> {
    let failed = ConvertError::write(target);
    let named = if overwrite { fs::rename(made, target) } else { fs::hard_link(made, target) };
    match named {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(ConvertError::Exists { target: target.to_owned() })
        }
        named => named.map_err(failed),
    }
}
