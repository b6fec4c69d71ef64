// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln seed show`.

use std::path::Path;

use kiln_guest::userdata::{UserData, hidden};
use serde_json::{Value, json};

use super::contents;
use crate::args::seed::show::Show;
use crate::context::Context;
use crate::machine::existing::Machine;
use crate::machine::host;

/// A part of a file, as it is shown.
struct Part {
    /// Its MIME type, if it is one of several.
    mime_type: Option<String>,
    text: String,
}

/// Shows a seed.
pub(crate) fn run(ctx: &Context, args: &Show) -> anyhow::Result<u8> {
    let contents = if contents::is_path(&args.what) {
        contents::of_path(Path::new(&args.what))?
    } else {
        let machine = Machine::find(&host::connect(ctx)?, &args.what)?;
        contents::of_machine(ctx, &machine)?
    };
    let datasource = contents.datasource;
    let [_, user, vendor, _] = datasource.files();
    let shown = |name: &str, bytes: &[u8]| match name {
        _ if name == user => parts(bytes, args.secrets),
        _ if name == vendor && name.ends_with(".json") => match openstacks(bytes) {
            Some(text) => parts(text.as_bytes(), args.secrets),
            None => whole(bytes, args.secrets),
        },
        _ if name == vendor => parts(bytes, args.secrets),
        _ => whole(bytes, args.secrets),
    };
    let files: Vec<_> = contents.files.iter().map(|f| (f, shown(f.name, &f.bytes))).collect();
    if ctx.ui.json() {
        let part = |part: &Part| json!({ "type": part.mime_type, "text": part.text });
        let file = |(file, parts): &(&kiln_guest::seed::SeedFile, Vec<Part>)| {
            let parts: Vec<Value> = parts.iter().map(part).collect();
            json!({ "name": file.name, "bytes": file.bytes.len(), "parts": parts })
        };
        let files: Vec<Value> = files.iter().map(file).collect();
        let word = datasource.word();
        ctx.ui.result(&json!({ "seed": { "datasource": word, "files": files } }));
        return Ok(0);
    }
    ctx.ui.out(format!("# a seed for cloud-init's {}", datasource.word()));
    for (file, parts) in &files {
        for (number, part) in (1..).zip(parts) {
            let which = match &part.mime_type {
                Some(mime_type) if parts.len() > 1 => {
                    format!(", part {number} of {}: {mime_type}", parts.len())
                }
                _ => String::new(),
            };
            ctx.ui.out(format!("\n==> {}{which} <==", file.name));
            part.text.lines().for_each(|line| ctx.ui.out(plain(line)));
        }
    }
    Ok(0)
}

/// Returns a line without what a terminal would obey.
fn plain(line: &str) -> String {
    line.chars().filter(|c| !c.is_control() || *c == '\t').collect()
}

/// Returns the text in OpenStack's JSON around vendor-data.
fn openstacks(bytes: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    let text = value.get("cloud-init").unwrap_or(&value).as_str();
    text.map(str::to_owned)
}

fn whole(bytes: &[u8], secrets: bool) -> Vec<Part> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let text = if secrets { text } else { hidden(&text) };
    vec![Part { mime_type: None, text }]
}

fn parts(bytes: &[u8], secrets: bool) -> Vec<Part> {
    let data = match UserData::parse(bytes, "user-data") {
        Ok(data) => data,
        // Whose they are nobody can tell, and so not which of it is a secret.
        Err(error) if !secrets => {
            let text = format!("({} bytes that cloud-init cannot read: {error})", bytes.len());
            return vec![Part { mime_type: None, text }];
        }
        Err(_) => return whole(bytes, true),
    };
    let text = |text: Option<String>| match text {
        Some(text) if secrets => text,
        Some(text) => hidden(&text),
        None => "(no text)".to_owned(),
    };
    let all = data.parts().into_iter();
    all.map(|part| Part { mime_type: Some(part.mime_type), text: text(part.text) }).collect()
}
