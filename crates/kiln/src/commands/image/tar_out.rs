// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image tar-out`.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use kiln_guest::guest::Guest;
use kiln_guest::transfer::{Archived, TransferError, tar_out};
use kiln_guest::tree::GuestPath;
use kiln_host::beside::{beside, folder_of};
use serde_json::json;

use super::open;
use crate::args::image::tar_out::TarOut;
use crate::context::Context;
use crate::error::{Class, Problem, unwritable};

/// Bytes that are gathered before they are written.
const BUFFER: usize = 1 << 20;

/// Writes a folder of the guest as an archive.
pub(crate) fn run(ctx: &Context, args: &TarOut) -> anyhow::Result<u8> {
    let path = open::path(&args.path)?;
    if args.output.is_none() && ctx.ui.json() {
        let problem = Problem::new(Class::Usage, "`--json` and the archive both go to stdout");
        return Err(problem.hint("name a file for the archive: `-o FILE`").into());
    }
    if args.output.is_none() && io::stdout().is_terminal() {
        let problem = Problem::new(Class::Usage, "an archive is not for a terminal");
        return Err(problem.hint("name a file for it: `-o FILE`, or a program: `| tar -t`").into());
    }
    let mut guest = open::guest_reading(ctx, &args.source)?;
    let done = match &args.output {
        Some(file) => to_file(&mut guest, &path, file)?,
        None => {
            let out = BufWriter::with_capacity(BUFFER, ctx.ui.raw());
            match to(&mut guest, &path, out) {
                // A reader that has seen enough (`| head`) is no failure.
                Err(TransferError::Archive { source })
                    if source.kind() == io::ErrorKind::BrokenPipe =>
                {
                    return Ok(0);
                }
                done => done?,
            }
        }
    };
    let Archived { entries, bytes, sockets } = done;
    if ctx.ui.json() {
        ctx.ui.result(&json!({ "entries": entries, "bytes": bytes, "sockets": sockets }));
    }
    if sockets > 0 {
        ctx.ui.say(format!("{sockets} sockets are left out"));
    }
    Ok(0)
}

/// Writes the archive to a file that has its name only when it is whole.
fn to_file(guest: &mut Guest, path: &GuestPath, file: &Path) -> anyhow::Result<Archived> {
    let failed = |source| unwritable(&format!("could not write `{}`", file.display()), source);
    let new = beside(folder_of(file)).map_err(failed)?;
    let out: &File = new.as_file();
    let done = to(guest, path, BufWriter::with_capacity(BUFFER, out))?;
    out.set_permissions(Permissions::from_mode(0o644)).map_err(failed)?;
    new.persist(file).map_err(|error| failed(error.error))?;
    Ok(done)
}

fn to(guest: &mut Guest, path: &GuestPath, mut out: impl Write) -> Result<Archived, TransferError> {
    tar_out(guest.tree(), path, &mut out)
}
