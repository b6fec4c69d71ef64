// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A tree in memory, for the tests of what is written against [`Tree`].

use std::collections::BTreeMap;
use std::io::{Read, Write};

use kiln_spec::Bytes;

use super::{
    Attrs, Change, Entry, GuestPath, Kind, New, Stat, Time, Tree, TreeError, Usage, Xattrs,
};

/// How many symbolic links a path may lead through, as in Linux.
const MOST_LINKS: u32 = 40;

/// What an inode holds.
#[derive(Clone, Debug)]
enum Body {
    File(Vec<u8>),
    Directory(BTreeMap<Vec<u8>, usize>),
    Symlink(Vec<u8>),
    Device(Kind, u32, u32),
}

#[derive(Clone, Debug)]
struct Inode {
    body: Body,
    attrs: Attrs,
    links: u32,
    xattrs: Xattrs,
}

/// A tree in memory. Inode 0 is the root; inodes are never used again.
#[derive(Clone, Debug)]
pub(crate) struct MemoryTree {
    inodes: Vec<Inode>,
}

impl MemoryTree {
    /// Makes an empty tree.
    pub(crate) fn new() -> Self {
        let attrs = Attrs { mode: 0o755, ..Attrs::default() };
        let body = Body::Directory(BTreeMap::new());
        Self { inodes: vec![Inode { body, attrs, links: 2, xattrs: Xattrs::new() }] }
    }

    /// Makes a tree of lines: `/a/b` or `/a/b=contents` is a file, `/a/` a directory, `/a -> b` a
    /// symbolic link. Folders on the way are made.
    pub(crate) fn of(lines: &[&str]) -> Self {
        let mut tree = Self::new();
        lines.iter().for_each(|line| tree.add(line));
        tree
    }

    /// Adds one such line.
    pub(crate) fn add(&mut self, line: &str) {
        let attrs = Attrs { mode: 0o644, ..Attrs::default() };
        if let Some((name, target)) = line.split_once(" -> ") {
            let path = GuestPath::new(name).unwrap();
            self.folders(&path.parent().unwrap());
            self.make(&path, &New::Symlink(target.into()), &attrs).unwrap();
        } else if line.ends_with('/') {
            self.folders(&GuestPath::new(line).unwrap());
        } else {
            let (name, contents) = line.split_once('=').unwrap_or((line, "x"));
            let path = GuestPath::new(name).unwrap();
            self.folders(&path.parent().unwrap());
            self.write(&path, &mut contents.as_bytes(), &attrs).unwrap();
        }
    }

