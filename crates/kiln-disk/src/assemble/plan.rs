// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What follows from a [`Layout`]: partitions and their places, UUIDs.

use std::io;

use kiln_host::tools::mke2fs::Ext4;
use kiln_spec::image::Firmware;
use kiln_spec::{Arch, Bytes};
use uuid::Uuid;

use super::layout::{Holds, NewTable, Part, Volume, VolumeKind};
use super::{AssembleError, Layout};
use crate::device::Device;
use crate::fs::fat::{self, FatImage};
use crate::table::gpt::{self, Extent, GptPlan, PartitionSpec};
use crate::table::mbr::plan::{self as mbr, MbrPlan, MbrSpec};

/// Where GRUB's core image goes on a disk with an old table: between that and the first partition.
const GAP: Extent = Extent { start: 512, len: (1 << 20) - 512 };

/// What LVM keeps free at the beginning of a physical volume, and the unit of its volumes.
const LVM_START: u64 = 1 << 20;
const LVM_UNIT: u64 = 4 << 20;

#[derive(Debug)]
enum Table {
    Gpt(GptPlan),
    Mbr(MbrPlan),
}

/// What follows from a [`Layout`]: UUIDs and places.
#[derive(Debug)]
pub(super) struct Plan {
    table: Table,
    /// Where GRUB's core image for BIOS goes, if there is a place.
    pub(super) bios: Option<Extent>,
    pub(super) esp: Option<Extent>,
    pub(super) swap: Option<(Extent, Uuid)>,
    pub(super) root: Extent,
    pub(super) root_kind: VolumeKind,
    /// The volume group that the root is in.
    pub(super) lvm: Option<String>,
    /// The other file systems.
    pub(super) volumes: Vec<PlacedVolume>,
    /// The place of `/boot` as GRUB names it: `,gpt3`, `,msdos1`, `lvm/vg0-root`.
    pub(super) grub_root: String,
    /// The modules of GRUB that read it.
    pub(super) grub_modules: Vec<&'static str>,
    /// The number of the disk, as `blkid` shows it.
    pub(super) disk_id: String,
    pub(super) root_partuuid: String,
    pub(super) root_uuid: Uuid,
    hash_seed: Uuid,
    esp_serial: u32,
}

/// A file system beside the root's, and its place.
#[derive(Clone, Debug)]
pub(super) struct PlacedVolume {
    pub(super) volume: Volume,
    pub(super) place: Extent,
    uuid: Uuid,
    hash_seed: Uuid,
    serial: u32,
}

impl PlacedVolume {
    /// Returns its number as blkid(8) shows it.
    pub(super) fn uuid(&self) -> String {
        match self.volume.kind {
            VolumeKind::Ext4 | VolumeKind::Xfs | VolumeKind::Btrfs => self.uuid.to_string(),
            VolumeKind::Vfat => fat::serial_text(self.serial),
        }
    }

    pub(super) fn ext4(&self, layout: &Layout) -> Ext4 {
        Ext4 {
            offset: 0,
            size: self.place.len,
            label: self.volume.label.clone().unwrap_or_default(),
            uuid: self.uuid.to_string(),
            time: layout.time.max(1),
            hash_seed: self.hash_seed.to_string(),
        }
    }

    pub(super) fn fat(&self, layout: &Layout) -> FatImage {
        let label = self.volume.label.as_deref().unwrap_or("NO NAME");
        FatImage::new(label, self.serial, layout.time)
    }
}

/// The UUIDs that follow from a seed.
struct Ids(Uuid);

impl Ids {
    fn of(&self, what: &str) -> Uuid {
        Uuid::new_v5(&self.0, what.as_bytes())
    }

    /// Returns a number that is not 0.
    fn short(&self, what: &str) -> u32 {
        let (first, _) = self.of(what).as_u64_pair();
        u32::try_from(first >> 32).expect("32 bits are left")
    }
}

