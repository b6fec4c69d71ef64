// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which file systems of an image make up a guest, found and mounted by the appliance.

use kiln_disk::fs::identify::ContentKind;
use kiln_host::causes::in_line;
use kiln_host::tools::guestfish::{FishError, Session, Word};

use super::answer;
use super::names::{Names, SUBVOLUME};
use super::tree::ApplianceTree;
use super::{ApplianceError, Key, arrays};
use crate::guest::fstab::{self, Line, Named};
use crate::guest::{Disk, Note, Place, Root, root};
use crate::tree::walk::real_path;
use crate::tree::{GuestPath, Kind, Tree, read_text};

/// The most file systems that are looked at.
const MOST: usize = 256;
/// What holds no files of its own.
const NO_FILES: &[&str] = &["swap", "unknown", "crypto_LUKS", "LVM2_member", "linux_raid_member"];

/// What can be mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct System {
    /// As the appliance calls it: `/dev/sda1`, `btrfsvol:/dev/sda2/home`.
    pub(super) device: String,
    /// As messages have it: `sda1`, `sda2/home`.
    pub(super) name: String,
    /// Its kind: `xfs`.
    pub(super) kind: String,
}

/// What the appliance finds on a disk.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Systems with the file system that is their root.
    pub(super) roots: Vec<(Root, System)>,
    /// Other file systems.
    pub(super) others: Vec<System>,
    /// All that is there, with or without files.
    pub(super) all: Vec<System>,
    /// What of it cannot be looked into.
    pub(super) notes: Vec<Note>,
}

/// Opens encrypted parts of the disk, encrypted logical volumes and arrays, with the keys that
/// fit, and what LVM has in them. Returns those that no key opens.
pub(super) fn open_disks(
    session: &mut Session,
    (disk, names): (&Disk, &Names),
    keys: &[Key],
) -> Result<Vec<String>, ApplianceError> {
    let is_luks = |place: &&Place| matches!(place.content.kind, ContentKind::Luks { .. });
    let places = disk.places.iter().filter(is_luks);
    let mut devices: Vec<String> = places.map(|place| names.device(&place.name)).collect();
    let volumes = String::from_utf8_lossy(&session.call("lvs", &[])?).into_owned();
    let arrays = arrays::list(session, disk)?;
    for volume in volumes.lines().chain(arrays.iter().map(String::as_str)).take(MOST) {
        let kind = allowed(session.call("vfs-type", &[Word::Bytes(volume.as_bytes())]))?;
        if kind.is_some_and(|kind| kind.starts_with(b"crypto_LUKS")) {
            devices.push(volume.to_owned());
        }
    }
    let (mut opened, mut closed) = (0, Vec::new());
    for device in devices {
        let mut fits = false;
        for Key(key) in keys.iter().filter(|key| !key.0.contains(&b'\n')) {
            let name = format!("kiln{opened}");
            let words = [Word::Bytes(device.as_bytes()), Word::Plain(&name)];
            fits = allowed(session.call_with("cryptsetup-open", &words, Some(key)))?.is_some();
            if fits {
                opened += 1;
                break;
            }
        }
        if !fits {
            closed.push(Names::name(&device));
        }
    }
    if opened > 0 {
        allowed(session.call("lvm-scan", &[Word::Plain("true")]))?;
    }
    Ok(closed)
}

/// Looks into each file system. None is mounted afterwards.
pub(super) fn find(tree: &mut ApplianceTree) -> Result<Found, ApplianceError> {
    let all = systems(&mut tree.session)?;
    let mut found = Found::default();
    let with_files = all.iter().filter(|system| !NO_FILES.contains(&system.kind.as_str()));
    for system in with_files.take(MOST) {
        let words = [Word::Bytes(system.device.as_bytes()), Word::Plain("/")];
        match tree.session.call("mount-ro", &words) {
            Ok(_) => {}
            Err(FishError::Refused { text, .. }) => {
                found.notes.push(Note::Unreadable { place: system.name.clone(), why: text });
                continue;
            }
            Err(error) => return Err(error.into()),
        }
        if root::is_root(tree).unwrap_or(false) {
            if is_meant(tree, system) {
                let (name, fs) = (system.name.clone(), system.kind.clone());
                let root = Root { name, fs, os: root::os(tree) };
                found.roots.push((root, system.clone()));
            }
        } else if !system.device.starts_with(SUBVOLUME) {
            found.others.push(system.clone());
        }
        tree.session.call("umount-all", &[])?;
        tree.forget();
    }
    found.all = all;
    Ok(found)
}

/// Returns whether a subvolume is what its own fstab has for the root: its snapshots are not.
fn is_meant(tree: &mut ApplianceTree, system: &System) -> bool {
    let Some(volume) = system.device.strip_prefix(SUBVOLUME) else { return true };
    let text = read_text(tree, &"/etc/fstab".into()).ok().flatten().unwrap_or_default();
    let lines = fstab::parse(&text);
    match lines.iter().find(|line| line.at == GuestPath::root()) {
        Some(Line { subvolume: Some(meant), .. }) => {
            volume.ends_with(&format!("/{}", meant.trim_start_matches('/')))
        }
        // The volume's default one is its root: that is mounted by the volume's own name.
        Some(_) => false,
        None => true,
    }
}

