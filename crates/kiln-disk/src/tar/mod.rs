// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A tar stream, read once from front to back: ustar, PAX and GNU's long names.
//!
//! Extended attributes and access control lists of PAX headers are kept to the byte, newlines
//! included. Holes that GNU tar or bsdtar cut out (`--sparse`) are read as zeros, or skipped.
//!
//! **Invariant:** whatever the bytes are, nothing here panics, no path of an [`Entry`] is
//! absolute or has `..`, and no header makes more than [`MOST_HEADER`] bytes of memory.
//!
//! Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Header Block"; GNU tar manual,
//! "Basic Tar Format"; star(5) for `SCHILY.*`. Sparse members: see `sparse`.

mod acl;
mod header;
mod pax;
mod sparse;

use std::io::{self, BufReader, Read};

pub use self::acl::AclError;
use self::header::{BLOCK, Block, Header};
use self::pax::Records;
use self::sparse::{Map, Next};
use crate::fs::ext::shown;

/// The most bytes of an extension header (PAX or long name): 1 MiB.
pub const MOST_HEADER: u64 = 1 << 20;
/// The most bytes of a path: `PATH_MAX` of Linux.
const MOST_PATH: usize = 4096;
/// The most bytes of one name of a path.
const MOST_NAME: usize = 255;
/// Bytes read from the stream at a time. What a file has more goes past the buffer, uncopied.
const BUFFER: usize = 16 << 10;

/// What a member of the archive is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file; its contents are read with [`Reader::read`].
    File,
    /// A directory.
    Directory,
    /// A symbolic link to this target, as it is written.
    Symlink(Vec<u8>),
    /// Another name of the member with this path.
    HardLink(Vec<u8>),
    /// A character device: major and minor number.
    Char(u32, u32),
    /// A block device: major and minor number.
    Block(u32, u32),
    /// A named pipe.
    Fifo,
}

/// One member of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path from the root, without `/` at either end and without `.`; empty for the root.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// The twelve bits of permission.
    pub mode: u32,
    /// User number of the owner.
    pub uid: u32,
    /// Group number.
    pub gid: u32,
    /// Time of the last change: seconds since 1970 and nanoseconds.
    pub mtime: (i64, u32),
    /// Bytes of a file's contents, holes included; 0 for anything else.
    pub size: u64,
    /// Extended attributes as setxattr(2) takes them, access control lists among them, sorted by
    /// name.
    pub xattrs: Vec<(String, Vec<u8>)>,
}

/// Why a tar stream could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TarError {
    /// The stream itself failed.
    #[error("could not read the tar stream")]
    Read {
        /// What it said.
        source: io::Error,
    },
    /// It ends before its end marker.
    #[error("the tar stream is cut off {}", after(path))]
    Truncated {
        /// The last member that was begun; empty if there was none.
        path: Vec<u8>,
    },
    /// What is to be a header is none: this is no tar archive, or it is damaged.
    #[error("{}", no_header(*at))]
    NotAHeader {
        /// Where the header begins.
        at: u64,
    },
    /// A header says something that cannot be.
    #[error("the tar header of `{}` is wrong: {what}", shown(path))]
    Malformed {
        /// The member's path, as far as it is known.
        path: Vec<u8>,
        /// What is wrong.
        what: &'static str,
    },
    /// A path leads out of the tree, or cannot be a path.
    #[error("the tar stream has the path `{}`, which {why}", shown(path))]
    BadPath {
        /// The path.
        path: Vec<u8>,
        /// Why it is refused.
        why: &'static str,
    },
    /// A member is of a kind that is not read here.
    #[error("`{}` in the tar stream is {what}, which kiln does not read", shown(path))]
    Unsupported {
        /// The member's path.
        path: Vec<u8>,
        /// What it is.
        what: String,
    },
    /// An access control list could not be read.
    #[error("`{}` in the tar stream has an access control list that cannot be kept", shown(path))]
    Acl {
        /// The member's path.
        path: Vec<u8>,
        /// What is wrong with it.
        source: AclError,
    },
}

fn after(path: &[u8]) -> String {
    if path.is_empty() {
        "at its beginning".into()
    } else {
        format!("in or after `{}`", shown(path))
    }
}

fn no_header(at: u64) -> String {
    if at == 0 {
        "the stream is no tar archive: it does not begin with a tar header".into()
    } else {
        format!("there is no tar header at byte {at} of the stream")
    }
}

