// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A new qcow2 file, written from front to end.
//!
//! | module | what |
//! |---|---|
//! | `pack` | compressing a cluster as QEMU unpacks it |
//! | `writer` | clusters, tables and reference counts |
//!
//! Clusters of zeros are left out. Clusters that do not get smaller are written as they are.

mod pack;
mod writer;

use std::path::Path;

use super::error::ConvertError;
use super::pump::{Pump, is_zero};
use super::target::Target;
use super::{CLUSTER, Compression, ConvertOptions, Converted};
use crate::device::Device;
use pack::Packer;
use writer::{Shape, Writer};

/// A cluster of a part, as it is to be written.
enum Cluster {
    /// Nothing: zeros.
    Zeros,
    /// As it is.
    Plain,
    /// Compressed.
    Packed(Vec<u8>),
}

pub(super) fn write(
    sources: Vec<Box<dyn Device + '_>>,
    pump: &Pump<'_>,
    target: &Path,
    options: &ConvertOptions,
) -> Result<Converted, ConvertError> {
    let cluster = options.cluster_size.unwrap_or(CLUSTER);
    let shape = Shape {
        // QEMU counts in sectors.
        size: pump.size.next_multiple_of(512),
        cluster_bits: cluster.trailing_zeros(),
        old: options.old,
        zstd: options.compress == Some(Compression::Zstd),
    };
    let failed = ConvertError::write(target);
    let made = Target::new(target).map_err(&failed)?;
    let mut writer = Writer::new(made.file(), shape).map_err(ConvertError::Option)?;
    let len = usize::try_from(cluster).expect("a cluster is 2 MiB at most");
    let prepare = |_at: u64, bytes: &[u8]| {
        let mut packer = options.compress.map(|how| Packer::new(how, len)).transpose()?;
        let prepare = |cluster: &[u8]| {
            if is_zero(cluster) {
                return Ok(Cluster::Zeros);
            }
            // The last one of a disk may be short; it is padded, which is not worth packing.
            let whole = cluster.len() == len;
            let packed = match &mut packer {
                Some(packer) if whole => packer.pack(cluster)?,
                _ => None,
            };
            Ok(packed.map_or(Cluster::Plain, Cluster::Packed))
        };
        bytes.chunks(len).map(prepare).collect::<std::io::Result<Vec<_>>>()
    };
    let place = |at: u64, bytes: &[u8], clusters: Vec<Cluster>| {
        let mut number = at >> shape.cluster_bits;
        let mut from = 0;
        let mut clusters = clusters.into_iter().zip(bytes.chunks(len)).peekable();
        while let Some((cluster, part)) = clusters.next() {
            let mut end = from + part.len();
            let mut count = 1;
            match cluster {
                Cluster::Zeros => {}
                Cluster::Packed(packed) => writer.packed(number, &packed)?,
                Cluster::Plain => {
                    // Neighbours are written at once.
                    while let Some((_, more)) =
                        clusters.next_if(|(next, _)| matches!(next, Cluster::Plain))
                    {
                        (end, count) = (end + more.len(), count + 1);
                    }
                    writer.plain(number, count, &bytes[from..end])?;
                }
            }
            (number, from) = (number + count, end);
        }
        Ok(())
    };
    pump.run(sources, &prepare, place, &failed)?;
    writer.finish().map_err(&failed)?;
    made.finish(options, shape.size)
}
