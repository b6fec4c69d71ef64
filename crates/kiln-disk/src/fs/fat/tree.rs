// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The tree of files, and which clusters each gets.

use std::collections::BTreeSet;

use super::name::{Short, long_entries, short, wrong};
use super::{ENTRY, ROOT_ENTRIES, Shape};
use crate::device::len64;

/// `ATTR_DIRECTORY`, `ATTR_ARCHIVE`, `ATTR_VOLUME_ID`.
const DIRECTORY: u8 = 0x10;
const ARCHIVE: u8 = 0x20;
const VOLUME: u8 = 0x08;

#[derive(Debug)]
enum Node {
    File(Vec<u8>),
    Directory(Tree),
}

/// A directory: names and what they name, in the order that they were added in.
#[derive(Debug, Default)]
pub(super) struct Tree {
    entries: Vec<(String, Node)>,
}

/// Where everything lies.
#[derive(Debug, Default)]
pub(super) struct Placed {
    /// First cluster and count, from cluster 2 on without a gap.
    pub(super) runs: Vec<(u64, u64)>,
    /// First cluster, and what lies there.
    pub(super) contents: Vec<(u64, Vec<u8>)>,
    /// FAT16's root directory, which has no cluster.
    pub(super) fixed_root: Option<Vec<u8>>,
}

impl Placed {
    /// Returns how many clusters are used.
    pub(super) fn clusters(&self) -> u64 {
        self.runs.iter().map(|&(_, count)| count).sum()
    }

    /// Takes the next clusters for `len` bytes, at least one.
    fn take(&mut self, len: u64, shape: &Shape) -> u64 {
        let first = self.clusters() + 2;
        self.runs.push((first, len.div_ceil(shape.cluster()).max(1)));
        first
    }
}

impl Tree {
    pub(super) fn add(&mut self, path: &str, bytes: Vec<u8>) -> Result<(), &'static str> {
        let (name, rest) = match path.trim_start_matches('/').split_once('/') {
            Some((name, rest)) => (name, Some(rest)),
            None => (path.trim_start_matches('/'), None),
        };
        if let Some(why) = wrong(name) {
            return Err(why);
        }
        u32::try_from(bytes.len()).map_err(|_| "it has 4 GiB or more")?;
        // FAT does not tell upper from lower case.
        let same = |(other, _): &&mut (String, Node)| other.eq_ignore_ascii_case(name);
        match (self.entries.iter_mut().find(same), rest) {
            (Some((_, Node::Directory(tree))), Some(rest)) => tree.add(rest, bytes),
            (Some(_), _) => Err("there is something of this name"),
            (None, Some(rest)) => {
                let mut tree = Self::default();
                tree.add(rest, bytes)?;
                self.entries.push((name.to_owned(), Node::Directory(tree)));
                Ok(())
            }
            (None, None) => {
                self.entries.push((name.to_owned(), Node::File(bytes)));
                Ok(())
            }
        }
    }

    /// Decides where everything lies. `time` is put into each entry.
    pub(super) fn place(&self, shape: &Shape, time: [u8; 4], label: &str) -> Placed {
        let mut placed = Placed::default();
        let mut root = Vec::new();
        if !label.is_empty() {
            let mut name = [b' '; 11];
            name[..label.len()].copy_from_slice(label.as_bytes());
            root.extend_from_slice(&entry(&name, VOLUME, time, (0, 0)));
        }
        // The root's own length is known before its contents: names alone decide it.
        let len = len64(&root) + self.len();
        let own = if shape.fat32 { placed.take(len, shape) } else { 0 };
        self.fill(&mut root, (own, time), shape, &mut placed);
        if shape.fat32 {
            placed.contents.push((own, root));
        } else {
            let most = ROOT_ENTRIES * 32;
            if len64(&root) > most {
                // Far more names than an ESP's root has; shown as a file system that is full.
                placed.runs.push((placed.clusters() + 2, shape.clusters + 1));
            }
            placed.fixed_root = Some(root);
        }
        placed
    }

    /// Returns the bytes of all entries.
    fn len(&self) -> u64 {
        let mut taken = BTreeSet::new();
        let lens = self.entries.iter().map(|(name, _)| {
            let (short, long) = short(name, &taken);
            let parts = if long { long_entries(name, &short).len() } else { 0 };
            taken.insert(short);
            parts + 1
        });
        let count: usize = lens.sum();
        u64::try_from(count * ENTRY).expect("a directory in memory is small")
    }

    /// Appends the entries to `to`, and places what they name. `own` is this directory's cluster.
    fn fill(
        &self,
        to: &mut Vec<u8>,
        (own, time): (u64, [u8; 4]),
        shape: &Shape,
        placed: &mut Placed,
    ) {
        let mut taken: BTreeSet<Short> = BTreeSet::new();
        for (name, node) in &self.entries {
            let (short, long) = short(name, &taken);
            taken.insert(short);
            if long {
                for part in long_entries(name, &short) {
                    to.extend_from_slice(&part);
                }
            }
            match node {
                Node::File(bytes) => {
                    let size = len64(bytes);
                    let first = if size == 0 { 0 } else { placed.take(size, shape) };
                    to.extend_from_slice(&entry(&short, ARCHIVE, time, (first, size)));
                    if size > 0 {
                        placed.contents.push((first, bytes.clone()));
                    }
                }
                Node::Directory(tree) => {
                    let first = placed.take(tree.len() + 64, shape);
                    to.extend_from_slice(&entry(&short, DIRECTORY, time, (first, 0)));
                    // The root is written as 0 in `..`, whichever cluster it has.
                    let above = if own == 2 && shape.fat32 { 0 } else { own };
                    let mut inner = entry(b".          ", DIRECTORY, time, (first, 0)).to_vec();
                    inner.extend_from_slice(&entry(b"..         ", DIRECTORY, time, (above, 0)));
                    tree.fill(&mut inner, (first, time), shape, placed);
                    placed.contents.push((first, inner));
                }
            }
        }
    }
}

/// Returns a directory entry with a short name.
fn entry(name: &Short, attributes: u8, time: [u8; 4], (first, size): (u64, u64)) -> [u8; ENTRY] {
    let mut e = [0; ENTRY];
    let cluster = u32::try_from(first).expect("clusters have 28 bits").to_le_bytes();
    let size = u32::try_from(size).expect("checked when the file was added");
    e[..11].copy_from_slice(name);
    e[11] = attributes;
    e[14..18].copy_from_slice(&time);
    e[18..20].copy_from_slice(&time[2..]);
    e[20..22].copy_from_slice(&cluster[2..]);
    e[22..26].copy_from_slice(&time);
    e[26..28].copy_from_slice(&cluster[..2]);
    e[28..].copy_from_slice(&size.to_le_bytes());
    e
}