impl Plan {
    pub(super) fn of(layout: &Layout) -> Result<Self, AssembleError> {
        layout.check()?;
        let ids = Ids(Uuid::from_bytes(layout.seed));
        let parts = layout.parts();
        let placed = match layout.table {
            NewTable::Gpt => gpt_table(layout, &parts, &ids),
            NewTable::Mbr => mbr_table(layout, &parts, &ids),
        };
        let placed = placed.map_err(|source| AssembleError::Table { size: layout.size, source })?;
        let at = |wanted: &Holds| {
            let number = parts.iter().position(|part| part.holds == *wanted)?;
            Some((number, placed.extents[number]))
        };
        let (root_number, root) = at(&Holds::Root).expect("it was looked for");
        let bios = match layout.table {
            NewTable::Gpt => at(&Holds::BiosBoot).map(|(_, place)| place),
            NewTable::Mbr => Some(GAP),
        };
        let mut volumes = Vec::new();
        let mut boot = root_number;
        for (number, part) in parts.iter().enumerate() {
            let Holds::Volume(volume) = &part.holds else { continue };
            if volume.mount == "/boot" {
                boot = number;
            }
            let name = &part.name;
            volumes.push(PlacedVolume {
                volume: volume.clone(),
                place: placed.extents[number],
                uuid: ids.of(&format!("file system {name}")),
                hash_seed: ids.of(&format!("directory hash {name}")),
                serial: ids.short(&format!("fat file system {name}")),
            });
        }
        large_enough(layout.filesystem, root_len(layout, root), "/")?;
        for placed in &volumes {
            large_enough(placed.volume.kind, placed.place.len, &placed.volume.mount)?;
        }
        // What is mounted on another comes after it.
        volumes.sort_by(|a, b| a.volume.mount.cmp(&b.volume.mount));
        let (grub_root, grub_modules) = as_grub(layout, boot, boot == root_number, &parts);
        Ok(Self {
            bios,
            esp: at(&Holds::Esp).map(|(_, place)| place),
            swap: at(&Holds::Swap).map(|(_, place)| (place, ids.of("swap space"))),
            root,
            root_kind: layout.filesystem,
            lvm: layout.lvm.clone(),
            volumes,
            grub_root,
            grub_modules,
            disk_id: placed.disk_id,
            root_partuuid: placed.partuuids[root_number].clone(),
            root_uuid: ids.of("root file system"),
            hash_seed: ids.of("directory hash"),
            esp_serial: ids.short("esp file system"),
            table: placed.table,
        })
    }

    /// Returns the file system that has `/boot`, if that is not the root's.
    pub(super) fn boot(&self) -> Option<&PlacedVolume> {
        self.volumes.iter().find(|placed| placed.volume.mount == "/boot")
    }

    /// Returns whether an appliance fills one of the file systems.
    pub(super) fn has_foreign(&self) -> bool {
        let mut kinds = self.volumes.iter().map(|placed| placed.volume.kind);
        self.root_kind.is_foreign() || self.lvm.is_some() || kinds.any(VolumeKind::is_foreign)
    }

    /// Returns whether the tree is completed in a file system of its own first.
    pub(super) fn is_staged(&self) -> bool {
        !self.volumes.is_empty() || self.root_kind.is_foreign() || self.lvm.is_some()
    }

    /// Returns the UUID of the file system that has `/boot`.
    pub(super) fn boot_uuid(&self) -> String {
        self.boot().map_or_else(|| self.root_uuid.to_string(), PlacedVolume::uuid)
    }

    pub(super) fn write_table(&self, disk: &mut dyn Device) -> io::Result<()> {
        match &self.table {
            Table::Gpt(plan) => plan.write(disk),
            Table::Mbr(plan) => plan.write(disk),
        }
    }

