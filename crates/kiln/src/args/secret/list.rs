// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln secret list`.

use clap::Args;

/// List the host's secrets, without their values
#[derive(Debug, Args)]
pub(crate) struct List {}
