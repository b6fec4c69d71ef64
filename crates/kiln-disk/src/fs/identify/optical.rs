// SPDX-License-Identifier: Apache-2.0 OR MIT
//! ISO 9660, with the longer label of Joliet.

use std::io;

use super::{Content, ContentKind, Probe};

/// Where the volume descriptors begin, the bytes of each, and how many are looked at.
const FIRST: u64 = 32 << 10;
const DESCRIPTOR: u64 = 2048;
const MOST: u64 = 16;

/// Units of a label of Joliet.
const JOLIET_LABEL: usize = 16;

pub(super) fn iso9660(probe: &mut Probe<'_>) -> io::Result<Option<Content>> {
    let first = probe.with_magic((FIRST, DESCRIPTOR), 1, b"CD001")?;
    let Some(primary) = first.filter(|descriptor| descriptor[0] == 1) else { return Ok(None) };
    let plain = String::from_utf8_lossy(&primary[40..72]).into_owned();
    let label = match joliet(probe)? {
        Some(joliet) => merged(&joliet, &plain),
        None => plain,
    };
    let mut content = Content::bare(ContentKind::Iso9660).label(label);
    // When it was changed, or else made.
    content.uuid = date(&primary[830..847]).or_else(|| date(&primary[813..830]));
    Ok(Some(content))
}

/// Returns the label of the Joliet descriptor, if there is one.
fn joliet(probe: &mut Probe<'_>) -> io::Result<Option<String>> {
    for n in 1..MOST {
        let at = FIRST + n * DESCRIPTOR;
        let Some(descriptor) = probe.with_magic((at, DESCRIPTOR), 1, b"CD001")? else { break };
        let escape = &descriptor[88..91];
        if descriptor[0] == 2 && [b"%/@", b"%/C", b"%/E"].iter().any(|known| *known == escape) {
            let units = descriptor[40..72].as_chunks::<2>().0.iter();
            let units = units.map(|unit| u16::from_be_bytes(*unit));
            return Ok(Some(
                char::decode_utf16(units)
                    .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
                    .collect(),
            ));
        }
        if descriptor[0] == 0xff {
            break;
        }
    }
    Ok(None)
}

/// Returns the label of Joliet, which has small letters, with the end that only the plain one has
/// room for.
fn merged(joliet: &str, plain: &str) -> String {
    let alike = joliet.chars().zip(plain.chars()).all(|(long, short)| {
        long.to_uppercase().eq(short.to_uppercase()) || (short == '_' && !long.is_alphanumeric())
    });
    if alike && joliet.chars().count() == JOLIET_LABEL {
        joliet.chars().chain(plain.chars().skip(JOLIET_LABEL)).collect()
    } else {
        joliet.to_owned()
    }
}

/// Returns a date of 16 digits and a time zone in the way of `blkid`; `None` if it is not set.
fn date(bytes: &[u8]) -> Option<String> {
    let (digits, zone) = bytes.split_at_checked(16)?;
    let set = digits.iter().any(|&digit| digit != b'0') || zone != [0];
    if !set || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = std::str::from_utf8(digits).ok()?;
    let parts = [0..4, 4..6, 6..8, 8..10, 10..12, 12..14, 14..16].map(|part| &digits[part]);
    Some(parts.join("-"))
}
