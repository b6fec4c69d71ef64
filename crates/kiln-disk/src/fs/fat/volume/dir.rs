// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Directories: read once, changed in memory, written out whole.
//!
//! Entries that were not changed keep their bytes. Those that name nothing a path could have (a
//! label, a name with `/` in it) keep theirs, too, and are not shown.
//!
//! Source: Microsoft, "FAT: General Overview of On-Disk Format", 1.03, "FAT Directory Structure"
//! and "FAT Long Directory Entries"; the bits of `DIR_NTRes` are those of Linux, fs/fat/fat.h.

use std::collections::{BTreeMap, BTreeSet};

use super::super::name::{self, Short};
use super::super::{ENTRY, FatError};
use super::Node;
use super::table::Run;
use crate::le::u32_at;

/// The most bytes of a directory: `FAT_MAX_DIR_SIZE` of Linux, 65536 entries.
pub(super) const MOST_BYTES: u64 = 2 << 20;
/// `ATTR_READ_ONLY`, `ATTR_VOLUME_ID`, `ATTR_DIRECTORY`, `ATTR_ARCHIVE`, and all that mark a part
/// of a long name.
pub(super) const READ_ONLY: u8 = 0x01;
const VOLUME: u8 = 0x08;
pub(super) const DIRECTORY: u8 = 0x10;
pub(super) const ARCHIVE: u8 = 0x20;
const LONG: u8 = 0x0f;
/// A short name's base or extension is shown in lower case: Windows NT's bits in byte 12.
const LOWER_BASE: u8 = 0x08;
const LOWER_EXTENSION: u8 = 0x10;

/// An entry of 32 bytes.
pub(super) type Raw = [u8; ENTRY];

/// A file or directory, as its parent's entry has it.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) parent: Node,
    pub(super) name: String,
    /// The entry itself.
    pub(super) raw: Raw,
    /// The entries of its long name, before it.
    pub(super) long: Vec<Raw>,
    /// Its names, if it is a directory that was read.
    pub(super) dir: Option<Dir>,
}

impl Item {
    pub(super) fn is_directory(&self) -> bool {
        self.raw[11] & DIRECTORY != 0
    }

    /// Returns the first cluster; 0 for an empty file.
    pub(super) fn first(&self) -> u32 {
        u32::from_le_bytes([self.raw[26], self.raw[27], self.raw[20], self.raw[21]])
    }

    pub(super) fn set_first(&mut self, first: u32) {
        set_first(&mut self.raw, first);
    }

    pub(super) fn size(&self) -> u32 {
        u32_at(&self.raw, 28)
    }

    pub(super) fn set_size(&mut self, size: u32) {
        self.raw[28..].copy_from_slice(&size.to_le_bytes());
    }

    pub(super) fn short(&self) -> Short {
        short_of(&self.raw)
    }

    /// Sets the time of change and the day of access.
    pub(super) fn set_time(&mut self, stamp: [u8; 4]) {
        self.raw[18..20].copy_from_slice(&stamp[2..]);
        self.raw[22..26].copy_from_slice(&stamp);
    }

    /// Returns the item as its parent's directory has it.
    pub(super) fn without_dir(&self) -> Self {
        let (name, long) = (self.name.clone(), self.long.clone());
        Self { parent: self.parent, name, raw: self.raw, long, dir: None }
    }

    /// Entries that it takes in its directory.
    pub(super) fn entries(&self) -> usize {
        self.long.len() + 1
    }
}

pub(super) fn set_first(raw: &mut Raw, first: u32) {
    let [a, b, c, d] = first.to_le_bytes();
    raw[26..28].copy_from_slice(&[a, b]);
    raw[20..22].copy_from_slice(&[c, d]);
}

fn short_of(raw: &Raw) -> Short {
    let mut short = [0; 11];
    short.copy_from_slice(&raw[..11]);
    short
}

/// What stands in a directory, in the order on disk.
#[derive(Clone, Debug)]
pub(super) enum Slot {
    Item(Node),
    /// Entries that no path leads to.
    Other(Vec<Raw>),
}

/// A directory that was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Dir {
    pub(super) slots: Vec<Slot>,
    /// By long and short name, as [`folded`].
    pub(super) names: BTreeMap<String, Node>,
    pub(super) shorts: BTreeSet<Short>,
    /// Where it lies; empty for the root of FAT12 and FAT16.
    pub(super) runs: Vec<Run>,
    /// Entries that it has, `.` and `..` counted.
    pub(super) used: usize,
    /// Entries that there is room for.
    pub(super) room: usize,
    /// `.` and `..`, of all but the root.
    pub(super) dots: Vec<Raw>,
    pub(super) changed: bool,
}

