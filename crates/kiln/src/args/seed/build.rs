// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln seed build`.

use std::path::PathBuf;

use clap::Args;
use kiln_spec::MachineName;

use crate::args::first_boot::FirstBoot;

/// Make a seed for a machine of any tool's: an ISO image, or a folder
///
/// It holds what `kiln launch` gives a machine: who it is, who may log in, and the user's own
/// user-data, all checked. cloud-init finds the image by its label on any drive, a CD-ROM or a disk.
#[derive(Debug, Args)]
#[command(after_long_help = "EXAMPLES
  kiln seed build web1.iso --hostname web1 --ssh-key ~/.ssh/id_ed25519.pub
  kiln seed build win1.iso --hostname win1 --datasource configdrive --user-data setup.ps1
  kiln seed build web1 --folder --hostname web1 --user-data setup.yaml --network-config v1.yaml")]
pub(crate) struct Build {
    /// The file to make; it must not be there yet
    #[arg(value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// The machine's host name
    #[arg(long, value_name = "NAME")]
    pub(crate) hostname: MachineName,
    /// The host name with its domain
    #[arg(long, value_name = "NAME")]
    pub(crate) fqdn: Option<String>,
    /// What tells cloud-init whether a boot is the first; without it a new one
    ///
    /// A guest that has seen another does its first boot anew, with new SSH host keys.
    #[arg(long, value_name = "ID")]
    pub(crate) instance_id: Option<String>,
    /// Who logs in, with sudo that asks for no password; without it the image's own default user
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// A public key that may log in (repeatable)
    #[arg(long, value_name = "FILE")]
    pub(crate) ssh_key: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) first_boot: FirstBoot,
    /// How the guest is told of its interfaces: cloud-init's version 1 or 2, or OpenStack's
    /// `network_data.json` with `--datasource configdrive`
    #[arg(long, value_name = "FILE")]
    pub(crate) network_config: Option<PathBuf>,
    /// Make a folder of the files, no ISO image
    #[arg(long)]
    pub(crate) folder: bool,
}
