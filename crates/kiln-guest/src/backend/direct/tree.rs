// SPDX-License-Identifier: Apache-2.0 OR MIT
//! [`Tree`] for [`DirectTree`].

use std::io::{Read, Write};
use std::ops::Range;

use kiln_host::read::{Holes, Plain};
use kiln_spec::Bytes;

use super::resolve::{At, Last, Reached, Spot};
use super::volume::{Place, Volume};
use super::{DirectTree, failed};
use crate::tree::{
    Attrs, Change, Entry, GuestPath, Kind, New, Stat, Tree, TreeError, Usage, Xattrs,
};

/// Bytes of a file that are read together.
const CHUNK: usize = 1 << 20;
/// Files up to this size are read whatever their file system's size is.
const SURE: u64 = 1 << 30;
/// How many times as large as its file system a file with holes may say it is.
const MOST_TIMES: u64 = 64;

impl DirectTree {
    fn volume(&mut self, at: At) -> &mut dyn Volume {
        &mut *self.mounts[at.mount].volume
    }

    fn stat_of(&mut self, at: At, path: &GuestPath) -> Result<Stat, TreeError> {
        let stat = self.volume(at).stat(at.node).map_err(|e| failed("read", path, e))?;
        let mount = u32::try_from(at.mount).unwrap_or(u32::MAX);
        Ok(Stat {
            kind: stat.kind,
            attrs: stat.attrs,
            size: stat.size,
            links: stat.links,
            device: stat.device,
            identity: (mount, at.node),
        })
    }

    fn stat_at(&mut self, path: &GuestPath, last: Last) -> Result<Option<Stat>, TreeError> {
        let Some(at) = self.find(path, last)? else { return Ok(None) };
        self.stat_of(at, path).map(Some)
    }

    /// Returns an error if a file says that it is so much larger than its file system that this
    /// can only be damage: its holes would be copied for hours.
    fn check_size(&mut self, at: At, size: u64, path: &GuestPath) -> Result<(), TreeError> {
        if size <= SURE {
            return Ok(());
        }
        let fill = self.volume(at).fill().map_err(|e| failed("read", path, e))?;
        let most = fill.size.saturating_mul(MOST_TIMES).max(SURE);
        if size > most {
            return Err(TreeError::TooLarge { path: path.clone(), most: Bytes(most) });
        }
        Ok(())
    }

    /// Returns an error if nothing may be changed where `at` is.
    fn check_open(&self, at: At, path: &GuestPath) -> Result<(), TreeError> {
        match &self.mounts[at.mount].locked {
            Some(why) => Err(TreeError::ReadOnly { path: path.clone(), why: why.clone() }),
            None => Ok(()),
        }
    }

    /// Returns where something new may be made.
    fn free_spot(&mut self, path: &GuestPath) -> Result<Spot, TreeError> {
        let taken = || TreeError::Exists { path: path.clone() };
        let spot = self.spot(path)?.ok_or_else(taken)?;
        if self.at_spot(&spot, path)?.is_some() {
            return Err(taken());
        }
        self.check_open(spot.dir, path)?;
        Ok(spot)
    }

    /// Returns where the name is that is to be moved or removed, and what has it.
    fn taken_spot(&mut self, path: &GuestPath) -> Result<(Spot, At), TreeError> {
        let refused = |why: &str| TreeError::ReadOnly { path: path.clone(), why: why.to_owned() };
        let spot = self.spot(path)?.ok_or_else(|| refused("the path ends in no name"))?;
        let at = self.at_spot(&spot, path)?;
        let at = at.ok_or_else(|| TreeError::NotFound { path: path.clone() })?;
        if self.is_covered(at) {
            return Err(refused("a file system is mounted on it"));
        }
        self.check_open(at, path)?;
        Ok((spot, at))
    }

    fn remove(&mut self, spot: &Spot, path: &GuestPath) -> Result<(), TreeError> {
        self.volume(spot.dir).remove(spot.place()).map_err(|e| failed("remove", path, e))
    }

