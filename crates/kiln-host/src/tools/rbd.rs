// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `rbd`: images of a Ceph cluster, who uses them, and what hangs on them.
//!
//! Source: rbd(8), Ceph 16 to 19. Whoever has an image open so that it could write watches it: the
//! kernel, and QEMU even if it only reads, but not a snapshot. The exit status is the number of
//! the error: 2 if there is no such image, 16 if it is in use or protected already, 17 if it is
//! there already.

use std::time::Duration;

use serde_json::Value;

use super::qemu_storage_daemon::Rbd;
use crate::cmd::{Cmd, Tool};

/// How long a cluster may take to answer.
const DEADLINE: Duration = Duration::from_secs(60);
/// How long it may take to copy what an image lies over into it.
const FLATTEN: Duration = Duration::from_secs(6 * 60 * 60);
/// `EBUSY`.
const BUSY: i32 = 16;
/// `EEXIST`.
const EXISTS: i32 = 17;

/// What a cluster says to who wants to see a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Come in.
    Open,
    /// No: such a user, or this key of the user, is not known.
    Denied,
    /// There is no such pool.
    NoPool,
    /// Nothing: no monitor answers.
    Silent,
}

/// `EPERM`, `EACCES`, `EINVAL` of a key that is none, `EOPNOTSUPP` of no key at all.
const DENIED: [i32; 4] = [1, 13, 22, 95];
/// `ENOENT`.
const NO_POOL: i32 = 2;
/// `ETIMEDOUT`.
const SILENT: i32 = 110;

/// An image or a snapshot of a pool, and what it lies over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The image.
    pub image: String,
    /// The snapshot of it, if this is one.
    pub snapshot: Option<String>,
    /// What it lies over: pool and image.
    pub parent: Option<(String, String)>,
}

fn base(words: &[&str], image: &Rbd) -> Cmd {
    let mut cmd = Cmd::new(Tool::Rbd).args(words);
    if let Some(conf) = &image.conf {
        cmd = cmd.arg("--conf").arg(conf);
    }
    if let Some(user) = &image.user {
        cmd = cmd.arg("--id").arg(user);
    }
    if let Some(namespace) = &image.namespace {
        cmd = cmd.arg("--namespace").arg(namespace);
    }
    cmd.args(["--pool", &image.pool]).deadline(Some(DEADLINE))
}

fn of_image(words: &[&str], image: &Rbd) -> Cmd {
    base(words, image).args(["--image", &image.image])
}

/// Returns the command that says who has an image open. Read what it prints by
/// [`parse_watchers`].
#[must_use]
pub fn status(image: &Rbd) -> Cmd {
    of_image(&["status", "--format", "json"], image)
}

/// Returns the command that makes a snapshot; one that is there is as good.
#[must_use]
pub fn snapshot(image: &Rbd, name: &str) -> Cmd {
    of_image(&["snap", "create", "--no-progress", "--snap", name], image).also_ok(EXISTS)
}

/// Returns the command that protects a snapshot, so that it stays while something lies over it; one
/// that is protected is as good.
#[must_use]
pub fn protect(image: &Rbd, name: &str) -> Cmd {
    of_image(&["snap", "protect", "--snap", name], image).also_ok(BUSY)
}

/// Returns the command that copies into an image what it lies over, so that it lies over nothing.
#[must_use]
pub fn flatten(image: &Rbd) -> Cmd {
    of_image(&["flatten", "--no-progress"], image).deadline(Some(FLATTEN))
}

/// Returns the command that wants to see a pool. Read its exit status by [`entry`].
#[must_use]
pub fn knock(pool: &Rbd) -> Cmd {
    let cmd = base(&["ls", "--format", "json"], pool);
    [NO_POOL, SILENT].into_iter().chain(DENIED).fold(cmd, Cmd::also_ok)
}

/// Reads the exit status of [`knock`].
#[must_use]
pub fn entry(status: i32) -> Entry {
    match status {
        0 => Entry::Open,
        NO_POOL => Entry::NoPool,
        SILENT => Entry::Silent,
        _ => Entry::Denied,
    }
}

/// Returns the command that lists a pool's images and snapshots. Read what it prints by
/// [`parse_list`].
#[must_use]
pub fn list(pool: &Rbd) -> Cmd {
    base(&["ls", "--long", "--format", "json"], pool)
}

