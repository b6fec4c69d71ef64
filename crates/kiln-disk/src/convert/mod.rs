// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Copies of a disk in another format: sparse, all or nothing, in bounded memory.
//!
//! | module | what |
//! |---|---|
//! | `pump` | reading, packing and writing at the same time, in order |
//! | `fill` | a disk far away, filled by several hands at once |
//! | `raw` | the bytes as they are, with holes |
//! | `qcow2` | QEMU's own format, packed or not, written from front to end |
//! | `foreign` | other formats, made by `qemu-img` and filled over NBD |
//! | `target` | a file that has no name before it is whole |
//!
//! **Invariant:** the target is there whole or not at all: it gets its name when all of it is
//! written, and what it replaces goes only when all of it is on the medium.

mod error;
mod fill;
mod foreign;
mod pump;
mod qcow2;
mod raw;
pub(crate) mod target;

use std::fs::File;
use std::num::NonZeroUsize;
use std::path::Path;

use kiln_host::image_lock::{self, Access, Holder, ImageLock, Locked};
use kiln_spec::Bytes;

pub use error::ConvertError;
pub use fill::{Opener, fill};

use crate::device::Device;
pub use crate::format::qcow2::Compression;
use pump::Pump;

/// Bytes of a cluster when none are asked for: what QEMU has.
const CLUSTER: u64 = 64 << 10;
/// The most threads that are of use.
const MOST_THREADS: usize = 8;

/// A format that a disk is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetFormat {
    /// The bytes of the disk.
    Raw,
    /// QEMU's own format.
    Qcow2,
    /// VMware's, one sparse file.
    Vmdk,
    /// VMware's, one file of compressed parts: what goes into an OVA.
    VmdkStream,
    /// Microsoft's.
    Vhdx,
    /// Microsoft's old one, VHD.
    Vpc,
    /// `VirtualBox`'s.
    Vdi,
}

impl TargetFormat {
    /// Every format, in the order that users see.
    pub const ALL: &'static [Self] =
        &[Self::Qcow2, Self::Raw, Self::Vmdk, Self::VmdkStream, Self::Vhdx, Self::Vpc, Self::Vdi];

    /// Returns its name: QEMU's, and `vmdk-stream`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
            Self::VmdkStream => "vmdk-stream",
            Self::Vhdx => "vhdx",
            Self::Vpc => "vpc",
            Self::Vdi => "vdi",
        }
    }

    /// Returns the format that a file's name ends in: `.qcow2`, `.img` and `.raw`, `.vmdk`,
    /// `.vhdx`, `.vhd`, `.vdi`.
    #[must_use]
    pub fn of_name(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match ending.as_str() {
            "qcow2" => Self::Qcow2,
            "raw" | "img" => Self::Raw,
            "vmdk" => Self::Vmdk,
            "vhdx" => Self::Vhdx,
            "vhd" | "vpc" => Self::Vpc,
            "vdi" => Self::Vdi,
            _ => return None,
        })
    }
}

/// How a disk is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvertOptions {
    /// The format of the copy.
    pub format: TargetFormat,
    /// How a qcow2 is compressed; `None` for not at all.
    pub compress: Option<Compression>,
    /// Bytes of a qcow2's cluster, a power of two from 512 to 2 MiB; `None` for 64 KiB.
    pub cluster_size: Option<u64>,
    /// Whether a qcow2 is of version 2 (`compat=0.10`), for QEMU before 2013.
    pub old: bool,
    /// Whether a file that is there is replaced.
    pub overwrite: bool,
    /// Whether all of the copy is on the medium before it gets its name. Without it, a host that
    /// loses its power soon after may lose the copy, as with `cp`; it takes as long as the medium
    /// does.
    pub durable: bool,
    /// How many threads pack; `None` for as many as there are processors.
    pub threads: Option<NonZeroUsize>,
}

impl ConvertOptions {
    /// Returns the options for a durable copy in `format`, not compressed, that replaces nothing.
    #[must_use]
    pub fn new(format: TargetFormat) -> Self {
        let (compress, cluster_size, threads) = (None, None, None);
        let (overwrite, durable) = (false, true);
        Self { format, compress, cluster_size, old: false, overwrite, durable, threads }
    }

    fn threads(&self) -> usize {
        let there = || std::thread::available_parallelism().ok();
        self.threads.or_else(there).map_or(1, NonZeroUsize::get).min(MOST_THREADS)
    }
}

/// What a copy came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Converted {
    /// The size of the disk that a guest sees.
    pub virtual_size: Bytes,
    /// The size of the file.
    pub file_size: Bytes,
    /// What the file takes on the host.
    pub allocated: Bytes,
}