    /// Returns the root file system as one in a file of its own.
    pub(super) fn ext4(&self, layout: &Layout) -> Ext4 {
        Ext4 {
            offset: 0,
            size: root_len(layout, self.root),
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

/// Returns the size of the root's file system. Source: pvcreate(8), `--dataalignment`; vgcreate(8),
/// `--physicalextentsize`.
fn root_len(layout: &Layout, root: Extent) -> u64 {
    match layout.lvm {
        Some(_) => root.len.saturating_sub(LVM_START) / LVM_UNIT * LVM_UNIT,
        None => root.len,
    }
}

/// Returns the place of `/boot` as GRUB names it, and the modules that read it.
fn as_grub(
    layout: &Layout,
    boot: usize,
    is_root: bool,
    parts: &[Part],
) -> (String, Vec<&'static str>) {
    let kind = match &parts[boot].holds {
        Holds::Volume(volume) => volume.kind,
        _ => layout.filesystem,
    };
    let (table, module) = match layout.table {
        NewTable::Gpt => ("gpt", "part_gpt"),
        NewTable::Mbr => ("msdos", "part_msdos"),
    };
    match layout.lvm.as_ref().filter(|_| is_root) {
        Some(group) => (format!("lvm/{group}-root"), vec![module, "lvm", kind.grub_module()]),
        None => (format!(",{table}{}", boot + 1), vec![module, kind.grub_module()]),
    }
}

fn large_enough(kind: VolumeKind, size: u64, mount: &str) -> Result<(), AssembleError> {
    let (size, least) = (Bytes(size), kind.least());
    if size >= least {
        return Ok(());
    }
    let kind = kind.name();
    let what = format!("{kind} for `{mount}` needs at least {least}, and its partition has {size}");
    Err(AssembleError::BadLayout { what })
}

struct Placed {
    table: Table,
    extents: Vec<Extent>,
    partuuids: Vec<String>,
    disk_id: String,
}

fn gpt_table(layout: &Layout, parts: &[Part], ids: &Ids) -> Result<Placed, gpt::LayoutError> {
    let (root_kind, usual_root) = match layout.arch {
        None | Some(Arch::Amd64) => (gpt::ROOT_X86_64, "root-x86-64"),
        Some(Arch::Arm64) => (gpt::ROOT_ARM64, "root-arm64"),
    };
    let spec = |part: &Part| {
        let kind = match &part.holds {
            Holds::BiosBoot => gpt::BIOS_BOOT,
            Holds::Esp => gpt::ESP,
            Holds::Swap => gpt::SWAP,
            Holds::Root if layout.lvm.is_some() => gpt::LVM,
            Holds::Root => root_kind,
            Holds::Volume(Volume { kind: VolumeKind::Vfat, .. }) => gpt::BASIC_DATA,
            Holds::Volume(_) => gpt::LINUX,
        };
        let is_usual = part.holds == Holds::Root && part.name == "root";
        let name = if is_usual { usual_root } else { part.name.as_str() };
        let id = ids.of(&format!("partition {name}"));
        PartitionSpec { name: name.to_owned(), kind, id, size: part.size }
    };
    let specs: Vec<_> = parts.iter().map(spec).collect();
    let disk = ids.of("disk");
    let table = gpt::plan(layout.size, disk, &specs)?;
    Ok(Placed {
        extents: table.extents().collect(),
        partuuids: specs.iter().map(|spec| spec.id.to_string()).collect(),
        table: Table::Gpt(table),
        disk_id: disk.to_string(),
    })
}

fn mbr_table(layout: &Layout, parts: &[Part], ids: &Ids) -> Result<Placed, gpt::LayoutError> {
    let bios = layout.firmware.contains(&Firmware::Bios);
    let spec = |part: &Part| {
        let kind = match &part.holds {
            Holds::Esp => mbr::ESP,
            Holds::Swap => mbr::SWAP,
            Holds::Volume(Volume { kind: VolumeKind::Vfat, .. }) => mbr::FAT,
            Holds::Root if layout.lvm.is_some() => mbr::LVM,
            _ => mbr::LINUX,
        };
        let active = bios && part.holds == Holds::Root;
        MbrSpec { name: part.name.clone(), kind, active, size: part.size }
    };
    let specs: Vec<_> = parts.iter().map(spec).collect();
    let disk = ids.short("disk");
    let table = mbr::plan(layout.size, disk, &specs)?;
    Ok(Placed {
        extents: table.extents().collect(),
        partuuids: (1..=specs.len()).map(|number| format!("{disk:08x}-{number:02x}")).collect(),
        table: Table::Mbr(table),
        disk_id: format!("{disk:08x}"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::ExtraFile;
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
        let all =
            [one.root_uuid.to_string(), one.disk_id, one.root_partuuid, one.hash_seed.to_string()];
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
    }

    #[test]
    fn partitions_lie_one_after_the_other() {
        let mib = |extent: Extent| (extent.start >> 20, extent.len >> 20);
        let swap = Some(Bytes::from_mib(100));
        let gpt = Plan::of(&Layout { swap, ..layout() }).unwrap();
        assert_eq!((mib(gpt.bios.unwrap()), mib(gpt.esp.unwrap())), ((1, 1), (2, 64)));
        assert_eq!((mib(gpt.swap.unwrap().0), mib(gpt.root)), ((66, 100), (166, 1881)));
        assert_eq!(
            (gpt.grub_root.as_str(), &gpt.grub_modules[..]),
            (",gpt4", &["part_gpt", "ext2"][..])
        );
        let lvm = Layout { lvm: Some("vg0".into()), filesystem: VolumeKind::Xfs, ..layout() };
        let lvm = Plan::of(&lvm).unwrap();
        assert_eq!(lvm.grub_root, "lvm/vg0-root");
        assert_eq!(lvm.grub_modules, ["part_gpt", "lvm", "xfs"]);
        assert_eq!(
            (mib(lvm.root).1, lvm.ext4(&Layout { lvm: lvm.lvm.clone(), ..layout() }).size >> 20),
            (1981, 1980)
        );
        let mbr = Layout { swap, table: NewTable::Mbr, ..layout() };
        let both = Plan::of(&mbr).unwrap();
        assert_eq!((mib(both.esp.unwrap()), mib(both.root)), ((1, 64), (165, 1883)));
        assert_eq!((both.bios.unwrap(), both.grub_root.as_str()), (GAP, ",msdos3"));
        let bios = Layout { firmware: vec![Firmware::Bios], ..mbr };
        let bios = Plan::of(&bios).unwrap();
        assert_eq!((bios.esp, mib(bios.root)), (None, (101, 1947)));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let file = ExtraFile { path: "/../x".into(), mode: 0, bytes: vec![] };
        let cases = [
            (
                Layout { label: String::new(), ..layout() },
                "`` is no label of 1 to 16 ASCII characters",
            ),
            (
                Layout { firmware: vec![], ..layout() },
                "there is no firmware that it is to boot with",
            ),
            (Layout { arch: Some(Arch::Arm64), ..layout() }, "arm64 has no BIOS"),
            (Layout { files: vec![file], ..layout() }, "`/../x` is no path of an extra file"),
            (Layout { hostname: Some("a b".into()), ..layout() }, "`a b` is no host name"),
        ];
        for (layout, why) in cases {
            assert_eq!(error(&layout), format!("the disk's layout cannot be made: {why}"));
        }
        for table in [NewTable::Gpt, NewTable::Mbr] {
            let small = Layout { size: Bytes::from_mib(60), table, ..layout() };
            assert_eq!(error(&small), "the partitions do not fit a disk of 60 MiB");
        }
    }
}
