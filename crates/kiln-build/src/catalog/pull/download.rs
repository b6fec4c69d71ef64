// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One file over HTTP: in ranges side by side, resumed, and proven before anybody uses it.
//!
//! ```text
//! downloads/<algorithm>-<digits>/part     the file, with holes where nothing is yet
//! downloads/<algorithm>-<digits>/state    its length, and which chunks of it are there
//! ```
//!
//! What is fetched lies under the checksum that it must have: another address of the same file
//! goes on where the first ended. Chunks are hashed in order as soon as they are there, from the
//! page cache; so the checksum is known as soon as the last byte is.
//!
//! **Invariant:** a path is returned only if the file's checksum was right. What is wrong is
//! removed; what is not whole is kept, unless there was no space for it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use kiln_host::signal;
use kiln_spec::Bytes;

use super::super::CatalogError;
use super::super::checksum::{Checksum, Hasher};
use super::super::http::{Answer, Client, HttpError};
use super::super::url::Address;

/// Bytes of a chunk: what one request asks for, and what a kill may lose.
const CHUNK: u64 = 8 << 20;
/// Bytes read at a time.
const STEP: usize = 256 << 10;
/// How often a chunk is tried: servers drop connections.
const TRIES: u32 = 4;
/// How often somebody who waits looks whether Kiln was told to stop.
const TICK: Duration = Duration::from_millis(100);
/// What is left free of a file system.
const SPARE: u64 = 64 << 20;

/// A file that is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// The catalog, for errors.
    pub(crate) catalog: &'a str,
    /// Where it is.
    pub(crate) url: &'a Address,
    /// What it must have.
    pub(crate) checksum: &'a Checksum,
    /// How long it is, if the catalog says so.
    pub(crate) length: Option<Bytes>,
    /// How many connections are used at most.
    pub(crate) connections: usize,
}

