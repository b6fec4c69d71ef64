// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What operations work with.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;

use kiln_host::read::bounded;

use super::{NewPassword, Problem, Settings, Step};
use crate::run::{Job, RunOutput, Runner};
use crate::system::Known;
use crate::tree::{
    Attrs, GuestPath, Kind, New, Recorder, Stat, Time, Tree, TreeError, inherited, make_dirs,
};

/// The most that is read of a file that is edited, in the guest or on the host.
pub(super) const TEXT_MOST: u64 = 64 << 20;

/// Fills a slice with random bytes.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]) -> io::Result<()>;

/// Which of the guest's programs may reach the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// The package manager where it installs or updates.
    #[default]
    Packages,
    /// All of them.
    All,
    /// None.
    None,
}

/// What the caller hands in.
pub struct EditContext<'a> {
    /// The guest's tree.
    pub tree: &'a mut dyn Tree,
    /// The time of all changes.
    pub now: Time,
    /// Gives random bytes, for salts and passwords: a cryptographic source.
    pub random: Random<'a>,
    /// The user's own public keys, one line each, for `ssh-inject` without a key.
    pub keys: &'a [String],
    /// What runs the guest's programs, if anything can.
    pub runner: Option<&'a mut dyn Runner>,
    /// Which of the guest's programs may reach the network.
    pub network: Network,
    /// Is told what is to be done next.
    pub progress: &'a mut dyn FnMut(&Step),
}

impl fmt::Debug for EditContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EditContext").field("now", &self.now).finish_non_exhaustive()
    }
}

/// A password that is to be set when all else is done.
#[derive(Debug)]
pub(super) struct PasswordToSet {
    pub(super) user: String,
    pub(super) selector: super::password::Selector,
}

/// What an [`Action`](super::Action) works with: the guest, and what is known of it.
pub struct Scene<'a> {
    pub(super) tree: Recorder<'a>,
    pub(super) known: Known,
    pub(super) now: Time,
    pub(super) random: Random<'a>,
    pub(super) keys: &'a [String],
    pub(super) runner: Option<&'a mut dyn Runner>,
    pub(super) network: Network,
    pub(super) settings: Settings,
    pub(super) to_set: Vec<PasswordToSet>,
    pub(super) passwords: Vec<NewPassword>,
    pub(super) notes: Vec<String>,
    pub(super) programs_ran: bool,
}

impl fmt::Debug for Scene<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scene").field("known", &self.known).finish_non_exhaustive()
    }
}

