// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image info`.

use super::as_json;
use crate::args::image::info::Info;
use crate::context::Context;
use crate::machine::image::find_in_store;

/// Shows what is known of an image.
pub(crate) fn run(ctx: &Context, args: &Info) -> anyhow::Result<u8> {
    let image = find_in_store(ctx, &args.image)?;
    ctx.ui.result(&as_json(&image)?);
    Ok(0)
}