    fn folders(&mut self, dir: &GuestPath) {
        let attrs = Attrs { mode: 0o755, ..Attrs::default() };
        let mut at = GuestPath::root();
        for name in dir.names() {
            at = at.join(name);
            match self.make(&at, &New::Directory, &attrs) {
                Ok(()) | Err(TreeError::Exists { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Returns all paths but the root, sorted: directories end in `/`, links show their target.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut open = vec![(String::from("/"), 0)];
        while let Some((prefix, ino)) = open.pop() {
            let Body::Directory(names) = &self.inodes[ino].body else { continue };
            for (name, &child) in names {
                let path = format!("{prefix}{}", String::from_utf8_lossy(name));
                all.push(match &self.inodes[child].body {
                    Body::Directory(_) => {
                        open.push((format!("{path}/"), child));
                        format!("{path}/")
                    }
                    Body::Symlink(to) => format!("{path} -> {}", String::from_utf8_lossy(to)),
                    _ => path,
                });
            }
        }
        all.sort();
        all
    }

    /// Returns a file's contents as text.
    pub(crate) fn text(&mut self, path: &'static str) -> String {
        String::from_utf8(self.read(&path.into(), 1 << 20).unwrap()).unwrap()
    }

    /// Finds an inode; `Err` with the last name if only that is missing.
    fn find(&self, path: &GuestPath, follow: bool) -> Result<Found, TreeError> {
        let mut todo: Vec<Vec<u8>> = path.names().rev().map(<[u8]>::to_vec).collect();
        let mut trail = vec![0];
        let mut links = 0;
        while let Some(name) = todo.pop() {
            let here = *trail.last().unwrap();
            let Body::Directory(names) = &self.inodes[here].body else {
                return Err(TreeError::NotADirectory { path: path.clone() });
            };
            if name == b".." {
                if trail.len() > 1 {
                    trail.pop();
                }
                continue;
            }
            let Some(&ino) = names.get(&name) else {
                if todo.is_empty() {
                    return Ok(Found { dir: here, name, ino: None });
                }
                return Err(TreeError::NotFound { path: path.clone() });
            };
            match &self.inodes[ino].body {
                Body::Symlink(target) if follow || !todo.is_empty() => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(TreeError::Loop { path: path.clone() });
                    }
                    if target.starts_with(b"/") {
                        trail.truncate(1);
                    }
                    let names = target.rsplit(|&b| b == b'/');
                    todo.extend(names.filter(|n| !n.is_empty() && *n != b".").map(<[u8]>::to_vec));
                }
                _ if todo.is_empty() => return Ok(Found { dir: here, name, ino: Some(ino) }),
                _ => trail.push(ino),
            }
        }
        let ino = trail.pop().unwrap();
        Ok(Found { dir: ino, name: Vec::new(), ino: Some(ino) })
    }

    fn look(&self, path: &GuestPath, follow: bool) -> Result<usize, TreeError> {
        self.find(path, follow)?.ino.ok_or_else(|| TreeError::NotFound { path: path.clone() })
    }

    fn stat_at(&self, path: &GuestPath, follow: bool) -> Result<Option<Stat>, TreeError> {
        let ino = match self.find(path, follow) {
            Ok(Found { ino: Some(ino), .. }) => ino,
            Ok(_) | Err(TreeError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let inode = &self.inodes[ino];
        let (kind, size, device) = match &inode.body {
            Body::File(bytes) => (Kind::File, bytes.len() as u64, (0, 0)),
            Body::Directory(_) => (Kind::Directory, 4096, (0, 0)),
            Body::Symlink(target) => (Kind::Symlink, target.len() as u64, (0, 0)),
            Body::Device(kind, major, minor) => (*kind, 0, (*major, *minor)),
        };
        let identity = (0, ino as u64);
        Ok(Some(Stat { kind, attrs: inode.attrs, size, links: inode.links, device, identity }))
    }

    fn names(&mut self, dir: usize) -> &mut BTreeMap<Vec<u8>, usize> {
        let Body::Directory(names) = &mut self.inodes[dir].body else {
            panic!("inode {dir} is no directory")
        };
        names
    }

    fn add_inode(&mut self, found: Found, body: Body, attrs: Attrs) {
        let links = if matches!(body, Body::Directory(_)) { 2 } else { 1 };
        self.inodes.push(Inode { body, attrs, links, xattrs: Xattrs::new() });
        let ino = self.inodes.len() - 1;
        self.names(found.dir).insert(found.name, ino);
    }

    fn free_name(&self, path: &GuestPath) -> Result<Found, TreeError> {
        let found = self.find(path, false)?;
        if found.ino.is_some() {
            return Err(TreeError::Exists { path: path.clone() });
        }
        Ok(found)
    }
}

/// Where a path leads: the directory that its last name stands in, and what has it.
struct Found {
    dir: usize,
    name: Vec<u8>,
    ino: Option<usize>,
}

impl Tree for MemoryTree {
    fn stat(&mut self, path: &GuestPath) -> Result<Option<Stat>, TreeError> {
        self.stat_at(path, true)
    }

    fn lstat(&mut self, path: &GuestPath) -> Result<Option<Stat>, TreeError> {
        self.stat_at(path, false)
    }

    fn list(&mut self, dir: &GuestPath) -> Result<Vec<Entry>, TreeError> {
        let ino = self.look(dir, true)?;
        let Body::Directory(names) = &self.inodes[ino].body else {
            return Err(TreeError::NotADirectory { path: dir.clone() });
        };
        let entry = |(name, &ino): (&Vec<u8>, &usize)| Entry {
            name: name.clone(),
            kind: match &self.inodes[ino].body {
                Body::File(_) => Kind::File,
                Body::Directory(_) => Kind::Directory,
                Body::Symlink(_) => Kind::Symlink,
                Body::Device(kind, ..) => *kind,
            },
        };
        Ok(names.iter().map(entry).collect())
    }

    fn read_link(&mut self, path: &GuestPath) -> Result<Vec<u8>, TreeError> {
        match &self.inodes[self.look(path, false)?].body {
            Body::Symlink(target) => Ok(target.clone()),
            _ => Err(TreeError::NotALink { path: path.clone() }),
        }
    }

    fn copy_out(&mut self, path: &GuestPath, out: &mut dyn Write) -> Result<u64, TreeError> {
        match &self.inodes[self.look(path, true)?].body {
            Body::File(bytes) => {
                out.write_all(bytes).unwrap();
                Ok(bytes.len() as u64)
            }
            _ => Err(TreeError::NotAFile { path: path.clone() }),
        }
    }

    fn write(
        &mut self,
        path: &GuestPath,
        contents: &mut dyn Read,
        attrs: &Attrs,
    ) -> Result<(), TreeError> {
        let mut bytes = Vec::new();
        contents
            .read_to_end(&mut bytes)
            .map_err(|source| TreeError::Contents { path: path.clone(), source })?;
        let found = self.find(path, true)?;
        match found.ino {
            None => self.add_inode(found, Body::File(bytes), *attrs),
            Some(ino) => {
                let Body::File(old) = &mut self.inodes[ino].body else {
                    return Err(TreeError::NotAFile { path: path.clone() });
                };
                *old = bytes;
                self.inodes[ino].attrs.mtime = attrs.mtime;
            }
        }
        Ok(())
    }

    fn make(&mut self, path: &GuestPath, new: &New, attrs: &Attrs) -> Result<(), TreeError> {
        let found = self.free_name(path)?;
        let body = match new {
            New::Directory => Body::Directory(BTreeMap::new()),
            New::Symlink(target) => Body::Symlink(target.clone()),
            New::Char(major, minor) => Body::Device(Kind::Char, *major, *minor),
            New::Block(major, minor) => Body::Device(Kind::Block, *major, *minor),
            New::Fifo => Body::Device(Kind::Fifo, 0, 0),
            New::Socket => Body::Device(Kind::Socket, 0, 0),
        };
        self.add_inode(found, body, *attrs);
        Ok(())
    }

    fn hard_link(&mut self, file: &GuestPath, name: &GuestPath) -> Result<(), TreeError> {
        let ino = self.look(file, false)?;
        let found = self.free_name(name)?;
        self.inodes[ino].links += 1;
        self.names(found.dir).insert(found.name, ino);
        Ok(())
    }

    fn rename(&mut self, from: &GuestPath, to: &GuestPath) -> Result<(), TreeError> {
        let old = self.find(from, false)?;
        let ino = self.look(from, false)?;
        let new = self.find(to, false)?;
        if let Some(there) = new.ino.filter(|&there| there != ino) {
            match &self.inodes[there].body {
                Body::Directory(names) if !names.is_empty() => {
                    return Err(TreeError::NotEmpty { path: to.clone() });
                }
                _ => self.inodes[there].links -= 1,
            }
        }
        self.names(old.dir).remove(&old.name);
        self.names(new.dir).insert(new.name, ino);
        Ok(())
    }

    fn unlink(&mut self, path: &GuestPath) -> Result<(), TreeError> {
        let ino = self.look(path, false)?;
        if matches!(self.inodes[ino].body, Body::Directory(_)) {
            return Err(TreeError::NotAFile { path: path.clone() });
        }
        let found = self.find(path, false)?;
        self.inodes[ino].links -= 1;
        self.names(found.dir).remove(&found.name);
        Ok(())
    }

    fn rmdir(&mut self, path: &GuestPath) -> Result<(), TreeError> {
        let found = self.find(path, false)?;
        match &self.inodes[self.look(path, false)?].body {
            Body::Directory(names) if names.is_empty() => {}
            Body::Directory(_) => return Err(TreeError::NotEmpty { path: path.clone() }),
            _ => return Err(TreeError::NotADirectory { path: path.clone() }),
        }
        self.names(found.dir).remove(&found.name);
        Ok(())
    }

    fn change(&mut self, path: &GuestPath, change: &Change, follow: bool) -> Result<(), TreeError> {
        let ino = self.look(path, follow)?;
        let attrs = &mut self.inodes[ino].attrs;
        attrs.mode = change.mode.unwrap_or(attrs.mode);
        attrs.uid = change.uid.unwrap_or(attrs.uid);
        attrs.gid = change.gid.unwrap_or(attrs.gid);
        attrs.mtime = change.mtime.unwrap_or(attrs.mtime);
        Ok(())
    }

    fn xattrs(&mut self, path: &GuestPath) -> Result<Xattrs, TreeError> {
        let ino = self.look(path, false)?;
        Ok(self.inodes[ino].xattrs.clone())
    }

    fn set_xattrs(&mut self, path: &GuestPath, xattrs: &Xattrs) -> Result<(), TreeError> {
        let ino = self.look(path, false)?;
        self.inodes[ino].xattrs.clone_from(xattrs);
        Ok(())
    }

    fn usage(&mut self) -> Result<Vec<Usage>, TreeError> {
        Ok(vec![Usage {
            mounted_on: GuestPath::root(),
            source: String::from("memory"),
            fs: String::from("memory"),
            size: Bytes(0),
            free: Bytes(0),
            inodes: 0,
            free_inodes: 0,
        }])
    }
}

#[test]
fn links_stay_inside_and_names_can_be_made_and_removed() {
    let mut tree =
        MemoryTree::of(&["/etc/a=1", "/l -> ../../etc", "/up -> /l/../etc/a", "/o -> o"]);
    assert_eq!(tree.text("/up"), "1");
    assert_eq!(tree.text("/l/a"), "1");
    assert!(matches!(tree.stat(&"/o".into()), Err(TreeError::Loop { .. })));
    assert!(matches!(tree.rmdir(&"/etc".into()), Err(TreeError::NotEmpty { .. })));
    tree.hard_link(&"/etc/a".into(), &"/etc/b".into()).unwrap();
    assert_eq!(tree.stat(&"/etc/b".into()).unwrap().unwrap().links, 2);
    tree.rename(&"/etc/a".into(), &"/c".into()).unwrap();
    tree.unlink(&"/etc/b".into()).unwrap();
    tree.rmdir(&"/etc".into()).unwrap();
    let time = Time { seconds: 5, nanos: 0 };
    let change = Change { mtime: Some(time), mode: Some(0o600), ..Change::default() };
    tree.change(&"/c".into(), &change, true).unwrap();
    assert_eq!(tree.stat(&"/c".into()).unwrap().unwrap().attrs.mode, 0o600);
    assert_eq!(tree.paths(), ["/c", "/l -> ../../etc", "/o -> o", "/up -> /l/../etc/a"]);
}
