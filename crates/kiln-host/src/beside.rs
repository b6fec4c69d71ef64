// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A file on its way beside the one that it is to become, and what killed processes left of theirs.
//!
//! Each that [`beside()`] makes is locked (flock(2)) by the process that makes it: one that nobody
//! locks is the remains of a kill, and the next that makes one in the same folder removes it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, OFlags, flock};
use tempfile::NamedTempFile;

/// What their names begin with.
const PREFIX: &str = ".kiln-copy-";
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
    // It is only about space: who may not look or remove can still write.
    let _ = sweep(folder);
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

/// Removes what killed processes of this user left in a folder.
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
        if meta.is_file() && meta.uid() == user && locked(&file)? {
            fs::remove_file(&path)?;
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
}
