// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Identifiers: what a name becomes for a reader that cannot have all of it.

use std::collections::BTreeSet;

/// The most characters of a plain identifier, the dot and `;1` not counted: ECMA-119, 7.5.1.
const PRIMARY_CHARS: usize = 30;

/// The most characters of an extension that is kept whole on the plain file system.
const EXTENSION_CHARS: usize = 8;

/// The most UTF-16 units of a Joliet identifier: Joliet, "Allowed Character Set", 128 bytes.
const JOLIET_UNITS: usize = 64;

/// Returns a name's identifier on the plain file system and records it in `taken`.
///
/// A file's is `NAME.EXT;1`, a folder's `NAME`.
pub(super) fn primary(name: &str, is_file: bool, taken: &mut BTreeSet<Vec<u8>>) -> Vec<u8> {
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if is_file && !stem.is_empty() => (stem, extension),
        _ => (name, ""),
    };
    let extension: String = letters(extension).take(EXTENSION_CHARS).collect();
    let room = PRIMARY_CHARS - extension.len();
    let stem: String = letters(stem).collect();
    numbered(taken, |suffix| {
        let kept: String = stem.chars().take(room - suffix.len()).collect();
        let id = if is_file {
            format!("{kept}{suffix}.{extension};1")
        } else {
            format!("{kept}{suffix}")
        };
        id.into_bytes()
    })
}

/// Returns what the records of the plain file system are sorted by: name, then extension
/// (ECMA-119, 9.3).
pub(super) fn primary_key(identifier: &[u8]) -> (&[u8], &[u8]) {
    let dot = identifier.iter().position(|&b| b == b'.').unwrap_or(identifier.len());
    identifier.split_at(dot)
}

/// Returns a name's Joliet identifier, big end first, and records it in `taken`.
///
/// No version number is added: genisoimage does not either, and no reader of Joliet asks for it.
pub(super) fn joliet(name: &str, taken: &mut BTreeSet<Vec<u8>>) -> Vec<u8> {
    let allowed = |c: char| if c.is_control() || "*/:;?\\".contains(c) { '_' } else { c };
    let name: Vec<char> = name.chars().map(allowed).collect();
    numbered(taken, |suffix| {
        let mut units = Vec::new();
        for c in &name {
            let mut buffer = [0; 2];
            let encoded = c.encode_utf16(&mut buffer);
            if units.len() + encoded.len() > JOLIET_UNITS - suffix.len() {
                break;
            }
            units.extend_from_slice(encoded);
        }
        units.extend(suffix.encode_utf16());
        units.into_iter().flat_map(u16::to_be_bytes).collect()
    })
}

fn letters(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|c| {
        let c = c.to_ascii_uppercase();
        if c.is_ascii_uppercase() || c.is_ascii_digit() { c } else { '_' }
    })
}

/// Returns the first of `make("")`, `make("_1")`, `make("_2")`, … that is not taken, and takes it.
fn numbered(taken: &mut BTreeSet<Vec<u8>>, make: impl Fn(&str) -> Vec<u8>) -> Vec<u8> {
    let mut id = make("");
    let mut number = 0_u64;
    while !taken.insert(id.clone()) {
        number += 1;
        id = make(&format!("_{number}"));
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(name: &str, is_file: bool) -> String {
        String::from_utf8(primary(name, is_file, &mut BTreeSet::new())).unwrap()
    }

    #[test]
    fn plain_identifiers_have_few_letters_and_one_dot() {
        assert_eq!(plain("user-data", true), "USER_DATA.;1");
        assert_eq!(plain("meta_data.json", true), "META_DATA.JSON;1");
        assert_eq!(plain("a.b.c", true), "A_B.C;1");
        assert_eq!(plain(".profile", true), "_PROFILE.;1");
        assert_eq!(plain("lat.est", false), "LAT_EST");
        assert_eq!(plain(&"x".repeat(99), true), format!("{}.;1", "X".repeat(30)));
        assert_eq!(plain("größe", true), "GR__E.;1");
    }

    #[test]
    fn identifiers_of_a_folder_differ() {
        let mut taken = BTreeSet::new();
        let ids: Vec<_> = (0..12).map(|_| primary("ä", true, &mut taken)).collect();
        assert_eq!(taken.len(), 12);
        assert_eq!(ids[11], b"__11.;1");
        let long = "n".repeat(80);
        let mut taken = BTreeSet::new();
        assert_eq!(joliet(&long, &mut taken).len(), 128);
        let second = joliet(&long, &mut taken);
        assert_eq!(second.len(), 128);
        assert_eq!(second[124..], [0, b'_', 0, b'1']);
    }

    #[test]
    fn joliet_never_splits_a_pair() {
        let name = format!("{}😀", "a".repeat(63));
        assert_eq!(joliet(&name, &mut BTreeSet::new()).len(), 126);
    }
}
