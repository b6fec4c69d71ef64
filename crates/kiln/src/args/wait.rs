// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln wait`.

use std::time::Duration;

use clap::Args;
use kiln_spec::ready::ReadyCheck;

use super::duration;

/// Wait until a machine is ready, or has stopped
#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// The machine
    pub(crate) name: String,
    /// What to wait for
    #[arg(long = "for", value_enum, value_name = "STATE", default_value_t = Until::Ready)]
    pub(crate) until: Until,
    /// What is to be proven besides: `agent`, `cloud-init`, `ssh`, `tcp:PORT`
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    pub(crate) ready: Vec<ReadyCheck>,
    /// How long to wait: `90s`, `10m`, `1h`
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// Show how long each phase took
    #[arg(long)]
    pub(crate) timings: bool,
}

/// What can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Until {
    /// The agent answers, cloud-init is done, one can log in
    Ready,
    /// The guest agent answers
    Agent,
    /// The machine is off
    Stopped,
}
