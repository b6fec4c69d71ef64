// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The locks that QEMU takes on a disk image, taken and honoured.
//!
//! QEMU says what it does to an image by shared locks on single bytes, which belong to the open
//! file and not to the process (fcntl(2), "Open file description locks"): byte 100 + n means
//! "I do n", byte 200 + n "nobody else may do n". Each takes its locks first and then looks whether
//! others have those that speak against it.
//!
//! Source: `block/file-posix.c` of QEMU 10.0, `raw_apply_lock_bytes` and `raw_check_lock_bytes`;
//! what a running QEMU holds was looked at with `F_OFD_GETLK`.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

/// The byte that says "I do this", for `BLK_PERM_CONSISTENT_READ`.
const DOES: i64 = 100;

/// The byte that says "nobody else may do this".
const FORBIDS: i64 = 200;

/// Numbers of what can be done: `BLK_PERM_WRITE` and `BLK_PERM_RESIZE`. Reading is 0.
const CHANGES: [i64; 2] = [1, 3];

/// What an image is locked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading, while nobody changes it.
    Read,
    /// Changing, while nobody else reads or changes it.
    Write,
}

/// Who uses an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// A process that has it locked.
    Process {
        /// Its number.
        pid: u32,
        /// Its program's name, as `comm` of proc(5) has it.
        command: String,
    },
    /// A loop device of the host's kernel, which locks nothing.
    Loop {
        /// Its name: `loop0`.
        name: String,
    },
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { pid, command } => write!(f, "process {pid} (`{command}`)"),
            Self::Loop { name } => write!(f, "the loop device `/dev/{name}`"),
        }
    }
}

impl Holder {
    /// Returns whether it is this program itself.
    #[must_use]
    pub fn is_this_process(&self) -> bool {
        matches!(self, Self::Process { pid, .. } if *pid == std::process::id())
    }

    /// Names several, as the end of a sentence: ` by …`; nothing if there are none.
    #[must_use]
    pub fn list(holders: &[Self]) -> String {
        let named: Vec<String> = holders.iter().map(Self::to_string).collect();
        if named.is_empty() { String::new() } else { format!(" by {}", named.join(", ")) }
    }
}

/// A lock, until it is dropped.
///
/// It is given back by a call and not by closing the file: a process that another thread starts
/// has the file open for a moment, too.
#[derive(Debug)]
pub struct ImageLock {
    file: File,
}

impl Drop for ImageLock {
    fn drop(&mut self) {
        for byte in all_bytes() {
            // If this fails, closing the file gives it back.
            let _ = set(&self.file, byte, libc::F_UNLCK);
        }
    }
}

/// Returns the bytes that are ever locked here.
fn all_bytes() -> impl Iterator<Item = i64> {
    std::iter::once(DOES).chain(CHANGES.into_iter().flat_map(|n| [DOES + n, FORBIDS + n]))
}

/// What became of a wish for a lock.
#[derive(Debug)]
pub enum Locked {
    /// It is there.
    Yes(ImageLock),
    /// Others use the image in a way that excludes it. They are named as far as this process may
    /// know.
    InUse(Vec<Holder>),
}

/// Takes the lock of an image for `access`, or none at all if it is in use. A loop device uses it,
/// too: to change it, or, if it only reads, to be shown what was there before.
///
/// # Errors
///
/// What fcntl(2) says, if the file system has no locks.
pub fn lock(file: &File, access: Access) -> io::Result<Locked> {
    let loops = loops(Path::new("/sys/block"), file, access);
    if !loops.is_empty() {
        return Ok(Locked::InUse(loops));
    }
    let mut mine = vec![DOES];
    mine.extend(CHANGES.map(|n| FORBIDS + n));
    // Whom it excludes: those who change. Who excludes it: those who forbid what it does.
    let mut others: Vec<i64> = CHANGES.map(|n| DOES + n).to_vec();
    others.push(FORBIDS);
    if access == Access::Write {
        mine.extend(CHANGES.map(|n| DOES + n));
        others.extend(CHANGES.map(|n| FORBIDS + n));
    }
    // Dropped, it gives back what was taken so far.
    let lock = ImageLock { file: file.try_clone()? };
    for byte in &mine {
        if !set(file, *byte, libc::F_RDLCK)? {
            drop(lock);
            return Ok(Locked::InUse(holders(file, &[*byte])));
        }
    }
    for byte in &others {
        if is_held(file, *byte)? {
            drop(lock);
            return Ok(Locked::InUse(holders(file, &others)));
        }
    }
    Ok(Locked::Yes(lock))
}

fn flock(byte: i64, kind: i32) -> libc::flock {
    libc::flock {
        l_type: i16::try_from(kind).expect("the kinds of locks are small numbers"),
        l_whence: i16::try_from(libc::SEEK_SET).expect("0 is small"),
        l_start: byte,
        l_len: 1,
        l_pid: 0,
    }
}

/// Sets or removes the lock on a byte. Returns whether that was possible.
fn set(file: &File, byte: i64, kind: i32) -> io::Result<bool> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&flock(byte, kind))) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Returns whether another open file has a lock on a byte.
fn is_held(file: &File, byte: i64) -> io::Result<bool> {
    let mut lock = flock(byte, libc::F_WRLCK);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock))?;
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

