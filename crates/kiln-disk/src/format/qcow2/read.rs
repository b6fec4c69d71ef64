// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A qcow2 file as a device that is only read.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use flate2::{Decompress, FlushDecompress};

use super::super::{FormatError, probe};
use super::check::{COMPRESSED, OFFSET};
use super::{Compression, Qcow2Info};
use crate::device::{Device, Extent, len64, within};

/// The bytes of L2 tables that are kept, at least one table.
const KEPT_TABLES: u64 = 4 << 20;

/// How far a zstd frame may look back at most, as a power of two: 8 MiB. QEMU's level needs 2 MiB.
const MOST_WINDOW_BITS: u32 = 23;

/// Set in an L2 entry whose cluster reads as zeros. Version 3, no parts.
pub(super) const ZERO: u64 = 1;

/// How many parts a cluster has with extended L2 entries.
pub(super) const PARTS: u64 = 32;

/// The most pieces that one call of [`Device::extent`] puts together.
const MOST_PIECES: usize = 4096;

/// A qcow2 file, read in process.
///
/// Keeps one L1 table (32 MiB at most), some MiB of L2 tables and one unpacked cluster. Writing
/// fails with [`ErrorKind::ReadOnlyFilesystem`].
pub struct Qcow2File {
    file: File,
    info: Qcow2Info,
    file_size: u64,
    /// What has what this file does not.
    backing: Option<Box<dyn Device>>,
    l1: Vec<u64>,
    /// L2 tables by where they are in the file, the last used at the end.
    l2: Vec<(u64, Vec<u64>)>,
    /// The last cluster that was unpacked, by its L2 entry.
    unpacked: Option<(u64, Vec<u8>)>,
}

impl fmt::Debug for Qcow2File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Qcow2File").field("info", &self.info).finish_non_exhaustive()
    }
}

/// Where the bytes of a piece of the disk are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Nowhere: they are zeros.
    Zeros,
    /// In the backing file, or zeros if there is none.
    Below,
    /// In the file, from this byte on.
    At(u64),
    /// In the compressed cluster of this entry.
    Packed(u64),
}

impl Qcow2File {
    /// Opens the disk in `file`, which needs no other file. `name` is what errors call it.
    ///
    /// # Errors
    ///
    /// - As [`probe`] and [`super::super::ImageInfo::check_self_contained`].
    /// - [`FormatError::Unsupported`] if it is a raw image, too.
    pub fn open(mut file: File, name: &str) -> Result<Self, FormatError> {
        let found = probe(&mut file, name)?;
        found.check_self_contained(name)?;
        let Some(info) = found.qcow2().cloned() else {
            let hint = format!("qemu-img convert -f raw -O qcow2 {name} image.qcow2");
            return Err(FormatError::Unsupported {
                name: name.to_owned(),
                what: "a raw image",
                hint,
            });
        };
        Self::with_backing(file, name, info, None)
    }

    /// Opens the disk in `file`, whose header is `info`, with what its backing file holds.
    ///
    /// # Errors
    ///
    /// - [`FormatError::DataFile`] or [`FormatError::Encrypted`] if it cannot be read here.
    /// - [`FormatError::Io`] if it cannot be read.
    pub(crate) fn with_backing(
        file: File,
        name: &str,
        info: Qcow2Info,
        backing: Option<Box<dyn Device>>,
    ) -> Result<Self, FormatError> {
        info.check_readable(name)?;
        let (at, count) = (info.tables.l1_at, info.tables.l1_entries);
        let size = (&file).seek(SeekFrom::End(0));
        let l1 = size.and_then(|size| Ok((read_numbers(&file, at, count)?, size)));
        let (l1, file_size) =
            l1.map_err(|source| FormatError::Io { name: name.to_owned(), source })?;
        Ok(Self { file, info, file_size, backing, l1, l2: Vec::new(), unpacked: None })
    }

    /// Returns the file.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Returns the size of the file in bytes.
    pub(crate) fn file_size(&self) -> u64 {
        self.file_size
    }

    /// Returns the L1 table as it is in the file.
    pub(super) fn l1(&self) -> &[u64] {
        &self.l1
    }

    /// Returns the device of the backing file, if there is one.
    pub(crate) fn backing_mut(&mut self) -> Option<&mut Box<dyn Device>> {
        self.backing.as_mut()
    }

