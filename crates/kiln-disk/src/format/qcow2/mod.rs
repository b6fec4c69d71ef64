// SPDX-License-Identifier: Apache-2.0 OR MIT
//! qcow2, QEMU's own format.
//!
//! Source: `docs/interop/qcow2.txt` of QEMU 10.0; the limits are those of `block/qcow2.h`.

mod check;
mod create;
pub(super) mod header;
mod overlay;
mod read;
mod write;

use kiln_spec::Bytes;

use super::FormatError;

pub use create::NewQcow2;
pub use overlay::{most_of, overlay, size_in};
pub use read::Qcow2File;
pub(crate) use write::{NewDisk, WriteError, check_changeable, write};

/// What the header of a qcow2 file says, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Qcow2Info {
    /// 2 or 3. QEMU calls them `compat=0.10` and `compat=1.1`.
    pub version: u32,
    /// The size of the disk that a guest sees.
    pub virtual_size: Bytes,
    /// The size of a cluster: 512 bytes to 2 MiB.
    pub cluster_size: Bytes,
    /// The file, as named in the header, that has what this one does not.
    pub backing_file: Option<String>,
    /// The backing file's format.
    pub backing_format: Option<String>,
    /// The file that has the data, if it is not this one; empty if the header does not name it.
    pub data_file: Option<String>,
    /// How the data is encrypted.
    pub encryption: Encryption,
    /// Whether the reference counts may be wrong: the last user did not close it.
    pub dirty: bool,
    /// Whether QEMU found it damaged.
    pub corrupt: bool,
    /// How compressed clusters are compressed.
    pub compression: Compression,
    /// Whether clusters have parts of their own (32 each).
    pub extended_l2: bool,
    /// How many internal snapshots it has.
    pub snapshots: u32,
    /// How many persistent bitmaps it has, which say what changed since a backup.
    pub bitmaps: u32,
    tables: Tables,
}

/// How data is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encryption {
    /// Not at all.
    None,
    /// AES in the way of old QEMU, which is not safe.
    Aes,
    /// LUKS.
    Luks,
}

/// How compressed clusters are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// zlib's deflate, without a header.
    Zlib,
    /// zstd.
    Zstd,
}

/// Where the tables are. Offsets in bytes from the file's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tables {
    cluster_bits: u32,
    l1_at: u64,
    l1_entries: u64,
    refcount_at: u64,
    refcount_entries: u64,
    /// A reference count has 2 to this power bits.
    refcount_order: u32,
    snapshots_at: u64,
}

impl Qcow2Info {
    /// Checks what [`super::ImageInfo::check_self_contained`] says.
    pub(super) fn check_self_contained(&self, name: &str) -> Result<(), FormatError> {
        self.check_readable(name)?;
        let name = name.to_owned();
        if let Some(backing) = self.backing_file.clone() {
            return Err(FormatError::BackingFile { name, backing });
        }
        match self {
            Self { corrupt: true, .. } => Err(FormatError::Corrupt { name }),
            Self { dirty: true, .. } => Err(FormatError::Dirty { name }),
            _ => Ok(()),
        }
    }

    /// Checks that its data is in it and needs no key.
    fn check_readable(&self, name: &str) -> Result<(), FormatError> {
        let name = name.to_owned();
        if let Some(data) = self.data_file.clone() {
            return Err(FormatError::DataFile { name, data });
        }
        if self.encryption != Encryption::None {
            return Err(FormatError::Encrypted { name });
        }
        Ok(())
    }
}
