// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The frames of a stream of zstd, told apart without decompressing them.
//!
//! A frame that says how long its contents are, and is not too long, can be decompressed by itself
//! while others are. Kiln's bundles are made of such frames, and what `pzstd` writes is, too.
//!
//! **Invariant:** whatever the stream says, no more than [`MOST_PACKED`] bytes and one block are held.
//!
//! Source: RFC 8878, 3.1.1 (frames), 3.1.1.2 (blocks), 3.1.2 (skippable frames).

use std::io::{self, Read};

/// The most bytes of contents that a frame has which is decompressed by itself: 8 MiB.
pub const MOST_FRAME: usize = 8 << 20;
/// The most bytes of such a frame: contents that cannot be compressed, and the heads of blocks.
const MOST_PACKED: usize = MOST_FRAME + (64 << 10);
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The last three bytes of a skippable frame's magic number; the first is 0x50 to 0x5f.
const SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];
/// `Block_Maximum_Size`.
const MOST_BLOCK: usize = 128 << 10;

/// What comes next in a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A frame, and how many bytes its contents are.
    Frame { packed: Vec<u8>, len: usize },
    /// Something that is to be decompressed from front to back, with all that follows; these bytes
    /// of it have been read.
    Other(Vec<u8>),
    /// Nothing.
    End,
}

