// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln pool list`.

use clap::Args;

/// List the host's pools, with what they hold and what is free
#[derive(Debug, Args)]
pub(crate) struct List {}
