// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reads an overlay's upper folder, which is what a program changed, and hands it on.
//!
//! Source: Documentation/filesystems/overlayfs.rst of Linux (whiteouts, opaque directories,
//! `userxattr`). No process of the program lives any more, so nothing changes meanwhile.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, lgetxattr, llistxattr};
use rustix::io::Errno;

use super::change::{Change, ChangeKind};
use super::wire::{Message, Wire};
use super::{SpaceError, change};
use crate::read::Holes;

/// Attributes with this prefix are the overlay's own.
const OWN: &str = "user.overlay.";
/// On a directory that hides what is below it: `y`.
const OPAQUE: &str = "user.overlay.opaque";
/// On a file that was copied up from below, not made anew.
const ORIGIN: &str = "user.overlay.origin";
/// On a file that stands for nothing (instead of device 0, 0).
const WHITEOUT: &str = "user.overlay.whiteout";
/// Bytes of a file that go over at once.
const CHUNK: usize = 256 << 10;
/// What `st_blocks` counts in: stat(2).
const BLOCK: u64 = 512;
/// The most bytes of a path: beyond `PATH_MAX` no program of the guest can name it.
const MOST_PATH: usize = 4000;
/// The most bytes of an attribute's value, and of a list of names: xattr(7).
const MOST_XATTR: usize = 65536;

/// Sends all changes in `upper`, and then that these were all.
pub(super) fn send(upper: &Path, wire: &mut Wire) -> Result<(), SpaceError> {
    let mut names = HashMap::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(place) = todo.pop() {
        let path = upper.join(&place);
        let failed = |e| SpaceError::System {
            what: format!("read the guest's changes at `{}`", shown(&place)),
            source: e,
        };
        if place.as_os_str().len() > MOST_PATH {
            return Err(failed(Errno::NAMETOOLONG.into()));
        }
        let meta = fs::symlink_metadata(&path).map_err(failed)?;
        let xattrs = xattrs(&path).map_err(failed)?;
        let mut change = change(&place, &path, &meta, &xattrs).map_err(failed)?;
        if let ChangeKind::File { .. } = change.kind
            && meta.nlink() > 1
            && let Some(first) = names.get(&meta.ino())
        {
            change.kind = ChangeKind::Link { to: Vec::clone(first) };
        }
        let contents = match change.kind {
            ChangeKind::File { size, .. } => {
                names.insert(meta.ino(), change.path.clone());
                Some(size)
            }
            _ => None,
        };
        wire.send(&Message::Change(Box::new(change))).map_err(failed)?;
        if let Some(size) = contents {
            let flags = OFlags::NOFOLLOW.bits().cast_signed();
            let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(&path);
            file.and_then(|file| pour(file, (size, meta.blocks()), wire)).map_err(failed)?;
        }
        if meta.is_dir() {
            let mut below: Vec<_> = fs::read_dir(&path)
                .and_then(|dir| {
                    dir.map(|entry| Ok(place.join(entry?.file_name()))).collect::<io::Result<_>>()
                })
                .map_err(failed)?;
            sort(&mut below);
            todo.append(&mut below);
        }
    }
    wire.send(&Message::Done).map_err(SpaceError::system("speak"))
}

/// The last is looked at first.
fn sort(below: &mut [PathBuf]) {
    below.sort_unstable_by(|a, b| b.cmp(a));
}

fn shown(place: &Path) -> String {
    place.as_os_str().as_bytes().escape_ascii().to_string()
}

/// Returns the change that a place of the upper folder stands for.
fn change(
    place: &Path,
    path: &Path,
    meta: &Metadata,
    xattrs: &[(String, Vec<u8>)],
) -> io::Result<Change> {
    let has = |name: &str| xattrs.iter().any(|(n, _)| n == name);
    let kind = meta.file_type();
    let gone = (kind.is_char_device() && meta.rdev() == 0) || (kind.is_file() && has(WHITEOUT));
    let kind = if gone {
        ChangeKind::Gone
    } else if kind.is_dir() {
        let emptied = xattrs.iter().any(|(n, value)| n == OPAQUE && value == b"y");
        ChangeKind::Directory { emptied }
    } else if kind.is_symlink() {
        ChangeKind::Symlink { target: fs::read_link(path)?.as_os_str().as_bytes().to_vec() }
    } else if kind.is_fifo() {
        ChangeKind::Fifo
    } else if kind.is_socket() {
        ChangeKind::Socket
    } else if kind.is_file() {
        ChangeKind::File { size: meta.size(), kept: has(ORIGIN) }
    } else {
        // The user namespace has no right to make devices.
        return Err(Errno::PERM.into());
    };
    let theirs = xattrs.iter().filter(|(name, _)| !name.starts_with(OWN)).cloned().collect();
    let mut full = b"/".to_vec();
    full.extend_from_slice(place.as_os_str().as_bytes());
    Ok(change::Change {
        path: full,
        kind,
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        mtime: (meta.mtime(), u32::try_from(meta.mtime_nsec()).unwrap_or(0)),
        xattrs: theirs,
    })
}

fn xattrs(path: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut list = vec![0; MOST_XATTR];
    let length = match llistxattr(path, &mut list[..]) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        Err(errno) => return Err(errno.into()),
    };
    let mut found = Vec::new();
    let mut value = vec![0; MOST_XATTR];
    for name in list[..length].split(|b| *b == 0).filter(|name| !name.is_empty()) {
        let length = lgetxattr(path, OsStr::from_bytes(name), &mut value[..])?;
        if let Ok(name) = std::str::from_utf8(name) {
            found.push((name.to_owned(), value[..length].to_vec()));
        }
    }
    Ok(found)
}

