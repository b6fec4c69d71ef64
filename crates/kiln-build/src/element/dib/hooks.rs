// SPDX-License-Identifier: Apache-2.0 OR MIT
//! All elements' files merged in one folder, which scripts know as `$TMP_HOOKS_PATH`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::deps::Resolved;
use super::find::{ENTRIES_MOST, Element};
use super::phase::{self, Phase};
use crate::element::ElementError;

/// Folders of an element that are no hooks.
const NO_HOOKS: [&str; 2] = ["tests", "__pycache__"];
/// How deep folders lie in each other.
const DEPTH_MOST: usize = 16;

/// Where a file of the merged folder comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The element.
    pub element: Element,
    /// Whether it is a file, not a folder, and may be executed.
    pub program: bool,
}

/// All elements' files, merged: folder and name to where it comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    in_folders: BTreeMap<String, BTreeMap<String, Hook>>,
    /// Folders that more than one element has below `folder/name`: all are copied.
    shared: Vec<(String, String, Element)>,
    /// Files beside the folders: the last of one name counts.
    files: BTreeMap<String, Element>,
}

impl Hooks {
    /// Merges the files of elements.
    ///
    /// # Errors
    ///
    /// [`ElementError::TwoHooks`] if two elements have a file of one name in a folder; whatever
    /// reading says.
    pub fn of(resolved: &Resolved) -> Result<Self, ElementError> {
        let mut hooks = Self::default();
        for element in &resolved.elements {
            for name in element.list("")? {
                let Some(path) = element.inside(&name)? else { continue };
                if path.is_file() && !name.ends_with(".pyc") {
                    hooks.files.insert(name, element.clone());
                } else if path.is_dir() && !NO_HOOKS.contains(&name.as_str()) {
                    hooks.add_folder(element, &name)?;
                }
            }
        }
        Ok(hooks)
    }

    fn add_folder(&mut self, element: &Element, folder: &str) -> Result<(), ElementError> {
        for name in element.list(folder)? {
            // `ls` does not see them.
            if name.starts_with('.') {
                continue;
            }
            let file = format!("{folder}/{name}");
            let Some(path) = element.inside(&file)? else { continue };
            let meta = fs::metadata(&path).map_err(|source| element.io(&file, source))?;
            let program = meta.is_file() && meta.permissions().mode() & 0o111 != 0;
            let known = self.in_folders.entry(folder.to_owned()).or_default();
            match known.get(&name) {
                None => {
                    known.insert(name, Hook { element: element.clone(), program });
                }
                Some(first) if !meta.is_file() && !first.program => {
                    self.shared.push((folder.to_owned(), name, element.clone()));
                }
                Some(first) => {
                    let (first, second) = (first.element.name.clone(), element.name.clone());
                    return Err(ElementError::TwoHooks { file, first, second });
                }
            }
        }
        Ok(())
    }

    /// Returns a folder's entries, by name.
    pub fn folder(&self, folder: &str) -> impl Iterator<Item = (&str, &Hook)> {
        self.in_folders.get(folder).into_iter().flatten().map(|(name, hook)| (name.as_str(), hook))
    }

    /// Returns the files beside the folders, by name.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Element)> {
        self.files.iter().map(|(name, element)| (name.as_str(), element))
    }

    /// Returns a phase's scripts in the order in which they run. The scripts of an earlier phase
    /// may add to them.
    #[must_use]
    pub fn scripts(&self, phase: Phase) -> Vec<(&str, &Hook)> {
        let mut scripts: Vec<_> = self
            .folder(&phase.folder())
            .filter(|(name, hook)| hook.program && phase::is_script(name))
            .collect();
        scripts.sort_by(|(a, _), (b, _)| phase::order(a, b));
        scripts
    }

    /// Writes the merged folder to `to`, which must exist: links stay links, permissions stay.
    ///
    /// # Errors
    ///
    /// [`ElementError::Io`] with the file that could not be copied.
    pub fn write(&self, to: &Path) -> Result<(), ElementError> {
        for (name, element) in &self.files {
            copy(element, name, &to.join(name), 0)?;
        }
        for (folder, entries) in &self.in_folders {
            let target = to.join(folder);
            for (name, hook) in entries {
                fs::create_dir_all(&target).map_err(|e| hook.element.io(folder, e))?;
                copy(&hook.element, &format!("{folder}/{name}"), &target.join(name), 0)?;
            }
        }
        for (folder, name, element) in &self.shared {
            copy(element, &format!("{folder}/{name}"), &to.join(folder).join(name), 0)?;
        }
        Ok(())
    }
}

