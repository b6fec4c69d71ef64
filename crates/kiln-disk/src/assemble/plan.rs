// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What follows from a [`Layout`]: partitions and their places, UUIDs.

use std::io;

use kiln_host::tools::mke2fs::Ext4;
use kiln_spec::image::Firmware;
use kiln_spec::{Arch, Bytes};
use uuid::Uuid;

use super::layout::NewTable;
use super::{AssembleError, Layout};
use crate::device::Device;
use crate::fs::fat::FatImage;
use crate::table::gpt::{self, Extent, GptPlan, PartitionSpec};
use crate::table::mbr::plan::{self as mbr, MbrPlan, MbrSpec};

/// Size of the BIOS boot partition: GRUB's core image takes 50 to 120 KiB.
const BIOS_BOOT: Bytes = Bytes::from_mib(1);
/// Where GRUB's core image goes on a disk with an old table: between that and the first partition.
const GAP: Extent = Extent { start: 512, len: (1 << 20) - 512 };

#[derive(Debug)]
enum Table {
    Gpt(GptPlan),
    Mbr(MbrPlan),
}

/// What follows from a [`Layout`]: UUIDs and places.
#[derive(Debug)]
pub(super) struct Plan {
    table: Table,
    /// Where GRUB's core image for BIOS goes.
    pub(super) bios: Extent,
    pub(super) esp: Option<Extent>,
    pub(super) swap: Option<(Extent, Uuid)>,
    pub(super) root: Extent,
    /// The root partition as GRUB names it: `gpt3`, `msdos1`.
    pub(super) grub_root: String,
    /// The number of the disk, as `blkid` shows it.
    pub(super) disk_id: String,
    pub(super) root_partuuid: String,
    pub(super) root_uuid: Uuid,
    hash_seed: Uuid,
    esp_serial: u32,
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
        let placed = match layout.table {
            NewTable::Gpt => gpt_table(layout, &ids),
            NewTable::Mbr => mbr_table(layout, &ids),
        };
        let placed = placed.map_err(|source| AssembleError::Table { size: layout.size, source })?;
        let mut extents = placed.extents.into_iter();
        let mut next = |there: bool| extents.next_if_some(there);
        let bios = next(layout.table == NewTable::Gpt).unwrap_or(GAP);
        let esp = next(layout.has_esp());
        let swap = next(layout.swap.is_some()).map(|extent| (extent, ids.of("swap space")));
        let root = next(true).expect("every plan has a root");
        Ok(Self {
            table: placed.table,
            bios,
            esp,
            swap,
            root,
            grub_root: placed.grub_root,
            disk_id: placed.disk_id,
            root_partuuid: placed.root_partuuid,
            root_uuid: ids.of("root file system"),
            hash_seed: ids.of("directory hash"),
            esp_serial: ids.short("esp file system"),
        })
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

/// Takes the next item only where there is one.
trait NextIf<T> {
    fn next_if_some(&mut self, there: bool) -> Option<T>;
}

impl<T, I: Iterator<Item = T>> NextIf<T> for I {
    fn next_if_some(&mut self, there: bool) -> Option<T> {
        if there { self.next() } else { None }
    }
}

struct Placed {
    table: Table,
    extents: Vec<Extent>,
    grub_root: String,
    disk_id: String,
    root_partuuid: String,
}

fn gpt_table(layout: &Layout, ids: &Ids) -> Result<Placed, gpt::LayoutError> {
    let part = |name: &str, kind, size| {
        let id = ids.of(&format!("partition {name}"));
        PartitionSpec { name: name.to_owned(), kind, id, size }
    };
    // The root comes last, so that it can grow with the disk.
    let mut parts = vec![
        part("bios-boot", gpt::BIOS_BOOT, Some(BIOS_BOOT)),
        part("esp", gpt::ESP, Some(layout.esp)),
    ];
    parts.extend(layout.swap.map(|size| part("swap", gpt::SWAP, Some(size))));
    let root = match layout.arch {
        None | Some(Arch::Amd64) => part("root-x86-64", gpt::ROOT_X86_64, None),
        Some(Arch::Arm64) => part("root-arm64", gpt::ROOT_ARM64, None),
    };
    let root_partuuid = root.id.to_string();
    parts.push(root);
    let disk = ids.of("disk");
    let table = gpt::plan(layout.size, disk, &parts)?;
    Ok(Placed {
        extents: table.extents().collect(),
        table: Table::Gpt(table),
        grub_root: format!("gpt{}", parts.len()),
        disk_id: disk.to_string(),
        root_partuuid,
    })
}

fn mbr_table(layout: &Layout, ids: &Ids) -> Result<Placed, gpt::LayoutError> {
    let bios = layout.firmware.contains(&Firmware::Bios);
    let mut parts = Vec::new();
    if layout.has_esp() {
        let (kind, active) = (mbr::ESP, false);
        parts.push(MbrSpec { name: "esp", kind, active, size: Some(layout.esp) });
    }
    if let Some(size) = layout.swap {
        parts.push(MbrSpec { name: "swap", kind: mbr::SWAP, active: false, size: Some(size) });
    }
    parts.push(MbrSpec { name: "root", kind: mbr::LINUX, active: bios, size: None });
    let disk = ids.short("disk");
    let table = mbr::plan(layout.size, disk, &parts)?;
    Ok(Placed {
        extents: table.extents().collect(),
        table: Table::Mbr(table),
        grub_root: format!("msdos{}", parts.len()),
        disk_id: format!("{disk:08x}"),
        root_partuuid: format!("{disk:08x}-{:02x}", parts.len()),
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
        assert_eq!((mib(gpt.bios), mib(gpt.esp.unwrap())), ((1, 1), (2, 64)));
        assert_eq!((mib(gpt.swap.unwrap().0), mib(gpt.root)), ((66, 100), (166, 1881)));
        assert_eq!(gpt.grub_root, "gpt4");
        let mbr = Layout { swap, table: NewTable::Mbr, ..layout() };
        let both = Plan::of(&mbr).unwrap();
        assert_eq!((mib(both.esp.unwrap()), mib(both.root)), ((1, 64), (165, 1883)));
        assert_eq!((both.bios, both.grub_root.as_str()), (GAP, "msdos3"));
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
