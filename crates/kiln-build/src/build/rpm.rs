// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The step that makes a tree of RPM packages, with the host's dnf in the workspace.

use std::fs;

use kiln_host::lock::Lock;

use super::perform::Means;
use super::plan::Step;
use crate::BuildError;
use crate::base::debian::Watch;
use crate::base::rpm::{self, Tree};
use crate::stage::{Event, Stage};
use crate::workspace::{Mount, Task, Workspace, WorkspaceError};

/// The folder of downloads that all of these builds share.
const SHARED: &str = "dnf";
/// What [`rpm::INSTALL`] says when a stage begins.
const TELLS: &str = "KILN: stage ";

/// A tree, and the keys that its packages must be signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RpmTree {
    /// What is to be made.
    pub(super) tree: Tree,
    /// Public keys, armoured.
    pub(super) keys: Vec<u8>,
    /// The release, as errors call it: `fedora 43`.
    pub(super) release: String,
}

/// Makes the tree. It has the network, and nothing of the host but its programs.
pub(super) fn make(
    wanted: &RpmTree,
    step: &Step,
    (workspace, means): (&mut Workspace<'_>, &Means<'_>),
) -> Result<(), BuildError> {
    let failed = |error| BuildError::io("make a folder in", means.temp, error);
    let given = tempfile::tempdir_in(means.temp).map_err(failed)?;
    for (name, bytes) in
        [(rpm::CONFIG, wanted.tree.config.as_bytes()), (rpm::KEYS, wanted.keys.as_slice())]
    {
        let path = given.path().join(name);
        fs::write(&path, bytes).map_err(|e| BuildError::io("write", path, e))?;
    }
    // dnf tells by the numbers of processes whether somebody uses its folder, and each build has
    // numbers of its own.
    let cache = means.cache;
    let _alone = Lock::wait(&cache.lock_of(SHARED)).map_err(BuildError::Lock)?;
    let task = Task {
        script: Some(rpm::INSTALL.as_bytes().to_vec()),
        env: wanted.tree.env.clone(),
        network: true,
        mounts: vec![
            Mount::Files { from: given.path().to_owned(), at: rpm::FOLDER.into() },
            Mount::Cache { name: SHARED.into(), at: rpm::CACHE.into() },
        ],
        ..Task::new(&step.name, [""; 0])
    };
    let (mut watch, mut untrusted, mut unreached) = (Watch::default(), None, None);
    let reporter = means.reporter;
    let ran = workspace.run_outside(&task, &mut |line| {
        if let Some(stage) = line.strip_prefix(TELLS).and_then(stage) {
            reporter.tell(Event::Stage(stage));
            return;
        }
        watch.line(line);
        untrusted = untrusted.take().or_else(|| distrust(line));
        unreached = unreached.take().or_else(|| unreachable(line));
        reporter.tell(Event::Note(line.to_owned()));
    });
    match ran {
        Ok(()) => Ok(()),
        Err(WorkspaceError::Interrupted) => Err(BuildError::Interrupted),
        Err(source @ WorkspaceError::Failed { .. }) => Err(match watch.cause_of_failure() {
            Some(finding) => BuildError::of_finding(finding, reporter.current(), &wanted.release),
            None => match (untrusted, unreached) {
                (Some(what), _) => BuildError::Untrusted { what },
                (None, Some((url, why))) => BuildError::Mirror { url, why },
                (None, None) => BuildError::Step { step: step.name.clone(), source: source.into() },
            },
        }),
        Err(source) => Err(source.into()),
    }
}

fn stage(word: &str) -> Option<Stage> {
    match word {
        "lists" => Some(Stage::Lists),
        "install" => Some(Stage::Install),
        "finish" => Some(Stage::Finish),
        _ => None,
    }
}

/// Reads what dnf says of a package that is not signed, or by another key. As with apt's words, it
/// only makes an error more particular: a failure is told by the exit status.
fn distrust(line: &str) -> Option<String> {
    let told = ["is not signed", "Failing package is", "GPG check FAILED"];
    let line = line.trim();
    told.iter().any(|words| line.contains(words)).then(|| line.to_owned())
}

/// Reads what dnf says of a repository that it cannot read: its address, and why.
fn unreachable(line: &str) -> Option<(String, String)> {
    let line = line.trim().trim_start_matches("- ");
    let why = line.split_once("Curl error").or_else(|| line.split_once("Status code"))?;
    let url = line.split_whitespace().find(|word| word.contains("://"))?;
    let why = why.1.trim_matches(|c: char| c == ':' || c.is_whitespace());
    Some((url.trim_matches(['(', ')']).to_owned(), why.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dnf_says_of_trust_and_mirrors_is_found() {
        assert_eq!(
            distrust("Package x-1-1.noarch.rpm is not signed").as_deref(),
            Some("Package x-1-1.noarch.rpm is not signed")
        );
        assert_eq!(distrust("Importing GPG key 0x1:"), None);
        let line = "  - Curl error (7): Couldn't connect to server for \
                    http://127.0.0.1:1/x/repodata/repomd.xml [Failed to connect]";
        let (url, why) = unreachable(line).unwrap();
        assert_eq!(url, "http://127.0.0.1:1/x/repodata/repomd.xml");
        assert!(why.contains("Couldn't connect"), "{why}");
        let line = "  - Status code: 404 for http://m/repodata/repomd.xml (IP: 127.0.0.1)";
        let (url, why) = unreachable(line).unwrap();
        assert_eq!(url, "http://m/repodata/repomd.xml");
        assert!(why.starts_with("404"), "{why}");
        assert_eq!(unreachable("Complete!"), None);
    }
}
