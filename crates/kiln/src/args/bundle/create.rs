// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln bundle create`.

use std::path::PathBuf;

use clap::Args;
use kiln_spec::bundle::Exclude;
use kiln_spec::recipe::ImageName;

/// Make a bundle of a machine, the host, a folder or an image
///
/// A bundle is the tree of one system as a compressed archive (`NAME.tar.zst`) that any tar reads,
/// with a manifest (`NAME.tar.zst.json`) beside it: owners as numbers, extended attributes, access
/// control lists, links, devices and holes are kept. Only the root's file system is read, and those
/// of /boot and /boot/efi. The file may be read by its owner only.
///
/// Left out are what the kernel and package managers make anew, sockets, and what makes a machine
/// that one: SSH host keys, leases, histories.
#[derive(Debug, Args)]
#[command(after_long_help = "EXAMPLES
  kiln bundle create machine:web1 --name web
  kiln bundle create root@10.0.0.7 -o web.tar.zst
  kiln bundle create ./disk.qcow2 --name web
  kiln bundle create / --name this-host --exclude '/srv/*'")]
pub(crate) struct Create {
    /// What to read: `machine:NAME`, `USER@HOST[:PORT]`, a folder, `/`, a disk image's file, or the
    /// name of an image in the store
    #[arg(value_name = "SOURCE")]
    pub(crate) source: String,
    /// The file to make; without it the bundle is kept under its name
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The bundle's name; without it that of the source
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<ImageName>,
    /// Leave out a path, and all below it; `*` stands for anything within a name (repeatable)
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude: Vec<Exclude>,
    /// Take along caches, logs, temporary files and other things that are left out usually
    #[arg(long)]
    pub(crate) no_default_excludes: bool,
    /// Take along SSH host keys and what else makes the machine that one, to move a machine
    #[arg(long)]
    pub(crate) keep_identity: bool,
    /// How hard zstd tries, from 1 (fast) to 19 (small)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=19))]
    pub(crate) level: Option<i32>,
    /// Sign the manifest with a key of your GnuPG keyring
    #[arg(long, value_name = "KEY")]
    pub(crate) sign: Option<String>,
    /// The private key for SSH (USER@HOST only; `machine:` knows its own)
    #[arg(short, long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
    /// An option of ssh_config(5), `ProxyJump=gate` (repeatable; USER@HOST only)
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) ssh_option: Vec<String>,
}
