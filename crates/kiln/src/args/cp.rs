// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln cp`.

use clap::Args;

/// Copy files to or from a machine
#[derive(Debug, Args)]
#[command(after_long_help = "EXAMPLES
  kiln cp site.conf web1:/etc/nginx/conf.d/
  kiln cp -r web1:/var/log ./logs
  kiln cp --via agent key.pem web1:/root/key.pem")]
pub(crate) struct Cp {
    /// Folders, too, with all that is in them
    #[arg(short, long)]
    pub(crate) recursive: bool,
    /// How to get there; without it scp, or the agent where nobody can log in
    #[arg(long, value_enum)]
    pub(crate) via: Option<Via>,
    /// What to copy: PATH, or MACHINE:PATH
    pub(crate) from: String,
    /// Where to: PATH, or MACHINE:PATH
    pub(crate) to: String,
}

/// Ways to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Via {
    /// OpenSSH's scp, as the machine's user
    Scp,
    /// The guest agent, as root, without a network; one file
    Agent,
}
