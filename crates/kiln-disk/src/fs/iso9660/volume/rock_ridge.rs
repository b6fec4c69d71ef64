// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Rock Ridge: names, permissions, owners, links and times of POSIX beside a record.
//!
//! Source: SUSP 1.10, 5 (`SP`, `CE`, `ST`) and RRIP 1.10, 4.1 (`PX`, `PN`, `SL`, `NM`, `CL`, `RE`,
//! `TF`); `ZF` is that of libisofs, doc/zisofs_format.txt.

use super::record::{long_time, short_time};
use super::{IsoFsError, SECTOR64};
use crate::device::Device;
use crate::le::u32_at;

/// How often one record's entries may go on elsewhere.
const MOST_CONTINUATIONS: usize = 64;
/// Bytes in one of these places.
const MOST_CONTINUED: u32 = 32 << 10;
/// Bytes of all such places of a file system.
const MOST_CONTINUED_IN_ALL: u64 = 64 << 20;
/// The longest name and link target: `NAME_MAX` and `PATH_MAX` of Linux.
const MOST_NAME: usize = 255;
const MOST_TARGET: usize = 4096;

/// What the entries beside one record say.
#[derive(Clone, Debug, Default)]
pub(super) struct RockRidge {
    /// Any entry of Rock Ridge was there.
    pub(super) found: bool,
    pub(super) name: Vec<u8>,
    /// `st_mode`, `st_nlink`, owner and group.
    pub(super) posix: Option<[u32; 4]>,
    pub(super) device: Option<(u32, u32)>,
    pub(super) target: Target,
    /// Time of change of the contents.
    pub(super) time: Option<i64>,
    /// The block of the directory that should stand here and lies elsewhere.
    pub(super) child: Option<u32>,
    /// It stands elsewhere, too, and is not to be shown here.
    pub(super) relocated: bool,
    /// Packed by mkzftree.
    pub(super) packed: bool,
}

/// A link's target, put together from its parts.
#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    pub(super) bytes: Vec<u8>,
    /// The last part goes on.
    open: bool,
}

/// How Rock Ridge is read in one file system.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader {
    /// Bytes of each record's system use field that are not ours: `SP`'s last byte.
    pub(super) skip: usize,
    /// Bytes of a logical block.
    pub(super) block: u64,
    /// Bytes of continuations that may still be read.
    left: u64,
}

impl Reader {
    pub(super) fn new(block: u64) -> Self {
        Self { skip: 0, block, left: MOST_CONTINUED_IN_ALL }
    }

    /// Reads the entries of the root's own record; returns whether the file system has Rock
    /// Ridge.
    pub(super) fn begin(
        &mut self,
        device: &mut dyn Device,
        system_use: &[u8],
    ) -> Result<bool, IsoFsError> {
        // CD-ROM XA puts 14 bytes before.
        for start in [0, 14] {
            let bytes = system_use.get(start..).unwrap_or_default();
            if bytes.starts_with(b"SP\x07\x01\xbe\xef") && bytes.len() >= 7 {
                self.skip = usize::from(bytes[6]);
                return Ok(self.read(device, bytes)?.found);
            }
        }
        Ok(false)
    }

    /// Reads a record's entries, without the bytes that are to be skipped.
    pub(super) fn read(
        &mut self,
        device: &mut dyn Device,
        system_use: &[u8],
    ) -> Result<RockRidge, IsoFsError> {
        let mut all = RockRidge::default();
        let mut area = system_use.to_vec();
        for _ in 0..MOST_CONTINUATIONS {
            let Some(next) = all.take(&area) else { return Ok(all) };
            area = self.continued(device, next)?;
        }
        Err(damaged("the entries of Rock Ridge go on without end"))
    }

    /// Returns the bytes that a `CE` entry leads to: block, offset, length.
    fn continued(
        &mut self,
        device: &mut dyn Device,
        [block, offset, len]: [u32; 3],
    ) -> Result<Vec<u8>, IsoFsError> {
        self.left = match self.left.checked_sub(u64::from(len)) {
            Some(left) if len <= MOST_CONTINUED => left,
            _ => return Err(damaged("the entries of Rock Ridge are too long")),
        };
        let at = u64::from(block) * self.block + u64::from(offset);
        let mut bytes = vec![0; usize::try_from(len).expect("bounded above")];
        if u64::from(offset) >= SECTOR64 || at + u64::from(len) > device.size() {
            return Err(damaged("entries of Rock Ridge lie past the end"));
        }
        let io = |source| IsoFsError::Io { doing: "read entries of Rock Ridge", source };
        device.read_at(at, &mut bytes).map_err(io)?;
        Ok(bytes)
    }
}

