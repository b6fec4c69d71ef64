// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `/etc/fstab`: what a guest mounts where.
//!
//! Source: fstab(5) and mount(8) of util-linux.

use kiln_disk::table::DiskId;

use super::{Disk, Place};
use crate::tree::GuestPath;

/// The most lines that are read.
const MOST_LINES: usize = 1024;
/// Kinds that are no file system on a disk of the guest's own.
const NO_DISK: &[&str] = &[
    "swap",
    "none",
    "ignore",
    "proc",
    "sysfs",
    "tmpfs",
    "ramfs",
    "devpts",
    "devtmpfs",
    "cgroup",
    "cgroup2",
    "debugfs",
    "tracefs",
    "securityfs",
    "efivarfs",
    "hugetlbfs",
    "mqueue",
    "binfmt_misc",
    "configfs",
    "fusectl",
    "bpf",
    "pstore",
    "overlay",
    "overlayfs",
    "aufs",
    "autofs",
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "virtiofs",
    "vboxsf",
    "vmhgfs",
    "fuse",
    "sshfs",
    "glusterfs",
    "ceph",
    "bind",
];

/// One file system that is to be mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// What: `UUID=…`, `/dev/sda1`.
    pub(crate) spec: String,
    /// Where.
    pub(crate) at: GuestPath,
    /// Whether the guest does without it if it is missing.
    pub(crate) nofail: bool,
    /// Which subvolume of btrfs.
    pub(crate) subvolume: Option<String>,
}

impl Line {
    /// Returns the name of its subvolume, without the `/` that it may begin with.
    pub(crate) fn subvolume(&self) -> Option<&str> {
        self.subvolume.as_deref().map(|name| name.trim_start_matches('/'))
    }
}

/// Returns the file systems on disks that a guest mounts when it boots, in the order that they
/// can be mounted in.
pub(crate) fn parse(text: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = text.lines().take(MOST_LINES).filter_map(line).collect();
    // A place before what is below it, whatever the file's order.
    lines.sort_by_key(|line| line.at.names().count());
    lines
}

fn line(text: &str) -> Option<Line> {
    let text = text.trim_start();
    if text.starts_with('#') {
        return None;
    }
    let mut words = text.split_ascii_whitespace();
    let (spec, at, kind) = (words.next()?, words.next()?, words.next().unwrap_or("auto"));
    let options: Vec<&str> = words.next().unwrap_or("defaults").split(',').collect();
    let on_disk = !NO_DISK.contains(&kind) && !kind.starts_with("fuse.");
    let now = !["noauto", "bind", "rbind"].iter().any(|word| options.contains(word));
    if !at.starts_with('/') || !on_disk || !now {
        return None;
    }
    let at = GuestPath::new(unescaped(at)).ok()?;
    let spec = String::from_utf8_lossy(&unescaped(spec)).into_owned();
    let subvolume = options.iter().find_map(|option| option.strip_prefix("subvol="));
    let subvolume = subvolume.map(|name| String::from_utf8_lossy(&unescaped(name)).into_owned());
    Some(Line { spec, at, nofail: options.contains(&"nofail"), subvolume })
}

/// Returns a word with its `\040` made into the bytes that they stand for.
fn unescaped(word: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after.get(..3).and_then(|three| std::str::from_utf8(three).ok());
        match octal.and_then(|three| u8::from_str_radix(three, 8).ok()) {
            Some(meant) if byte == b'\\' => {
                bytes.push(meant);
                rest = &after[3..];
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    bytes
}

/// What a line of fstab names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named<'a> {
    /// A place of the disk.
    Place(&'a Place),
    /// Something that may be inside of one of its places: a logical volume, an opened container.
    Inside,
    /// Nothing on this disk.
    Elsewhere,
}

/// Finds what a line of fstab names on a disk.
pub(crate) fn find<'a>(spec: &str, disk: &'a Disk) -> Named<'a> {
    let (tag, value) = match spec.split_once('=') {
        Some((tag, value)) => (tag.to_ascii_uppercase(), value.trim_matches('"')),
        None => match by_link(spec) {
            Some((tag, value)) => (tag.to_owned(), value),
            None => return by_name(spec, disk),
        },
    };
    let found = disk.places.iter().find(|place| has(place, disk.table.id, &tag, value));
    match found {
        Some(place) => Named::Place(place),
        None if ["UUID", "LABEL"].contains(&tag.as_str()) => inside(disk),
        None => Named::Elsewhere,
    }
}

