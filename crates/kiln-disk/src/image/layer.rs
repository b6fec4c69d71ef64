// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The files of an image: the one that is named, and the backing files behind it.
//!
//! **Invariant:** a backing file is opened only if the caller follows them, each only once, for
//! reading, and its content never decides that it is raw unless the caller says so.

use std::fs::{File, OpenOptions as FileOptions};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use kiln_host::image_lock::{self, Access, ImageLock, Locked};
use rustix::fs::OFlags;

use super::base::{Base, Kind};
use super::foreign::ForeignFile;
use super::{Backing, FormatName, ImageError, Mode, OpenOptions, Warning};
use crate::device::{Device, RawFile};
use crate::format::foreign::{self, Foreign, ForeignFormat};
use crate::format::qcow2::{Qcow2File, Qcow2Info, check_changeable};
use crate::format::{self, Format, FormatError, ImageInfo};
use crate::fs::ext::shown;

/// The most files of one image.
const MOST_LAYERS: usize = 200;

/// One file of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Where it is.
    pub path: PathBuf,
    /// Its format.
    pub format: FormatName,
}

/// What is found out while an image is opened.
#[derive(Debug)]
pub(super) struct Opening<'a> {
    pub(super) options: &'a OpenOptions,
    pub(super) layers: Vec<Layer>,
    pub(super) warnings: Vec<Warning>,
    /// Device and inode numbers of the files so far.
    seen: Vec<(u64, u64)>,
}

/// The file that was named, open.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) size: u64,
    lock: Option<ImageLock>,
}

impl<'a> Opening<'a> {
    pub(super) fn new(options: &'a OpenOptions) -> Self {
        Self { options, layers: Vec::new(), warnings: Vec::new(), seen: Vec::new() }
    }

    /// Returns what errors call a file: the one that is to be opened, or one below it.
    pub(super) fn name(&self, path: &Path) -> String {
        match &self.options.shown {
            Some(shown) if self.seen.len() <= 1 => shown.clone(),
            _ => path.display().to_string(),
        }
    }

