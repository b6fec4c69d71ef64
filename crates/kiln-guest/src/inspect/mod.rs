// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is on a disk image: a glance for those who are about to start it ([`glance`]), and all
//! that can be told without starting it ([`inspect_disk`], [`inspect_system`]).
//!
//! **Invariant:** the image is hostile. What is read is bounded, links are followed inside the
//! tree only, and what cannot be read is noted and taken for absent.

mod accounts;
mod boot;
mod find;
mod glance;
mod initramfs;
mod packages;
mod partitions;
mod report;
mod services;
mod settings;

use kiln_disk::table::DiskId;
use kiln_spec::arch::Arch;

use self::find::Finder;
pub use self::glance::{Glance, Processor, glance};
pub use self::report::{
    Boot, CloudInit, DiskReport, Driver, Inspection, Kernel, MachineId, MountReport, OsReport,
    Package, PartReport, Password, Services, System, User,
};
use crate::backend::direct::{DirectTree, Part};
use crate::guest::{Disk, Place};
use crate::tree::Tree;

/// Programs that every system has, one of which tells the processor.
const PROGRAMS: &[&str] = &["/bin/sh", "/usr/bin/env", "/sbin/init", "/bin/busybox"];

/// Returns what is known of a disk's parts. `used` says whether file systems are opened for how
/// full they are.
#[must_use]
pub fn inspect_disk(disk: &Disk, used: bool) -> DiskReport {
    let part = |place: &Place| {
        let given = |text: &String| (!text.is_empty()).then(|| text.clone());
        let partition = place.partition.as_ref();
        let fill = if used { fill(disk, place) } else { None };
        PartReport {
            device: place.name.clone(),
            start: place.start,
            size: place.len,
            purpose: partition.map(|partition| match partition.kind.name() {
                "unknown" => partition.kind.to_string(),
                name => name.to_owned(),
            }),
            name: partition.and_then(|partition| given(&partition.name)),
            partuuid: place.partuuid(disk.table.id),
            content: place.content.kind.name().to_owned(),
            label: place.content.label.clone(),
            uuid: place.content.uuid.clone(),
            used: fill.map(|(size, free)| size.saturating_sub(free)),
            free: fill.map(|(_, free)| free),
        }
    };
    DiskReport {
        size: disk.size(),
        table: disk.table.kind.map(|kind| kind.name().to_owned()),
        id: disk.table.id.map(|id| match id {
            DiskId::Gpt(uuid) => uuid.to_string(),
            DiskId::Mbr(number) => format!("{number:08x}"),
        }),
        parts: disk.places.iter().map(part).collect(),
    }
}

/// Returns a file system's size and what is free of it.
fn fill(disk: &Disk, place: &Place) -> Option<(u64, u64)> {
    let device = disk.open(place).ok().filter(|_| place.is_direct())?;
    let part = if place.content.kind.is_ext() {
        Part::ext_read(device, "")
    } else if place.content.kind.name() == "vfat" {
        Part::fat_read(device, "")
    } else {
        Part::iso(device, "")
    };
    let usage = DirectTree::new(part.ok()?).usage().ok()?;
    usage.first().map(|usage| (usage.size.0, usage.free.0))
}

/// Returns what is known of the system whose root `tree` shows, and notes about what cannot be
/// read. `root` is the part that its root is in, `start` the beginning of its disk: 512 bytes, or
/// none if it is not known.
#[must_use]
pub fn inspect_system(tree: &mut dyn Tree, root: &str, start: &[u8]) -> (System, Vec<String>) {
    let mounts = tree.usage().unwrap_or_default();
    let mounts = mounts.into_iter().map(|usage| MountReport {
        device: usage.source,
        path: usage.mounted_on.to_string(),
        kind: usage.fs,
    });
    let mounts = mounts.collect();
    let mut find = Finder { tree, notes: Vec::new() };
    let find = &mut find;
    let (package_format, packages) = packages::of(find);
    let system = System {
        root: root.to_owned(),
        os: settings::os(find),
        architecture: PROGRAMS.iter().find_map(|path| architecture(find, path)),
        hostname: settings::hostname(find),
        machine_id: settings::machine_id(find),
        init: settings::init(find),
        package_format,
        kernels: boot::kernels(find),
        boot: boot::boot(find, start),
        users: accounts::users(find),
        services: services::services(find),
        cloud_init: settings::cloud_init(find, &packages),
        packages,
        agents: settings::agents(find),
        selinux: settings::selinux(find),
        timezone: settings::timezone(find),
        locale: settings::locale(find),
        ssh_host_keys: settings::ssh_host_keys(find),
        network: settings::network(find),
        mounts,
    };
    (system, std::mem::take(&mut find.notes))
}

fn architecture(find: &mut Finder<'_>, path: &str) -> Option<String> {
    Some(match glance::of_elf(&find.head(path, 64)?)? {
        Processor::Known(Arch::Amd64) => "x86_64".to_owned(),
        Processor::Known(Arch::Arm64) => "aarch64".to_owned(),
        // elf(5) and `elf.h`: EM_386, EM_PPC64, EM_S390, EM_ARM, EM_RISCV, EM_LOONGARCH.
        Processor::Other(3) => "i686".to_owned(),
        Processor::Other(21) => "ppc64".to_owned(),
        Processor::Other(22) => "s390x".to_owned(),
        Processor::Other(40) => "arm".to_owned(),
        Processor::Other(243) => "riscv64".to_owned(),
        Processor::Other(258) => "loongarch64".to_owned(),
        Processor::Other(machine) => format!("elf-{machine}"),
    })
}
