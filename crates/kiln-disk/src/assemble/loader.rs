// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The boot loaders of one disk: made from the tree, put into the tree and onto the disk.

use std::path::Path;

use kiln_host::Host;
use kiln_spec::Arch;
use kiln_spec::image::Firmware;

use super::config::Facts;
use super::plan::Plan;
use super::{AssembleError, ExtraFile, Layout};
use crate::boot::grub_bios::{self, BiosImage};
use crate::boot::grub_efi::{self, EfiFiles};
use crate::boot::{BootError, Home, Modules};
use crate::device::{Device, Window};
use crate::fs::ext::ExtFs;
use crate::fs::fat::FatImage;

/// What has been made.
#[derive(Debug, Default)]
pub(super) struct Loaders {
    /// Modules that GRUB loads while it runs.
    modules: Vec<Modules>,
    bios: Option<BiosImage>,
    efi: Option<EfiFiles>,
    firmware: Vec<Firmware>,
}

impl Loaders {
    /// Makes what the layout asks for.
    pub(super) fn make(
        fs: &mut ExtFs,
        facts: &Facts<'_>,
        (layout, host): (&Layout, &dyn Host),
        work: &Path,
    ) -> Result<Self, AssembleError> {
        let mut loaders = Self::default();
        for &firmware in &layout.firmware {
            let made = match firmware {
                Firmware::Bios if facts.found.arch == Arch::Arm64 => Ok(false),
                Firmware::Bios if facts.plan.bios.is_none() => Ok(false),
                Firmware::Uefi if facts.plan.esp.is_none() => Ok(false),
                Firmware::Bios => loaders.add_bios(fs, facts, host, work),
                Firmware::Uefi => loaders.add_efi(fs, facts, host, work),
            };
            if made.map_err(|source| AssembleError::Boot { firmware, source })? {
                loaders.firmware.push(firmware);
            } else if !layout.any_firmware {
                return Err(no_grub(firmware, facts.found.arch));
            }
        }
        match layout.firmware.first() {
            Some(&first) if loaders.firmware.is_empty() => Err(no_grub(first, facts.found.arch)),
            _ => Ok(loaders),
        }
    }

    /// Returns the firmware that there is a loader for.
    pub(super) fn firmware(&self) -> Vec<Firmware> {
        self.firmware.clone()
    }

    fn add_bios(
        &mut self,
        fs: &mut ExtFs,
        facts: &Facts<'_>,
        host: &dyn Host,
        work: &Path,
    ) -> Result<bool, BootError> {
        let Some(modules) = Modules::read(fs, grub_bios::PLATFORM)? else { return Ok(false) };
        let root = facts.plan.boot_uuid();
        self.bios = Some(grub_bios::make(&modules, &home(facts, &root), host, work)?);
        self.modules.push(modules);
        Ok(true)
    }

    fn add_efi(
        &mut self,
        fs: &mut ExtFs,
        facts: &Facts<'_>,
        host: &dyn Host,
        work: &Path,
    ) -> Result<bool, BootError> {
        let names = match facts.found.arch {
            Arch::Amd64 => grub_efi::X86_64,
            Arch::Arm64 => grub_efi::ARM64,
        };
        let root = facts.plan.boot_uuid();
        let home = home(facts, &root);
        let found = (facts.found.os.id.as_str(), facts.found.vendors.as_slice());
        self.efi = grub_efi::signed(fs, names, &home, found)?;
        if self.efi.is_some() {
            return Ok(true);
        }
        let Some(modules) = Modules::read(fs, names.platform)? else { return Ok(false) };
        self.efi = Some(grub_efi::make(&modules, names, (&home, work), host)?);
        self.modules.push(modules);
        Ok(true)
    }

    /// Returns the files of GRUB's folder, `/boot/grub`.
    pub(super) fn tree_files(&self, folder: &str) -> Vec<ExtraFile> {
        let of = |modules: &Modules| {
            let platform = modules.platform();
            let file = |(name, bytes): (&str, &[u8])| ExtraFile {
                path: format!("{folder}/{platform}/{name}"),
                mode: 0o644,
                bytes: bytes.to_vec(),
            };
            modules.loadable().map(file).collect::<Vec<_>>()
        };
        self.modules.iter().flat_map(of).collect()
    }

    /// Writes the loaders to the disk, and the EFI system partition even if it stays empty. What
    /// `fat` has of the tree is there already.
    /// Returns whether what is in there is signed.
    pub(super) fn install<D: Device>(
        &self,
        disk: &mut D,
        fat: &mut FatImage,
        plan: &Plan,
    ) -> Result<bool, AssembleError> {
        if let (Some(image), Some(place)) = (&self.bios, plan.bios) {
            let firmware = Firmware::Bios;
            let boot = |source| AssembleError::Boot { firmware, source };
            image.install(disk, place).map_err(boot)?;
        }
        let Some(place) = plan.esp else { return Ok(false) };
        let esp = |source| AssembleError::Esp { source };
        for (path, bytes) in self.efi.iter().flat_map(|efi| &efi.files) {
            fat.add(path, bytes.clone()).map_err(esp)?;
        }
        let firmware = Firmware::Uefi;
        let window = Window::new(disk, place.start, place.len);
        let failed = |source| AssembleError::Boot { firmware, source: BootError::Disk { source } };
        fat.write(&mut window.map_err(failed)?).map_err(esp)?;
        Ok(self.efi.as_ref().is_some_and(|efi| efi.signed))
    }

    /// Returns the paths in the EFI system partition that the loaders take.
    pub(super) fn esp_paths(&self) -> impl Iterator<Item = &str> {
        self.efi.iter().flat_map(|efi| &efi.files).map(|(path, _)| path.as_str())
    }
}

fn home<'a>(facts: &'a Facts<'_>, root_uuid: &'a str) -> Home<'a> {
    let folder = facts.found.grub;
    let folder = match facts.plan.boot() {
        Some(_) => folder.strip_prefix("/boot").unwrap_or(folder),
        None => folder,
    };
    Home { root_uuid, modules: &facts.plan.grub_modules, place: &facts.plan.grub_root, folder }
}

fn no_grub(firmware: Firmware, arch: Arch) -> AssembleError {
    AssembleError::NoGrub { firmware, package: package(firmware, arch) }
}

/// Returns Debian's package with GRUB for a firmware.
fn package(firmware: Firmware, arch: Arch) -> &'static str {
    match (firmware, arch) {
        (Firmware::Bios, _) => "grub-pc-bin",
        (Firmware::Uefi, Arch::Amd64) => "grub-efi-amd64-bin",
        (Firmware::Uefi, Arch::Arm64) => "grub-efi-arm64-bin",
    }
}
