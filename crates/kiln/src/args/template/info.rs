// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln template info`.

use clap::Args;

use crate::machine::templates::TemplateName;

/// Show a template: what it was made of, and what hangs on it
#[derive(Debug, Args)]
pub(crate) struct Info {
    /// The template: NAME, which is its newest version, or NAME:VERSION
    #[arg(value_name = "NAME")]
    pub(crate) name: TemplateName,
    /// Its pool
    #[arg(long, value_name = "POOL", default_value = "default")]
    pub(crate) pool: String,
}
