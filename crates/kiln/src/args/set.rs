// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the verbs for sets have in common.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::machine::set::Allowed;

/// The file of a set.
#[derive(Debug, Args)]
pub(crate) struct SetFile {
    /// The file [default: kiln.yaml]
    #[arg(value_name = "FILE")]
    named: Option<PathBuf>,
    /// The file, too: as other tools take it
    #[arg(short, long = "file", value_name = "FILE", conflicts_with = "named")]
    flagged: Option<PathBuf>,
}

impl SetFile {
    /// Returns the file.
    pub(crate) fn path(&self) -> &Path {
        let said = self.named.as_deref().or(self.flagged.as_deref());
        said.unwrap_or(Path::new("kiln.yaml"))
    }
}

/// What may be done to machines and more that are there.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Allow {
    /// Restart machines that run, where they get their changes only so
    #[arg(long)]
    pub(crate) restart: bool,
    /// Remove machines and make them anew, where they cannot be changed: their disks are lost
    #[arg(long)]
    pub(crate) rebuild: bool,
    /// Remove what the set owns and its file does not name any more, with its disks
    #[arg(long)]
    pub(crate) prune: bool,
}

impl From<Allow> for Allowed {
    fn from(allow: Allow) -> Self {
        Self { restart: allow.restart, rebuild: allow.rebuild, prune: allow.prune }
    }
}