/// Fetches a file into `folder`, which this process alone uses. `progress` gets how many bytes
/// are there, and of how many; the length is 0 as long as it is not known.
pub(crate) fn download(
    client: &Client<'_>,
    wanted: &Wanted<'_>,
    folder: &Path,
    progress: &dyn Fn(u64, u64),
) -> Result<PathBuf, CatalogError> {
    let part = folder.join("part");
    let result = fetch(client, wanted, folder, &part, progress);
    match &result {
        Ok(()) => {}
        // Whole, and wrong: nothing of it can be believed.
        Err(
            CatalogError::Content { .. }
            | CatalogError::Changed { .. }
            | CatalogError::Length { .. }
            | CatalogError::NoSpace { .. },
        ) => clear(folder),
        Err(CatalogError::Io { source, .. }) if is_full(source) => clear(folder),
        Err(_) => {}
    }
    result.map(|()| part)
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn clear(folder: &Path) {
    for name in ["part", "state"] {
        // What cannot be removed now is too old in a week.
        fs::remove_file(folder.join(name)).ok();
    }
}

fn fetch(
    client: &Client<'_>,
    wanted: &Wanted<'_>,
    folder: &Path,
    part: &Path,
    progress: &dyn Fn(u64, u64),
) -> Result<(), CatalogError> {
    let fail = |source| CatalogError::fetch(wanted.catalog, source);
    let first = client.get(wanted.url, Some((0, 0))).map_err(fail)?;
    let Some((_, _, length)) = first.range else {
        return whole(first, wanted, part, progress);
    };
    check_length(wanted, length)?;
    let mut state = State::load(folder, length);
    let file = open(part)?;
    room(part, &file, length)?;
    file.set_len(length).map_err(|e| CatalogError::io("write", part, e))?;
    // Every request goes to the mirror that answered the first.
    let url = first.url.clone();
    let job = Job {
        client,
        url: &url,
        etag: first.etag.as_deref(),
        file: &file,
        part,
        length,
        stop: AtomicBool::new(false),
        got: AtomicU64::new(state.bytes()),
    };
    let found = job.run(wanted, &mut state, progress)?;
    settle(&file, part)?;
    compare(wanted, found)
}

fn check_length(wanted: &Wanted<'_>, found: u64) -> Result<(), CatalogError> {
    match wanted.length {
        Some(expected) if expected != Bytes(found) => {
            Err(CatalogError::Length { url: wanted.url.clone(), found: Bytes(found), expected })
        }
        _ => Ok(()),
    }
}

fn compare(wanted: &Wanted<'_>, found: Checksum) -> Result<(), CatalogError> {
    if found == *wanted.checksum {
        return Ok(());
    }
    let (url, expected) = (wanted.url.clone(), wanted.checksum.clone());
    Err(CatalogError::Content { url, found, expected })
}

fn open(part: &Path) -> Result<File, CatalogError> {
    let mut options = File::options();
    let file = options.read(true).write(true).create(true).truncate(false).open(part);
    file.map_err(|e| CatalogError::io("write", part, e))
}

fn settle(file: &File, part: &Path) -> Result<(), CatalogError> {
    file.sync_data().map_err(|e| CatalogError::io("write", part, e))
}

/// Checks that there is room for what is not there yet.
fn room(part: &Path, file: &File, length: u64) -> Result<(), CatalogError> {
    use std::os::unix::fs::MetadataExt;
    let there = file.metadata().map_or(0, |meta| meta.blocks() * 512);
    let Ok(stat) = rustix::fs::fstatvfs(file) else { return Ok(()) };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let need = length.saturating_sub(there).saturating_add(SPARE);
    if free >= need {
        return Ok(());
    }
    let folder = part.parent().unwrap_or(part).to_owned();
    Err(CatalogError::NoSpace { folder, free: Bytes(free), need: Bytes(need) })
}

/// Reads a file from a server that knows no ranges: from its beginning, over one connection.
fn whole(
    answer: Answer,
    wanted: &Wanted<'_>,
    part: &Path,
    progress: &dyn Fn(u64, u64),
) -> Result<(), CatalogError> {
    if let Some(length) = answer.length {
        check_length(wanted, length)?;
    }
    let length = answer.length.or(wanted.length.map(|b| b.0)).unwrap_or(0);
    let url = answer.url.clone();
    let file = open(part)?;
    room(part, &file, length)?;
    let fail = |e| CatalogError::io("write", part, e);
    file.set_len(0).map_err(fail)?;
    let mut hasher = Hasher::new(wanted.checksum.algorithm());
    let mut reader = answer.into_reader();
    let (mut buf, mut at) = (vec![0; STEP], 0);
    loop {
        if signal::interrupted() {
            return Err(CatalogError::Interrupted);
        }
        let n = reader.read(&mut buf).map_err(|source| {
            CatalogError::fetch(wanted.catalog, HttpError::Io { url: url.clone(), source })
        })?;
        if n == 0 {
            break;
        }
        let bytes = buf.get(..n).unwrap_or_default();
        hasher.update(bytes);
        file.write_all_at(bytes, at).map_err(fail)?;
        at += u64::try_from(n).unwrap_or_default();
        if wanted.length.is_some_and(|most| at > most.0) {
            check_length(wanted, at)?;
        }
        progress(at, length);
    }
    check_length(wanted, at)?;
    settle(&file, part)?;
    compare(wanted, hasher.finish())
}

/// Which chunks of a file are there.
struct State {
    path: PathBuf,
    length: u64,
    done: BTreeSet<u64>,
}

impl State {
    /// Reads the state; one of another length counts as none.
    fn load(folder: &Path, length: u64) -> Self {
        let path = folder.join("state");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let mut words = text.split_ascii_whitespace().map(str::parse::<u64>);
        let same = words.next() == Some(Ok(length)) && words.next() == Some(Ok(CHUNK));
        let part = folder.join("part");
        let there = fs::metadata(part).is_ok_and(|meta| meta.len() == length);
        let mut done: BTreeSet<u64> = BTreeSet::new();
        if same && there {
            done.extend(words.map_while(Result::ok).filter(|n| *n < chunks(length)));
        }
        Self { path, length, done }
    }

    fn add(&mut self, chunk: u64) -> Result<(), CatalogError> {
        self.done.insert(chunk);
        let list: Vec<String> = self.done.iter().map(u64::to_string).collect();
        let text = format!("{} {CHUNK} {}\n", self.length, list.join(" "));
        let new = self.path.with_extension("new");
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, &self.path))
            .map_err(|e| CatalogError::io("write", &self.path, e))
    }

    fn bytes(&self) -> u64 {
        self.done.iter().map(|n| bounds(*n, self.length)).map(|(first, end)| end - first).sum()
    }
}

fn chunks(length: u64) -> u64 {
    length.div_ceil(CHUNK)
}

/// The first byte of a chunk, and the one after its last.
fn bounds(chunk: u64, length: u64) -> (u64, u64) {
    let first = chunk.saturating_mul(CHUNK).min(length);
    (first, first.saturating_add(CHUNK).min(length))
}

/// A download under way.
struct Job<'a> {
    client: &'a Client<'a>,
    url: &'a Address,
    etag: Option<&'a str>,
    file: &'a File,
    part: &'a Path,
    length: u64,
    stop: AtomicBool,
    /// Bytes that are there.
    got: AtomicU64,
}

