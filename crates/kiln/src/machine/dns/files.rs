// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Files that are for their owner alone: one a thing, in a folder of Kiln's.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use kiln_host::beside::{beside, folder_of};
use tempfile::NamedTempFile;

use crate::error::unreadable;

/// The end of their names.
const END: &str = "json";

/// Returns the file of a thing.
pub(super) fn of(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.{END}"))
}

/// Returns the files of a folder, which need not be there.
///
/// # Errors
///
/// It cannot be read (class file).
pub(super) fn all(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let failed = |source| unreadable(&format!("could not read `{}`", folder.display()), source);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut all = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        all.extend(path.extension().is_some_and(|end| end == END).then_some(path));
    }
    Ok(all)
}

/// Writes what is to become the file at `path`: of mode 0600, in a folder of mode 0700.
///
/// # Errors
///
/// What the host says.
pub(super) fn written(path: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let folder = folder_of(path);
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut file = beside(folder)?;
    file.write_all(bytes)?;
    Ok(file)
}
