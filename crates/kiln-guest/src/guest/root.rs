// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which file systems of a disk are a system's root, and what the system mounts into it.

use kiln_disk::fs::identify::ContentKind;
use kiln_host::causes::in_line;
use kiln_spec::image::Os;

use super::fstab::{self, Line, Named};
use super::{Disk, GuestError, Note, Options, Place};
use crate::backend::direct::{DirectTree, Part};
use crate::backend::kernel::Kernel;
use crate::tree::{GuestPath, Kind, Tree, TreeError, is_dir, read_text};

/// The most directories of a btrfs that are tried as subvolumes.
const MOST_SUBVOLUMES: usize = 64;

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

/// What opens the file systems of a disk.
pub(super) struct Opener<'a> {
    pub(super) disk: &'a Disk,
    pub(super) options: &'a Options,
    /// For what cannot be read in process, if the image's maker is trusted.
    pub(super) kernel: Option<&'a mut Kernel>,
}

impl Opener<'_> {
    /// Returns whether there is a way to the files of a place.
    pub(super) fn can_open(&self, place: &Place) -> bool {
        place.is_direct() || self.kernel.is_some() && place.content.kind.has_files()
    }

    /// Opens the file system of a place; of btrfs a subvolume, the default one if none is named.
    pub(super) fn part(
        &mut self,
        place: &Place,
        subvolume: Option<&str>,
    ) -> Result<Part, GuestError> {
        let part = if place.is_direct() {
            match (self.direct(place), &self.kernel) {
                // What libext2fs does not know the kernel may.
                (Err(GuestError::FileSystem { .. }), Some(_)) => self.mounted(place, None),
                (part, _) => return part,
            }
        } else {
            self.mounted(place, subvolume)
        };
        part.map_err(|source| GuestError::FileSystem { place: place.name.clone(), source })
    }

    fn direct(&self, place: &Place) -> Result<Part, GuestError> {
        let device = self.disk.open(place).map_err(|source| GuestError::Io { source })?;
        let name = place.name.as_str();
        let now = self.options.now;
        let part = match (place.content.kind, self.options.change) {
            (ContentKind::Vfat { .. }, true) => Part::fat(device, name, now),
            (ContentKind::Vfat { .. }, false) => Part::fat_read(device, name),
            (ContentKind::Iso9660, _) => Part::iso(device, name),
            (_, true) => Part::ext(device, name, now),
            (_, false) => Part::ext_read(device, name),
        };
        part.map_err(|source| GuestError::FileSystem { place: name.to_owned(), source })
    }

    fn mounted(&mut self, place: &Place, subvolume: Option<&str>) -> Result<Part, TreeError> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| TreeError::Backend {
            what: "open",
            path: GuestPath::root(),
            source,
        };
        let change = self.options.change;
        let Some(kernel) = &mut self.kernel else {
            return Err(failed("it is not read in process".into()));
        };
        let root = kernel.mount(place, subvolume, change);
        let root = root.map_err(|error| failed(Box::new(error)))?;
        let source = source(place, subvolume);
        let part = Part::kernel(root, &source, place.content.kind.name())?;
        Ok(if change { part } else { part.for_reading() })
    }
}

/// Returns what the guest's user calls a place, or a subvolume of it.
fn source(place: &Place, subvolume: Option<&str>) -> String {
    match subvolume {
        Some(name) if !name.is_empty() => format!("{}/{name}", place.name),
        _ => place.name.clone(),
    }
}

