// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A root file system as a tar stream to a bootable disk, raw or qcow2, in one pass.
//!
//! | module | what |
//! |---|---|
//! | `layout` | what is wanted |
//! | `partitions` | what a list of partitions may ask for |
//! | `plan` | the partitions and UUIDs that follow from it |
//! | `output` | the image while it is made |
//! | `tree` | the stream into the file system |
//! | `inspect` | what has come: distribution, kernel, processor |
//! | `config` | the few files that Kiln writes into the tree |
//! | `identity` | what makes a machine that one, removed |
//! | `esp` | what the tree has in `/boot/efi` |
//! | `spread` | the tree over several partitions |
//! | `foreign` | file systems that no code of ours writes, filled by an appliance |
//! | `loader` | boot loaders |
//!
//! **Invariant:** the same layout and the same stream give the same bytes.

mod config;
mod error;
mod esp;
mod foreign;
mod identity;
mod inspect;
mod layout;
mod loader;
mod output;
mod partitions;
mod plan;
mod spread;
mod tree;

use std::io::Read;

use kiln_host::Host;
use kiln_spec::Arch;
use kiln_spec::image::{Firmware, Os};

pub use self::error::AssembleError;
pub use self::inspect::{arch_of_program, newest_kernel};
pub use self::layout::{
    BIOS_BOOT, DEFAULT_CMDLINE, DEFAULT_ESP, ExtraFile, Holds, Layout, NewTable, OutputFormat,
    Part, Volume, VolumeKind,
};
use self::loader::Loaders;
use self::output::Output;
use self::plan::Plan;
use self::tree::Tally;
pub use self::tree::disk_for;
use crate::device::{Device, SharedDevice};
use crate::fs::ext::{Access, ExtFs};
use crate::fs::fat::FatImage;

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
    /// An appliance is started, and fills the file systems that no code of ours writes.
    Appliance,
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
    /// Number of the EFI system partition's file system: `1A2B-3C4D`; of one that would be there,
    /// if the disk has none.
    pub esp_uuid: String,
    /// Number of the partition table, as `blkid` shows it.
    pub disk_id: String,
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
    /// Lines of the tree's `/etc/fstab` that name other disks, and are not in the new one.
    pub mounts_left_out: Vec<String>,
}

/// Checks whether a disk can be divided as `layout` says, before there is a tree for it.
///
/// # Errors
///
/// [`AssembleError::BadLayout`], [`AssembleError::Table`].
pub fn check(layout: &Layout) -> Result<(), AssembleError> {
    Plan::of(layout).map(drop)
}

/// Makes a bootable disk out of the root file system in `tar`.
///
/// `tar` is read once, to its end marker and a little further. `progress` is told how far it has
/// come, once for every member of the stream.
///
/// # Effects
///
/// Makes [`Layout::output`], which must not exist, when all is written; on any error nothing is
/// left of it. Needs no privileges: nothing is mounted, and no device is touched.
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
    let output = Output::create(layout)?;
    progress(Progress::Tables);
    let several = plan.is_staged();
    let root: Box<dyn Device> = if several {
        Box::new(output.stage(layout, &plan, host)?)
    } else {
        Box::new(output.format(plan.root, &plan.ext4(layout), host)?)
    };
    let now = i64::try_from(layout.time).unwrap_or(i64::MAX);
    let opened = ExtFs::open(root, Access::Write { now });
    let prepared = opened.and_then(|mut fs| fs.prepare_new().map(|()| fs));
    let mut fs = prepared.map_err(|source| AssembleError::Ext { doing: "open", source })?;
    let tally = tree::unpack(&mut fs, tar, layout, progress)?;

    progress(Progress::BootLoader);
    let mut finished = finish_tree(&mut fs, layout, plan, (host, &output))?;

    progress(Progress::Flush);
    fs.close().map_err(|source| tree::at_close(source, &tally, layout))?;
    if several {
        let read = |source| AssembleError::Ext { doing: "read", source };
        let mut stage = ExtFs::open(Box::new(output.staged()?), Access::Read).map_err(read)?;
        if finished.plan.has_foreign() {
            progress(Progress::Appliance);
        }
        spread::spread(&mut stage, layout, &finished.plan, (host, &output))?;
    }
    let secure_boot = finished.write_around(layout, output.disk())?;
    let bytes_written = output.finish(layout)?;
    Ok(finished.told(&tally, (secure_boot, bytes_written)))
}

