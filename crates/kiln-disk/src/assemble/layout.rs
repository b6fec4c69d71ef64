// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is wanted of a disk.

use std::path::PathBuf;

use kiln_host::tools::guestfish::Fish;
use kiln_spec::image::Firmware;
use kiln_spec::recipe::KernelWords;
use kiln_spec::{Arch, Bytes};

use super::{AssembleError, partitions};

/// The kernel's messages go to the screen and to the first serial line; what comes last is
/// `/dev/console`.
pub const DEFAULT_CMDLINE: &str = "console=tty0 console=ttyS0,115200n8";
/// Size of the EFI system partition: signed GRUB and shim take 6 MiB.
pub const DEFAULT_ESP: Bytes = Bytes::from_mib(64);
/// Size of the BIOS boot partition: GRUB's core image takes 50 to 120 KiB.
pub const BIOS_BOOT: Bytes = Bytes::from_mib(1);
/// The longest name of a volume group: a sane bound.
const MOST_GROUP: usize = 32;
/// The longest host name: hostname(7).
const MOST_HOSTNAME: usize = 64;

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

/// The kind of a disk's partition table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NewTable {
    /// A GUID partition table.
    #[default]
    Gpt,
    /// The old kind, for disks of up to 2 TiB.
    Mbr,
}

/// The kind of a file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VolumeKind {
    /// ext4.
    #[default]
    Ext4,
    /// FAT: files and folders only, without owners and permissions.
    Vfat,
    /// XFS, which an appliance fills.
    Xfs,
    /// btrfs, which an appliance fills.
    Btrfs,
}

impl VolumeKind {
    /// Returns its name for fstab(5).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Vfat => "vfat",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }

    /// Returns the module of GRUB that reads it.
    pub(super) const fn grub_module(self) -> &'static str {
        match self {
            Self::Ext4 => "ext2",
            Self::Vfat => "fat",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }

    /// Returns whether an appliance fills it: no code of ours writes it.
    #[must_use]
    pub const fn is_foreign(self) -> bool {
        matches!(self, Self::Xfs | Self::Btrfs)
    }

    /// The longest label, in bytes.
    pub(super) const fn most_label(self) -> usize {
        match self {
            Self::Ext4 | Self::Btrfs => 16,
            Self::Vfat => 11,
            Self::Xfs => 12,
        }
    }

    /// The least that its tool makes.
    pub(super) const fn least(self) -> Bytes {
        match self {
            Self::Ext4 | Self::Vfat => Bytes(0),
            Self::Xfs => Bytes::from_mib(300),
            Self::Btrfs => Bytes::from_mib(128),
        }
    }
}

/// A file system beside the root's, with what the tree has at its mount point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Where it is mounted: `/var`.
    pub mount: String,
    /// What it is.
    pub kind: VolumeKind,
    /// Its label: at most 16 bytes, of FAT 11, of XFS 12.
    pub label: Option<String>,
    /// How it is mounted, for fstab(5); `None` for `defaults`.
    pub options: Option<String>,
}

/// What a partition holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holds {
    /// GRUB's core image, on a disk with a GPT that boots by BIOS.
    BiosBoot,
    /// The EFI system partition.
    Esp,
    /// Swap space.
    Swap,
    /// The root file system.
    Root,
    /// Another file system.
    Volume(Volume),
}

/// A partition that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name in a GPT: at most 36 characters, no other partition's.
    pub name: String,
    /// Its size; `None`, for the last one only, for all that is left.
    pub size: Option<Bytes>,
    /// What it holds.
    pub holds: Holds,
}

/// The format of the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputFormat {
    /// The bytes of the disk, with holes.
    #[default]
    Raw,
    /// QEMU's own format, not compressed.
    Qcow2,
}

