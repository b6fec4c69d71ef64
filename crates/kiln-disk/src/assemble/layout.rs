// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is wanted of a disk, and what follows from it.

use std::path::PathBuf;

use kiln_host::tools::mke2fs::Ext4;
use kiln_spec::image::Firmware;
use kiln_spec::recipe::KernelWords;
use kiln_spec::{Arch, Bytes};
use uuid::Uuid;

use super::AssembleError;
use crate::fs::fat::FatImage;
use crate::table::gpt::{self, Extent, GptPlan, PartitionSpec};

/// The kernel's messages go to the screen and to the first serial line; what comes last is
/// `/dev/console`.
pub const DEFAULT_CMDLINE: &str = "console=tty0 console=ttyS0,115200n8";
/// Size of the EFI system partition: signed GRUB and shim take 6 MiB.
pub const DEFAULT_ESP: Bytes = Bytes::from_mib(64);
/// Size of the BIOS boot partition: GRUB's core image takes 50 to 120 KiB.
const BIOS_BOOT: Bytes = Bytes::from_mib(1);
/// The longest label of an ext4 file system.
const MOST_LABEL: usize = 16;

/// A file to be put into the tree. It belongs to root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraFile {
    /// Its path from the tree's root: `/etc/motd`. Symbolic links before the last name are
    /// followed inside the tree; missing directories are made with mode 0755.
    pub path: String,
    /// Its permissions: `0o644`.
    pub mode: u32,
    /// Its contents.
    pub bytes: Vec<u8>,
}

/// The disk that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The raw image: must not exist.
    pub output: PathBuf,
    /// Size of the disk. A part of a MiB at its end is not used.
    pub size: Bytes,
    /// What all UUIDs are made from: another seed gives other UUIDs, the same the same.
    pub seed: [u8; 16],
    /// Seconds since 1970: time of the file systems' creation, and of the files that Kiln adds.
    pub time: u64,
    /// Label of the root file system, at most 16 bytes.
    pub label: String,
    /// Size of the EFI system partition.
    pub esp: Bytes,
    /// Files that are put into the tree after the stream, over what it has.
    pub files: Vec<ExtraFile>,
    /// The kernel's command line, without `root=` and `ro`.
    pub cmdline: KernelWords,
    /// The processor that the tree must be for.
    pub arch: Arch,
    /// The firmware that the disk is to boot with: all of these, and at least one.
    pub firmware: Vec<Firmware>,
}

impl Layout {
    /// Returns the layout of a disk for x86-64 with a root labelled `root`, both kinds of
    /// firmware, a serial console and no extra files.
    ///
    /// # Panics
    ///
    /// Never: the command line is one that Kiln takes.
    #[must_use]
    pub fn new(output: PathBuf, size: Bytes, seed: [u8; 16], time: u64) -> Self {
        Self {
            output,
            size,
            seed,
            time,
            label: "root".to_owned(),
            esp: DEFAULT_ESP,
            files: Vec::new(),
            cmdline: DEFAULT_CMDLINE.parse().expect("words without quotes"),
            arch: Arch::Amd64,
            firmware: vec![Firmware::Bios, Firmware::Uefi],
        }
    }

    fn check(&self) -> Result<(), AssembleError> {
        let bad = |what: String| Err(AssembleError::BadLayout { what });
        let plain = |c: char| c.is_ascii_graphic() || c == ' ';
        if self.label.is_empty() || self.label.len() > MOST_LABEL || !self.label.chars().all(plain)
        {
            return bad(format!("`{}` is no label of 1 to 16 ASCII characters", self.label));
        }
        if self.firmware.is_empty() {
            return bad("there is no firmware that it is to boot with".to_owned());
        }
        if self.arch == Arch::Arm64 && self.firmware.contains(&Firmware::Bios) {
            return bad("arm64 has no BIOS".to_owned());
        }
        for file in &self.files {
            let mut names = file.path.split('/').filter(|n| !n.is_empty()).peekable();
            if names.peek().is_none() || names.any(|n| n == "." || n == ".." || n.contains('\0')) {
                return bad(format!("`{}` is no path of an extra file", file.path.escape_debug()));
            }
        }
        Ok(())
    }
}

