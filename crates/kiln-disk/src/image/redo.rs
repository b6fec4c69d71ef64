// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Changes of a raw image, all or nothing: written to a journal beside it first, then to the image.
//!
//! A journal with its end is complete: whoever opens the image for writing next finishes it. One
//! without has changed nothing and is removed. Before a journal is finished, the image is compared
//! with it: each sector must be as it was before or as it is to be, or else another program has
//! changed the image since, and it is left alone.
//!
//! **Invariant:** a journal is used only if it belongs to the image's owner or to this process's
//! user, nobody else may write it, and it is reached by no link.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::base::{Base, Kind};
use super::overlay::Overlay;
use super::records::{Reader, Record, SECTOR, Writer};
use super::{DiskImage, ImageError};
use crate::device::{Device, len64};
use crate::format::medium::Medium;

/// Bytes that are compared at a time.
const BLOCK: usize = 4096;

/// Where an image's journal is, and what image it is of.
#[derive(Debug)]
pub(super) struct Place {
    /// `None` for a disk of the host, if no folder was given.
    pub(super) path: Option<PathBuf>,
    /// Whether the image is a disk of the host, or of a cluster: its length is not ours to change.
    pub(super) is_device: bool,
    pub(super) inode: u64,
    pub(super) owner: u32,
}

/// A journal that was found.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    /// `None` if it has no end.
    sizes: Option<(u64, u64)>,
}

/// Returns where the journal of the image at `path` is.
pub(super) fn place(path: &Path, file: &File, folder: Option<&Path>) -> io::Result<Place> {
    let meta = file.metadata()?;
    let is_device = meta.file_type().is_block_device();
    // However the image is named, it has one journal.
    let real = fs::canonicalize(path)?;
    let beside = if is_device { None } else { real.parent() };
    let path = match (folder.or(beside), real.file_name()) {
        (Some(folder), Some(name)) => {
            let mut hidden = std::ffi::OsString::from(".");
            hidden.push(name);
            hidden.push(".kiln-redo");
            Some(folder.join(hidden))
        }
        _ => None,
    };
    // The number of a disk of the host may be another after a restart.
    let inode = if is_device { 0 } else { meta.ino() };
    Ok(Place { path, is_device, inode, owner: meta.uid() })
}

/// Returns the journal of an image, if there is one.
pub(super) fn find(place: &Place, size: u64, name: &str) -> Result<Option<Journal>, ImageError> {
    let Some(path) = &place.path else {
        return Ok(None);
    };
    let journal = path.display().to_string();
    let refuse =
        |why| Err(ImageError::Unfinished { name: name.to_owned(), journal: journal.clone(), why });
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).expect("flags of open(2) are an int");
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            return refuse("its journal is a symbolic link");
        }
        Err(error) => return Err(ImageError::io("open", &journal)(error)),
    };
    let meta = file.metadata().map_err(ImageError::io("open", &journal))?;
    let us = rustix::process::geteuid().as_raw();
    if !meta.is_file() || meta.nlink() != 1 {
        return refuse("its journal is no file of its own");
    }
    if ![us, place.owner].contains(&meta.uid()) || meta.mode() & 0o022 != 0 {
        return refuse("its journal may be another user's");
    }
    let complete = Reader::complete(&file).map_err(ImageError::io("read", &journal))?;
    let sizes = match complete {
        None => None,
        Some(head) if head.inode != place.inode || !head.sizes().contains(&size) => {
            return refuse("its journal is of another file that had this name");
        }
        Some(head) => Some((head.old_size, head.new_size)),
    };
    Ok(Some(Journal { file, sizes }))
}

/// Finishes or removes a journal that was found, of the image that `medium` writes and that has
/// `size` bytes. The image is locked for writing. Returns its size then.
pub(super) fn finish(
    journal: &Journal,
    (medium, size): (&Medium, u64),
    place: &Place,
    name: &str,
) -> Result<u64, ImageError> {
    let mut size = size;
    if let Some((_, new_size)) = journal.sizes {
        let write = ImageError::io("write", name);
        match compare(journal, medium).map_err(ImageError::io("read", name))? {
            State::Changed => {
                let journal = place.path.as_deref().unwrap_or(Path::new("")).display().to_string();
                let why = "another program has changed the image since";
                return Err(ImageError::Unfinished { name: name.to_owned(), journal, why });
            }
            State::Begun { data } => apply(journal, medium, place, data).map_err(write)?,
        }
        size = new_size;
    }
    remove(place, true).map_err(ImageError::io("write", name))?;
    Ok(size)
}

