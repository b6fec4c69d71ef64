// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The folder of bundles that have names: `NAME.tar.zst` and `NAME.tar.zst.json`.

use std::fs;
use std::path::{Path, PathBuf};

use kiln_spec::bundle::ENDING;
use kiln_spec::recipe::ImageName;
use kiln_spec::yaml;

use super::file::manifest_path;
use super::{BundleError, BundleFile, sign};

/// The folder of bundles that have names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelf {
    folder: PathBuf,
}

impl Shelf {
    /// Opens the shelf in `folder`, which is made when it is missing.
    ///
    /// # Errors
    ///
    /// [`BundleError::Io`].
    pub fn open(folder: &Path) -> Result<Self, BundleError> {
        fs::create_dir_all(folder).map_err(|source| BundleError::io("make", folder, source))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Returns where the bundle of a name is, or would be.
    #[must_use]
    pub fn place(&self, name: &ImageName) -> PathBuf {
        self.folder.join(format!("{name}{ENDING}"))
    }

    /// Returns the bundles, by name.
    ///
    /// # Errors
    ///
    /// [`BundleError::Io`], and those of [`BundleFile::open`].
    pub fn list(&self) -> Result<Vec<BundleFile>, BundleError> {
        self.names()?.iter().map(|name| BundleFile::open(&self.place(name))).collect()
    }

    /// Finds the bundle of a name.
    ///
    /// # Errors
    ///
    /// [`BundleError::NotFound`], with the nearest name; those of [`BundleFile::open`].
    pub fn find(&self, wanted: &str) -> Result<BundleFile, BundleError> {
        let names = self.names()?;
        match names.iter().find(|name| name.as_str() == wanted) {
            Some(name) => BundleFile::open(&self.place(name)),
            None => {
                let near = yaml::nearest(wanted, names.iter().map(ImageName::as_str));
                let near = near.map(str::to_owned);
                Err(BundleError::NotFound { wanted: wanted.to_owned(), near })
            }
        }
    }

    /// Removes the bundle of a name.
    ///
    /// # Errors
    ///
    /// As [`Shelf::find`].
    pub fn remove(&self, wanted: &str) -> Result<(), BundleError> {
        let BundleFile { path, manifest } = self.find(wanted)?;
        fs::remove_file(&path).map_err(|source| BundleError::io("remove", &path, source))?;
        sign::forget(&path)?;
        let place = manifest_path(&path);
        match manifest {
            None => Ok(()),
            Some(_) => fs::remove_file(&place)
                .map_err(|source| BundleError::io("remove", place.clone(), source)),
        }
    }

    fn names(&self) -> Result<Vec<ImageName>, BundleError> {
        let failed = |source| BundleError::io("read", &self.folder, source);
        let mut names: Vec<ImageName> = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(ENDING));
            names.extend(name.and_then(|name| name.parse::<ImageName>().ok()));
        }
        names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        Ok(names)
    }
}
