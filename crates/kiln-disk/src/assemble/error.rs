// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why a disk could not be assembled.

use std::io;
use std::path::PathBuf;

use kiln_host::CmdError;
use kiln_host::tools::guestfish::FishError;
use kiln_spec::image::Firmware;
use kiln_spec::{Arch, Bytes};

use crate::boot::BootError;
use crate::fs::ext::{ExtError, shown};
use crate::fs::fat::FatError;
use crate::table::gpt::LayoutError;
use crate::tar::TarError;

/// Why [`super::assemble`] failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssembleError {
    /// The layout asks for something that cannot be.
    #[error("the disk's layout cannot be made: {what}")]
    BadLayout {
        /// What is wrong with it.
        what: String,
    },
    /// The partitions do not fit the disk.
    #[error("the partitions do not fit a disk of {size}")]
    Table {
        /// The disk's size.
        size: Bytes,
        /// Which does not, and why.
        source: LayoutError,
    },
    /// The image file, or a file beside it, could not be made, read or written.
    #[error("could not write `{}`", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A tool of the host failed.
    #[error("could not make the empty file system")]
    Tool {
        /// What it said.
        source: CmdError,
    },
    /// The stream cannot be read.
    #[error("could not read the root file system")]
    Tar {
        /// Where and why.
        source: TarError,
    },
    /// A member of the stream, or an extra file, could not be put into the tree.
    #[error("could not put `{}` into the tree", shown(path))]
    Tree {
        /// Its path.
        path: Vec<u8>,
        /// What the file system said.
        source: ExtError,
    },
    /// The root file system could not be opened, read or finished.
    #[error("could not {doing} the root file system")]
    Ext {
        /// What was being done.
        doing: &'static str,
        /// What the file system said.
        source: ExtError,
    },
    /// The tree does not fit.
    #[error("the tree needs a disk of {need}; this one has {size}")]
    TooSmall {
        /// The disk's size.
        size: Bytes,
        /// A size that is enough.
        need: Bytes,
    },
    /// What the tree has at a mount point does not fit its partition.
    #[error("what the tree has for `{mount}` does not fit its partition of {size}")]
    VolumeFull {
        /// Where the partition is mounted.
        mount: String,
        /// Its size.
        size: Bytes,
    },
    /// The appliance could not fill a file system.
    #[error("could not fill the file system for `{mount}`")]
    Appliance {
        /// Where it is mounted.
        mount: String,
        /// What the appliance said.
        source: Box<FishError>,
    },
    /// The tree has something at a mount point that FAT cannot hold.
    #[error("`{}` is a {kind}, and its partition is to be FAT, which has none", shown(path))]
    NotForFat {
        /// Its path.
        path: Vec<u8>,
        /// What it is.
        kind: &'static str,
    },
    /// A FAT file system could not be written.
    #[error("could not write the file system for `{mount}`")]
    Fat {
        /// Where it is mounted.
        mount: String,
        /// Why.
        source: FatError,
    },
    /// The stream is far longer than any tree for its disk: a bomb.
    #[error(
        "the tar stream has more than {most} at `{}`, which no tree for a disk of {size} has",
        shown(path)
    )]
    TooLong {
        /// The member that passes the limit.
        path: Vec<u8>,
        /// The limit.
        most: Bytes,
        /// The disk's size.
        size: Bytes,
    },
    /// Kiln was told to stop.
    #[error("the disk was not made, because kiln was told to stop")]
    Interrupted,
    /// There is no `/boot/vmlinuz-*`.
    #[error("the tree has no kernel in `/boot`; add the package `{package}`")]
    NoKernel {
        /// A package that has one.
        package: &'static str,
    },
    /// There is no boot loader for a firmware that the disk is to boot with.
    #[error("the tree has no GRUB for {firmware}; add the package `{package}`")]
    NoGrub {
        /// Which firmware.
        firmware: Firmware,
        /// The package that has it.
        package: &'static str,
    },
    /// Nothing says what processor the tree is for.
    #[error("the tree has no program for a known processor at `/bin/sh`")]
    NoArch,
    /// The tree is for another processor.
    #[error("the tree is for {found}; the disk is to be for {want}")]
    WrongArch {
        /// What was asked for.
        want: Arch,
        /// What came.
        found: Arch,
    },
    /// A boot loader could not be installed.
    #[error("could not install the boot loader for {firmware}")]
    Boot {
        /// For which firmware.
        firmware: Firmware,
        /// Why.
        source: BootError,
    },
    /// The EFI system partition could not be written.
    #[error("could not write the EFI system partition")]
    Esp {
        /// Why.
        source: FatError,
    },
}