    /// Opens and locks a file or a disk of the host.
    pub(super) fn open(
        &mut self,
        path: &Path,
        name: &str,
        mode: Mode,
    ) -> Result<Opened, ImageError> {
        // Without O_NONBLOCK opening a pipe would wait for its other end.
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("a flag of open(2) is an int");
        let mut file = FileOptions::new()
            .read(true)
            .write(mode == Mode::Write)
            .custom_flags(flags)
            .open(path)
            .map_err(ImageError::io("open", name))?;
        let meta = file.metadata().map_err(ImageError::io("open", name))?;
        let kind = meta.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(ImageError::NotAFile { name: name.to_owned() });
        }
        let identity = (meta.dev(), meta.ino());
        if self.seen.contains(&identity) {
            return Err(ImageError::Cycle { name: name.to_owned() });
        }
        if self.seen.len() >= MOST_LAYERS {
            return Err(ImageError::TooDeep { most: MOST_LAYERS });
        }
        self.seen.push(identity);
        let lock = self.lock(&file, name, mode)?;
        let size = file.seek(SeekFrom::End(0)).map_err(ImageError::io("read", name))?;
        Ok(Opened { file, size, lock })
    }

    fn lock(
        &mut self,
        file: &File,
        name: &str,
        mode: Mode,
    ) -> Result<Option<ImageLock>, ImageError> {
        let writing = mode == Mode::Write;
        let access = if writing { Access::Write } else { Access::Read };
        let name = name.to_owned();
        match (image_lock::lock(file, access), writing) {
            (Ok(Locked::Yes(lock)), _) => return Ok(Some(lock)),
            (Ok(Locked::InUse(holders)), true) => return Err(ImageError::InUse { name, holders }),
            (Ok(Locked::InUse(holders)), false) => {
                self.warnings.push(Warning::InUse { name, holders });
            }
            (Err(source), true) => {
                return Err(ImageError::Io { what: "lock", name, source });
            }
            (Err(_), false) => self.warnings.push(Warning::NoLocks { name }),
        }
        Ok(None)
    }

    /// Returns what an open file is read by. `format` is its format, if that is known.
    ///
    /// Goes down the backing files in a loop: a chain may be as long as a stack is not.
    pub(super) fn base(
        &mut self,
        path: &Path,
        opened: Opened,
        format: Option<FormatName>,
        mode: Mode,
    ) -> Result<Base, ImageError> {
        let mut parts: Vec<Part> = Vec::new();
        let (mut path, mut opened, mut format, mut mode) = (path.to_owned(), opened, format, mode);
        let mut lowest = None;
        let mut named: Option<Named> = None;
        loop {
            let found = self.identify(&path, opened, format, mode);
            match found.map_err(|error| blame(named.as_ref(), error))? {
                Found::Whole(base) => {
                    lowest = Some(base);
                    break;
                }
                Found::Part(file, info, lock) => {
                    let name = self.name(&path);
                    let below = self.below(&path, &info)?;
                    parts.push(Part { name, file, info, lock, named: named.take() });
                    let Some((below, name)) = below else {
                        break;
                    };
                    named = Some(name);
                    (path, opened, format, mode) =
                        (below.path, below.opened, below.format, Mode::Read);
                }
            }
        }
        for part in parts.into_iter().rev() {
            let backing = lowest.take().map(|base| Box::new(base) as Box<dyn Device>);
            let file = Qcow2File::with_backing(part.file, &part.name, *part.info, backing)
                .map_err(|error| blame(part.named.as_ref(), error.into()))?;
            lowest = Some(Base::new(Kind::Qcow2(Box::new(file)), part.lock));
        }
        Ok(lowest.expect("the file that was named is read by something"))
    }

    /// Finds out whether a file is an image that QEMU reads for us.
    fn foreign(
        &self,
        file: &mut File,
        format: Option<FormatName>,
        name: &str,
    ) -> Result<Option<Foreign>, ImageError> {
        let found = match format {
            None | Some(FormatName::Foreign(_)) => foreign::probe(file, name)?,
            Some(FormatName::Raw | FormatName::Qcow2) => None,
        };
        if found.is_some() || self.options.keys.is_empty() || format == Some(FormatName::Raw) {
            return Ok(found);
        }
        let found = foreign::encrypted(file, name)?;
        Ok(found.filter(|found| format.is_none() || found.format == ForeignFormat::EncryptedQcow2))
    }

    /// Finds out what one file is.
    fn identify(
        &mut self,
        path: &Path,
        opened: Opened,
        format: Option<FormatName>,
        mode: Mode,
    ) -> Result<Found, ImageError> {
        let name = self.name(path);
        let Opened { mut file, size, lock } = opened;
        if let Some(found) = self.foreign(&mut file, format, &name)? {
            let shown = Some(name);
            let options = OpenOptions { mode, shown, ..self.options.clone() };
            let file = ForeignFile::open(path, found, size, &options)?;
            let format = FormatName::Foreign(file.format());
            self.layers.push(Layer { path: path.to_owned(), format });
            return Ok(Found::Whole(Base::new(Kind::Foreign(Box::new(file)), lock)));
        }
        let found = match format {
            Some(FormatName::Raw) => None,
            _ => {
                let found = format::probe(&mut file, &name)?;
                self.note_missing(&found, &mut file, &name)?;
                match found.format {
                    Format::Qcow2(info) => Some(info),
                    Format::Raw(_) if format.is_some() => {
                        let what = "not in the qcow2 format";
                        return Err(FormatError::NotAnImage { name, what }.into());
                    }
                    Format::Raw(_) => None,
                }
            }
        };
        let format = if found.is_some() { FormatName::Qcow2 } else { FormatName::Raw };
        self.layers.push(Layer { path: path.to_owned(), format });
        let Some(info) = found else {
            let raw = RawFile::with_size(file, size);
            return Ok(Found::Whole(Base::new(Kind::Raw(raw), lock)));
        };
        if mode == Mode::Write {
            check_changeable(&info, &name)?;
        } else if info.corrupt {
            self.warnings.push(Warning::Corrupt { name });
        }
        Ok(Found::Part(file, info, lock))
    }

    /// Takes note of a file whose end is missing. A program that writes it may not have written
    /// all that its tables name: of such a file only that it is in use is told.
    fn note_missing(
        &mut self,
        found: &ImageInfo,
        file: &mut File,
        name: &str,
    ) -> Result<(), ImageError> {
        let in_use = |warning: &Warning| match warning {
            Warning::InUse { name: used, .. } => used == name,
            _ => false,
        };
        if !self.warnings.iter().any(in_use)
            && let Some(missing) = found.missing(file, name)?
        {
            self.warnings.push(Warning::CutOff { name: name.to_owned(), missing });
        }
        Ok(())
    }

    /// Opens the backing file that a header names.
    fn below(
        &mut self,
        path: &Path,
        info: &Qcow2Info,
    ) -> Result<Option<(Below, Named)>, ImageError> {
        let Some(backing) = info.backing_file.as_deref().filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let (name, backing) = (self.name(path), backing.to_owned());
        if self.options.backing == Backing::Refuse {
            return Err(FormatError::BackingFile { name, backing }.into());
        }
        let named = Named { name, backing };
        match self.follow(path, &named, info.backing_format.as_deref()) {
            Ok(below) => Ok(Some((below, named))),
            Err(error) => Err(blame(Some(&named), error)),
        }
    }

    fn follow(
        &mut self,
        path: &Path,
        named: &Named,
        format: Option<&str>,
    ) -> Result<Below, ImageError> {
        let format = match format {
            Some("raw") => Some(FormatName::Raw),
            Some("qcow2") => Some(FormatName::Qcow2),
            Some(other) => {
                return Err(ImageError::BackingKind {
                    what: format!("in the format `{}`", shown(other.as_bytes())),
                });
            }
            None if self.options.probe_backing => None,
            None => {
                let (name, backing) = (named.name.clone(), named.backing.clone());
                return Err(ImageError::BackingFormat { name, backing });
            }
        };
        let path = resolve(path, &named.backing)?;
        let opened = self.open(&path, &path.display().to_string(), Mode::Read)?;
        Ok(Below { path, opened, format })
    }
}

