// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What devices are called: by us, and in the appliance.
//!
//! The appliance's kernel looks for disks all at once. On a busy host it may find the appliance's
//! own disk first, which then is `/dev/sda`, and the image's disk is `/dev/sdb`. What guestfs(3)
//! tells of a device it calls by the order in which disks were added (`/dev/sda`), unless the
//! device's path was not there yet when the appliance began; a subvolume's device, and what the
//! appliance's shell tells, it always calls by the kernel's name. Only one disk is added: all names
//! are that one's.
//!
//! Source: `daemon/device-name-translation.c` of libguestfs 1.48 (the same in 1.58), whose
//! `reverse_device_name_translation` passes over what begins with `btrfsvol:`; measured.

use kiln_host::tools::guestfish::Session;

use super::ApplianceError;

/// What a subvolume of btrfs begins with, as something to mount.
pub(super) const SUBVOLUME: &str = "btrfsvol:";
/// What the image's disk is called by us.
const OURS: &str = "sda";
const FOLDER: &str = "/dev/";

/// guestfs(3)'s name of the image's disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    /// Without the folder: `sda`, `sdb`.
    disk: String,
}

impl Names {
    /// Asks an appliance to which one disk was added.
    pub(super) fn ask(session: &mut Session) -> Result<Self, ApplianceError> {
        let listed = session.call("list-devices", &[])?;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        let disk = listed.lines().next().and_then(|line| line.trim().strip_prefix(FOLDER));
        Ok(Self { disk: disk.unwrap_or(OURS).to_owned() })
    }

    /// Returns the appliance's device for one of our names: `sda1`.
    pub(super) fn device(&self, name: &str) -> String {
        match part(name) {
            Some(part) => format!("{FOLDER}{}{part}", self.disk),
            None => format!("{FOLDER}{name}"),
        }
    }

    /// Returns our name for what the appliance can mount: `sda1`, `sda2/home`, `fedora/root`.
    /// Whoever told the device's name may have called it by guestfs(3)'s or the kernel's name.
    pub(super) fn name(device: &str) -> String {
        let device = device.strip_prefix(SUBVOLUME).unwrap_or(device);
        let name = device.strip_prefix(FOLDER).unwrap_or(device);
        part(name).map_or_else(|| name.to_owned(), |part| format!("{OURS}{part}"))
    }
}

/// Returns what follows the disk in the kernel's name of a SCSI disk, of a part of it, or of what
/// is in that: the part's number, then a slash and more. `None` for what is no such name, as that
/// of a volume group `sdata`.
fn part(name: &str) -> Option<&str> {
    let letters = name.strip_prefix("sd")?;
    let part = letters.trim_start_matches(|c: char| c.is_ascii_lowercase());
    let number = part.split_once('/').map_or(part, |(number, _)| number);
    let is_group = number.is_empty() && !part.is_empty() && letters.len() - part.len() > 1;
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    (letters.len() > part.len() && is_number && !is_group).then_some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(&str, &str); 5] = [
        ("sda", "/dev/sdb"),
        ("sda12", "/dev/sdb12"),
        ("fedora/root", "/dev/fedora/root"),
        ("sdata/root", "/dev/sdata/root"),
        ("mapper/kiln0", "/dev/mapper/kiln0"),
    ];

    #[test]
    fn the_second_disk_of_the_appliance_is_our_first() {
        let names = Names { disk: "sdb".to_owned() };
        for (ours, device) in ALL {
            assert_eq!(names.device(ours), device);
            assert_eq!(Names::name(device), ours);
        }
        assert_eq!(Names::name("btrfsvol:/dev/sdb3/root"), "sda3/root");
        assert_eq!(Names::name("btrfsvol:/dev/sdb/root"), "sda/root");
        assert_eq!(Names::name("sdb8"), "sda8");
    }

    #[test]
    fn what_guestfs_calls_the_first_may_be_the_second_of_the_kernel() {
        let names = Names { disk: "sda".to_owned() };
        assert_eq!(names.device("sda1"), "/dev/sda1");
        assert_eq!(Names::name("/dev/sda1"), "sda1");
        assert_eq!(Names::name("btrfsvol:/dev/sdb3/root"), "sda3/root");
    }
}
