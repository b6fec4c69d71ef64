// SPDX-License-Identifier: Apache-2.0 OR MIT
//! GRUB for UEFI: the files of the EFI system partition.
//!
//! If the tree has the distribution's signed shim and GRUB they are used, and Secure Boot works;
//! otherwise an image is made from the tree's modules. Both go to the removable-media path
//! (UEFI 2.10, 3.5.1.1), which every firmware starts without a boot variable.

use std::path::Path;

use kiln_host::Host;

use super::{BootError, Modules, find_root, read};
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
}

/// Names for x86-64.
pub const X86_64: Names = Names { platform: "x86_64-efi", boot: "BOOTX64.EFI", suffix: "x64" };
/// Names for 64-bit ARM.
pub const ARM64: Names = Names { platform: "arm64-efi", boot: "BOOTAA64.EFI", suffix: "aa64" };

/// What the image can do before it has found `/boot/grub`; the rest it loads from there.
const WITH: &[&str] = &["part_gpt", "fat", "ext2", "search_fs_uuid", "normal"];

/// The files of an EFI system partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EfiFiles {
    /// Path and contents.
    pub files: Vec<(String, Vec<u8>)>,
    /// Whether they are signed, so that Secure Boot works.
    pub signed: bool,
}

/// Takes the signed loaders out of a tree; `None` if it does not have both shim and GRUB.
///
/// `distribution` is the ID of os-release: Debian's signed GRUB reads `EFI/debian/grub.cfg`.
///
/// # Errors
///
/// [`BootError::Tree`], [`BootError::NotGrub`].
pub fn signed(
    fs: &mut ExtFs,
    names: Names,
    root_uuid: &str,
    distribution: &str,
) -> Result<Option<EfiFiles>, BootError> {
    let (platform, suffix) = (names.platform, names.suffix);
    let shim = read(fs, &format!("/usr/lib/shim/shim{suffix}.efi.signed"))?;
    let grub = read(fs, &format!("/usr/lib/grub/{platform}-signed/grub{suffix}.efi.signed"))?;
    let (Some(shim), Some(grub)) = (shim, grub) else { return Ok(None) };
    let mut files = vec![
        (format!("EFI/BOOT/{}", names.boot), shim),
        (format!("EFI/BOOT/grub{suffix}.efi"), grub),
    ];
    // MokManager, which shim starts when a key is to be enrolled.
    for name in [format!("mm{suffix}.efi.signed"), format!("mm{suffix}.efi")] {
        if let Some(manager) = read(fs, &format!("/usr/lib/shim/{name}"))? {
            files.push((format!("EFI/BOOT/mm{suffix}.efi"), manager));
            break;
        }
    }
    let config = find_root(root_uuid) + "configfile $prefix/grub.cfg\n";
    files.push((format!("EFI/{}/grub.cfg", folder(distribution)), config.into_bytes()));
    Ok(Some(EfiFiles { files, signed: true }))
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
    (root_uuid, work): (&str, &Path),
    host: &dyn Host,
) -> Result<EfiFiles, BootError> {
    let image = modules.link(host, work, (&find_root(root_uuid), "/boot/grub", WITH))?;
    let files = vec![(format!("EFI/BOOT/{}", names.boot), image)];
    Ok(EfiFiles { files, signed: false })
}
