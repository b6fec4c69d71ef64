// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The folder in which a tree of packages is made, and what killed builds left of theirs.
//!
//! It is not in the store: without root the tree's files belong to subordinate ids, which must be
//! able to get there, and a home folder often keeps them out. Its owner holds a lock on the file
//! `lock` in it; it gets its final name when that lock is held, so a folder with that name that
//! nobody holds is the remains of a killed build.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use kiln_host::Host;
use kiln_host::lock::Lock;
use kiln_host::tools::mmdebstrap;

use crate::BuildError;

/// A folder for a tree of packages. Dropped, it is removed with all that is in it.
#[derive(Debug)]
pub(crate) struct Scratch<'a> {
    path: PathBuf,
    host: &'a dyn Host,
    _lock: Lock,
}

impl<'a> Scratch<'a> {
    /// Makes the folder in `temp`, after removing what killed builds of this user left there.
    pub(crate) fn begin(temp: &Path, host: &'a dyn Host) -> Result<Self, BuildError> {
        let fail = |source| BuildError::io("make a folder in", temp, source);
        let prefix = format!("kiln-build-{}-", rustix::process::getuid().as_raw());
        sweep(temp, &prefix, host)?;
        let made = tempfile::Builder::new()
            .prefix("kiln-new-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(temp)
            .map_err(fail)?;
        let lock = Lock::wait(&made.path().join("lock")).map_err(BuildError::Lock)?;
        // Subordinate ids go through it and cannot list it.
        fs::set_permissions(made.path(), Permissions::from_mode(0o711)).map_err(fail)?;
        let unique = made.path().file_name().map(|n| n.to_string_lossy().replace("kiln-new-", ""));
        let path = temp.join(prefix + &unique.unwrap_or_default());
        fs::rename(made.path(), &path).map_err(fail)?;
        drop(made.keep());
        Ok(Self { path, host, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next build.
        remove(&self.path, self.host).ok();
    }
}

fn sweep(temp: &Path, prefix: &str, host: &dyn Host) -> Result<(), BuildError> {
    let fail = |source| BuildError::io("read", temp, source);
    for entry in fs::read_dir(temp).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let path = entry.path();
        let ours = entry.file_name().to_string_lossy().starts_with(prefix)
            // Anybody may put a folder of this name into /var/tmp: only ours are looked into.
            && entry.metadata().is_ok_and(|meta| {
                meta.is_dir() && meta.uid() == rustix::process::getuid().as_raw()
            });
        if ours {
            let lock = path.join("lock");
            let held = lock.exists() && Lock::attempt(&lock).map_err(BuildError::Lock)?.is_none();
            if !held {
                // Remains that resist are no reason not to build.
                remove(&path, host).ok();
            }
        }
    }
    Ok(())
}

/// Removes the folder. Without root, files of subordinate ids are in it after a kill: these go
/// first, by a process that has those ids.
fn remove(path: &Path, host: &dyn Host) -> io::Result<()> {
    if fs::remove_dir_all(path).is_ok() {
        return Ok(());
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    for entry in entries.filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir())) {
        // It empties the folder, and lacks the right to remove the folder itself: it "fails".
        host.run(&mmdebstrap::remove(&entry.path())).ok();
    }
    fs::remove_dir_all(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_host::RealHost;

    #[test]
    fn remains_of_killed_builds_go_and_all_else_stays() {
        let temp = tempfile::tempdir().unwrap();
        let living = Scratch::begin(temp.path(), &RealHost).unwrap();
        let uid = rustix::process::getuid().as_raw();
        let dead = temp.path().join(format!("kiln-build-{uid}-dead"));
        let unlocked = temp.path().join(format!("kiln-build-{uid}-unlocked"));
        let foreign = temp.path().join("kiln-build-other");
        for folder in [&dead, &unlocked, &foreign] {
            fs::create_dir_all(folder.join("mmdebstrap.x/usr")).unwrap();
        }
        fs::write(dead.join("lock"), b"").unwrap();

        let path = Scratch::begin(temp.path(), &RealHost).unwrap().path().to_owned();
        assert!(!dead.exists() && !unlocked.exists());
        assert!(living.path().join("lock").exists() && foreign.exists());
        // The second one is gone with its owner.
        assert!(!path.exists());
        let mode = fs::metadata(living.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o711);
    }
}
