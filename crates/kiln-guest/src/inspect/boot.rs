// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Kernels, boot loaders, and which firmware finds them.

use std::collections::BTreeMap;

use super::find::Finder;
use super::initramfs;
use super::report::{Boot, Driver, Kernel};

/// Drivers for virtual hardware that are looked for, with the kernel's settings for them.
const DRIVERS: &[(&str, &str)] = &[
    ("virtio_pci", "CONFIG_VIRTIO_PCI"),
    ("virtio_blk", "CONFIG_VIRTIO_BLK"),
    ("virtio_scsi", "CONFIG_SCSI_VIRTIO"),
    ("virtio_net", "CONFIG_VIRTIO_NET"),
    ("nvme", "CONFIG_BLK_DEV_NVME"),
];
/// The most bytes of an initramfs.
const MOST_INITRAMFS: u64 = 1 << 30;
/// The most kernels.
const MOST_KERNELS: usize = 64;
/// What a kernel's file is called before its version.
const IMAGES: &[&str] = &["vmlinuz-", "vmlinux-", "Image-", "kernel-"];
/// Where an ESP is mounted.
const ESPS: &[&str] = &["/boot/efi", "/efi", "/boot"];
/// The loader that an UEFI starts from a disk that it does not know.
const REMOVABLE: &[&str] = &["BOOTX64.EFI", "BOOTAA64.EFI"];

/// Returns the kernels of a system.
pub(super) fn kernels(find: &mut Finder<'_>) -> Vec<Kernel> {
    let mut all: Vec<Kernel> = Vec::new();
    let names = find.names("/boot");
    for name in &names {
        let Some(version) = IMAGES.iter().find_map(|prefix| name.strip_prefix(prefix)) else {
            continue;
        };
        if version.ends_with(".old") || !find.is_file(&format!("/boot/{name}")) {
            continue;
        }
        let initramfs = initramfs_of(&names, version).map(|name| format!("/boot/{name}"));
        let image = format!("/boot/{name}");
        // Alpine and Arch: the name says the flavour, the modules the version.
        let version = real_version(find, &image).unwrap_or_else(|| version.to_owned());
        all.push(Kernel { version, image, initramfs, ..Kernel::default() });
    }
    for folder in ["/usr/lib/modules", "/lib/modules"] {
        for version in find.names(folder) {
            let image = format!("{folder}/{version}/vmlinuz");
            let known = all.iter().any(|kernel| kernel.version == version);
            if !known && find.is_file(&image) {
                let initramfs = initramfs_of(&names, &version).map(|name| format!("/boot/{name}"));
                all.push(Kernel { version, image, initramfs, ..Kernel::default() });
            }
        }
    }
    all.truncate(MOST_KERNELS);
    for kernel in &mut all {
        kernel.modules = find.is_dir(&format!("/lib/modules/{}", kernel.version));
        kernel.drivers = drivers(find, kernel);
    }
    all
}

fn initramfs_of(names: &[String], version: &str) -> Option<String> {
    let wanted = [
        format!("initrd.img-{version}"),
        format!("initramfs-{version}.img"),
        format!("initrd-{version}"),
        format!("initramfs-{version}"),
        format!("initrd-{version}.img"),
    ];
    wanted.into_iter().find(|wanted| names.contains(wanted))
}

/// Returns the version that a kernel for x86 says it has.
///
/// Source: Linux, `Documentation/arch/x86/boot.rst`: `HdrS` at 0x202, and at 0x20e the place of
/// the text, less 0x200.
fn real_version(find: &mut Finder<'_>, image: &str) -> Option<String> {
    let head = find.head(image, 0x9000)?;
    if head.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let place = u16::from_le_bytes(head.get(0x20e..0x210)?.try_into().ok()?);
    let text = head.get(usize::from(place) + 0x200..)?;
    let word = text.split(|&b| b == b' ' || b == 0).next()?;
    let word = std::str::from_utf8(word).ok()?;
    (!word.is_empty() && word.len() < 128 && word.chars().all(|c| c.is_ascii_graphic()))
        .then(|| word.to_owned())
}