impl Dir {
    /// Enters the names of an item; one that is taken stays with the first that had it.
    pub(super) fn enter(&mut self, node: Node, item: &Item) {
        self.used += item.entries();
        let short = item.short();
        self.shorts.insert(short);
        self.names.entry(folded(&item.name)).or_insert(node);
        self.names.entry(folded(&shown_short(&item.raw))).or_insert(node);
        self.slots.push(Slot::Item(node));
    }

    /// Takes an item out.
    pub(super) fn leave(&mut self, node: Node, item: &Item) {
        self.used = self.used.saturating_sub(item.entries());
        self.shorts.remove(&item.short());
        for name in [folded(&item.name), folded(&shown_short(&item.raw))] {
            if self.names.get(&name) == Some(&node) {
                self.names.remove(&name);
            }
        }
        self.slots.retain(|slot| !matches!(slot, Slot::Item(other) if *other == node));
        self.changed = true;
    }
}

/// One thing read from a directory's bytes.
#[derive(Debug)]
pub(super) enum Parsed {
    Item(Box<Item>),
    Dot(Raw),
    Other(Vec<Raw>),
}

/// Reads the entries of the directory `parent`.
pub(super) fn parse(bytes: &[u8], parent: Node) -> Vec<Parsed> {
    let mut out = Vec::new();
    let mut long: Vec<Raw> = Vec::new();
    for (number, raw) in bytes.as_chunks::<ENTRY>().0.iter().enumerate() {
        match raw[0] {
            0 => break,
            0xe5 => long.clear(),
            _ if raw[11] & 0x3f == LONG => {
                // The last part comes first and has bit 6.
                if raw[0] & 0x40 != 0 {
                    long.clear();
                }
                long.push(*raw);
            }
            _ if raw[11] & VOLUME != 0 => {
                long.clear();
                out.push(Parsed::Other(vec![*raw]));
            }
            b'.' if number < 2 && raw[1..11].iter().all(|&b| b == b' ' || b == b'.') => {
                out.push(Parsed::Dot(*raw));
            }
            _ => out.push(named(std::mem::take(&mut long), *raw, parent)),
        }
    }
    out
}

fn named(long: Vec<Raw>, raw: Raw, parent: Node) -> Parsed {
    let whole = long_name(&long, &short_of(&raw)).filter(|name| is_name(name));
    let (long, name) = match whole {
        Some(name) => (long, name),
        None => (Vec::new(), shown_short(&raw)),
    };
    if is_name(&name) {
        return Parsed::Item(Box::new(Item { parent, name, raw, long, dir: None }));
    }
    Parsed::Other(long.into_iter().chain([raw]).collect())
}

/// Returns whether a name read from disk can be part of a path.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
}

/// Returns the long name, if its entries belong together and to the short one.
fn long_name(long: &[Raw], short: &Short) -> Option<String> {
    let sum = name::checksum(short);
    let count = u8::try_from(long.len()).ok().filter(|&n| (1..=20).contains(&n))?;
    let numbers = (1..=count).rev();
    let right = |(raw, number): (&Raw, u8)| {
        let first = if number == count { number | 0x40 } else { number };
        raw[0] == first && raw[13] == sum
    };
    if !long.iter().zip(numbers).all(right) {
        return None;
    }
    let units = long.iter().rev().flat_map(|raw| {
        let places = (1..11).step_by(2).chain((14..26).step_by(2)).chain((28..32).step_by(2));
        places.map(|at| u16::from_le_bytes([raw[at], raw[at + 1]]))
    });
    let units = units.take_while(|&unit| unit != 0);
    Some(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
}

/// Returns the short name as it is shown: with its full stop, in the case that it has.
fn shown_short(raw: &Raw) -> String {
    let part = |bytes: &[u8], lower: bool| -> String {
        let end = bytes.iter().rposition(|&b| b != b' ').map_or(0, |last| last + 1);
        let chars = bytes[..end].iter().map(|&b| name::code_page(b));
        chars.map(|c| if lower { c.to_ascii_lowercase() } else { c }).collect()
    };
    let mut base = [0; 8];
    base.copy_from_slice(&raw[..8]);
    if base[0] == 0x05 {
        base[0] = 0xe5;
    }
    let base = part(&base, raw[12] & LOWER_BASE != 0);
    let extension = part(&raw[8..11], raw[12] & LOWER_EXTENSION != 0);
    if extension.is_empty() { base } else { format!("{base}.{extension}") }
}

/// Returns a name as it is compared: FAT does not tell upper from lower case.
pub(super) fn folded(name: &str) -> String {
    name.chars()
        .map(|c| {
            let mut upper = c.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(one), None) => one,
                _ => c,
            }
        })
        .collect()
}

