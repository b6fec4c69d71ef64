// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A root file system as a tar stream to a bootable raw disk, in one pass.
//!
//! | module | what |
//! |---|---|
//! | `layout` | what is wanted, and the partitions and UUIDs that follow from it |
//! | `tree` | the stream into the file system |
//! | `inspect` | what has come: distribution, kernel, processor |
//! | `config` | the few files that Kiln writes into the tree |
//! | `loader` | boot loaders |
//!
//! **Invariant:** the same layout and the same stream give the same bytes.

mod config;
mod error;
mod inspect;
mod layout;
mod loader;
mod tree;

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use kiln_host::Host;
use kiln_host::tools::mke2fs;
use kiln_spec::image::{Firmware, Os};
use kiln_spec::{Arch, Bytes};

pub use self::error::AssembleError;
use self::layout::Plan;
pub use self::layout::{DEFAULT_CMDLINE, DEFAULT_ESP, ExtraFile, Layout};
use self::loader::Loaders;
use crate::device::{RawFile, Window};
use crate::fs::ext::{Access, ExtFs};

/// How far an assembly has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The partition table and the empty file system are made.
    Tables,
    /// Members of the stream have been unpacked.
    Tree {
        /// Bytes of the stream that have been read.
        bytes: u64,
        /// How many members.
        entries: u64,
    },
    /// The tree is complete; boot loaders are made.
    BootLoader,
    /// Everything is made; what is in memory is written.
    Flush,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assembled {
    /// UUID of the root file system.
    pub root_uuid: String,
    /// UUID of the root partition.
    pub root_partuuid: String,
    /// Number of the EFI system partition's file system: `1A2B-3C4D`.
    pub esp_uuid: String,
    /// UUID of the partition table.
    pub disk_guid: String,
    /// Version of the kernel that is booted: the newest of the tree.
    pub kernel: String,
    /// The distribution.
    pub os: Os,
    /// The firmware that it boots with.
    pub firmware: Vec<Firmware>,
    /// Whether the UEFI loaders are signed, so that Secure Boot works.
    pub secure_boot: bool,
    /// Space that the image takes on the host.
    pub bytes_written: u64,
    /// Bytes of all files of the stream.
    pub tree_bytes: u64,
    /// Members of the stream.
    pub entries: u64,
    /// The processor that the tree is for.
    pub arch: Arch,
}

/// Makes a bootable disk out of the root file system in `tar`.
///
/// `tar` is read once, to its end marker and a little further. `progress` is told how far it has
/// come, once for every member of the stream.
///
/// # Effects
///
/// Makes [`Layout::output`], which must not exist, with mode 0600; on any error it is removed
/// again. Needs no privileges: nothing is mounted, and no device is touched. The file is not
/// forced onto the medium (fsync).
///
/// # Errors
///
/// See [`AssembleError`].
pub fn assemble(
    layout: &Layout,
    tar: &mut dyn Read,
    host: &dyn Host,
    progress: &mut dyn FnMut(Progress),
) -> Result<Assembled, AssembleError> {
    let plan = Plan::of(layout)?;
    let unfinished = Unfinished::create(layout)?;
    let at = |source| AssembleError::Image { path: layout.output.clone(), source };
    let open = || RawFile::new(unfinished.file.try_clone()?).map(RawFile::without_flush);
    let mut disk = open().map_err(at)?;

    progress(Progress::Tables);
    plan.table.write(&mut disk).map_err(at)?;
    host.run(&mke2fs::make(&layout.output, &plan.ext4(layout)))
        .map_err(|source| AssembleError::Tool { source })?;

    let root = Window::new(open().map_err(at)?, plan.root.start, plan.root.len).map_err(at)?;
    let now = i64::try_from(layout.time).unwrap_or(i64::MAX);
    let opened = ExtFs::open(Box::new(root), Access::Write { now });
    let prepared = opened.and_then(|mut fs| fs.prepare_new().map(|()| fs));
    let mut fs = prepared.map_err(|source| AssembleError::Ext { doing: "open", source })?;
    let tally = tree::unpack(&mut fs, tar, layout, progress)?;

    progress(Progress::BootLoader);
    let found = inspect::inspect(&mut fs, layout.arch)?;
    let work = unfinished.work_folder()?;
    let mut fat = plan.esp_image(layout);
    let facts = config::Facts { plan: &plan, found: &found, esp_uuid: &fat.uuid() };
    let loaders = Loaders::make(&mut fs, &facts, (layout, host), work.path())?;
    let mut files = config::files(layout, &facts);
    files.extend(loaders.tree_files());
    files.extend(layout.files.iter().cloned());
    tree::overlay(&mut fs, &files, layout)?;
    tree::make_folder(&mut fs, "/boot/efi", layout)?;
    config::forget_identity(&mut fs, layout)?;

    progress(Progress::Flush);
    fs.close().map_err(|source| tree::at_close(source, &tally, layout))?;
    let secure_boot = loaders.install(&mut disk, &mut fat, &plan)?;
    let metadata = unfinished.file.metadata().map_err(at)?;
    unfinished.keep();
    Ok(Assembled {
        root_uuid: plan.root_uuid.to_string(),
        root_partuuid: plan.root_partuuid.to_string(),
        esp_uuid: fat.uuid(),
        disk_guid: plan.disk_guid.to_string(),
        kernel: found.kernel.version,
        os: found.os,
        firmware: layout.firmware.clone(),
        secure_boot,
        bytes_written: metadata.blocks() * 512,
        tree_bytes: tally.bytes,
        entries: tally.entries,
        arch: layout.arch,
    })
}

/// The image while it is made: removed unless it is finished.
#[derive(Debug)]
struct Unfinished {
    path: PathBuf,
    file: File,
    keep: bool,
}

impl Unfinished {
    fn create(layout: &Layout) -> Result<Self, AssembleError> {
        let path = layout.output.clone();
        let failed = |source| AssembleError::Image { path: path.clone(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        let file = options.open(&path).map_err(failed)?;
        let unfinished = Self { path: path.clone(), file, keep: false };
        let Bytes(size) = layout.size;
        unfinished.file.set_len(size).map_err(failed)?;
        Ok(unfinished)
    }

    /// Makes a folder for files in between, beside the image.
    fn work_folder(&self) -> Result<tempfile::TempDir, AssembleError> {
        let beside = self.path.parent().filter(|p| !p.as_os_str().is_empty());
        let beside = beside.unwrap_or(Path::new("."));
        tempfile::Builder::new()
            .prefix(".kiln-boot-")
            .tempdir_in(beside)
            .map_err(|source| AssembleError::Image { path: beside.to_owned(), source })
    }

    fn keep(mut self) {
        self.keep = true;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.keep {
            // The error that led here is the one to be told of.
            std::fs::remove_file(&self.path).ok();
        }
    }
}
