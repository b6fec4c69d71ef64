// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A program to be run on a tree under construction.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::WorkspaceError;

/// A program to be run. See [`super::Workspace::run`] and [`super::Workspace::run_outside`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// What it is called in errors.
    pub name: String,
    /// The program and its arguments; with a `script`, the script's arguments.
    pub argv: Vec<String>,
    /// A file that is the program: it begins with `#!`, and is seen at `/run/kiln-program`.
    pub script: Option<Vec<u8>>,
    /// Variables besides `PATH`, `HOME`, `LANG`, `DEBIAN_FRONTEND`, `SYSTEMD_OFFLINE` and, with
    /// the network, those that name proxies; they win.
    pub env: Vec<(String, String)>,
    /// Where it starts.
    pub cwd: String,
    /// Whether it has the host's network, and resolvers; a loopback of its own otherwise.
    pub network: bool,
    /// Folders that it sees besides the tree.
    pub mounts: Vec<Mount>,
    /// What it reads at its standard input; nothing if this is empty.
    pub stdin: Vec<u8>,
    /// Folders of the tree that are empty for it, and that it writes to without effect.
    pub aside: Vec<String>,
}

/// A folder that a program sees besides the tree; its place is made for the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mount {
    /// A folder of the host: a copy, which belongs to nobody and can be read by all.
    Files {
        /// The folder.
        from: PathBuf,
        /// Where it is seen: an absolute path.
        at: String,
    },
    /// A folder that all builds share and that programs may write, such as a package manager's
    /// downloads. Nothing of it may be relied on.
    Cache {
        /// Its name.
        name: String,
        /// Where it is seen: an absolute path.
        at: String,
    },
}

impl Task {
    /// Returns a task without network, variables, mounts and input, in `/`.
    #[must_use]
    pub fn new(name: impl Into<String>, argv: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            name: name.into(),
            argv: argv.into_iter().map(Into::into).collect(),
            script: None,
            env: Vec::new(),
            cwd: "/".to_owned(),
            network: false,
            mounts: Vec::new(),
            stdin: Vec::new(),
            aside: Vec::new(),
        }
    }

    /// Returns a task that runs `lines` with `/bin/sh`, which ends at the first that fails.
    #[must_use]
    pub fn shell(name: impl Into<String>, lines: &str) -> Self {
        let script = Some(format!("#!/bin/sh -e\n{lines}\n").into_bytes());
        Self { script, ..Self::new(name, [""; 0]) }
    }
}

/// Copies a folder, or a file, so that everybody can read it: permissions of the owner become
/// those of all, and what is neither file, folder nor link is left out.
pub(super) fn copy_for_all(from: &Path, to: &Path) -> Result<(), WorkspaceError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| WorkspaceError::io("copy", &path, source)
    };
    if let Some(above) = to.parent() {
        fs::create_dir_all(above).map_err(failed(above))?;
    }
    let mut todo = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = todo.pop() {
        let meta = fs::symlink_metadata(&from).map_err(failed(&from))?;
        let kind = meta.file_type();
        if kind.is_symlink() {
            fs::read_link(&from).and_then(|target| symlink(target, &to)).map_err(failed(&from))?;
        } else if kind.is_dir() {
            fs::create_dir(&to).map_err(failed(&to))?;
            fs::set_permissions(&to, Permissions::from_mode(0o755)).map_err(failed(&to))?;
            let entries = fs::read_dir(&from).and_then(Iterator::collect::<io::Result<Vec<_>>>);
            for entry in entries.map_err(failed(&from))? {
                todo.push((entry.path(), to.join(entry.file_name())));
            }
        } else if kind.is_file() {
            fs::copy(&from, &to).map_err(failed(&from))?;
            let mode = if meta.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
            fs::set_permissions(&to, Permissions::from_mode(mode)).map_err(failed(&to))?;
        }
    }
    Ok(())
}
