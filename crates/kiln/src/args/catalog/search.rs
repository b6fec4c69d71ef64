// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln catalog search`.

use clap::Args;

/// List the images that catalogs offer
///
/// A catalog that cannot be read, or that nothing says who may sign, is passed over with a warning.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Search {
    /// Words that the name, an alias or the title must have, each of them
    #[arg(value_name = "WORD")]
    pub(crate) words: Vec<String>,
    /// Only this catalog
    #[arg(long, value_name = "NAME")]
    pub(crate) catalog: Option<String>,
    /// Only images for this processor, or `all`; else this host's
    #[arg(long, value_name = "ARCH")]
    pub(crate) arch: Option<String>,
    /// Also those that their catalog hides
    #[arg(long)]
    pub(crate) hidden: bool,
}

const EXAMPLES: &str = "EXAMPLES
    kiln catalog search
    kiln catalog search debian
    kiln catalog search --catalog distributions --arch all fedora";
