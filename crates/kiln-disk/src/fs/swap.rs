// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Swap space: the header that `mkswap` writes.
//!
//! Source: mkswap(8); Linux, `include/linux/swap.h`, `union swap_header`.

use std::io;

use uuid::Uuid;

use crate::device::Device;

/// Bytes of a page of x86-64, and of 64-bit ARM as distributions set it.
const PAGE: u64 = 4096;
/// The fewest pages that Linux takes.
const LEAST: u64 = 10;

/// Writes a header over the first page of `device`, all of which becomes swap space.
///
/// # Errors
///
/// What the device says; [`io::ErrorKind::InvalidInput`] if it is smaller than 40 KiB or larger
/// than 16 TiB.
pub fn write(device: &mut dyn Device, uuid: Uuid) -> io::Result<()> {
    let pages = device.size() / PAGE;
    let last = u32::try_from(pages.saturating_sub(1)).ok().filter(|_| pages >= LEAST);
    let Some(last) = last else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no size for swap space"));
    };
    let mut page = [0; 4096];
    page[1024..1028].copy_from_slice(&1_u32.to_le_bytes());
    page[1028..1032].copy_from_slice(&last.to_le_bytes());
    // No bad pages.
    page[1036..1052].copy_from_slice(uuid.as_bytes());
    page[4086..].copy_from_slice(b"SWAPSPACE2");
    device.write_at(0, &page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::RawFile;

    #[test]
    fn a_size_that_linux_does_not_take_is_refused() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(9 * PAGE).unwrap();
        let mut device = RawFile::new(file).unwrap();
        assert!(write(&mut device, Uuid::nil()).is_err());
    }
}
