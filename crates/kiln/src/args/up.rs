// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln up`.

use std::time::Duration;

use clap::Args;

use super::duration;
use super::set::{Allow, SetFile};

/// Make what a file wants: networks, pools and machines
///
/// Does what `kiln plan` shows, at the same time what does not need each other. Machines that are
/// there are changed to what the file says; a second run has nothing to do. One machine that fails
/// does not stop the others. What the file's `name` did not make is used, and never changed.
#[derive(Debug, Args)]
#[command(after_long_help = "EXAMPLES
  kiln up
  kiln up shop.yaml --no-wait
  kiln up shop.yaml --prune --restart")]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) set: SetFile,
    #[command(flatten)]
    pub(crate) allow: Allow,
    /// Return as soon as the machines run
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// How long to wait until a machine is ready
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// How long a guest may take to shut down, for a restart, before it is switched off
    #[arg(long, value_name = "TIME", default_value = "90s", value_parser = duration)]
    pub(crate) stop_timeout: Duration,
}
