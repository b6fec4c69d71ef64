// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image list|info|rm`.

use crate::args::image::{Image, ImageInfo, ImageRm};
use crate::context::Context;
use crate::ui::Table;

/// Lists, shows or removes images.
pub(crate) fn run(ctx: &Context, args: &Image) -> anyhow::Result<u8> {
    match args {
        Image::List(_) => list(ctx),
        Image::Info(args) => info(ctx, args),
        Image::Rm(args) => rm(ctx, args),
    }
}

fn list(ctx: &Context) -> anyhow::Result<u8> {
    let images = ctx.store()?.list()?;
    if ctx.ui.json() {
        let all: Vec<_> = images.iter().map(|i| &i.manifest).collect();
        ctx.ui.result(&serde_json::json!({ "images": all }));
        return Ok(0);
    }
    let mut table = Table::new(&["NAME", "OS", "ARCH", "SIZE", "ON DISK", "DIGEST"]);
    for image in &images {
        let m = &image.manifest;
        table.row(vec![
            image.names.join(", "),
            m.os.pretty_name.clone(),
            m.arch.as_str().to_owned(),
            m.virtual_size.to_string(),
            m.file_size.to_string(),
            m.digest.hex().chars().take(12).collect(),
        ]);
    }
    if images.is_empty() {
        ctx.ui.say("the store is empty; `kiln build RECIPE` makes an image");
    } else {
        table.lines().iter().for_each(|line| ctx.ui.out(line));
    }
    Ok(0)
}

fn info(ctx: &Context, args: &ImageInfo) -> anyhow::Result<u8> {
    let image = crate::machine::image::find_in_store(ctx, &args.image)?;
    ctx.ui.result(&serde_json::to_value(&image.manifest)?);
    Ok(0)
}

fn rm(ctx: &Context, args: &ImageRm) -> anyhow::Result<u8> {
    let store = ctx.store()?;
    for name in &args.images {
        crate::machine::image::find_in_store(ctx, name)?;
    }
    for name in &args.images {
        store.remove(name)?;
        ctx.ui.say(format!("removed image `{name}`"));
    }
    if ctx.ui.json() {
        ctx.ui.result(&serde_json::json!({ "removed": args.images }));
    }
    Ok(0)
}
