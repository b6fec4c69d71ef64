// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln seed show`.

use clap::Args;

/// Show what a seed holds, without the secrets in it
///
/// User-data of several parts are shown part by part, decoded. Passwords, their hashes, tokens,
/// private keys and the contents of files that not everybody may read are `***`.
#[derive(Debug, Args)]
#[command(after_long_help = "EXAMPLES
  kiln seed show web1
  kiln seed show ./web1.iso
  kiln seed show web1 --json | jq -r '.seed.files[0].parts[0].text'")]
pub(crate) struct Show {
    /// A machine that Kiln made, or the path (with a `/` or a `.` in it) of a drive's image or a
    /// folder
    #[arg(value_name = "MACHINE|FILE")]
    pub(crate) what: String,
    /// Show secrets, too
    #[arg(long)]
    pub(crate) secrets: bool,
}