/// How far the image has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Each sector is old or new. `data` says that some are new.
    Begun { data: bool },
    /// Some sector is neither.
    Changed,
}

fn compare(journal: &Journal, medium: &Medium) -> io::Result<State> {
    let size = medium.len()?;
    let mut begun = false;
    let mut reader = Reader::new(&journal.file)?;
    while let Some(record) = reader.next()? {
        let Record::Data { at, old, bytes } = record else {
            continue;
        };
        let mut now = vec![0; bytes.len()];
        let there = usize::try_from(size.saturating_sub(at)).unwrap_or(usize::MAX);
        let there = there.min(now.len());
        medium.read(at, &mut now[..there])?;
        for ((now, new), old) in now.chunks(SECTOR).zip(bytes.chunks(SECTOR)).zip(old) {
            let is_old = crc32fast::hash(now) == old;
            begun |= now == new && !is_old;
            if now != new && !is_old {
                return Ok(State::Changed);
            }
        }
    }
    Ok(State::Begun { data: begun })
}

/// Reads a complete journal as if it were finished.
pub(super) fn overlay(journal: &Journal, disk: &mut Overlay<Base>) -> io::Result<bool> {
    let Some((_, new_size)) = journal.sizes else {
        return Ok(false);
    };
    if !matches!(disk.base().kind, Kind::Raw(_) | Kind::Remote(_)) {
        return Err(io::Error::new(ErrorKind::InvalidData, "a journal, but no raw image"));
    }
    disk.resize(new_size)?;
    let mut reader = Reader::new(&journal.file)?;
    while let Some(record) = reader.next()? {
        match record {
            Record::Zeros { at, len } => disk.discard(at, len)?,
            Record::Data { at, bytes, .. } => disk.write_at(at, &bytes)?,
        }
    }
    Ok(true)
}

/// Brings the changes of a raw image into it. Returns whether there were any.
pub(super) fn commit(
    image: &DiskImage,
    disk: &mut Overlay<Base>,
    medium: &Medium,
) -> Result<bool, ImageError> {
    let place = &image.journal;
    let Some(path) = &place.path else {
        let source = io::Error::new(
            ErrorKind::InvalidInput,
            "a disk of the host needs a folder for the journal",
        );
        return Err(ImageError::Io { what: "write", name: image.name.clone(), source });
    };
    let name = path.display().to_string();
    let written = write(image, disk, path, medium);
    let sizes = (disk.base().size(), disk.size());
    let file = match written {
        Ok(Some(file)) => file,
        Ok(None) => {
            remove(place, false).map_err(ImageError::io("write", &name))?;
            return Ok(false);
        }
        Err(Failed::Exists(source)) => {
            return Err(ImageError::Io { what: "make", name, source });
        }
        Err(Failed::Io(source)) => {
            // The image is as it was; what is left of the journal has no end.
            let _ = remove(place, false);
            return Err(ImageError::Io { what: "write", name, source });
        }
    };
    let journal = Journal { file, sizes: Some(sizes) };
    let write = |source| ImageError::io("write", &image.name)(source);
    apply(&journal, medium, place, false).map_err(write)?;
    medium.mark("remove").and_then(|()| remove(place, image.durable)).map_err(write)?;
    Ok(true)
}

