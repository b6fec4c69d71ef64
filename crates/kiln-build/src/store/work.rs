// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Folders for things under way, and what killed processes left of them.
//!
//! A folder's owner holds a lock on the file `lock` in it. A folder that nobody holds is the
//! remains of a killed process. Folders are made and looked at under one more lock, so that none
//! is seen between its making and its locking.

use std::fs;
use std::path::{Path, PathBuf};

use kiln_host::lock::Lock;

use super::StoreError;

/// A folder for things under way. Dropped, it is removed with all that is in it.
#[derive(Debug)]
pub struct Work {
    path: PathBuf,
    _lock: Lock,
}

impl Work {
    /// Makes a folder in `tmp`. `gate` is the lock file that guards making and looking.
    pub(super) fn begin(tmp: &Path, gate: &Path) -> Result<Self, StoreError> {
        let _gate = Lock::wait(gate)?;
        let path = tempfile::Builder::new()
            .prefix("work-")
            .tempdir_in(tmp)
            .map_err(|source| StoreError::io("make a folder in", tmp, source))?
            .keep();
        let lock = Lock::wait(&path.join("lock"))?;
        Ok(Self { path, _lock: lock })
    }

    /// Returns the folder. It holds a file `lock`; all else in it is the caller's.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next process that opens the store.
        fs::remove_dir_all(&self.path).ok();
    }
}

/// Removes the remains of killed processes from `tmp`.
pub(super) fn sweep(tmp: &Path, gate: &Path) -> Result<(), StoreError> {
    let fail = |source| StoreError::io("read", tmp, source);
    if fs::read_dir(tmp).map_err(fail)?.next().is_none() {
        return Ok(());
    }
    let _gate = Lock::wait(gate)?;
    for entry in fs::read_dir(tmp).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let lock = path.join("lock");
        // A folder whose lock file is gone was being removed when its remover was killed.
        let held = lock.exists() && Lock::attempt(&lock)?.is_none();
        if !held && path.is_dir() {
            fs::remove_dir_all(&path)
                .map_err(|source| StoreError::io("remove", path.clone(), source))?;
        }
    }
    Ok(())
}
