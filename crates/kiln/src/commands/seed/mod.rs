// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln seed`: one file a verb.

mod build;
mod contents;
mod http;
mod serve;
mod show;

use crate::args::seed::Seed;
use crate::context::Context;

/// Runs a verb; returns the exit code.
pub(crate) fn run(ctx: &Context, args: &Seed) -> anyhow::Result<u8> {
    match args {
        Seed::Build(args) => build::run(ctx, args),
        Seed::Show(args) => show::run(ctx, args),
        Seed::Serve(args) => serve::run(ctx, args),
    }
}
