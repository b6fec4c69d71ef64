// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln secret create`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use kiln_spec::PoolName;

/// Have the host keep the key of a Ceph user
///
/// The key is read from a file or from standard input, and never shown again.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("from").required(true).args(["keyring", "stdin"])), after_long_help = "EXAMPLES
  kiln secret create ceph --keyring /etc/ceph/ceph.client.libvirt.keyring
  ssh mon1 ceph auth get client.libvirt | kiln secret create ceph --stdin")]
pub(crate) struct Create {
    /// The secret's name
    pub(crate) name: PoolName,
    /// A keyring of Ceph's
    #[arg(long, value_name = "FILE")]
    pub(crate) keyring: Option<PathBuf>,
    /// Read standard input: a keyring, as `ceph auth get` prints it, or the key alone
    #[arg(long)]
    pub(crate) stdin: bool,
    /// Whose key it is, without `client.`, if the keyring has several
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Print what would be made, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