fn has(place: &Place, disk: Option<DiskId>, tag: &str, value: &str) -> bool {
    let same = |have: Option<String>| have.is_some_and(|have| have.eq_ignore_ascii_case(value));
    match tag {
        "UUID" => same(place.content.uuid.clone()),
        "LABEL" => place.content.label.as_deref() == Some(value),
        "PARTUUID" => same(place.partuuid(disk)),
        "PARTLABEL" => {
            place.partition.as_ref().is_some_and(|p| p.name == value && !value.is_empty())
        }
        _ => false,
    }
}

/// Returns what a link below `/dev/disk` stands for.
fn by_link(spec: &str) -> Option<(&'static str, &str)> {
    let (folder, value) = spec.strip_prefix("/dev/disk/by-")?.split_once('/')?;
    let tags = [
        ("uuid", "UUID"),
        ("label", "LABEL"),
        ("partuuid", "PARTUUID"),
        ("partlabel", "PARTLABEL"),
    ];
    let (_, tag) = tags.into_iter().find(|(name, _)| *name == folder)?;
    Some((tag, value))
}

/// Finds a kernel's name of a first disk or of a partition of it.
fn by_name<'a>(spec: &str, disk: &'a Disk) -> Named<'a> {
    let Some(name) = spec.strip_prefix("/dev/") else { return Named::Elsewhere };
    let disks = ["sda", "vda", "hda", "xvda", "nvme0n1p", "nvme0n1", "mmcblk0p", "mmcblk0"];
    let number = disks.iter().find_map(|disk| name.strip_prefix(disk));
    let is_number = |number: &&str| number.bytes().all(|b| b.is_ascii_digit());
    if let Some(number) = number.filter(is_number) {
        let named = |place: &&Place| place.name.strip_prefix("sda") == Some(number);
        return disk.places.iter().find(named).map_or(Named::Elsewhere, Named::Place);
    }
    if name.starts_with("mapper/") || name.starts_with("dm-") || name.starts_with("md") {
        return inside(disk);
    }
    // `/dev/GROUP/VOLUME` of LVM.
    let folders = ["disk/", "sr", "cdrom", "fd", "loop"];
    let other = folders.iter().any(|folder| name.starts_with(folder));
    if name.contains('/') && !other { inside(disk) } else { Named::Elsewhere }
}

fn inside(disk: &Disk) -> Named<'_> {
    let wraps = |place: &Place| place.needs_more() && !place.content.kind.has_files();
    if disk.places.iter().any(wraps) { Named::Inside } else { Named::Elsewhere }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_is_mounted_where() {
        let text = "# comment\n\
            UUID=1 /boot ext4 defaults 0 2\n\
            \n\
            LABEL=root\t/\text4\tdefaults,discard\t0 1\n\
            /dev/sda2 /with\\040space auto defaults,nofail\n\
            /dev/sda3 none swap sw\n\
            tmpfs /tmp tmpfs defaults\n\
            /srv /mnt none bind\n\
            /dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0\n\
            host:/x /net nfs4 defaults\n\
            /dev/sda4 /x ext4 ro,bind\n\
            broken\n\
            PARTUUID=3 /boot/efi vfat\n\
            UUID=4 /home btrfs compress=zstd:1,subvol=@home";
        let line = |spec: &str, at: &'static str, nofail| Line {
            spec: spec.to_owned(),
            at: at.into(),
            nofail,
            subvolume: None,
        };
        let home = Line { subvolume: Some("@home".to_owned()), ..line("UUID=4", "/home", false) };
        let expected = [
            line("LABEL=root", "/", false),
            line("UUID=1", "/boot", false),
            line("/dev/sda2", "/with space", true),
            home,
            line("PARTUUID=3", "/boot/efi", false),
        ];
        assert_eq!(parse(text), expected);
        assert_eq!(parse(&"/dev/sda1 /x ext4\n".repeat(5000)).len(), MOST_LINES);
    }
}