/// Why there is no journal.
#[derive(Debug)]
enum Failed {
    Exists(io::Error),
    Io(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Writes the journal and room for it in the image. `None` if nothing changes.
fn write(
    image: &DiskImage,
    disk: &mut Overlay<Base>,
    path: &Path,
    image_file: &Medium,
) -> Result<Option<File>, Failed> {
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).expect("a flag of open(2) is an int");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(flags)
        .open(path)
        .map_err(Failed::Exists)?;
    image_file.mark("journal")?;
    let (old_size, new_size) = (disk.base().size(), disk.size());
    let mut writer = Writer::new(file, image.journal.inode, old_size, new_size)?;
    // Zeros go first: when some data is new, all zeros are there.
    let mut at = 0;
    while let Some(change) = disk.next_change(at) {
        at = change.at + change.len;
        // What is beyond the old end becomes zeros by the new length.
        let end = at.min(old_size);
        if change.zeros && change.at < end {
            writer.zeros(change.at, end - change.at)?;
        }
    }
    let (mut at, mut room) = (0, Room::default());
    while let Some(change) = disk.next_change(at) {
        at = change.at + change.len;
        if !change.zeros {
            let len = usize::try_from(change.len).expect("a run of data has 4 MiB at most");
            let mut new = vec![0; len];
            disk.read_at(change.at, &mut new)?;
            data(disk, &mut writer, change.at, &new, &mut room)?;
        }
    }
    if writer.is_empty() && old_size == new_size {
        return Ok(None);
    }
    if let Err(error) = room.reserve(image_file) {
        room.give_back(image_file);
        return Err(error.into());
    }
    let finished = image_file.mark("end").and_then(|()| writer.finish(image.durable));
    let file = match finished {
        Ok(file) => file,
        Err(error) => {
            room.give_back(image_file);
            return Err(error.into());
        }
    };
    if image.durable {
        sync_folder(path)?;
    }
    Ok(Some(file))
}

/// Adds the blocks of a run of data that differ from what is there.
fn data(
    disk: &mut Overlay<Base>,
    writer: &mut Writer,
    at: u64,
    new: &[u8],
    room: &mut Room,
) -> io::Result<()> {
    let mut old = vec![0; new.len()];
    let size = disk.base().size();
    let there = usize::try_from(size.saturating_sub(at)).unwrap_or(usize::MAX).min(old.len());
    if there > 0 {
        disk.base_mut().read_at(at, &mut old[..there])?;
    }
    let differs = |n: usize| {
        let range = n * BLOCK..new.len().min((n + 1) * BLOCK);
        new[range.clone()] != old[range]
    };
    let blocks = new.len().div_ceil(BLOCK);
    let mut first = 0;
    while first < blocks {
        if !differs(first) {
            first += 1;
            continue;
        }
        let end = (first..blocks).find(|n| !differs(*n)).unwrap_or(blocks);
        let range = first * BLOCK..new.len().min(end * BLOCK);
        let start = at + len64(&new[..range.start]);
        writer.data(start, &old[range.clone()], &new[range.clone()])?;
        room.note(disk.base_mut(), start, len64(&new[range]))?;
        first = end;
    }
    Ok(())
}

/// Holes of the image that are going to be written: the host must have room for them before it is
/// too late to turn back.
#[derive(Debug, Default)]
struct Room(Vec<(u64, u64)>);

impl Room {
    fn note(&mut self, base: &mut Base, at: u64, len: u64) -> io::Result<()> {
        let (mut at, end) = (at, at + len);
        while at < end {
            let there = if at < base.size() { base.extent(at)?.len } else { end - at };
            let len = there.min(end - at);
            if at >= base.size() || base.extent(at)?.zeros {
                match self.0.last_mut() {
                    Some((start, so_far)) if *start + *so_far == at => *so_far += len,
                    _ => self.0.push((at, len)),
                }
            }
            at += len;
        }
        Ok(())
    }

    fn reserve(&self, medium: &Medium) -> io::Result<()> {
        self.0.iter().try_for_each(|(at, len)| medium.reserve(*at, *len))
    }

    fn give_back(&self, medium: &Medium) {
        for (at, len) in &self.0 {
            // It is only about space.
            let _ = medium.punch(*at, *len);
        }
    }
}

/// Writes what a complete journal says to the image. With `only_data`, its zeros are there.
fn apply(journal: &Journal, medium: &Medium, place: &Place, only_data: bool) -> io::Result<()> {
    let (_, new_size) = journal.sizes.ok_or(ErrorKind::InvalidData)?;
    if !place.is_device && medium.len()? != new_size {
        medium.set_len(new_size)?;
    }
    let mut reader = Reader::new(&journal.file)?;
    let mut zeros = false;
    while let Some(record) = reader.next()? {
        match record {
            Record::Zeros { at, len } => {
                let end = (at + len).min(new_size);
                if !only_data && at < end {
                    medium.zero(at, end - at, new_size)?;
                    zeros = true;
                }
            }
            Record::Data { at, bytes, .. } => {
                if zeros {
                    medium.sync()?;
                    zeros = false;
                }
                medium.write(at, &bytes)?;
            }
        }
    }
    medium.sync()
}

/// Removes the journal for good.
fn remove(place: &Place, durable: bool) -> io::Result<()> {
    let Some(path) = &place.path else {
        return Ok(());
    };
    fs::remove_file(path)?;
    if durable { sync_folder(path) } else { Ok(()) }
}

/// Brings the name of a file onto the disk.
fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
