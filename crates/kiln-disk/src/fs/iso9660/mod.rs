// SPDX-License-Identifier: Apache-2.0 OR MIT
//! ISO 9660: written in process ([`Iso`]), with Rock Ridge (for Linux) and Joliet (for Windows), and
//! read ([`IsoFs`]).
//!
//! What is written is made for the drives that carry a guest's first-boot data: a few small files. Relies on
//! ECMA-119 (the same text as ISO 9660), SUSP 1.10 and RRIP 1.10 (Rock Ridge), and the Joliet
//! specification of 1995. Deep folders are refused instead of moved (no `RR_MOVED`).
//!
//! **Invariant:** the same files, volume id and time always give the same bytes.

mod layout;
mod names;
mod records;
mod susp;
mod tree;
mod volume;

pub use self::volume::{BootImage, BootPlatform, IsoFs, IsoFsError, IsoNames, Listed, Node, Stat};

/// The bytes of a sector, which is the logical block as well: ECMA-119, 6.1.2.
pub const SECTOR: usize = 2048;

/// An ISO 9660 file system to be: a volume id and files.
///
/// # Examples
///
/// ```
/// # use kiln_disk::fs::iso9660::Iso;
/// let bytes = Iso::new("cidata", 1_700_000_000)
///     .file("user-data", "#cloud-config\n")
///     .file("meta-data", "instance-id: i-1\n")
///     .build()?;
/// assert_eq!(&bytes[0x8001..0x8006], b"CD001");
/// # Ok::<(), kiln_disk::fs::iso9660::IsoError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Iso {
    volume: String,
    time_secs: u64,
    private: bool,
    files: Vec<(String, Vec<u8>)>,
}

/// Why an ISO 9660 file system could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IsoError {
    /// The volume id has no room in its field.
    #[error("volume id `{volume}` must be 1 to 32 printable ASCII characters")]
    Volume {
        /// The volume id.
        volume: String,
    },
    /// The time is beyond what a directory record can hold: the year 2155.
    #[error("time {secs} (seconds since 1970) is beyond the year 2155")]
    Time {
        /// The time, in seconds since 1970.
        secs: u64,
    },
    /// A path cannot be stored.
    #[error("path `{path}` cannot be on an ISO 9660 file system: {why}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Two files have the same path, or one's path is the other's folder.
    #[error("path `{path}` is there twice")]
    Twice {
        /// The path.
        path: String,
    },
    /// The whole is too large for 32-bit sector numbers, or one file for a 32-bit length.
    #[error("`{what}` is too large for ISO 9660")]
    TooLarge {
        /// The file's path, or the volume id for the whole.
        what: String,
    },
}

impl Iso {
    /// Returns an empty file system with this volume id (kept as given, in lower case too) whose
    /// files and folders all date from `time_secs`, in seconds since 1970.
    #[must_use]
    pub fn new(volume: impl Into<String>, time_secs: u64) -> Self {
        Self { volume: volume.into(), time_secs, private: false, files: Vec::new() }
    }

    /// Adds a file. `path` has its folders before it, separated by `/`, and they are made.
    #[must_use]
    pub fn file(mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.into(), bytes.into()));
        self
    }

    /// Lets only root read files and enter folders where Rock Ridge is obeyed (Linux); without
    /// it everyone may.
    #[must_use]
    pub fn private(mut self) -> Self {
        self.private = true;
        self
    }

    /// Returns the bytes of the file system: a multiple of 2048.
    ///
    /// # Shapes and units
    ///
    /// | who reads | what a name looks like |
    /// |---|---|
    /// | Rock Ridge | as given, up to 255 bytes of UTF-8 |
    /// | Joliet | the first 64 UTF-16 units; `* / : ; ? \` become `_`; made distinct by a number |
    /// | plain ISO 9660 | A-Z, 0-9 and `_`, 30 characters, one dot; made distinct by a number |
    ///
    /// # Errors
    ///
    /// - [`IsoError::Volume`] if the volume id does not fit its field.
    /// - [`IsoError::Time`] if the time is after the year 2155.
    /// - [`IsoError::Path`] if a path has an empty part, `.` or `..`, a part of more than 255
    ///   bytes, a NUL byte, or more than seven folders.
    /// - [`IsoError::Twice`] if a path is there twice.
    /// - [`IsoError::TooLarge`] if a file has 4 GiB or more, or the whole 8 TiB or more.
    pub fn build(&self) -> Result<Vec<u8>, IsoError> {
        let printable = |b: u8| b.is_ascii_graphic() || b == b' ';
        if self.volume.is_empty() || self.volume.len() > 32 || !self.volume.bytes().all(printable) {
            return Err(IsoError::Volume { volume: self.volume.clone() });
        }
        let stamp =
            records::Stamp::new(self.time_secs).ok_or(IsoError::Time { secs: self.time_secs })?;
        let tree = tree::Tree::new(&self.files)?;
        layout::Layout { volume: &self.volume, stamp, private: self.private, tree: &tree }.build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(iso: Iso) -> String {
        iso.build().unwrap_err().to_string()
    }

    #[test]
    fn same_input_gives_same_bytes_of_whole_sectors() {
        let iso = || Iso::new("cidata", 0).file("b", "two").file("a/c", vec![7; 5000]);
        assert_eq!(iso().build(), iso().build());
        assert_eq!(iso().build().unwrap().len() % SECTOR, 0);
        assert_ne!(iso().build(), Iso::new("cidata", 1).file("b", "two").build());
    }

    #[test]
    fn what_cannot_be_stored_is_refused() {
        assert_eq!(
            error(Iso::new("", 0)),
            "volume id `` must be 1 to 32 printable ASCII characters"
        );
        assert!(Iso::new("x".repeat(33), 0).build().is_err());
        assert!(Iso::new("ü", 0).build().is_err());
        assert_eq!(
            error(Iso::new("x", 5_869_584_000)),
            "time 5869584000 (seconds since 1970) is beyond the year 2155"
        );
        for path in ["", "/a", "a/", "a//b", ".", "a/../b", "a\0", &"n".repeat(256)] {
            let error = error(Iso::new("x", 0).file(path, ""));
            assert!(error.starts_with("path `"), "{path:?}: {error}");
        }
        assert_eq!(
            error(Iso::new("x", 0).file("1/2/3/4/5/6/7/8/f", "")),
            "path `1/2/3/4/5/6/7/8/f` cannot be on an ISO 9660 file system: \
             it lies in more than 7 folders"
        );
        assert_eq!(error(Iso::new("x", 0).file("a", "").file("a", "")), "path `a` is there twice");
        assert_eq!(
            error(Iso::new("x", 0).file("a", "").file("a/b", "")),
            "path `a` is there twice"
        );
        assert_eq!(
            error(Iso::new("x", 0).file("a/b", "").file("a", "")),
            "path `a` is there twice"
        );
    }

    #[test]
    fn the_last_second_that_fits_is_taken() {
        assert!(Iso::new("x", 5_869_583_999).build().is_ok());
    }
}