impl Job<'_> {
    /// Fetches what is missing, hashing it in order meanwhile; returns the checksum.
    fn run(
        &self,
        wanted: &Wanted<'_>,
        state: &mut State,
        progress: &dyn Fn(u64, u64),
    ) -> Result<Checksum, CatalogError> {
        let missing: Vec<u64> =
            (0..chunks(self.length)).filter(|n| !state.done.contains(n)).collect();
        let threads = wanted.connections.clamp(1, missing.len().max(1));
        let queue = Mutex::new(missing.into_iter());
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let (done, finished) = channel();
        thread::scope(|scope| {
            for _ in 0..threads {
                let done = done.clone();
                let next = &next;
                scope.spawn(move || self.work(wanted.catalog, next, &done));
            }
            drop(done);
            let result = self.follow(wanted, state, &finished, progress);
            self.stop.store(true, Ordering::SeqCst);
            result
        })
    }

    /// Fetches chunks until there are no more, or one cannot be had.
    fn work(
        &self,
        catalog: &str,
        next: &dyn Fn() -> Option<u64>,
        done: &Sender<Result<u64, CatalogError>>,
    ) {
        while let Some(chunk) = next() {
            let result = self.chunk(chunk, catalog).map(|()| chunk);
            let failed = result.is_err();
            // Nobody listens any more once another has failed.
            if done.send(result).is_err() || failed {
                return;
            }
        }
    }

    /// Hashes chunks in order as they come, and notes which are there.
    fn follow(
        &self,
        wanted: &Wanted<'_>,
        state: &mut State,
        finished: &Receiver<Result<u64, CatalogError>>,
        progress: &dyn Fn(u64, u64),
    ) -> Result<Checksum, CatalogError> {
        let mut hasher = Hasher::new(wanted.checksum.algorithm());
        let mut hashed = 0;
        while hashed < chunks(self.length) {
            if signal::interrupted() {
                return Err(CatalogError::Interrupted);
            }
            progress(self.got.load(Ordering::Relaxed), self.length);
            if state.done.contains(&hashed) {
                self.hash(hashed, &mut hasher)?;
                hashed += 1;
                continue;
            }
            match finished.recv_timeout(TICK) {
                Ok(chunk) => state.add(chunk?)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(CatalogError::Interrupted),
            }
        }
        progress(self.length, self.length);
        Ok(hasher.finish())
    }

    fn hash(&self, chunk: u64, hasher: &mut Hasher) -> Result<(), CatalogError> {
        let (mut at, end) = bounds(chunk, self.length);
        let mut buf = vec![0; STEP];
        while at < end {
            let most = usize::try_from(end - at).unwrap_or(STEP).min(STEP);
            let n = self.file.read_at(buf.get_mut(..most).unwrap_or_default(), at);
            let n = n.map_err(|e| CatalogError::io("read", self.part, e))?;
            if n == 0 {
                let source = io::ErrorKind::UnexpectedEof.into();
                return Err(CatalogError::io("read", self.part, source));
            }
            hasher.update(buf.get(..n).unwrap_or_default());
            at += u64::try_from(n).unwrap_or_default();
        }
        Ok(())
    }

    /// Fetches one chunk; a connection that breaks is made anew, and goes on where it broke.
    fn chunk(&self, chunk: u64, catalog: &str) -> Result<(), CatalogError> {
        let (mut at, end) = bounds(chunk, self.length);
        let mut tries = 0;
        while at < end {
            let before = at;
            match self.range(&mut at, end) {
                Ok(()) => {}
                Err(Failure::Ours(error)) => return Err(error),
                Err(Failure::Http(error)) => {
                    // Whoever sends something has a fresh start.
                    tries = if at > before { 1 } else { tries + 1 };
                    if !error.is_passing() || tries >= TRIES {
                        return Err(CatalogError::fetch(catalog, error));
                    }
                    self.pause(tries);
                }
            }
            if self.stopped() {
                return Err(CatalogError::Interrupted);
            }
        }
        Ok(())
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst) || signal::interrupted()
    }

    /// Waits before the next try, longer each time, unless all is over.
    fn pause(&self, tries: u32) {
        let mut left = 2_u32.saturating_pow(tries);
        while left > 0 && !self.stopped() {
            thread::park_timeout(TICK);
            left -= 1;
        }
    }

    /// Reads from `at` to before `end`, and moves `at` along.
    fn range(&self, at: &mut u64, end: u64) -> Result<(), Failure> {
        let answer = self.client.get(self.url, Some((*at, end - 1))).map_err(Failure::Http)?;
        let changed = || Failure::Ours(CatalogError::Changed { url: self.url.clone() });
        match answer.range {
            Some((first, last, length)) if first == *at && last < end => {
                let other = |known: &str| answer.etag.as_deref().is_some_and(|etag| etag != known);
                if length != self.length || self.etag.is_some_and(other) {
                    return Err(changed());
                }
            }
            _ => {
                let what = format!("asked for the bytes from {at} on, it sent others");
                return Err(Failure::Http(HttpError::Nonsense { url: self.url.clone(), what }));
            }
        }
        let mut reader = answer.into_reader().take(end - *at);
        let mut buf = vec![0; STEP];
        while *at < end && !self.stopped() {
            let n = match reader.read(&mut buf) {
                Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                other => other,
            };
            let url = || self.url.clone();
            let n = n.map_err(|source| Failure::Http(HttpError::Io { url: url(), source }))?;
            let bytes = buf.get(..n).unwrap_or_default();
            let write = self.file.write_all_at(bytes, *at);
            write.map_err(|e| Failure::Ours(CatalogError::io("write", self.part, e)))?;
            let n = u64::try_from(n).unwrap_or_default();
            *at += n;
            self.got.fetch_add(n, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Why a range did not arrive.
enum Failure {
    /// The server, or the way to it.
    Http(HttpError),
    /// Anything that another try does not mend.
    Ours(CatalogError),
}

#[cfg(test)]
#[path = "download_tests.rs"]
mod tests;
