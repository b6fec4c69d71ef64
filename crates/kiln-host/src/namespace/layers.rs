// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A program's files out of layers on the host's disk: an overlay of folders, whose upper one
//! outlives the program.
//!
//! Source: Documentation/filesystems/overlayfs.rst of Linux. All paths are relative to the
//! working folder, which only the guest's ids and its owner get into: the folders above it, such
//! as somebody's home, need not let the guest's ids through.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, mount_bind_recursive, mount_remount};
use serde::{Deserialize, Serialize};

use super::inner::{attach, clone, on, overlay, refused};
use super::space::with_ids;
use super::wire::Message;
use super::{DONE, Exec, SpaceError, WORK, remove};

/// The folders that the kernel wants in the tree, to mount on.
const MOUNTED: [&str; 3] = ["dev", "proc", "run"];
/// The host's folders that its programs need, where [`View::Outside`] shows them.
const HOST: [&str; 8] = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc"];
/// Where [`View::Outside`] shows the tree, without its first `/`.
const TREE: &str = "kiln/tree";
/// Where the resolvers of a systemd host are; `/etc/resolv.conf` is often a link to here.
const RESOLVED: &str = "/run/systemd/resolve";
/// The most bytes of options that mount(2) takes, with its closing NUL.
const MOST_OPTIONS: usize = 4095;

/// A program's files out of layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layers {
    /// Folders, uppermost first; relative to the folder `run` in the scratch folder.
    pub lower: Vec<PathBuf>,
    /// What is seen.
    pub view: View,
    /// Files that are seen, and never kept.
    pub shown: Vec<Shown>,
    /// Other folders that are seen.
    pub binds: Vec<Bind>,
}

/// What a program sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum View {
    /// The tree, with `/proc`, `/dev` and `/run`.
    Inside,
    /// The host's programs, and the tree at `/kiln/tree`.
    Outside,
    /// The tree and nothing else, for a [`super::Job`] of Kiln's own.
    Bare {
        /// The job's name.
        job: String,
        /// What is asked for.
        request: Vec<u8>,
    },
}

/// A file that a program sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Where: no link may be on the way, or it is not shown. Relative to the root.
    pub path: PathBuf,
    /// What it holds.
    pub bytes: Vec<u8>,
    /// Its permissions.
    pub mode: u32,
    /// Whether it stands in place of one that is there.
    pub over: bool,
}

/// A folder that a program sees besides the tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// The folder; relative to the folder `run` in the scratch folder. Made if it is missing, for
    /// the guest's root.
    pub from: PathBuf,
    /// Where it is seen: an absolute path, which is made for the time.
    pub at: PathBuf,
    /// Whether it may be written.
    pub writable: bool,
}

/// A mount that was taken along: what, where, and whether it may be written.
pub(super) type Taken = (OwnedFd, PathBuf, bool);

