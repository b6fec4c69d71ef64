// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Names: made, moved, removed, and written out at the end.

use super::super::{ENTRY, FatError, name, time};
use super::dir::{self, DIRECTORY, Dir, Item, MOST_BYTES, Raw, Slot};
use super::{FatFs, Node, table};
use crate::device::len64;
use crate::fs::ext::{Access, Attrs};

impl FatFs {
    /// Makes an empty directory.
    ///
    /// # Errors
    ///
    /// [`FatError::Exists`], [`FatError::BadPath`], [`FatError::NoClusters`],
    /// [`FatError::DirectoryFull`], [`FatError::ReadOnly`].
    pub fn mkdir(&mut self, parent: Node, name: &[u8], attrs: &Attrs) -> Result<Node, FatError> {
        self.check_writable()?;
        self.check_free(parent, name)?;
        let mut raw = dir::entry(&[b' '; 11], DIRECTORY, time::stamp(attrs.mtime.seconds));
        let runs = self.table.take(&mut *self.device, 1, None)?;
        let first = runs[0].first;
        dir::set_first(&mut raw, first);
        let node = match self.insert(parent, name, raw) {
            Ok(node) => node,
            Err(error) => {
                self.table.release(&mut *self.device, first)?;
                return Err(error);
            }
        };
        let cluster = self.boot.cluster_len();
        let room = cluster / ENTRY;
        let dir = Dir { runs, room, used: 2, changed: true, ..Dir::default() };
        self.item_mut(node)?.dir = Some(dir);
        self.places.insert(first, node);
        Ok(node)
    }

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// [`FatError::NotFound`], [`FatError::IsADirectory`], [`FatError::ReadOnly`];
    /// [`FatError::Damaged`] if its clusters cannot be given back; nothing is changed then.
    pub fn unlink(&mut self, parent: Node, name: &[u8]) -> Result<(), FatError> {
        self.check_writable()?;
        let node = self.existing(parent, name)?;
        let item = self.item(node)?;
        if item.is_directory() {
            return Err(FatError::IsADirectory { path: name.to_vec() });
        }
        let first = item.first();
        if first != 0 {
            self.table.release(&mut *self.device, first)?;
        }
        self.forget(node)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    ///
    /// [`FatError::NotFound`], [`FatError::NotADirectory`], [`FatError::NotEmpty`],
    /// [`FatError::ReadOnly`]; [`FatError::Damaged`] as [`FatFs::unlink`].
    pub fn rmdir(&mut self, parent: Node, name: &[u8]) -> Result<(), FatError> {
        self.check_writable()?;
        let node = self.existing(parent, name)?;
        if !self.dir(node)?.slots.is_empty() {
            return Err(FatError::NotEmpty { name: name.to_vec() });
        }
        let first = self.item(node)?.first();
        self.table.release(&mut *self.device, first)?;
        self.places.remove(&first);
        self.forget(node)
    }

    /// Moves a name; replaces what has the new one as rename(2) does: a file by a file, an empty
    /// directory by a directory. A name can be given other case.
    ///
    /// # Errors
    ///
    /// [`FatError::NotFound`], [`FatError::IsADirectory`], [`FatError::NotADirectory`],
    /// [`FatError::NotEmpty`], [`FatError::IntoItself`], [`FatError::BadPath`],
    /// [`FatError::NoClusters`], [`FatError::DirectoryFull`], [`FatError::ReadOnly`].
    pub fn rename(
        &mut self,
        (from, name): (Node, &[u8]),
        (to, new_name): (Node, &[u8]),
    ) -> Result<(), FatError> {
        self.check_writable()?;
        let node = self.existing(from, name)?;
        dir::checked(new_name)?;
        self.check_not_within(to, node, name)?;
        let directory = self.item(node)?.is_directory();
        if let Some(old) = self.child(to, new_name)?.filter(|&old| old != node) {
            match (directory, self.item(old)?.is_directory()) {
                (true, true) => self.rmdir(to, new_name)?,
                (false, false) => self.unlink(to, new_name)?,
                (true, false) => return Err(FatError::NotADirectory { path: new_name.to_vec() }),
                (false, true) => return Err(FatError::IsADirectory { path: new_name.to_vec() }),
            }
        }
        let item = self.item(node)?.clone();
        // In one directory it must not stand in its own way; if there is no room it comes back.
        self.dir(from)?.leave(node, &item);
        let placed = self.enter(to, new_name, node, item.raw);
        if let Err(error) = placed {
            *self.item_mut(node)? = item.clone();
            self.dir(from)?.enter(node, &item);
            return Err(error);
        }
        self.touch(from)?;
        if directory {
            // For `..`.
            self.dir(node)?.changed = true;
        }
        Ok(())
    }

    /// Returns an error if `to` is `node` or lies in it.
    fn check_not_within(&self, to: Node, node: Node, name: &[u8]) -> Result<(), FatError> {
        let mut at = to;
        while at != Node::ROOT {
            if at == node {
                return Err(FatError::IntoItself { name: name.to_vec() });
            }
            at = self.item(at)?.parent;
        }
        Ok(())
    }

    fn existing(&mut self, parent: Node, name: &[u8]) -> Result<Node, FatError> {
        let missing = || FatError::NotFound { path: name.to_vec() };
        self.child(parent, name)?.ok_or_else(missing)
    }

    fn check_free(&mut self, parent: Node, name: &[u8]) -> Result<(), FatError> {
        dir::checked(name)?;
        match self.child(parent, name)? {
            Some(_) => Err(FatError::Exists { name: name.to_vec() }),
            None => Ok(()),
        }
    }

    /// Makes an item of `raw`, whose short name is chosen here.
    pub(super) fn insert(&mut self, parent: Node, name: &[u8], raw: Raw) -> Result<Node, FatError> {
        self.check_free(parent, name)?;
        let node = self.number(0)?;
        let item = Item { parent, name: String::new(), raw, long: Vec::new(), dir: None };
        self.items.push(Some(item));
        if let Err(error) = self.enter(parent, name, node, raw) {
            self.items.pop();
            return Err(error);
        }
        Ok(node)
    }

    /// Gives an item that is in no directory a name in one.
    fn enter(&mut self, to: Node, name: &[u8], node: Node, mut raw: Raw) -> Result<(), FatError> {
        let name = dir::checked(name)?;
        let (short, needs_long) = name::short(name, &self.dir(to)?.shorts);
        raw[..11].copy_from_slice(&short);
        // The bits that show a short name in lower case.
        raw[12] = 0;
        let long = if needs_long { name::long_entries(name, &short) } else { Vec::new() };
        self.make_room(to, name, long.len() + 1)?;
        let item = self.item_mut(node)?;
        (item.parent, item.name, item.raw, item.long) = (to, name.to_owned(), raw, long);
        let names = item.without_dir();
        let dir = self.dir(to)?;
        dir.enter(node, &names);
        dir.changed = true;
        self.touch(to)
    }

    /// Makes room for `count` more entries in a directory.
    fn make_room(&mut self, node: Node, name: &str, count: usize) -> Result<(), FatError> {
        let cluster = self.boot.cluster_len();
        let fixed = node == Node::ROOT && self.boot.root.1 > 0;
        loop {
            let dir = self.dir(node)?;
            if dir.used + count <= dir.room {
                return Ok(());
            }
            let bytes = u64::try_from((dir.room * ENTRY) + cluster).unwrap_or(u64::MAX);
            let last = dir.runs.last().map(|run| run.first + run.count - 1);
            if fixed || bytes > MOST_BYTES || last.is_none() {
                return Err(FatError::DirectoryFull { name: name.to_owned() });
            }
            let runs = self.table.take(&mut *self.device, 1, last)?;
            let dir = self.dir(node)?;
            dir.runs.extend(runs);
            dir.room += cluster / ENTRY;
            dir.changed = true;
        }
    }

    /// Removes an item whose clusters are given back.
    fn forget(&mut self, node: Node) -> Result<(), FatError> {
        let missing = || FatError::NotFound { path: Vec::new() };
        let item = self.items[node.index()].take().ok_or_else(missing)?;
        self.last = None;
        self.dir(item.parent)?.leave(node, &item);
        self.touch(item.parent)
    }

    /// Notes that the names of a directory changed.
    fn touch(&mut self, node: Node) -> Result<(), FatError> {
        let Access::Write { now } = self.access else { return Ok(()) };
        if node == Node::ROOT {
            return Ok(());
        }
        let item = self.item_mut(node)?;
        item.set_time(time::stamp(now));
        let parent = item.parent;
        self.dir(parent)?.changed = true;
        Ok(())
    }

    /// Writes everything to the device and closes the file system.
    ///
    /// # Errors
    ///
    /// [`FatError::Io`].
    pub fn close(mut self) -> Result<(), FatError> {
        if self.access == Access::Read {
            return Ok(());
        }
        for (number, index) in (0_u32..).zip(0..self.items.len()) {
            let node = Node(number);
            let dir = self.items[index].as_mut().and_then(|item| item.dir.as_mut());
            if dir.is_some_and(|dir| std::mem::take(&mut dir.changed)) {
                self.write_dir(node)?;
            }
        }
        self.table.flush(&mut *self.device)?;
        let io = |source| FatError::Io { doing: "write the count of free clusters", source };
        if let Some(at) = self.boot.information {
            let free = self.table.free.unwrap_or(u32::MAX);
            let next = if self.table.exists(self.table.next) { self.table.next } else { 2 };
            table::write_information(&mut *self.device, at, (free, next)).map_err(io)?;
        }
        let io = |source| FatError::Io { doing: "write to the device", source };
        self.device.flush().map_err(io)
    }

    fn write_dir(&mut self, node: Node) -> Result<(), FatError> {
        let item = self.item(node)?;
        let Some(dir) = &item.dir else { return Ok(()) };
        let mut bytes = Vec::with_capacity(dir.room * ENTRY);
        if node != Node::ROOT {
            bytes.extend(self.dots(item, dir)?.concat());
        }
        for slot in &dir.slots {
            match slot {
                Slot::Item(node) => {
                    let item = self.item(*node)?;
                    item.long.iter().for_each(|raw| bytes.extend_from_slice(raw));
                    bytes.extend_from_slice(&item.raw);
                }
                Slot::Other(raws) => bytes.extend(raws.concat()),
            }
        }
        bytes.resize(dir.room * ENTRY, 0);
        let io = |source| FatError::Io { doing: "write a directory", source };
        if dir.runs.is_empty() {
            return self.device.write_at(self.boot.root.0, &bytes).map_err(io);
        }
        let mut places = Vec::new();
        for run in &dir.runs {
            places.push((self.place(run.first)?, u64::from(run.count) * self.boot.cluster));
        }
        let mut rest = bytes.as_slice();
        for (at, len) in places {
            let part = usize::try_from(len).map_or(rest.len(), |n| n.min(rest.len()));
            self.device.write_at(at, &rest[..part]).map_err(io)?;
            rest = &rest[part..];
        }
        debug_assert_eq!(len64(rest), 0);
        Ok(())
    }

    /// Returns `.` and `..` of a directory: those that it had, with the clusters that are right.
    fn dots(&self, item: &Item, dir: &Dir) -> Result<[Raw; 2], FatError> {
        let stamp = [item.raw[22], item.raw[23], item.raw[24], item.raw[25]];
        let had = |number: usize, name: &[u8; 11]| {
            let old = dir.dots.get(number).filter(|raw| raw.starts_with(name));
            old.copied().unwrap_or_else(|| dir::entry(name, DIRECTORY, stamp))
        };
        let [mut own, mut above] = [had(0, b".          "), had(1, b"..         ")];
        dir::set_first(&mut own, item.first());
        // The root is written as 0, whichever cluster it has.
        let parent = if item.parent == Node::ROOT { 0 } else { self.item(item.parent)?.first() };
        dir::set_first(&mut above, parent);
        Ok([own, above])
    }
}
