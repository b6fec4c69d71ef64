// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Locks between `kiln` processes of one user on one machine.
//!
//! flock(2) by `File::lock`: the kernel lets go of it when the process ends, however it ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a process that a killed one was starting may take to become another program.
const MOMENT: Duration = Duration::from_secs(5);

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Not by closing it: a process that another thread starts has it open for a moment, too.
        // If this fails, closing it gives it back.
        self.file.unlock().ok();
    }
}

/// Why a lock could not be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// The lock file cannot be made, opened or locked.
    #[error("could not lock `{}`", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Lock {
    /// Waits until nobody else holds the lock at `path`, then holds it. Makes the file and its
    /// folder when they are missing; the file stays.
    ///
    /// # Errors
    ///
    /// [`LockError::Io`].
    pub fn wait(path: &Path) -> Result<Self, LockError> {
        let file = open(path)?;
        file.lock().map_err(|source| LockError::Io { path: path.to_owned(), source })?;
        Ok(Self { file })
    }

    /// As [`Lock::wait`], of a lock whose file is there already: none is made.
    ///
    /// # Errors
    ///
    /// [`LockError::Io`]; not found if it is not there.
    pub fn wait_existing(path: &Path) -> Result<Self, LockError> {
        let error = |source| LockError::Io { path: path.to_owned(), source };
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(error)?;
        file.lock().map_err(error)?;
        Ok(Self { file })
    }

    /// Waits until nobody holds the lock at `path` alone, then takes a share in it.
    ///
    /// # Errors
    ///
    /// [`LockError::Io`].
    pub fn wait_share(path: &Path) -> Result<Self, LockError> {
        let file = open(path)?;
        file.lock_shared().map_err(|source| LockError::Io { path: path.to_owned(), source })?;
        Ok(Self { file })
    }

    /// Takes a share in the lock at `path` if nobody holds it alone; `None` if somebody does.
    /// Nobody gets it alone while it is shared.
    ///
    /// # Errors
    ///
    /// [`LockError::Io`].
    pub fn share(path: &Path) -> Result<Option<Self>, LockError> {
        let file = open(path)?;
        match file.try_lock_shared() {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => {
                Err(LockError::Io { path: path.to_owned(), source })
            }
        }
    }

    /// Takes the lock at `path` if nobody holds it; `None` if somebody does.
    ///
    /// # Errors
    ///
    /// [`LockError::Io`].
    pub fn attempt(path: &Path) -> Result<Option<Self>, LockError> {
        let file = open(path)?;
        let taken =
            take(&file).map_err(|source| LockError::Io { path: path.to_owned(), source })?;
        Ok(taken.then_some(Self { file }))
    }
}

/// Locks a file alone; `false` if a process that lives holds it.
///
/// # Errors
///
/// What the host says.
pub(crate) fn take(file: &File) -> io::Result<bool> {
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if began.elapsed() < MOMENT && !owner_lives(file)? => {
                // There is no event for that.
                std::thread::park_timeout(Duration::from_millis(2));
            }
            Err(TryLockError::WouldBlock) => return Ok(false),
            other => return other.map(|()| true).map_err(io::Error::from),
        }
    }
}

/// Returns whether the process that took the lock of a file is there; also if that is not known.
///
/// A process that was just starting another when it was killed leaves the lock to that for a moment:
/// until it has become the other program. /proc/locks (proc(5)) names the one that took it.
fn owner_lives(file: &File) -> io::Result<bool> {
    let inode = format!(":{}", file.metadata()?.ino());
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let owner = locks.lines().find_map(|line| {
        // `1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF`
        let mut words = line.split_whitespace().skip(1);
        let kind = words.next()?;
        let (owner, place) = (words.nth(2)?, words.next()?);
        (kind == "FLOCK" && place.ends_with(&inode)).then(|| owner.to_owned())
    });
    // In a namespace of its own /proc/locks knows an owner outside as 0.
    let known = owner.and_then(|owner| owner.parse::<u32>().ok()).filter(|owner| *owner > 0);
    Ok(known.is_none_or(|owner| Path::new(&format!("/proc/{owner}")).exists()))
}

fn open(path: &Path) -> Result<File, LockError> {
    let error = |source| LockError::Io { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(error)?;
    }
    OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path).map_err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_until_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("locks/a");
        assert!(Lock::wait_existing(&path).is_err() && !dir.path().join("locks").exists());
        let held = Lock::attempt(&path).unwrap();
        assert!(held.is_some());
        assert!(Lock::attempt(&path).unwrap().is_none());
        assert!(Lock::share(&path).unwrap().is_none());
        drop(held);
        assert!(Lock::attempt(&path).unwrap().is_some());
        let shares = [Lock::share(&path).unwrap(), Lock::share(&path).unwrap()];
        let _third = Lock::wait_share(&path).unwrap();
        assert!(shares.iter().all(Option::is_some));
        assert!(Lock::attempt(&path).unwrap().is_none());
    }
}