    /// Returns an error unless `from` may take the name at `to`, as rename(2) has it.
    fn check_replace(&mut self, from: At, to: &Spot, name: &GuestPath) -> Result<(), TreeError> {
        if to.above.contains(&from) {
            let why = "a directory cannot be moved into itself".to_owned();
            return Err(TreeError::ReadOnly { path: name.clone(), why });
        }
        let Some(there) = self.at_spot(to, name)? else { return Ok(()) };
        if self.is_covered(there) {
            let why = "a file system is mounted on it".to_owned();
            return Err(TreeError::ReadOnly { path: name.clone(), why });
        }
        let moved = self.kind(from, name)? == Kind::Directory;
        let replaced = self.kind(there, name)? == Kind::Directory;
        match (moved, replaced) {
            (true, false) => Err(TreeError::NotADirectory { path: name.clone() }),
            (false, true) => Err(TreeError::NotAFile { path: name.clone() }),
            (true, true) => {
                let listed = self.volume(there).list(there.node);
                let empty = listed.map_err(|e| failed("read", name, e))?.is_empty();
                if empty { Ok(()) } else { Err(TreeError::NotEmpty { path: name.clone() }) }
            }
            (false, false) => Ok(()),
        }
    }
}

impl Tree for DirectTree {
    fn stat(&mut self, path: &GuestPath) -> Result<Option<Stat>, TreeError> {
        self.stat_at(path, Last::Follow)
    }

    fn lstat(&mut self, path: &GuestPath) -> Result<Option<Stat>, TreeError> {
        self.stat_at(path, Last::Keep)
    }

    fn list(&mut self, dir: &GuestPath) -> Result<Vec<Entry>, TreeError> {
        let at = self.need(dir, Last::Follow)?;
        if self.kind(at, dir)? != Kind::Directory {
            return Err(TreeError::NotADirectory { path: dir.clone() });
        }
        self.volume(at).list(at.node).map_err(|e| failed("read", dir, e))
    }

    fn read_link(&mut self, path: &GuestPath) -> Result<Vec<u8>, TreeError> {
        let at = self.need(path, Last::Keep)?;
        if self.kind(at, path)? != Kind::Symlink {
            return Err(TreeError::NotALink { path: path.clone() });
        }
        self.volume(at).read_link(at.node).map_err(|e| failed("read", path, e))
    }

    fn copy_out(&mut self, path: &GuestPath, out: &mut dyn Write) -> Result<u64, TreeError> {
        let at = self.need(path, Last::Follow)?;
        let stat = self.stat_of(at, path)?;
        if stat.kind != Kind::File {
            return Err(TreeError::NotAFile { path: path.clone() });
        }
        self.check_size(at, stat.size, path)?;
        let mut buf = vec![0; usize::try_from(stat.size).map_or(CHUNK, |size| size.min(CHUNK))];
        let mut done = 0;
        while done < stat.size {
            let got = self.volume(at).read_at(at.node, done, &mut buf);
            let got = got.map_err(|e| failed("read", path, e))?;
            if got == 0 {
                break;
            }
            let written = out.write_all(&buf[..got]);
            written.map_err(|source| TreeError::Output { path: path.clone(), source })?;
            done += u64::try_from(got).expect("a slice is shorter than 2^64 bytes");
        }
        Ok(done)
    }

    fn data(&mut self, path: &GuestPath) -> Result<Option<Vec<Range<u64>>>, TreeError> {
        let at = self.need(path, Last::Follow)?;
        if self.kind(at, path)? != Kind::File {
            return Err(TreeError::NotAFile { path: path.clone() });
        }
        self.volume(at).data(at.node).map_err(|e| failed("read", path, e))
    }

    fn write(
        &mut self,
        path: &GuestPath,
        contents: &mut dyn Read,
        attrs: &Attrs,
    ) -> Result<(), TreeError> {
        self.write_with_holes(path, &mut Plain(contents), attrs)
    }

    fn write_with_holes(
        &mut self,
        path: &GuestPath,
        contents: &mut dyn Holes,
        attrs: &Attrs,
    ) -> Result<(), TreeError> {
        let missing = || TreeError::NotFound { path: path.clone() };
        let reached = self.reach(path, Last::Follow)?.ok_or_else(missing)?;
        let Reached { mut steps, name, there } = reached;
        let at = if there { steps.pop() } else { None };
        let dir = steps.pop().ok_or_else(|| TreeError::NotAFile { path: path.clone() })?;
        self.check_open(at.unwrap_or(dir), path)?;
        let place = Place { dir: dir.node, name: &name };
        let done = match at {
            Some(at) if self.kind(at, path)? != Kind::File => {
                return Err(TreeError::NotAFile { path: path.clone() });
            }
            Some(_) => self.volume(dir).replace(place, contents, attrs),
            None => self.volume(dir).create_file(place, contents, attrs),
        };
        done.map_err(|e| failed("write", path, e))
    }

