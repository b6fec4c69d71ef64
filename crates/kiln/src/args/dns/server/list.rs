// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln dns server list`.

use clap::Args;

/// List the DNS servers that this client knows
#[derive(Debug, Args)]
pub(crate) struct List {}
