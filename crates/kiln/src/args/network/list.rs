// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln network list`.

use clap::Args;

/// List the host's networks, whoever made them
#[derive(Debug, Args)]
pub(crate) struct List {}