/// What is known when the tree is complete, and what is still to be written around it.
struct Finished {
    plan: Plan,
    found: inspect::Found,
    loaders: Loaders,
    fat: FatImage,
    mounts_left_out: Vec<String>,
}

/// Puts into the tree what makes it boot.
fn finish_tree(
    fs: &mut ExtFs,
    layout: &Layout,
    plan: Plan,
    (host, output): (&dyn Host, &Output),
) -> Result<Finished, AssembleError> {
    let found = inspect::inspect(fs, layout.arch)?;
    // The root's type is that of the processor, which is known only now.
    let plan = match layout.arch {
        Some(_) => plan,
        None => Plan::of(&Layout { arch: Some(found.arch), any_firmware: true, ..layout.clone() })?,
    };
    let mut fat = plan.esp_image(layout);
    let facts = config::Facts { plan: &plan, found: &found, esp_uuid: &fat.uuid() };
    let loaders = Loaders::make(fs, &facts, (layout, host), output.work())?;
    let config = config::files(fs, layout, &facts)?;
    let mut files = config.files;
    files.extend(loaders.tree_files(found.grub));
    files.extend(layout.files.iter().cloned());
    if plan.esp.is_some() {
        let taken = |path: &str| loaders.esp_paths().any(|own| own.eq_ignore_ascii_case(path));
        for (path, bytes) in esp::take(fs, layout.esp.0)? {
            if !taken(&path) {
                fat.add(&path, bytes).map_err(|source| AssembleError::Esp { source })?;
            }
        }
    }
    identity::forget(fs, layout)?;
    tree::overlay(fs, &files, layout)?;
    if plan.esp.is_some() {
        tree::make_folder(fs, "/boot/efi", layout)?;
    }
    for placed in &plan.volumes {
        tree::make_folder(fs, &placed.volume.mount, layout)?;
    }
    Ok(Finished { plan, found, loaders, fat, mounts_left_out: config.left_out })
}

impl Finished {
    /// Writes the partition table, swap space and boot loaders; returns whether these are signed.
    fn write_around(
        &mut self,
        layout: &Layout,
        mut disk: SharedDevice,
    ) -> Result<bool, AssembleError> {
        let at = |source| AssembleError::Image { path: layout.output.clone(), source };
        self.plan.write_table(&mut disk).map_err(at)?;
        if let Some((place, uuid)) = self.plan.swap {
            let window = crate::device::Window::new(disk.clone(), place.start, place.len);
            let written = window.and_then(|mut swap| crate::fs::swap::write(&mut swap, uuid));
            written.map_err(at)?;
        }
        self.loaders.install(&mut disk, &mut self.fat, &self.plan)
    }

    fn told(self, tally: &Tally, (secure_boot, bytes_written): (bool, u64)) -> Assembled {
        Assembled {
            root_uuid: self.plan.root_uuid.to_string(),
            root_partuuid: self.plan.root_partuuid.clone(),
            esp_uuid: self.fat.uuid(),
            disk_id: self.plan.disk_id.clone(),
            kernel: self.found.kernel.version,
            os: self.found.os,
            firmware: self.loaders.firmware(),
            secure_boot,
            bytes_written,
            tree_bytes: tally.bytes,
            entries: tally.entries,
            arch: self.found.arch,
            mounts_left_out: self.mounts_left_out,
        }
    }
}
