// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image list`.

use super::as_json;
use crate::context::Context;
use crate::ui::Table;

/// Lists the images of the store.
pub(crate) fn run(ctx: &Context) -> anyhow::Result<u8> {
    let images = ctx.store()?.list()?;
    if ctx.ui.json() {
        let all = images.iter().map(as_json).collect::<Result<Vec<_>, _>>()?;
        ctx.ui.result(&serde_json::json!({ "images": all }));
        return Ok(0);
    }
    if images.is_empty() {
        ctx.ui.say("the store is empty; `kiln build RECIPE` makes an image");
        return Ok(0);
    }
    let mut table = Table::new(&["NAME", "OS", "ARCH", "SIZE", "ON DISK", "DIGEST"]);
    for image in &images {
        let m = &image.manifest;
        // One whose name went to a newer image is found by its digest.
        let names = if image.names.is_empty() { "-".to_owned() } else { image.names.join(", ") };
        table.row(vec![
            names,
            m.os.pretty_name.clone(),
            m.arch.as_str().to_owned(),
            m.virtual_size.to_string(),
            m.file_size.to_string(),
            m.digest.short().to_owned(),
        ]);
    }
    table.lines().iter().for_each(|line| ctx.ui.out(line));
    Ok(0)
}