impl Element {
    /// Copies the element's folder to `to`, which must not exist: links stay links, permissions
    /// stay.
    ///
    /// # Errors
    ///
    /// [`ElementError::Io`] with the file that could not be copied.
    pub fn copy_to(&self, to: &Path) -> Result<(), ElementError> {
        copy(self, ".", to, 0)
    }
}

/// Copies a file, link or folder of an element.
fn copy(element: &Element, file: &str, to: &Path, depth: usize) -> Result<(), ElementError> {
    let fail = |source| element.io(file, source);
    let from = element.path.join(file);
    let meta = fs::symlink_metadata(&from).map_err(fail)?;
    if meta.is_symlink() {
        // Within the merged folder it leads where it led within the element's.
        let target = fs::read_link(&from).map_err(fail)?;
        if to.symlink_metadata().is_ok() {
            return Ok(());
        }
        return symlink(target, to).map_err(fail);
    }
    if meta.is_dir() {
        if depth == DEPTH_MOST {
            return Err(element.content(file, format!("more than {DEPTH_MOST} folders deep")));
        }
        fs::create_dir_all(to).map_err(fail)?;
        let names = element.list(file)?;
        debug_assert!(names.len() < ENTRIES_MOST);
        for name in names {
            copy(element, &format!("{file}/{name}"), &to.join(&name), depth + 1)?;
        }
        return Ok(());
    }
    if meta.is_file() {
        fs::copy(&from, to).map_err(fail)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::dib::{Shelf, resolve};

    fn script(home: &Path, path: &str, mode: u32) {
        let path = home.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn hooks(home: &Path) -> Result<Hooks, ElementError> {
        let shelf = Shelf::open(&[home.into()]).unwrap();
        let wanted: Vec<_> = shelf.iter().map(|element| element.name.as_str()).collect();
        Hooks::of(&resolve(&shelf, &wanted, &["operating-system"]).unwrap())
    }

    #[test]
    fn scripts_of_all_elements_run_by_number() {
        let home = tempfile::tempdir().unwrap();
        for path in ["a/install.d/50-x", "a/install.d/9-late", "b/install.d/10-y", "b/bin/tool"] {
            script(home.path(), path, 0o755);
        }
        script(home.path(), "b/install.d/20-no", 0o644);
        script(home.path(), "b/install.d/20-no.sh", 0o755);
        let hooks = hooks(home.path()).unwrap();
        let names: Vec<_> = hooks.scripts(Phase::Install).iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["9-late", "10-y", "50-x"]);
        assert!(hooks.scripts(Phase::Root).is_empty());
    }

    #[test]
    fn one_script_in_two_elements_is_refused() {
        let home = tempfile::tempdir().unwrap();
        script(home.path(), "a/install.d/50-x", 0o755);
        script(home.path(), "b/install.d/50-x", 0o755);
        let error = hooks(home.path()).unwrap_err();
        assert_eq!(error.to_string(), "the elements `a` and `b` both have `install.d/50-x`");
    }

    #[test]
    fn folders_are_merged_and_links_stay() {
        let home = tempfile::tempdir().unwrap();
        script(home.path(), "a/static/usr/bin/a", 0o700);
        script(home.path(), "b/static/usr/bin/b", 0o755);
        script(home.path(), "a/package-installs.yaml", 0o644);
        symlink("a", home.path().join("a/static/usr/bin/c")).unwrap();
        let to = tempfile::tempdir().unwrap();
        hooks(home.path()).unwrap().write(to.path()).unwrap();
        let bin = to.path().join("static/usr/bin");
        assert_eq!(bin.join("a").metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert!(bin.join("b").is_file());
        assert_eq!(fs::read_link(bin.join("c")).unwrap(), Path::new("a"));
        assert!(to.path().join("package-installs.yaml").is_file());
    }
}
