// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln bundle list`.

use clap::Args;

/// List the bundles that are kept under a name
#[derive(Debug, Args)]
pub(crate) struct List {}
