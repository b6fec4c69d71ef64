// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln doctor`.

use clap::Args;

/// Check what Kiln needs on this machine and on the host, and say what mends it
///
/// Exit status 1 when something needed is missing.
#[derive(Debug, Args)]
pub(crate) struct Doctor {}