/// Returns the processes that have locks on bytes of a file, as far as proc(5) tells.
fn holders(file: &File, bytes: &[i64]) -> Vec<Holder> {
    let (Ok(meta), Ok(processes)) = (file.metadata(), fs::read_dir("/proc")) else {
        return Vec::new();
    };
    let own = (std::process::id(), file.as_raw_fd().to_string());
    let mut out = Vec::new();
    for process in processes.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let files = fs::read_dir(process.path().join("fdinfo"));
        let holds = files.into_iter().flatten().flatten().any(|info| {
            let number = info.file_name();
            let same = pid == own.0 && number.to_str() == Some(&own.1);
            !same
                && has_locks(&info.path(), bytes)
                && fs::metadata(process.path().join("fd").join(&number))
                    .is_ok_and(|other| (other.dev(), other.ino()) == (meta.dev(), meta.ino()))
        });
        if holds {
            let command = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            out.push(Holder::Process { pid, command: command.trim_end().to_owned() });
        }
    }
    out.sort();
    out
}

/// Returns the loop devices on a file that speak against `access`: to one that only reads, another
/// reader is nothing. `devices` is the folder `/sys/block`; source: `drivers/block/loop.c` of Linux.
fn loops(devices: &Path, file: &File, access: Access) -> Vec<Holder> {
    let (Ok(meta), Ok(entries)) = (file.metadata(), fs::read_dir(devices)) else {
        return Vec::new();
    };
    let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
    let mut out = Vec::new();
    for entry in entries.flatten() {
        // One that has no file has no such folder.
        let backing = read(entry.path().join("loop/backing_file"));
        let same = fs::metadata(backing.trim_end_matches('\n'))
            .is_ok_and(|other| (other.dev(), other.ino()) == (meta.dev(), meta.ino()));
        if same && (access == Access::Write || read(entry.path().join("ro")).trim() != "1") {
            out.push(Holder::Loop { name: entry.file_name().to_string_lossy().into_owned() });
        }
    }
    out.sort();
    out
}

/// Returns whether a file of `fdinfo` tells of a lock on one of some bytes: a line such as
/// `lock: 1: OFDLCK ADVISORY READ -1 fe:00:5678 100 101`.
fn has_locks(info: &Path, bytes: &[i64]) -> bool {
    let text = fs::read_to_string(info).unwrap_or_default();
    text.lines().filter(|line| line.starts_with("lock:")).any(|line| {
        let mut words = line.split_whitespace().rev();
        let end = words.next().map_or(i64::MAX, |end| end.parse().unwrap_or(i64::MAX));
        let start = words.next().and_then(|start| start.parse::<i64>().ok());
        start.is_some_and(|start| bytes.iter().any(|byte| (start..=end).contains(byte)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both() -> (File, File, tempfile::NamedTempFile) {
        let named = tempfile::NamedTempFile::new().unwrap();
        let open = || File::options().read(true).write(true).open(named.path()).unwrap();
        (open(), open(), named)
    }

    #[test]
    fn loop_devices_use_what_is_behind_them() {
        let (file, _, named) = both();
        let devices = tempfile::tempdir().unwrap();
        let device = |name: &str, ro: &str, backing: Option<&Path>| {
            let folder = devices.path().join(name);
            fs::create_dir_all(folder.join("loop")).unwrap();
            fs::write(folder.join("ro"), ro).unwrap();
            if let Some(backing) = backing {
                let text = format!("{}\n", backing.display());
                fs::write(folder.join("loop/backing_file"), text).unwrap();
            }
        };
        let other = tempfile::NamedTempFile::new().unwrap();
        device("loop0", "0\n", None);
        device("loop1", "0\n", Some(other.path()));
        device("loop2", "1\n", Some(named.path()));
        let found = |access| Holder::list(&loops(devices.path(), &file, access));
        assert_eq!(found(Access::Read), "");
        assert_eq!(found(Access::Write), " by the loop device `/dev/loop2`");
        device("loop3", "0\n", Some(named.path()));
        assert_eq!(found(Access::Read), " by the loop device `/dev/loop3`");
    }

    fn taken(file: &File, access: Access) -> ImageLock {
        match lock(file, access).unwrap() {
            Locked::Yes(lock) => lock,
            Locked::InUse(holders) => panic!("in use by {holders:?}"),
        }
    }

    #[test]
    fn a_writer_is_alone() {
        let (one, other, _named) = both();
        let held = taken(&one, Access::Write);
        for access in [Access::Read, Access::Write] {
            let Locked::InUse(holders) = lock(&other, access).unwrap() else {
                panic!("two have it");
            };
            assert_eq!(holders.len(), 1);
            assert!(holders[0].is_this_process());
        }
        // A refused wish leaves nothing behind, and a copy of the file keeps nothing.
        let copy = one.try_clone().unwrap();
        drop(held);
        drop(taken(&other, Access::Write));
        drop(copy);
    }

    #[test]
    fn readers_go_together_and_keep_writers_out() {
        let (one, other, named) = both();
        let held = [taken(&one, Access::Read), taken(&other, Access::Read)];
        let third = File::options().read(true).write(true).open(named.path()).unwrap();
        assert!(matches!(lock(&third, Access::Write).unwrap(), Locked::InUse(_)));
        drop(held);
        drop(taken(&third, Access::Write));
    }
}
