// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln ssh-config`.

use clap::Args;

/// Print how OpenSSH reaches machines, for an ssh_config file
///
/// With it `ssh NAME`, `scp`, `rsync`, `git` and editors reach machines by their names, each with
/// its own host keys. Machines without an address are left out.
#[derive(Debug, Args)]
#[command(after_long_help = "EXAMPLES
  kiln ssh-config > ~/.ssh/kiln && echo 'Include kiln' | cat - ~/.ssh/config > ~/.ssh/new
  ssh -F <(kiln ssh-config web1) web1")]
pub(crate) struct SshConfig {
    /// The machines; without a name all that Kiln made
    pub(crate) names: Vec<String>,
}
