// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Changes of a guest's tree, as a person and as a program reads them.

use std::collections::HashSet;

use kiln_guest::tree::{Change, Edit, Edits, GuestPath, How, Kind};
use kiln_spec::Bytes;
use serde_json::{Value, json};

use super::names;

/// Returns changes in a few words: `removed 12 files, emptied 1`.
pub(crate) fn summary(edits: &Edits) -> String {
    let count = |takes: fn(&How) -> bool| edits.list.iter().filter(|e| takes(&e.how)).count();
    let size: u64 = edits.list.iter().map(|edit| freed(&edit.how)).sum();
    let sorts: [(&str, usize); 7] = [
        ("removed", count(|how| matches!(how, How::Removed { .. }))),
        ("emptied", count(|how| matches!(how, How::Written { new: 0, .. }))),
        ("changed", count(|how| matches!(how, How::Written { new: 1.., .. }))),
        ("made", count(|how| matches!(how, How::Made { .. } | How::Linked { .. }))),
        ("moved", count(|how| matches!(how, How::Moved { .. }))),
        ("set owner, mode or time of", count(|how| matches!(how, How::Changed { .. }))),
        ("set attributes of", count(|how| matches!(how, How::Xattrs))),
    ];
    let words = sorts.iter().filter(|(_, count)| *count > 0);
    let mut words: Vec<_> = words.map(|(word, count)| format!("{word} {count}")).collect();
    if edits.left_out > 0 {
        words.push(format!("{} more changes", edits.left_out));
    }
    match size {
        0 => words.join(", "),
        size => format!("{} ({})", words.join(", "), Bytes(size)),
    }
}

fn freed(how: &How) -> u64 {
    match how {
        How::Removed { kind: Kind::File, size } => *size,
        How::Written { old, new } => old.saturating_sub(*new),
        _ => 0,
    }
}

/// Returns a line for each change; what is removed with its directory has none of its own.
pub(crate) fn lines(edits: &Edits) -> Vec<String> {
    let gone: HashSet<&GuestPath> =
        edits.list.iter().filter(|e| is_gone(e)).map(|e| &e.path).collect();
    let within = |path: &GuestPath| path.parent().is_some_and(|folder| gone.contains(&folder));
    let shown = edits.list.iter().filter(|edit| !(is_removed(edit) && within(&edit.path)));
    shown.map(line).collect()
}

/// Returns whether a directory is gone.
fn is_gone(edit: &Edit) -> bool {
    matches!(edit.how, How::Removed { kind: Kind::Directory, .. })
}

fn is_removed(edit: &Edit) -> bool {
    matches!(edit.how, How::Removed { .. })
}

fn line(edit: &Edit) -> String {
    let path = &edit.path;
    match &edit.how {
        How::Removed { kind: Kind::Directory, .. } => format!("remove {path}/"),
        How::Removed { .. } => format!("remove {path}"),
        How::Made { kind, .. } => format!("make {path} ({})", kind.name()),
        How::Written { old, new: 0 } => format!("empty {path} ({})", Bytes(*old)),
        How::Written { old, new } => format!("change {path} ({} to {})", Bytes(*old), Bytes(*new)),
        How::Moved { to } => format!("move {path} to {to}"),
        How::Linked { file } => format!("make {path} (another name of {file})"),
        How::Changed { change, .. } => format!("set {} of {path}", what(change)),
        How::Xattrs => format!("set attributes of {path}"),
    }
}

fn what(change: &Change) -> String {
    let mut words = Vec::new();
    if change.uid.is_some() || change.gid.is_some() {
        words.push(String::from("owner"));
    }
    words.extend(change.mode.map(|mode| format!("mode {mode:04o}")));
    words.extend(change.mtime.map(|_| String::from("time")));
    words.join(", ")
}

/// Returns changes as `--json` has them.
pub(crate) fn as_json(edits: &Edits) -> Value {
    edits.list.iter().map(edit_as_json).collect()
}

fn edit_as_json(edit: &Edit) -> Value {
    let other = |change: &str, key: &str, path: &GuestPath| {
        let mut value = json!({ "change": change });
        names::put(&mut value, key, path.as_bytes());
        value
    };
    let mut value = match &edit.how {
        How::Removed { kind, size } => {
            json!({ "change": "removed", "kind": kind.name(), "size": size })
        }
        How::Made { kind, size } => json!({ "change": "made", "kind": kind.name(), "size": size }),
        How::Written { old, new } => json!({ "change": "written", "old_size": old, "size": new }),
        How::Moved { to } => other("moved", "to", to),
        How::Linked { file } => other("linked", "file", file),
        How::Changed { change, .. } => json!({
            "change": "attributes", "mode": change.mode, "uid": change.uid, "gid": change.gid,
        }),
        How::Xattrs => json!({ "change": "xattrs" }),
    };
    names::put(&mut value, "path", edit.path.as_bytes());
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_with_its_directory_has_no_line() {
        let removed = |path, kind, size| Edit { path, how: How::Removed { kind, size } };
        let edits = Edits {
            list: vec![
                removed("/a/b/c".into(), Kind::File, 2000),
                removed("/a/b".into(), Kind::Directory, 0),
                removed("/a".into(), Kind::Directory, 0),
                removed("/d".into(), Kind::Symlink, 4),
                Edit { path: "/e".into(), how: How::Written { old: 48, new: 0 } },
                Edit { path: "/f".into(), how: How::Made { kind: Kind::File, size: 3 } },
            ],
            left_out: 2,
        };
        assert_eq!(lines(&edits), ["remove /a/", "remove /d", "empty /e (48 B)", "make /f (file)"]);
        assert_eq!(summary(&edits), "removed 4, emptied 1, made 1, 2 more changes (2 KiB)");
        let first = json!({ "change": "removed", "kind": "file", "size": 2000, "path": "/a/b/c" });
        assert_eq!(as_json(&edits)[0], first);
    }
}