/// Sends a file's contents: pieces of a length of a hole (8 bytes), a length of bytes (4), and
/// those; the last piece has no bytes. What is no hole goes over as bytes, zeros too: a swap file
/// that the program made must have no holes.
fn pour(mut file: File, (size, blocks): (u64, u64), wire: &mut Wire) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    // Places that are set aside but not written (fallocate) look like holes to lseek(2).
    let full = blocks.saturating_mul(BLOCK) >= size;
    let mut at = 0;
    loop {
        let data = match rustix::fs::seek(&file, rustix::fs::SeekFrom::Data(at)) {
            _ if full => at,
            Ok(data) => data.min(size),
            Err(Errno::NXIO) => size,
            Err(_) => at,
        };
        let end = match rustix::fs::seek(&file, rustix::fs::SeekFrom::Hole(data)) {
            _ if full => size,
            Ok(hole) if hole > data => hole.min(size),
            _ => size,
        };
        let most = usize::try_from(end - data).unwrap_or(CHUNK).min(CHUNK);
        file.seek(SeekFrom::Start(data))?;
        let length = if most == 0 { 0 } else { file.read(&mut buffer[..most])? };
        // A file that ends early has zeros there.
        let skipped = if length == 0 { size - at } else { data - at };
        wire.write_all(&skipped.to_le_bytes())?;
        wire.write_all(&u32::try_from(length).map_err(io::Error::other)?.to_le_bytes())?;
        wire.write_all(&buffer[..length])?;
        if length == 0 {
            return Ok(());
        }
        at = data + u64::try_from(length).map_err(io::Error::other)?;
    }
}

/// A file's contents as they come over the wire.
pub(super) struct Contents<'a> {
    wire: &'a mut Wire,
    zeros: u64,
    bytes: u64,
    ended: bool,
}

impl<'a> Contents<'a> {
    pub(super) fn new(wire: &'a mut Wire) -> Self {
        Self { wire, zeros: 0, bytes: 0, ended: false }
    }

    /// Reads what comes next: a hole, bytes or the end.
    fn next(&mut self) -> io::Result<()> {
        while self.zeros == 0 && self.bytes == 0 && !self.ended {
            let mut head = [0; 12];
            self.wire.read_exact(&mut head)?;
            let (zeros, bytes) = head.split_at(8);
            self.zeros = u64::from_le_bytes(zeros.try_into().map_err(io::Error::other)?);
            self.bytes = u32::from_le_bytes(bytes.try_into().map_err(io::Error::other)?).into();
            self.ended = self.bytes == 0;
        }
        Ok(())
    }

    /// Reads to the end what nobody wanted.
    pub(super) fn finish(mut self) -> io::Result<()> {
        while !self.ended || self.bytes > 0 {
            self.zeros = 0;
            io::copy(&mut self.by_ref().take(1 << 20), &mut io::sink())?;
        }
        Ok(())
    }
}

impl Read for Contents<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.next()?;
        let from = if self.zeros > 0 { &mut self.zeros } else { &mut self.bytes };
        let most = usize::try_from(*from).unwrap_or(usize::MAX).min(buf.len());
        let done = u64::try_from(most).map_err(io::Error::other)?;
        if self.zeros > 0 {
            buf[..most].fill(0);
            self.zeros -= done;
        } else {
            self.wire.read_exact(&mut buf[..most])?;
            self.bytes -= done;
        }
        Ok(most)
    }
}

impl Holes for Contents<'_> {
    // A wire that fails here fails again when it is read.
    fn skip_hole(&mut self, unit: u64) -> u64 {
        self.next().ok();
        let whole = self.zeros - self.zeros % unit.max(1);
        self.zeros -= whole;
        whole
    }

    fn before_hole(&mut self) -> Option<u64> {
        self.next().ok();
        Some(if self.zeros > 0 { 0 } else { self.bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    /// What is zeros and no hole stays apart from a hole, also between two holes.
    #[test]
    fn zeros_that_were_written_are_no_hole() {
        let mut file = tempfile::tempfile().unwrap();
        file.seek(SeekFrom::Start(1 << 20)).unwrap();
        file.write_all(&[0; 8192]).unwrap();
        file.set_len(3 << 20).unwrap();
        let (a, b) = UnixStream::pair().unwrap();
        let sender =
            std::thread::spawn(move || pour(file, (3 << 20, 0), &mut Wire::new(a)).unwrap());
        let mut wire = Wire::new(b);
        let mut contents = Contents::new(&mut wire);
        assert_eq!(contents.before_hole(), Some(0));
        assert_eq!(contents.skip_hole(4096), 1 << 20);
        assert_eq!(contents.before_hole(), Some(8192));
        let mut bytes = [1; 8192];
        contents.read_exact(&mut bytes).unwrap();
        assert!(bytes == [0; 8192]);
        assert_eq!(contents.skip_hole(4096), (2 << 20) - 8192);
        assert_eq!((contents.skip_hole(4096), contents.before_hole()), (0, Some(0)));
        contents.finish().unwrap();
        sender.join().unwrap();
    }

    #[test]
    fn contents_come_over_with_their_holes() {
        let mut file = tempfile::tempfile().unwrap();
        file.seek(SeekFrom::Start(1 << 20)).unwrap();
        file.write_all(b"hello").unwrap();
        file.set_len(3 << 20).unwrap();
        let (a, b) = UnixStream::pair().unwrap();
        let sender =
            std::thread::spawn(move || pour(file, (3 << 20, 0), &mut Wire::new(a)).unwrap());
        let mut wire = Wire::new(b);
        let mut all = Vec::new();
        Contents::new(&mut wire).read_to_end(&mut all).unwrap();
        sender.join().unwrap();
        let mut wanted = vec![0; 3 << 20];
        wanted[1 << 20..][..5].copy_from_slice(b"hello");
        assert!(all == wanted);
    }
}
