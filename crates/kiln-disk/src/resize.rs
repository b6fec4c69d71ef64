// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Another size for a disk: the disk itself, its last partition and the file system in that.
//!
//! No partition moves and none gets another number. Growing, the disk is first and the file
//! system last; shrinking, the other way round, so that nothing is ever outside of what holds it.
//! Nothing of it is in the image before [`DiskImage::commit`].

use std::io;
use std::path::Path;

use kiln_host::Host;
use kiln_spec::Bytes;

use crate::device::{Device, SharedDevice, Window};
use crate::fs::ext::resize::{minimum_size, resize as resize_ext};
use crate::fs::ext::{OnProgress, TendError};
use crate::fs::{ContentKind, identify};
use crate::image::{DiskImage, ImageError};
use crate::table::{self, Partition, PartitionTable, TableError, resize_partition, set_disk_size};

/// Partitions end at multiples of this.
const ALIGN: u64 = 1 << 20;

/// Which partition gets what the disk gains, or gives what it loses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// The last one on the disk.
    #[default]
    Last,
    /// This one. There must be room behind it.
    Number(u32),
    /// None: only the disk and its table.
    None,
}

/// What is to become of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resize {
    /// Its new size in bytes; a multiple of 512.
    pub size: u64,
    /// Which partition goes with it.
    pub which: Which,
    /// Whether it may become smaller.
    pub shrink: bool,
}

/// What became of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resized {
    /// The disk's size before.
    pub old_size: Bytes,
    /// The disk's size now.
    pub size: Bytes,
    /// The partition that goes with it, if there is a table.
    pub partition: Option<PartitionChange>,
    /// The file system in that, or on the whole disk.
    pub content: Option<ContentKind>,
    /// The size of that file system now; `None` if it was left as it is.
    pub file_system: Option<Bytes>,
}

impl Resized {
    /// Returns whether the file system was left smaller than the room that it has: only ext2,
    /// ext3 and ext4 are grown here.
    #[must_use]
    pub fn leaves_room(&self) -> bool {
        let grown = self.partition.is_none_or(|change| change.new > change.old);
        let files = self.content.is_some_and(ContentKind::has_files);
        self.size > self.old_size && grown && files && self.file_system.is_none()
    }
}

/// The change of a partition's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionChange {
    /// Its number.
    pub number: u32,
    /// Its length before.
    pub old: Bytes,
    /// Its length now.
    pub new: Bytes,
}

/// Why a disk does not get another size.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResizeError {
    /// It would become smaller, and that was not asked for.
    #[error("the disk has {old}, and {asked} are less")]
    Smaller {
        /// The size that it has.
        old: Bytes,
        /// What was asked for.
        asked: Bytes,
    },
    /// Another partition is behind the one that was named.
    #[error("partition {number} cannot grow: partition {behind} is behind it")]
    Behind {
        /// The one that was named.
        number: u32,
        /// The one behind it.
        behind: u32,
    },
    /// What is there cannot be made smaller.
    #[error("{what} is {kind}, which cannot be made smaller")]
    NotSmaller {
        /// `partition 2`, or `the disk`.
        what: String,
        /// What is there.
        kind: ContentKind,
        /// The least that the disk can have: whole MiB.
        least: Bytes,
    },
    /// The file system needs more.
    #[error("the file system of {what} needs {needs}")]
    TooSmall {
        /// `partition 2`, or `the disk`.
        what: String,
        /// About the least that the file system can have.
        needs: Bytes,
        /// About the least that the disk can have: whole MiB.
        least: Bytes,
    },
    /// The file system cannot have that size.
    #[error("could not resize the file system of {what}")]
    FileSystem {
        /// `partition 2`, or `the disk`.
        what: String,
        /// Why.
        source: TendError,
    },
    /// The table cannot be read or changed.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The image does not take that size.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The disk cannot be read.
    #[error("could not read the disk")]
    Read {
        /// What it says.
        source: io::Error,
    },
}