    fn make(&mut self, path: &GuestPath, new: &New, attrs: &Attrs) -> Result<(), TreeError> {
        let spot = self.free_spot(path)?;
        self.volume(spot.dir).create(spot.place(), new, attrs).map_err(|e| failed("make", path, e))
    }

    fn hard_link(&mut self, file: &GuestPath, name: &GuestPath) -> Result<(), TreeError> {
        let at = self.need(file, Last::Keep)?;
        if self.kind(at, file)? == Kind::Directory {
            return Err(TreeError::NotAFile { path: file.clone() });
        }
        let spot = self.free_spot(name)?;
        if spot.dir.mount != at.mount {
            return Err(TreeError::CrossDevice { from: file.clone(), to: name.clone() });
        }
        self.volume(at).link(at.node, spot.place()).map_err(|e| failed("link", name, e))
    }

    fn rename(&mut self, from: &GuestPath, to: &GuestPath) -> Result<(), TreeError> {
        let (old, at) = self.taken_spot(from)?;
        let no_name = || TreeError::Exists { path: to.clone() };
        let new = self.spot(to)?.ok_or_else(no_name)?;
        if new.dir.mount != at.mount {
            return Err(TreeError::CrossDevice { from: from.clone(), to: to.clone() });
        }
        if self.at_spot(&new, to)? == Some(at) {
            return Ok(());
        }
        self.check_replace(at, &new, to)?;
        let moved = self.volume(at).rename(old.place(), new.place());
        moved.map_err(|e| failed("move", from, e))
    }

    fn unlink(&mut self, path: &GuestPath) -> Result<(), TreeError> {
        let (spot, at) = self.taken_spot(path)?;
        if self.kind(at, path)? == Kind::Directory {
            return Err(TreeError::NotAFile { path: path.clone() });
        }
        self.remove(&spot, path)
    }

    fn rmdir(&mut self, path: &GuestPath) -> Result<(), TreeError> {
        let (spot, at) = self.taken_spot(path)?;
        if self.kind(at, path)? != Kind::Directory {
            return Err(TreeError::NotADirectory { path: path.clone() });
        }
        self.remove(&spot, path)
    }

    fn change(&mut self, path: &GuestPath, change: &Change, follow: bool) -> Result<(), TreeError> {
        let at = self.need(path, if follow { Last::Follow } else { Last::Keep })?;
        self.check_open(at, path)?;
        let Stat { kind, attrs: old, .. } = self.stat_of(at, path)?;
        // A link's permissions mean nothing, and Linux has no call that changes them.
        let mode = change.mode.filter(|_| kind != Kind::Symlink);
        let attrs = Attrs {
            mode: mode.unwrap_or(old.mode) & 0o7777,
            uid: change.uid.unwrap_or(old.uid),
            gid: change.gid.unwrap_or(old.gid),
            mtime: change.mtime.unwrap_or(old.mtime),
        };
        if attrs == old {
            return Ok(());
        }
        self.volume(at).set_attrs(at.node, &attrs).map_err(|e| failed("change", path, e))
    }

    fn xattrs(&mut self, path: &GuestPath) -> Result<Xattrs, TreeError> {
        let at = self.need(path, Last::Keep)?;
        self.volume(at).xattrs(at.node).map_err(|e| failed("read", path, e))
    }

    fn set_xattrs(&mut self, path: &GuestPath, xattrs: &Xattrs) -> Result<(), TreeError> {
        let at = self.need(path, Last::Keep)?;
        self.check_open(at, path)?;
        self.volume(at).set_xattrs(at.node, xattrs).map_err(|e| failed("change", path, e))
    }

    fn usage(&mut self) -> Result<Vec<Usage>, TreeError> {
        let usage = |mount: &mut super::Mount| {
            let fill = mount.volume.fill().map_err(|e| failed("read", &mount.path, e))?;
            Ok(Usage {
                mounted_on: mount.path.clone(),
                source: mount.source.clone(),
                fs: mount.volume.fs().to_owned(),
                size: Bytes(fill.size),
                free: Bytes(fill.free),
                inodes: fill.inodes,
                free_inodes: fill.free_inodes,
            })
        };
        self.mounts.iter_mut().map(usage).collect()
    }
}
