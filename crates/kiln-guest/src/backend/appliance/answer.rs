// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the appliance answers, read: structures as guestfish prints them, one `name: value` a
//! line. The guest chooses none of the lines that are read here.

use kiln_host::tools::guestfish::number;

use crate::tree::{Attrs, Kind, Stat, Time};

/// Returns several structures, in their order: what is between `[0] = {` and `}`, `[1] = {` and
/// `}` and so on. `None` if the text is no such list.
///
/// A text of the guest's own that has such lines in it makes the list another, or none: what
/// comes of it is to be compared with what is known otherwise.
pub(super) fn structures(text: &[u8]) -> Option<Vec<&[u8]>> {
    let mut all = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        rest = rest.strip_prefix(format!("[{}] = {{\n", all.len()).as_bytes())?;
        let next = format!("}}\n[{}] = {{\n", all.len() + 1).into_bytes();
        let end = match find(rest, &next) {
            Some(at) => at,
            None => rest.strip_suffix(b"}\n")?.len(),
        };
        all.push(&rest[..end]);
        rest = &rest[end + 2..];
    }
    Some(all)
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    // The closing brace stands at a line's beginning.
    let mut from = 0;
    loop {
        let at = from + text[from..].iter().position(|b| *b == b'}')?;
        if text[at..].starts_with(wanted) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// Returns the names of a directory from a list of `struct guestfs_dirent`, sorted, without `.`
/// and `..`. `None` if it is no such list, or a name twice: names with line feeds can do that.
pub(super) fn names(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    let name = |entry: &&[u8]| {
        let rest = entry.strip_prefix(b"  ino: ")?;
        let rest = &rest[rest.iter().position(|b| *b == b'\n')? + 1..];
        let rest = rest.strip_prefix(b"  ftype: ")?.split_first()?.1;
        let name = rest.strip_prefix(b"\n  name: ")?.strip_suffix(b"\n")?;
        (!name.contains(&b'\n')).then(|| name.to_vec())
    };
    let mut names = structures(text)?.iter().map(name).collect::<Option<Vec<_>>>()?;
    names.retain(|name| name != b"." && name != b"..");
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    (names.len() == all).then_some(names)
}

/// An attribute's name, and its value as guestfish writes it.
pub(super) type Attribute<'a> = (&'a [u8], &'a [u8]);

/// Returns the attributes from a list of `struct guestfs_xattr`. `None` if it is no such list.
pub(super) fn attributes(text: &[u8]) -> Option<Vec<Attribute<'_>>> {
    structures(text)?.into_iter().map(attribute).collect()
}

fn attribute(entry: &[u8]) -> Option<Attribute<'_>> {
    let rest = entry.strip_prefix(b"  attrname: ")?.strip_suffix(b"\n")?;
    let end = rest.iter().position(|b| *b == b'\n')?;
    let value = rest[end..].strip_prefix(b"\n  attrval: ")?;
    (!value.contains(&b'\n')).then_some((&rest[..end], value))
}

/// Returns the attributes of several files, from what `lxattrlist` says: for each file one of no
/// name that has their number, and then they. `None` if it is no such list for `files` files.
pub(super) fn attributes_of(text: &[u8], files: usize) -> Option<Vec<Vec<Attribute<'_>>>> {
    let mut list = attributes(text)?.into_iter();
    let mut all = Vec::new();
    while let Some((name, count)) = list.next() {
        let count = count.strip_suffix(b"\\x00").unwrap_or(count);
        let count: usize = std::str::from_utf8(count).ok()?.parse().ok()?;
        let own: Vec<_> = list.by_ref().take(count).collect();
        let right = own.len() == count && own.iter().all(|(name, _)| !name.is_empty());
        all.push((name.is_empty() && right).then_some(own)?);
    }
    (all.len() == files).then_some(all)
}

/// Returns a value that guestfish wrote with `\x00` for what is not printable, if it can only be
/// one: a backslash stands for itself, too.
pub(super) fn plain((name, value): Attribute<'_>) -> Option<Vec<u8>> {
    if !value.windows(2).any(|two| two == b"\\x") {
        return Some(value.to_vec());
    }
    // A label ends with NUL.
    let label = value.strip_suffix(b"\\x00").filter(|_| name == b"security.selinux")?;
    (!label.contains(&b'\\')).then(|| [label, b"\0"].concat())
}

/// A `struct guestfs_statns`, with its file system's number as the appliance has it.
pub(super) fn stat(text: &[u8]) -> Option<(Stat, u64)> {
    let get = |name: &str| number(text, name);
    let mode = u32::try_from(get("st_mode")?).ok()?;
    let device = get("st_rdev")?.cast_unsigned();
    let attrs = Attrs {
        mode: mode & 0o7777,
        uid: u32::try_from(get("st_uid")?).ok()?,
        gid: u32::try_from(get("st_gid")?).ok()?,
        mtime: Time {
            seconds: get("st_mtime_sec")?,
            nanos: u32::try_from(get("st_mtime_nsec")?).ok()?,
        },
    };
    let stat = Stat {
        kind: kind(mode)?,
        attrs,
        size: u64::try_from(get("st_size")?).ok()?,
        links: u32::try_from(get("st_nlink")?).ok()?,
        device: devices(device),
        identity: (0, get("st_ino")?.cast_unsigned()),
    };
    // An inode that is none stands for a name that is not there: guestfs(3), lstatnslist.
    (get("st_ino")? != -1).then(|| Some((stat, get("st_dev")?.cast_unsigned()))).flatten()
}

