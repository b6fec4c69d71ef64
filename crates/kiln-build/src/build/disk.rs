// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From a tree of layers to a disk: its archive goes straight into the assembler, one pass.

use std::path::Path;

use kiln_disk::assemble::{
    self, AssembleError, Assembled, Holds, Layout, NewTable, OutputFormat, Part, Progress, Volume,
    VolumeKind,
};
use kiln_host::CmdError;
use kiln_host::tools::guestfish::Fish;
use kiln_spec::image::Firmware;
use kiln_spec::recipe::{Base, DiskFirmware, FileSystem, Partition, Table};
use kiln_spec::{Arch, Bytes};

use super::BuildContext;
use super::plan::Plan;
use crate::BuildError;
use crate::stage::{Event, Reporter, Stage};
use crate::workspace::Workspace;

/// How many bytes lie between two reports.
const STEP: u64 = 8 << 20;

/// Checks whether there can be such a disk: what is wrong is told before anything is built for it.
pub(super) fn check(plan: &Plan<'_>) -> Result<(), BuildError> {
    // No appliance is started for this.
    let layout = layout(plan, Path::new(""), &Fish { kvm: false })?;
    assemble::check(&layout).map_err(BuildError::Disk)
}

/// Makes the disk `disk`, which must not exist; nothing is left of it on failure.
pub(super) fn make(
    plan: &Plan<'_>,
    workspace: &mut Workspace<'_>,
    disk: &Path,
    (ctx, reporter): (&BuildContext<'_>, &Reporter<'_>),
) -> Result<Assembled, BuildError> {
    let layout = layout(plan, disk, ctx.fish)?;
    let mut told = 0;
    let assembled = workspace.tar(plan.epoch, |tar| {
        assemble::assemble(&layout, tar, ctx.host, &mut |progress| match progress {
            Progress::Tree { bytes, .. } if bytes >= told + STEP => {
                told = bytes;
                reporter.tell(Event::Bytes { stage: Stage::Disk, done: Bytes(told), of: None });
            }
            Progress::Appliance => {
                reporter.tell(Event::Stage(Stage::Appliance));
            }
            _ => {}
        })
    })?;
    match assembled {
        Ok(assembled) => Ok(assembled),
        Err(
            AssembleError::Interrupted
            | AssembleError::Tool { source: CmdError::Interrupted { .. } },
        ) => Err(BuildError::Interrupted),
        Err(error) => Err(BuildError::Disk(error)),
    }
}

/// Returns the layout, as the recipe says it, or diskimage-builder's elements if it does not.
fn layout(plan: &Plan<'_>, output: &Path, fish: &Fish) -> Result<Layout, BuildError> {
    let disk = &plan.recipe.disk;
    let mut layout = Layout::new(output.to_owned(), plan.disk_size(), plan.seed(), plan.epoch);
    layout.format = OutputFormat::Qcow2;
    layout.esp = disk.esp;
    layout.swap = disk.swap;
    layout.filesystem = kind_of(disk.filesystem);
    layout.lvm = disk.lvm.as_ref().map(ToString::to_string);
    layout.fish = fish.clone();
    layout.table = match disk.table {
        Table::Gpt => NewTable::Gpt,
        Table::Mbr => NewTable::Mbr,
    };
    if let Some(words) = &plan.kernel_cmdline {
        layout.cmdline = layout.cmdline.and(words);
    }
    layout.arch = Some(plan.arch);
    if plan.arch == Arch::Arm64 {
        layout.firmware = vec![Firmware::Uefi];
    }
    // Whoever made a tree knows which loaders it has.
    layout.any_firmware = matches!(plan.recipe.base, Base::Tree(_)) && disk.firmware.is_none();
    match disk.firmware {
        Some(DiskFirmware::Bios) => layout.firmware = vec![Firmware::Bios],
        Some(DiskFirmware::Uefi) => layout.firmware = vec![Firmware::Uefi],
        Some(DiskFirmware::Both) => layout.firmware = vec![Firmware::Bios, Firmware::Uefi],
        None => {}
    }
    if let Some(wanted) = plan.block_device.as_ref().filter(|_| !disk.layout_given) {
        layout.table = wanted.table;
        let parts = wanted.parts(layout.size);
        layout.partitions =
            Some(parts.map_err(|what| BuildError::Disk(AssembleError::BadLayout { what }))?);
        layout.label = wanted.label.clone().unwrap_or(layout.label);
        layout.filesystem = wanted.filesystem;
        if !layout.parts().iter().any(|part| part.holds == Holds::Esp) {
            layout.firmware.retain(|firmware| *firmware != Firmware::Uefi);
        }
    } else if !disk.partitions.is_empty() {
        layout.partitions = Some(parts(&layout, &disk.partitions));
    }
    if let Some(label) = &disk.label {
        layout.label = label.to_string();
    }
    Ok(layout)
}

fn kind_of(filesystem: FileSystem) -> VolumeKind {
    match filesystem {
        FileSystem::Ext4 => VolumeKind::Ext4,
        FileSystem::Vfat => VolumeKind::Vfat,
        FileSystem::Xfs => VolumeKind::Xfs,
        FileSystem::Btrfs => VolumeKind::Btrfs,
    }
}

/// Returns the usual partitions, with a recipe's own between them: what takes the rest of the disk
/// comes last.
fn parts(usual: &Layout, wanted: &[Partition]) -> Vec<Part> {
    let mut parts = usual.parts();
    let mut root = parts.pop().expect("the root is there, and the last");
    let mut last = None;
    for partition in wanted {
        let Partition { mount, size, filesystem, label, options } = partition;
        if mount == "/" {
            root.size = *size;
            continue;
        }
        let volume = Volume {
            mount: mount.clone(),
            kind: kind_of(*filesystem),
            label: label.as_ref().map(ToString::to_string),
            options: options.as_ref().map(ToString::to_string),
        };
        let name = mount.trim_start_matches('/').replace('/', "-");
        let part = Part { name, size: *size, holds: Holds::Volume(volume) };
        if size.is_some() { parts.push(part) } else { last = Some(part) }
    }
    parts.push(root);
    parts.extend(last);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_the_rest_comes_last() {
        let usual = Layout::new("x".into(), Bytes::from_gib(4), [1; 16], 1);
        let names = |yaml: &str| {
            let text = format!(
                "kiln: 1\nname: d\nbase: {{debian: bookworm}}\ndisk: {{partitions: {yaml}}}\n"
            );
            let recipe = kiln_spec::Recipe::parse(&text, "r").unwrap_or_else(|e| panic!("{e}"));
            let parts = parts(&usual, &recipe.disk.partitions);
            let one = |part: &Part| {
                let size = part.size.map_or("rest".into(), |size| (size.0 >> 20).to_string());
                format!("{} {size}", part.name)
            };
            parts.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(
            names("[{mount: /var/log, size: 64MiB}, {mount: /boot, size: 256MiB}]"),
            "bios-boot 1, esp 64, var-log 64, boot 256, root rest"
        );
        assert_eq!(
            names("[{mount: /srv, grow: true}, {mount: /, size: 1GiB}, {mount: /b, size: 64MiB}]"),
            "bios-boot 1, esp 64, b 64, root 1024, srv rest"
        );
    }
}
