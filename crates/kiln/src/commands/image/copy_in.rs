// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image copy-in`.

use kiln_guest::ops::Plan;

use super::apply;
use crate::args::image::copy_in::CopyIn;
use crate::context::Context;

/// Copies files and folders into the guest.
pub(crate) fn run(ctx: &Context, args: &CopyIn) -> anyhow::Result<u8> {
    let mut plan = Plan::default();
    for file in &args.files {
        apply::add(&mut plan, "copy-in", file, &args.to)?;
    }
    apply::run(ctx, &args.target, &plan)
}
