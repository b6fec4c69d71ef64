// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln completions`.

use clap::CommandFactory;

use crate::args::Cli;
use crate::args::completions::Completions;
use crate::context::Context;

/// Prints the completions of a shell.
pub(crate) fn run(ctx: &Context, args: &Completions) -> anyhow::Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "kiln", &mut script);
    ctx.ui.out(String::from_utf8(script)?.trim_end());
    Ok(0)
}
