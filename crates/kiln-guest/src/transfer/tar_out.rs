// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A directory of a guest as a tar archive.
//!
//! Names in order of their bytes, owners as numbers, times to the nanosecond, extended
//! attributes, access control lists, hard links and devices; the same tree gives the same bytes.
//!
//! Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Header Block"; star(5) for
//! `SCHILY.*`; acl(5), "ACL TEXT FORMS"; for files with holes see `holes`.

use std::collections::HashMap;
use std::io::{self, Write};
use std::ops::Range;

use super::{TransferError, holes};
use crate::tree::{Attrs, GuestPath, Kind, Stat, Step, Time, Tree, TreeError, Xattrs, visit};

/// Bytes of a block, which everything in an archive is padded to.
const BLOCK: usize = 512;
/// Zeros at an archive's end: GNU tar's 10 KiB records need no padding by us.
const END: usize = 2 * BLOCK;
/// The largest numbers that ustar's fields of eight and of twelve bytes can hold.
const MOST_8: u64 = 0o777_7777;
const MOST_12: u64 = 0o777_7777_7777;

/// What an archive holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Archived {
    /// How many members.
    pub entries: u64,
    /// Bytes of contents.
    pub bytes: u64,
    /// How many sockets were left out: tar has no word for them.
    pub sockets: u64,
}

/// Writes the directory `dir` of a guest, and all below it, to `out` as a pax archive, with paths
/// that begin at `dir`: `./`, `./a`. Long runs of zeros are left out, as `tar --sparse` does. Files of
/// more than 4 MiB are read twice for that.
///
/// # Errors
///
/// [`TransferError::Archive`] if `out` fails; [`TransferError::Tree`].
pub fn tar_out(
    tree: &mut dyn Tree,
    dir: &GuestPath,
    out: &mut dyn Write,
) -> Result<Archived, TransferError> {
    tar_out_without(tree, dir, &|_| false, out)
}