impl RockRidge {
    /// Takes in the entries of an area; returns where they go on.
    fn take(&mut self, mut area: &[u8]) -> Option<[u32; 3]> {
        let mut next = None;
        while let [_, _, len, _, ..] = area {
            let Some(entry) = area.get(..usize::from(*len)).filter(|entry| entry.len() >= 4) else {
                break;
            };
            area = &area[entry.len()..];
            let (signature, data) = (&entry[..2], &entry[4..]);
            match signature {
                b"ST" => break,
                b"CE" if data.len() >= 24 => {
                    next = Some([u32_at(data, 0), u32_at(data, 8), u32_at(data, 16)]);
                }
                _ => self.entry(signature, data),
            }
        }
        next
    }

    fn entry(&mut self, signature: &[u8], data: &[u8]) {
        self.found |= matches!(signature, b"RR" | b"PX" | b"NM" | b"TF" | b"SL" | b"CL" | b"RE");
        match signature {
            b"PX" if data.len() >= 32 => {
                self.posix = Some([0, 8, 16, 24].map(|at| u32_at(data, at)));
            }
            b"PN" if data.len() >= 16 => {
                self.device = Some(device(u32_at(data, 0), u32_at(data, 8)))
            }
            // Bits 1 and 2: the name is `.` or `..`.
            b"NM" if data.first().is_some_and(|flags| flags & 6 == 0) => {
                self.name.extend_from_slice(&data[1..]);
                self.name.truncate(MOST_NAME + 1);
            }
            b"SL" if !data.is_empty() => self.target.take(&data[1..]),
            b"TF" if !data.is_empty() => self.time = modified(data).or(self.time),
            b"CL" if data.len() >= 8 => self.child = Some(u32_at(data, 0)),
            b"RE" => self.relocated = true,
            b"ZF" => self.packed = true,
            _ => (),
        }
    }
}

/// Returns major and minor number: in two halves, or both in the low one as Linux takes it.
fn device(high: u32, low: u32) -> (u32, u32) {
    if high == 0 { (low >> 8 & 0xff, low & 0xff) } else { (high, low) }
}

/// Returns the time of change from a `TF` entry: each bit of the first byte stands for a date.
fn modified(data: &[u8]) -> Option<i64> {
    const CREATED: u8 = 0x01;
    const MODIFIED: u8 = 0x02;
    const LONG: u8 = 0x80;
    let (flags, dates) = data.split_first()?;
    if flags & MODIFIED == 0 {
        return None;
    }
    let len = if flags & LONG != 0 { 17 } else { 7 };
    let start = if flags & CREATED != 0 { len } else { 0 };
    let date = dates.get(start..start + len)?;
    Some(if len == 17 { long_time(date) } else { short_time(date) })
}

impl Target {
    /// Takes in the parts of an `SL` entry: each has flags, a length, and text.
    fn take(&mut self, mut parts: &[u8]) {
        const GOES_ON: u8 = 0x01;
        const CURRENT: u8 = 0x02;
        const PARENT: u8 = 0x04;
        const ROOT: u8 = 0x08;
        while let [flags, len, rest @ ..] = parts {
            let Some(text) = rest.get(..usize::from(*len)) else { break };
            parts = &rest[text.len()..];
            if !self.open && !self.bytes.is_empty() && !self.bytes.ends_with(b"/") {
                self.bytes.push(b'/');
            }
            match flags {
                // Within a target it stands for an empty name between two `/`, as Linux reads it.
                flags if flags & ROOT != 0 => self.bytes.push(b'/'),
                flags if flags & PARENT != 0 => self.bytes.extend_from_slice(b".."),
                flags if flags & CURRENT != 0 => self.bytes.push(b'.'),
                _ => self.bytes.extend_from_slice(text),
            }
            self.open = flags & GOES_ON != 0;
            self.bytes.truncate(MOST_TARGET);
        }
    }
}

fn damaged(what: &str) -> IsoFsError {
    IsoFsError::Damaged { what: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_put_together() {
        let target = |entries: &[&[u8]]| {
            let mut target = Target::default();
            entries.iter().for_each(|entry| target.take(entry));
            String::from_utf8(target.bytes).unwrap()
        };
        assert_eq!(target(&[b"\x08\0\0\x03usr\0\x03lib"]), "/usr/lib");
        assert_eq!(target(&[b"\x04\0\x04\0\0\x01x"]), "../../x");
        assert_eq!(target(&[b"\x01\x02ab", b"\0\x02cd\0\x01e"]), "abcd/e");
        assert_eq!(target(&[b"\x02\0\0\xffx"]), ".");
    }

    #[test]
    fn cut_off_entries_are_left_out() {
        for area in
            [&b"NM"[..], b"NM\xff\x01\0x", b"NM\0\x01\0x", b"PX\x05\x01\0", b"TF\x05\x01\xff"]
        {
            let mut all = RockRidge::default();
            assert_eq!(all.take(area), None);
            assert!(all.name.is_empty() && all.posix.is_none() && all.time.is_none());
        }
    }
}
