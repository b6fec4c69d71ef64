// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which file systems of a disk are a system's root, and what the system mounts into it.

use kiln_spec::image::Os;

use super::fstab::{self, Line, Named};
use super::{Disk, GuestError, Note, Options, Place};
use crate::backend::direct::{DirectTree, Part};
use crate::tree::{GuestPath, Tree, TreeError, is_dir, read_text};

/// A file system that a system starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Where it is: `sda1`; behind an appliance also a logical volume, or a subvolume of btrfs.
    pub name: String,
    /// The kind of its file system: `ext4`.
    pub fs: String,
    /// What the system calls itself.
    pub os: Option<Os>,
}

impl Root {
    /// Returns how a list of systems shows it.
    #[must_use]
    pub fn shown(&self, number: usize) -> String {
        let os = self.os.as_ref().map(|os| os.pretty_name.as_str()).filter(|name| !name.is_empty());
        format!("{number}: {}, {}", self.name, os.unwrap_or("of no name"))
    }
}

/// Opens the file system of a place.
pub(super) fn part(disk: &Disk, place: &Place, options: &Options) -> Result<Part, GuestError> {
    use kiln_disk::fs::identify::ContentKind;
    let device = disk.open(place).map_err(|source| GuestError::Io { source })?;
    let name = place.name.as_str();
    let now = options.now;
    let part = match (place.content.kind, options.change) {
        (ContentKind::Vfat { .. }, true) => Part::fat(device, name, now),
        (ContentKind::Vfat { .. }, false) => Part::fat_read(device, name),
        (ContentKind::Iso9660, _) => Part::iso(device, name),
        (_, true) => Part::ext(device, name, now),
        (_, false) => Part::ext_read(device, name),
    };
    part.map_err(|source| GuestError::FileSystem { place: name.to_owned(), source })
}

/// Returns the roots of a disk, each with its tree.
pub(super) fn find(
    disk: &Disk,
    options: &Options,
    notes: &mut Vec<Note>,
) -> Result<Vec<(Root, DirectTree)>, GuestError> {
    let mut roots = Vec::new();
    for place in disk.places.iter().filter(|place| place.content.kind.is_ext()) {
        let mut tree = match part(disk, place, options) {
            Ok(part) => DirectTree::new(part),
            Err(GuestError::FileSystem { place, source }) => {
                notes.push(Note::Unreadable { place, why: with_reasons(&source) });
                continue;
            }
            Err(error) => return Err(error),
        };
        match is_root(&mut tree) {
            Ok(false) => (),
            Ok(true) => {
                let (name, fs) = (place.name.clone(), place.content.kind.name().to_owned());
                let root = Root { name, fs, os: os(&mut tree) };
                roots.push((root, tree));
            }
            Err(source) => {
                let place = place.name.clone();
                notes.push(Note::Unreadable { place, why: with_reasons(&source) });
            }
        }
    }
    Ok(roots)
}

/// Returns whether a file system is what a system starts from.
pub(crate) fn is_root(tree: &mut dyn Tree) -> Result<bool, TreeError> {
    if !is_dir(tree, &"/etc".into())? {
        return Ok(false);
    }
    for folder in ["/bin", "/usr/bin", "/sbin", "/usr/lib"] {
        if is_dir(tree, &folder.into())? {
            return Ok(true);
        }
    }
    // With a `/usr` of its own, links to it are all that there is.
    Ok(tree.lstat(&"/bin".into())?.is_some())
}

/// Returns what a system calls itself.
pub(crate) fn os(tree: &mut dyn Tree) -> Option<Os> {
    let paths: [GuestPath; 2] = ["/etc/os-release".into(), "/usr/lib/os-release".into()];
    let text = paths.iter().find_map(|path| read_text(tree, path).ok().flatten())?;
    Some(Os::from_os_release(&text))
}

/// Mounts what the root's `/etc/fstab` says, as far as it is on this disk.
pub(super) fn mount_all(
    tree: &mut DirectTree,
    disk: &Disk,
    options: &Options,
    notes: &mut Vec<Note>,
) -> Result<(), GuestError> {
    let text = match read_text(tree, &"/etc/fstab".into()) {
        Ok(text) => text.unwrap_or_default(),
        Err(error) => {
            notes.push(Note::NoFstab { why: with_reasons(&error) });
            return Ok(());
        }
    };
    // Two hands on one file system would damage it.
    let mut used: Vec<String> = tree.usage().into_iter().flatten().map(|u| u.source).collect();
    for line in fstab::parse(&text).into_iter().filter(|line| line.at != GuestPath::root()) {
        let why = match fstab::find(&line.spec, disk) {
            Named::Place(place) if used.contains(&place.name) => {
                let why = format!("`{}` is mounted elsewhere already", place.name);
                notes.push(Note::NoMountPoint { at: line.at, why });
                continue;
            }
            Named::Place(place) if place.is_direct() => {
                used.push(place.name.clone());
                mount(tree, disk, (place, &line), (options, notes))?;
                continue;
            }
            Named::Place(place) => {
                format!("`{}` is on `{}`, which holds {}", line.at, place.name, place.content.kind)
            }
            Named::Inside => format!("`{}` is on `{}`", line.at, line.spec),
            Named::Elsewhere => {
                let Line { spec, at, nofail, .. } = line;
                notes.push(Note::Missing { spec, at, nofail });
                continue;
            }
        };
        if options.change {
            return Err(GuestError::NeedsAppliance { why });
        }
        let closed = Part::closed(&line.spec, "", &format!("it is on {}", line.spec));
        match tree.mount(&line.at, closed) {
            Ok(()) => notes.push(Note::Closed { at: line.at, why }),
            Err(error) => notes.push(Note::NoMountPoint { at: line.at, why: with_reasons(&error) }),
        }
    }
    Ok(())
}

fn mount(
    tree: &mut DirectTree,
    disk: &Disk,
    (place, line): (&Place, &Line),
    (options, notes): (&Options, &mut Vec<Note>),
) -> Result<(), GuestError> {
    let at = line.at.clone();
    let part = match part(disk, place, options) {
        Ok(part) => part,
        // What cannot be read is not to be taken for an empty directory.
        Err(GuestError::FileSystem { place: name, source }) if !options.change => {
            let why = with_reasons(&source);
            notes.push(Note::Closed { at, why: why.clone() });
            Part::closed(&name, place.content.kind.name(), &why)
        }
        Err(error) => return Err(error),
    };
    if let Err(error) = tree.mount(&line.at, part) {
        notes.push(Note::NoMountPoint { at: line.at.clone(), why: with_reasons(&error) });
    }
    Ok(())
}

/// Returns an error with what it comes from, on one line.
pub(crate) fn with_reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
