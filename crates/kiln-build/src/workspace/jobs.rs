// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What Kiln itself does in a tree, in the namespaces: archives in and out, edits.
//!
//! Here the process's root is the tree: no path can lead to the host.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kiln_guest::backend::folder::FolderTree;
use kiln_guest::ops::{self, EditContext, Network, Plan};
use kiln_guest::system::packages::Manager;
use kiln_guest::system::{Known, accounts};
use kiln_guest::transfer::tar_out_without;
use kiln_guest::tree::{
    Attrs, Change, GuestPath, Kind, New, Time, Tree, TreeError, inherited, make_dirs,
};
use kiln_host::causes::in_line;
use kiln_host::namespace::Job;
use serde::{Deserialize, Serialize};

/// The most bytes of a file that is read.
const MOST_READ: u64 = 16 << 20;
/// Bytes of an archive that are read or written at once.
const BUFFER: usize = 256 << 10;
/// The folders that a machine's kernel and init mount something on: what programs left in them is
/// nobody's.
const MOUNTED: [&[u8]; 4] = [b"dev/", b"proc/", b"run/", b"sys/"];

/// What a stage can do on a tree.
pub const JOBS: &[Job] = &[
    Job { name: "unpack", run: unpack },
    Job { name: "tar", run: tar },
    Job { name: "edit", run: edit },
    Job { name: "read", run: read },
    Job { name: "manager", run: manager },
];

/// A change of a tree that needs no program of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edit {
    /// An operation of `kiln image customize`, by its name and argument.
    Operation {
        /// Its name: `add-user`.
        name: String,
        /// Its argument.
        argument: String,
    },
    /// Puts a file there, in place of what has its name. Folders on the way are made.
    File {
        /// Where.
        path: String,
        /// What it holds.
        content: Content,
        /// Whose it is, and its permissions.
        owned: Owned,
    },
    /// Makes a folder, if there is none.
    Folder {
        /// Where.
        path: String,
        /// Whose it is, and its permissions.
        owned: Owned,
    },
    /// Makes a symbolic link, in place of a file or link.
    Link {
        /// Where.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// Removes a file, or a folder with all that is in it, if it is there.
    Remove {
        /// Where.
        path: String,
    },
}

/// Bytes, as they go to a stage.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Content(pub Vec<u8>);

/// Without what may be secret.
impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Content({} bytes)", self.0.len())
    }
}

impl From<Content> for String {
    fn from(content: Content) -> Self {
        BASE64_STANDARD.encode(content.0)
    }
}

impl TryFrom<String> for Content {
    type Error = base64::DecodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        BASE64_STANDARD.decode(text).map(Self)
    }
}

/// Whose a file is, and its permissions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// A user of the tree by name or number.
    pub owner: String,
    /// A group of the tree by name or number.
    pub group: String,
    /// The twelve bits of permission.
    pub mode: u32,
}

impl Owned {
    /// Returns that root owns it.
    #[must_use]
    pub fn by_root(mode: u32) -> Self {
        Self { owner: "0".into(), group: "0".into(), mode }
    }
}

fn parsed<'a, T: Deserialize<'a>>(request: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(request).map_err(|error| in_line(&error))
}

#[derive(Deserialize)]
struct Unpack {
    dir: String,
}

fn unpack(request: &[u8], data: Option<File>) -> Result<Vec<u8>, String> {
    let Unpack { dir } = parsed(request)?;
    let from = data.ok_or("there is nothing to unpack")?;
    let mut tree = FolderTree::default();
    let dir = GuestPath::new(dir).map_err(|e| in_line(&e))?;
    let attrs = Attrs { mode: 0o755, ..Attrs::default() };
    make_dirs(&mut tree, &dir, &attrs).map_err(|e| in_line(&e))?;
    let from = BufReader::with_capacity(BUFFER, from);
    ops::tar_in::unpack(&mut tree, from, &dir, &attrs).map_err(|e| in_line(&e))?;
    Ok(Vec::new())
}

#[derive(Deserialize)]
struct Tar {
    latest: u64,
}

fn tar(request: &[u8], data: Option<File>) -> Result<Vec<u8>, String> {
    let Tar { latest } = parsed(request)?;
    let to = data.ok_or("there is nothing to write to")?;
    let seconds = i64::try_from(latest).unwrap_or(i64::MAX);
    let mut tree = FolderTree { latest: Some(Time { seconds, nanos: 0 }) };
    let mut to = BufWriter::with_capacity(BUFFER, to);
    let skip = |path: &[u8]| MOUNTED.iter().any(|folder| path.starts_with(folder));
    tar_out_without(&mut tree, &GuestPath::root(), &skip, &mut to).map_err(|e| in_line(&e))?;
    to.flush().map_err(|e| in_line(&e))?;
    Ok(Vec::new())
}

#[derive(Deserialize)]
struct Read {
    path: String,
}

/// Answers with one byte and the contents, or with nothing if there is no such file.
fn read(request: &[u8], _: Option<File>) -> Result<Vec<u8>, String> {
    let Read { path } = parsed(request)?;
    let path = GuestPath::new(path).map_err(|e| in_line(&e))?;
    let mut tree = FolderTree::default();
    match tree.stat(&path).map_err(|e| in_line(&e))? {
        None => Ok(Vec::new()),
        Some(_) => {
            let mut answer = vec![1];
            answer.extend(tree.read(&path, MOST_READ).map_err(|e| in_line(&e))?);
            Ok(answer)
        }
    }
}