/// Returns the roots of a disk, each with its tree.
pub(super) fn find(
    opener: &mut Opener<'_>,
    notes: &mut Vec<Note>,
) -> Result<Vec<(Root, DirectTree)>, GuestError> {
    let mut roots = Vec::new();
    let (disk, trusted) = (opener.disk, opener.kernel.is_some());
    let wanted = |place: &&Place| {
        let kind = place.content.kind;
        kind.is_ext() || trusted && !place.is_direct() && kind.has_files()
    };
    for place in disk.places.iter().filter(wanted) {
        match root_of(opener, place, None) {
            Ok(Some(root)) => roots.push(root),
            Ok(None) if place.content.kind == ContentKind::Btrfs => {
                roots.extend(subvolumes(opener, place)?);
            }
            Ok(None) => {}
            Err(GuestError::FileSystem { place, source }) => {
                notes.push(Note::Unreadable { place, why: in_line(&source) });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(roots)
}

/// Returns the root of a place, if there is a system on it.
fn root_of(
    opener: &mut Opener<'_>,
    place: &Place,
    subvolume: Option<&str>,
) -> Result<Option<(Root, DirectTree)>, GuestError> {
    let mut tree = DirectTree::new(opener.part(place, subvolume)?);
    let failed = |source| GuestError::FileSystem { place: place.name.clone(), source };
    if !is_root(&mut tree).map_err(failed)? {
        return Ok(None);
    }
    let (name, fs) = (source(place, subvolume), place.content.kind.name().to_owned());
    let root = Root { name, fs, os: os(&mut tree) };
    Ok(Some((root, tree)))
}

/// Returns the roots among the subvolumes of a btrfs: those that their own fstab has for `/`.
fn subvolumes(
    opener: &mut Opener<'_>,
    place: &Place,
) -> Result<Vec<(Root, DirectTree)>, GuestError> {
    let mut top = DirectTree::new(opener.part(place, Some(""))?);
    let listed = top.list(&GuestPath::root());
    let failed = |source| GuestError::FileSystem { place: place.name.clone(), source };
    let names = listed.map_err(failed)?.into_iter().filter(|entry| entry.kind == Kind::Directory);
    let names = names.filter_map(|entry| String::from_utf8(entry.name).ok());
    let mut roots = Vec::new();
    for name in names.take(MOST_SUBVOLUMES) {
        // A directory is no subvolume, and cannot be mounted.
        let found = match root_of(opener, place, Some(&name)) {
            Ok(found) => found,
            Err(GuestError::FileSystem { .. }) => None,
            Err(error) => return Err(error),
        };
        if let Some((root, mut tree)) = found
            && is_meant(&mut tree, &name)
        {
            roots.push((root, tree));
        }
    }
    Ok(roots)
}

/// Returns whether a subvolume is what its own fstab has for the root: its snapshots are not.
fn is_meant(tree: &mut dyn Tree, name: &str) -> bool {
    let text = read_text(tree, &"/etc/fstab".into()).ok().flatten().unwrap_or_default();
    let lines = fstab::parse(&text);
    match lines.iter().find(|line| line.at == GuestPath::root()) {
        Some(Line { subvolume: Some(meant), .. }) => meant.trim_start_matches('/') == name,
        Some(_) => false,
        None => true,
    }
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
    opener: &mut Opener<'_>,
    notes: &mut Vec<Note>,
) -> Result<(), GuestError> {
    let text = match read_text(tree, &"/etc/fstab".into()) {
        Ok(text) => text.unwrap_or_default(),
        Err(error) => {
            notes.push(Note::NoFstab { why: in_line(&error) });
            return Ok(());
        }
    };
    // Two hands on one file system would damage it.
    let mut used: Vec<String> = tree.usage().into_iter().flatten().map(|u| u.source).collect();
    let disk = opener.disk;
    for line in fstab::parse(&text).into_iter().filter(|line| line.at != GuestPath::root()) {
        let why = match fstab::find(&line.spec, disk) {
            Named::Place(place) if used.contains(&source(place, line.subvolume())) => {
                let why = format!("`{}` is mounted elsewhere already", place.name);
                notes.push(Note::NoMountPoint { at: line.at, why });
                continue;
            }
            Named::Place(place) if opener.can_open(place) => {
                used.push(source(place, line.subvolume()));
                mount(tree, opener, (place, &line), notes)?;
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
        if opener.options.change {
            return Err(GuestError::NeedsAppliance { why });
        }
        let closed = Part::closed(&line.spec, "", &format!("it is on {}", line.spec));
        match tree.mount(&line.at, closed) {
            Ok(()) => notes.push(Note::Closed { at: line.at, why }),
            Err(error) => notes.push(Note::NoMountPoint { at: line.at, why: in_line(&error) }),
        }
    }
    Ok(())
}

fn mount(
    tree: &mut DirectTree,
    opener: &mut Opener<'_>,
    (place, line): (&Place, &Line),
    notes: &mut Vec<Note>,
) -> Result<(), GuestError> {
    let at = line.at.clone();
    let part = match opener.part(place, line.subvolume()) {
        Ok(part) => part,
        // What cannot be read is not to be taken for an empty directory.
        Err(GuestError::FileSystem { place: name, source }) if !opener.options.change => {
            let why = in_line(&source);
            notes.push(Note::Closed { at, why: why.clone() });
            Part::closed(&name, place.content.kind.name(), &why)
        }
        Err(error) => return Err(error),
    };
    if let Err(error) = tree.mount(&line.at, part) {
        notes.push(Note::NoMountPoint { at: line.at.clone(), why: in_line(&error) });
    }
    Ok(())
}
