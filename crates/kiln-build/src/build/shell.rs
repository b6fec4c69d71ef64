// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Trees as failed steps left them: kept as layers of their own, to be looked into.
//!
//! Such a layer has a digest that no step has, so it never answers for one; it is listed and
//! collected as all others.

use std::os::fd::OwnedFd;

use kiln_spec::Digest;
use serde_json::json;

use super::plan::{Plan, Step};
use crate::BuildError;
use crate::digest;
use crate::element::dib::run::RunError;
use crate::workspace::{LayerCache, Task, Workspace, WorkspaceError};

/// The shell becomes the leader of a session that has the terminal, where the tree has a program
/// for that: then Ctrl-C reaches what runs in it.
const SHELL: &str = "\
s=/bin/sh
[ ! -x /bin/bash ] || s=/bin/bash
if command -v setsid >/dev/null 2>&1; then
  (exec setsid -c $s -i) >&0 2>&0
else
  exec $s -i >&0 2>&0
fi
";

impl Step {
    /// The digest of the tree as this step left it when it failed.
    fn failed(&self) -> Digest {
        digest::of_bytes(json!({ "failed": self.digest }).to_string().as_bytes())
    }
}

/// Keeps the tree of a step whose program failed. What stands in the way is no reason to fail.
pub(super) fn keep(
    error: &BuildError,
    step: &Step,
    cache: &LayerCache,
    workspace: &mut Workspace<'_>,
) -> Result<(), WorkspaceError> {
    let source = match error {
        BuildError::Step { source, .. } => &**source,
        BuildError::Dib(RunError::Script { source, .. }) => source,
        _ => return Ok(()),
    };
    if !matches!(source, WorkspaceError::Failed { .. }) {
        return Ok(());
    }
    let digest = step.failed();
    cache.remove(&digest)?;
    if let Some(claim) = cache.claim(&digest)? {
        workspace.keep(claim, &format!("failed {}", step.name))?;
    }
    Ok(())
}

/// Removes the tree that a step left when it failed, now that it did not.
pub(super) fn forget(step: &Step, cache: &LayerCache) -> Result<(), WorkspaceError> {
    let digest = step.failed();
    if cache.has(&digest) { cache.remove(&digest).map(drop) } else { Ok(()) }
}

/// The tree of a step that failed.
#[derive(Debug)]
pub struct Kept<'a> {
    /// The step's name.
    pub step: String,
    cache: &'a LayerCache,
    digest: Digest,
    network: bool,
    workspace: Workspace<'a>,
}

impl<'a> Kept<'a> {
    /// Finds the tree that the last build of `plan` left, if it failed.
    ///
    /// # Errors
    ///
    /// [`BuildError::NothingKept`], [`BuildError::Workspace`].
    pub fn find(plan: &Plan<'_>, cache: &'a LayerCache) -> Result<Self, BuildError> {
        let mut layers = Vec::new();
        for step in &plan.steps {
            if let Some(layer) = cache.find(&step.digest)? {
                layers.push(layer);
                continue;
            }
            let digest = step.failed();
            let Some(layer) = cache.find(&digest)? else {
                return Err(BuildError::NothingKept { step: Some(step.name.clone()) });
            };
            layers.push(layer);
            let workspace = Workspace::open(cache, &layers)?;
            let (step, network) = (step.name.clone(), step.has_network());
            return Ok(Self { step, cache, digest, network, workspace });
        }
        Err(BuildError::NothingKept { step: None })
    }

    /// Runs a shell on the tree, as its root and as the step ran: with the network if that had it.
    /// `terminal` is what it talks to, open for reading and writing. Returns its exit status.
    ///
    /// # Effects
    ///
    /// The tree, and what was changed in it, is gone afterwards.
    ///
    /// # Errors
    ///
    /// [`BuildError::Workspace`].
    pub fn shell(self, terminal: OwnedFd, env: Vec<(String, String)>) -> Result<i32, BuildError> {
        let Self { cache, digest, network, mut workspace, .. } = self;
        let task = Task { network, env, ..Task::shell("shell", SHELL) };
        let ended = workspace.interact(&task, terminal);
        drop(workspace);
        cache.remove(&digest)?;
        Ok(ended?)
    }
}
