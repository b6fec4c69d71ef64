// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a recipe says of the disk.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

use super::file::{Finding, Size, least};
use super::words::{GuestPath, Label, MountOptions, VolumeGroup};
use crate::Bytes;

/// The least disk: what the packages of every image and their updates need.
const LEAST_DISK: Bytes = Bytes::from_gib(1);
/// The least EFI system partition: FAT32 needs 65,525 clusters (of 512 bytes).
const LEAST_ESP: Bytes = Bytes::from_mib(34);
/// The least file system of a partition's own: ext4 with its journal.
const LEAST_VOLUME: Bytes = Bytes::from_mib(16);
const DEFAULT_DISK: Bytes = Bytes::from_gib(2);
/// Sparse: what is not used costs nothing.
const DEFAULT_TREE_DISK: Bytes = Bytes::from_gib(8);
const DEFAULT_ESP: Bytes = Bytes::from_mib(64);
/// The most partitions beside the root: a sane bound for a list.
const MOST_PARTITIONS: usize = 32;

/// The disk of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// How large it is; a machine's may be larger.
    pub size: Bytes,
    /// How much of it is the EFI system partition.
    pub esp: Bytes,
    /// How much of it is swap space, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap: Option<Bytes>,
    /// The label of the root file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    /// What the root file system is.
    #[serde(skip_serializing_if = "FileSystem::is_usual")]
    pub filesystem: FileSystem,
    /// The volume group that the root is a logical volume of, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lvm: Option<VolumeGroup>,
    /// Its partition table.
    #[serde(skip_serializing_if = "Table::is_gpt")]
    pub table: Table,
    /// The firmware that it boots with; `None` for all that the base has loaders for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firmware: Option<DiskFirmware>,
    /// More file systems, and the root's size if another takes what is left.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<Partition>,
    /// Whether the recipe says how large it is.
    #[serde(skip)]
    pub size_given: bool,
    /// Whether the recipe says how it is divided.
    #[serde(skip)]
    pub layout_given: bool,
}

/// The kind of a disk's partition table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    /// A GUID partition table.
    #[default]
    Gpt,
    /// The old kind, for disks of up to 2 TiB.
    Mbr,
}

impl Table {
    fn is_gpt(&self) -> bool {
        *self == Self::Gpt
    }
}

/// The firmware that a disk must boot with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DiskFirmware {
    /// BIOS only.
    Bios,
    /// UEFI only.
    Uefi,
    /// BIOS and UEFI.
    Both,
}

/// The kind of a file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileSystem {
    /// ext4.
    #[default]
    Ext4,
    /// FAT.
    Vfat,
    /// XFS.
    Xfs,
    /// btrfs.
    Btrfs,
}

impl FileSystem {
    fn is_usual(&self) -> bool {
        *self == Self::Ext4
    }

    /// Returns the package with its tools, as Debian and the RPM family call it; `None` for one that
    /// every system has.
    #[must_use]
    pub const fn package(self) -> Option<&'static str> {
        match self {
            Self::Ext4 | Self::Vfat => None,
            Self::Xfs => Some("xfsprogs"),
            Self::Btrfs => Some("btrfs-progs"),
        }
    }

    /// The least that is made, and the longest label, in bytes.
    const fn limits(self) -> (Bytes, usize) {
        match self {
            Self::Ext4 => (LEAST_VOLUME, 16),
            Self::Vfat => (LEAST_VOLUME, 11),
            Self::Xfs => (Bytes::from_mib(300), 12),
            Self::Btrfs => (Bytes::from_mib(128), 16),
        }
    }
}

impl Disk {
    /// Returns the packages with the tools of its file systems and volumes that not every system has.
    #[must_use]
    pub fn packages(&self) -> Vec<&'static str> {
        [FileSystem::Xfs, FileSystem::Btrfs]
            .into_iter()
            .filter(|kind| self.has(*kind))
            .filter_map(FileSystem::package)
            .chain(self.lvm.as_ref().map(|_| "lvm2"))
            .collect()
    }

    /// Returns whether one of its file systems is of this kind.
    #[must_use]
    pub fn has(&self, kind: FileSystem) -> bool {
        let mut all = self.partitions.iter().map(|partition| partition.filesystem);
        self.filesystem == kind || all.any(|other| other == kind)
    }
}

