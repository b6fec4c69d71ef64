// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln exec`.

use std::time::Duration;

use clap::Args;

use super::duration;

/// Run a program in a machine through the guest agent
///
/// As root, without a network. Standard output, standard error and the exit status are the
/// program's; standard input is passed on unless it is a terminal.
#[derive(Debug, Args)]
#[command(after_long_help = "EXAMPLES
  kiln exec web1 -- hostname
  kiln exec web1 -- sh -c 'cat >/etc/motd' <motd")]
pub(crate) struct Exec {
    /// The machine
    pub(crate) name: String,
    /// End with an error if the program runs longer (`90s`, `10m`, `1h`); it goes on in the guest
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// The program and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    pub(crate) command: Vec<String>,
}
