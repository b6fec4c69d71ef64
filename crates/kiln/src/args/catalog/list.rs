// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln catalog list`.

use clap::Args;

/// List the catalogs, and whom each is believed; nothing is fetched
#[derive(Debug, Args)]
pub(crate) struct List {}
