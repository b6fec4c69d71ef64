// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a recipe says of the tree, as edits; files of its folder are read here.
//!
//! **Invariant:** nothing outside of the recipe's folder is read: not by `..`, and not through
//! symbolic links.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use kiln_host::read;
use kiln_spec::recipe::{FileEntry, FileSource, Recipe, Units, User, replace};

use crate::BuildError;
use crate::base::GuestFile;
use crate::base::debian::Keyring;
use crate::element::native;
use crate::workspace::{Content, Edit, Owned};

/// The most bytes of one file.
const MOST_FILE: u64 = 32 << 20;
/// The most files of all `files`.
const MOST_FILES: usize = 20_000;

fn operation(name: &str, argument: impl Into<String>) -> Edit {
    Edit::Operation { name: name.to_owned(), argument: argument.into() }
}

/// Returns Kiln's own files.
pub(super) fn given(files: Vec<GuestFile>) -> Vec<Edit> {
    let edit = |file: GuestFile| Edit::File {
        path: file.path,
        content: Content(file.content.into_bytes()),
        owned: Owned::by_root(file.mode),
    };
    files.into_iter().map(edit).collect()
}

/// Returns the edit that puts the keys of a mirror into the tree.
pub(super) fn keyring(keyring: &Keyring) -> Edit {
    let content = Content(keyring.bytes.clone());
    Edit::File { path: keyring.place(), content, owned: Owned::by_root(0o644) }
}

/// Returns the settings of a system that came whole.
pub(super) fn settings(recipe: &Recipe) -> Vec<Edit> {
    let hostname = recipe.hostname.as_ref().map(|name| operation("hostname", name.to_string()));
    let timezone = recipe.timezone.as_ref().map(|zone| operation("timezone", zone.to_string()));
    hostname.into_iter().chain(timezone).collect()
}

/// Returns the edits that make accounts.
pub(super) fn users(users: &[User]) -> Vec<Edit> {
    let mut edits = Vec::new();
    for user in users {
        let mut options = Vec::new();
        options.extend(user.uid.map(|uid| format!("uid={uid}")));
        if !user.groups.is_empty() {
            let names: Vec<_> = user.groups.iter().map(ToString::to_string).collect();
            options.push(format!("groups={}", names.join("+")));
        }
        options.extend(user.shell.as_ref().map(|shell| format!("shell={shell}")));
        options.extend(user.home.as_ref().map(|home| format!("home={home}")));
        options.extend(user.sudo.then(|| "sudo".to_owned()));
        edits.push(operation("add-user", format!("{}:{}", user.name, options.join(","))));
        for key in &user.ssh_keys {
            edits.push(operation("ssh-inject", format!("{}:string:{key}", user.name)));
        }
    }
    edits
}

/// Returns the edits that switch units.
pub(super) fn units(units: &Units) -> Vec<Edit> {
    switched([&units.enable, &units.disable, &units.mask])
}

/// Returns the edits that switch an element's units on and off.
pub(super) fn unit_edits(units: &native::Units) -> Vec<Edit> {
    switched([&units.enable, &units.disable, &units.mask])
}

fn switched<T: ToString>(units: [&[T]; 3]) -> Vec<Edit> {
    let each = ["enable-unit", "disable-unit", "mask-unit"]
        .into_iter()
        .zip(units)
        .flat_map(|(name, units)| units.iter().map(move |unit| operation(name, unit.to_string())));
    each.collect()
}

/// Returns the edits that put a recipe's files into the tree.
pub(super) fn files(recipe: &Recipe, folder: &Path) -> Result<Vec<Edit>, BuildError> {
    let mut edits = Vec::new();
    for entry in &recipe.files {
        match &entry.what {
            FileSource::Content(text) => {
                edits.push(file(entry, entry.path.as_str(), text.clone().into_bytes(), 0o644));
            }
            FileSource::Template(path) => {
                let path = inside(folder, path)?;
                let bytes = contents(&path)?;
                let text = String::from_utf8(bytes).map_err(|error| {
                    let source = io::Error::new(io::ErrorKind::InvalidData, error);
                    BuildError::io("read the template", &path, source)
                })?;
                let text = replace(&text, &recipe.parameters);
                edits.push(file(entry, entry.path.as_str(), text.into_bytes(), 0o644));
            }
            FileSource::Source(path) => {
                let top = inside(folder, path)?;
                tree(entry, &top, &mut edits)?;
            }
        }
        if edits.len() > MOST_FILES {
            let source = io::Error::other(format!("there are more than {MOST_FILES} files"));
            return Err(BuildError::io("take", folder, source));
        }
    }
    Ok(edits)
}

fn owned(entry: &FileEntry, mode: u32) -> Owned {
    let name = |owner: &kiln_spec::recipe::Owner| {
        if owner.is_root() { "0".to_owned() } else { owner.to_string() }
    };
    let (owner, group) = (name(&entry.owner), name(&entry.group));
    Owned { owner, group, mode }
}

fn file(entry: &FileEntry, path: &str, bytes: Vec<u8>, usual: u32) -> Edit {
    let mode = entry.mode.map_or(usual, |mode| mode.0);
    Edit::File { path: path.to_owned(), content: Content(bytes), owned: owned(entry, mode) }
}

/// Returns the place of a file of the recipe's folder.
pub(super) fn inside(folder: &Path, path: &str) -> Result<PathBuf, BuildError> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let path = folder.join(path);
    let real = path.canonicalize().map_err(|e| BuildError::io("read", &path, e))?;
    let all = folder.canonicalize().map_err(|e| BuildError::io("read", folder, e))?;
    if real.starts_with(&all) {
        return Ok(real);
    }
    let source = io::Error::other("a link leads out of the recipe's folder");
    Err(BuildError::io("take", path, source))
}

fn contents(path: &Path) -> Result<Vec<u8>, BuildError> {
    read::bounded(path, MOST_FILE).map_err(|e| BuildError::io("read", path, e))
}

/// Adds a file, or a folder with all that is in it, names in order.
fn tree(entry: &FileEntry, top: &Path, edits: &mut Vec<Edit>) -> Result<(), BuildError> {
    let mut todo = vec![(top.to_owned(), entry.path.to_string())];
    while let Some((from, to)) = todo.pop() {
        let failed = |source| BuildError::io("read", &from, source);
        let meta = fs::symlink_metadata(&from).map_err(failed)?;
        if meta.is_symlink() {
            let target = fs::read_link(&from).map_err(failed)?;
            let target = target.into_os_string().into_string().map_err(|_| {
                failed(io::Error::new(io::ErrorKind::InvalidData, "the link is no text"))
            })?;
            edits.push(Edit::Link { path: to, target });
        } else if meta.is_dir() {
            let mode = meta.permissions().mode() & 0o7777 | 0o055;
            edits.push(Edit::Folder { path: to.clone(), owned: owned(entry, mode & 0o755) });
            let entries = fs::read_dir(&from).and_then(Iterator::collect::<io::Result<Vec<_>>>);
            let mut names = Vec::new();
            for below in entries.map_err(failed)? {
                let name = below.file_name().into_string().map_err(|_| {
                    failed(io::Error::new(io::ErrorKind::InvalidData, "a name is no text"))
                })?;
                names.push(name);
            }
            names.sort_unstable_by(|a, b| b.cmp(a));
            todo.extend(names.iter().map(|name| (from.join(name), format!("{to}/{name}"))));
        } else if meta.is_file() {
            let usual = if meta.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
            edits.push(file(entry, &to, contents(&from)?, usual));
        }
        if edits.len() > MOST_FILES {
            return Ok(());
        }
    }
    Ok(())
}
