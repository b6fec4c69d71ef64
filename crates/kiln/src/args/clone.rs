// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln clone`.

use std::path::PathBuf;

use clap::Args;
use kiln_spec::MachineName;

use super::launch::WantedIp;

/// Make another machine of one that is off, or of a template, with an identity of its own
///
/// Its disks are copied on the host; where the file system can share blocks, nothing is. UUID,
/// hardware addresses, instance-id, host name and seed are new, and what in the guest tells it from
/// others (machine-id, SSH host keys, random seed, DHCP client ids) is taken out before its first
/// start. Machines that Kiln did not make can be cloned, too. What was done is told at the end.
/// Of a template it makes what `kiln launch` does, with a disk of its own, and does not start it.
#[derive(Debug, Args)]
#[command(after_long_help = "EXAMPLES
  kiln clone web1 web2
  kiln clone web1 try --linked --start
  kiln clone web1 node -n 3 --pool fast
  kiln clone old-vm new-vm --dry-run
  kiln clone web:2 web3")]
pub(crate) struct Clone {
    /// The machine, which must be off, or the template
    pub(crate) source: String,
    /// The clone's name, which becomes its host name
    pub(crate) name: MachineName,
    /// Make this many clones: NAME-1, NAME-2 and so on
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(crate) count: Option<u32>,
    /// Let the disk hang on the template that the source's hangs on, and copy only what differs
    ///
    /// Of a machine whose disk hangs on none this is refused: the machine may change its disk, and
    /// a clone over it would break. A clone of a template hangs on that.
    #[arg(long)]
    pub(crate) linked: bool,
    /// The pool for the clone's volumes; without it each lies beside its source. A template is looked
    /// for in it, or in `default`
    #[arg(long, value_name = "NAME")]
    pub(crate) pool: Option<String>,
    /// Reserve an IPv4 address for the first interface: `auto`, or the address itself
    ///
    /// Without it one is reserved where the source has one reserved.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) ip: Option<WantedIp>,
    /// Leave the guest as it is: it has the source's machine-id and keys until something renews them
    ///
    /// cloud-init makes new host keys by itself, because the seed is new, but no machine-id.
    #[arg(long)]
    pub(crate) as_is: bool,
    /// Who logs in to a clone of a machine that Kiln did not make, if its guest has cloud-init:
    /// `kiln` without it; or to one of a template, without it the image's own user
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// A public key that may log in to such a clone (repeatable); without it those `ssh` would use
    #[arg(long, value_name = "FILE")]
    pub(crate) ssh_key: Vec<PathBuf>,
    /// Start the clone
    #[arg(long)]
    pub(crate) start: bool,
    /// Print what would be done, the XML included, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