/// The disk that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The image: must not exist.
    pub output: PathBuf,
    /// Its format.
    pub format: OutputFormat,
    /// Whether the image is forced onto the medium (fsync) before it gets its name.
    pub durable: bool,
    /// Size of the disk. A part of a MiB at its end is not used.
    pub size: Bytes,
    /// The kind of partition table.
    pub table: NewTable,
    /// What all UUIDs are made from: another seed gives other UUIDs, the same the same.
    pub seed: [u8; 16],
    /// Seconds since 1970: time of the file systems' creation, and of the files that Kiln adds.
    pub time: u64,
    /// Label of the root file system, at most 16 bytes, of XFS 12.
    pub label: String,
    /// What the root file system is: not FAT.
    pub filesystem: VolumeKind,
    /// The volume group that the root is the logical volume `root` of, if it is one: at most 32 of
    /// a-z, 0-9 and `_`.
    pub lvm: Option<String>,
    /// How the appliance is started that fills what no code of ours writes.
    pub fish: Fish,
    /// The partitions, in their order; `None` for the usual ones: a BIOS boot partition, an EFI
    /// system partition, swap space, and the root last.
    pub partitions: Option<Vec<Part>>,
    /// Size of the EFI system partition.
    pub esp: Bytes,
    /// Size of a swap partition, if there is to be one.
    pub swap: Option<Bytes>,
    /// Files that are put into the tree after the stream, over what it has.
    pub files: Vec<ExtraFile>,
    /// The kernel's command line, without `root=` and `ro`.
    pub cmdline: KernelWords,
    /// The host's name; `None` leaves the tree's.
    pub hostname: Option<String>,
    /// Whether the host keys of SSH and what else makes a machine that one stay in the tree.
    pub keep_identity: bool,
    /// The processor that the tree must be for; `None` for whichever it is for.
    pub arch: Option<Arch>,
    /// The firmware that the disk is to boot with: all of these, and at least one.
    pub firmware: Vec<Firmware>,
    /// Whether one of them is enough: those that the tree has no loader for are left out.
    pub any_firmware: bool,
}

impl Layout {
    /// Returns the layout of a raw disk for x86-64 with a GPT, a root labelled `root`, both kinds
    /// of firmware, a serial console, no swap and no extra files.
    ///
    /// # Panics
    ///
    /// Never: the command line is one that Kiln takes.
    #[must_use]
    pub fn new(output: PathBuf, size: Bytes, seed: [u8; 16], time: u64) -> Self {
        Self {
            output,
            format: OutputFormat::Raw,
            durable: false,
            size,
            table: NewTable::Gpt,
            seed,
            time,
            label: "root".to_owned(),
            filesystem: VolumeKind::Ext4,
            lvm: None,
            fish: Fish::default(),
            partitions: None,
            esp: DEFAULT_ESP,
            swap: None,
            files: Vec::new(),
            cmdline: DEFAULT_CMDLINE.parse().expect("words without quotes"),
            hostname: None,
            keep_identity: false,
            arch: Some(Arch::Amd64),
            firmware: vec![Firmware::Bios, Firmware::Uefi],
            any_firmware: false,
        }
    }

    /// Returns the partitions, in their order.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        if let Some(parts) = &self.partitions {
            return parts.clone();
        }
        let part = |name: &str, size, holds| Part { name: name.to_owned(), size, holds };
        let gpt = self.table == NewTable::Gpt;
        let esp = gpt || self.firmware.contains(&Firmware::Uefi);
        let mut parts = Vec::new();
        if gpt {
            parts.push(part("bios-boot", Some(BIOS_BOOT), Holds::BiosBoot));
        }
        if esp {
            parts.push(part("esp", Some(self.esp), Holds::Esp));
        }
        parts.extend(self.swap.map(|size| part("swap", Some(size), Holds::Swap)));
        // The root comes last, so that it can grow with the disk.
        parts.push(part("root", None, Holds::Root));
        parts
    }

    pub(super) fn check(&self) -> Result<(), AssembleError> {
        let bad = |what: String| Err(AssembleError::BadLayout { what });
        let plain = |c: char| c.is_ascii_graphic() || c == ' ';
        let most = self.filesystem.most_label();
        if self.label.is_empty() || self.label.len() > most || !self.label.chars().all(plain) {
            return bad(format!("`{}` is no label of 1 to {most} ASCII characters", self.label));
        }
        if self.filesystem == VolumeKind::Vfat {
            return bad("FAT cannot hold the root of a system".to_owned());
        }
        if self.firmware.is_empty() {
            return bad("there is no firmware that it is to boot with".to_owned());
        }
        let bios = self.firmware.contains(&Firmware::Bios) && !self.any_firmware;
        if self.arch == Some(Arch::Arm64) && bios {
            return bad("arm64 has no BIOS".to_owned());
        }
        if let Some(name) = &self.lvm {
            let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if name.is_empty() || name.len() > MOST_GROUP || !name.chars().all(good) {
                return bad(format!("`{}` is no name of a volume group", name.escape_debug()));
            }
        }
        if let Some(name) = &self.hostname {
            let good = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
            if name.is_empty() || name.len() > MOST_HOSTNAME || !name.chars().all(good) {
                return bad(format!("`{}` is no host name", name.escape_debug()));
            }
        }
        partitions::check(self).or_else(bad)?;
        for file in &self.files {
            let mut names = file.path.split('/').filter(|n| !n.is_empty()).peekable();
            if names.peek().is_none() || names.any(|n| n == "." || n == ".." || n.contains('\0')) {
                return bad(format!("`{}` is no path of an extra file", file.path.escape_debug()));
            }
        }
        Ok(())
    }
}
