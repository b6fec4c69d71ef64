// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Seeds that are there: of a drive's image, a folder or a machine.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context as _;
use kiln_disk::device::RawFile;
use kiln_guest::seed::{Contents, MOST, SeedError};
use kiln_host::read;
use kiln_host::scratch::Scratch;

use crate::context::Context;
use crate::error::{Class, Problem, unreadable};
use crate::machine::clone::copy;
use crate::machine::existing::Machine;
use crate::remains;

/// Returns whether a word of the command line is a path, and no machine's name.
pub(super) fn is_path(word: &str) -> bool {
    word.contains(['/', '.'])
}

/// Reads a drive's image or a folder.
///
/// # Errors
///
/// Not there (class object); no seed (class file).
pub(super) fn of_path(path: &Path) -> anyhow::Result<Contents> {
    let shown = path.display();
    let what = format!("could not read the seed `{shown}`");
    let failed = |source| unreadable(&what, source);
    if path.metadata().map_err(failed)?.is_dir() {
        return Contents::of_folder(|name| match read::bounded(&path.join(name), MOST) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            other => other.map(Some).map_err(|source| failed(source).into()),
        })
        .map_err(|error: anyhow::Error| match error.downcast::<SeedError>() {
            Ok(error) => no_seed(&shown.to_string(), error),
            Err(error) => error,
        });
    }
    let file = std::fs::File::open(path).map_err(failed)?;
    let device = RawFile::new(file).map_err(failed)?;
    Contents::of_drive(Box::new(device)).map_err(|error| no_seed(&shown.to_string(), error))
}

fn no_seed(shown: &str, error: SeedError) -> anyhow::Error {
    Problem::new(Class::File, format!("`{shown}` is no seed")).because(error).into()
}

/// Reads a machine's seed.
///
/// # Errors
///
/// Kiln did not make the machine, or the seed is gone (class object); what libvirt says.
pub(super) fn of_machine(ctx: &Context, machine: &Machine) -> anyhow::Result<Contents> {
    let (conn, name) = (&machine.conn, &machine.name);
    let at = machine.meta()?.seed.clone();
    let gone =
        || Problem::new(Class::Object, format!("the seed of `{name}` is gone: `{}`", at.name));
    let volume = match conn.pool(&at.pool).and_then(|pool| pool.volume(&at.name)) {
        Err(error) if error.is_not_found() => return Err(gone().into()),
        other => other?,
    };
    let scratch = Scratch::begin(&remains::folder(ctx), "seed")?;
    let file = copy::fetched(ctx, conn, &volume, &scratch.path().join("seed"))?;
    let device = RawFile::new(file).with_context(|| format!("could not read `{}`", at.name))?;
    Contents::of_drive(Box::new(device)).map_err(|error| no_seed(&at.name, error))
}
