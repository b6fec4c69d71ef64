// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A guest's tree, each of whose operations is a command for the appliance.
//!
//! A command takes a millisecond or more, one that passes a file between host and appliance
//! hundreds. So what is small goes in the command's line and answer, what a walk will ask for is
//! asked for at once ([`Ahead`]), and what is likely to work is tried before it is looked why it
//! would not.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use kiln_host::scratch::Scratch;
use kiln_host::tools::guestfish::{self, Command, FishError, Session, Word, host};
use kiln_spec::Bytes;

use super::ahead::Ahead;
use super::answer;
use super::look::is_alias;
use super::names::Names;
use crate::transfer::tar_out::bearer as bearer_of;
use crate::tree::walk::real_path;
use crate::tree::{
    Attrs, Change, Entry, GuestPath, Kind, New, Stat, Tree, TreeError, Usage, Xattrs,
};

/// Bytes of a command's line besides what is counted: its name and other words.
pub(super) const ROOM: usize = 256;
/// The most bytes of contents that go in commands' lines, not through a file.
const INLINE: usize = 48 << 10;
/// Bytes of contents that are asked for first, and then: an answer has at most 4 MiB.
const FIRST: u64 = 64 << 10;
const CHUNK: u64 = 2 << 20;

/// The files of a guest that an appliance has mounted.
///
/// Dropped, the appliance is ended; see [`super::Appliance`] for what becomes of changes.
#[derive(Debug)]
pub struct ApplianceTree {
    pub(super) session: Session,
    pub(super) names: Names,
    /// Contents pass through a file in it.
    folder: Scratch,
    /// File systems by the numbers that the appliance gives them.
    systems: Vec<u64>,
    pub(super) ahead: Ahead,
}

impl ApplianceTree {
    pub(super) fn new(session: Session, names: Names, folder: Scratch) -> Self {
        Self { session, names, folder, systems: Vec::new(), ahead: Ahead::default() }
    }

    /// Takes all file systems out of the tree.
    pub(super) fn unmount(&mut self) -> Result<(), FishError> {
        self.forget();
        self.session.call("umount-all", &[]).map(drop)
    }

    /// Ends the appliance in good order. Returns the folder, which the caller may need longer.
    pub(super) fn finish(self) -> Result<Scratch, FishError> {
        self.session.finish()?;
        Ok(self.folder)
    }

    /// Forgets what is known: other file systems are mounted.
    pub(super) fn forget(&mut self) {
        self.ahead.clear();
        self.systems.clear();
    }

    pub(super) fn buffer(&self) -> PathBuf {
        self.folder.path().join("contents")
    }