/// A partition with a file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Partition {
    /// Where it is mounted; `/` for the root.
    pub mount: String,
    /// Its size; `None` for what is left.
    pub size: Option<Bytes>,
    /// What it is.
    pub filesystem: FileSystem,
    /// Its label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    /// How it is mounted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<MountOptions>,
}

/// What is written for a switch, by those who take `lvm` for one.
const NO_GROUPS: [&str; 6] = ["true", "false", "yes", "no", "on", "off"];

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DiskFile {
    /// How large it is, 1 GiB or more; a machine's may be larger.
    #[schemars(with = "Option<Size>")]
    size: Option<Spanned<Size>>,
    /// How much of it is the EFI system partition, 34 MiB or more.
    #[schemars(with = "Option<Size>")]
    esp: Option<Spanned<Size>>,
    /// How much of it is swap space.
    #[schemars(with = "Option<Size>")]
    swap: Option<Spanned<Size>>,
    /// The label of the root file system.
    #[schemars(with = "Option<Label>")]
    label: Option<Spanned<Label>>,
    /// What the root file system is; ext4.
    #[serde(default)]
    #[schemars(with = "Option<FileSystem>")]
    filesystem: Option<Spanned<FileSystem>>,
    /// The volume group that the root is a logical volume of.
    #[schemars(with = "Option<VolumeGroup>")]
    lvm: Option<Spanned<VolumeGroup>>,
    /// Its partition table; GPT.
    table: Option<Table>,
    /// The firmware that it must boot with; all that the base has loaders for.
    firmware: Option<DiskFirmware>,
    /// More file systems.
    #[serde(default)]
    #[schemars(with = "Vec<PartitionFile>")]
    partitions: Vec<Spanned<PartitionFile>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PartitionFile {
    /// Where it is mounted; `/` for the root.
    mount: Mount,
    /// Its size; or `grow`.
    #[schemars(with = "Option<Size>")]
    size: Option<Spanned<Size>>,
    /// Whether it takes what is left of the disk; or `size`.
    #[serde(default)]
    grow: bool,
    /// What it is; ext4.
    #[serde(default)]
    filesystem: FileSystem,
    /// Its label.
    label: Option<Label>,
    /// How it is mounted.
    options: Option<MountOptions>,
}

/// A place in the tree, the root included.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
struct Mount(String);

impl TryFrom<String> for Mount {
    type Error = super::WordError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == "/" {
            return Ok(Self(text));
        }
        text.parse::<GuestPath>().map(|path| Self(path.to_string()))
    }
}

impl DiskFile {
    /// Checks what one value alone cannot tell.
    pub(super) fn check(&self) -> Result<(), Finding> {
        least("the disk", &self.size, LEAST_DISK)?;
        least("the EFI system partition", &self.esp, LEAST_ESP)?;
        least("swap space", &self.swap, Bytes::from_mib(1))?;
        if let Some(esp) = &self.esp {
            let size = self.size.as_ref().map_or(DEFAULT_DISK, |size| size.value.0);
            if esp.value.0 > Bytes(size.0 / 2) {
                return Err((
                    esp.referenced,
                    format!("the EFI system partition takes more than half of the disk ({size})"),
                ));
            }
        }
        if let Some(group) = &self.lvm
            && NO_GROUPS.contains(&group.value.to_string().to_lowercase().as_str())
        {
            let message =
                format!("`{}` is no volume group; give it a name: `lvm: vg0`", group.value);
            return Err((group.referenced, message));
        }
        self.check_root()?;
        self.check_partitions()
    }

