// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The 512 bytes before each member.

/// Bytes of a header, and what contents are padded to.
pub(super) const BLOCK: usize = 512;
pub(super) type Block = [u8; BLOCK];

/// A header's members, before PAX records are laid over them.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) path: Vec<u8>,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) size: u64,
    pub(super) mtime: i64,
    pub(super) kind: u8,
    pub(super) link: Vec<u8>,
    pub(super) device: (u32, u32),
}

impl Header {
    /// Reads a header; `None` if the checksum or a number is wrong.
    pub(super) fn parse(block: &Block) -> Option<Self> {
        let sum = number(&block[148..156])?;
        if sum != unsigned_sum(block) && sum != signed_sum(block) {
            return None;
        }
        let ustar = &block[257..262] == b"ustar";
        // GNU's own format ("ustar  ") has times where POSIX has the path's prefix.
        let prefix = if ustar && block[262] == 0 { text(&block[345..500]) } else { &[] };
        let mut path = prefix.to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(text(&block[..100]));
        let small = |bytes| u32::try_from(number(bytes)?).ok();
        let unsigned = |bytes| u64::try_from(number(bytes)?).ok();
        let device =
            if ustar { (small(&block[329..337])?, small(&block[337..345])?) } else { (0, 0) };
        Some(Self {
            path,
            mode: small(&block[100..108])? & 0o7777,
            uid: unsigned(&block[108..116])?,
            gid: unsigned(&block[116..124])?,
            size: unsigned(&block[124..136])?,
            mtime: number(&block[136..148])?,
            kind: block[156],
            link: text(&block[157..257]).to_vec(),
            device,
        })
    }
}

/// Returns the bytes before the first zero.
fn text(field: &[u8]) -> &[u8] {
    field.split(|&b| b == 0).next().unwrap_or_default()
}

/// Reads a number: octal digits, or GNU's base 256 if the first bit is set.
pub(super) fn number(field: &[u8]) -> Option<i64> {
    let (&first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        // Two's complement; the marker is the bit before the sign.
        let start = i64::from(first & 0x3f) - if first & 0x40 == 0 { 0 } else { 0x40 };
        return rest.iter().try_fold(start, |n, &b| n.checked_mul(256)?.checked_add(i64::from(b)));
    }
    let digits: Vec<u8> = field
        .iter()
        .copied()
        .skip_while(|&b| b == b' ')
        .take_while(|&b| b != b' ' && b != 0)
        .collect();
    digits.iter().try_fold(0_i64, |n, &b| match b {
        b'0'..=b'7' => n.checked_mul(8)?.checked_add(i64::from(b - b'0')),
        _ => None,
    })
}

/// Returns the bytes of a header, with spaces for the checksum itself.
fn summed(block: &Block) -> impl Iterator<Item = u8> {
    block.iter().enumerate().map(|(at, &b)| if (148..156).contains(&at) { b' ' } else { b })
}

fn unsigned_sum(block: &Block) -> i64 {
    summed(block).map(i64::from).sum()
}

/// Some old programs summed signed characters.
fn signed_sum(block: &Block) -> i64 {
    summed(block).map(|b| i64::from(b.cast_signed())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256() {
        for (field, value) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"        ", Some(0)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"77777777", Some(0o77_777_777)),
            (b"\x80\0\0\0\x01\0\0\0", Some(1 << 24)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", Some(-1)),
            (b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"00x0644\0", None),
            (b"-1      ", None),
        ] {
            assert_eq!(number(field), value, "{field:?}");
        }
    }
}
