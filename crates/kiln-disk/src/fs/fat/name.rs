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

/// The upper half of code page 437.
const CP437: &str = "\u{c7}\u{fc}\u{e9}\u{e2}\u{e4}\u{e0}\u{e5}\u{e7}\u{ea}\u{eb}\
    \u{e8}\u{ef}\u{ee}\u{ec}\u{c4}\u{c5}\u{c9}\u{e6}\u{c6}\u{f4}\
    \u{f6}\u{f2}\u{fb}\u{f9}\u{ff}\u{d6}\u{dc}\u{a2}\u{a3}\u{a5}\
    \u{20a7}\u{192}\u{e1}\u{ed}\u{f3}\u{fa}\u{f1}\u{d1}\u{aa}\u{ba}\
    \u{bf}\u{2310}\u{ac}\u{bd}\u{bc}\u{a1}\u{ab}\u{bb}\u{2591}\u{2592}\
    \u{2593}\u{2502}\u{2524}\u{2561}\u{2562}\u{2556}\u{2555}\u{2563}\u{2551}\u{2557}\
    \u{255d}\u{255c}\u{255b}\u{2510}\u{2514}\u{2534}\u{252c}\u{251c}\u{2500}\u{253c}\
    \u{255e}\u{255f}\u{255a}\u{2554}\u{2569}\u{2566}\u{2560}\u{2550}\u{256c}\u{2567}\
    \u{2568}\u{2564}\u{2565}\u{2559}\u{2558}\u{2552}\u{2553}\u{256b}\u{256a}\u{2518}\
    \u{250c}\u{2588}\u{2584}\u{258c}\u{2590}\u{2580}\u{3b1}\u{df}\u{393}\u{3c0}\
    \u{3a3}\u{3c3}\u{b5}\u{3c4}\u{3a6}\u{398}\u{3a9}\u{3b4}\u{221e}\u{3c6}\
    \u{3b5}\u{2229}\u{2261}\u{b1}\u{2265}\u{2264}\u{2320}\u{2321}\u{f7}\u{2248}\
    \u{b0}\u{2219}\u{b7}\u{221a}\u{207f}\u{b2}\u{25a0}\u{a0}";

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
    // After some that are alike, two characters and a number of the name, as Windows does:
    // counting on would take ever longer.
    let hash =
        name.bytes().fold(0x811c_9dc5_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    let hashed = |n: u32| {
        let start: String = base.chars().take(2).collect();
        field(&format!("{start}{:04X}~1", hash.wrapping_add(n) >> 8 & 0xffff), &extension)
    };
    let alike = (1..=99).map(numbered).chain((0..1 << 16).map(|n| hashed(n << 8)));
    let free = alike.chain((100..1_000_000).map(numbered)).find(|short| !taken.contains(short));
    (free.expect("a directory has fewer entries than there are numbers"), true)
}

/// Returns what the entries of a long name hold of the short one, so that they are known to
/// belong to it.
pub(super) fn checksum(short: &Short) -> u8 {
    short.iter().fold(0, |sum: u8, &b| sum.rotate_right(1).wrapping_add(b))
}

/// Returns the character that a byte of a short name stands for, in code page 437, which Linux
/// takes unless told otherwise.
pub(super) fn code_page(byte: u8) -> char {
    match byte.checked_sub(0x80) {
        None => char::from(byte),
        Some(high) => CP437.chars().nth(usize::from(high)).unwrap_or(char::REPLACEMENT_CHARACTER),
    }
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
    let sum = checksum(short);
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
