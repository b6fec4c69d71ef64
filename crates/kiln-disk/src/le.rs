// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Numbers whose low byte comes first, in bytes that were read.
//!
//! Two families: `uNN_at` for what the caller knows to be there, and `uNN_or_zero` for bytes of any
//! length, where what is not there counts as 0.

/// Returns the bytes at an offset.
fn must<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    *bytes[at..].first_chunk().expect("the caller knows that it is there")
}

/// Returns the bytes at an offset, or zeros.
fn may<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
}

/// Returns the number of 16 bits at an offset, which must be there.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(must(bytes, at))
}

/// Returns the number of 32 bits at an offset, which must be there.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(must(bytes, at))
}

/// Returns the number of 64 bits at an offset, which must be there.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(must(bytes, at))
}

/// Returns the number of 16 bits at an offset; 0 if it is not there.
pub(crate) fn u16_or_zero(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(may(bytes, at))
}

/// Returns the number of 32 bits at an offset; 0 if it is not there.
pub(crate) fn u32_or_zero(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(may(bytes, at))
}

/// Returns the number of 64 bits at an offset; 0 if it is not there.
pub(crate) fn u64_or_zero(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(may(bytes, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_low_byte_comes_first() {
        let bytes = [0, 1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(u16_at(&bytes, 1), 0x0201);
        assert_eq!(u32_at(&bytes, 1), 0x0403_0201);
        assert_eq!(u64_at(&bytes, 1), 0x0807_0605_0403_0201);
        assert_eq!(u16_or_zero(&bytes, 7), 0x0807);
        assert_eq!((u16_or_zero(&bytes, 8), u32_or_zero(&bytes, 6)), (0, 0));
        assert_eq!((u64_or_zero(&bytes, 1), u64_or_zero(&bytes, 99)), (u64_at(&bytes, 1), 0));
    }
}
