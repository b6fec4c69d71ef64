// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What devices are called: by us, and in the appliance.
//!
//! The appliance's kernel looks for disks all at once. On a busy host it may find the appliance's
//! own disk first, which then is `/dev/sda`, and the image's disk is `/dev/sdb`.

use kiln_host::tools::guestfish::Session;

use super::ApplianceError;

/// What a subvolume of btrfs begins with, as something to mount.
pub(super) const SUBVOLUME: &str = "btrfsvol:";
/// What the image's disk is called by us.
const OURS: &str = "sda";
const FOLDER: &str = "/dev/";

/// The appliance's name of the image's disk.
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
        match part(name, OURS) {
            Some(part) => format!("{FOLDER}{}{part}", self.disk),
            None => format!("{FOLDER}{name}"),
        }
    }

    /// Returns our name for what the appliance can mount: `sda1`, `sda2/home`, `fedora/root`.
    pub(super) fn name(&self, device: &str) -> String {
        let device = device.strip_prefix(SUBVOLUME).unwrap_or(device);
        let name = device.strip_prefix(FOLDER).unwrap_or(device);
        part(name, &self.disk).map_or_else(|| name.to_owned(), |part| format!("{OURS}{part}"))
    }
}

/// Returns what follows the disk in the name of it or of a part of it.
fn part<'a>(name: &'a str, disk: &str) -> Option<&'a str> {
    let part = name.strip_prefix(disk)?;
    // `sdaa` is another disk.
    (!part.starts_with(|c: char| c.is_ascii_alphabetic())).then_some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_disk_of_the_appliance_is_our_first() {
        let names = Names { disk: "sdb".to_owned() };
        for (ours, device) in [
            ("sda", "/dev/sdb"),
            ("sda12", "/dev/sdb12"),
            ("fedora/root", "/dev/fedora/root"),
            ("mapper/kiln0", "/dev/mapper/kiln0"),
            ("sdba1", "/dev/sdba1"),
        ] {
            assert_eq!(names.device(ours), device);
            assert_eq!(names.name(device), ours);
        }
        assert_eq!(names.name("btrfsvol:/dev/sdb3/root"), "sda3/root");
    }

    #[test]
    fn the_first_disk_keeps_its_name() {
        let names = Names { disk: "sda".to_owned() };
        assert_eq!(names.device("sda1"), "/dev/sda1");
        assert_eq!(names.name("/dev/sda1"), "sda1");
    }
}
