// SPDX-License-Identifier: Apache-2.0 OR MIT
//! GRUB for UEFI: the files of the EFI system partition.
//!
//! If the tree has the distribution's signed shim and GRUB they are used, and Secure Boot works;
//! otherwise an image is made from the tree's modules. Both go to the removable-media path
//! (UEFI 2.10, 3.5.1.1), which every firmware starts without a boot variable.

use std::path::Path;

use kiln_host::Host;

use super::{BootError, Home, Modules, read};
use crate::fs::ext::ExtFs;

/// Names of one processor's UEFI files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names {
    /// GRUB's platform: `x86_64-efi`.
    pub platform: &'static str,
    /// The file that firmware starts: `BOOTX64.EFI`.
    boot: &'static str,
    /// The end of other file names: `x64`.
    suffix: &'static str,
    /// The processor as openSUSE's folders have it.
    machine: &'static str,
}

/// Names for x86-64.
pub const X86_64: Names =
    Names { platform: "x86_64-efi", boot: "BOOTX64.EFI", suffix: "x64", machine: "x86_64" };
/// Names for 64-bit ARM.
pub const ARM64: Names =
    Names { platform: "arm64-efi", boot: "BOOTAA64.EFI", suffix: "aa64", machine: "aarch64" };

/// What the image can do before it has found `/boot/grub`; the rest it loads from there.
const WITH: [&str; 3] = ["fat", "search_fs_uuid", "normal"];

/// The files of an EFI system partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EfiFiles {
    /// Path and contents.
    pub files: Vec<(String, Vec<u8>)>,
    /// Whether they are signed, so that Secure Boot works.
    pub signed: bool,
}

/// Where a distribution keeps its signed loaders.
struct Signed {
    shim: String,
    grub: String,
    managers: Vec<String>,
    /// The folder of the partition whose `grub.cfg` its GRUB reads.
    folder: String,
}

/// Returns the places to look at: Debian's, openSUSE's, and the folders `vendors` of `EFI` in the
/// tree's own `/boot/efi`, where Fedora's packages put them.
fn places(names: Names, distribution: &str, vendors: &[String]) -> Vec<Signed> {
    let Names { platform, suffix, machine, .. } = names;
    let suse = format!("/usr/share/efi/{machine}");
    let mut places = vec![
        Signed {
            shim: format!("/usr/lib/shim/shim{suffix}.efi.signed"),
            grub: format!("/usr/lib/grub/{platform}-signed/grub{suffix}.efi.signed"),
            managers: vec![
                format!("/usr/lib/shim/mm{suffix}.efi.signed"),
                format!("/usr/lib/shim/mm{suffix}.efi"),
            ],
            folder: folder(distribution).to_owned(),
        },
        Signed {
            shim: format!("{suse}/shim.efi"),
            grub: format!("{suse}/grub.efi"),
            managers: vec![format!("{suse}/MokManager.efi")],
            folder: "opensuse".to_owned(),
        },
    ];
    places.extend(vendors.iter().map(|vendor| {
        let home = format!("/boot/efi/EFI/{vendor}");
        Signed {
            shim: format!("{home}/shim{suffix}.efi"),
            grub: format!("{home}/grub{suffix}.efi"),
            managers: vec![format!("{home}/mm{suffix}.efi")],
            folder: vendor.clone(),
        }
    }));
    places
}

/// Takes the signed loaders out of a tree; `None` if it does not have both shim and GRUB.
///
/// `distribution` is the ID of os-release: Debian's signed GRUB reads `EFI/debian/grub.cfg`.
/// `vendors` are the folders in `/boot/efi/EFI`.
///
/// # Errors
///
/// [`BootError::Tree`], [`BootError::NotGrub`].
pub fn signed(
    fs: &mut ExtFs,
    names: Names,
    home: &Home<'_>,
    (distribution, vendors): (&str, &[String]),
) -> Result<Option<EfiFiles>, BootError> {
    let suffix = names.suffix;
    for place in places(names, distribution, vendors) {
        let (shim, grub) = (read(fs, &place.shim)?, read(fs, &place.grub)?);
        let (Some(shim), Some(grub)) = (shim, grub) else { continue };
        let mut files = vec![
            (format!("EFI/BOOT/{}", names.boot), shim),
            (format!("EFI/BOOT/grub{suffix}.efi"), grub),
        ];
        // MokManager, which shim starts when a key is to be enrolled.
        for manager in &place.managers {
            if let Some(bytes) = read(fs, manager)? {
                files.push((format!("EFI/BOOT/mm{suffix}.efi"), bytes));
                break;
            }
        }
        let config = home.find() + "configfile $prefix/grub.cfg\n";
        files.push((format!("EFI/{}/grub.cfg", place.folder), config.into_bytes()));
        return Ok(Some(EfiFiles { files, signed: true }));
    }
    Ok(None)
}

/// Returns the folder that a distribution's signed GRUB was made for.
fn folder(distribution: &str) -> &str {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    match distribution {
        "" => "debian",
        other if other.chars().all(plain) => other,
        _ => "debian",
    }
}

/// Makes an unsigned loader from the guest's `modules`.
///
/// # Errors
///
/// [`BootError::Tool`], [`BootError::File`].
pub fn make(
    modules: &Modules,
    names: Names,
    (home, work): (&Home<'_>, &Path),
    host: &dyn Host,
) -> Result<EfiFiles, BootError> {
    let with = [home.modules, &WITH[..]].concat();
    let image = modules.link(host, work, (&home.find(), home.folder, &with))?;
    let files = vec![(format!("EFI/BOOT/{}", names.boot), image)];
    Ok(EfiFiles { files, signed: false })
}