/// Does what [`tar_out`] does, and leaves out what `skip` says, with all below it. `skip` gets a
/// path from `dir`, without `/` at either end; never that of `dir` itself.
///
/// # Errors
///
/// As [`tar_out`].
pub fn tar_out_without(
    tree: &mut dyn Tree,
    dir: &GuestPath,
    skip: &dyn Fn(&[u8]) -> bool,
    out: &mut dyn Write,
) -> Result<Archived, TransferError> {
    let mut done = Archived::default();
    let mut names: HashMap<(u32, u64), Vec<u8>> = HashMap::new();
    let mut failed = None;
    // Behind a link at the end, as `tar -C` would go.
    let top = dir.join(".");
    let top = match tree.stat(dir)? {
        Some(stat) if stat.kind == Kind::Directory => top,
        Some(_) => return Err(TreeError::NotADirectory { path: dir.clone() }.into()),
        None => return Err(TreeError::NotFound { path: dir.clone() }.into()),
    };
    let top = crate::tree::walk::real_path(tree, &top, true)?;
    visit(tree, &top, &mut |tree, found| {
        let rest = found.path.as_bytes().strip_prefix(top.as_bytes()).unwrap_or_default();
        let rest = rest.strip_prefix(b"/").unwrap_or(rest);
        if !rest.is_empty() && skip(rest) {
            return Ok(Step::Past);
        }
        let mut path = [b"./", rest].concat();
        if found.stat.kind == Kind::Directory && !rest.is_empty() {
            path.push(b'/');
        }
        let hard = found.stat.kind != Kind::Directory && found.stat.links > 1;
        let other = if hard { names.get(&found.stat.identity).cloned() } else { None };
        if hard && other.is_none() {
            names.insert(found.stat.identity, path.clone());
        }
        match member(tree, (&found.path, &found.stat), (path, other), out) {
            Ok(Some(bytes)) => {
                done.entries += 1;
                done.bytes += bytes;
                Ok(Step::In)
            }
            Ok(None) => {
                done.sockets += 1;
                Ok(Step::In)
            }
            Err(TransferError::Tree(error)) => Err(error),
            Err(error) => {
                failed = Some(error);
                Ok(Step::Stop)
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    out.write_all(&[0; END]).map_err(archive)?;
    out.flush().map_err(archive)?;
    Ok(done)
}

fn archive(source: io::Error) -> TransferError {
    TransferError::Archive { source }
}

/// Writes one member; returns how many bytes of contents it has, `None` if it cannot be one.
fn member(
    tree: &mut dyn Tree,
    (place, stat): (&GuestPath, &Stat),
    (path, other): (Vec<u8>, Option<Vec<u8>>),
    out: &mut dyn Write,
) -> Result<Option<u64>, TransferError> {
    let (kind, link) = match (&other, stat.kind) {
        (Some(name), _) => (b'1', name.clone()),
        (None, Kind::File) => (b'0', Vec::new()),
        (None, Kind::Symlink) => (b'2', tree.read_link(place)?),
        (None, Kind::Char) => (b'3', Vec::new()),
        (None, Kind::Block) => (b'4', Vec::new()),
        (None, Kind::Directory) => (b'5', Vec::new()),
        (None, Kind::Fifo) => (b'6', Vec::new()),
        (None, Kind::Socket) => return Ok(None),
    };
    let size = if kind == b'0' { stat.size } else { 0 };
    let xattrs = if other.is_some() { Xattrs::new() } else { tree.xattrs(place)? };
    let mut contents = Contents { tree, place, size, bytes: None };
    let ranges = if size >= holes::LEAST_FILE { contents.ranges()? } else { None };
    let map = ranges.as_deref().map(|ranges| holes::map(ranges, size));
    let data = match &ranges {
        Some(ranges) => ranges.iter().map(|range| range.end - range.start).sum(),
        None => size,
    };
    let mapped = map.as_ref().map_or(0, |map| u64::try_from(map.len()).expect("it is small"));
    let sparse = map.is_some().then_some(size);
    let member = Member { path, link, kind, size: mapped + data, sparse, stat };
    member.write(&xattrs, out).map_err(archive)?;
    if size == 0 {
        return Ok(Some(0));
    }
    match (&map, &ranges) {
        (Some(map), Some(ranges)) => {
            out.write_all(map).map_err(archive)?;
            contents.write(&mut holes::Data::new(ranges, out))?;
        }
        _ => contents.write(out)?,
    }
    let over = usize::try_from(data % 512).expect("less than a block");
    if over > 0 {
        out.write_all(&[0; BLOCK][over..]).map_err(archive)?;
    }
    Ok(Some(size))
}

/// The most bytes of a file that are held in memory, so that it is read once.
const MOST_HELD: u64 = 4 << 20;

/// The contents of a file.
struct Contents<'a> {
    tree: &'a mut dyn Tree,
    place: &'a GuestPath,
    size: u64,
    bytes: Option<Vec<u8>>,
}

impl Contents<'_> {
    /// Returns where there is data; `None` if there are no holes.
    fn ranges(&mut self) -> Result<Option<Vec<Range<u64>>>, TransferError> {
        let mut finder = holes::Finder::default();
        if self.size > MOST_HELD {
            self.write(&mut finder)?;
        } else {
            let mut bytes = Vec::new();
            self.write(&mut bytes)?;
            finder.write_all(&bytes).map_err(archive)?;
            self.bytes = Some(bytes);
        }
        Ok(finder.finish())
    }

    fn write(&mut self, out: &mut dyn Write) -> Result<(), TransferError> {
        if let Some(bytes) = self.bytes.take() {
            return out.write_all(&bytes).map_err(archive);
        }
        let written = match self.tree.copy_out(self.place, out) {
            Ok(written) => written,
            Err(TreeError::Output { source, .. }) => return Err(archive(source)),
            Err(error) => return Err(error.into()),
        };
        if written != self.size {
            let source = "it is shorter than it says".into();
            let path = self.place.clone();
            return Err(TreeError::Backend { what: "read", path, source }.into());
        }
        Ok(())
    }
}

/// Returns an archive of one empty file, or directory, that belongs to root and has these
/// extended attributes.
pub(crate) fn bearer(name: &[u8], folder: bool, xattrs: &Xattrs) -> io::Result<Vec<u8>> {
    let (kind, mode) = if folder { (Kind::Directory, 0o700) } else { (Kind::File, 0o600) };
    let attrs = Attrs { mode, uid: 0, gid: 0, mtime: Time { seconds: 0, nanos: 0 } };
    let stat = Stat { kind, attrs, size: 0, links: 1, device: (0, 0), identity: (0, 0) };
    let kind = if folder { b'5' } else { b'0' };
    let member =
        Member { path: name.to_vec(), link: Vec::new(), kind, size: 0, sparse: None, stat: &stat };
    let mut archive = Vec::new();
    member.write(xattrs, &mut archive)?;
    archive.extend([0; 2 * BLOCK]);
    Ok(archive)
}

struct Member<'a> {
    path: Vec<u8>,
    link: Vec<u8>,
    kind: u8,
    /// Bytes in the archive.
    size: u64,
    /// Bytes of the file, if its holes are left out.
    sparse: Option<u64>,
    stat: &'a Stat,
}

impl Member<'_> {
    fn write(&self, xattrs: &Xattrs, out: &mut dyn Write) -> io::Result<()> {
        let records = self.records(xattrs);
        if !records.is_empty() {
            let size = u64::try_from(records.len()).expect("a length fits 64 bits");
            out.write_all(&header(b"./PaxHeaders/entry", b'x', [0o644, 0, 0, size, 0], &[]))?;
            out.write_all(&records)?;
            let over = records.len() % BLOCK;
            if over > 0 {
                out.write_all(&[0; BLOCK][over..])?;
            }
        }
        let attrs = &self.stat.attrs;
        let seconds = u64::try_from(attrs.mtime.seconds).unwrap_or(0).min(MOST_12);
        let (uid, gid) = (u64::from(attrs.uid).min(MOST_8), u64::from(attrs.gid).min(MOST_8));
        let numbers = [u64::from(attrs.mode & 0o7777), uid, gid, self.size.min(MOST_12), seconds];
        // Who does not know of holes makes a file of this name, and none that is wrong.
        let name: &[u8] =
            if self.sparse.is_some() { b"./GNUSparseFile.0/entry" } else { &self.path };
        let mut block = header(name, self.kind, numbers, &self.link);
        if matches!(self.kind, b'3' | b'4') {
            octal(&mut block[329..337], u64::from(self.stat.device.0).min(MOST_8));
            octal(&mut block[337..345], u64::from(self.stat.device.1).min(MOST_8));
            checksum(&mut block);
        }
        out.write_all(&block)
    }

    /// Returns what does not fit ustar's header.
    fn records(&self, xattrs: &Xattrs) -> Vec<u8> {
        let mut all = Vec::new();
        let mut add = |key: &str, value: &[u8]| all.extend_from_slice(&record(key, value));
        if let Some(size) = self.sparse {
            add("GNU.sparse.major", b"1");
            add("GNU.sparse.minor", b"0");
            add("GNU.sparse.name", &self.path);
            add("GNU.sparse.realsize", size.to_string().as_bytes());
        } else if self.path.len() > 100 {
            add("path", &self.path);
        }
        if self.link.len() > 100 {
            add("linkpath", &self.link);
        }
        let attrs = &self.stat.attrs;
        let (seconds, nanos) = (attrs.mtime.seconds, attrs.mtime.nanos.min(999_999_999));
        if nanos > 0 || u64::try_from(seconds).is_ok_and(|s| s > MOST_12) {
            // A fraction counts away from zero: -1.5 is half a second before -1.
            let text = match (seconds, nanos) {
                (..0, 1..) => format!("-{}.{:09}", -(seconds + 1), 1_000_000_000 - nanos),
                _ => format!("{seconds}.{nanos:09}"),
            };
            add("mtime", text.as_bytes());
        } else if seconds < 0 {
            add("mtime", seconds.to_string().as_bytes());
        }
        for (key, id) in [("uid", attrs.uid), ("gid", attrs.gid)] {
            if u64::from(id) > MOST_8 {
                add(key, id.to_string().as_bytes());
            }
        }
        if self.size > MOST_12 {
            add("size", self.size.to_string().as_bytes());
        }
        let mut xattrs: Vec<_> = xattrs.iter().collect();
        xattrs.sort();
        for (name, value) in xattrs {
            let list = name.strip_prefix("system.posix_acl_");
            match list.and_then(|which| Some((which, acl_text(value)?))) {
                Some((which, text)) => add(&format!("SCHILY.acl.{which}"), text.as_bytes()),
                None => add(&format!("SCHILY.xattr.{name}"), value),
            }
        }
        all
    }
}

