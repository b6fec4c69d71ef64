// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image check`.

use clap::Args;

use super::target::Source;

/// Check an image: its format, partition table and file systems; mend it with `--repair`
///
/// The tables of a qcow2 file and its like are checked as `qemu-img check` does, both copies of a
/// GUID partition table with their checksums, overlaps and ends of partitions, ext2, ext3 and ext4
/// as `e2fsck` does, FAT as `fsck.fat` does. Of others it is said that they were not checked. The
/// exit code is 1 if something is wrong.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) source: Source,
    /// Mend all that is wrong, or nothing if some of it cannot be mended
    #[arg(long)]
    pub(crate) repair: bool,
    /// Show what would be mended, and keep nothing of it
    #[arg(long, requires = "repair")]
    pub(crate) dry_run: bool,
}

const EXAMPLES: &str = "EXAMPLES
    kiln image check disk.qcow2
    kiln image check --json disk.qcow2 | jq '.parts[] | select(.state == \"damaged\")'
    kiln image check --repair disk.qcow2";
