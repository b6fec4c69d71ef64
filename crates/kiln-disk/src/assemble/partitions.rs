// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a list of partitions may ask for.

use std::collections::BTreeSet;

use kiln_spec::image::Firmware;

use super::layout::{Holds, Layout, NewTable, Part, Volume, VolumeKind};

/// What the system needs before anything but the root is mounted, and what the kernel mounts.
const NOT_APART: [&str; 10] =
    ["/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr"];

/// Says what is wrong with a layout's partitions.
pub(super) fn check(layout: &Layout) -> Result<(), String> {
    let parts = layout.parts();
    let count = |wanted: &Holds| parts.iter().filter(|part| part.holds == *wanted).count();
    if count(&Holds::Root) != 1 {
        return Err("a disk has one root partition".to_owned());
    }
    for (holds, what) in [
        (Holds::BiosBoot, "BIOS boot partition"),
        (Holds::Esp, "EFI system partition"),
        (Holds::Swap, "swap partition"),
    ] {
        if count(&holds) > 1 {
            return Err(format!("there is more than one {what}"));
        }
    }
    let gpt = layout.table == NewTable::Gpt;
    if !gpt && count(&Holds::BiosBoot) > 0 {
        return Err("only a GPT has a BIOS boot partition".to_owned());
    }
    let must = |firmware| layout.firmware.contains(&firmware) && !layout.any_firmware;
    if gpt && must(Firmware::Bios) && count(&Holds::BiosBoot) == 0 {
        return Err("a GPT needs a BIOS boot partition to boot by BIOS".to_owned());
    }
    if must(Firmware::Uefi) && count(&Holds::Esp) == 0 {
        return Err("there is no EFI system partition to boot by UEFI".to_owned());
    }
    let early = parts.iter().rev().skip(1).find(|part| part.size.is_none());
    if let Some(Part { name, .. }) = early {
        return Err(format!("only the last partition can take what is left, and `{name}` is not"));
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = parts.iter().find(|part| !names.insert(&part.name)) {
        return Err(format!("two partitions are called `{}`", twice.name.escape_debug()));
    }
    let mut mounts = BTreeSet::new();
    for part in &parts {
        if let Holds::Volume(volume) = &part.holds {
            check_volume(volume)?;
            if !mounts.insert(&volume.mount) {
                return Err(format!("two partitions are mounted at `{}`", volume.mount));
            }
        }
    }
    Ok(())
}

fn check_volume(volume: &Volume) -> Result<(), String> {
    let Volume { mount, kind, label, options } = volume;
    let plain = |c: char| c.is_ascii_graphic() && !"\\\"'#".contains(c);
    let names: Vec<_> = mount.split('/').skip(1).collect();
    let good = |name: &&str| !name.is_empty() && *name != "." && *name != "..";
    let shown = mount.escape_debug();
    if !mount.starts_with('/') || !mount.chars().all(plain) || !names.iter().all(good) {
        return Err(format!("`{shown}` is no place to mount a partition at"));
    }
    if NOT_APART.contains(&mount.as_str()) {
        return Err(format!(
            "`{shown}` cannot be a partition of its own: it is needed before one is mounted"
        ));
    }
    if mount == "/boot/efi" || (mount == "/boot" && *kind == VolumeKind::Vfat) {
        let why = "the EFI system partition goes to `/boot/efi`, and `/boot` has links";
        return Err(format!("`{shown}` cannot be such a partition: {why}"));
    }
    let most = kind.most_label();
    if let Some(label) = label
        && (label.is_empty() || label.len() > most || !label.chars().all(|c| c.is_ascii_graphic()))
    {
        let label = label.escape_debug();
        return Err(format!("`{label}` is no label of 1 to {most} ASCII characters"));
    }
    match options {
        Some(options) if options.is_empty() || !options.chars().all(plain) => {
            Err(format!("`{}` are no mount options", options.escape_debug()))
        }
        _ => Ok(()),
    }
}