/// Reads a tar archive from a stream.
#[derive(Debug)]
pub struct Reader<R> {
    from: BufReader<R>,
    /// Bytes read so far.
    at: u64,
    /// Bytes of the current member's contents that are not read yet.
    left: u64,
    /// Zeros after them.
    padding: u64,
    /// Where the current member's data lies, if holes were cut out of it.
    map: Option<Map>,
    global: Records,
    /// The current member's path, for errors.
    path: Vec<u8>,
    done: bool,
}

impl<R: Read> Reader<R> {
    /// Returns a reader of the archive that `from` begins with. It may read a little past the
    /// archive's end.
    pub fn new(from: R) -> Self {
        Self {
            from: BufReader::with_capacity(BUFFER, from),
            at: 0,
            left: 0,
            padding: 0,
            map: None,
            global: Records::default(),
            path: Vec::new(),
            done: false,
        }
    }

    /// Returns how many bytes of the current member's contents the stream still has: for one with
    /// holes those of its data.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.left
    }

    /// Returns how many bytes of the stream have been read.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.at
    }

    /// Returns the next member, or `None` at the end marker. What was not read of the current
    /// member is skipped.
    ///
    /// # Errors
    ///
    /// See [`TarError`]. After an error nothing more can be read.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        let mut records = Records::default();
        let (mut long_path, mut long_link) = (None, None);
        while !self.done {
            self.skip()?;
            let start = self.at;
            let mut block: Block = [0; BLOCK];
            self.exact(&mut block)?;
            if block.iter().all(|&b| b == 0) {
                self.done = true;
                break;
            }
            let header = Header::parse(&block).ok_or(TarError::NotAHeader { at: start })?;
            match header.kind {
                b'x' => records = self.records(&header, Records::default())?,
                b'g' => {
                    let before = std::mem::take(&mut self.global);
                    self.global = self.records(&header, before)?;
                }
                b'L' => long_path = Some(self.long(&header)?),
                b'K' => long_link = Some(self.long(&header)?),
                // A volume's label.
                b'V' => self.expect_data(header.size),
                _ => {
                    let mut all = self.global.clone();
                    all.extend(records);
                    let mut entry = self.member(&header, &all, (long_path, long_link))?;
                    self.find_holes(&block, &all, &mut entry)?;
                    return Ok(Some(entry));
                }
            }
        }
        Ok(None)
    }

    /// Reads what follows the end marker, up to `most` bytes, so that whoever writes the stream
    /// can end, and whoever checks it has seen all. Returns whether that was all.
    ///
    /// # Errors
    ///
    /// [`TarError::Read`].
    pub fn read_rest(&mut self, most: u64) -> Result<bool, TarError> {
        let sink = &mut io::sink();
        let read = io::copy(&mut self.from.by_ref().take(most), sink);
        let read = read.map_err(|source| TarError::Read { source })?;
        Ok(read < most)
    }

    /// Reads from the current member's contents, holes as zeros; 0 at their end.
    ///
    /// # Errors
    ///
    /// What the stream says; [`io::ErrorKind::UnexpectedEof`] if it is cut off.
    pub fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let next = self.map.as_ref().map_or(Next::Data(self.left), Map::next);
        let (Next::Hole(len) | Next::Data(len)) = next;
        let most = usize::try_from(len).map_or(buf.len(), |len| len.min(buf.len()));
        if matches!(next, Next::Hole(_)) {
            buf[..most].fill(0);
            self.advance(most);
            return Ok(most);
        }
        let got = self.from.read(&mut buf[..most])?;
        if got == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.count(got);
        self.advance(got);
        Ok(got)
    }

    /// Skips the hole that comes next in the current member, as far as it is whole units of
    /// `unit` bytes, and returns how many bytes that were: 0 if there is none.
    pub fn skip_hole(&mut self, unit: u64) -> u64 {
        let Some(map) = &mut self.map else { return 0 };
        let Next::Hole(len) = map.next() else { return 0 };
        let whole = len / unit.max(1) * unit.max(1);
        map.advance(whole);
        whole
    }

    fn advance(&mut self, len: usize) {
        let len = u64::try_from(len).expect("a read is shorter than 2^64 bytes");
        if let Some(map) = &mut self.map {
            map.advance(len);
        }
    }

    /// Returns the path of the current member, or of the last one that was begun.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    fn count(&mut self, got: usize) {
        let got = u64::try_from(got).expect("a read is shorter than 2^64 bytes");
        self.at += got;
        self.left = self.left.saturating_sub(got);
    }

    fn expect_data(&mut self, size: u64) {
        self.left = size;
        self.padding = (512 - size % 512) % 512;
    }

    fn failed(&self, source: io::Error) -> TarError {
        match source.kind() {
            io::ErrorKind::UnexpectedEof => TarError::Truncated { path: self.path.clone() },
            _ => TarError::Read { source },
        }
    }

    fn exact(&mut self, buf: &mut [u8]) -> Result<(), TarError> {
        if let Some((first, rest)) = buf.split_first_mut() {
            let read = self.from.read_exact(std::slice::from_mut(first));
            read.map_err(|source| self.failed(source))?;
            self.from.read_exact(rest).map_err(|source| match source.kind() {
                // Shorter than one header: no archive, rather than one that is cut off.
                io::ErrorKind::UnexpectedEof if self.at == 0 => TarError::NotAHeader { at: 0 },
                _ => self.failed(source),
            })?;
        }
        self.count(buf.len());
        Ok(())
    }

    /// Reads past the rest of the current member.
    fn skip(&mut self) -> Result<(), TarError> {
        let want = self.left.saturating_add(self.padding);
        let sink = &mut io::sink();
        let got = io::copy(&mut self.from.by_ref().take(want), sink)
            .map_err(|source| self.failed(source))?;
        if got < want {
            return Err(TarError::Truncated { path: self.path.clone() });
        }
        self.at += got;
        (self.left, self.padding, self.map) = (0, 0, None);
        Ok(())
    }

    /// Reads the contents of an extension header.
    fn extension(&mut self, header: &Header) -> Result<Vec<u8>, TarError> {
        let len = usize::try_from(header.size).ok().filter(|_| header.size <= MOST_HEADER);
        let Some(len) = len else {
            return Err(self.malformed("an extension header of more than 1 MiB"));
        };
        self.expect_data(header.size);
        let mut bytes = vec![0; len];
        self.exact(&mut bytes)?;
        Ok(bytes)
    }

    fn records(&mut self, header: &Header, before: Records) -> Result<Records, TarError> {
        let bytes = self.extension(header)?;
        before.with(&bytes).ok_or_else(|| self.malformed("a PAX record with a wrong length"))
    }

    fn long(&mut self, header: &Header) -> Result<Vec<u8>, TarError> {
        let mut name = self.extension(header)?;
        let end = name.iter().position(|&b| b == 0).unwrap_or(name.len());
        name.truncate(end);
        Ok(name)
    }

    fn malformed(&self, what: &'static str) -> TarError {
        TarError::Malformed { path: self.path.clone(), what }
    }

    /// Finds out where the data of a member lies, if holes were cut out of it. `entry` gets its
    /// real size.
    fn find_holes(
        &mut self,
        block: &Block,
        records: &Records,
        entry: &mut Entry,
    ) -> Result<(), TarError> {
        let old = block[156] == b'S';
        if entry.kind != EntryKind::File || !(old || records.is_sparse()) {
            return Ok(());
        }
        let wrong = || TarError::Malformed { path: entry.path.clone(), what: "its map of holes" };
        let (runs, size) = if old {
            (self.old_runs(block).ok_or_else(wrong)??, sparse::old_size(block).ok_or_else(wrong)?)
        } else {
            let told = sparse::told(records).ok_or_else(wrong)?;
            let runs = match told.runs {
                Some(runs) => runs,
                None => self.runs_before_data().transpose()?.ok_or_else(wrong)?,
            };
            (runs, told.size)
        };
        let map = Map::new(runs, size, self.left).ok_or_else(wrong)?;
        entry.size = map.size();
        self.map = Some(map);
        Ok(())
    }

    /// Reads the runs of a member of type `S`, of which more may come before its contents.
    fn old_runs(&mut self, header: &Block) -> Option<Result<Vec<(u64, u64)>, TarError>> {
        let mut runs = Vec::new();
        let mut more = sparse::old(header, sparse::IN_HEADER, &mut runs)?;
        while more {
            // These blocks do not count as contents.
            let left = self.left;
            let mut block: Block = [0; BLOCK];
            if let Err(error) = self.exact(&mut block) {
                return Some(Err(error));
            }
            self.left = left;
            more = sparse::old(&block, sparse::IN_BLOCK, &mut runs)?;
        }
        Some(Ok(runs))
    }

    /// Reads the runs of PAX 1.0, which count as contents.
    fn runs_before_data(&mut self) -> Option<Result<Vec<(u64, u64)>, TarError>> {
        let mut lines = sparse::Lines::default();
        loop {
            let mut block: Block = [0; BLOCK];
            if self.left < 512 {
                return None;
            }
            if let Err(error) = self.exact(&mut block) {
                return Some(Err(error));
            }
            if !lines.take(&block)? {
                return lines.runs().map(Ok);
            }
        }
    }

    fn member(
        &mut self,
        header: &Header,
        records: &Records,
        long: (Option<Vec<u8>>, Option<Vec<u8>>),
    ) -> Result<Entry, TarError> {
        let real = if records.is_sparse() { records.get("GNU.sparse.name") } else { None };
        let given = real.or(records.get("path")).map(<[u8]>::to_vec).or(long.0);
        let given = given.unwrap_or_else(|| header.path.clone());
        let slash = given.ends_with(b"/");
        let path = tree_path(&given)?;
        path.clone_into(&mut self.path);
        let wrong = |what| TarError::Malformed { path: path.clone(), what };
        let size = records.number("size", header.size).ok_or_else(|| wrong("its size"))?;
        let link = records.get("linkpath").map(<[u8]>::to_vec).or(long.1);
        let link = link.unwrap_or_else(|| header.link.clone());
        let kind = kind_of(header, &path, (link, slash))?;
        // Contents follow a file only; a hard link's size is that of its target, or contents in
        // archives of pax, which Linux's tools do not write.
        let size = if kind == EntryKind::File { size } else { 0 };
        self.expect_data(size);
        let id = |key, own: u64| {
            let id = records.number(key, own).and_then(|id| u32::try_from(id).ok());
            id.ok_or_else(|| wrong("its owner"))
        };
        let mtime = records.time("mtime", header.mtime).ok_or_else(|| wrong("its time"))?;
        let (uid, gid) = (id("uid", header.uid)?, id("gid", header.gid)?);
        let xattrs = records.xattrs();
        let xattrs = xattrs.map_err(|source| TarError::Acl { path: path.clone(), source })?;
        Ok(Entry { path, kind, mode: header.mode, uid, gid, mtime, size, xattrs })
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Reader::read(self, buf)
    }
}

