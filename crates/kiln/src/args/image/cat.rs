// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image cat`.

use std::ffi::OsString;

use clap::Args;

use super::target::Source;

/// Print files of an image
#[derive(Debug, Args)]
pub(crate) struct Cat {
    #[command(flatten)]
    pub(crate) source: Source,
    /// The files, in the guest
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<OsString>,
}
