// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln dns list`.

use clap::Args;

/// List what machines have in DNS, and what removed ones have left there
///
/// It is what Kiln has put there; no server is asked.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// The machine; without it all
    pub(crate) name: Option<String>,
}