/// Returns what a header's type and its link (and whether its path ends in a slash) make it.
fn kind_of(
    header: &Header,
    path: &[u8],
    (link, slash): (Vec<u8>, bool),
) -> Result<EntryKind, TarError> {
    let (major, minor) = header.device;
    match header.kind {
        // A directory in archives from before 1988.
        b'0' | 0 if slash => Ok(EntryKind::Directory),
        b'0' | b'7' | b'S' | 0 => Ok(EntryKind::File),
        b'1' => tree_path(&link).map(EntryKind::HardLink),
        b'2' if link.is_empty() || link.len() >= MOST_PATH || link.contains(&0) => {
            let what = "the target of its symbolic link";
            Err(TarError::Malformed { path: path.to_vec(), what })
        }
        b'2' => Ok(EntryKind::Symlink(link)),
        b'3' => Ok(EntryKind::Char(major, minor)),
        b'4' => Ok(EntryKind::Block(major, minor)),
        b'5' => Ok(EntryKind::Directory),
        b'6' => Ok(EntryKind::Fifo),
        other => {
            let what = format!("a member of type `{}`", char::from(other).escape_default());
            Err(TarError::Unsupported { path: path.to_vec(), what })
        }
    }
}

/// Returns a path of the archive as one from the tree's root.
fn tree_path(path: &[u8]) -> Result<Vec<u8>, TarError> {
    let bad = |why| TarError::BadPath { path: path.to_vec(), why };
    if path.contains(&0) {
        return Err(bad("has a zero byte"));
    }
    let mut clean = Vec::with_capacity(path.len());
    for name in path.split(|&b| b == b'/').filter(|name| !name.is_empty() && *name != b".") {
        if name == b".." {
            return Err(bad("leads out of its tree"));
        }
        if name.len() > MOST_NAME {
            return Err(bad("has a name of more than 255 bytes"));
        }
        if !clean.is_empty() {
            clean.push(b'/');
        }
        clean.extend_from_slice(name);
    }
    if clean.len() >= MOST_PATH { Err(bad("is longer than 4095 bytes")) } else { Ok(clean) }
}

#[cfg(test)]
mod tests;