/// Copies the disk `source` to a new file `target`.
///
/// `progress` gets how many bytes of the disk are done, holes included, and its size.
///
/// # Effects
///
/// Makes `target` when all is written. With raw and qcow2 nothing is left of a
/// copy that fails or is killed; of the others a folder `.kiln-…` beside `target` may be, after
/// SIGKILL. Takes some MiB of memory a thread.
///
/// # Errors
///
/// - [`ConvertError::Exists`] if `target` is there and is not to be replaced.
/// - [`ConvertError::InUse`] if it is, and another program uses it.
/// - [`ConvertError::Option`] if an option does not go with the format or the disk's size.
/// - [`ConvertError::Read`] and [`ConvertError::Write`].
/// - [`ConvertError::Tool`] and [`ConvertError::Served`] if QEMU, which makes the other formats,
///   fails.
pub fn convert(
    source: &mut dyn Device,
    target: &Path,
    options: &ConvertOptions,
    progress: &dyn Fn(u64, u64),
) -> Result<Converted, ConvertError> {
    convert_from(vec![Box::new(source)], target, options, progress)
}

/// Copies a disk as [`convert`] does, reading it through several devices at once: each of
/// `sources` is the same disk, opened anew. For compressed images, which take time to read.
///
/// # Errors
///
/// As [`convert`]; [`ConvertError::Option`] if there is none, or they differ in size.
pub fn convert_from(
    sources: Vec<Box<dyn Device + '_>>,
    target: &Path,
    options: &ConvertOptions,
    progress: &dyn Fn(u64, u64),
) -> Result<Converted, ConvertError> {
    check(options)?;
    let size = sources.first().map(|source| source.size());
    let Some(size) = size.filter(|size| sources.iter().all(|other| other.size() == *size)) else {
        return Err(ConvertError::Option("the sources are not the same disk".to_owned()));
    };
    if !options.overwrite && target.symlink_metadata().is_ok() {
        return Err(ConvertError::Exists { target: target.to_owned() });
    }
    // Until the copy has its name nobody else begins to use what it replaces.
    let _unused = in_use(target)?;
    let cluster = options.cluster_size.unwrap_or(CLUSTER);
    let unit = if options.format == TargetFormat::Qcow2 { cluster } else { CLUSTER };
    let pump = Pump { size, unit, threads: options.threads(), progress };
    match options.format {
        TargetFormat::Raw => raw::write(sources, &pump, target, options),
        TargetFormat::Qcow2 => qcow2::write(sources, &pump, target, options),
        TargetFormat::Vmdk
        | TargetFormat::VmdkStream
        | TargetFormat::Vhdx
        | TargetFormat::Vpc
        | TargetFormat::Vdi => foreign::write(sources, &pump, target, options),
    }
}

/// Locks what is to be replaced; nothing, if there is nothing that can be an image.
fn in_use(target: &Path) -> Result<Option<ImageLock>, ConvertError> {
    let is_file = target.metadata().is_ok_and(|about| about.is_file());
    let Some(file) = is_file.then(|| File::open(target).ok()).flatten() else { return Ok(None) };
    match image_lock::lock(&file, Access::Write) {
        Ok(Locked::Yes(lock)) => Ok(Some(lock)),
        // It may be the source: that is read to its end first.
        Ok(Locked::InUse(holders)) if holders.iter().all(Holder::is_this_process) => Ok(None),
        Ok(Locked::InUse(holders)) => {
            Err(ConvertError::InUse { target: target.to_owned(), by: Holder::list(&holders) })
        }
        // The file system has no locks.
        Err(_) => Ok(None),
    }
}

fn check(options: &ConvertOptions) -> Result<(), ConvertError> {
    let wrong = |what: String| Err(ConvertError::Option(what));
    let qcow2 = options.format == TargetFormat::Qcow2;
    if !qcow2 && (options.compress.is_some() || options.cluster_size.is_some() || options.old) {
        let format = options.format.name();
        return wrong(format!("{format} has no compression or clusters to choose"));
    }
    if options.old && options.compress == Some(Compression::Zstd) {
        return wrong("qcow2 of version 2 knows no zstd".to_owned());
    }
    match options.cluster_size {
        Some(size) if !size.is_power_of_two() || !(512..=2 << 20).contains(&size) => {
            wrong(format!("clusters of {size} bytes: a power of two from 512 to 2 MiB is needed"))
        }
        _ => Ok(()),
    }
}
