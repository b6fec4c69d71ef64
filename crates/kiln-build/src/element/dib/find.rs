// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The folders that elements are in, and reading their files.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kiln_spec::yaml::nearest;

use crate::element::ElementError;

/// The most bytes of a file that is looked at.
const FILE_MOST: u64 = 1 << 20;
/// The most entries of a folder.
pub(super) const ENTRIES_MOST: usize = 10_000;

/// An element: a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Element {
    /// Its name: the folder's.
    pub name: String,
    /// The folder, with no link in its path.
    pub path: PathBuf,
}

/// All elements of a list of folders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shelf {
    elements: BTreeMap<String, Element>,
    /// The elements that another one of the same name stands before.
    pub hidden: Vec<Element>,
}

impl Shelf {
    /// Looks for elements in folders. Of two with one name, that of the earlier folder counts.
    ///
    /// # Errors
    ///
    /// [`ElementError::Folder`] if a folder cannot be read; [`ElementError::TooMany`].
    pub fn open(folders: &[PathBuf]) -> Result<Self, ElementError> {
        let mut shelf = Self::default();
        for folder in folders {
            let fail = |source| ElementError::Folder { path: folder.clone(), source };
            for entry in entries(folder).map_err(fail)? {
                let path = folder.join(&entry);
                // A link to an element is that element, by the name of its own folder.
                let Ok(path) = fs::canonicalize(&path) else { continue };
                let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
                if !path.is_dir() || !is_name(name) {
                    continue;
                }
                let element = Element { name: name.to_owned(), path: path.clone() };
                match shelf.elements.get(name) {
                    None => {
                        shelf.elements.insert(name.to_owned(), element);
                    }
                    Some(known) if *known != element => shelf.hidden.push(element),
                    Some(_) => {}
                }
            }
        }
        Ok(shelf)
    }

    /// Returns the element of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Element> {
        self.elements.get(name)
    }

    /// Returns all elements, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Element> {
        self.elements.values()
    }

    pub(super) fn wanted(
        &self,
        name: &str,
        needed_by: Option<&str>,
    ) -> Result<&Element, ElementError> {
        self.get(name).ok_or_else(|| ElementError::Unknown {
            name: name.to_owned(),
            needed_by: needed_by.map(str::to_owned),
            near: nearest(name, self.elements.keys().map(String::as_str)).map(str::to_owned),
        })
    }
}

/// Whether a folder of this name can be named in a list of elements.
fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    name.len() <= 128 && name.chars().all(fits) && !name.starts_with(['.', '-'])
}

impl Element {
    /// Reads a file of the element; `None` if it has none of that name.
    ///
    /// # Errors
    ///
    /// [`ElementError::Io`] if it is no file, too large, or not UTF-8; [`ElementError::Outside`].
    pub fn read(&self, file: &str) -> Result<Option<String>, ElementError> {
        let fail = |source| self.io(file, source);
        let path = match self.inside(file)? {
            Some(path) => path,
            None => return Ok(None),
        };
        if !fs::metadata(&path).map_err(fail)?.is_file() {
            return Err(fail(io::Error::new(io::ErrorKind::InvalidInput, "it is no file")));
        }
        let bytes = kiln_host::read::bounded(&path, FILE_MOST).map_err(fail)?;
        String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| fail(io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8")))
    }

    /// Returns the names in a folder of the element in order; none if there is no such folder.
    pub(super) fn list(&self, folder: &str) -> Result<Vec<String>, ElementError> {
        let Some(path) = self.inside(folder)? else { return Ok(Vec::new()) };
        if !path.is_dir() {
            return Ok(Vec::new());
        }
        let found = entries(&path).map_err(|source| self.io(folder, source))?;
        if found.len() == ENTRIES_MOST {
            return Err(ElementError::TooMany { path, most: ENTRIES_MOST });
        }
        Ok(found)
    }

    /// Returns the path of something in the element, links followed; `None` if it is not there.
    pub(super) fn inside(&self, file: &str) -> Result<Option<PathBuf>, ElementError> {
        let path = match fs::canonicalize(self.path.join(file)) {
            Ok(path) => path,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(self.io(file, source)),
        };
        // Elements share files by links: all that is beside the element is of the same hand.
        let home = self.path.parent().unwrap_or(&self.path);
        if !path.starts_with(home) {
            let (element, file) = (self.name.clone(), file.to_owned());
            return Err(ElementError::Outside { element, file, target: path });
        }
        Ok(Some(path))
    }

    pub(super) fn io(&self, file: &str, source: io::Error) -> ElementError {
        ElementError::Io { element: self.name.clone(), file: file.to_owned(), source }
    }

    pub(super) fn content(&self, file: &str, why: impl Into<String>) -> ElementError {
        ElementError::Content { element: self.name.clone(), file: file.to_owned(), why: why.into() }
    }
}

/// Returns the names in a folder in order, at most [`ENTRIES_MOST`]; what is not UTF-8 is left out.
pub(super) fn entries(folder: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)?.take(ENTRIES_MOST) {
        found.extend(entry?.file_name().into_string());
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn the_earlier_folder_counts_and_files_are_no_elements() {
        let (first, second) = (folder(), folder());
        for home in [first.path(), second.path()] {
            fs::create_dir(home.join("a")).unwrap();
            fs::write(home.join("README"), "").unwrap();
        }
        fs::create_dir(second.path().join("b")).unwrap();
        let shelf = Shelf::open(&[first.path().into(), second.path().into()]).unwrap();
        let names: Vec<_> = shelf.iter().map(|element| element.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert!(shelf.get("a").unwrap().path.starts_with(first.path().canonicalize().unwrap()));
        assert_eq!(shelf.hidden.len(), 1);
    }

    #[test]
    fn a_folder_that_is_missing_is_named() {
        let error = Shelf::open(&["/nowhere/elements".into()]).unwrap_err();
        assert_eq!(error.to_string(), "could not read the folder of elements `/nowhere/elements`");
    }

    #[test]
    fn links_out_pipes_devices_and_what_is_no_text_are_refused() {
        let home = folder();
        let path = home.path().join("e");
        fs::create_dir(&path).unwrap();
        symlink("/etc/passwd", path.join("element-deps")).unwrap();
        fs::create_dir(path.join("element-provides")).unwrap();
        fs::write(path.join("pkg-map"), [0xff, 0xfe]).unwrap();
        fs::write(path.join("svc-map"), vec![b' '; 2 << 20]).unwrap();
        symlink("loop", path.join("loop")).unwrap();
        let shelf = Shelf::open(&[home.path().into()]).unwrap();
        let element = shelf.get("e").unwrap();
        assert!(matches!(element.read("element-deps"), Err(ElementError::Outside { .. })));
        for file in ["element-provides", "pkg-map", "svc-map", "loop"] {
            let error = element.read(file).unwrap_err();
            assert_eq!(error.to_string(), format!("could not read `{file}` of the element `e`"));
        }
        assert_eq!(element.read("nothing").unwrap(), None);
    }
}
