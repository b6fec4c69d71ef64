// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Opening an image, and what is known of it then.

use std::fmt;
use std::fs::{File, OpenOptions as FileOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kiln_spec::Bytes;
use rustix::fs::OFlags;

use super::ImageError;
use super::overlay::Overlay;
use crate::device::{Device, Extent, RawFile, SharedDevice};
use crate::format::qcow2::{Qcow2File, Qcow2Info};
use crate::format::{self, Format};

/// What an image is opened for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Reading: writing fails.
    #[default]
    Read,
    /// Trying: writing works and is forgotten in the end. The file is opened for reading.
    Scratch,
    /// Changing: writing works, and [`DiskImage::commit`] keeps it.
    Write,
}

/// The format of an image's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatName {
    /// The bytes of the disk.
    Raw,
    /// QEMU's own.
    Qcow2,
}

impl fmt::Display for FormatName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        })
    }
}

/// What becomes of an image that needs another file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backing {
    /// It is not opened: the name could be that of any file of the host.
    #[default]
    Refuse,
    /// The files that it names are read. For images that are trusted.
    Follow,
}

/// How an image is opened.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// What for.
    pub mode: Mode,
    /// Its format. `None`: found out from its content, and an error if that is no image. A raw
    /// disk that begins like something else, or is empty, must be named as raw.
    pub format: Option<FormatName>,
    /// Whether files that it names are opened.
    pub backing: Backing,
    /// Where many changes are kept until they are committed. `None`: the image's folder.
    pub overlay_folder: Option<PathBuf>,
}

/// One file of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Where it is.
    pub path: PathBuf,
    /// Its format.
    pub format: FormatName,
}

/// What is known of an open image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// The format of the file that was opened.
    pub format: FormatName,
    /// The size of the disk that a guest sees.
    pub virtual_size: Bytes,
    /// The size of the file.
    pub file_size: Bytes,
    /// What the header says, if it is a qcow2 file.
    pub qcow2: Option<Qcow2Info>,
    /// The files: the one that was opened, its backing file, that one's, and so on.
    pub layers: Vec<Layer>,
}

/// Something about an open image that its user should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// QEMU found the image damaged and marked it so.
    Corrupt {
        /// The file.
        name: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt { name } => write!(f, "`{name}` is marked as corrupt"),
        }
    }
}

/// An open disk image.
///
/// Dropped without [`DiskImage::commit`], the file stays as it was.
#[derive(Debug)]
pub struct DiskImage {
    name: String,
    mode: Mode,
    info: Info,
    warnings: Vec<Warning>,
    disk: Arc<Mutex<Overlay<Base>>>,
}

/// What an image's file is read by.
#[derive(Debug)]
enum Base {
    Raw(RawFile),
    Qcow2(Box<Qcow2File>),
}

impl DiskImage {
    /// Opens the image at `path`.
    ///
    /// # Errors
    ///
    /// - [`ImageError::Format`] if it is not taken: damaged, another format, needs another file.
    /// - [`ImageError::NotAFile`] if it has no bytes.
    /// - [`ImageError::Io`] if the host says no.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Self, ImageError> {
        let name = path.display().to_string();
        let (mut file, size) = open_file(path, &name, options.mode == Mode::Write)?;
        let found = match options.format {
            Some(format) => format,
            None => match format::probe(&mut file, &name)?.format {
                Format::Raw(_) => FormatName::Raw,
                Format::Qcow2(_) => FormatName::Qcow2,
            },
        };
        let base = match found {
            FormatName::Raw => Base::Raw(RawFile::with_size(file, size)),
            FormatName::Qcow2 => Base::Qcow2(Box::new(Qcow2File::open(file, &name)?)),
        };
        let qcow2 = match &base {
            Base::Raw(_) => None,
            Base::Qcow2(file) => Some(file.info().clone()),
        };
        let info = Info {
            format: found,
            virtual_size: Bytes(base.size()),
            file_size: Bytes(size),
            qcow2,
            layers: vec![Layer { path: path.to_owned(), format: found }],
        };
        let beside = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = options.overlay_folder.as_deref().or(beside).unwrap_or(Path::new("."));
        let mut overlay = Overlay::new(base, folder.to_owned());
        if options.mode == Mode::Read {
            overlay.forbid_writing();
        }
        let disk = Arc::new(Mutex::new(overlay));
        Ok(Self { name, mode: options.mode, info, warnings: Vec::new(), disk })
    }

    /// Returns what is known of the file, as it was when it was opened.
    #[must_use]
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Returns what its user should know.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Returns the disk that a guest would see, with the changes so far. All that this returns
    /// are the same disk.
    #[must_use]
    pub fn device(&self) -> SharedDevice {
        SharedDevice::from_arc(self.disk.clone())
    }

    /// Returns whether there is anything to commit.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.disk().is_changed()
    }

    fn disk(&self) -> MutexGuard<'_, Overlay<Base>> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings all changes into the file. Devices from [`DiskImage::device`] must not be used any
    /// more.
    ///
    /// # Errors
    ///
    /// - [`ImageError::ReadOnly`] if the image was not opened for writing.
    /// - [`ImageError::Io`] if the host says no.
    pub fn commit(self) -> Result<(), ImageError> {
        if self.mode != Mode::Write {
            return Err(ImageError::ReadOnly { name: self.name });
        }
        let mut disk = self.disk();
        let write = ImageError::io("write", &self.name);
        apply(&mut disk).map_err(write)
    }
}

/// Writes the changes to the device below.
fn apply(disk: &mut Overlay<Base>) -> io::Result<()> {
    let mut at = 0;
    while let Some(change) = disk.next_change(at) {
        if change.zeros {
            disk.base_mut().discard(change.at, change.len)?;
        } else {
            let len = usize::try_from(change.len).expect("a run of data has 4 MiB at most");
            let mut bytes = vec![0; len];
            disk.read_at(change.at, &mut bytes)?;
            disk.base_mut().write_at(change.at, &bytes)?;
        }
        at = change.at + change.len;
    }
    disk.base_mut().flush()
}

/// Opens a file or a disk of the host and returns its size, too.
fn open_file(path: &Path, name: &str, write: bool) -> Result<(File, u64), ImageError> {
    // Without O_NONBLOCK opening a pipe would wait for its other end.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("a flag of open(2) is an int");
    let mut file = FileOptions::new()
        .read(true)
        .write(write)
        .custom_flags(flags)
        .open(path)
        .map_err(ImageError::io("open", name))?;
    let kind = file.metadata().map_err(ImageError::io("open", name))?.file_type();
    if !kind.is_file() && !kind.is_block_device() {
        return Err(ImageError::NotAFile { name: name.to_owned() });
    }
    let size = file.seek(SeekFrom::End(0)).map_err(ImageError::io("read", name))?;
    Ok((file, size))
}

impl Base {
    fn device(&self) -> &dyn Device {
        match self {
            Self::Raw(file) => file,
            Self::Qcow2(file) => file.as_ref(),
        }
    }

    fn device_mut(&mut self) -> &mut dyn Device {
        match self {
            Self::Raw(file) => file,
            Self::Qcow2(file) => file.as_mut(),
        }
    }
}

impl Device for Base {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        self.device_mut().read_at(at, buf)
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.device_mut().write_at(at, bytes)
    }

    fn discard(&mut self, at: u64, len: u64) -> io::Result<()> {
        self.device_mut().discard(at, len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.device_mut().flush()
    }

    fn size(&self) -> u64 {
        self.device().size()
    }

    fn extent(&mut self, at: u64) -> io::Result<Extent> {
        self.device_mut().extent(at)
    }
}
