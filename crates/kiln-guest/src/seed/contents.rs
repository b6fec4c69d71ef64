// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a seed holds that is there already, whoever made it.

use kiln_disk::device::Device;
use kiln_disk::fs::iso9660::IsoFs;
use kiln_spec::Datasource;

use super::{SeedError, SeedFile};

/// The most bytes of one file of a seed.
pub const MOST: u64 = 16 << 20;

/// The files of a seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Who reads them.
    pub datasource: Datasource,
    /// The files that a seed of this kind may have, as far as they are there, in their order.
    pub files: Vec<SeedFile>,
}

impl Contents {
    /// Reads a drive.
    ///
    /// # Errors
    ///
    /// - [`SeedError::Unreadable`] if it holds no ISO 9660 file system, or a damaged one.
    /// - [`SeedError::Label`] if its label is none that cloud-init looks for.
    /// - [`SeedError::Incomplete`] if a file is missing without which it is no seed.
    pub fn of_drive(drive: Box<dyn Device>) -> Result<Self, SeedError> {
        let old = |source| SeedError::Unreadable { source };
        let mut fs = IsoFs::open(drive).map_err(old)?;
        let label = fs.label();
        let of_label = |one: &&Datasource| one.volume().eq_ignore_ascii_case(label.trim());
        let Some(datasource) = Datasource::ALL.iter().find(of_label) else {
            return Err(SeedError::Label { label });
        };
        let read = |name: &'static str| {
            let node = fs.lookup(name.as_bytes()).map_err(old)?;
            node.map(|node| fs.read_file(node, MOST)).transpose().map_err(old)
        };
        Self::collect(*datasource, read)
    }

    /// Puts together the files of a folder: those of the first kind whose first file `read` has.
    ///
    /// # Errors
    ///
    /// What `read` says; [`SeedError::Incomplete`] if a file is missing without which it is no
    /// seed.
    pub fn of_folder<E: From<SeedError>>(
        mut read: impl FnMut(&'static str) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Self, E> {
        let mut kind = Datasource::NoCloud;
        for datasource in Datasource::ALL {
            if read(datasource.files()[0])?.is_some() {
                kind = *datasource;
                break;
            }
        }
        Self::collect(kind, read)
    }

    fn collect<E: From<SeedError>>(
        datasource: Datasource,
        mut read: impl FnMut(&'static str) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Self, E> {
        let mut files = Vec::new();
        for name in datasource.files() {
            files.extend(read(name)?.map(|bytes| SeedFile { name, bytes }));
        }
        let all = datasource.files();
        let mut needed = all.into_iter().take(datasource.needed());
        let missing = needed.find(|name| files.iter().all(|file| file.name != *name));
        match missing {
            Some(name) => Err(SeedError::Incomplete { name }.into()),
            None => Ok(Self { datasource, files }),
        }
    }

    /// Returns a file's bytes.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.iter().find(|file| file.name == name).map(|file| file.bytes.as_slice())
    }
}