impl Scene<'_> {
    /// Attributes of something new that root owns.
    pub(super) fn attrs(&self, mode: u32) -> Attrs {
        Attrs { mode, uid: 0, gid: 0, mtime: self.now }
    }

    /// Returns what is at a path, behind links.
    pub(super) fn need(&mut self, path: &GuestPath) -> Result<Stat, TreeError> {
        self.tree.stat(path)?.ok_or_else(|| TreeError::NotFound { path: path.clone() })
    }

    /// Fails unless there is something at a path, a link itself too.
    pub(super) fn need_any(&mut self, path: &GuestPath) -> Result<Stat, TreeError> {
        self.tree.lstat(path)?.ok_or_else(|| TreeError::NotFound { path: path.clone() })
    }

    /// Returns whether there is a directory at a path, behind links.
    pub(super) fn is_folder(&mut self, path: &GuestPath) -> Result<bool, TreeError> {
        match self.tree.stat(path) {
            Ok(stat) => Ok(stat.is_some_and(|stat| stat.kind == Kind::Directory)),
            Err(TreeError::NotADirectory { .. } | TreeError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns whether there is anything at a path, behind links.
    pub(super) fn tree_has(&mut self, path: &GuestPath) -> Result<bool, TreeError> {
        Ok(self.tree.stat(path)?.is_some())
    }

    /// Returns whether there is a file at a path, behind links.
    pub(super) fn is_file(&mut self, path: &GuestPath) -> Result<bool, TreeError> {
        Ok(self.tree.stat(path)?.is_some_and(|stat| stat.kind == Kind::File))
    }

    /// Fails unless there is a directory at a path.
    pub(super) fn need_folder(&mut self, path: &GuestPath) -> Result<(), TreeError> {
        match self.need(path)?.kind {
            Kind::Directory => Ok(()),
            _ => Err(TreeError::NotADirectory { path: path.clone() }),
        }
    }

    /// Fails unless there is a file at a path.
    pub(super) fn need_file(&mut self, path: &GuestPath) -> Result<Stat, TreeError> {
        let stat = self.need(path)?;
        match stat.kind {
            Kind::File => Ok(stat),
            _ => Err(TreeError::NotAFile { path: path.clone() }),
        }
    }

    /// Returns the contents of a file that is to be edited.
    pub(super) fn text(&mut self, path: &GuestPath) -> Result<Vec<u8>, TreeError> {
        self.need_file(path)?;
        self.tree.read(path, TEXT_MOST)
    }

    /// Puts contents into a file; one that is new belongs to root and has this mode, one that is
    /// there keeps what it has.
    pub(super) fn put(
        &mut self,
        path: &GuestPath,
        mut contents: &[u8],
        mode: u32,
    ) -> Result<(), TreeError> {
        let attrs = self.attrs(mode);
        let attrs = inherited(&mut self.tree, path, &attrs, Kind::File)?;
        self.tree.write(path, &mut contents, &attrs)
    }

    /// Makes a directory and those above it, for root.
    pub(super) fn folders(&mut self, path: &GuestPath, mode: u32) -> Result<(), TreeError> {
        let attrs = self.attrs(mode);
        make_dirs(&mut self.tree, path, &attrs).map(drop)
    }

    /// Makes a symbolic link; a file or link of the name is replaced.
    pub(super) fn link(&mut self, name: &GuestPath, target: &[u8]) -> Result<(), TreeError> {
        match self.tree.lstat(name)?.map(|stat| stat.kind) {
            Some(Kind::Symlink) if self.tree.read_link(name)? == target => return Ok(()),
            Some(Kind::Directory) => return Err(TreeError::Exists { path: name.clone() }),
            Some(_) => self.tree.unlink(name)?,
            None => {}
        }
        let attrs = self.attrs(0o777);
        let attrs = inherited(&mut self.tree, name, &attrs, Kind::Symlink)?;
        self.tree.make(name, &New::Symlink(target.to_vec()), &attrs)
    }

    /// Fills an array with random bytes.
    pub(super) fn random<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let mut bytes = [0; N];
        (self.random)(&mut bytes).map_err(|source| Problem::Random { source })?;
        Ok(bytes)
    }

    /// Notes something that the user should know.
    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Runs a program of the guest, which must end well.
    pub(super) fn run(&mut self, job: &Job) -> Result<(), Problem> {
        let Some(runner) = &mut self.runner else { return Err(Problem::NoRunner) };
        self.programs_ran = true;
        let RunOutput { code, tail } = runner.run(&mut self.tree, job)?;
        if code == 0 {
            return Ok(());
        }
        Err(Problem::Failed { name: job.name.clone(), code, tail })
    }
}

/// Reads a file of the host.
pub(super) fn host_file(path: &Path, most: u64) -> Result<Vec<u8>, Problem> {
    bounded(path, most).map_err(|source| Problem::Host { path: path.to_owned(), source })
}

/// Fails unless a file of the host is there and can be read. A pipe is left alone: who opens one
/// takes what is in it.
pub(super) fn check_file(path: &Path) -> Result<(), Problem> {
    let failed = |source| Problem::Host { path: path.to_owned(), source };
    let meta = std::fs::metadata(path).map_err(failed)?;
    if meta.is_file() || meta.is_dir() {
        return host_open(path).map(drop);
    }
    let flags = rustix::fs::AtFlags::EACCESS;
    let may = rustix::fs::accessat(rustix::fs::CWD, path, rustix::fs::Access::READ_OK, flags);
    may.map_err(|errno| failed(errno.into()))
}

/// Opens a file of the host whose size has no bound.
pub(super) fn host_open(path: &Path) -> Result<std::fs::File, Problem> {
    let failed = |source| Problem::Host { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(failed(io::Error::from(io::ErrorKind::IsADirectory)));
    }
    Ok(file)
}

/// Tells the tree's errors of reading from those of the host's file that was to be written.
pub(super) fn write_from(
    scene: &mut Scene<'_>,
    path: &GuestPath,
    from: &mut dyn Read,
    attrs: &Attrs,
) -> Result<(), Problem> {
    Ok(scene.tree.write(path, from, attrs)?)
}
