// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln seed`: one file a verb.

pub(crate) mod build;
pub(crate) mod serve;
pub(crate) mod show;

use clap::Subcommand;

/// Make, show and serve seeds: what machines are told at their first boot
#[derive(Debug, Subcommand)]
pub(crate) enum Seed {
    Build(Box<build::Build>),
    Show(show::Show),
    Serve(serve::Serve),
}
