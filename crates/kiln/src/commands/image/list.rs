// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image list`.

use kiln_build::catalog::{Entry, Reader, Sources, find, pull};
use kiln_build::store::Image;
use kiln_host::causes::in_line;
use kiln_spec::image::Made;
use serde_json::{Value, json};

use super::as_json;
use crate::args::image::list::List;
use crate::commands::catalog::read::{self, Tools, plain};
use crate::context::Context;
use crate::ui::Table;

/// Lists the images of the store.
pub(crate) fn run(ctx: &Context, args: &List) -> anyhow::Result<u8> {
    let images = ctx.store()?.list()?;
    let updates: Vec<Option<String>> = if args.updates {
        let (sources, tools) = (read::sources(ctx), Tools::new(ctx));
        let mut asked =
            Asked { ctx, sources: &sources, reader: tools.reader(ctx), read: Vec::new() };
        images.iter().map(|image| asked.update(image)).collect()
    } else {
        images.iter().map(|_| None).collect()
    };
    if ctx.ui.json() {
        let mut all = images.iter().map(as_json).collect::<Result<Vec<Value>, _>>()?;
        if args.updates {
            for (value, update) in all.iter_mut().zip(&updates) {
                value["update"] = json!(update);
            }
        }
        ctx.ui.result(&json!({ "images": all }));
        return Ok(0);
    }
    if images.is_empty() {
        let how = "`kiln image pull NAME` fetches an image, `kiln build RECIPE` makes one";
        ctx.ui.say(format!("the store is empty; {how}"));
        return Ok(0);
    }
    let mut headings = vec!["NAME", "OS", "ARCH", "SIZE", "ON DISK", "DIGEST"];
    if args.updates {
        headings.push("UPDATE");
    }
    let mut table = Table::new(&headings);
    for (image, update) in images.iter().zip(&updates) {
        let m = &image.manifest;
        // One whose name went to a newer image is found by its digest.
        let names = if image.names.is_empty() { "-".to_owned() } else { image.names.join(", ") };
        let mut row = vec![
            names,
            plain(&m.os.pretty_name),
            m.arch.as_str().to_owned(),
            m.virtual_size.to_string(),
            m.file_size.to_string(),
            m.digest.short().to_owned(),
        ];
        if args.updates {
            row.push(plain(update.as_deref().unwrap_or_default()));
        }
        table.row(row);
    }
    table.lines().iter().for_each(|line| ctx.ui.out(line));
    Ok(0)
}

/// Catalogs that are asked, each once.
struct Asked<'a> {
    ctx: &'a Context,
    sources: &'a Sources,
    reader: Reader<'a>,
    read: Vec<(String, Option<Vec<Entry>>)>,
}

impl Asked<'_> {
    /// Returns what the image's catalog has in its place now: a version, or the beginning of a
    /// checksum; `None` if it has the same, or is not told.
    fn update(&mut self, image: &Image) -> Option<String> {
        let Made::Catalog { catalog, image: name, arch, checksum, .. } = &image.manifest.made
        else {
            return None;
        };
        let source = self.sources.list.iter().find(|source| source.name == *catalog)?;
        if !self.read.iter().any(|(known, _)| known == catalog) {
            let entries = read::offered(self.ctx, &self.reader, source);
            self.read.push((catalog.clone(), entries));
        }
        let entries = self.read.iter().find(|(known, _)| known == catalog)?.1.as_ref()?;
        let entry = find(entries, name, arch).ok()?;
        let now = match pull::checksum(&self.reader, source, entry) {
            Ok(now) => now.to_string(),
            Err(error) => {
                self.ctx.ui.warn(format!("`{name}`: {}", in_line(&error)));
                return None;
            }
        };
        if now == *checksum {
            return None;
        }
        let digits = now.split_once(':').map_or("", |(_, digits)| digits);
        let short = digits.get(..12).unwrap_or_default().to_owned();
        Some(if entry.version.is_empty() { short } else { entry.version.clone() })
    }
}