/// Returns a new entry.
pub(super) fn entry(short: &Short, attributes: u8, stamp: [u8; 4]) -> Raw {
    let mut raw = [0; ENTRY];
    raw[..11].copy_from_slice(short);
    raw[11] = attributes;
    raw[14..18].copy_from_slice(&stamp);
    raw[18..20].copy_from_slice(&stamp[2..]);
    raw[22..26].copy_from_slice(&stamp);
    raw
}

/// Returns the name to be written for bytes of a path.
///
/// # Errors
///
/// [`FatError::BadPath`].
pub(super) fn checked(name: &[u8]) -> Result<&str, FatError> {
    let shown = || String::from_utf8_lossy(name).into_owned();
    let bad = |why| FatError::BadPath { path: shown(), why };
    let text = std::str::from_utf8(name).map_err(|_| bad("a name is no UTF-8"))?;
    name::wrong(text).map_or(Ok(text), |why| Err(bad(why)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(parsed: &[Parsed]) -> Vec<&str> {
        fn name(parsed: &Parsed) -> Option<&str> {
            if let Parsed::Item(item) = parsed { Some(&item.name) } else { None }
        }
        parsed.iter().filter_map(name).collect()
    }

    #[test]
    fn parts_of_other_names_are_not_taken() {
        let short = *b"LONGNA~1TXT";
        let parts = name::long_entries("long name of a file.txt", &short);
        let file = entry(&short, ARCHIVE, [0; 4]);
        let read = |raws: &[Raw]| {
            let bytes: Vec<u8> = raws.concat();
            let parsed = parse(&bytes, Node::ROOT);
            items(&parsed).join(",")
        };
        let whole: Vec<Raw> = parts.iter().copied().chain([file]).collect();
        assert_eq!(read(&whole), "long name of a file.txt");
        assert_eq!(read(&whole[1..]), "LONGNA~1.TXT");
        assert_eq!(read(&[whole[1], whole[0], file]), "LONGNA~1.TXT");
        let other = entry(b"OTHER   TXT", ARCHIVE, [0; 4]);
        assert_eq!(read(&[whole[0], whole[1], other, file]), "OTHER.TXT,LONGNA~1.TXT");
        let mut deleted = other;
        deleted[0] = 0xe5;
        assert_eq!(read(&[whole[0], whole[1], deleted, file]), "LONGNA~1.TXT");
        assert_eq!(read(&[[0; 32], file]), "");
    }

    #[test]
    fn names_that_would_leave_the_tree_are_not_shown() {
        let slash = entry(b"A/B     TXT", ARCHIVE, [0; 4]);
        assert!(matches!(parse(&slash, Node::ROOT)[..], [Parsed::Other(_)]));
        let dots = entry(b"..         ", DIRECTORY, [0; 4]);
        let bytes = [[b'X'; 32], [b'X'; 32], dots].map(|mut raw| {
            raw[11] &= !VOLUME;
            raw
        });
        let parsed = parse(&bytes.concat(), Node::ROOT);
        assert!(matches!(parsed[2], Parsed::Other(_)), "{parsed:?}");
        let long = name::long_entries("../../etc/passwd", b"ETC        ");
        let bytes: Vec<Raw> = long.into_iter().chain([entry(b"ETC        ", 0, [0; 4])]).collect();
        assert_eq!(items(&parse(&bytes.concat(), Node::ROOT)), ["ETC"]);
    }

    #[test]
    fn case_bits_and_the_code_page_are_honoured() {
        let mut raw = entry(b"README  TXT", 0, [0; 4]);
        raw[12] = LOWER_BASE;
        assert_eq!(shown_short(&raw), "readme.TXT");
        raw[12] = LOWER_BASE | LOWER_EXTENSION;
        assert_eq!(shown_short(&raw), "readme.txt");
        assert_eq!(shown_short(&entry(b"\x05\x81         ", 0, [0; 4])), "\u{3c3}\u{fc}");
        assert_eq!(folded("gr\u{fc}\u{df}e.txt"), "GR\u{dc}\u{df}E.TXT");
    }
}