/// Returns what comes next in `from`; skippable frames are skipped. `read` is room for it.
///
/// # Errors
///
/// What reading says. What is cut off or wrong is no error here, but [`Next::Other`].
pub(super) fn next(from: &mut dyn Read, mut read: Vec<u8>) -> io::Result<Next> {
    loop {
        read.clear();
        if !more(from, &mut read, 4)? {
            return Ok(if read.is_empty() { Next::End } else { Next::Other(read) });
        }
        if read[0] & 0xf0 == 0x50 && read[1..] == SKIPPABLE {
            if !more(from, &mut read, 4)? {
                return Ok(Next::Other(read));
            }
            let len = u64::from(little_end(&read[4..]));
            if io::copy(&mut from.take(len), &mut io::sink())? < len {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            continue;
        }
        let len = if read == MAGIC { header(from, &mut read)? } else { None };
        return Ok(match len {
            Some((len, checksum)) if blocks(from, &mut read, checksum)? => {
                Next::Frame { packed: read, len }
            }
            _ => Next::Other(read),
        });
    }
}

/// Reads the rest of a frame's header. Returns the length of the contents and whether a checksum
/// follows them; nothing if the frame is too long, has a dictionary, or does not tell.
fn header(from: &mut dyn Read, read: &mut Vec<u8>) -> io::Result<Option<(usize, bool)>> {
    if !more(from, read, 1)? {
        return Ok(None);
    }
    let about = read[4];
    // One bit is reserved, and two tell of a dictionary.
    let (whole, checksum, plain) = (about & 0x20 != 0, about & 0x04 != 0, about & 0x0b == 0);
    let (size, base) = match about >> 6 {
        0 => (usize::from(whole), 0),
        1 => (2, 256),
        2 => (4, 0),
        _ => (8, 0),
    };
    let window = usize::from(!whole);
    if !plain || size == 0 || !more(from, read, window + size)? {
        return Ok(None);
    }
    let mut number = [0; 8];
    number[..size].copy_from_slice(&read[5 + window..]);
    let len = u64::from_le_bytes(number).checked_add(base);
    let len = len.and_then(|len| usize::try_from(len).ok()).filter(|len| *len <= MOST_FRAME);
    Ok(len.map(|len| (len, checksum)))
}

/// Reads all blocks of a frame, and the checksum. Returns whether that was possible.
fn blocks(from: &mut dyn Read, read: &mut Vec<u8>, checksum: bool) -> io::Result<bool> {
    loop {
        let at = read.len();
        if at > MOST_PACKED || !more(from, read, 3)? {
            return Ok(false);
        }
        let about = little_end(&read[at..]);
        let size = usize::try_from(about >> 3).unwrap_or(usize::MAX);
        let len = match about >> 1 & 3 {
            0 | 2 if size <= MOST_BLOCK => size,
            // One byte, again and again.
            1 => 1,
            _ => return Ok(false),
        };
        if !more(from, read, len)? {
            return Ok(false);
        }
        if about & 1 != 0 {
            return more(from, read, if checksum { 4 } else { 0 });
        }
    }
}

/// Reads `len` bytes more; returns whether there were as many.
fn more(from: &mut dyn Read, read: &mut Vec<u8>, len: usize) -> io::Result<bool> {
    let most = u64::try_from(len).unwrap_or(u64::MAX);
    Ok(from.take(most).read_to_end(read)? == len)
}

/// Returns a number of up to four bytes.
fn little_end(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut bytes: &[u8]) -> Vec<Next> {
        let mut found = Vec::new();
        loop {
            let one = next(&mut bytes, Vec::new()).unwrap();
            let ended = matches!(one, Next::End | Next::Other(_));
            found.push(one);
            if ended {
                return found;
            }
        }
    }

    fn frame(contents: &[u8]) -> (Vec<u8>, Next) {
        let packed = zstd::bulk::compress(contents, 1).unwrap();
        (packed.clone(), Next::Frame { packed, len: contents.len() })
    }

    #[test]
    fn frames_are_told_apart_as_zstd_itself_does() {
        let noise: Vec<u8> =
            (0..400_000_u32).flat_map(|n| n.wrapping_mul(n).to_be_bytes()).collect();
        // Every length of the size in the header: 1, 2, 4 bytes.
        let parts = [&b"short"[..], &noise[..300], &noise, &[0; 1_000_000], b""];
        let skippable = [0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        let (mut stream, mut expected) = (Vec::new(), Vec::new());
        for part in parts {
            let (packed, found) = frame(part);
            assert_eq!(zstd::zstd_safe::find_frame_compressed_size(&packed), Ok(packed.len()));
            stream.extend(packed);
            stream.extend(skippable);
            expected.push(found);
        }
        expected.push(Next::End);
        assert!(all(&stream) == expected);
        let mut checked = zstd::bulk::Compressor::new(1).unwrap();
        checked.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true)).unwrap();
        let packed = checked.compress(&noise).unwrap();
        let expected = Next::Frame { packed: packed.clone(), len: noise.len() };
        assert!(all(&packed) == [expected, Next::End]);
    }

    #[test]
    fn what_cannot_be_taken_by_itself_is_handed_back_as_it_was() {
        let long = zstd::bulk::compress(&vec![7; MOST_FRAME + 1], 1).unwrap();
        let untold = zstd::stream::encode_all(&b"of unknown length"[..], 1).unwrap();
        let (whole, found) = frame(b"a whole one");
        for other in [&long[..], &untold, &whole[..whole.len() - 1], &whole[..3], b"no zstd"] {
            let stream = [&whole[..], other].concat();
            let mut rest = stream.as_slice();
            assert_eq!(next(&mut rest, vec![1]).unwrap(), found);
            let Next::Other(read) = next(&mut rest, vec![1]).unwrap() else { panic!("{other:?}") };
            assert_eq!([&read[..], rest].concat(), other);
        }
        // A skippable frame that ends too soon.
        let cut = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1];
        let error = next(&mut &cut[..], Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_frame_of_endless_blocks_is_not_gathered() {
        // 5 bytes of contents, it says; then raw blocks of 64 KiB each.
        let head = [&MAGIC[..], &[0x20, 5]].concat();
        let block = [&[0, 0, 8][..], &[b'x'; 64 << 10]].concat();
        let mut endless = io::Read::chain(&head[..], io::Cursor::new(block.repeat(400)));
        let Next::Other(read) = next(&mut endless, Vec::new()).unwrap() else { panic!("taken") };
        assert!(read.len() <= MOST_PACKED + MOST_BLOCK + 3, "{}", read.len());
    }
}
