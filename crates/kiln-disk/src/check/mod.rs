// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whether all of an image is in order: its format, its partition table and its file systems; and
//! mending it, all or nothing.
//!
//! | module | what |
//! |---|---|
//! | `format` | the tables of a qcow2 file and its like, by `qemu-img check` |
//! | `disk` | the partition table and the file systems |
//!
//! **Invariant:** an image that is checked is not changed, and one that is mended is changed only
//! if all that is wrong with it could be mended.

mod disk;
mod format;

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use kiln_host::image_lock::{self, Access, ImageLock, Locked};
use kiln_host::{CmdError, Host};
use tempfile::NamedTempFile;

use crate::format::FormatError;
use crate::fs::ContentKind;
use crate::fs::ext::{Progress, TendError};
use crate::image::{DiskImage, ImageError, Location, Mode, OpenOptions, Warning, beside};
use crate::table::TableError;

/// What an image is checked with.
pub struct Means<'a> {
    /// What runs the tools.
    pub host: &'a dyn Host,
    /// A folder of the host for copies of file systems.
    pub scratch: &'a Path,
    /// Gets what is being looked at, and how far that is.
    pub on: &'a mut dyn FnMut(&What, Option<Progress>),
}

impl fmt::Debug for Means<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Means").field("scratch", &self.scratch).finish_non_exhaustive()
    }
}

/// A part of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// The file, in this format.
    Format(&'static str),
    /// The file, in a format that cannot be told any more.
    File,
    /// The disk in it, of which nothing more is known.
    Disk,
    /// The partition table, of this kind: `gpt`, `dos`.
    Table(&'static str),
    /// What a partition holds, or the whole disk.
    FileSystem {
        /// The partition's number; `None` for the whole disk.
        partition: Option<u32>,
        /// What it is.
        kind: ContentKind,
    },
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(name) => write!(f, "{name} file"),
            Self::File => f.write_str("file"),
            Self::Disk => f.write_str("disk"),
            Self::Table(name) => write!(f, "partition table ({name})"),
            Self::FileSystem { partition: Some(number), kind } => {
                write!(f, "partition {number} ({kind})")
            }
            Self::FileSystem { partition: None, kind } => write!(f, "whole disk ({kind})"),
        }
    }
}

/// The state of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Nothing is wrong.
    Clean,
    /// Something is wrong.
    Damaged,
    /// Something is wrong that cannot be mended.
    Unmendable,
    /// Something was wrong.
    Mended,
    /// Nobody looked.
    NotChecked,
}

/// What was found of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The part.
    pub what: What,
    /// Its state.
    pub state: State,
    /// What is wrong, or why it was not checked; a line each.
    pub findings: Vec<String>,
    /// What the tool that looked said, for people. It may have names of the image in it.
    pub report: String,
}

impl Part {
    fn clean(what: What) -> Self {
        Self { what, state: State::Clean, findings: Vec::new(), report: String::new() }
    }

    fn with(what: What, state: State, finding: impl AsRef<str>) -> Self {
        let findings = finding.as_ref().lines().map(str::to_owned).collect();
        Self { what, state, findings, report: String::new() }
    }
}

/// What was found of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Its parts: the format, the partition table, the file systems in the order of partitions.
    pub parts: Vec<Part>,
    /// What its user should know besides.
    pub warnings: Vec<Warning>,
}

impl Report {
    /// Returns whether nothing is wrong, or not any more.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let bad = |part: &Part| matches!(part.state, State::Damaged | State::Unmendable);
        !self.parts.iter().any(bad)
    }

    /// Returns whether something cannot be mended.
    #[must_use]
    pub fn is_unmendable(&self) -> bool {
        self.parts.iter().any(|part| part.state == State::Unmendable)
    }

    /// Takes back what is not kept.
    fn forget(&mut self) {
        for part in &mut self.parts {
            if part.state == State::Mended {
                part.state = State::Damaged;
            }
        }
    }
}

/// Why an image could not be checked or mended. That it is damaged is none of these.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// It cannot be opened or written.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// `qemu-img` cannot be run.
    #[error("could not check the format of `{name}`")]
    Tool {
        /// The image.
        name: String,
        /// Which one, and how.
        source: CmdError,
    },
    /// The disk or its partition table could not be read or written.
    #[error("could not check the partition table")]
    Table(#[from] TableError),
    /// A file system could not be looked at.
    #[error("could not check {what}")]
    FileSystem {
        /// Which one.
        what: String,
        /// Why not.
        source: TendError,
    },
    /// What a partition holds could not be read.
    #[error("could not read the disk")]
    Read {
        /// What it said.
        source: io::Error,
    },
}

impl From<FormatError> for CheckError {
    fn from(error: FormatError) -> Self {
        Self::Image(error.into())
    }
}

/// Checks the image at `place`, which is not changed. `options` say how it is opened; their mode is
/// not looked at.
///
/// # Effects
///
/// Each file system is copied to the scratch folder, as far as it is used, one after the other.
///
/// # Errors
///
/// [`CheckError`]; that the image is damaged is none.
pub fn check(
    place: &Location,
    options: &OpenOptions,
    means: &mut Means<'_>,
) -> Result<Report, CheckError> {
    let looked = look(place, options, means)?;
    let mut report = Report { parts: looked.part.into_iter().collect(), warnings: Vec::new() };
    let disk = match opened(place, options, Mode::Read, &report)? {
        Ok(disk) => disk,
        Err(part) => {
            report.parts.push(part);
            return Ok(report);
        }
    };
    report.warnings = disk.warnings().to_vec();
    let unread = !report.is_good();
    report.parts.extend(disk::parts(&disk, unread, false, means)?);
    Ok(report)
}

