// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln forward list`.

use clap::Args;

/// List forwards, and whether they are in place
#[derive(Debug, Args)]
pub(crate) struct List {
    /// The machine; without it all
    pub(crate) name: Option<String>,
}
