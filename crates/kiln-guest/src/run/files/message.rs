// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Requests and answers of the FUSE protocol as bytes, for a tree that is only read.
//!
//! Source: `include/uapi/linux/fuse.h` of Linux, version 7.31 and later ones, which answer to it.

use super::Attributes;

/// Bytes of `struct fuse_in_header`.
const IN_HEADER: usize = 40;
/// Version of the protocol that is spoken here.
const MAJOR: u32 = 7;
const MINOR: u32 = 31;
/// Lower versions have other layouts: 7.23 is Linux 3.15.
const OLDEST: u32 = 23;
/// How long the kernel may keep what it was told, in seconds: for the whole run.
const FOREVER: u64 = 1 << 30;

pub(super) const LOOKUP: u32 = 1;
pub(super) const FORGET: u32 = 2;
pub(super) const GETATTR: u32 = 3;
pub(super) const READLINK: u32 = 5;
pub(super) const OPEN: u32 = 14;
pub(super) const READ: u32 = 15;
pub(super) const STATFS: u32 = 17;
pub(super) const RELEASE: u32 = 18;
pub(super) const GETXATTR: u32 = 22;
pub(super) const LISTXATTR: u32 = 23;
pub(super) const FLUSH: u32 = 25;
pub(super) const INIT: u32 = 26;
pub(super) const OPENDIR: u32 = 27;
pub(super) const READDIR: u32 = 28;
pub(super) const RELEASEDIR: u32 = 29;
pub(super) const INTERRUPT: u32 = 36;
pub(super) const DESTROY: u32 = 38;
pub(super) const BATCH_FORGET: u32 = 42;
pub(super) const LSEEK: u32 = 46;

pub(super) const ENOENT: i32 = 2;
pub(super) const EIO: i32 = 5;
pub(super) const ENXIO: i32 = 6;
pub(super) const ENOTDIR: i32 = 20;
pub(super) const EINVAL: i32 = 22;
pub(super) const EFBIG: i32 = 27;
pub(super) const EROFS: i32 = 30;
pub(super) const ERANGE: i32 = 34;
pub(super) const ENOSYS: i32 = 38;
pub(super) const ELOOP: i32 = 40;
pub(super) const ENODATA: i32 = 61;

/// What [`LSEEK`] asks for: lseek(2). The kernel knows the other places of a file itself.
pub(super) const SEEK_DATA: u32 = 3;
pub(super) const SEEK_HOLE: u32 = 4;

/// `FUSE_ASYNC_READ`, `FUSE_PARALLEL_DIROPS`, `FUSE_POSIX_ACL`, `FUSE_MAX_PAGES`,
/// `FUSE_CACHE_SYMLINKS`.
const FLAGS: u32 = 1 | 1 << 18 | 1 << 20 | 1 << 22 | 1 << 23;
/// `FOPEN_KEEP_CACHE`, and for directories `FOPEN_CACHE_DIR`.
const KEEP: u32 = 1 << 1 | 1 << 3;
/// Pages of the largest read: 1 MiB.
const PAGES: u16 = 256;

/// A request.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) opcode: u32,
    pub(super) unique: u64,
    pub(super) node: u64,
    pub(super) body: &'a [u8],
}

impl<'a> Request<'a> {
    /// Reads a request's head; `None` if it is too short to be one.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let body = bytes.get(IN_HEADER..)?;
        Some(Self {
            opcode: u32_at(bytes, 4)?,
            unique: u64_at(bytes, 8)?,
            node: u64_at(bytes, 16)?,
            body,
        })
    }

    /// Returns the name in the body, from byte `at` on to its NUL.
    pub(super) fn name(&self, at: usize) -> Option<&'a [u8]> {
        let rest = self.body.get(at..)?;
        rest.split(|b| *b == 0).next()
    }

    /// Returns offset and size of a read.
    pub(super) fn range(&self) -> Option<(u64, u32)> {
        Some((u64_at(self.body, 8)?, u32_at(self.body, 16)?))
    }

    /// Returns from where on the next data or hole is looked for, and which of them.
    pub(super) fn seek(&self) -> Option<(u64, u32)> {
        self.range()
    }

    /// Returns how many bytes of attributes are wanted.
    pub(super) fn wanted(&self) -> Option<u32> {
        u32_at(self.body, 0)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// An answer: an error's number, or bytes.
pub(super) type Answer = Result<Vec<u8>, i32>;

/// Returns an answer with its head.
pub(super) fn framed(unique: u64, answer: Answer) -> Vec<u8> {
    let (error, body) = match answer {
        Ok(body) => (0, body),
        Err(number) => (-number, Vec::new()),
    };
    let length = u32::try_from(16 + body.len()).expect("an answer has at most a few MiB");
    let mut bytes = Vec::with_capacity(16 + body.len());
    bytes.extend(length.to_le_bytes());
    bytes.extend(error.to_le_bytes());
    bytes.extend(unique.to_le_bytes());
    bytes.extend(body);
    bytes
}

/// Answers the first request, which agrees on version and abilities.
pub(super) fn init(body: &[u8]) -> Answer {
    let (major, minor) = (u32_at(body, 0).ok_or(EINVAL)?, u32_at(body, 4).ok_or(EINVAL)?);
    if major < MAJOR || (major == MAJOR && minor < OLDEST) {
        return Err(71); // EPROTO
    }
    let mut out = Vec::with_capacity(64);
    out.extend(MAJOR.to_le_bytes());
    out.extend(MINOR.to_le_bytes());
    out.extend(u32_at(body, 8).ok_or(EINVAL)?.to_le_bytes());
    out.extend((u32_at(body, 12).ok_or(EINVAL)? & FLAGS).to_le_bytes());
    // max_background, congestion_threshold; max_write, time_gran.
    out.extend([16, 0, 12, 0]);
    out.extend(4096_u32.to_le_bytes());
    out.extend(1_u32.to_le_bytes());
    out.extend(PAGES.to_le_bytes());
    out.resize(64, 0);
    Ok(out)
}

/// `struct fuse_entry_out`; without attributes it says that there is nothing.
pub(super) fn entry(node: u64, attributes: Option<&Attributes>) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    for word in [node, 0, FOREVER, FOREVER, 0] {
        out.extend(word.to_le_bytes());
    }
    match attributes {
        Some(attributes) => put(&mut out, node, attributes),
        None => out.resize(128, 0),
    }
    out
}