/// Mends the image at `place`, if all that is wrong with it can be; else it is as it was, and the
/// report says what cannot be mended. With `keep` false it is in any case.
///
/// # Effects
///
/// As [`check`]. If the format is damaged, a copy of the file is mended, and takes its place; if
/// not, changes are committed as those of any edit. A kill leaves the old image or the new one.
///
/// # Errors
///
/// [`CheckError`]: the image is as it was then. [`ImageError::InUse`] if others use it.
pub fn repair(
    place: &Location,
    options: &OpenOptions,
    keep: bool,
    means: &mut Means<'_>,
) -> Result<Report, CheckError> {
    let looked = look(place, options, means)?;
    match looked.part {
        Some(part) if part.state == State::Damaged => {
            let (Some(format), Location::File(path)) = (looked.mender, place) else {
                return Ok(Report { parts: vec![part], warnings: Vec::new() });
            };
            in_copy(path, (options, keep), (part, format), means)
        }
        Some(part) if part.state == State::Unmendable => {
            Ok(Report { parts: vec![part], warnings: Vec::new() })
        }
        part => {
            let mut report = Report { parts: part.into_iter().collect(), warnings: Vec::new() };
            let mode = if keep { Mode::Write } else { Mode::Scratch };
            mend_disk(place, (options, mode), &mut report, means)?;
            Ok(report)
        }
    }
}

/// Checks the format of an image's file; what is in a cluster is a raw disk.
fn look(
    place: &Location,
    options: &OpenOptions,
    means: &mut Means<'_>,
) -> Result<format::Looked, CheckError> {
    match place {
        Location::File(path) => format::look(path, options, means),
        Location::Rbd(_) => Ok(format::Looked { part: None, mender: None }),
    }
}

/// Mends the format in a copy beside the image, then what is on the disk in that.
fn in_copy(
    path: &Path,
    (options, keep): (&OpenOptions, bool),
    (part, mender): (Part, format::Mender),
    means: &mut Means<'_>,
) -> Result<Report, CheckError> {
    let name = path.display().to_string();
    let failed = || ImageError::io("write", &name);
    // A link stays a link.
    let real = fs::canonicalize(path).map_err(failed())?;
    let _lock = if keep { Some(locked(&real, &name)?) } else { None };
    let copy = beside(&real).map_err(failed())?;
    let part = mender.mend(copy.path(), part, means)?;
    let mut report = Report { parts: vec![part], warnings: Vec::new() };
    mend_disk(&Location::from(copy.path()), (options, Mode::Write), &mut report, means)?;
    if keep && report.is_good() {
        put(copy, &real, !options.skip_sync).map_err(failed())?;
    }
    Ok(report)
}

/// Locks the image for as long as its copy is worked on.
fn locked(real: &Path, name: &str) -> Result<ImageLock, ImageError> {
    let file = File::options().read(true).write(true).open(real);
    let file = file.map_err(ImageError::io("open", name))?;
    match image_lock::lock(&file, Access::Write).map_err(ImageError::io("lock", name))? {
        Locked::Yes(lock) => Ok(lock),
        Locked::InUse(holders) => Err(ImageError::InUse { name: name.to_owned(), holders }),
    }
}

fn put(copy: NamedTempFile, real: &Path, durable: bool) -> io::Result<()> {
    if durable {
        copy.as_file().sync_all()?;
    }
    copy.persist(real).map_err(|error| error.error)?;
    if durable {
        File::open(real.parent().unwrap_or(Path::new("/")))?.sync_all()?;
    }
    Ok(())
}

/// Mends what is on the disk, and keeps it if all could be mended.
fn mend_disk(
    place: &Location,
    (options, mode): (&OpenOptions, Mode),
    report: &mut Report,
    means: &mut Means<'_>,
) -> Result<(), CheckError> {
    let disk = match opened(place, options, mode, report)? {
        Ok(disk) => disk,
        Err(part) => {
            report.parts.push(part);
            return Ok(());
        }
    };
    report.warnings = disk.warnings().to_vec();
    let unread = !report.is_good();
    report.parts.extend(disk::parts(&disk, unread, true, means)?);
    if !report.is_good() {
        report.forget();
    } else if mode == Mode::Write && disk.is_changed() {
        disk.commit()?;
    }
    Ok(())
}

/// Opens the disk in the image. The inner error is the part that stands for a disk that cannot be
/// opened, though the file is an image.
fn opened(
    place: &Location,
    options: &OpenOptions,
    mode: Mode,
    report: &Report,
) -> Result<Result<DiskImage, Part>, CheckError> {
    let error = match DiskImage::open_at(place, &OpenOptions { mode, ..options.clone() }) {
        Ok(disk) => return Ok(Ok(disk)),
        Err(error) => error,
    };
    let known = match &error {
        // A raw disk has no part before this one, and is cut off.
        ImageError::Format(FormatError::Length { .. }) => {
            return Ok(Err(Part::with(What::Disk, State::Unmendable, error.to_string())));
        }
        ImageError::Format(FormatError::BackingFile { .. }) => !report.parts.is_empty(),
        ImageError::Format(_) | ImageError::Served { .. } => !report.is_good(),
        _ => false,
    };
    if !known {
        return Err(error.into());
    }
    Ok(Err(Part::with(What::Disk, State::NotChecked, error.to_string())))
}