/// Mounts a file system as the root, and what its `/etc/fstab` says into it.
pub(super) fn all(
    tree: &mut ApplianceTree,
    disk: &Disk,
    (system, change): (&System, bool),
) -> Result<Vec<Note>, ApplianceError> {
    tree.session.call("umount-all", &[])?;
    tree.forget();
    let mut notes = Vec::new();
    mount(&mut tree.session, &system.device, b"/", change)?;
    let text = match read_text(tree, &"/etc/fstab".into()) {
        Ok(text) => text.unwrap_or_default(),
        Err(error) => {
            notes.push(Note::NoFstab { why: in_line(&error) });
            return Ok(notes);
        }
    };
    let lines = fstab::parse(&text).into_iter().filter(|line| line.at != GuestPath::root());
    for line in lines.take(MOST) {
        below(tree, disk, (line, change), &mut notes)?;
    }
    Ok(notes)
}

fn mount(session: &mut Session, device: &str, at: &[u8], change: bool) -> Result<(), FishError> {
    let words = [Word::Bytes(device.as_bytes()), Word::Bytes(at)];
    if !change {
        return session.call("mount-ro", &words).map(drop);
    }
    let kind = session.call("vfs-type", &words[..1]).unwrap_or_default();
    if kind.starts_with(b"vfat") {
        // Owners and permissions that it cannot have are passed over: mount(8), quiet.
        let words = [Word::Plain("quiet"), words[0].clone(), words[1].clone()];
        return session.call("mount-options", &words).map(drop);
    }
    session.call("mount", &words).map(drop)
}

/// Mounts what a line of fstab says, if it is there.
fn below(
    tree: &mut ApplianceTree,
    disk: &Disk,
    (line, change): (Line, bool),
    notes: &mut Vec<Note>,
) -> Result<(), ApplianceError> {
    let Some(device) = device(tree, disk, &line.spec)? else {
        let Line { spec, at, nofail, .. } = line;
        notes.push(Note::Missing { spec, at, nofail });
        return Ok(());
    };
    let what = match &line.subvolume {
        Some(volume) => format!("{SUBVOLUME}{device}/{}", volume.trim_start_matches('/')),
        None => device,
    };
    // The appliance would follow links to places of its own.
    let place = real_path(tree, &line.at, true).and_then(|at| Ok((tree.lstat(&at)?, at)));
    let why = match place {
        Ok((Some(stat), at)) if stat.kind == Kind::Directory => {
            tree.forget();
            match mount(&mut tree.session, &what, at.as_bytes(), change) {
                Ok(()) => return Ok(()),
                // What cannot be changed is not to be taken for the directory below it.
                Err(FishError::Refused { text, .. }) if change => {
                    let Line { spec, at, .. } = line;
                    return Err(ApplianceError::Mount { spec, at, why: text });
                }
                Err(FishError::Refused { text, .. }) => text,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(_) => "there is no such directory".to_owned(),
        Err(error) => in_line(&error),
    };
    notes.push(Note::NoMountPoint { at: line.at, why });
    Ok(())
}

/// Returns the appliance's device for the first word of a line of fstab.
fn device(
    tree: &mut ApplianceTree,
    disk: &Disk,
    spec: &str,
) -> Result<Option<String>, ApplianceError> {
    match fstab::find(spec, disk) {
        Named::Place(place) => return Ok(Some(tree.names.device(&place.name))),
        Named::Elsewhere => return Ok(None),
        Named::Inside => {}
    }
    let (command, word) = match spec.split_once('=') {
        Some(("UUID", id)) => ("findfs-uuid", id.trim_matches('"')),
        Some(("LABEL", label)) => ("findfs-label", label.trim_matches('"')),
        Some(_) => return Ok(None),
        None => match spec.strip_prefix("/dev/disk/by-uuid/") {
            Some(id) => ("findfs-uuid", id),
            None => ("canonical-device-name", spec),
        },
    };
    let text = allowed(tree.session.call(command, &[Word::Bytes(word.as_bytes())]))?;
    let text = text.map(|text| String::from_utf8_lossy(&text).trim().to_owned());
    Ok(text.filter(|device| !device.is_empty()))
}

/// Returns what can be mounted, or opened.
fn systems(session: &mut Session) -> Result<Vec<System>, ApplianceError> {
    let pairs = answer::pairs(&session.call("list-filesystems", &[])?);
    let system =
        |(device, kind): (String, String)| System { name: Names::name(&device), device, kind };
    let systems = pairs.into_iter().map(system);
    let mut systems: Vec<System> = systems.collect();
    // What a key opened comes last: the others keep their numbers, with a key and without.
    systems.sort_by_key(|system| system.device.starts_with("/dev/mapper/"));
    Ok(systems)
}

/// A refusal is an answer here: `None`.
pub(super) fn allowed(
    answer: Result<Vec<u8>, FishError>,
) -> Result<Option<Vec<u8>>, ApplianceError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(FishError::Refused { .. } | FishError::TooLong) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
