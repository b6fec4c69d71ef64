// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A file on its way beside the one that it is to become, and what killed processes left of theirs.
//!
//! Each that [`beside()`] and [`Folder::beside`] make is locked (flock(2)) by the process that makes
//! it: one that nobody locks is the remains of a kill, and the next that makes one in the same
//! folder removes it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags, flock, openat};
use tempfile::{NamedTempFile, TempDir};

/// What their names begin with.
const PREFIX: &str = ".kiln-copy-";
/// The lock of a folder, in it: some hosts cannot lock the folder itself (NFS).
const LOCK: &str = ".kiln-copy-lock";
/// The most names of a folder that are looked at for remains.
const MOST_NAMES: usize = 100_000;
/// How often a new file may be taken for remains before it is locked.
const TRIES: usize = 16;

/// Returns the folder that a file is in.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes a small file that everybody may read, in one step: what was there before is there until
/// all of `bytes` is on the medium.
///
/// # Errors
///
/// What the host says.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new()
        .prefix(".kiln-")
        .permissions(fs::Permissions::from_mode(0o644))
        .tempfile_in(folder_of(path))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Makes an empty file in `folder`, which only this user can read: it is removed when it is
/// dropped, and if the process is killed by the next that makes one there.
///
/// # Effects
///
/// Removes what killed processes of this user left in the folder.
///
/// # Errors
///
/// What the host says.
pub fn beside(folder: &Path) -> io::Result<NamedTempFile> {
    remove_remains(folder);
    for _ in 0..TRIES {
        let file = tempfile::Builder::new().prefix(PREFIX).tempfile_in(folder)?;
        if locked(file.as_file())? {
            return Ok(file);
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}

/// Locks a file that has a name; `false` if somebody else has locked it, or removed it.
///
/// # Errors
///
/// What the host says.
pub fn locked(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file.metadata()?.nlink() > 0),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A folder beside what is to become of the files in it. Dropped, it is removed with all that is
/// in it.
#[derive(Debug)]
pub struct Folder {
    folder: TempDir,
    // Given back after the folder is gone: fields are dropped in their order.
    _lock: File,
}

impl Folder {
    /// Makes an empty folder in `folder`, in which only this user can look: it is removed when it
    /// is dropped, and if the process is killed by the next that makes one there, or a file.
    ///
    /// # Effects
    ///
    /// Removes what killed processes of this user left in `folder`.
    ///
    /// # Errors
    ///
    /// What the host says.
    pub fn beside(folder: &Path) -> io::Result<Self> {
        remove_remains(folder);
        for _ in 0..TRIES {
            let made = tempfile::Builder::new()
                .prefix(PREFIX)
                .permissions(fs::Permissions::from_mode(0o700))
                .tempdir_in(folder)?;
            // Somebody may have taken it for remains before it was locked.
            match lock_of(&File::open(made.path())?) {
                Ok(lock) if locked(&lock)? => return Ok(Self { folder: made, _lock: lock }),
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Returns where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Opens the lock of a folder, which is made if it is missing.
fn lock_of(folder: &File) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(openat(folder, LOCK, flags, Mode::RUSR | Mode::WUSR)?))
}

/// Removes what killed processes of this user left in a folder, as far as that can be done: it is
/// only about space, and who may not look or remove can still write.
pub fn remove_remains(folder: &Path) {
    let _ = sweep(folder);
}

fn sweep(folder: &Path) -> io::Result<()> {
    let user = rustix::process::geteuid().as_raw();
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits());
    let flags = flags.expect("flags of open(2) are an int");
    for entry in fs::read_dir(folder)?.take(MOST_NAMES) {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            continue;
        }
        let path = entry.path();
        let Ok(file) = OpenOptions::new().read(true).custom_flags(flags).open(&path) else {
            continue;
        };
        let meta = file.metadata()?;
        if meta.uid() != user {
            continue;
        }
        if meta.is_file() && locked(&file)? {
            fs::remove_file(&path)?;
        } else if meta.is_dir() {
            let lock = lock_of(&file)?;
            if locked(&lock)? {
                fs::remove_dir_all(&path)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for text in ["one", "two"] {
            replace(&path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(folder_of(Path::new("a")), Path::new("."));
        assert_eq!(folder_of(Path::new("b/a")), Path::new("b"));
    }

    #[test]
    fn remains_go_and_what_is_under_way_stays() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at(".kiln-copy-dead"), "x").unwrap();
        fs::write(at(".kiln-other"), "x").unwrap();
        fs::write(at("mine"), "x").unwrap();
        symlink(at("mine"), at(".kiln-copy-link")).unwrap();
        let one = beside(folder.path()).unwrap();
        let two = beside(folder.path()).unwrap();
        assert!(!at(".kiln-copy-dead").exists());
        for path in [one.path(), two.path(), &at(".kiln-other"), &at("mine")] {
            assert!(path.exists(), "{}", path.display());
        }
        assert!(at(".kiln-copy-link").symlink_metadata().is_ok());
        one.persist(at("done")).unwrap();
        drop(two);
        drop(beside(folder.path()).unwrap());
        assert!(at("done").exists() && fs::read_dir(folder.path()).unwrap().count() == 4);
    }
    #[test]
    fn folders_are_remains_when_nobody_holds_them() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let living = Folder::beside(folder.path()).unwrap();
        fs::write(living.path().join("lock"), "a file of any name").unwrap();
        assert_eq!(fs::metadata(living.path()).unwrap().mode() & 0o7777, 0o700);
        // What a kill leaves: with or without its lock, held by nobody.
        for name in [".kiln-copy-dead", ".kiln-copy-unlocked", ".kiln-other"] {
            fs::create_dir_all(at(name).join("in")).unwrap();
        }
        fs::write(at(".kiln-copy-dead").join(LOCK), "").unwrap();
        symlink(at(".kiln-other"), at(".kiln-copy-link")).unwrap();
        drop(beside(folder.path()).unwrap());
        assert!(!at(".kiln-copy-dead").exists() && !at(".kiln-copy-unlocked").exists());
        assert!(living.path().join("lock").exists() && at(".kiln-copy-link").join("in").exists());
        let path = living.path().to_owned();
        drop(living);
        assert!(!path.exists());
        fs::create_dir(at(".kiln-copy-dead")).unwrap();
        let next = Folder::beside(folder.path()).unwrap();
        assert!(!at(".kiln-copy-dead").exists() && next.path().exists());
    }
}
