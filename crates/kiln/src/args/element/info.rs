// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln element info`.

use std::path::PathBuf;

use clap::Args;

/// Show what an element does, and its parameters
///
/// Of an element of diskimage-builder: what it needs and provides, and its scripts.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Info {
    /// The element
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Look for an element of diskimage-builder in this folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) dib: Vec<PathBuf>,
}

const EXAMPLES: &str = "EXAMPLES
    kiln element info sshd-policy
    kiln element info --dib diskimage_builder/elements simple-init";
