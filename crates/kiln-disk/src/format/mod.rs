// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Formats of disk images: what a file is, whether it is whole, whether it stands alone.
//!
//! | module | what |
//! |---|---|
//! | [`qcow2`] | the header, the tables, a read-only device |
//! | [`foreign`] | formats that QEMU reads for us, and what they need |
//! | [`nbd`] | a device that QEMU serves |
//! | `raw` | what a raw image begins with, and what is no image at all |
//!
//! An image is hostile: its header may name any file of the host as its backing file, may ask
//! for tables of terabytes, may point anywhere. **Invariant:** nothing here panics, opens another
//! file, or asks for more than some tens of MiB of memory, whatever the bytes.

mod error;
pub mod foreign;
pub(crate) mod medium;
pub mod nbd;
pub mod qcow2;
mod raw;
mod source;

use std::io::{Read, Seek};

use kiln_spec::Bytes;

pub use error::FormatError;
pub use qcow2::Qcow2Info;
pub use raw::RawContent;

use source::Source;

/// What an image file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageInfo {
    /// Its format.
    pub format: Format,
    /// The size of the disk that a guest sees.
    pub virtual_size: Bytes,
    /// The size of the file.
    pub file_size: Bytes,
    /// What a raw image must have at least, by its own tables.
    needed: Bytes,
}

/// A format that Kiln and QEMU read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// The bytes of the disk.
    Raw(RawContent),
    /// QEMU's own format, version 2 or 3.
    Qcow2(Box<Qcow2Info>),
}

impl Format {
    /// Returns the name that QEMU and libvirt have for it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Raw(_) => "raw",
            Self::Qcow2(_) => "qcow2",
        }
    }
}

/// Finds out what a file is. `name` is what errors call it.
///
/// Reads some KiB, and of a qcow2 file the header, which is checked. That the file is whole is
/// not checked: see [`ImageInfo::check_complete`]. That it names no other file of the host is
/// not, either: see [`ImageInfo::check_self_contained`].
///
/// # Errors
///
/// - [`FormatError::Io`] if it cannot be read.
/// - [`FormatError::NotAnImage`] if it is something else, or nothing.
/// - [`FormatError::Unsupported`] if it is an image in a format that is not taken, or packed.
/// - [`FormatError::Header`] or [`FormatError::Feature`] if a qcow2 header is wrong or asks for
///   what is not known.
/// - [`FormatError::Truncated`] if not even the qcow2 tables are in the file.
/// - [`FormatError::Length`] if a raw image is no multiple of 512 bytes, and not known to be cut off.
pub fn probe<F: Read + Seek>(file: &mut F, name: &str) -> Result<ImageInfo, FormatError> {
    let mut source = Source::new(file, name)?;
    let head = source.head()?;
    if let Some(info) = qcow2::header::parse(&mut source, &head)? {
        let (virtual_size, file_size) = (info.virtual_size, Bytes(source.size));
        let format = Format::Qcow2(Box::new(info));
        return Ok(ImageInfo { format, virtual_size, file_size, needed: Bytes(0) });
    }
    raw::refuse_other_formats(&mut source, &head)?;
    let (content, needed) = raw::content(&mut source, &head)?;
    let size = Bytes(source.size);
    // A download that broke off ends anywhere.
    if !size.0.is_multiple_of(512) && needed <= size {
        return Err(FormatError::Length { name: name.to_owned(), size });
    }
    let virtual_size = Bytes(size.0 / 512 * 512);
    Ok(ImageInfo { format: Format::Raw(content), virtual_size, file_size: size, needed })
}

/// Finds out what a file is and checks that it is whole and needs no other file: [`probe`],
/// [`ImageInfo::check_self_contained`] and [`ImageInfo::check_complete`].
///
/// # Errors
///
/// As those three.
pub fn probe_complete<F: Read + Seek>(file: &mut F, name: &str) -> Result<ImageInfo, FormatError> {
    let info = probe(file, name)?;
    info.check_self_contained(name)?;
    info.check_complete(file, name)?;
    Ok(info)
}

impl ImageInfo {
    /// Returns what the qcow2 header says, if it is one.
    #[must_use]
    pub fn qcow2(&self) -> Option<&Qcow2Info> {
        match &self.format {
            Format::Qcow2(info) => Some(info),
            Format::Raw(_) => None,
        }
    }

    /// Checks that the image can be used by itself: QEMU would open no other file for it and
    /// needs no key, and its last user closed it.
    ///
    /// # Errors
    ///
    /// - [`FormatError::BackingFile`] or [`FormatError::DataFile`] if it names another file:
    ///   it could be any file of the host.
    /// - [`FormatError::Encrypted`] if it needs a key.
    /// - [`FormatError::Corrupt`] if QEMU has marked it so.
    /// - [`FormatError::Dirty`] if its reference counts were never written.
    pub fn check_self_contained(&self, name: &str) -> Result<(), FormatError> {
        self.qcow2().map_or(Ok(()), |info| info.check_self_contained(name))
    }

    /// Returns how much is missing at the file's end at least, if it is cut off.
    ///
    /// Reads little of a file that is whole: of a qcow2 the block that counts its last clusters.
    /// A table that cannot be right is left for those who read it.
    ///
    /// # Errors
    ///
    /// [`FormatError::Io`] if it cannot be read.
    pub fn missing<F: Read + Seek>(
        &self,
        file: &mut F,
        name: &str,
    ) -> Result<Option<Bytes>, FormatError> {
        if let Format::Qcow2(info) = &self.format
            && info.seems_whole(file, name)?
        {
            return Ok(None);
        }
        match self.check_complete(file, name) {
            Err(FormatError::Truncated { missing, .. }) => Ok(Some(missing)),
            Err(error @ FormatError::Io { .. }) => Err(error),
            Ok(()) | Err(_) => Ok(None),
        }
    }

    /// Checks that all that the image refers to is in the file: of a qcow2 each table and
    /// cluster, of a raw image what its partition table or file system names as its end.
    ///
    /// Reads all tables: some MiB for most images, 32 MiB of memory at most.
    ///
    /// # Errors
    ///
    /// - [`FormatError::Truncated`] if the file is too short, with how much is missing at least.
    /// - [`FormatError::Tables`] if a qcow2 table cannot be right.
    /// - [`FormatError::Io`] if it cannot be read.
    pub fn check_complete<F: Read + Seek>(
        &self,
        file: &mut F,
        name: &str,
    ) -> Result<(), FormatError> {
        match &self.format {
            Format::Qcow2(info) => info.check_complete(file, name),
            Format::Raw(_) => match self.needed.0.checked_sub(self.file_size.0) {
                None | Some(0) => Ok(()),
                Some(missing) => {
                    Err(FormatError::Truncated { name: name.to_owned(), missing: Bytes(missing) })
                }
            },
        }
    }
}
