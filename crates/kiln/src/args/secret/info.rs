// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln secret info`.

use clap::Args;

/// Show a secret and what uses it, without its value
#[derive(Debug, Args)]
pub(crate) struct Info {
    /// The secret, by its name or its UUID
    pub(crate) name: String,
}
