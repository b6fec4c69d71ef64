// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Changing a qcow2 file, all or nothing, without a journal.
//!
//! Everything that changes (data, L2 tables, the L1 table, reference counts and their table) is
//! written to clusters that the file does not use. When all of it is on the disk, one write of the
//! header's first bytes makes it the image. Before that write the file is the old image, since
//! what it does not use has no reference count; after it, the new one. Then the space of what is
//! no longer used is given back.
//!
//! | module | what |
//! |---|---|
//! | `counts` | reference counts, and which cluster is free |
//! | `references` | what the tables use, to check the counts or make them anew |
//! | `snapshots` | the table of internal snapshots |
//! | `tables` | L1 and L2 tables as they are to be |
//!
//! Source: `docs/interop/qcow2.txt` of QEMU 10.0.

mod counts;
mod references;
mod snapshots;
mod tables;

use std::io;

use super::{FormatError, Qcow2File, Qcow2Info};
use crate::format::medium::Medium;
use counts::Counts;
use snapshots::Snapshots;
use tables::Writer;

/// The bytes of a header that a change rewrites, by version. They are in one sector.
const HEADER: [usize; 2] = [72, 104];

/// Bytes up to which what is no longer used is written over and not made a hole of. The next
/// change uses them first.
const LITTLE: u64 = 4 << 20;

/// The bit of `incompatible_features` that says that the reference counts may be wrong.
const DIRTY: u8 = 1;

/// The disk as it is to be.
pub(crate) trait NewDisk {
    /// Returns its size in bytes.
    fn size(&self) -> u64;

    /// Returns the first run of changes at or after a byte: where, how many bytes, whether they
    /// are zeros.
    fn next_change(&self, from: u64) -> Option<(u64, u64, bool)>;

    /// Fills with what is to be.
    fn read(&mut self, at: u64, buf: &mut [u8]) -> io::Result<()>;

    /// Returns the file as it is.
    fn old(&mut self) -> &mut Qcow2File;
}

/// Why a file was not changed.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// The host says no.
    Io(io::Error),
    /// The file must not be changed.
    Format(FormatError),
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<FormatError> for WriteError {
    fn from(error: FormatError) -> Self {
        Self::Format(error)
    }
}

/// Checks that an image of this kind can be changed here.
pub(crate) fn check_changeable(info: &Qcow2Info, name: &str) -> Result<(), FormatError> {
    if info.corrupt {
        return Err(FormatError::Corrupt { name: name.to_owned() });
    }
    if info.bitmaps > 0 {
        return Err(FormatError::Unchangeable {
            name: name.to_owned(),
            why: "it has persistent bitmaps, which would no longer say what changed",
            hint: format!("if no backup needs them: `qemu-img bitmap --remove {name} NAME`"),
        });
    }
    Ok(())
}

/// Writes what is to be into the file that `medium` is. Returns whether anything changed.
///
/// A failure before the header is written leaves the old image, at its old length.
pub(crate) fn write(
    disk: &mut impl NewDisk,
    medium: &Medium,
    name: &str,
) -> Result<bool, WriteError> {
    let info = disk.old().info().clone();
    check_changeable(&info, name)?;
    let snapshots = snapshots::read(name, medium, &info)?;
    check_resize(&info, name, disk.size(), &snapshots)?;
    let counts = counts(disk, medium, name, &snapshots)?;
    let old_len = medium.len()?;
    let old_header = header(medium, &info)?;
    let mut writer = Writer::new(name, medium.clone(), &info, counts, disk.old().l1());
    let prepared = writer.write_disk(disk).and_then(|changed| {
        let resized = disk.size() != info.virtual_size.0;
        if changed || resized || info.dirty { writer.finish().map(Some) } else { Ok(None) }
    });
    let switched = prepared.and_then(|places| match places {
        Some(places) => {
            medium.sync()?;
            switch(medium, &info, disk.size(), &places).map(|()| true)
        }
        None => Ok(false),
    });
    if !matches!(switched, Ok(true)) {
        // If the header may be the new one, nothing is taken away from it.
        if header(medium, &info)? == old_header {
            undo(&writer, medium, old_len, info.cluster_size.0);
        }
        return switched;
    }
    medium.sync()?;
    erase(&writer, medium, info.cluster_size.0);
    Ok(true)
}

