// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A file that gets its name when it is whole.
//!
//! It is made without a name (`O_TMPFILE`, open(2)), so that nothing is left of it however Kiln
//! ends. Where the host's file system cannot do that it has a name that begins with `.kiln-`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use kiln_host::beside::{folder_of, remove_remains};
use kiln_spec::Bytes;
use rustix::fs::{AtFlags, CWD, OFlags};
use rustix::io::Errno;
use uuid::Uuid;

use super::{ConvertError, ConvertOptions, Converted};

/// A file on its way.
#[derive(Debug)]
pub(crate) struct Target {
    file: File,
    path: PathBuf,
    /// Its name for now, where it must have one.
    named: Option<PathBuf>,
}

/// Returns a name beside `path` that nobody has.
fn beside(path: &Path) -> PathBuf {
    folder_of(path).join(format!(".kiln-{}", Uuid::new_v4()))
}

impl Target {
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        remove_remains(folder_of(path));
        let flags = i32::try_from(OFlags::TMPFILE.bits()).expect("a flag of open(2) is an int");
        let unnamed = OpenOptions::new()
            .read(true)
            .write(true)
            .mode(0o666)
            .custom_flags(flags)
            .open(folder_of(path));
        match unnamed {
            Ok(file) => Ok(Self { file, path: path.to_owned(), named: None }),
            Err(error) if no_tmpfile(&error) => {
                let named = beside(path);
                let file =
                    OpenOptions::new().read(true).write(true).create_new(true).open(&named)?;
                Ok(Self { file, path: path.to_owned(), named: Some(named) })
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Gives it its name; with [`ConvertOptions::durable`], when it is on the medium.
    pub(super) fn finish(
        self,
        options: &ConvertOptions,
        size: u64,
    ) -> Result<Converted, ConvertError> {
        let failed = ConvertError::write(&self.path);
        if options.durable {
            self.file.sync_all().map_err(&failed)?;
        }
        let about = self.file.metadata().map_err(&failed)?;
        match self.name(options.overwrite) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(ConvertError::Exists { target: self.path.clone() });
            }
            named => named.map_err(&failed)?,
        }
        if options.durable {
            sync_folder(&self.path).map_err(&failed)?;
        }
        Ok(Converted {
            virtual_size: Bytes(size),
            file_size: Bytes(about.len()),
            allocated: Bytes(about.blocks() * 512),
        })
    }

    /// Gives it its name, which nobody has, and returns how much space it takes. With `durable` it
    /// is on the medium then.
    pub(crate) fn publish(self, durable: bool) -> io::Result<u64> {
        if durable {
            self.file.sync_all()?;
        }
        let about = self.file.metadata()?;
        self.name(false)?;
        if durable {
            sync_folder(&self.path)?;
        }
        Ok(about.blocks() * 512)
    }

    fn name(&self, overwrite: bool) -> io::Result<()> {
        match (&self.named, overwrite) {
            (None, false) => self.link(&self.path),
            (Some(named), false) => fs::hard_link(named, &self.path),
            (None, true) => {
                let named = beside(&self.path);
                self.link(&named)?;
                fs::rename(&named, &self.path).inspect_err(|_| drop(fs::remove_file(&named)))
            }
            (Some(named), true) => fs::rename(named, &self.path),
        }
    }

    /// Gives the file without a name one: linkat(2).
    fn link(&self, to: &Path) -> io::Result<()> {
        let from = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        rustix::fs::linkat(CWD, from, CWD, to, AtFlags::SYMLINK_FOLLOW)?;
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(named) = &self.named {
            // Gone already if it was renamed.
            fs::remove_file(named).ok();
        }
    }
}

/// Brings a name onto the medium.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

/// Whether the host's file system, or a kernel before 3.11, knows no files without a name.
fn no_tmpfile(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(code, Some(Errno::OPNOTSUPP | Errno::ISDIR))
}
