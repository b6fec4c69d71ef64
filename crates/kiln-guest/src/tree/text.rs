// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Small files of a guest, whole: its configuration.

use super::{Attrs, GuestPath, Kind, New, Tree, TreeError};

/// The most bytes of a file that is read or edited whole.
pub const MOST_TEXT: u64 = 16 << 20;

/// Returns whether there is anything at `path`, behind links. What cannot be reached, such as a
/// place behind a loop of links, is not there.
///
/// # Errors
///
/// [`TreeError::Backend`].
pub fn exists(tree: &mut dyn Tree, path: &GuestPath) -> Result<bool, TreeError> {
    Ok(kind_of(tree, path)?.is_some())
}

/// Returns whether there is a directory at `path`, behind links.
///
/// # Errors
///
/// As [`exists`].
pub fn is_dir(tree: &mut dyn Tree, path: &GuestPath) -> Result<bool, TreeError> {
    Ok(kind_of(tree, path)? == Some(Kind::Directory))
}

/// Returns whether there is a file at `path`, behind links.
///
/// # Errors
///
/// As [`exists`].
pub fn is_file(tree: &mut dyn Tree, path: &GuestPath) -> Result<bool, TreeError> {
    Ok(kind_of(tree, path)? == Some(Kind::File))
}

fn kind_of(tree: &mut dyn Tree, path: &GuestPath) -> Result<Option<Kind>, TreeError> {
    match tree.stat(path) {
        Ok(stat) => Ok(stat.map(|stat| stat.kind)),
        Err(TreeError::NotADirectory { .. } | TreeError::Loop { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns a file's contents; `None` if there is no file at `path`.
///
/// # Errors
///
/// [`TreeError::TooLarge`] if it has more than 16 MiB; as [`exists`].
pub fn read_bytes(tree: &mut dyn Tree, path: &GuestPath) -> Result<Option<Vec<u8>>, TreeError> {
    if is_file(tree, path)? { tree.read(path, MOST_TEXT).map(Some) } else { Ok(None) }
}

/// Returns a file's contents as text, to be looked at and not to be written back: bytes that are
/// no UTF-8 become U+FFFD. `None` if there is no file at `path`.
///
/// # Errors
///
/// As [`read_bytes`].
pub fn read_text(tree: &mut dyn Tree, path: &GuestPath) -> Result<Option<String>, TreeError> {
    let bytes = read_bytes(tree, path)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// Makes `bytes` the contents of a file, as [`Tree::write`] does.
///
/// # Errors
///
/// As [`Tree::write`].
pub fn write_bytes(
    tree: &mut dyn Tree,
    path: &GuestPath,
    bytes: &[u8],
    attrs: &Attrs,
) -> Result<(), TreeError> {
    tree.write(path, &mut &*bytes, attrs)
}

/// Makes what `edit` returns for a file's contents its new ones; `None` leaves it as it is. A file
/// that is not there has no bytes, and is made with `attrs`. Returns whether it was changed.
///
/// # Errors
///
/// As [`read_bytes`] and [`Tree::write`].
pub fn edit_bytes(
    tree: &mut dyn Tree,
    path: &GuestPath,
    attrs: &Attrs,
    edit: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
) -> Result<bool, TreeError> {
    let old = read_bytes(tree, path)?;
    let Some(new) = edit(old.as_deref().unwrap_or_default()) else { return Ok(false) };
    if old.as_ref() == Some(&new) {
        return Ok(false);
    }
    write_bytes(tree, path, &new, attrs)?;
    Ok(true)
}

/// Returns the attributes that something new at a path gets where `attrs` are asked for: in a
/// directory with the set-group-ID bit its group, and a directory gets the bit, too.
///
/// Source: mkdir(2), open(2), inode(7).
///
/// # Errors
///
/// As [`Tree::stat`].
pub fn inherited(
    tree: &mut dyn Tree,
    path: &GuestPath,
    attrs: &Attrs,
    kind: Kind,
) -> Result<Attrs, TreeError> {
    let folder = path.parent().map(|folder| tree.stat(&folder)).transpose()?.flatten();
    let Some(folder) = folder.filter(|folder| folder.attrs.mode & SET_GROUP_ID != 0) else {
        return Ok(*attrs);
    };
    let bit = if kind == Kind::Directory { SET_GROUP_ID } else { 0 };
    Ok(Attrs { gid: folder.attrs.gid, mode: attrs.mode | bit, ..*attrs })
}

const SET_GROUP_ID: u32 = 0o2000;

/// Makes a directory, and those that it lies in; each new one gets `attrs`, as [`inherited`]
/// changes them. One that is there stays as it is. Returns whether any was made.
///
/// # Errors
///
/// [`TreeError::NotADirectory`] if something else is in the way; as [`Tree::make`].
pub fn make_dirs(tree: &mut dyn Tree, path: &GuestPath, attrs: &Attrs) -> Result<bool, TreeError> {
    let mut at = GuestPath::root();
    let mut made = false;
    for name in path.names() {
        at = at.join(name);
        match tree.stat(&at)? {
            Some(stat) if stat.kind == Kind::Directory => (),
            Some(_) => return Err(TreeError::NotADirectory { path: at }),
            None => {
                let attrs = inherited(tree, &at, attrs, Kind::Directory)?;
                tree.make(&at, &New::Directory, &attrs)?;
                made = true;
            }
        }
    }
    Ok(made)
}
