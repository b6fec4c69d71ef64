// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image info`.

use serde_json::json;

use super::as_json;
use crate::args::image::info::Info;
use crate::context::Context;
use crate::machine::image::find_in_store;

/// Shows what is known of an image.
pub(crate) fn run(ctx: &Context, args: &Info) -> anyhow::Result<u8> {
    let image = find_in_store(ctx, &args.image)?;
    let mut value = as_json(&image)?;
    value["path"] = json!(image.path.to_string_lossy());
    ctx.ui.result(&value);
    Ok(0)
}
