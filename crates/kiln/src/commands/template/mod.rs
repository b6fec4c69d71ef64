// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln template`: one file a verb.

mod create;
mod info;
mod list;
mod rm;

use crate::args::template::Template;
use crate::context::Context;

/// Runs a verb; returns the exit code.
pub(crate) fn run(ctx: &Context, args: &Template) -> anyhow::Result<u8> {
    match args {
        Template::Create(args) => create::run(ctx, args),
        Template::List(args) => list::run(ctx, args),
        Template::Info(args) => info::run(ctx, args),
        Template::Rm(args) => rm::run(ctx, args),
    }
}