    fn check_root(&self) -> Result<(), Finding> {
        let kind = self.root_kind();
        match &self.filesystem {
            Some(at) if kind == FileSystem::Vfat => {
                return Err((at.referenced, "FAT cannot hold the root of a system".into()));
            }
            _ => {}
        }
        self.label.as_ref().map_or(Ok(()), |label| {
            fits(&label.value, kind).map_err(|message| (label.referenced, message))
        })
    }

    fn root_kind(&self) -> FileSystem {
        self.filesystem.as_ref().map_or_else(FileSystem::default, |kind| kind.value)
    }

    fn check_partitions(&self) -> Result<(), Finding> {
        let mut mounts = std::collections::BTreeSet::new();
        let mut grows = 0;
        for (number, part) in self.partitions.iter().enumerate() {
            let wrong = |message: String| Err((part.referenced, message));
            let PartitionFile { mount: Mount(mount), size, grow, filesystem, label, options } =
                &part.value;
            if number == MOST_PARTITIONS {
                return wrong(format!("there are more than {MOST_PARTITIONS} partitions"));
            }
            if !mounts.insert(mount) {
                return wrong(format!("two partitions are mounted at `{mount}`"));
            }
            let kind = if mount == "/" { self.root_kind() } else { *filesystem };
            least(&format!("the partition for `{mount}`"), size, kind.limits().0)?;
            if let Some(Err(message)) = label.as_ref().map(|label| fits(label, kind)) {
                return wrong(message);
            }
            match (size, grow) {
                (None, false) => return wrong(format!("`{mount}` needs the key `size` or `grow`")),
                (Some(_), true) => {
                    return wrong(format!("`{mount}` has both `size` and `grow`"));
                }
                _ => grows += usize::from(*grow),
            }
            if grows > 1 {
                return wrong("only one partition can take what is left (`grow`)".into());
            }
            if mount == "/" && (*filesystem != FileSystem::Ext4 || options.is_some()) {
                return wrong(
                    "the root's file system is `disk.filesystem`; its options are its own".into(),
                );
            }
            if mount == "/" && label.is_some() {
                return wrong("the root's label is `disk.label`".into());
            }
        }
        let root = self.partitions.iter().any(|part| part.value.mount.0 == "/");
        match self.partitions.iter().find(|part| part.value.grow) {
            Some(other) if other.value.mount.0 != "/" && !root => Err((
                other.referenced,
                format!(
                    "`{}` takes what is left, so that the root needs an entry with its `size`",
                    other.value.mount.0
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Returns the disk, for a Debian or Ubuntu, or for another base.
    pub(super) fn into_disk(self, is_debian: bool) -> Disk {
        let usual = if is_debian { DEFAULT_DISK } else { DEFAULT_TREE_DISK };
        let filesystem = self.root_kind();
        let layout_given = self.esp.is_some()
            || self.filesystem.is_some()
            || self.lvm.is_some()
            || self.swap.is_some()
            || self.table.is_some()
            || self.firmware.is_some()
            || !self.partitions.is_empty();
        let partition = |part: Spanned<PartitionFile>| {
            let PartitionFile { mount: Mount(mount), size, filesystem, label, options, .. } =
                part.value;
            let size = size.map(|size| size.value.0);
            Partition { mount, size, filesystem, label, options }
        };
        Disk {
            size_given: self.size.is_some(),
            layout_given,
            size: self.size.map_or(usual, |size| size.value.0),
            esp: self.esp.map_or(DEFAULT_ESP, |esp| esp.value.0),
            swap: self.swap.map(|swap| swap.value.0),
            label: self.label.map(|label| label.value),
            filesystem,
            lvm: self.lvm.map(|group| group.value),
            table: self.table.unwrap_or_default(),
            firmware: self.firmware,
            partitions: self.partitions.into_iter().map(partition).collect(),
        }
    }
}

/// Says what is wrong with a label.
fn fits(label: &Label, kind: FileSystem) -> Result<(), String> {
    let (label, (_, most)) = (label.to_string(), kind.limits());
    if label.len() <= most {
        return Ok(());
    }
    Err(format!("`{label}` is no label of 1 to {most} ASCII characters"))
}
