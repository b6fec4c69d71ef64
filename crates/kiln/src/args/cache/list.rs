// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln cache list`.

use clap::Args;

/// List the layers of builds, the one used last first
#[derive(Debug, Args)]
pub(crate) struct List {}
