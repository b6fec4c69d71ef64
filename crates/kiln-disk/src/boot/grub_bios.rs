// SPDX-License-Identifier: Apache-2.0 OR MIT
//! GRUB for BIOS: `boot.img` in sector 0, `core.img` in the BIOS boot partition of a GPT disk, or
//! before the first partition of one with an old table.
//!
//! Source: GRUB 2.06, `include/grub/i386/pc/boot.h`, `util/setup.c`.

use std::path::Path;

use kiln_host::Host;

use super::{BootError, Home, Modules};
use crate::device::{Device, len64};
use crate::table::gpt::{Extent, SECTOR};

/// The platform's name.
pub const PLATFORM: &str = "i386-pc";
/// What the image can do before it has found `/boot/grub`; the rest it loads from there.
const WITH: [&str; 3] = ["biosdisk", "search_fs_uuid", "normal"];
/// `GRUB_BOOT_MACHINE_KERNEL_SECTOR`: where `boot.img` notes which sector it loads.
const KERNEL_SECTOR: usize = 0x5c;
/// `GRUB_BOOT_MACHINE_DRIVE_CHECK`: a jump that is made nothing on hard disks, for BIOSes that
/// pass a wrong drive number.
const DRIVE_CHECK: usize = 0x66;
/// `GRUB_BOOT_MACHINE_WINDOWS_NT_MAGIC`: what is the partition table's from here on.
const TABLE: usize = 0x1b8;
/// The list of blocks at the end of `core.img`'s first sector: start, count, segment.
const BLOCK_LIST: usize = 0x1f4;
/// `GRUB_BOOT_MACHINE_KERNEL_SEG` and 0x20: 512 bytes after where the first sector is loaded.
const SEGMENT: u16 = 0x820;
/// Bytes of a sector, as a length in memory.
const SECTOR_LEN: usize = 512;

/// What goes onto the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BiosImage {
    boot: Vec<u8>,
    core: Vec<u8>,
}

/// Makes the images from the guest's `modules`. `work` is a folder for files in between.
///
/// # Errors
///
/// See [`BootError`].
pub fn make(
    modules: &Modules,
    home: &Home<'_>,
    host: &dyn Host,
    work: &Path,
) -> Result<BiosImage, BootError> {
    let wrong = || BootError::NotGrub { file: format!("/usr/lib/grub/{PLATFORM}/boot.img") };
    let boot = modules.file("boot.img").filter(|boot| boot.len() == SECTOR_LEN);
    let boot = boot.ok_or_else(wrong)?.to_vec();
    // Should the UUID not be found: the partition of the disk that was booted from.
    let prefix = format!("({}){}", home.place, home.folder);
    let [disk, rest @ ..] = WITH;
    let with = [&[disk], home.modules, &rest].concat();
    let core = modules.link(host, work, (&home.find(), &prefix, &with))?;
    Ok(BiosImage { boot, core })
}

impl BiosImage {
    /// Writes the images to `disk`: the core to `partition` or gap, and sector 0 but for its partition
    /// table.
    ///
    /// # Errors
    ///
    /// [`BootError::NoRoom`], [`BootError::NotGrub`], [`BootError::Disk`].
    pub fn install(&self, disk: &mut dyn Device, partition: Extent) -> Result<(), BootError> {
        let failed = |source| BootError::Disk { source };
        let size = len64(&self.core);
        let wrong = || BootError::NotGrub { file: format!("/usr/lib/grub/{PLATFORM}") };
        if size > partition.len {
            return Err(BootError::NoRoom { size, room: partition.len });
        }
        if self.core.len() <= SECTOR_LEN {
            return Err(wrong());
        }
        let first = partition.start / SECTOR;
        let rest = u16::try_from(size.div_ceil(SECTOR) - 1).map_err(|_| wrong())?;

        let mut core = self.core.clone();
        core.resize(core.len().next_multiple_of(SECTOR_LEN), 0);
        core[BLOCK_LIST..BLOCK_LIST + 8].copy_from_slice(&(first + 1).to_le_bytes());
        core[BLOCK_LIST + 8..BLOCK_LIST + 10].copy_from_slice(&rest.to_le_bytes());
        core[BLOCK_LIST + 10..BLOCK_LIST + 12].copy_from_slice(&SEGMENT.to_le_bytes());
        disk.write_at(partition.start, &core).map_err(failed)?;

        let mut mbr = [0; SECTOR_LEN];
        disk.read_at(0, &mut mbr).map_err(failed)?;
        mbr[..TABLE].copy_from_slice(&self.boot[..TABLE]);
        mbr[KERNEL_SECTOR..KERNEL_SECTOR + 8].copy_from_slice(&first.to_le_bytes());
        mbr[DRIVE_CHECK..DRIVE_CHECK + 2].copy_from_slice(&[0x90, 0x90]);
        disk.write_at(0, &mbr).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::RawFile;

    fn disk() -> RawFile {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4 << 20).unwrap();
        RawFile::new(file).unwrap()
    }

    #[test]
    fn numbers_go_where_grub_reads_them_and_the_table_stays() {
        let mut disk = disk();
        disk.write_at(0x1b8, &[0xee; 0x48]).unwrap();
        let image = BiosImage { boot: vec![0xbb; 512], core: vec![0xcc; 1300] };
        let partition = Extent { start: 1 << 20, len: 1 << 20 };
        image.install(&mut disk, partition).unwrap();
        let mut mbr = [0; 512];
        disk.read_at(0, &mut mbr).unwrap();
        assert_eq!(mbr[0x5c..0x68], [0, 8, 0, 0, 0, 0, 0, 0, 0xbb, 0xbb, 0x90, 0x90]);
        assert_eq!(mbr[0x1b7..0x1ba], [0xbb, 0xee, 0xee]);
        let mut core = [0; 2048];
        disk.read_at(1 << 20, &mut core).unwrap();
        assert_eq!(core[0x1f4..0x201], [1, 8, 0, 0, 0, 0, 0, 0, 2, 0, 0x20, 0x08, 0xcc]);
        assert_eq!(core[1299..1302], [0xcc, 0, 0]);
    }

    #[test]
    fn an_image_that_is_too_large_is_refused() {
        let image = BiosImage { boot: vec![0; 512], core: vec![0; 2000] };
        let partition = Extent { start: 1 << 20, len: 1024 };
        let error = image.install(&mut disk(), partition).unwrap_err();
        assert_eq!(error.to_string(), "GRUB's core image has 2000 bytes, and its partition 1024");
    }
}
