// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a partition is for.
//!
//! Source: UEFI 2.10, 5.3.3; the Discoverable Partitions Specification; `sfdisk --list-types`.

use std::fmt;

use uuid::{Uuid, uuid};

use super::gpt::{BIOS_BOOT, ESP, ROOT_ARM64, ROOT_X86_64};

/// What a partition is for, as its table says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PartitionKind {
    /// The type GUID of a GPT.
    Gpt(Uuid),
    /// The type byte of an MBR.
    Mbr(u8),
}

/// A Linux file system in a GPT.
pub const LINUX_DATA: Uuid = uuid!("0fc63daf-8483-4772-8e79-3d69d8477de4");
/// Swap space in a GPT.
pub const LINUX_SWAP: Uuid = uuid!("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f");
/// A boot loader's own partition, as the boot loader specification has it.
pub const LINUX_XBOOTLDR: Uuid = uuid!("bc13c2ff-59e6-4262-a352-b275fd6f7172");

const GPT: &[(Uuid, &str)] = &[
    (ESP, "EFI system"),
    (BIOS_BOOT, "BIOS boot"),
    (LINUX_DATA, "Linux"),
    (LINUX_SWAP, "Linux swap"),
    (LINUX_XBOOTLDR, "Linux extended boot"),
    (ROOT_X86_64, "Linux root (x86-64)"),
    (ROOT_ARM64, "Linux root (ARM-64)"),
    (uuid!("44479540-f297-41b2-9af7-d131d5f0458a"), "Linux root (x86)"),
    (uuid!("69dad710-2ce4-4e3c-b16c-21a1d49abed3"), "Linux root (ARM)"),
    (uuid!("8484680c-9521-48c6-9c11-b0720656f69e"), "Linux /usr (x86-64)"),
    (uuid!("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5"), "Linux root verity (x86-64)"),
    (uuid!("933ac7e1-2eb4-4f13-b844-0e14e2aef915"), "Linux home"),
    (uuid!("3b8f8425-20e0-4f3b-907f-1a25a76f98e8"), "Linux server data"),
    (uuid!("4d21b016-b534-45c2-a9fb-5c16e091fd2d"), "Linux variable data"),
    (uuid!("e6d6d379-f507-44c2-a23c-238f2a3df928"), "Linux LVM"),
    (uuid!("a19d880f-05fc-4d3b-a006-743f0f84911e"), "Linux RAID"),
    (uuid!("ca7d7ccb-63ed-4c53-861c-1742536059cc"), "Linux LUKS"),
    (uuid!("8da63339-0007-60c0-c436-083ac8230908"), "Linux reserved"),
    (uuid!("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"), "Microsoft basic data"),
    (uuid!("e3c9e316-0b5c-4db8-817d-f92df00215ae"), "Microsoft reserved"),
    (uuid!("de94bba4-06d1-4d40-a16a-bfd50179d6ac"), "Windows recovery environment"),
    (uuid!("9e1a2d38-c612-4316-aa26-8b49521e5a8b"), "PowerPC PReP boot"),
    (uuid!("024dee41-33e7-11d3-9d69-0008c781f39f"), "MBR partition scheme"),
    (uuid!("516e7cb4-6ecf-11d6-8ff8-00022d09712b"), "FreeBSD data"),
    (uuid!("83bd6b9d-7f41-11dc-be0b-001560b84f0f"), "FreeBSD boot"),
    (uuid!("516e7cb5-6ecf-11d6-8ff8-00022d09712b"), "FreeBSD swap"),
    (uuid!("516e7cb6-6ecf-11d6-8ff8-00022d09712b"), "FreeBSD UFS"),
    (uuid!("516e7cba-6ecf-11d6-8ff8-00022d09712b"), "FreeBSD ZFS"),
    (uuid!("6a898cc3-1dd2-11b2-99a6-080020736631"), "Solaris /usr, or ZFS"),
    (uuid!("48465300-0000-11aa-aa11-00306543ecac"), "Apple HFS+"),
    (uuid!("7c3457ef-0000-11aa-aa11-00306543ecac"), "Apple APFS"),
];

const MBR: &[(u8, &str)] = &[
    (0x00, "empty"),
    (0x01, "FAT12"),
    (0x04, "FAT16, under 32 MiB"),
    (0x05, "extended"),
    (0x06, "FAT16"),
    (0x07, "NTFS, exFAT or HPFS"),
    (0x0b, "FAT32"),
    (0x0c, "FAT32 (LBA)"),
    (0x0e, "FAT16 (LBA)"),
    (0x0f, "extended (LBA)"),
    (0x11, "hidden FAT12"),
    (0x17, "hidden NTFS or HPFS"),
    (0x27, "hidden NTFS, Windows recovery"),
    (0x41, "PowerPC PReP boot"),
    (0x82, "Linux swap"),
    (0x83, "Linux"),
    (0x85, "Linux extended"),
    (0x8e, "Linux LVM"),
    (0xa5, "FreeBSD"),
    (0xa6, "OpenBSD"),
    (0xa9, "NetBSD"),
    (0xaf, "HFS or HFS+"),
    (0xbf, "Solaris"),
    (0xcd, "ISO 9660"),
    (0xda, "data without a file system"),
    (0xea, "Linux extended boot"),
    (0xee, "GPT"),
    (0xef, "EFI system"),
    (0xfd, "Linux RAID"),
];

impl PartitionKind {
    /// Returns what it is called: `EFI system`, `Linux`; `unknown` if that is not known.
    #[must_use]
    pub fn name(self) -> &'static str {
        let known = match self {
            Self::Gpt(id) => GPT.iter().find(|(known, _)| *known == id).map(|(_, name)| *name),
            Self::Mbr(id) => MBR.iter().find(|(known, _)| *known == id).map(|(_, name)| *name),
        };
        known.unwrap_or("unknown")
    }

    /// Returns whether it holds logical partitions instead of data.
    #[must_use]
    pub fn is_extended(self) -> bool {
        matches!(self, Self::Mbr(0x05 | 0x0f | 0x85))
    }

    /// Returns whether it is an EFI system partition.
    #[must_use]
    pub fn is_esp(self) -> bool {
        self == Self::Gpt(ESP) || self == Self::Mbr(0xef)
    }

    /// Returns whether it never holds a file system: boot code, or other partitions.
    #[must_use]
    pub fn is_without_files(self) -> bool {
        self == Self::Gpt(BIOS_BOOT) || self == Self::Mbr(0xee) || self.is_extended()
    }
}

/// The type as `sfdisk` writes it: a GUID in capitals, or two digits.
impl fmt::Display for PartitionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gpt(id) => write!(f, "{}", id.to_string().to_uppercase()),
            Self::Mbr(id) => write!(f, "{id:x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_and_are_listed_once() {
        assert_eq!(PartitionKind::Gpt(ESP).name(), "EFI system");
        assert_eq!(PartitionKind::Mbr(0x83).name(), "Linux");
        assert_eq!(PartitionKind::Mbr(0x99).name(), "unknown");
        assert_eq!(PartitionKind::Gpt(ESP).to_string(), "C12A7328-F81F-11D2-BA4B-00A0C93EC93B");
        let mut ids: Vec<_> = GPT.iter().map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), GPT.len());
        assert!(MBR.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