fn drivers(find: &mut Finder<'_>, kernel: &Kernel) -> BTreeMap<String, Driver> {
    let folder = format!("/lib/modules/{}", kernel.version);
    let builtin = find.text(&format!("{folder}/modules.builtin")).unwrap_or_default();
    let config = [format!("/boot/config-{}", kernel.version), format!("{folder}/config")];
    let config = config.iter().find_map(|path| find.text(path)).unwrap_or_default();
    let listed = find.text(&format!("{folder}/modules.dep")).unwrap_or_default();
    let has = |text: &str, driver: &str| {
        let mut lines = text.lines().map(|line| line.split(':').next().unwrap_or(line));
        lines.any(|path| initramfs::module(path.as_bytes()).as_deref() == Some(driver))
    };
    let built_in = |(driver, setting): &(&str, &str)| {
        has(&builtin, driver) || config.lines().any(|line| line == format!("{setting}=y"))
    };
    let wanted: Vec<&str> =
        DRIVERS.iter().filter(|one| !built_in(one)).map(|(driver, _)| *driver).collect();
    let unpacked = kernel.initramfs.as_deref().filter(|_| !wanted.is_empty()).and_then(|path| {
        let bytes = find.bytes(path, MOST_INITRAMFS)?;
        let found = initramfs::modules(&bytes, &wanted);
        if found.is_none() {
            find.note(format!("`{path}` cannot be unpacked"));
        }
        found
    });
    let place = |one: &(&str, &str)| match one {
        one if built_in(one) => Driver::BuiltIn,
        (driver, _) if unpacked.as_ref().is_some_and(|found| found.contains(*driver)) => {
            Driver::Initramfs
        }
        (driver, _) if has(&listed, driver) => Driver::Module,
        _ => Driver::Missing,
    };
    DRIVERS.iter().map(|one| (one.0.to_owned(), place(one))).collect()
}

/// Returns how a system boots. `start` is the beginning of its disk.
pub(super) fn boot(find: &mut Finder<'_>, start: &[u8]) -> Boot {
    let mut loaders = Vec::new();
    let mut add = |there: bool, name: &str| {
        if there {
            loaders.push(name.to_owned());
        }
    };
    let grub = ["/boot/grub/grub.cfg", "/boot/grub2/grub.cfg", "/boot/grub/menu.lst"];
    let grub = grub.iter().any(|path| find.is_file(path));
    let extlinux = ["/boot/extlinux/extlinux.conf", "/boot/extlinux.conf", "/extlinux.conf"];
    let extlinux = extlinux.iter().any(|path| find.is_file(path));
    let (mut uefi, mut shim, mut sd_boot, mut uki) = (false, false, false, false);
    for esp in ESPS {
        if !find.is_dir(&format!("{esp}/EFI")) {
            continue;
        }
        uefi |= REMOVABLE.iter().any(|name| find.is_file(&format!("{esp}/EFI/BOOT/{name}")));
        sd_boot |= ["x64", "aa64"]
            .iter()
            .any(|arch| find.is_file(&format!("{esp}/EFI/systemd/systemd-boot{arch}.efi")));
        uki |= find.names(&format!("{esp}/EFI/Linux")).iter().any(|name| name.ends_with(".efi"));
        for vendor in find.names(&format!("{esp}/EFI")).into_iter().take(64) {
            let names = find.names(&format!("{esp}/EFI/{vendor}"));
            shim |= names.iter().any(|name| {
                let name = name.to_ascii_lowercase();
                name.starts_with("shim") && name.ends_with(".efi")
            });
        }
    }
    add(grub, "grub");
    add(sd_boot, "systemd-boot");
    add(extlinux, "extlinux");
    add(uki, "uki");
    // A boot sector with code in it: one that only guards a GPT has none.
    let code = start.get(..440).is_some_and(|code| code.iter().any(|&b| b != 0));
    let signed = start.get(510..512) == Some(&[0x55, 0xaa][..]);
    Boot { loaders, bios: code && signed, uefi, shim }
}
