// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Paths inside a guest.

use std::fmt;

use super::TreeError;

/// The most bytes of a path: `PATH_MAX` of Linux, with its closing NUL.
const MOST: usize = 4096;

/// A place in a guest's tree: bytes, always taken from the guest's root. `a/b`, `/a/b` and
/// `//a/./b/` are the same place. `..` stays: where it leads depends on links.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestPath(Vec<u8>);

impl GuestPath {
    /// Returns the place that `path` names.
    ///
    /// # Errors
    ///
    /// [`TreeError::BadPath`] if it holds a NUL, or is longer than Linux takes.
    pub fn new(path: impl AsRef<[u8]>) -> Result<Self, TreeError> {
        let path = path.as_ref();
        if path.len() >= MOST || path.contains(&0) {
            let head = String::from_utf8_lossy(&path[..path.len().min(80)]);
            return Err(TreeError::BadPath { path: head.escape_debug().to_string() });
        }
        Ok(Self::cleaned(path))
    }

    /// Returns the guest's root.
    #[must_use]
    pub fn root() -> Self {
        Self(b"/".to_vec())
    }

    /// Returns the place of `name` in this directory.
    #[must_use]
    pub fn join(&self, name: impl AsRef<[u8]>) -> Self {
        let mut path = self.0.clone();
        path.push(b'/');
        path.extend_from_slice(name.as_ref());
        Self::cleaned(&path)
    }

    /// Returns the directory that the path's last name stands in; `None` of the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let slash = self.0.iter().rposition(|&b| b == b'/')?;
        (self.0.len() > 1).then(|| Self(self.0[..slash.max(1)].to_vec()))
    }

    /// Returns the path's last name; `None` of the root.
    #[must_use]
    pub fn name(&self) -> Option<&[u8]> {
        self.0.rsplit(|&b| b == b'/').next().filter(|name| !name.is_empty())
    }

    /// Returns the path's names, from the root on.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|&b| b == b'/').filter(|name| !name.is_empty())
    }

    /// Returns the path's bytes, which begin with `/`.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns whether this is `folder` or a place below it, by names alone.
    #[must_use]
    pub fn is_within(&self, folder: &Self) -> bool {
        let rest = self.0.strip_prefix(folder.0.as_slice());
        rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'/' || folder.0 == b"/")
    }

    fn cleaned(path: &[u8]) -> Self {
        let mut clean = Vec::with_capacity(path.len() + 1);
        for name in path.split(|&b| b == b'/').filter(|n| !n.is_empty() && *n != b".") {
            clean.push(b'/');
            clean.extend_from_slice(name);
        }
        if clean.is_empty() {
            clean.push(b'/');
        }
        Self(clean)
    }
}

/// For paths that stand in the source: `"/etc/hostname".into()`.
impl From<&'static str> for GuestPath {
    fn from(path: &'static str) -> Self {
        Self::cleaned(path.as_bytes())
    }
}

/// As an error message shows it: control characters and bytes that are no UTF-8 are escaped.
impl fmt::Display for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() {
                    write!(f, "{}", c.escape_default())?;
                } else {
                    write!(f, "{c}")?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> GuestPath {
        GuestPath::new(text).unwrap()
    }

    #[test]
    fn one_place_has_one_path() {
        for text in ["etc/passwd", "/etc/passwd", "//etc/./passwd/"] {
            assert_eq!(path(text), "/etc/passwd".into());
        }
        assert_eq!(path(""), GuestPath::root());
        assert_eq!(path("/a/../b").as_bytes(), b"/a/../b");
        assert!(matches!(GuestPath::new(b"a\0b"), Err(TreeError::BadPath { .. })));
        assert!(matches!(GuestPath::new(vec![b'x'; 4096]), Err(TreeError::BadPath { .. })));
    }

    #[test]
    fn paths_have_a_folder_and_a_name() {
        assert_eq!(path("/etc/x").parent(), Some("/etc".into()));
        assert_eq!(path("/etc").parent(), Some(GuestPath::root()));
        assert_eq!(GuestPath::root().parent(), None);
        assert_eq!(path("/etc/x").name(), Some(&b"x"[..]));
        assert_eq!(GuestPath::root().name(), None);
        assert_eq!(GuestPath::root().join("a").join(b"b/c"), "/a/b/c".into());
        assert_eq!(path("/a/b").names().collect::<Vec<_>>(), [b"a", b"b"]);
        assert!(path("/a/b").is_within(&"/a".into()) && path("/a").is_within(&"/a".into()));
        assert!(path("/a").is_within(&GuestPath::root()) && !path("/ab").is_within(&"/a".into()));
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(GuestPath::new(b"/a\x1b[2J\xff").unwrap().to_string(), "/a\\u{1b}[2J\\xff");
    }
}