    /// Returns what the header says.
    #[must_use]
    pub fn info(&self) -> &Qcow2Info {
        &self.info
    }

    fn cluster(&self) -> u64 {
        self.info.tables.cluster_size()
    }

    /// Returns where the byte `at` of the disk is, and how many after it are in the same place.
    fn find(&mut self, at: u64) -> io::Result<(Place, u64)> {
        let cluster = self.cluster();
        let width = if self.info.extended_l2 { 2 } else { 1 };
        let per_table = cluster / 8 / width;
        let (number, within) = (at / cluster, at % cluster);
        let rest = cluster - within;
        let l2_at = self.l1.get(index(number / per_table)).map_or(0, |entry| entry & OFFSET);
        if l2_at == 0 {
            let span = cluster * per_table;
            return Ok((Place::Below, span - at % span));
        }
        let slot = index(number % per_table * width);
        let extended = self.info.extended_l2;
        let table = self.l2_table(l2_at)?;
        let entry = table[slot];
        if entry & COMPRESSED != 0 {
            return Ok((Place::Packed(entry), rest));
        }
        let host = entry & OFFSET;
        if !extended {
            let place = match (entry & ZERO != 0, host) {
                (true, _) => Place::Zeros,
                (false, 0) => Place::Below,
                (false, host) => Place::At(host + within),
            };
            return Ok((place, rest));
        }
        // The lower half of the bitmap says which parts are there, the upper which are zeros.
        let (bitmap, size) = (table[slot + 1], cluster / PARTS);
        let part = within / size;
        let place = match (bitmap >> part & 1 == 1, bitmap >> (PARTS + part) & 1 == 1) {
            (true, true) => return Err(bad_table("a part of a cluster is both there and zeros")),
            (false, true) => Place::Zeros,
            (false, false) => Place::Below,
            (true, false) if host == 0 => return Err(bad_table("a part of no cluster is there")),
            (true, false) => Place::At(host + within),
        };
        Ok((place, size - within % size))
    }

    /// Returns how many bytes from `at` on are together in the file, up to `most`: clusters that are
    /// neighbours on the disk often are in the file, too.
    fn together(&mut self, at: u64, first: (Place, u64), most: u64) -> io::Result<u64> {
        let (place, mut len) = first;
        let Place::At(host) = place else { return Ok(len) };
        while len < most {
            match self.find(at + len)? {
                (Place::At(next), more) if next == host + len => len += more,
                _ => break,
            }
        }
        Ok(len)
    }

    /// Fills from the backing file, which may be shorter than the disk.
    fn read_below(&mut self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        let Some(backing) = &mut self.backing else {
            buf.fill(0);
            return Ok(());
        };
        let there = backing.size().saturating_sub(at);
        let there = usize::try_from(there).map_or(buf.len(), |n| n.min(buf.len()));
        let (inside, beyond) = buf.split_at_mut(there);
        beyond.fill(0);
        if inside.is_empty() { Ok(()) } else { backing.read_at(at, inside) }
    }

    /// Returns what the backing file says of the bytes from `at` on.
    fn extent_below(&mut self, at: u64) -> io::Result<Extent> {
        match &mut self.backing {
            Some(backing) if at < backing.size() => backing.extent(at),
            _ => Ok(Extent { len: u64::MAX, zeros: true }),
        }
    }

    fn l2_table(&mut self, at: u64) -> io::Result<&[u64]> {
        if let Some(found) = self.l2.iter().position(|(there, _)| *there == at) {
            let table = self.l2.remove(found);
            self.l2.push(table);
        } else {
            let most = index((KEPT_TABLES / self.cluster()).max(1));
            let table = read_numbers(&self.file, at, self.cluster() / 8)?;
            if self.l2.len() >= most {
                self.l2.remove(0);
            }
            self.l2.push((at, table));
        }
        Ok(self.l2.last().map(|(_, table)| table.as_slice()).unwrap_or_default())
    }

    /// Fills from the file. A last cluster that is there in part goes on with zeros, as for QEMU.
    fn read_host(&self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        let there = self.file_size.saturating_sub(at);
        let there = usize::try_from(there).map_or(buf.len(), |n| n.min(buf.len()));
        if there == 0 && !buf.is_empty() {
            let text = format!("a cluster at byte {at} of a file of {}", self.file_size);
            return Err(io::Error::new(ErrorKind::UnexpectedEof, text));
        }
        let (inside, beyond) = buf.split_at_mut(there);
        beyond.fill(0);
        self.file.read_exact_at(inside, at)
    }

