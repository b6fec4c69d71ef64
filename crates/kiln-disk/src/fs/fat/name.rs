// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Names in a FAT directory: the short one of 8 and 3 characters, and the entries of a long one.

use std::collections::BTreeSet;

use super::ENTRY;

/// UTF-16 units in one entry of a long name.
const UNITS: usize = 13;
/// The most units of a long name.
const MOST_UNITS: usize = 255;
/// What may stand in a short name besides letters and digits.
const SHORT: &str = "!#$%&'()-@^_`{}~";
/// What may not stand in a long name.
const NEVER: &str = "\"*/:<>?\\|";

/// A short name: eight bytes and three, filled with spaces.
pub(super) type Short = [u8; 11];

/// Returns why `name` cannot be a name on FAT, if so.
pub(super) fn wrong(name: &str) -> Option<&'static str> {
    if name.is_empty() || name == "." || name == ".." {
        Some("a name is empty, `.` or `..`")
    } else if name.chars().any(|c| c.is_control() || NEVER.contains(c)) {
        Some("a name has a character that FAT does not allow")
    } else if name.ends_with([' ', '.']) {
        Some("a name ends in a space or a full stop")
    } else if name.encode_utf16().count() > MOST_UNITS {
        Some("a name has more than 255 characters")
    } else {
        None
    }
}

/// Returns the short name for `name`, not one of `taken`, and whether a long one is needed.
pub(super) fn short(name: &str, taken: &BTreeSet<Short>) -> (Short, bool) {
    if let Some(exact) = exact(name).filter(|short| !taken.contains(short)) {
        return (exact, false);
    }
    let (base, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let clean = |text: &str, most: usize| -> String {
        let kept = text.chars().filter(|&c| c != ' ' && c != '.');
        let plain = |c: char| if is_short(c.to_ascii_uppercase()) { c } else { '_' };
        kept.map(plain).take(most).collect::<String>().to_ascii_uppercase()
    };
    let (base, extension) = (clean(base, 8), clean(extension, 3));
    let numbered = |n: u32| {
        let tail = format!("~{n}");
        let kept: String = base.chars().take(8 - tail.len()).collect();
        field(&format!("{kept}{tail}"), &extension)
    };
    let free = (1..1_000_000).map(numbered).find(|short| !taken.contains(short));
    (free.expect("a directory has fewer entries than there are numbers"), true)
}

/// Returns the name as a short one, if it is one already.
fn exact(name: &str) -> Option<Short> {
    let (base, extension) = name.split_once('.').unwrap_or((name, ""));
    let fits = (1..=8).contains(&base.len())
        && extension.len() <= 3
        && (extension.is_empty() != name.contains('.'))
        && base.chars().chain(extension.chars()).all(is_short);
    fits.then(|| field(base, extension))
}

fn is_short(c: char) -> bool {
    c.is_ascii_uppercase() || c.is_ascii_digit() || SHORT.contains(c)
}

fn field(base: &str, extension: &str) -> Short {
    let mut short = [b' '; 11];
    short[..base.len()].copy_from_slice(base.as_bytes());
    short[8..8 + extension.len()].copy_from_slice(extension.as_bytes());
    short
}

/// Returns the entries that hold a long name, in the order that they stand in: the last part
/// first.
pub(super) fn long_entries(name: &str, short: &Short) -> Vec<[u8; ENTRY]> {
    let sum = short.iter().fold(0_u8, |sum, &b| sum.rotate_right(1).wrapping_add(b));
    let mut units: Vec<u16> = name.encode_utf16().collect();
    if !units.len().is_multiple_of(UNITS) {
        units.push(0);
    }
    units.resize(units.len().next_multiple_of(UNITS), 0xffff);
    let parts = units.chunks(UNITS).zip(1_u8..);
    let mut entries: Vec<_> = parts.map(|(part, number)| long_entry(part, number, sum)).collect();
    if let Some(last) = entries.last_mut() {
        last[0] |= 0x40;
    }
    entries.reverse();
    entries
}

fn long_entry(part: &[u16], number: u8, sum: u8) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    entry[0] = number;
    entry[11] = 0x0f;
    entry[13] = sum;
    let places = (1..11).chain(14..26).chain(28..32);
    for (place, byte) in places.zip(part.iter().flat_map(|unit| unit.to_le_bytes())) {
        entry[place] = byte;
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_like_those_of_other_systems() {
        let mut taken = BTreeSet::new();
        for (name, expected, long) in [
            ("BOOTX64.EFI", b"BOOTX64 EFI", false),
            ("grubx64.efi", b"GRUBX6~1EFI", true),
            ("grubx64.ef", b"GRUBX6~1EF ", true),
            ("EFI", b"EFI        ", false),
            ("GRUBX64.efi", b"GRUBX6~2EFI", true),
            (".hidden", b"~1      HID", true),
            ("a.b.c", b"AB~1    C  ", true),
            ("\u{fc}ber", b"_BER~1     ", true),
            ("TRAILING.", b"TRAILI~1   ", true),
        ] {
            assert_eq!(short(name, &taken), (*expected, long), "{name}");
            taken.insert(*expected);
        }
    }

    #[test]
    fn long_names_are_cut_into_thirteens() {
        let entries = long_entries("abcdefghijklm", b"ABCDEF~1   ");
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0][0], 0x41);
        let entries = long_entries("abcdefghijklmn", b"ABCDEF~1   ");
        assert_eq!((entries.len(), entries[0][0], entries[1][0]), (2, 0x42, 1));
        assert_eq!(&entries[0][1..7], b"n\0\0\0\xff\xff");
    }

    #[test]
    fn what_cannot_be_a_name_is_refused() {
        for name in ["", ".", "..", "a/b", "a:b", "x.", "x ", "\n", &"n".repeat(256)] {
            assert!(wrong(name).is_some(), "{name:?}");
        }
        assert_eq!(wrong("grub.cfg"), None);
    }
}
