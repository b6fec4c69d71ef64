// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where in an image a file system may begin.

use kiln_disk::device::Device;
use kiln_disk::table;

/// Returns the places (start and length in bytes) that may hold a root file system: the whole
/// disk first, then the partitions, biggest first.
pub(super) fn candidates(device: &mut dyn Device) -> Vec<(u64, u64)> {
    // A table that cannot be read has nothing to be seen in.
    let partitions = table::read(device).map(|table| table.partitions).unwrap_or_default();
    let files = partitions.iter().filter(|partition| !partition.kind.is_without_files());
    let mut found: Vec<_> = files.map(|partition| (partition.start, partition.len)).collect();
    found.sort_by_key(|(_, length)| std::cmp::Reverse(*length));
    found.insert(0, (0, device.size()));
    found
}