/// Returns one record of a pax header: its length in bytes, with its own digits.
fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut len = rest + 1;
    while rest + len.to_string().len() != len {
        len = rest + len.to_string().len();
    }
    [format!("{len} {key}=").as_bytes(), value, b"\n"].concat()
}

/// Returns a ustar header. `numbers` are mode, owner, group, size and time.
fn header(path: &[u8], kind: u8, numbers: [u64; 5], link: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let head = |name: &[u8]| name.len().min(100);
    block[..head(path)].copy_from_slice(&path[..head(path)]);
    let places = [100..108, 108..116, 116..124, 124..136, 136..148];
    for (place, number) in places.into_iter().zip(numbers) {
        octal(&mut block[place], number);
    }
    block[156] = kind;
    block[157..157 + head(link)].copy_from_slice(&link[..head(link)]);
    block[257..265].copy_from_slice(b"ustar\x0000");
    checksum(&mut block);
    block
}

fn checksum(block: &mut [u8; BLOCK]) {
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|&b| u64::from(b)).sum();
    octal(&mut block[148..155], sum);
}

/// Writes a number in octal digits, with a zero byte after them.
fn octal(field: &mut [u8], number: u64) {
    let digits = field.len() - 1;
    let text = format!("{number:0digits$o}");
    field[..digits].copy_from_slice(&text.as_bytes()[text.len() - digits..]);
    field[digits] = 0;
}

