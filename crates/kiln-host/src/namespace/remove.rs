// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Removes a tree of files that a hostile program made: of any depth, with any permissions.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Removes `top` and all that is in it. Directories are moved up into `top` before they are looked
/// into, so that no path gets long and nothing recurses. Links are never followed.
///
/// Nobody else may change the tree meanwhile.
pub(super) fn tree(top: &Path) -> io::Result<()> {
    if !top.try_exists()? {
        return Ok(());
    }
    let mut moved = 0_u64;
    let mut todo = vec![top.to_owned()];
    while let Some(folder) = todo.pop() {
        // All names first: what is moved into a folder while it is read may be seen twice.
        let entries: Vec<_> = fs::read_dir(&folder)?.collect::<io::Result<_>>()?;
        for entry in entries {
            if !entry.file_type()?.is_dir() {
                fs::remove_file(entry.path())?;
                continue;
            }
            let to = free_name(top, &mut moved)?;
            fs::rename(entry.path(), &to)?;
            todo.push(to);
        }
        if folder.as_path() != top {
            fs::remove_dir(&folder)?;
        }
    }
    fs::remove_dir(top)
}

/// Returns a name in `top` that nothing has: an attempt that was broken off has left some.
fn free_name(top: &Path, moved: &mut u64) -> io::Result<PathBuf> {
    loop {
        *moved += 1;
        let to = top.join(format!(".removed-{moved}"));
        match to.symlink_metadata() {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(to),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_attempt_left_is_removed_by_the_next() {
        let temp = tempfile::tempdir().unwrap();
        let top = temp.path().join("top");
        for folder in [".removed-1/a/b", ".removed-2", "c/.removed-1/d", "e"] {
            fs::create_dir_all(top.join(folder)).unwrap();
        }
        fs::write(top.join(".removed-1/file"), "x").unwrap();
        tree(&top).unwrap();
        assert!(!top.exists());
    }

    #[test]
    fn a_tree_deeper_than_a_path_can_be_is_removed() {
        let temp = tempfile::tempdir().unwrap();
        let top = temp.path().join("top");
        fs::create_dir(&top).unwrap();
        std::os::unix::fs::symlink("/", top.join("link")).unwrap();
        // Made from below: each new folder takes the one before in.
        fs::create_dir(top.join("a")).unwrap();
        for _ in 0..3000 {
            fs::create_dir(top.join("b")).unwrap();
            fs::rename(top.join("a"), top.join("b/a")).unwrap();
            fs::rename(top.join("b"), top.join("a")).unwrap();
        }
        tree(&top).unwrap();
        assert!(!top.exists() && Path::new("/etc").exists());
    }
}