/// Removes what only the old image had: nobody is to find there what was deleted.
fn erase(writer: &Writer<'_>, medium: &Medium, cluster: u64) {
    let total: u64 = writer.unused().iter().map(|(_, count)| count * cluster).sum();
    for (first, count) in writer.unused() {
        let (at, len) = (first * cluster, count * cluster);
        // A hole takes the host milliseconds, even one of a cluster.
        let done = if total <= LITTLE { medium.blank(at, len) } else { medium.punch(at, len) };
        // The image is the new one already, and not every host can make holes.
        if done.is_err() {
            break;
        }
    }
}

/// Where the new tables are.
#[derive(Clone, Copy, Debug)]
struct Places {
    l1_at: u64,
    l1_entries: u64,
    refcount_at: u64,
    refcount_clusters: u64,
}

/// Returns the reference counts: checked if that is not too much, made anew if they are not right.
fn counts(
    disk: &mut impl NewDisk,
    medium: &Medium,
    name: &str,
    snapshots: &Snapshots,
) -> Result<Counts, WriteError> {
    let old = disk.old();
    let info = old.info().clone();
    let mut counts = Counts::read(name, medium.clone(), info.tables)?;
    let runs = references::references(name, medium, &info, old.l1(), snapshots)?;
    match (runs, info.dirty) {
        (Some(runs), false) => {
            counts.verify(&runs)?;
            counts.reuse();
        }
        (Some(runs), true) => {
            counts.rebuild(&runs)?;
            counts.reuse();
        }
        // Beyond the file's end nothing is in use, whatever the counts say.
        (None, false) => {}
        (None, true) => return Err(FormatError::Dirty { name: name.to_owned() }.into()),
    }
    Ok(counts)
}

fn check_resize(
    info: &Qcow2Info,
    name: &str,
    size: u64,
    snapshots: &Snapshots,
) -> Result<(), FormatError> {
    let known = info.version >= 3 && snapshots.list.iter().all(|snapshot| snapshot.has_size);
    if size == info.virtual_size.0 || snapshots.list.is_empty() || known {
        return Ok(());
    }
    Err(FormatError::Unchangeable {
        name: name.to_owned(),
        why: "it has internal snapshots that do not tell their own size, so the disk's must stay",
        hint: format!("delete them, or make it newer: `qemu-img amend -o compat=1.1 {name}`"),
    })
}

/// Gives back what was taken for an image that did not come to be.
fn undo(writer: &Writer<'_>, medium: &Medium, old_len: u64, cluster: u64) {
    // The file is the old image whether or not this succeeds.
    for (first, count) in writer.taken() {
        let (at, end) = (first * cluster, (first + count) * cluster);
        if at < old_len {
            let _ = medium.punch(at, end.min(old_len) - at);
        }
    }
    if medium.is_file().unwrap_or(false) {
        let _ = medium.set_len(old_len);
    }
}

/// Returns the part of the header that a change rewrites, as it is in the file.
fn header(medium: &Medium, info: &Qcow2Info) -> io::Result<Vec<u8>> {
    let mut header = vec![0; HEADER[usize::from(info.version >= 3)]];
    medium.read(0, &mut header)?;
    Ok(header)
}

/// Makes the new tables the image's.
fn switch(medium: &Medium, info: &Qcow2Info, size: u64, places: &Places) -> Result<(), WriteError> {
    let mut header = header(medium, info)?;
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    let u32_of = |n: u64| u32::try_from(n).expect("a table's length is checked").to_be_bytes();
    put(24, &size.to_be_bytes());
    put(36, &u32_of(places.l1_entries));
    put(40, &places.l1_at.to_be_bytes());
    put(48, &places.refcount_at.to_be_bytes());
    put(56, &u32_of(places.refcount_clusters));
    if info.version >= 3 {
        // "autoclear_features": a program that does not know a bit clears it when it writes.
        put(88, &[0; 8]);
        header[79] &= !DIRTY;
    }
    medium.write(0, &header)?;
    Ok(())
}
