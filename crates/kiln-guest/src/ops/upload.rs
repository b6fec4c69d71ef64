// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `upload`.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::argument::{action, host_path, pair, path};
use super::context::{check_file, host_open, write_from};
use super::{Action, Operation, Problem, Scene, Shown};
use crate::tree::{Attrs, Change, GuestPath, Tree as _};

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "upload",
    argument: Some("FILE:DEST"),
    heading: "Copy a file of the host to a name in the guest",
    documentation: "\
Copies FILE of the host to DEST in the guest. If DEST is a directory, the file keeps its name in \
it. The copy has the permissions of FILE, and its owner by number: set them on the host, or with \
chown afterwards.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| {
        let (file, to) = pair(text)?;
        action(Upload { file: host_path(file)?, to: path(to)? })
    },
};

#[derive(Debug)]
struct Upload {
    file: PathBuf,
    to: GuestPath,
}

impl Action for Upload {
    fn check(&self) -> Result<(), Problem> {
        check_file(&self.file)
    }

    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        use std::os::unix::ffi::OsStrExt;
        let failed = |source| Problem::Host { path: self.file.clone(), source };
        let mut file = host_open(&self.file)?;
        let meta = file.metadata().map_err(failed)?;
        let to = match self.file.file_name() {
            Some(name) if scene.is_folder(&self.to)? => self.to.join(name.as_bytes()),
            _ => self.to.clone(),
        };
        let (mode, uid, gid) = (meta.mode() & 0o7777, meta.uid(), meta.gid());
        let attrs = Attrs { mode, uid, gid, mtime: scene.now };
        let written = write_from(scene, &to, &mut file, &attrs);
        written.map_err(|problem| problem.wanting(meta.len()))?;
        let change = Change { mode: Some(mode), uid: Some(uid), gid: Some(gid), mtime: None };
        Ok(scene.tree.change(&to, &change, true)?)
    }
}