impl Layers {
    /// Returns the folder that becomes the root.
    pub(super) fn root(&self) -> &'static str {
        if self.view == View::Outside { "outside" } else { "root" }
    }

    /// Makes the folders that [`Layers::mount`] mounts, in the working folder. As the outer stage.
    pub(super) fn prepare(&self) -> io::Result<()> {
        // The folder of all layers and work: no other user of the host gets in.
        let all = Path::new("../../..");
        chown(all, None, Some(0))?;
        fs::set_permissions(all, Permissions::from_mode(0o710))?;
        for left in ["shown", "outside", "l", "aside", "root", "work"] {
            remove::tree(left.as_ref())?;
        }
        for folder in ["upper", "work", "root", "shown", "l"] {
            match fs::create_dir(folder) {
                Ok(()) if folder == "upper" || folder == "shown" => {
                    fs::set_permissions(folder, Permissions::from_mode(0o755))?;
                }
                Err(error) if folder == "upper" && error.kind() == io::ErrorKind::AlreadyExists => {
                }
                other => other?,
            }
        }
        for (n, lower) in self.lower.iter().enumerate() {
            symlink(Path::new("..").join(lower), format!("l/{n}"))?;
        }
        for bind in &self.binds {
            fs::create_dir_all(&bind.from)?;
        }
        match self.view {
            View::Bare { .. } => return Ok(()),
            View::Inside => {
                for name in MOUNTED {
                    self.show_folder(Path::new(name))?;
                }
                for bind in &self.binds {
                    self.show_folder(relative(&bind.at))?;
                }
            }
            View::Outside => self.prepare_outside()?,
        }
        self.shown.iter().try_for_each(|file| self.show(file))
    }

    /// Returns what the topmost layer that knows of a path has there.
    fn lstat(&self, path: &Path) -> io::Result<Option<Metadata>> {
        let upper = [PathBuf::from("upper")];
        let tops = upper.iter().chain(&self.lower);
        for top in tops {
            match fs::symlink_metadata(top.join(path)) {
                Ok(meta) => return Ok(Some(meta)),
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                    ) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Makes a folder be seen; nothing, if there is anything already. Returns whether it is there
    /// without a link on the way.
    fn show_folder(&self, path: &Path) -> io::Result<bool> {
        let mut at = PathBuf::new();
        for name in path {
            at.push(name);
            let made = Path::new("shown").join(&at);
            match self.lstat(&at)? {
                Some(meta) if !meta.is_dir() => return Ok(false),
                _ if made.symlink_metadata().is_ok() => {}
                // An overlay shows the attributes of the uppermost.
                Some(meta) => {
                    fs::create_dir(&made)?;
                    lchown(&made, Some(meta.uid()), Some(meta.gid()))?;
                    fs::set_permissions(&made, Permissions::from_mode(meta.mode() & 0o7777))?;
                }
                None => {
                    fs::create_dir(&made)?;
                    fs::set_permissions(&made, Permissions::from_mode(0o755))?;
                }
            }
        }
        Ok(true)
    }

    fn show(&self, file: &Shown) -> io::Result<()> {
        let path = relative(&file.path);
        let (Some(folder), there) = (path.parent(), self.lstat(path)?) else { return Ok(()) };
        // In a tree without that folder nobody looks there.
        let known = self.lstat(folder)?.is_some_and(|meta| meta.is_dir());
        let free = there.is_none_or(|meta| file.over && !meta.is_dir());
        if !known || !free || !self.show_folder(folder)? {
            return Ok(());
        }
        let to = Path::new("shown").join(path);
        fs::write(&to, &file.bytes)?;
        fs::set_permissions(&to, Permissions::from_mode(file.mode))
    }

    /// Makes the root of [`View::Outside`].
    fn prepare_outside(&self) -> io::Result<()> {
        let folder = |path: &str, mode| {
            let path = Path::new("outside").join(path);
            fs::create_dir_all(&path)?;
            fs::set_permissions(&path, Permissions::from_mode(mode))
        };
        folder("", 0o755)?;
        for name in ["dev", "proc", "run", "sys", "var", "kiln", TREE, "home"] {
            folder(name, 0o755)?;
        }
        for name in ["var/lib", "var/cache", "var/log"] {
            folder(name, 0o755)?;
        }
        folder("root", 0o700)?;
        folder("tmp", 0o1777)?;
        folder("var/tmp", 0o1777)?;
        for name in HOST {
            let of_host = Path::new("/").join(name);
            match fs::symlink_metadata(&of_host) {
                Ok(meta) if meta.is_symlink() => {
                    symlink(fs::read_link(&of_host)?, Path::new("outside").join(name))?;
                }
                Ok(meta) if meta.is_dir() => folder(name, 0o755)?,
                _ => {}
            }
        }
        self.binds.iter().try_for_each(|bind| {
            let at = relative(&bind.at);
            let in_tree = at.starts_with(TREE);
            if in_tree {
                let below = at.strip_prefix(TREE).unwrap_or(at);
                return self.show_folder(below).map(drop);
            }
            fs::create_dir_all(Path::new("outside").join(at))
        })
    }

    /// Mounts the tree. As the inner stage, in the working folder. Returns what is to be attached
    /// when the root is another one.
    pub(super) fn mount(&self) -> Result<Vec<Taken>, SpaceError> {
        let lower = (0..self.lower.len()).fold("shown".to_owned(), |all, n| format!("{all}:l/{n}"));
        if lower.len() + 100 > MOST_OPTIONS {
            let what = format!("lay {} layers on one another", self.lower.len());
            return Err(SpaceError::System { what, source: io::ErrorKind::InvalidInput.into() });
        }
        let mut taken = Vec::new();
        if self.view == View::Outside {
            mount_bind_recursive("outside", "outside")
                .map_err(|e| refused("make a root for the host's programs", e))?;
            overlay(&lower, &format!("outside/{TREE}"))?;
            for name in HOST {
                if fs::symlink_metadata(format!("/{name}")).is_ok_and(|meta| meta.is_dir()) {
                    taken.push((
                        clone_all(&format!("/{name}"))?,
                        PathBuf::from("/").join(name),
                        false,
                    ));
                }
            }
        } else {
            overlay(&lower, "root")?;
        }
        for bind in &self.binds {
            let from = bind.from.to_string_lossy();
            taken.push((clone(&from)?, bind.at.clone(), bind.writable));
        }
        Ok(taken)
    }

    /// Attaches what was taken along. As the inner stage, in the new root.
    pub(super) fn furnish(&self, taken: &[Taken], network: bool) -> Result<(), SpaceError> {
        for (mount, at, writable) in taken {
            attach(mount, at.as_os_str().as_bytes())?;
            if !writable {
                let flags = kept_flags(at)? | MountFlags::BIND | MountFlags::RDONLY;
                mount_remount(at, flags, c"")
                    .map_err(|e| refused(&format!("protect `{}`", at.display()), e))?;
            }
        }
        if self.view == View::Outside {
            on(
                "sys",
                "/sys",
                "tmpfs",
                MountFlags::RDONLY | MountFlags::NOSUID,
                "mode=755,size=4k",
            )?;
            if network {
                self.resolve().map_err(SpaceError::system("write the resolvers"))?;
            }
        }
        Ok(())
    }

    /// Writes the resolvers where the host's link leads, which is a place of the host's own.
    fn resolve(&self) -> io::Result<()> {
        let leads = fs::read_link("/etc/resolv.conf").is_ok();
        let lines = self.shown.iter().find(|file| file.path.ends_with("etc/resolv.conf"));
        let Some(lines) = lines.filter(|_| leads) else { return Ok(()) };
        fs::create_dir_all(RESOLVED)?;
        for name in ["stub-resolv.conf", "resolv.conf"] {
            fs::write(Path::new(RESOLVED).join(name), &lines.bytes)?;
        }
        Ok(())
    }
}

fn relative(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// Takes a folder of the host along, with what is mounted below: only whole can it be taken.
fn clone_all(path: &str) -> Result<OwnedFd, SpaceError> {
    use rustix::mount::{OpenTreeFlags, open_tree};
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    open_tree(rustix::fs::CWD, path, flags).map_err(|e| refused(&format!("take `{path}` along"), e))
}

/// Returns the flags that a mount has and that this namespace may not take away.
fn kept_flags(at: &Path) -> Result<MountFlags, SpaceError> {
    use rustix::fs::StatVfsMountFlags as Has;
    let stat =
        rustix::fs::statvfs(at).map_err(|e| refused(&format!("look at `{}`", at.display()), e))?;
    let all = [
        (Has::NOSUID, MountFlags::NOSUID),
        (Has::NODEV, MountFlags::NODEV),
        (Has::NOEXEC, MountFlags::NOEXEC),
    ];
    Ok(all
        .into_iter()
        .filter(|(has, _)| stat.f_flag.contains(*has))
        .fold(MountFlags::empty(), |all, (_, flag)| all | flag))
}

/// Makes a layer of what programs changed in a scratch folder: they are then the folder `fs` in its
/// folder [`DONE`], and the scratch folder's next program begins without changes. Returns the bytes
/// that the layer takes.
///
/// # Errors
///
/// [`SpaceError`]; then nothing is kept.
pub fn keep(exec: &Exec, scratch: &Path) -> Result<u64, SpaceError> {
    match with_ids(exec, "keep", &Message::Keep(scratch.to_owned()))? {
        Message::Kept(bytes) => Ok(bytes),
        _ => Err(SpaceError::Lost),
    }
}

/// Moves the changes to where they are kept. As a stage with the guest's ids.
pub(super) fn seal(scratch: &Path) -> Result<u64, SpaceError> {
    let upper = scratch.join(WORK).join("upper");
    let to = scratch.join(DONE).join("fs");
    let failed = |source| SpaceError::System {
        what: format!("keep the changes in `{}`", scratch.display()),
        source,
    };
    let bytes = bytes_of(&upper).map_err(failed)?;
    fs::rename(&upper, &to).map_err(failed)?;
    Ok(bytes)
}

/// Returns what all below a folder takes on the disk.
fn bytes_of(top: &Path) -> io::Result<u64> {
    let mut bytes = 0_u64;
    let mut todo = vec![top.to_owned()];
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let meta = entry.metadata()?;
            bytes = bytes.saturating_add(meta.blocks().saturating_mul(512));
            if meta.is_dir() {
                todo.push(entry.path());
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_folder_are_those_of_its_files() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join("a")).unwrap();
        fs::write(temp.path().join("a/b"), vec![1; 100_000]).unwrap();
        let bytes = bytes_of(temp.path()).unwrap();
        assert!((100_000..300_000).contains(&bytes), "{bytes}");
    }
}
