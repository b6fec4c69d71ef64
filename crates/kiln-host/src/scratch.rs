// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Folders for work under way, and what killed processes left of theirs.
//!
//! They lie in one folder of the user's. Each has a file `lock` that its owner holds; making one
//! and looking for remains exclude each other, so one that nobody holds is the remains of a kill.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::lock::{Lock, LockError};

/// The lock of one folder, in it.
const LOCK: &str = "lock";
/// The lock of the folder that they all lie in.
const ALL: &str = ".lock";
/// What their names begin with: nothing else in the folder is touched.
const OURS: &str = "kiln-";
/// What the names of remains end with while they are removed.
const GONE: &str = ".gone";

/// A folder for work under way. Dropped, it is removed with all that is in it.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
    // Given back after the folder is gone: fields are dropped in their order.
    _lock: Lock,
}

/// Why there is no folder for work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScratchError {
    /// It cannot be made, read or removed.
    #[error("could not {what} `{}`", path.display())]
    Io {
        /// What was to be done: `make a folder in`.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A lock failed.
    #[error(transparent)]
    Lock(#[from] LockError),
}

impl ScratchError {
    fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

impl Scratch {
    /// Makes a folder in `all`, which is made if it is missing. Its name has `verb` in it.
    ///
    /// # Errors
    ///
    /// [`ScratchError`].
    pub fn begin(all: &Path, verb: &str) -> Result<Self, ScratchError> {
        make(all)?;
        let _all = Lock::wait(&all.join(ALL))?;
        let folder = tempfile::Builder::new().prefix(&format!("{OURS}{verb}-")).tempdir_in(all);
        let folder = folder.map_err(ScratchError::io("make a folder in", all))?;
        let lock = Lock::wait(&folder.path().join(LOCK))?;
        Ok(Self { folder, _lock: lock })
    }

    /// Returns where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn make(all: &Path) -> Result<(), ScratchError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(all);
    made.map_err(ScratchError::io("make", all))
}

/// Removes from `all` what killed processes left. `prepare` gets each such folder first, to remove
/// what only it can. Returns how many there were.
///
/// # Errors
///
/// [`ScratchError`]: the rest is left for the next time.
pub fn sweep(
    all: &Path,
    prepare: &mut dyn FnMut(&Path) -> io::Result<()>,
) -> Result<usize, ScratchError> {
    let reading = || ScratchError::io("read", all);
    let entries = match fs::read_dir(all) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries.map_err(reading())?.collect::<io::Result<Vec<_>>>().map_err(reading())?,
    };
    let is_ours = |entry: &&fs::DirEntry| {
        entry.file_type().is_ok_and(|kind| kind.is_dir())
            && entry.file_name().as_encoded_bytes().starts_with(OURS.as_bytes())
    };
    let folders: Vec<PathBuf> = entries.iter().filter(is_ours).map(fs::DirEntry::path).collect();
    if folders.is_empty() {
        return Ok(0);
    }
    let _all = Lock::wait(&all.join(ALL))?;
    let mut found = 0;
    for folder in folders {
        // Its owner may have removed it meanwhile.
        if !folder.is_dir() {
            continue;
        }
        let Some(_lock) = Lock::attempt(&folder.join(LOCK))? else { continue };
        found += 1;
        let removed = put_aside(&folder)
            .and_then(|aside| prepare(&aside).and_then(|()| fs::remove_dir_all(&aside)));
        removed.map_err(ScratchError::io("remove", &folder))?;
    }
    Ok(found)
}

/// Gives remains another name. What the killed process had just started knows the old one: it
/// finds nothing there, and puts nothing into what is being removed.
fn put_aside(folder: &Path) -> io::Result<PathBuf> {
    let mut name = folder.as_os_str().to_owned();
    if name.as_encoded_bytes().ends_with(GONE.as_bytes()) {
        return Ok(folder.to_owned());
    }
    name.push(GONE);
    fs::rename(folder, &name)?;
    Ok(PathBuf::from(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remains_go_and_what_is_held_stays() {
        let temp = tempfile::tempdir().unwrap();
        let all = temp.path().join("run");
        assert_eq!(sweep(&all, &mut |_| Ok(())).unwrap(), 0);
        let living = Scratch::begin(&all, "one").unwrap();
        // What a kill leaves: the folder, with or without its lock, held by nobody.
        for name in ["kiln-dead", "kiln-unlocked.gone", "another"] {
            fs::create_dir_all(all.join(name).join("in/it")).unwrap();
        }
        fs::write(all.join("kiln-dead/lock"), "").unwrap();
        let mut seen = Vec::new();
        let swept = sweep(&all, &mut |path| {
            seen.push(path.file_name().unwrap().to_owned());
            Ok(())
        });
        assert_eq!(swept.unwrap(), 2);
        seen.sort();
        assert_eq!(seen, ["kiln-dead.gone", "kiln-unlocked.gone"]);
        assert!(living.path().join("lock").exists());
        assert!(!all.join("kiln-dead").exists() && !all.join("kiln-unlocked").exists());
        assert!(all.join("another/in/it").exists());
        let path = living.path().to_owned();
        drop(living);
        assert!(!path.exists());
    }
}
