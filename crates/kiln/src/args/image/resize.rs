// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image resize`.

use clap::Args;
use kiln_disk::resize::Which;
use kiln_spec::Bytes;

use super::target::Target;

/// Make an image's disk larger or smaller, with its last partition and the file system in it
///
/// No partition moves or gets another number. ext2, ext3 and ext4 go with their partition; others
/// are left for the guest to grow, and cannot be made smaller.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Resize {
    #[command(flatten)]
    pub(crate) target: Target,
    /// The disk's new size: `20G`, or more or less than now: `+5G`, `-5G`
    #[arg(value_name = "SIZE", value_parser = new_size, allow_hyphen_values = true)]
    pub(crate) size: NewSize,
    /// The partition that gets what the disk gains: its number, `auto` for the last one, or `none`
    #[arg(long, value_name = "PARTITION", default_value = "auto", value_parser = which)]
    pub(crate) partition: Which,
    /// Allow the disk to become smaller
    #[arg(long)]
    pub(crate) shrink: bool,
}

const EXAMPLES: &str = "EXAMPLES
    kiln image resize disk.qcow2 20G
    kiln image resize disk.qcow2 +5G --dry-run
    kiln image resize disk.qcow2 3G --shrink -o small.qcow2";

/// The size that a disk is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NewSize {
    /// This one.
    Is(Bytes),
    /// So much more.
    More(Bytes),
    /// So much less.
    Less(Bytes),
}

impl NewSize {
    /// Returns the size of a disk that has `old` now; `None` if there is no such size.
    pub(crate) fn of(self, old: Bytes) -> Option<u64> {
        match self {
            Self::Is(size) => Some(size.0),
            Self::More(more) => old.0.checked_add(more.0),
            Self::Less(less) => old.0.checked_sub(less.0),
        }
    }
}

fn new_size(text: &str) -> Result<NewSize, String> {
    let size = |text: &str| text.parse::<Bytes>().map_err(|error| error.to_string());
    Ok(match text.split_at_checked(1) {
        Some(("+", more)) => NewSize::More(size(more)?),
        Some(("-", less)) => NewSize::Less(size(less)?),
        _ => NewSize::Is(size(text)?),
    })
}

fn which(text: &str) -> Result<Which, String> {
    match text {
        "auto" => Ok(Which::Last),
        "none" => Ok(Which::None),
        number => number
            .parse()
            .map(Which::Number)
            .map_err(|_| format!("`{number}` is no number of a partition, `auto` or `none`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_may_be_relative() {
        let old = Bytes::from_gib(4);
        for (text, size) in [("20G", Some(20)), ("+5G", Some(9)), ("-1G", Some(3)), ("-5G", None)] {
            let of = new_size(text).unwrap().of(old);
            assert_eq!(of, size.map(|gib: u64| gib << 30), "{text}");
        }
        assert!(new_size("20").is_err() && new_size("").is_err() && new_size("+").is_err());
        assert_eq!(which("3"), Ok(Which::Number(3)));
        assert!(which("last").is_err());
    }
}
