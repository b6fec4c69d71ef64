// SPDX-License-Identifier: Apache-2.0 OR MIT
//! File systems that no code of ours writes, XFS and btrfs, and a root in LVM.
//!
//! The host's `mkfs` makes each empty, in a file of its own. One appliance (libguestfs: a small
//! Linux in QEMU) then copies what belongs into it from an ext4 file system that we wrote, and the
//! file's contents go to their place on the disk. Of a root in LVM the finished file system, also an
//! ext4, is copied into the logical volume of a further file. No kernel but the appliance's sees any of them.
//! `docs/design/0015-foreign-file-systems.md` says why.

use std::fs::File;
use std::path::{Path, PathBuf};

use kiln_host::Host;
use kiln_host::tools::guestfish::{Fish, FishError, Session, Word, host as host_path, number};
use kiln_host::tools::mke2fs::Ext4;
use kiln_host::tools::{mkfs_btrfs, mkfs_xfs};
use uuid::Uuid;

use super::AssembleError;
use super::layout::VolumeKind;
use super::output::Output;
use super::spread::full;
use crate::table::gpt::Extent;

/// Where the appliance mounts what it copies from, and what it copies to.
const FROM: &str = "/from";
const TO: &str = "/to";
/// The logical volume of a root.
const VOLUME: &str = "root";
/// A file system with less left than its size by this is full: one that cannot be written to
/// keeps some blocks for itself.
const NEARLY: i64 = 64;

/// A file system to be made and filled.
#[derive(Debug)]
pub(super) struct Foreign {
    kind: VolumeKind,
    label: String,
    uuid: String,
    /// Where it is mounted: nothing for the root.
    mount: String,
    /// Where it goes on the disk.
    place: Extent,
    /// The ext4 file system with what belongs into it.
    pub(super) from: PathBuf,
    /// The file that it is made in: for an ext4, the same.
    to: PathBuf,
    /// The size of the file system.
    size: u64,
    /// The volume group that it is to be in.
    pub(super) group: Option<String>,
    /// The file that is the physical volume of that.
    physical: PathBuf,
}

/// Its files, as the appliance calls them.
#[derive(Debug, Default)]
struct Devices {
    from: String,
    to: String,
    physical: String,
}

impl Foreign {
    /// Returns one that is labelled and numbered as `like`, with its files in `work`.
    pub(super) fn new(
        kind: VolumeKind,
        like: &Ext4,
        (mount, place): (&str, Extent),
        work: &Path,
    ) -> Self {
        let name = |end: &str| work.join(format!("{}.{end}", like.uuid));
        Self {
            kind,
            label: like.label.clone(),
            uuid: like.uuid.clone(),
            mount: mount.to_owned(),
            place,
            from: name("ext4"),
            to: name(kind.name()),
            size: like.size,
            group: None,
            physical: name("lvm"),
        }
    }

    /// Returns the file that goes onto the disk.
    fn whole(&self) -> &Path {
        if self.group.is_some() { &self.physical } else { &self.to }
    }

    /// Makes it, empty.
    fn make(&self, host: &dyn Host) -> Result<(), AssembleError> {
        let Self { label, uuid, to, .. } = self;
        let empty = |path: &Path, size| {
            let made = File::create_new(path).and_then(|file| file.set_len(size));
            made.map_err(|source| AssembleError::Image { path: path.to_owned(), source })
        };
        if self.group.is_some() {
            empty(&self.physical, self.place.len)?;
        }
        if !self.kind.is_foreign() {
            return Ok(());
        }
        empty(to, self.size)?;
        let cmd = match self.kind {
            VolumeKind::Btrfs => mkfs_btrfs::make(to, label, uuid),
            _ => mkfs_xfs::make(to, label, uuid),
        };
        host.run(&cmd).map_err(|source| AssembleError::Tool { source })?;
        Ok(())
    }

    fn failed(&self, source: FishError) -> AssembleError {
        if matches!(source, FishError::Interrupted) {
            return AssembleError::Interrupted;
        }
        let mount = if self.mount.is_empty() { "/" } else { &self.mount };
        AssembleError::Appliance { mount: mount.to_owned(), source: Box::new(source) }
    }
}

/// Makes all, fills them with one appliance, and puts them onto the disk.
pub(super) fn fill(
    all: &[Foreign],
    fish: &Fish,
    host: &dyn Host,
    output: &Output,
) -> Result<(), AssembleError> {
    let Some(first) = all.first() else { return Ok(()) };
    for own in all {
        own.make(host)?;
    }
    let started = start(all, fish).map_err(|source| first.failed(source));
    let (mut session, devices) = started?;
    for (own, devices) in all.iter().zip(&devices) {
        if own.kind.is_foreign() {
            copy(&mut session, own, devices)?;
        }
        if let Some(group) = &own.group {
            wrap(&mut session, group, devices).map_err(|source| own.failed(source))?;
        }
    }
    session.finish().map_err(|source| first.failed(source))?;
    all.iter().try_for_each(|own| output.place(own.whole(), own.place))
}

