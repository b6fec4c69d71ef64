// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image tar-in`.

use kiln_guest::ops::Plan;

use super::apply;
use crate::args::image::tar_in::TarIn;
use crate::context::Context;

/// Unpacks an archive into the guest.
pub(crate) fn run(ctx: &Context, args: &TarIn) -> anyhow::Result<u8> {
    let mut plan = Plan::default();
    let file = if args.file == "-" { "/dev/stdin" } else { &args.file };
    apply::add(&mut plan, "tar-in", file, &args.to)?;
    apply::run(ctx, &args.target, &plan)
}