fn kind(mode: u32) -> Option<Kind> {
    Some(match mode & 0o170_000 {
        0o010_000 => Kind::Fifo,
        0o020_000 => Kind::Char,
        0o040_000 => Kind::Directory,
        0o060_000 => Kind::Block,
        0o100_000 => Kind::File,
        0o120_000 => Kind::Symlink,
        0o140_000 => Kind::Socket,
        _ => return None,
    })
}

/// Returns major and minor number: `gnu_dev_major` and `gnu_dev_minor` of glibc.
fn devices(device: u64) -> (u32, u32) {
    let major = ((device >> 8) & 0xfff) | ((device >> 32) & 0xffff_f000);
    let minor = (device & 0xff) | ((device >> 12) & 0xffff_ff00);
    (u32::try_from(major).unwrap_or(0), u32::try_from(minor & 0xffff_ffff).unwrap_or(0))
}

/// Returns the lines of an answer of the form `left: right`.
pub(super) fn pairs(text: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(text);
    let pairs = text.lines().filter_map(|line| line.rsplit_once(": "));
    pairs.map(|(left, right)| (left.to_owned(), right.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "st_dev: 2049\nst_ino: 128\nst_mode: 16877\nst_nlink: 3\nst_uid: 1\n\
        st_gid: 2\nst_rdev: 0\nst_size: 24\nst_blksize: 4096\nst_blocks: 0\nst_atime_sec: 1\n\
        st_atime_nsec: 2\nst_mtime_sec: -5\nst_mtime_nsec: 7\nst_ctime_sec: 1\nst_ctime_nsec: 0\n\
        st_spare1: 0\n";

    #[test]
    fn a_stat_is_read() {
        let (stat, device) = super::stat(STAT.as_bytes()).unwrap();
        assert_eq!((stat.kind, stat.attrs.mode, stat.links), (Kind::Directory, 0o755, 3));
        assert_eq!(stat.attrs.mtime, Time { seconds: -5, nanos: 7 });
        assert_eq!((stat.identity, device), ((0, 128), 2049));
        let none = STAT.replace("st_ino: 128", "st_ino: -1");
        assert!(super::stat(none.as_bytes()).is_none());
        assert!(super::stat(b"nonsense").is_none());
    }

    #[test]
    fn lists_of_structures_are_taken_apart() {
        let all = structures(b"[0] = {\n  a: 1\n}\n[1] = {\n  a: 2\n}\n").unwrap();
        assert_eq!(all.iter().map(|s| number(s, "a")).collect::<Vec<_>>(), [Some(1), Some(2)]);
        assert_eq!(structures(b"").unwrap().len(), 0);
        for none in ["[0] = {\n", "[1] = {\n}\n", "x", "[0] = {\n}\n[1] = {\n}"] {
            assert!(structures(none.as_bytes()).is_none(), "{none}");
        }
    }

    #[test]
    fn names_of_a_directory_are_read_and_odd_ones_found_out() {
        let text = |names: &[&str]| {
            let entry =
                |(i, name)| format!("[{i}] = {{\n  ino: 7\n  ftype: r\n  name: {name}\n}}\n");
            names.iter().enumerate().map(entry).collect::<String>().into_bytes()
        };
        let all = super::names(&text(&[".", "b c", "..", "a}", " x "])).unwrap();
        assert_eq!(all, [&b" x "[..], b"a}", b"b c"]);
        assert!(super::names(&text(&["a", "a"])).is_none());
        assert!(super::names(&text(&["a\nb"])).is_none());
        let odd = "a\n}\n[1] = {\n  ino: 7\n  ftype: r\n  name: b";
        assert!(super::names(&text(&[odd, "c"])).is_none());
    }

    #[test]
    fn attributes_are_read_where_they_can_only_be_one() {
        let entry =
            |i, name, value| format!("[{i}] = {{\n  attrname: {name}\n  attrval: {value}\n}}\n");
        let text = [
            entry(0, "", "2\\x00"),
            entry(1, "security.selinux", "a:b:c\\x00"),
            entry(2, "user.x", "\\x01"),
            entry(3, "", "0\\x00"),
        ]
        .concat();
        let all = attributes_of(text.as_bytes(), 2).unwrap();
        assert_eq!(plain(all[0][0]).unwrap(), b"a:b:c\0");
        assert_eq!(plain(all[0][1]), None);
        assert_eq!(plain((b"user.y", b"C:\\dir")).unwrap(), b"C:\\dir");
        assert!(all[1].is_empty());
        assert!(attributes_of(text.as_bytes(), 1).is_none());
        assert!(attributes_of(entry(0, "", "1\\x00").as_bytes(), 1).is_none());
    }

    #[test]
    fn device_numbers_are_taken_apart() {
        assert_eq!(devices(0x0801), (8, 1));
        assert_eq!(devices(0x0010_0fff), (15, 0x1ff));
    }
}