/// What one file is.
#[derive(Debug)]
enum Found {
    /// A disk by itself.
    Whole(Base),
    /// A qcow2 file, which may need another.
    Part(File, Box<Qcow2Info>, Option<ImageLock>),
}

/// A qcow2 file that waits for what is below it.
#[derive(Debug)]
struct Part {
    name: String,
    file: File,
    info: Box<Qcow2Info>,
    lock: Option<ImageLock>,
    /// Who names it; `None` for the file that the caller named.
    named: Option<Named>,
}

/// A backing file, open.
#[derive(Debug)]
struct Below {
    path: PathBuf,
    opened: Opened,
    format: Option<FormatName>,
}

/// The file that names a backing file, and the name as it stands there.
#[derive(Debug)]
struct Named {
    name: String,
    backing: String,
}

/// Returns the error of a file, with who names it. The file nearest to the fault is named; the
/// chain down to it is no help.
fn blame(named: Option<&Named>, error: ImageError) -> ImageError {
    match (named, error) {
        (None, error)
        | (_, error @ (ImageError::Backing { .. } | ImageError::BackingFormat { .. })) => error,
        (Some(Named { name, backing }), error) => ImageError::Backing {
            name: name.clone(),
            backing: backing.clone(),
            source: Box::new(error),
        },
    }
}

/// Returns the path that a backing file's name means, as QEMU takes it: from the folder of the
/// file that names it.
fn resolve(path: &Path, backing: &str) -> Result<PathBuf, ImageError> {
    let plain = backing.strip_prefix("file:").unwrap_or(backing);
    let protocol = plain.split('/').next().and_then(|first| first.split_once(':'));
    if let Some((protocol, _)) = protocol {
        let what = format!("reached by `{}`", shown(protocol.as_bytes()));
        return Err(ImageError::BackingKind { what });
    }
    // A file may be called so, but an image that says so is up to something.
    if backing.contains(char::is_control) {
        let what = "named with control characters".to_owned();
        return Err(ImageError::BackingKind { what });
    }
    Ok(path.parent().map_or_else(|| PathBuf::from(plain), |folder| folder.join(plain)))
}
