// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image cat`.

use std::io::{self, Write};

use kiln_guest::guest::Guest;
use kiln_guest::tree::GuestPath;
use serde_json::json;

use super::{names, open};
use crate::args::image::cat::Cat;
use crate::context::Context;
use crate::error::{Class, Problem};

/// The most of a file that `--json` carries.
const JSON_MOST: u64 = 16 << 20;

/// Prints files, byte for byte.
pub(crate) fn run(ctx: &Context, args: &Cat) -> anyhow::Result<u8> {
    let paths = args.paths.iter().map(open::path).collect::<Result<Vec<_>, _>>()?;
    let mut guest = open::guest_reading(ctx, &args.source)?;
    if ctx.ui.json() {
        return as_json(ctx, &mut guest, &paths);
    }
    let mut out = Seen { out: ctx.ui.raw(), gone: false };
    for path in &paths {
        guest.tree().copy_out(path, &mut out)?;
    }
    out.flush().ok();
    Ok(0)
}

fn as_json(ctx: &Context, guest: &mut Guest, paths: &[GuestPath]) -> anyhow::Result<u8> {
    let mut files = Vec::new();
    for path in paths {
        let bytes = guest.tree().read(path, JSON_MOST)?;
        let Ok(text) = String::from_utf8(bytes) else {
            let problem = Problem::new(Class::Usage, format!("`{path}` is no text"));
            return Err(problem.hint("leave `--json` out").into());
        };
        let mut file = names::path(path.as_bytes());
        file["text"] = json!(text);
        files.push(file);
    }
    ctx.ui.result(&json!({ "files": files }));
    Ok(0)
}

/// A reader that has seen enough (`| head`) is no failure.
struct Seen<W> {
    out: W,
    gone: bool,
}

impl<W: Write> Write for Seen<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.gone {
            return Ok(bytes.len());
        }
        match self.out.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.gone = true;
                Ok(bytes.len())
            }
            other => other,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
