// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What an inspection finds: pure data, with field names that stay.

use std::collections::BTreeMap;

use serde::Serialize;

/// What is known of a disk image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// The disk and its parts.
    pub disk: DiskReport,
    /// The systems on it, in the order of their partitions.
    pub systems: Vec<System>,
    /// What could not be looked into, and why.
    pub notes: Vec<String>,
}

/// A disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DiskReport {
    /// Its size in bytes, as a guest sees it.
    pub size: u64,
    /// The kind of its partition table: `gpt`, `dos`; `null` if it has none.
    pub table: Option<String>,
    /// The table's own number.
    pub id: Option<String>,
    /// Its partitions; the disk itself if it has no table.
    pub parts: Vec<PartReport>,
}

/// A part of a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PartReport {
    /// `sda1`, as if it were the first SCSI disk.
    pub device: String,
    /// First byte on the disk.
    pub start: u64,
    /// Length in bytes.
    pub size: u64,
    /// What the partition table says that it is for.
    pub purpose: Option<String>,
    /// Its name in a GPT.
    pub name: Option<String>,
    /// Its number, as `PARTUUID=` has it.
    pub partuuid: Option<String>,
    /// What is in it, as blkid(8) calls it: `ext4`, `vfat`, `LVM2_member`, `empty`.
    pub content: String,
    /// The file system's label.
    pub label: Option<String>,
    /// The file system's number, as `UUID=` has it.
    pub uuid: Option<String>,
    /// Bytes that are taken, where that is known.
    pub used: Option<u64>,
    /// Bytes that are free, where that is known.
    pub free: Option<u64>,
}

/// A system on a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct System {
    /// The part that is its root: `sda1`.
    pub root: String,
    /// What it calls itself.
    pub os: OsReport,
    /// The processor that its programs are for, as uname(1) says it: `x86_64`.
    pub architecture: Option<String>,
    /// `/etc/hostname`.
    pub hostname: Option<String>,
    /// Whether it knows who it is.
    pub machine_id: MachineId,
    /// `systemd`, `openrc`, `sysvinit`, `busybox`, `runit`, `upstart`.
    pub init: Option<String>,
    /// `dpkg`, `rpm`, `apk`, `pacman`.
    pub package_format: Option<String>,
    /// What is installed, sorted by name.
    pub packages: Vec<Package>,
    /// What it can boot.
    pub kernels: Vec<Kernel>,
    /// How it boots.
    pub boot: Boot,
    /// Everybody in `/etc/passwd`.
    pub users: Vec<User>,
    /// What starts with it.
    pub services: Services,
    /// cloud-init.
    pub cloud_init: CloudInit,
    /// Guest agents that are installed: `qemu-guest-agent`.
    pub agents: Vec<String>,
    /// SELinux: `enforcing`, `permissive`, `disabled`; `null` if it is not there.
    pub selinux: Option<String>,
    /// `Europe/Berlin`.
    pub timezone: Option<String>,
    /// `LANG`.
    pub locale: Option<String>,
    /// File names of the SSH host keys that are there.
    pub ssh_host_keys: Vec<String>,
    /// What configures its network: `netplan`, `networkd`, `NetworkManager`, `ifupdown`, `ifcfg`,
    /// `wicked`, `cloud-init`.
    pub network: Vec<String>,
    /// What is mounted where.
    pub mounts: Vec<MountReport>,
}

/// What a system calls itself: its os-release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OsReport {
    /// `debian`.
    pub id: Option<String>,
    /// `12`.
    pub version: Option<String>,
    /// `Debian GNU/Linux 12 (bookworm)`.
    pub name: Option<String>,
}

/// The state of `/etc/machine-id`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "state", content = "value")]
pub enum MachineId {
    /// There is none.
    #[default]
    Absent,
    /// It is empty: made at the next boot, and kept.
    Empty,
    /// `uninitialized`: the next boot is a first boot.
    Uninitialized,
    /// It is set: clones of this image take themselves for one machine.
    Set(String),
    /// It is something else.
    Other,
}

/// A package.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// With epoch and release where it has them: `1:2.3-4`.
    pub version: String,
    /// `amd64`, `x86_64`, `noarch`.
    pub architecture: String,
}

/// A kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Kernel {
    /// `6.1.0-32-amd64`.
    pub version: String,
    /// Its path in the guest.
    pub image: String,
    /// The path of its initramfs.
    pub initramfs: Option<String>,
    /// Whether its modules are installed.
    pub modules: bool,
    /// Where each driver for virtual hardware is: `virtio_blk`, `virtio_net`, …
    pub drivers: BTreeMap<String, Driver>,
}

/// Where a driver is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// In the kernel.
    BuiltIn,
    /// In the initramfs.
    Initramfs,
    /// On the root file system only: too late for the root's own disk.
    Module,
    /// Nowhere.
    Missing,
}

/// How a system boots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Boot {
    /// `grub`, `systemd-boot`, `extlinux`, `uki`.
    pub loaders: Vec<String>,
    /// Whether a BIOS finds something to start.
    pub bios: bool,
    /// Whether an UEFI that knows nothing of it finds something to start.
    pub uefi: bool,
    /// Whether shim is there, as Secure Boot needs it.
    pub shim: bool,
}

/// Somebody in `/etc/passwd`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct User {
    /// The name.
    pub name: String,
    /// User number.
    pub uid: u32,
    /// Group number.
    pub gid: u32,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// Whether the shell is one that lets in.
    pub login: bool,
    /// The state of the password.
    pub password: Password,
    /// How many lines of `~/.ssh/authorized_keys` are keys.
    pub ssh_keys: usize,
}

/// The state of a password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Password {
    /// It is not known: no `/etc/shadow`.
    #[default]
    Unknown,
    /// There is one.
    Set,
    /// None lets in.
    Locked,
    /// None is asked for.
    Empty,
}

/// What starts with a system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Services {
    /// Enabled units of systemd, or services of OpenRC.
    pub enabled: Vec<String>,
    /// Masked units.
    pub masked: Vec<String>,
    /// System V scripts that start in runlevel 2 to 5.
    pub sysv: Vec<String>,
    /// `multi-user.target`.
    pub default_target: Option<String>,
}

/// cloud-init in a system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CloudInit {
    /// Whether it is installed.
    pub installed: bool,
    /// Its version, where a package says it.
    pub version: Option<String>,
    /// Whether it is switched off.
    pub disabled: bool,
    /// Whether it has run here: it then takes the machine for a known one.
    pub ran: bool,
}

/// A mounted file system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MountReport {
    /// `sda1`.
    pub device: String,
    /// Where.
    pub path: String,
    /// `ext4`.
    pub kind: String,
}