/// What follows from a [`Layout`]: UUIDs and places.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) table: GptPlan,
    pub(super) bios: Extent,
    pub(super) esp: Extent,
    pub(super) root: Extent,
    pub(super) disk_guid: Uuid,
    pub(super) root_partuuid: Uuid,
    pub(super) root_uuid: Uuid,
    hash_seed: Uuid,
    esp_serial: u32,
}

impl Plan {
    pub(super) fn of(layout: &Layout) -> Result<Self, AssembleError> {
        layout.check()?;
        let seed = Uuid::from_bytes(layout.seed);
        let id = |what: &str| Uuid::new_v5(&seed, what.as_bytes());
        let part = |name: &str, kind, size| {
            let id = id(&format!("partition {name}"));
            PartitionSpec { name: name.to_owned(), kind, id, size }
        };
        let root = match layout.arch {
            Arch::Amd64 => part("root-x86-64", gpt::ROOT_X86_64, None),
            Arch::Arm64 => part("root-arm64", gpt::ROOT_ARM64, None),
        };
        let root_partuuid = root.id;
        // The root comes last, so that it can grow with the disk.
        let parts = [
            part("bios-boot", gpt::BIOS_BOOT, Some(BIOS_BOOT)),
            part("esp", gpt::ESP, Some(layout.esp)),
            root,
        ];
        let disk_guid = id("disk");
        let table = gpt::plan(layout.size, disk_guid, &parts)
            .map_err(|source| AssembleError::Table { size: layout.size, source })?;
        let extents: Vec<Extent> = table.extents().collect();
        let (first, _) = id("esp file system").as_u64_pair();
        Ok(Self {
            table,
            bios: extents[0],
            esp: extents[1],
            root: extents[2],
            disk_guid,
            root_partuuid,
            root_uuid: id("root file system"),
            hash_seed: id("directory hash"),
            esp_serial: u32::try_from(first >> 32).expect("32 bits are left"),
        })
    }

    pub(super) fn ext4(&self, layout: &Layout) -> Ext4 {
        Ext4 {
            offset: self.root.start,
            size: self.root.len,
            label: layout.label.clone(),
            uuid: self.root_uuid.to_string(),
            time: layout.time.max(1),
            hash_seed: self.hash_seed.to_string(),
        }
    }

    pub(super) fn esp_image(&self, layout: &Layout) -> FatImage {
        FatImage::new("ESP", self.esp_serial, layout.time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        Layout::new("x".into(), Bytes::from_gib(2), [7; 16], 1_700_000_000)
    }

    fn error(layout: &Layout) -> String {
        Plan::of(layout).unwrap_err().to_string()
    }

    #[test]
    fn uuids_follow_from_the_seed() {
        let (one, same) = (Plan::of(&layout()).unwrap(), Plan::of(&layout()).unwrap());
        let other = Plan::of(&Layout { seed: [8; 16], ..layout() }).unwrap();
        assert_eq!((one.root_uuid, one.esp_serial), (same.root_uuid, same.esp_serial));
        assert_ne!(one.root_uuid, other.root_uuid);
        let all = [one.root_uuid, one.disk_guid, one.root_partuuid, one.hash_seed];
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let cases = [
            (
                Layout { label: String::new(), ..layout() },
                "`` is no label of 1 to 16 ASCII characters",
            ),
            (
                Layout { firmware: vec![], ..layout() },
                "there is no firmware that it is to boot with",
            ),
            (Layout { arch: Arch::Arm64, ..layout() }, "arm64 has no BIOS"),
            (
                Layout {
                    files: vec![ExtraFile { path: "/../x".into(), mode: 0, bytes: vec![] }],
                    ..layout()
                },
                "`/../x` is no path of an extra file",
            ),
        ];
        for (layout, why) in cases {
            assert_eq!(error(&layout), format!("the disk's layout cannot be made: {why}"));
        }
        let small = Layout { size: Bytes::from_mib(60), ..layout() };
        assert_eq!(error(&small), "the partitions do not fit a disk of 60 MiB");
    }
}