fn unreadable(source: io::Error) -> ResizeError {
    ResizeError::Read { source }
}

/// Where the work on a file system is done: the host that runs `resize2fs` and `e2fsck`, and a
/// folder for a sparse copy of what is in use.
pub type Workshop<'a> = (&'a dyn Host, &'a Path);

/// Gives `disk` another size. Nothing is kept unless it is committed.
///
/// # Errors
///
/// See [`ResizeError`]. The disk must not be committed after one.
pub fn resize(
    disk: &mut DiskImage,
    wanted: &Resize,
    workshop: Workshop<'_>,
    on: OnProgress<'_>,
) -> Result<Resized, ResizeError> {
    let mut device = disk.device();
    let old = device.size();
    if wanted.size < old && !wanted.shrink {
        return Err(ResizeError::Smaller { old: Bytes(old), asked: Bytes(wanted.size) });
    }
    let table = table::read(&mut device)?;
    let part = choose(&table, wanted.which)?.cloned();
    let mut change = Change { device, table, part, size: wanted.size, workshop };
    let grows = wanted.size >= old;
    // A disk of the host can get a new table, and no new size.
    if wanted.size > old {
        disk.resize_virtual(wanted.size)?;
    }
    let which = wanted.which;
    let mut done = if grows { change.grow(which, on)? } else { change.shrink(which, on)? };
    if wanted.size < old {
        disk.resize_virtual(wanted.size)?;
    }
    done.old_size = Bytes(old);
    Ok(done)
}

/// Returns the partition that goes with the disk; `None` if there is no table, or none is to.
fn choose(table: &PartitionTable, which: Which) -> Result<Option<&Partition>, TableError> {
    match which {
        Which::None => Ok(None),
        Which::Number(_) if table.kind.is_none() => Err(TableError::NoTable),
        Which::Number(number) => {
            table.partition(number).map(Some).ok_or(TableError::NoPartition { number })
        }
        Which::Last => {
            let parts = table.partitions.iter().filter(|part| !part.kind.is_extended());
            Ok(parts.max_by_key(|part| part.start))
        }
    }
}

/// A change under way.
struct Change<'a> {
    device: SharedDevice,
    table: PartitionTable,
    part: Option<Partition>,
    size: u64,
    workshop: Workshop<'a>,
}