/// `struct fuse_attr_out`.
pub(super) fn attr(node: u64, attributes: &Attributes) -> Vec<u8> {
    let mut out = Vec::with_capacity(104);
    out.extend(FOREVER.to_le_bytes());
    out.extend(0_u64.to_le_bytes());
    put(&mut out, node, attributes);
    out
}

/// `struct fuse_attr`.
fn put(out: &mut Vec<u8>, node: u64, a: &Attributes) {
    let seconds = a.mtime.seconds.cast_unsigned();
    for word in [node, a.size, a.data.div_ceil(512), seconds, seconds, seconds] {
        out.extend(word.to_le_bytes());
    }
    let nanos = a.mtime.nanos;
    for word in [nanos, nanos, nanos, a.mode, a.links, a.uid, a.gid, a.device, 4096, 0] {
        out.extend(word.to_le_bytes());
    }
}

/// `struct fuse_open_out`.
pub(super) fn opened() -> Vec<u8> {
    let mut out = vec![0; 8];
    out.extend(KEEP.to_le_bytes());
    out.resize(16, 0);
    out
}

/// `struct fuse_lseek_out`.
pub(super) fn place(offset: u64) -> Vec<u8> {
    offset.to_le_bytes().to_vec()
}

/// Appends a `struct fuse_dirent` if it fits into `most` bytes; returns whether it did.
pub(super) fn dirent(out: &mut Vec<u8>, most: usize, next: u64, kind: u32, name: &[u8]) -> bool {
    let length = (24 + name.len()).next_multiple_of(8);
    let Ok(bytes) = u32::try_from(name.len()) else { return false };
    if out.len() + length > most {
        return false;
    }
    let end = out.len() + length;
    // The inode number is told when the name is looked up; 0 would hide the name.
    out.extend(u64::MAX.to_le_bytes());
    out.extend(next.to_le_bytes());
    out.extend(bytes.to_le_bytes());
    out.extend(kind.to_le_bytes());
    out.extend(name);
    out.resize(end, 0);
    true
}

/// Answers a request for an attribute's value or a list of names.
pub(super) fn xattr(wanted: u32, value: &[u8]) -> Answer {
    let length = u32::try_from(value.len()).map_err(|_| ERANGE)?;
    if wanted == 0 {
        return Ok([length.to_le_bytes(), [0; 4]].concat());
    }
    if length > wanted { Err(ERANGE) } else { Ok(value.to_vec()) }
}

/// `struct fuse_kstatfs` of a file system with `blocks` blocks of 4 KiB.
pub(super) fn statfs(blocks: u64, free: u64, inodes: u64, free_inodes: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(80);
    for word in [blocks, free, free, inodes, free_inodes] {
        out.extend(word.to_le_bytes());
    }
    for word in [4096_u32, 255, 4096, 0] {
        out.extend(word.to_le_bytes());
    }
    out.resize(80, 0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_the_sizes_of_the_protocol() {
        let attributes = Attributes::default();
        assert_eq!(entry(2, Some(&attributes)).len(), 128);
        assert_eq!(entry(0, None).len(), 128);
        assert_eq!(attr(2, &attributes).len(), 104);
        assert_eq!(opened().len(), 16);
        assert_eq!(place(1).len(), 8);
        assert_eq!(statfs(1, 1, 1, 1).len(), 80);
        let mut body = vec![0; 64];
        body[0] = 7;
        body[4] = 38;
        assert_eq!(init(&body).unwrap().len(), 64);
        body[4] = 8;
        assert!(init(&body).is_err());
    }

    #[test]
    fn a_full_buffer_takes_no_more_names() {
        let mut out = Vec::new();
        assert!(dirent(&mut out, 64, 1, 8, b"abc") && out.len() == 32);
        assert!(dirent(&mut out, 64, 2, 8, b"abcdefgh") && out.len() == 64);
        assert!(!dirent(&mut out, 64, 3, 8, b"a") && out.len() == 64);
    }

    #[test]
    fn what_is_no_request_is_no_request() {
        assert!(Request::parse(&[0; 39]).is_none());
        let request = Request::parse(&[0; 40]).unwrap();
        assert!(request.range().is_none() && request.wanted().is_none());
    }
}