    /// Returns the cluster of a compressed entry, unpacked.
    fn unpack(&mut self, entry: u64) -> io::Result<&[u8]> {
        let fresh = self.unpacked.as_ref().is_none_or(|(there, _)| *there != entry);
        if fresh {
            let (at, len) = self.info.tables.compressed(entry);
            let len = len.min(self.file_size.saturating_sub(at)).min(2 * self.cluster());
            let mut packed = vec![0; index(len)];
            self.file.read_exact_at(&mut packed, at)?;
            let mut out = vec![0; index(self.cluster())];
            match self.info.compression {
                Compression::Zlib => inflate(&packed, &mut out)?,
                Compression::Zstd => unzstd(&packed, &mut out)?,
            }
            self.unpacked = Some((entry, out));
        }
        Ok(self.unpacked.as_ref().map(|(_, bytes)| bytes.as_slice()).unwrap_or_default())
    }
}

impl Device for Qcow2File {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        within(self.size(), at, len64(buf))?;
        let (mut at, mut buf) = (at, buf);
        while !buf.is_empty() {
            let (place, len) = self.find(at)?;
            let len = self.together(at, (place, len), len64(buf))?;
            let len = index(len.min(len64(buf)));
            let (now, later) = buf.split_at_mut(len);
            match place {
                Place::Zeros => now.fill(0),
                Place::Below => self.read_below(at, now)?,
                Place::At(host) => self.read_host(host, now)?,
                Place::Packed(entry) => {
                    let within = index(at % self.cluster());
                    now.copy_from_slice(&self.unpack(entry)?[within..within + len]);
                }
            }
            at += len64(now);
            buf = later;
        }
        Ok(())
    }

    fn write_at(&mut self, _at: u64, _bytes: &[u8]) -> io::Result<()> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    fn discard(&mut self, _at: u64, _len: u64) -> io::Result<()> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn size(&self) -> u64 {
        self.info.virtual_size.0
    }

    fn extent(&mut self, at: u64) -> io::Result<Extent> {
        within(self.size(), at, 1)?;
        let mut found: Option<Extent> = None;
        let mut next = at;
        for _ in 0..MOST_PIECES {
            if next >= self.size() {
                break;
            }
            let (place, len) = self.find(next)?;
            let piece = match place {
                Place::Zeros => Extent { len, zeros: true },
                Place::At(_) | Place::Packed(_) => Extent { len, zeros: false },
                Place::Below => {
                    let below = self.extent_below(next)?;
                    Extent { len: below.len.min(len), ..below }
                }
            };
            if found.is_some_and(|so_far| so_far.zeros != piece.zeros) {
                break;
            }
            next += piece.len;
            let len = next.min(self.size()) - at;
            found = Some(Extent { len, zeros: piece.zeros });
        }
        found.ok_or_else(|| ErrorKind::UnexpectedEof.into())
    }
}

fn index(n: u64) -> usize {
    usize::try_from(n).expect("tables and clusters are some MiB at most")
}

pub(super) fn read_numbers(file: &File, at: u64, count: u64) -> io::Result<Vec<u64>> {
    let mut bytes = vec![0; index(count * 8)];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes.as_chunks::<8>().0.iter().map(|number| u64::from_be_bytes(*number)).collect())
}

fn bad_table(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("a qcow2 table is damaged: {why}"))
}

fn damaged(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("a compressed cluster is damaged: {why}"))
}

fn inflate(packed: &[u8], out: &mut [u8]) -> io::Result<()> {
    let mut inflater = Decompress::new(false);
    inflater
        .decompress(packed, out, FlushDecompress::Finish)
        .map_err(|error| damaged(&error.to_string()))?;
    // A full cluster is good, as for QEMU, whether or not the stream says that it ends there.
    let whole = u64::try_from(out.len()).is_ok_and(|len| len == inflater.total_out());
    if whole { Ok(()) } else { Err(damaged("it is too short")) }
}

fn unzstd(packed: &[u8], out: &mut [u8]) -> io::Result<()> {
    // What is after the frame, up to the end of its sector, is not looked at.
    let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?.single_frame();
    decoder.window_log_max(MOST_WINDOW_BITS)?;
    decoder.read_exact(out).map_err(|error| damaged(&error.to_string()))
}
