// SPDX-License-Identifier: Apache-2.0 OR MIT
//! SELinux labels of files that an edit has made.
//!
//! A file that is written anew keeps its inode and with it its label. One that is new has none,
//! and a guest that enforces a policy would not let its services read it. So each gets the label
//! that the guest's own `file_contexts` say; where they say it in a way that is not understood
//! here, the guest is told to label all of its files at the next boot.

mod contexts;

pub use contexts::{Contexts, Unclear};

use crate::tree::walk::{present, real_path};
use crate::tree::{Attrs, GuestPath, Kind, Time, Tree, TreeError};

/// Where a guest says whether and how it uses SELinux: selinux_config(5).
const CONFIG: &str = "/etc/selinux/config";
/// What libselinux takes if no policy is named.
const USUAL_POLICY: &str = "targeted";
/// Makes a guest label all of its files at the next boot: selinux-autorelabel(8).
const AUTORELABEL: &str = "/.autorelabel";
/// The attribute that holds a label.
const XATTR: &str = "security.selinux";
/// The most that is read of the settings.
const MOST_CONFIG: u64 = 64 << 10;

/// What became of the labels of new files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Labels {
    /// The guest does not use SELinux, or nothing is new.
    NotUsed,
    /// So many files got theirs.
    Given(u64),
    /// The guest labels all of its files at its next boot.
    Scheduled {
        /// Why they could not be given.
        why: String,
    },
}

/// Gives files that are new in a guest their labels, or schedules it.
///
/// `made` are real paths, without symbolic links but at the end. What is not there any more, and
/// what file systems without labels hold, is passed over.
///
/// # Effects
///
/// Extended attributes, or a file `/.autorelabel`. Nothing in a guest without SELinux.
///
/// # Errors
///
/// [`TreeError::Backend`], [`TreeError::NoSpace`].
pub fn label(tree: &mut dyn Tree, made: &[GuestPath], now: Time) -> Result<Labels, TreeError> {
    if made.is_empty() {
        return Ok(Labels::NotUsed);
    }
    let Some(policy) = policy(tree)? else { return Ok(Labels::NotUsed) };
    let why = match Contexts::load(tree, &policy)? {
        None => format!("the guest has no file contexts for its policy `{policy}`"),
        Some(mut contexts) => match label_all(tree, made, &mut contexts)? {
            Ok(count) => return Ok(Labels::Given(count)),
            Err(unclear) => unclear.to_string(),
        },
    };
    let flag = GuestPath::from(AUTORELABEL);
    if present(tree.lstat(&flag))?.flatten().is_none() {
        tree.write(&flag, &mut &b""[..], &Attrs { mode: 0o644, uid: 0, gid: 0, mtime: now })?;
    }
    Ok(Labels::Scheduled { why })
}

/// Returns the policy of a guest that uses SELinux.
fn policy(tree: &mut dyn Tree) -> Result<Option<String>, TreeError> {
    let path = GuestPath::from(CONFIG);
    let file = present(tree.stat(&path))?.flatten();
    if !file.is_some_and(|stat| stat.kind == Kind::File && stat.size <= MOST_CONFIG) {
        return Ok(None);
    }
    let text = tree.read(&path, MOST_CONFIG)?;
    let text = String::from_utf8_lossy(&text);
    let value = |key: &str| {
        let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix(key));
        lines.filter_map(|rest| rest.trim_start().strip_prefix('=')).next_back().map(str::trim)
    };
    if value("SELINUX").is_some_and(|mode| mode.eq_ignore_ascii_case("disabled")) {
        return Ok(None);
    }
    let policy = value("SELINUXTYPE").unwrap_or(USUAL_POLICY);
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let plain = !policy.is_empty() && !policy.starts_with('.') && policy.chars().all(good);
    Ok(Some(if plain { policy } else { USUAL_POLICY }.to_owned()))
}

fn label_all(
    tree: &mut dyn Tree,
    made: &[GuestPath],
    contexts: &mut Contexts,
) -> Result<Result<u64, Unclear>, TreeError> {
    let mut count = 0;
    for path in made {
        let path = real_path(tree, path, false)?;
        let Some(stat) = present(tree.lstat(&path))?.flatten() else { continue };
        let context = match contexts.lookup(&path, stat.kind) {
            Ok(Some(context)) => context,
            Ok(None) => continue,
            Err(unclear) => return Ok(Err(unclear)),
        };
        // libselinux writes the closing NUL, too.
        let value = [context.as_bytes(), b"\0"].concat();
        let mut xattrs = tree.xattrs(&path)?;
        if xattrs.iter().any(|(name, old)| name == XATTR && *old == value) {
            continue;
        }
        xattrs.retain(|(name, _)| name != XATTR);
        xattrs.push((XATTR.to_owned(), value));
        match tree.set_xattrs(&path, &xattrs) {
            Ok(()) => count += 1,
            // A file system without attributes: its files have one label, that of the mount.
            Err(TreeError::ReadOnly { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Ok(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::memory::MemoryTree;

    const CONTEXTS: &str = "/etc/selinux/targeted/contexts/files/file_contexts=\
        /.*\tsystem_u:object_r:default_t:s0\n/etc(/.*)?\tsystem_u:object_r:etc_t:s0\n";
    const NOW: Time = Time { seconds: 1, nanos: 0 };

    fn labels(tree: &mut MemoryTree, made: &[&'static str]) -> Labels {
        let made: Vec<_> = made.iter().map(|&path| GuestPath::from(path)).collect();
        label(tree, &made, NOW).unwrap()
    }

    #[test]
    fn new_files_get_the_label_of_their_place() {
        let mut tree = MemoryTree::of(&["/etc/selinux/config=SELINUX=enforcing\n", CONTEXTS]);
        tree.add("/etc/new");
        tree.add("/alias -> etc");
        assert_eq!(labels(&mut tree, &["/etc/new", "/etc/gone"]), Labels::Given(1));
        let label = tree.xattrs(&"/etc/new".into()).unwrap();
        assert_eq!(label, [(XATTR.into(), b"system_u:object_r:etc_t:s0\0".to_vec())]);
        assert_eq!(labels(&mut tree, &["/alias/new"]), Labels::Given(0));
        assert!(!tree.paths().contains(&String::from(AUTORELABEL)));
    }

    #[test]
    fn what_cannot_be_told_is_left_to_the_guest() {
        let config = "/etc/selinux/config=SELINUX=permissive\nSELINUXTYPE=mine\n";
        let bad = "/etc/selinux/mine/contexts/files/file_contexts=/etc/(?!x).* a:b:c:s0\n";
        for (lines, why) in [
            (vec![config], "the guest has no file contexts for its policy `mine`"),
            (vec![config, bad], "the file context `/etc/(?!x).*` is not understood"),
        ] {
            let mut tree = MemoryTree::of(&lines);
            tree.add("/etc/new");
            let wanted = Labels::Scheduled { why: why.to_owned() };
            assert_eq!(labels(&mut tree, &["/etc/new"]), wanted);
            assert_eq!(tree.text(AUTORELABEL), "");
        }
    }

    #[test]
    fn guests_without_selinux_are_left_alone() {
        for lines in [&[][..], &["/etc/selinux/config=SELINUX=disabled\n", CONTEXTS]] {
            let mut tree = MemoryTree::of(lines);
            tree.add("/etc/new");
            assert_eq!(labels(&mut tree, &["/etc/new"]), Labels::NotUsed);
            assert!(tree.xattrs(&"/etc/new".into()).unwrap().is_empty());
        }
    }
}
