// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Compressing a cluster as QEMU unpacks it.
//!
//! Source: `block/qcow2-threads.c` of QEMU 10.0. Deflate without a header, whose window is 4 KiB
//! (`inflateInit2` with -12); or one zstd frame, level 3.

use std::io;

use flate2::{Compress, Compression as Level, FlushCompress, Status};

use super::Compression;

/// Bits of deflate's window.
const WINDOW: u8 = 12;
/// zlib's own level, and zstd's.
const DEFLATE_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 3;

/// Compresses clusters, one after the other.
pub(super) struct Packer {
    how: How,
    /// Where a compressed cluster is put. Larger than one: zlib-rs 0.6.8 can panic when it runs
    /// out of room.
    room: Vec<u8>,
}

enum How {
    Deflate(Compress),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Packer {
    pub(super) fn new(how: Compression, cluster: usize) -> io::Result<Self> {
        let how = match how {
            Compression::Zlib => {
                let level = Level::new(DEFLATE_LEVEL);
                How::Deflate(Compress::new_with_window_bits(level, false, WINDOW))
            }
            Compression::Zstd => How::Zstd(zstd::bulk::Compressor::new(ZSTD_LEVEL)?),
        };
        Ok(Self { how, room: vec![0; cluster + cluster / 8 + 1024] })
    }

    /// Returns the cluster compressed; `None` if that does not make it smaller.
    pub(super) fn pack(&mut self, cluster: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let len = match &mut self.how {
            How::Deflate(deflate) => {
                deflate.reset();
                let ended = deflate.compress(cluster, &mut self.room, FlushCompress::Finish)?;
                let len = usize::try_from(deflate.total_out()).unwrap_or(usize::MAX);
                (ended == Status::StreamEnd).then_some(len)
            }
            How::Zstd(zstd) => Some(zstd.compress_to_buffer(cluster, &mut self.room)?),
        };
        let smaller = len.filter(|len| *len < cluster.len());
        Ok(smaller.and_then(|len| self.room.get(..len)).map(<[u8]>::to_vec))
    }
}
