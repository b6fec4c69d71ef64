// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln template list`.

use clap::Args;

/// List the templates of a pool, and what hangs on each
#[derive(Debug, Args)]
pub(crate) struct List {
    /// The pool
    #[arg(long, value_name = "POOL", default_value = "default")]
    pub(crate) pool: String,
}
