// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `rbd`: who uses an image of a Ceph cluster.
//!
//! Source: rbd(8), Ceph 16 to 19. Whoever has an image open so that it could write watches it: the
//! kernel, and QEMU even if it only reads, but not a snapshot. Exit status 2 if there is no such
//! image.

use std::time::Duration;

use serde_json::Value;

use super::qemu_storage_daemon::Rbd;
use crate::cmd::{Cmd, Tool};

/// How long a cluster may take to answer.
const DEADLINE: Duration = Duration::from_secs(30);

/// Returns the command that says who has an image open. Read what it prints by
/// [`parse_watchers`].
#[must_use]
pub fn status(image: &Rbd) -> Cmd {
    let mut cmd = Cmd::new(Tool::Rbd).args(["status", "--format", "json"]);
    if let Some(conf) = &image.conf {
        cmd = cmd.arg("--conf").arg(conf);
    }
    if let Some(user) = &image.user {
        cmd = cmd.arg("--id").arg(user);
    }
    if let Some(namespace) = &image.namespace {
        cmd = cmd.arg("--namespace").arg(namespace);
    }
    cmd.args(["--pool", &image.pool, "--image", &image.image]).deadline(Some(DEADLINE))
}

/// Reads what [`status`] printed: the address of each that has the image open. `None`
/// if it is nothing of the kind.
#[must_use]
pub fn parse_watchers(printed: &[u8]) -> Option<Vec<String>> {
    let value: Value = serde_json::from_slice(printed).ok()?;
    let address = |watcher: &Value| watcher.get("address")?.as_str().map(str::to_owned);
    value.get("watchers")?.as_array()?.iter().map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watchers_are_told_by_their_addresses() {
        let printed = br#"{"watchers":[{"address":"127.0.0.1:0/123","client":4105,"cookie":9}]}"#;
        assert_eq!(parse_watchers(printed), Some(vec!["127.0.0.1:0/123".to_owned()]));
        assert_eq!(parse_watchers(br#"{"watchers":[]}"#), Some(vec![]));
        assert_eq!(parse_watchers(b"{}"), None);
        assert_eq!(parse_watchers(b"rbd: error"), None);
    }

    #[test]
    fn a_pool_that_looks_like_an_option_is_none() {
        let image = Rbd { pool: "--x".into(), image: "y".into(), ..Rbd::default() };
        let shown = status(&image).to_string();
        assert_eq!(shown, "rbd status --format json --pool --x --image y");
    }
}