/// Starts an appliance that has all files as disks; returns their names in it.
fn start(all: &[Foreign], fish: &Fish) -> Result<(Session, Vec<Devices>), FishError> {
    let mut session = Session::start(fish, Uuid::new_v4().simple().to_string())?;
    let mut count = 0;
    let mut add = |path: &Path, how: &str| {
        count += 1;
        let words = [host_path(path), Word::Plain("format:raw"), Word::Plain(how)];
        session.call("add-drive", &words)
    };
    for own in all {
        add(&own.from, "readonly:true")?;
        // Nothing of these is wanted after a fall of the host.
        if own.kind.is_foreign() {
            add(&own.to, "cachemode:unsafe")?;
        }
        if own.group.is_some() {
            add(&own.physical, "cachemode:unsafe")?;
        }
    }
    session.launch()?;
    session.call("umask", &[Word::Plain("0")])?;
    for folder in [FROM, TO] {
        session.call("mkmountpoint", &[Word::Plain(folder)])?;
    }
    let listed = session.call("list-devices", &[])?;
    let listed = String::from_utf8_lossy(&listed);
    let names: Vec<String> = listed.lines().map(str::to_owned).collect();
    if names.len() != count {
        return Err(FishError::Gone { text: format!("it has {} disks", names.len()) });
    }
    let mut names = names.into_iter();
    let mut next = || names.next().unwrap_or_default();
    let devices = all.iter().map(|own| {
        let from = next();
        let to = if own.kind.is_foreign() { next() } else { from.clone() };
        let physical = if own.group.is_some() { next() } else { String::new() };
        Devices { from, to, physical }
    });
    let devices = devices.collect();
    Ok((session, devices))
}

/// Makes a volume group with one logical volume, and copies the finished file system into it.
fn wrap(session: &mut Session, group: &str, devices: &Devices) -> Result<(), FishError> {
    let Devices { to, physical, .. } = devices;
    let (group, physical) = (Word::Plain(group), Word::Plain(physical));
    session.call("pvcreate", std::slice::from_ref(&physical))?;
    session.call("vgcreate", &[group.clone(), physical])?;
    session.call("lvcreate-free", &[Word::Plain(VOLUME), group.clone(), Word::Plain("100")])?;
    let Word::Plain(name) = group else { return Ok(()) };
    let volume = format!("/dev/{name}/{VOLUME}");
    let words = [Word::Plain(to), Word::Plain(&volume), Word::Plain("sparse:true")];
    session.call("copy-device-to-device", &words)?;
    session.call("sync", &[])?;
    session.call("vg-activate", &[Word::Plain("false"), Word::Plain(name)]).map(drop)
}

/// Copies a whole tree, with all that its files are.
fn copy(
    session: &mut Session,
    own: &Foreign,
    Devices { from, to, .. }: &Devices,
) -> Result<(), AssembleError> {
    let failed = |source| own.failed(source);
    let mut mount = |options, device, at| {
        let words = [Word::Plain(options), Word::Plain(device), Word::Plain(at)];
        session.call("mount-options", &words).map(drop)
    };
    mount("ro,noload", from, FROM).map_err(failed)?;
    mount("noatime", to, TO).map_err(failed)?;
    if let Err(error) = session.call("cp-a", &[Word::Plain("/from/."), Word::Plain(TO)]) {
        return Err(match is_full(session) {
            Ok(true) => full(&own.mount, own.place),
            _ => failed(error),
        });
    }
    let mut last = || {
        // The stage's own. That it goes is no change of the root directory.
        session.call("rm-rf", &[Word::Plain("/to/lost+found")])?;
        let times = session.call("statns", &[Word::Plain(FROM)])?;
        let times = number(&times, "st_mtime_sec").unwrap_or(0).to_string();
        let time = Word::Plain(&times);
        let zero = Word::Plain("0");
        let words = [Word::Plain(TO), time.clone(), zero.clone(), time, zero];
        session.call("utimens", &words)?;
        // Also writes all, so that what does not fit is known now.
        session.call("umount", &[Word::Plain(TO)])?;
        session.call("umount", &[Word::Plain(FROM)])
    };
    last().map(drop).map_err(failed)
}

/// Returns whether what the appliance fills has no room any more.
fn is_full(session: &mut Session) -> Result<bool, FishError> {
    let stat = session.call("statvfs", &[Word::Plain(TO)])?;
    let get = |name: &str| number(&stat, name).unwrap_or(0);
    let mut left = get("bavail");
    // btrfs counts no files.
    if get("files") != 0 {
        left = left.min(get("ffree"));
    }
    Ok(left <= get("blocks") / NEARLY)
}