    /// Does a command with a path that changes nothing.
    pub(super) fn call(
        &mut self,
        (name, what): (&str, &'static str),
        words: &[Word<'_>],
        path: &GuestPath,
    ) -> Result<Vec<u8>, TreeError> {
        self.session.call(name, words).map_err(|e| backend(what, path, e))
    }

    /// Does a command that changes something; `Some` with why if it is refused.
    fn attempt(
        &mut self,
        (name, what): (&str, &'static str),
        words: &[Word<'_>],
        path: &GuestPath,
    ) -> Result<Option<TreeError>, TreeError> {
        self.ahead.clear();
        match self.session.call(name, words) {
            Ok(_) => Ok(None),
            Err(error @ FishError::Refused { .. }) => Ok(Some(backend(what, path, error))),
            Err(error) => Err(backend(what, path, error)),
        }
    }

    /// Does commands that change what is at a path.
    fn change_all(&mut self, commands: &[Command<'_>], path: &GuestPath) -> Result<(), TreeError> {
        self.ahead.clear();
        self.session.call_all(commands).map_err(|e| backend("change", path, e))
    }

    /// Asks what is at a path; `None` if nothing is, or the way there leads nowhere.
    pub(super) fn ask(&mut self, name: &str, path: &GuestPath) -> Result<Option<Stat>, TreeError> {
        match self.session.call(name, &[Word::Bytes(path.as_bytes())]) {
            Ok(text) => match answer::stat(&text) {
                Some((stat, device)) => Ok(Some(self.located(stat, device))),
                None => Err(strange("read", path)),
            },
            Err(FishError::Refused { .. }) => Ok(None),
            Err(error) => Err(backend("read", path, error)),
        }
    }

    pub(super) fn located(&mut self, stat: Stat, device: u64) -> Stat {
        let index = self.systems.iter().position(|d| *d == device).unwrap_or_else(|| {
            self.systems.push(device);
            self.systems.len() - 1
        });
        Stat { identity: (u32::try_from(index).unwrap_or(u32::MAX), stat.identity.1), ..stat }
    }

    /// Returns what is at a path, or says that nothing is.
    fn need(&mut self, path: &GuestPath, follow: bool) -> Result<Stat, TreeError> {
        let stat = if follow { self.stat(path)? } else { self.lstat(path)? };
        stat.ok_or_else(|| TreeError::NotFound { path: path.clone() })
    }

    /// Says that a name is taken, or that its directory is missing or none.
    fn vacant(&mut self, path: &GuestPath) -> Result<(), TreeError> {
        if self.lstat(path)?.is_some() {
            return Err(TreeError::Exists { path: path.clone() });
        }
        let parent = path.parent().unwrap_or_else(GuestPath::root);
        match self.need(&parent, true)?.kind {
            Kind::Directory => Ok(()),
            _ => Err(TreeError::NotADirectory { path: parent }),
        }
    }

    /// Says that a name is to be on another file system than a file.
    fn same_system(
        &mut self,
        file: &Stat,
        (from, to): (&GuestPath, &GuestPath),
    ) -> Result<(), TreeError> {
        let parent = to.parent().unwrap_or_else(GuestPath::root);
        if self.need(&parent, true)?.identity.0 == file.identity.0 {
            return Ok(());
        }
        Err(TreeError::CrossDevice { from: from.clone(), to: to.clone() })
    }

    /// Gives what is at a path, no link's end, its owner, permissions and time.
    fn dress(&mut self, path: &GuestPath, kind: Kind, change: &Change) -> Result<(), TreeError> {
        let (uid, gid) = (number(change.uid), number(change.gid));
        let mode = change.mode.map(|mode| format!("0{mode:o}")).unwrap_or_default();
        let mtime = change.mtime.map(|time| [time.seconds.to_string(), time.nanos.to_string()]);
        let at = || Word::Bytes(path.as_bytes());
        let mut commands: Vec<Command<'_>> = Vec::new();
        if change.uid.is_some() || change.gid.is_some() {
            commands.push(("lchown", vec![Word::Plain(&uid), Word::Plain(&gid), at()]));
        }
        // Giving a file away takes set-uid bits off it, so permissions come after the owner.
        if change.mode.is_some() && kind != Kind::Symlink {
            commands.push(("chmod", vec![Word::Plain(&mode), at()]));
        }
        if let Some([seconds, nanos]) = &mtime {
            // -2: the time of reading stays. Source: guestfs(3), guestfs_utimens.
            let words = [Word::Plain("0"), Word::Plain("-2")];
            let words = [at()].into_iter().chain(words);
            let words = words.chain([Word::Plain(seconds), Word::Plain(nanos)]);
            commands.push(("utimens", words.collect()));
        }
        self.change_all(&commands, path)
    }

    /// Turns a failed write into what it most likely is: a full file system.
    fn full(&mut self, path: &GuestPath, error: TreeError) -> TreeError {
        let parent = path.parent().unwrap_or_else(GuestPath::root);
        let free = self.session.call("statvfs", &[Word::Bytes(parent.as_bytes())]);
        let get = |name| free.as_ref().ok().and_then(|text| guestfish::number(text, name));
        if get("bavail") == Some(0) || get("ffree") == Some(0) && get("files") != Some(0) {
            return TreeError::NoSpace { path: path.clone() };
        }
        error
    }

    /// Puts contents into a file, in the lines of commands. They have no NUL.
    fn put_inline(&mut self, path: &GuestPath, contents: &[u8]) -> Result<(), FishError> {
        let at = path.as_bytes();
        let room = guestfish::MOST.saturating_sub(guestfish::quoted_len(at) + ROOM);
        let (mut name, mut rest) = ("write", contents);
        loop {
            let mut len = rest.len().min(room);
            while guestfish::quoted_len(&rest[..len]) > room {
                len = len * 3 / 4;
            }
            if len == 0 && !rest.is_empty() {
                return Err(FishError::TooLong);
            }
            self.session.call(name, &[Word::Bytes(at), Word::Bytes(&rest[..len])])?;
            rest = &rest[len..];
            name = "write-append";
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// Gives a file attributes that no word can tell: an archive has them, what is unpacked from
    /// it hands them on, and is removed.
    fn set_by_archive(&mut self, path: &GuestPath, xattrs: &Xattrs) -> Result<(), TreeError> {
        let folder = match self.need(path, false)?.kind {
            Kind::Directory => true,
            Kind::File => false,
            _ => return Ok(()),
        };
        let name = format!(".kiln-{}", uuid::Uuid::new_v4().simple());
        let bearer = GuestPath::root().join(&name);
        let buffer = self.buffer();
        bearer_of(name.as_bytes(), folder, xattrs)
            .and_then(|archive| std::fs::write(&buffer, archive))
            .map_err(|error| failed("change", path, error))?;
        let options = ["xattrs:true", "acls:true"].map(Word::Plain);
        let words = [&[host(&buffer), Word::Plain("/")][..], &options].concat();
        let unpacked = self.attempt(("tar-in", "change"), &words, path)?;
        std::fs::remove_file(&buffer).ok();
        unpacked.map_or(Ok(()), Err)?;
        let from = Word::Bytes(bearer.as_bytes());
        let words = [from.clone(), Word::Bytes(path.as_bytes()), Word::Plain("xattributes:true")];
        let copied = self.attempt(("copy-attributes", "change"), &words, path)?;
        let remove = if folder { "rmdir" } else { "rm" };
        self.call((remove, "change"), &[from], path)?;
        copied.map_or(Ok(()), Err)
    }

    /// Puts contents into a file, through one of the host's.
    fn put_file(
        &mut self,
        path: &GuestPath,
        contents: &mut dyn Read,
    ) -> Result<Result<(), FishError>, TreeError> {
        let buffer = self.buffer();
        let wrote = File::create(&buffer).and_then(|mut file| io::copy(contents, &mut file));
        wrote.map_err(|source| TreeError::Contents { path: path.clone(), source })?;
        // Below `/dev` it would be a device of the appliance's.
        let place = [b"/", path.as_bytes()].concat();
        let done = self.session.call("upload", &[host(&buffer), Word::Bytes(&place)]).map(drop);
        std::fs::remove_file(&buffer).ok();
        Ok(done)
    }
}

/// Returns a number as a word; -1 leaves what is.
fn number(of: Option<u32>) -> String {
    of.map_or_else(|| "-1".to_owned(), |of| of.to_string())
}

impl Tree for ApplianceTree {
    fn stat(&mut self, path: &GuestPath) -> Result<Option<Stat>, TreeError> {
        match self.ahead.stat(path) {
            Some(stat) if stat.kind != Kind::Symlink => Ok(Some(stat)),
            // Nothing, or a link to nothing, or a loop: none has something at its end.
            _ => self.ask("statns", path),
        }
    }

    fn lstat(&mut self, path: &GuestPath) -> Result<Option<Stat>, TreeError> {
        match self.ahead.stat(path) {
            Some(stat) => Ok(Some(stat)),
            None => self.ask("lstatns", path),
        }
    }

    fn list(&mut self, dir: &GuestPath) -> Result<Vec<Entry>, TreeError> {
        if self.ahead.names(dir).is_none() {
            let Some(names) = self.read_dir(dir)? else {
                self.need(dir, true)?;
                return Err(TreeError::NotADirectory { path: dir.clone() });
            };
            self.ahead.put(dir.clone(), names);
        }
        let names = self.ahead.names(dir).unwrap_or_default().iter();
        Ok(names.map(|(name, stat)| Entry { name: name.clone(), kind: stat.kind }).collect())
    }

    fn read_link(&mut self, path: &GuestPath) -> Result<Vec<u8>, TreeError> {
        if self.need(path, false)?.kind != Kind::Symlink {
            return Err(TreeError::NotALink { path: path.clone() });
        }
        let mut target = self.call(("readlink", "read"), &[Word::Bytes(path.as_bytes())], path)?;
        // guestfish ends a line with what is none.
        target.pop_if(|b| *b == b'\n');
        Ok(target)
    }

    fn copy_out(&mut self, path: &GuestPath, out: &mut dyn Write) -> Result<u64, TreeError> {
        let stat = self.need(path, true)?;
        // A pipe of the guest would never end.
        if stat.kind != Kind::File {
            return Err(TreeError::NotAFile { path: path.clone() });
        }
        let (mut at, mut most) = (0, FIRST);
        while at < stat.size {
            let (count, from) = (most.min(stat.size - at).to_string(), at.to_string());
            let words = [Word::Bytes(path.as_bytes()), Word::Plain(&count), Word::Plain(&from)];
            let bytes = self.call(("pread", "read"), &words, path)?;
            if bytes.is_empty() {
                return Err(strange("read", path));
            }
            out.write_all(&bytes)
                .map_err(|source| TreeError::Output { path: path.clone(), source })?;
            at = at.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            most = CHUNK;
        }
        Ok(at)
    }

    fn write(
        &mut self,
        path: &GuestPath,
        contents: &mut dyn Read,
        attrs: &Attrs,
    ) -> Result<(), TreeError> {
        let there = self.stat(path)?;
        match there {
            Some(stat) if stat.kind != Kind::File => {
                return Err(TreeError::NotAFile { path: path.clone() });
            }
            Some(_) => {}
            // A link to nothing is no place for a file.
            None => self.vacant(path)?,
        }
        self.ahead.clear();
        let mut start = Vec::new();
        let most = u64::try_from(INLINE).unwrap_or(u64::MAX);
        let read = Read::take(&mut *contents, most + 1).read_to_end(&mut start);
        read.map_err(|source| TreeError::Contents { path: path.clone(), source })?;
        let done = if start.len() <= INLINE && !start.contains(&0) {
            self.put_inline(path, &start)
        } else {
            self.put_file(path, &mut start.chain(contents))?
        };
        match done {
            Ok(()) => {}
            Err(error @ FishError::Refused { .. }) => {
                let error = backend("write", path, error);
                return Err(self.full(path, error));
            }
            Err(error) => return Err(backend("write", path, error)),
        }
        if there.is_some() {
            let change = Change { mtime: Some(attrs.mtime), ..Change::default() };
            return self.change(path, &change, true);
        }
        self.dress(path, Kind::File, &all_of(attrs))
    }

    fn make(&mut self, path: &GuestPath, new: &New, attrs: &Attrs) -> Result<(), TreeError> {
        let at = || Word::Bytes(path.as_bytes());
        let device = |a: &u32, b: &u32| (a.to_string(), b.to_string());
        let (name, kind, (major, minor)) = match new {
            New::Directory => ("mkdir-mode", Kind::Directory, device(&0, &0)),
            New::Symlink(_) => ("ln-s", Kind::Symlink, device(&0, &0)),
            New::Fifo => ("mkfifo", Kind::Fifo, device(&0, &0)),
            New::Socket => ("mknod", Kind::Socket, device(&0, &0)),
            New::Char(a, b) => ("mknod-c", Kind::Char, device(a, b)),
            New::Block(a, b) => ("mknod-b", Kind::Block, device(a, b)),
        };
        let numbers = [Word::Plain(&major), Word::Plain(&minor)];
        let words = match new {
            New::Directory => vec![at(), Word::Plain("0700")],
            New::Symlink(target) => vec![Word::Bytes(target), at()],
            New::Fifo => vec![Word::Plain("0600"), at()],
            New::Socket => [&[Word::Plain("0140600")][..], &numbers, &[at()]].concat(),
            _ => [&[Word::Plain("0600")][..], &numbers, &[at()]].concat(),
        };
        if let Some(error) = self.attempt((name, "make"), &words, path)? {
            self.vacant(path)?;
            return Err(self.full(path, error));
        }
        self.dress(path, kind, &all_of(attrs))
    }

    fn hard_link(&mut self, file: &GuestPath, name: &GuestPath) -> Result<(), TreeError> {
        let words = [Word::Bytes(file.as_bytes()), Word::Bytes(name.as_bytes())];
        let Some(error) = self.attempt(("ln", "link"), &words, name)? else { return Ok(()) };
        let stat = self.need(file, false)?;
        self.vacant(name)?;
        self.same_system(&stat, (file, name))?;
        Err(self.full(name, error))
    }

    fn rename(&mut self, from: &GuestPath, to: &GuestPath) -> Result<(), TreeError> {
        let words = [Word::Bytes(from.as_bytes()), Word::Bytes(to.as_bytes())];
        let Some(error) = self.attempt(("rename", "move"), &words, from)? else { return Ok(()) };
        let stat = self.need(from, false)?;
        self.same_system(&stat, (from, to))?;
        if let Some(there) = self.lstat(to)? {
            match (stat.kind == Kind::Directory, there.kind == Kind::Directory) {
                (true, false) => return Err(TreeError::NotADirectory { path: to.clone() }),
                (false, true) => return Err(TreeError::Exists { path: to.clone() }),
                (true, true) if !self.list(to)?.is_empty() => {
                    return Err(TreeError::NotEmpty { path: to.clone() });
                }
                _ => {}
            }
        }
        Err(error)
    }

    fn unlink(&mut self, path: &GuestPath) -> Result<(), TreeError> {
        let words = [Word::Bytes(path.as_bytes())];
        let Some(error) = self.attempt(("rm", "remove"), &words, path)? else { return Ok(()) };
        match self.need(path, false)?.kind {
            Kind::Directory => Err(TreeError::NotAFile { path: path.clone() }),
            _ => Err(error),
        }
    }

    fn rmdir(&mut self, path: &GuestPath) -> Result<(), TreeError> {
        let words = [Word::Bytes(path.as_bytes())];
        let Some(error) = self.attempt(("rmdir", "remove"), &words, path)? else { return Ok(()) };
        if self.need(path, false)?.kind != Kind::Directory {
            return Err(TreeError::NotADirectory { path: path.clone() });
        }
        if !self.list(path)?.is_empty() {
            return Err(TreeError::NotEmpty { path: path.clone() });
        }
        Err(error)
    }

    fn change(&mut self, path: &GuestPath, change: &Change, follow: bool) -> Result<(), TreeError> {
        let mut stat = self.need(path, false)?;
        let mut place = path.clone();
        if follow && stat.kind == Kind::Symlink {
            place = real_path(self, path, true)?;
            stat = self.need(&place, false)?;
        }
        let given = change.uid.or(change.gid).map(|_| stat.attrs.mode);
        let change = Change { mode: change.mode.or(given), ..*change };
        self.dress(&place, stat.kind, &change)
    }

    fn xattrs(&mut self, path: &GuestPath) -> Result<Xattrs, TreeError> {
        if self.ahead.xattrs(path).is_none() {
            self.ask_ahead(path)?;
        }
        if let Some(xattrs) = self.ahead.xattrs(path) {
            return Ok(xattrs.clone());
        }
        self.need(path, false)?;
        let at = || Word::Bytes(path.as_bytes());
        let text = match self.session.call("lgetxattrs", &[at()]) {
            Ok(text) => text,
            // A file system without attributes.
            Err(FishError::Refused { .. }) => return Ok(Xattrs::new()),
            Err(error) => return Err(backend("read", path, error)),
        };
        let mut all = Xattrs::new();
        for line in String::from_utf8_lossy(&text).lines() {
            let Some(name) = line.strip_prefix("  attrname: ") else { continue };
            if is_alias(name.as_bytes()) {
                continue;
            }
            let words = [at(), Word::Bytes(name.as_bytes())];
            // A name that another attribute's made up is refused.
            match self.session.call("lgetxattr", &words) {
                Ok(value) => all.push((name.to_owned(), value)),
                Err(FishError::Refused { .. }) => {}
                Err(error) => return Err(backend("read", path, error)),
            }
        }
        all.sort();
        all.dedup();
        Ok(all)
    }

    fn set_xattrs(&mut self, path: &GuestPath, xattrs: &Xattrs) -> Result<(), TreeError> {
        let mut before = self.xattrs(path)?;
        if xattrs.iter().any(|one| !before.contains(one) && told(one).contains(&0)) {
            self.set_by_archive(path, xattrs)?;
            before = self.xattrs(path)?;
        }
        let at = || Word::Bytes(path.as_bytes());
        for one in xattrs.iter().filter(|one| !before.contains(one)) {
            let (name, value) = (&one.0, told(one));
            if value.contains(&0) {
                let why = format!("its attribute `{name}` could not be set");
                return Err(TreeError::ReadOnly { path: path.clone(), why });
            }
            let length = value.len().to_string();
            let words =
                [Word::Bytes(name.as_bytes()), Word::Bytes(value), Word::Plain(&length), at()];
            self.attempt(("lsetxattr", "change"), &words, path)?.map_or(Ok(()), Err)?;
        }
        for (name, _) in before.iter().filter(|(name, _)| !xattrs.iter().any(|(n, _)| n == name)) {
            let words = [Word::Bytes(name.as_bytes()), at()];
            self.attempt(("lremovexattr", "change"), &words, path)?.map_or(Ok(()), Err)?;
        }
        Ok(())
    }

    fn usage(&mut self) -> Result<Vec<Usage>, TreeError> {
        let root = GuestPath::root();
        let mounted = self.call(("mountpoints", "read"), &[], &root)?;
        let mut all = Vec::new();
        for (source, at) in answer::pairs(&mounted) {
            let path = GuestPath::new(&at)?;
            let text = self.call(("statvfs", "read"), &[Word::Bytes(at.as_bytes())], &path)?;
            let fs = self.call(("vfs-type", "read"), &[Word::Bytes(source.as_bytes())], &path)?;
            // Of a logical volume there are two names.
            let name =
                self.session.call("canonical-device-name", &[Word::Bytes(source.as_bytes())]);
            let source = name.map_or(source, |name| String::from_utf8_lossy(&name).into_owned());
            let get = |name| {
                guestfish::number(&text, name).and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
            };
            let block = get("frsize");
            all.push(Usage {
                mounted_on: path,
                source: Names::name(source.trim()),
                fs: String::from_utf8_lossy(&fs).trim().to_owned(),
                size: Bytes(get("blocks").saturating_mul(block)),
                free: Bytes(get("bavail").saturating_mul(block)),
                inodes: get("files"),
                free_inodes: get("ffree"),
            });
        }
        all.sort_by(|a, b| a.mounted_on.cmp(&b.mounted_on));
        Ok(all)
    }
}

/// Returns an attribute's value as guestfish is told it: a label without its closing NUL.
fn told((name, value): &(String, Vec<u8>)) -> &[u8] {
    match value.split_last() {
        Some((0, label)) if name == "security.selinux" => label,
        _ => value.as_slice(),
    }
}

/// Returns the change that gives all of these.
fn all_of(attrs: &Attrs) -> Change {
    Change {
        mode: Some(attrs.mode),
        uid: Some(attrs.uid),
        gid: Some(attrs.gid),
        mtime: Some(attrs.mtime),
    }
}

pub(super) fn backend(what: &'static str, path: &GuestPath, source: FishError) -> TreeError {
    TreeError::Backend { what, path: path.clone(), source: Box::new(source) }
}

pub(super) fn failed(what: &'static str, path: &GuestPath, source: io::Error) -> TreeError {
    TreeError::Backend { what, path: path.clone(), source: Box::new(source) }
}

/// An answer that makes no sense.
pub(super) fn strange(what: &'static str, path: &GuestPath) -> TreeError {
    failed(what, path, io::Error::other("the appliance's answer makes no sense"))
}
