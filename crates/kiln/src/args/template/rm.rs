// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln template rm`.

use clap::Args;

use crate::machine::templates::TemplateName;

/// Remove templates that nothing hangs on
#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// The templates: NAME, which is the newest version, or NAME:VERSION
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<TemplateName>,
    /// Their pool
    #[arg(long, value_name = "POOL", default_value = "default")]
    pub(crate) pool: String,
    /// Print what would be removed, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