/// Returns the command that lists what lies over an image's snapshots. Read what it prints by
/// [`parse_children`].
#[must_use]
pub fn children(image: &Rbd) -> Cmd {
    of_image(&["children", "--format", "json"], image)
}

/// Returns the command that writes a word about an image into its metadata.
#[must_use]
pub fn set_meta(image: &Rbd, key: &str, value: &str) -> Cmd {
    of_image(&["image-meta", "set"], image).arg(key).arg(value)
}

/// Returns the command that lists an image's metadata. Read what it prints by [`parse_meta`].
#[must_use]
pub fn list_meta(image: &Rbd) -> Cmd {
    of_image(&["image-meta", "list", "--format", "json"], image)
}

/// Reads what [`status`] printed: the address of each that has the image open. `None`
/// if it is nothing of the kind.
#[must_use]
pub fn parse_watchers(printed: &[u8]) -> Option<Vec<String>> {
    let value: Value = serde_json::from_slice(printed).ok()?;
    let address = |watcher: &Value| watcher.get("address")?.as_str().map(str::to_owned);
    value.get("watchers")?.as_array()?.iter().map(address).collect()
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().map(str::to_owned)
}

/// Reads what [`list`] printed. `None` if it is nothing of the kind.
#[must_use]
pub fn parse_list(printed: &[u8]) -> Option<Vec<Listed>> {
    let value: Value = serde_json::from_slice(printed).ok()?;
    let one = |value: &Value| {
        let parent = value.get("parent");
        let parent =
            parent.and_then(|parent| Some((text(parent, "pool")?, text(parent, "image")?)));
        Some(Listed { image: text(value, "image")?, snapshot: text(value, "snapshot"), parent })
    };
    value.as_array()?.iter().map(one).collect()
}

/// Reads what [`children`] printed: pool and image of each. `None` if it is nothing of the kind.
#[must_use]
pub fn parse_children(printed: &[u8]) -> Option<Vec<(String, String)>> {
    let value: Value = serde_json::from_slice(printed).ok()?;
    let one = |value: &Value| Some((text(value, "pool")?, text(value, "image")?));
    value.as_array()?.iter().map(one).collect()
}

/// Reads a value from what [`list_meta`] printed.
#[must_use]
pub fn parse_meta(printed: &[u8], key: &str) -> Option<String> {
    let value: Value = serde_json::from_slice(printed).ok()?;
    text(&value, key)
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
    fn a_list_says_what_lies_over_what() {
        let printed = br#"[
            {"image":"tpl","id":"a","size":1,"format":2},
            {"image":"tpl","snapshot":"kiln","id":"a","size":1,"format":2,"protected":"true"},
            {"image":"web","id":"b","size":1,
             "parent":{"pool":"vms","pool_namespace":"","image":"tpl","snapshot":"kiln"},"format":2}
        ]"#;
        let of = |image: &str, snapshot: Option<&str>, parent: Option<(&str, &str)>| Listed {
            image: image.into(),
            snapshot: snapshot.map(Into::into),
            parent: parent.map(|(pool, image)| (pool.into(), image.into())),
        };
        let wanted = vec![
            of("tpl", None, None),
            of("tpl", Some("kiln"), None),
            of("web", None, Some(("vms", "tpl"))),
        ];
        assert_eq!(parse_list(printed), Some(wanted));
        assert_eq!(parse_list(b"[]"), Some(vec![]));
        assert_eq!(parse_list(b"{}"), None);
    }

    #[test]
    fn children_are_told_by_pool_and_image() {
        let printed = br#"[{"pool":"vms","pool_namespace":"","image":"web2","trash":false}]"#;
        assert_eq!(parse_children(printed), Some(vec![("vms".into(), "web2".into())]));
        assert_eq!(parse_children(b"[]"), Some(vec![]));
        assert_eq!(parse_children(b""), None);
    }

    #[test]
    fn metadata_is_found_by_its_key() {
        let printed = br#"{"a":"1","b":"{}"}"#;
        assert_eq!(parse_meta(printed, "b").as_deref(), Some("{}"));
        assert_eq!(parse_meta(printed, "c"), None);
        // Without any, nothing is printed.
        assert_eq!(parse_meta(b"", "a"), None);
    }

    #[test]
    fn a_pool_that_looks_like_an_option_is_none() {
        let image = Rbd { pool: "--x".into(), image: "y".into(), ..Rbd::default() };
        let shown = status(&image).to_string();
        assert_eq!(shown, "rbd status --format json --pool --x --image y");
    }
}