impl Change<'_> {
    /// Where the last partition ends on the disk of the new size.
    fn end(&self) -> u64 {
        self.size.saturating_sub(self.table.reserved) / ALIGN * ALIGN
    }

    fn result(&self) -> Resized {
        let size = Bytes(self.size);
        Resized { old_size: size, size, partition: None, content: None, file_system: None }
    }

    fn name(&self) -> String {
        let numbered = |part: &Partition| format!("partition {}", part.number);
        self.part.as_ref().map_or_else(|| "the disk".to_owned(), numbered)
    }

    /// Returns what is in the partition, or on a disk without a table.
    fn content(&mut self) -> Result<ContentKind, ResizeError> {
        let (start, len) =
            self.part.as_ref().map_or((0, self.device.size()), |part| (part.start, part.len));
        let mut window = Window::new(&mut self.device, start, len).map_err(unreadable)?;
        Ok(identify(&mut window).map_err(unreadable)?.kind)
    }

    /// Gives the file system another size. `len` is what its place has.
    fn file_system(
        &self,
        (start, len): (u64, u64),
        size: u64,
        on: OnProgress<'_>,
    ) -> Result<Bytes, ResizeError> {
        let window = Window::new(self.device.clone(), start, len).map_err(unreadable)?;
        resize_ext(Box::new(window), size, self.workshop, on)
            .map_err(|source| ResizeError::FileSystem { what: self.name(), source })
    }

    /// Makes the file system smaller, or says how small it can be.
    fn smaller(
        &self,
        (start, len): (u64, u64),
        size: u64,
        on: OnProgress<'_>,
    ) -> Result<Bytes, ResizeError> {
        let failed = |source| ResizeError::FileSystem { what: self.name(), source };
        let needs = if size == 0 {
            let window = Window::new(self.device.clone(), start, len).map_err(unreadable)?;
            let (host, folder) = self.workshop;
            minimum_size(Box::new(window), host, folder, on).map_err(failed)?
        } else {
            match self.file_system((start, len), size, on) {
                Err(ResizeError::FileSystem {
                    source: TendError::TooSmall { minimum, .. },
                    ..
                }) => minimum,
                done => return done,
            }
        };
        let least = self.least(start.saturating_add(needs.0));
        Err(ResizeError::TooSmall { what: self.name(), needs, least })
    }

    /// Returns the size of the smallest disk on which a partition can end at `end`.
    fn least(&self, end: u64) -> Bytes {
        let used = end.div_ceil(ALIGN).saturating_mul(ALIGN).saturating_add(self.table.reserved);
        Bytes(used.div_ceil(ALIGN).saturating_mul(ALIGN))
    }

    fn grow(&mut self, which: Which, on: OnProgress<'_>) -> Result<Resized, ResizeError> {
        let mut done = self.result();
        if self.table.kind.is_some() {
            set_disk_size(&mut self.device, self.size)?;
        }
        if which == Which::None {
            return Ok(done);
        }
        let Some(part) = self.part.clone() else {
            if self.table.kind.is_none() {
                let content = self.content()?;
                done.content = Some(content);
                if content.is_ext() {
                    let size = self.size;
                    done.file_system = Some(self.file_system((0, size), size, on)?);
                }
            }
            return Ok(done);
        };
        let content = self.content()?;
        let end = self.size.saturating_sub(self.table.reserved);
        let room = self.table.room(part.number, end).map_or(part.len, |room| room.0);
        let aligned = self.end().saturating_sub(part.start);
        let len = room.min(aligned.max(part.len));
        let behind = self.table.partitions.iter().find(|other| {
            other.start >= part.end() && !other.kind.is_extended() && other.number != part.number
        });
        if let (true, Some(behind)) = (len <= part.len, behind) {
            let (number, behind) = (part.number, behind.number);
            return Err(ResizeError::Behind { number, behind });
        }
        if len > part.len {
            resize_partition(&mut self.device, part.number, len)?;
        }
        let (number, old, new) = (part.number, Bytes(part.len), Bytes(len.max(part.len)));
        done.partition = Some(PartitionChange { number, old, new });
        done.content = Some(content);
        if content.is_ext() {
            done.file_system = Some(self.file_system((part.start, new.0), new.0, on)?);
        }
        Ok(done)
    }

    fn shrink(&mut self, which: Which, on: OnProgress<'_>) -> Result<Resized, ResizeError> {
        let mut done = self.result();
        if which != Which::None && (self.part.is_some() || self.table.kind.is_none()) {
            let content = self.content()?;
            done.content = Some(content);
            let (start, old) =
                self.part.as_ref().map_or((0, self.device.size()), |part| (part.start, part.len));
            let end = if self.part.is_some() { self.end() } else { self.size };
            if start + old > end {
                let new = end.saturating_sub(start);
                if content.is_ext() {
                    done.file_system = Some(self.smaller((start, old), new, on)?);
                } else if content != ContentKind::Empty {
                    let (what, least) = (self.name(), self.least(start + old));
                    return Err(ResizeError::NotSmaller { what, kind: content, least });
                }
                if let Some(part) = &self.part {
                    resize_partition(&mut self.device, part.number, new)?;
                    let (number, old, new) = (part.number, Bytes(old), Bytes(new));
                    done.partition = Some(PartitionChange { number, old, new });
                }
            }
        }
        set_disk_size(&mut self.device, self.size)?;
        Ok(done)
    }
}
