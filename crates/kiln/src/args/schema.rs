// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln schema`.

use clap::{Args, ValueEnum};

/// Print the JSON Schema of a kind of file, for editors
#[derive(Debug, Args)]
#[command(after_long_help = "EXAMPLES
  kiln schema set > kiln.schema.json
  # and as the first line of kiln.yaml, for editors with yaml-language-server:
  # yaml-language-server: $schema=kiln.schema.json")]
pub(crate) struct Schema {
    /// The kind of file
    #[arg(value_enum)]
    pub(crate) of: Of,
}

/// The kinds of files that people write.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Of {
    /// What `kiln build` reads
    Recipe,
    /// What `kiln up` reads
    Set,
}