/// Returns an access control list as text with numbers for names; `None` if it is none.
fn acl_text(value: &[u8]) -> Option<String> {
    let entries = value.strip_prefix(&2_u32.to_le_bytes())?;
    let mut text = Vec::new();
    for entry in entries.chunks(8) {
        let entry: &[u8; 8] = entry.try_into().ok()?;
        let [tag, _, rights, _, id @ ..] = entry;
        let id = u32::from_le_bytes(*id);
        let who = match tag {
            0x01 => "user:".to_owned(),
            0x02 => format!("user:{id}"),
            0x04 => "group:".to_owned(),
            0x08 => format!("group:{id}"),
            0x10 => "mask:".to_owned(),
            0x20 => "other:".to_owned(),
            _ => return None,
        };
        let letter = |bit: u8, letter: char| if rights & bit != 0 { letter } else { '-' };
        text.push(format!("{who}:{}{}{}", letter(4, 'r'), letter(2, 'w'), letter(1, 'x')));
    }
    Some(text.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_count_their_own_digits() {
        // "10 path=x\n" would count right, too; Python's tarfile writes the shorter one.
        assert_eq!(record("path", b"x"), b"9 path=x\n");
        assert_eq!(record("a", b"bcd"), b"8 a=bcd\n");
        let long = record("key", &[b'v'; 992]);
        assert!(long.starts_with(b"1002 key=v") && long.len() == 1002);
        let longer = record("key", &[b'v'; 90]);
        assert_eq!(longer.len().to_string().as_bytes(), &longer[..2]);
    }

    #[test]
    fn lists_are_written_with_numbers() {
        let mut value = 2_u32.to_le_bytes().to_vec();
        let entries: [(u16, u16, u32); 4] =
            [(1, 6, u32::MAX), (2, 4, 1000), (0x10, 7, u32::MAX), (0x20, 0, u32::MAX)];
        for (tag, rights, id) in entries {
            value.extend_from_slice(&tag.to_le_bytes());
            value.extend_from_slice(&rights.to_le_bytes());
            value.extend_from_slice(&id.to_le_bytes());
        }
        assert_eq!(acl_text(&value).unwrap(), "user::rw-,user:1000:r--,mask::rwx,other::---");
        assert_eq!(acl_text(&value[..10]), None);
        assert_eq!(acl_text(b"x"), None);
    }
}
