// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Paths inside a guest's tree: bytes, always taken from its root.

use super::ExtError;

/// The longest name of a directory entry, in bytes.
const NAME_MAX: usize = 255;

/// Returns a path as an error message shows it: control characters and bytes that are no UTF-8
/// are escaped.
pub(crate) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).chars().flat_map(escaped).collect()
}

fn escaped(c: char) -> Vec<char> {
    if c.is_control() { c.escape_default().collect() } else { vec![c] }
}

/// Returns the names of a path, without empty ones and `.`.
pub(crate) fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&b| b == b'/').filter(|name| !name.is_empty() && *name != b".")
}

/// Returns the path's folder and its last name.
pub(crate) fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = path.iter().rposition(|&b| b != b'/')? + 1;
    let start = path[..end].iter().rposition(|&b| b == b'/').map_or(0, |slash| slash + 1);
    Some((&path[..start], &path[start..end]))
}

/// Returns an error unless `name` may stand in a directory.
pub(super) fn check_name(name: &[u8]) -> Result<(), ExtError> {
    let wrong = name.is_empty()
        || name == b"."
        || name == b".."
        || name.len() > NAME_MAX
        || name.contains(&b'/')
        || name.contains(&0);
    if wrong { Err(ExtError::BadName { name: name.to_vec() }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_at_the_last_name() {
        for (path, folder, name) in [
            ("/etc/fstab", "/etc/", "fstab"),
            ("etc/x/", "etc/", "x"),
            ("x", "", "x"),
            ("//x//", "//", "x"),
        ] {
            assert_eq!(split(path.as_bytes()), Some((folder.as_bytes(), name.as_bytes())));
        }
        assert_eq!(split(b"/"), None);
        assert_eq!(split(b""), None);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in [&b""[..], b".", b"..", b"a/b", b"a\0", &[b'x'; 256]] {
            assert!(check_name(name).is_err());
        }
        assert!(check_name(&[b'x'; 255]).is_ok());
        assert_eq!(shown(b"a\nb\xff"), "a\\nb\u{fffd}");
    }
}
