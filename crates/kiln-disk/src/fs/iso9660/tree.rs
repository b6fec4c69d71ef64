// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The tree of folders and files, and its order as each reader sees it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::IsoError;
use super::names;

/// The deepest a folder may lie, the root counted: ECMA-119, 6.8.2.1.
const LEVELS: usize = 8;

/// The most bytes of one part of a path: NAME_MAX of Linux.
const NAME_BYTES: usize = 255;

/// Which of the two trees is meant. Both have the same nodes, with other names and order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flavour {
    /// The primary one, which Rock Ridge extends.
    Primary,
    /// The supplementary one.
    Joliet,
}

/// A folder or a file.
#[derive(Debug)]
pub(super) struct Node<'a> {
    /// Its name as given; empty for the root.
    pub(super) name: &'a str,
    /// The folder that it lies in; the root lies in itself.
    pub(super) parent: usize,
    /// The file's content; `None` for a folder.
    pub(super) content: Option<&'a [u8]>,
    /// Its identifier on the plain file system.
    pub(super) primary: Vec<u8>,
    /// Its identifier on Joliet: UTF-16, big end first.
    pub(super) joliet: Vec<u8>,
    children: BTreeMap<&'a str, usize>,
}

/// All nodes; the root is number 0.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    /// The nodes; a folder comes before what lies in it.
    pub(super) nodes: Vec<Node<'a>>,
}

impl<'a> Tree<'a> {
    /// Returns the tree of these files, names given out.
    pub(super) fn new(files: &'a [(String, Vec<u8>)]) -> Result<Self, IsoError> {
        let mut tree = Self { nodes: vec![Node::new("", 0, None)] };
        for (path, bytes) in files {
            tree.insert(path, bytes)?;
        }
        for folder in 0..tree.nodes.len() {
            tree.name_children(folder);
        }
        Ok(tree)
    }

    fn insert(&mut self, path: &'a str, bytes: &'a [u8]) -> Result<(), IsoError> {
        let twice = |path: &str| IsoError::Twice { path: path.to_owned() };
        let wrong = |why| IsoError::Path { path: path.to_owned(), why };
        if u32::try_from(bytes.len()).is_err() {
            return Err(IsoError::TooLarge { what: path.to_owned() });
        }
        let parts: Vec<&str> = path.split('/').collect();
        if parts.len() > LEVELS {
            return Err(wrong("it lies in more than 7 folders"));
        }
        let mut at = 0;
        let mut end = 0;
        for (number, part) in parts.iter().enumerate() {
            end += part.len() + usize::from(number > 0);
            match *part {
                "" => return Err(wrong("a part of it is empty")),
                "." | ".." => return Err(wrong("`.` and `..` are no names")),
                part if part.contains('\0') => return Err(wrong("it has a NUL character")),
                part if part.len() > NAME_BYTES => return Err(wrong("a part exceeds 255 bytes")),
                _ => {}
            }
            let last = number + 1 == parts.len();
            at = match self.nodes[at].children.get(part) {
                Some(_) if last => return Err(twice(path)),
                Some(&there) if self.nodes[there].content.is_some() => {
                    return Err(twice(&path[..end]));
                }
                Some(&there) => there,
                None => {
                    let new = self.nodes.len();
                    self.nodes.push(Node::new(part, at, last.then_some(bytes)));
                    self.nodes[at].children.insert(part, new);
                    new
                }
            };
        }
        Ok(())
    }

    fn name_children(&mut self, folder: usize) {
        let mut primary = BTreeSet::new();
        let mut joliet = BTreeSet::new();
        let children: Vec<usize> = self.nodes[folder].children.values().copied().collect();
        for child in children {
            let node = &mut self.nodes[child];
            let is_file = node.content.is_some();
            node.primary = names::primary(node.name, is_file, &mut primary);
            node.joliet = names::joliet(node.name, &mut joliet);
        }
    }

    /// Returns what lies in a folder, in the order of its records.
    pub(super) fn children(&self, folder: usize, flavour: Flavour) -> Vec<usize> {
        let mut children: Vec<usize> = self.nodes[folder].children.values().copied().collect();
        match flavour {
            Flavour::Primary => {
                children.sort_by(|&a, &b| {
                    names::primary_key(&self.nodes[a].primary)
                        .cmp(&names::primary_key(&self.nodes[b].primary))
                });
            }
            Flavour::Joliet => {
                children.sort_by(|&a, &b| self.nodes[a].joliet.cmp(&self.nodes[b].joliet));
            }
        }
        children
    }

    /// Returns the folders in the order of the path table: level by level, in each by their
    /// parents' order and then by name (ECMA-119, 6.9.1).
    pub(super) fn folders(&self, flavour: Flavour) -> Vec<usize> {
        let mut order = Vec::new();
        let mut queue = VecDeque::from([0]);
        while let Some(folder) = queue.pop_front() {
            order.push(folder);
            let inner = self.children(folder, flavour).into_iter();
            queue.extend(inner.filter(|&child| self.nodes[child].content.is_none()));
        }
        order
    }

    /// Returns how many links a folder has: its name, its `.`, and the `..` of each folder in it.
    pub(super) fn links(&self, folder: usize) -> u32 {
        let inner = self.nodes[folder].children.values();
        let folders = inner.filter(|&&child| self.nodes[child].content.is_none()).count();
        u32::try_from(folders).unwrap_or(u32::MAX - 2) + 2
    }
}

impl<'a> Node<'a> {
    fn new(name: &'a str, parent: usize, content: Option<&'a [u8]>) -> Self {
        Self { name, parent, content, primary: vec![0], joliet: vec![0], children: BTreeMap::new() }
    }

    /// Returns its identifier in a tree. The root's is one zero byte.
    pub(super) fn identifier(&self, flavour: Flavour) -> &[u8] {
        match flavour {
            Flavour::Primary => &self.primary,
            Flavour::Joliet => &self.joliet,
        }
    }
}
