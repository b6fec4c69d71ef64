// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln stop`.

use std::time::Duration;

use clap::Args;

use super::duration;

/// Stop machines: ask the agent or by ACPI, and switch off after a time-out
#[derive(Debug, Args)]
pub(crate) struct Stop {
    /// The machines
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) how: How,
}

/// How machines are to be stopped.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct How {
    /// How long the guest may take before it is switched off: `90s`, `10m`, `1h`
    #[arg(long, value_name = "TIME", default_value = "90s", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// Switch off at once, as if the plug was pulled
    #[arg(long)]
    pub(crate) hard: bool,
}