/// Answers with the word for the tree's package manager, or with nothing.
fn manager(_: &[u8], _: Option<File>) -> Result<Vec<u8>, String> {
    let mut tree = FolderTree::default();
    let known = Known::of(&mut tree).map_err(|e| in_line(&e))?;
    let manager = Manager::of(&mut tree, &known).map_err(|e| in_line(&e))?;
    Ok(manager.map_or("", Manager::word).into())
}

#[derive(Deserialize)]
struct Edits {
    edits: Vec<Edit>,
    now: u64,
}

fn edit(request: &[u8], _: Option<File>) -> Result<Vec<u8>, String> {
    let Edits { edits, now } = parsed(request)?;
    let now = Time { seconds: i64::try_from(now).unwrap_or(i64::MAX), nanos: 0 };
    let mut tree = FolderTree::default();
    for edit in &edits {
        match edit {
            Edit::Operation { name, argument } => operation(&mut tree, name, argument, now)?,
            Edit::File { path, content, owned } => {
                let path = GuestPath::new(path).map_err(|e| in_line(&e))?;
                let attrs = attrs(&mut tree, owned, now)?;
                file(&mut tree, &path, &content.0, &attrs).map_err(|e| in_line(&e))?;
            }
            Edit::Folder { path, owned } => {
                let path = GuestPath::new(path).map_err(|e| in_line(&e))?;
                let attrs = attrs(&mut tree, owned, now)?;
                folder(&mut tree, &path, &attrs).map_err(|e| in_line(&e))?;
            }
            Edit::Link { path, target } => {
                let path = GuestPath::new(path).map_err(|e| in_line(&e))?;
                link(&mut tree, &path, target, now).map_err(|e| in_line(&e))?;
            }
            Edit::Remove { path } => {
                let path = GuestPath::new(path).map_err(|e| in_line(&e))?;
                if tree.lstat(&path).map_err(|e| in_line(&e))?.is_some() {
                    kiln_guest::tree::walk::remove_all(&mut tree, &path)
                        .map_err(|e| in_line(&e))?;
                }
            }
        }
    }
    Ok(Vec::new())
}

fn operation(tree: &mut FolderTree, name: &str, argument: &str, now: Time) -> Result<(), String> {
    let mut plan = Plan::default();
    let argument = (!argument.is_empty()).then_some(argument);
    plan.add(name, argument).map_err(|e| in_line(&e))?;
    let context = EditContext {
        tree,
        now,
        // Nothing random: the same edits make the same tree.
        random: &mut |_| Err(std::io::ErrorKind::Unsupported.into()),
        keys: &[],
        runner: None,
        network: Network::None,
        progress: &mut |_| (),
    };
    ops::customize(&plan, context).map(drop).map_err(|e| in_line(&e))
}

/// Returns the attributes, with names of users and groups looked up in the tree.
fn attrs(tree: &mut FolderTree, owned: &Owned, now: Time) -> Result<Attrs, String> {
    let uid = match owned.owner.parse() {
        Ok(uid) => uid,
        Err(_) => {
            accounts::user(tree, &owned.owner)
                .map_err(|e| in_line(&e))?
                .ok_or_else(|| format!("the tree has no user `{}`", owned.owner))?
                .uid
        }
    };
    let gid = match owned.group.parse() {
        Ok(gid) => gid,
        Err(_) => accounts::group(tree, &owned.group)
            .map_err(|e| in_line(&e))?
            .ok_or_else(|| format!("the tree has no group `{}`", owned.group))?,
    };
    Ok(Attrs { mode: owned.mode, uid, gid, mtime: now })
}

fn above(tree: &mut FolderTree, path: &GuestPath, now: Time) -> Result<(), TreeError> {
    let attrs = Attrs { mode: 0o755, uid: 0, gid: 0, mtime: now };
    path.parent().map_or(Ok(()), |folder| make_dirs(tree, &folder, &attrs).map(drop))
}

fn file(
    tree: &mut FolderTree,
    path: &GuestPath,
    mut bytes: &[u8],
    attrs: &Attrs,
) -> Result<(), TreeError> {
    above(tree, path, attrs.mtime)?;
    // A link at the end is replaced, not followed: what is asked for is a file.
    match tree.lstat(path)?.map(|stat| stat.kind) {
        Some(Kind::Directory) => return Err(TreeError::NotAFile { path: path.clone() }),
        Some(_) => tree.unlink(path)?,
        None => {}
    }
    tree.write(path, &mut bytes, attrs)
}

fn folder(tree: &mut FolderTree, path: &GuestPath, attrs: &Attrs) -> Result<(), TreeError> {
    above(tree, path, attrs.mtime)?;
    if tree.stat(path)?.is_none() {
        return tree.make(path, &New::Directory, attrs);
    }
    let Attrs { mode, uid, gid, .. } = *attrs;
    let change = Change { mode: Some(mode), uid: Some(uid), gid: Some(gid), mtime: None };
    tree.change(path, &change, true)
}

fn link(tree: &mut FolderTree, path: &GuestPath, target: &str, now: Time) -> Result<(), TreeError> {
    above(tree, path, now)?;
    match tree.lstat(path)?.map(|stat| stat.kind) {
        Some(Kind::Directory) => return Err(TreeError::Exists { path: path.clone() }),
        Some(_) => tree.unlink(path)?,
        None => {}
    }
    let attrs = Attrs { mode: 0o777, uid: 0, gid: 0, mtime: now };
    let attrs = inherited(tree, path, &attrs, Kind::Symlink)?;
    tree.make(path, &New::Symlink(target.into()), &attrs)
}
