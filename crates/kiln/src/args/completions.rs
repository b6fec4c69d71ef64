// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln completions`.

use clap::Args;

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_long_help = "EXAMPLES
  kiln completions bash > ~/.local/share/bash-completion/completions/kiln")]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}
