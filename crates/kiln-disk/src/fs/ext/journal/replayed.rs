// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A device as it is after its journal was replayed, without a write to it.

use std::io;

use super::{Blocks, MAGIC};
use crate::device::{Device, len64};

/// A device some of whose blocks are read from its journal.
#[derive(Debug)]
pub(super) struct Replayed {
    device: Box<dyn Device>,
    block: u64,
    blocks: Blocks,
}

impl Replayed {
    pub(super) fn new(device: Box<dyn Device>, block: u64, blocks: Blocks) -> Self {
        Self { device, block, blocks }
    }
}

impl Device for Replayed {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        self.device.read_at(at, buf)?;
        // The read has shown that the end is within the device.
        let end = at + len64(buf);
        for (&index, copied) in self.blocks.range(at / self.block..end.div_ceil(self.block)) {
            let start = index * self.block;
            let (from, to) = (at.max(start), end.min(start + self.block));
            let index = |offset: u64| usize::try_from(offset).expect("within the buffer");
            let part = &mut buf[index(from - at)..index(to - at)];
            let into = from - start;
            self.device.read_at(copied.block * self.block + into, part)?;
            if copied.escaped {
                let rest = MAGIC.iter().skip(usize::try_from(into).unwrap_or(usize::MAX));
                part.iter_mut().zip(rest).for_each(|(byte, &magic)| *byte = magic);
            }
        }
        Ok(())
    }

    fn write_at(&mut self, _: u64, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn discard(&mut self, _: u64, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn size(&self) -> u64 {
        self.device.size()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Copied;
    use super::*;
    use crate::device::RawFile;

    #[test]
    fn blocks_come_from_the_journal_whatever_part_is_read() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(8192).unwrap();
        let mut device = RawFile::new(file).unwrap();
        let bytes: Vec<u8> =
            (0..8192_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
        device.write_at(0, &bytes).unwrap();
        let blocks = Blocks::from([
            (1, Copied { block: 5, escaped: false }),
            (2, Copied { block: 6, escaped: true }),
        ]);
        let mut expected = bytes.clone();
        expected[1024..2048].copy_from_slice(&bytes[5120..6144]);
        expected[2048..3072].copy_from_slice(&bytes[6144..7168]);
        expected[2048..2052].copy_from_slice(&MAGIC);
        let mut replayed = Replayed::new(Box::new(device), 1024, blocks);
        for (at, len) in [(0, 8192), (1000, 100), (2046, 4), (2049, 2), (2051, 5), (3000, 200)] {
            let mut got = vec![0; len];
            replayed.read_at(at as u64, &mut got).unwrap();
            assert_eq!(got, expected[at..at + len], "{at} {len}");
        }
        assert!(replayed.write_at(0, &[1]).is_err());
    }
}
