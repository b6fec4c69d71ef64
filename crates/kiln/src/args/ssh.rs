// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln ssh`.

use clap::Args;

/// Log in to a machine, or run a command there, by OpenSSH
///
/// The address, the user, the key and the machine's known host keys are Kiln's; everything else
/// is as your `ssh` has it.
#[derive(Debug, Args)]
#[command(after_long_help = "EXAMPLES
  kiln ssh web1
  kiln ssh web1 -- sudo journalctl -b
  kiln ssh web1 -o ForwardAgent=yes
  kiln ssh web1 -- -v")]
pub(crate) struct Ssh {
    /// Log in as this user instead
    #[arg(short, long)]
    pub(crate) login: Option<String>,
    /// The machine
    pub(crate) name: String,
    /// Options for ssh, and the command to run; `--` before options that Kiln has, too (`-v`)
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    pub(crate) args: Vec<String>,
}
