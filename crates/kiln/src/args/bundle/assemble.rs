// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln bundle assemble`.

use std::path::PathBuf;

use clap::Args;
use kiln_spec::Bytes;
use kiln_spec::recipe::{ImageName, KernelWords};

use super::trust::Trust;

/// Make a bootable disk of a bundle
///
/// In one pass, without root, loop device, mount or chroot: partitions, ext4, swap, /etc/fstab, host
/// name, and GRUB from the tree's own modules. The bundle may be any tar archive of a Linux root,
/// plain or compressed by gzip, xz or zstd. A bundle whose digest is not that of its manifest gives
/// no disk. One at an address is fetched first: with `--key` or `--fingerprint` its manifest must be
/// signed; without them the server is believed.
#[derive(Debug, Args)]
#[command(after_long_help = "EXAMPLES
  kiln bundle assemble web                          into the store, for `kiln launch`
  kiln bundle assemble ./web.tar.zst -o web.qcow2
  kiln bundle assemble ./root.tar.gz -o web.raw --size 20GiB --swap 2GiB --hostname web1")]
pub(crate) struct Assemble {
    /// The bundle: a name, a path (with a `/` in it), or an address (`https://…`)
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: String,
    /// The disk to make; without it the disk goes into the store
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The image's name in the store; without it the bundle's
    #[arg(long, value_name = "NAME", conflicts_with = "output")]
    pub(crate) name: Option<ImageName>,
    /// The disk's format; without it the output's ending tells it
    #[arg(long, value_name = "FORMAT", value_enum, requires = "output")]
    pub(crate) format: Option<Format>,
    /// The disk's size; without it one that fits, with room to work
    #[arg(long, value_name = "SIZE")]
    pub(crate) size: Option<Bytes>,
    /// Make a swap partition
    #[arg(long, value_name = "SIZE")]
    pub(crate) swap: Option<Bytes>,
    /// The kind of partition table
    #[arg(long, value_name = "KIND", value_enum, default_value_t = Table::Gpt)]
    pub(crate) table: Table,
    /// The firmware that it must boot with (repeatable); without it all that the tree can
    #[arg(long, value_name = "FIRMWARE", value_enum)]
    pub(crate) firmware: Vec<Firmware>,
    /// The host's name; without it the tree's own
    #[arg(long, value_name = "NAME")]
    pub(crate) hostname: Option<String>,
    /// Leave SSH host keys, machine-id and what else makes a machine that one in the tree
    #[arg(long)]
    pub(crate) keep_identity: bool,
    /// The kernel's command line, without `root=`; without it a screen and a serial console
    #[arg(long, value_name = "WORDS")]
    pub(crate) cmdline: Option<KernelWords>,
    /// Wait until all of the output is on the disk, as is done in the store
    #[arg(long, requires = "output")]
    pub(crate) sync: bool,
    #[command(flatten, next_help_heading = "Bundles from a web server")]
    pub(crate) trust: Trust,
}

/// The formats of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// The bytes of the disk
    Raw,
    /// QEMU's own
    Qcow2,
}

/// Kinds of partition tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Table {
    /// GUID partition table
    Gpt,
    /// The old kind (DOS)
    Mbr,
}

/// What starts the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Firmware {
    /// A BIOS
    Bios,
    /// UEFI
    Uefi,
}
