// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Trees under construction: layers on the disk, and programs that run on them.
//!
//! | module | what |
//! |---|---|
//! | `cache` | layers by digest: found, made once, removed |
//! | `task` | a program to be run |
//! | `jobs` | what Kiln itself does in a tree: archives in and out, edits |
//! | `error` | why something could not be done |
//!
//! A [`Workspace`] is opened on layers, changed, and becomes one more layer by
//! [`Workspace::keep`]; dropped, its changes are gone. Nothing of it runs with rights on the host:
//! see `kiln_host::namespace`.
//!
//! **Invariant:** a folder in `layers/` is whole. It gets there by one rename(2).

mod cache;
mod error;
mod jobs;
mod task;

use std::fs;
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;

use kiln_host::namespace::{
    Bind, DONE, Layers, Limits, PROGRAM_FILE, PROGRAM_PATH, Root, Serve, Setup, Shown, Space,
    SpaceError, View, keep, remove_left,
};
use kiln_host::scratch::Scratch;
use kiln_spec::Digest;

pub use cache::{Claim, Layer, LayerCache, LayerInfo, Sandbox};
pub use error::WorkspaceError;
pub use jobs::{Content, Edit, JOBS, Owned};
pub use task::{Mount, Task};

/// How much of what a program wrote is kept for an error.
const TAIL: usize = 16 << 10;
/// The longest line that is handed on.
const MOST_LINE: usize = 64 << 10;
/// Where programs are looked for.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Says no to `invoke-rc.d` and `deb-systemd-invoke`: nothing is started while an image is built.
/// Source: /usr/share/doc/init-system-helpers/README.policy-rc.d.gz of Debian.
const POLICY: (&str, &str) = ("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n");
/// Where programs look for resolvers.
const RESOLVERS: &str = "etc/resolv.conf";

/// A tree under construction.
#[derive(Debug)]
pub struct Workspace<'a> {
    cache: &'a LayerCache,
    layers: Vec<Layer>,
    scratch: Option<Scratch>,
    used: bool,
}

impl<'a> Workspace<'a> {
    /// Opens a tree made of `layers`, the lowest first; an empty tree without any.
    ///
    /// # Errors
    ///
    /// [`WorkspaceError::Scratch`], [`WorkspaceError::Io`].
    pub fn open(cache: &'a LayerCache, layers: &[Layer]) -> Result<Self, WorkspaceError> {
        let scratch = Scratch::begin(&cache.work(), "build")?;
        // The guest's ids go through it and cannot list it.
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o711))
            .map_err(|source| WorkspaceError::io("prepare", scratch.path(), source))?;
        Ok(Self { cache, layers: layers.to_vec(), scratch: Some(scratch), used: false })
    }

    fn scratch(&self) -> &Path {
        self.scratch.as_ref().map_or(Path::new(""), Scratch::path)
    }

    /// Runs a program of the tree, on the tree, as its root. `on_line` gets what it writes.
    ///
    /// # Errors
    ///
    /// [`WorkspaceError::Failed`] if it ends with another status than 0; what it changed until
    /// then stays changed. [`WorkspaceError::Space`] if it cannot be run.
    pub fn run(
        &mut self,
        task: &Task,
        on_line: &mut dyn FnMut(&str),
    ) -> Result<(), WorkspaceError> {
        self.program(task, View::Inside, None, on_line)
    }

    /// Runs a program of the host, as the tree's root, with the tree at `/kiln/tree`: for steps
    /// that make a tree. Of the host it sees `/usr`, `/bin`, `/sbin`, `/lib*` and `/etc`, and may
    /// change none; `/tmp`, `/var/tmp` and `/root` are its own. It may mount what it likes.
    ///
    /// # Errors
    ///
    /// As [`Workspace::run`].
    pub fn run_outside(
        &mut self,
        task: &Task,
        on_line: &mut dyn FnMut(&str),
    ) -> Result<(), WorkspaceError> {
        self.program(task, View::Outside, None, on_line)
    }

    /// Runs a program of the tree as [`Workspace::run`] does, with `terminal` as its standard
    /// input, open for reading and writing. Returns its exit status.
    ///
    /// # Errors
    ///
    /// [`WorkspaceError::Space`] if it cannot be run.
    pub fn interact(&mut self, task: &Task, terminal: OwnedFd) -> Result<i32, WorkspaceError> {
        match self.program(task, View::Inside, Some(terminal), &mut |_| ()) {
            Ok(()) => Ok(0),
            Err(WorkspaceError::Failed { code, .. }) => Ok(code),
            Err(error) => Err(error),
        }
    }

    fn program(
        &mut self,
        task: &Task,
        view: View,
        terminal: Option<OwnedFd>,
        on_line: &mut dyn FnMut(&str),
    ) -> Result<(), WorkspaceError> {
        let shares = task.mounts.iter().any(|mount| matches!(mount, Mount::Cache { .. }));
        let _held = shares.then(|| self.cache.hold_downloads()).transpose()?;
        let binds = self.binds(task)?;
        let mut argv: Vec<Vec<u8>> = task.argv.iter().map(|word| word.clone().into()).collect();
        if let Some(script) = &task.script {
            let file = self.scratch().join(PROGRAM_FILE);
            fs::write(&file, script).map_err(|e| WorkspaceError::io("write", &file, e))?;
            argv.insert(0, PROGRAM_PATH.into());
        }
        let layers = Layers { lower: self.lower(), shown: self.shown(task, &view), view, binds };
        let setup = Setup {
            argv,
            env: self.environment(task),
            network: task.network,
            aside: task.aside.iter().map(|path| path.clone().into()).collect(),
            file: task.script.is_some(),
            cwd: task.cwd.clone().into(),
            data: terminal.is_some() || !task.stdin.is_empty(),
            ..self.setup(layers)?
        };
        let (data, feed) = if terminal.is_some() || task.stdin.is_empty() {
            (terminal, None)
        } else {
            let (from, to) = io::pipe().map_err(WorkspaceError::system("make a pipe"))?;
            (Some(OwnedFd::from(from)), Some(to))
        };
        self.used = true;
        let mut space = Space::start_with(&self.cache.sandbox().exec, &setup, data)?;
        let mut listener = Listener { on_line, line: Vec::new(), tail: Vec::new() };
        let ended = thread::scope(|scope| {
            if let Some(mut to) = feed {
                // A program that does not read all of it is judged by its exit status.
                scope.spawn(move || to.write_all(&task.stdin).is_ok());
            }
            let ended = space.serve(&mut listener, Limits { deadline: None });
            // Ends the program, if it is not at its end, and with it whoever feeds it.
            drop(space);
            ended
        });
        listener.end();
        let code = ended?.code;
        if code == 0 {
            return Ok(());
        }
        let tail = String::from_utf8_lossy(&listener.tail).trim_end().to_owned();
        Err(WorkspaceError::Failed { name: task.name.clone(), code, tail })
    }

    /// Unpacks a tar archive, which is not compressed, into the tree's folder `dir`.
    ///
    /// # Errors
    ///
    /// [`WorkspaceError::Source`] if it cannot be read; [`WorkspaceError::Space`] if it cannot
    /// be unpacked.
    pub fn unpack(&mut self, from: &mut dyn Read, dir: &str) -> Result<(), WorkspaceError> {
        let (read, mut write) = io::pipe().map_err(WorkspaceError::system("make a pipe"))?;
        let request = serde_json::json!({ "dir": dir });
        let mut space = self.job("unpack", &request, Some(read.into()))?;
        let (copied, ended) = thread::scope(|scope| {
            let served = scope.spawn(move || space.serve(&mut Quiet, Limits { deadline: None }));
            let copied = pour(from, &mut write);
            drop(write);
            (copied, served.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        match copied {
            // The other side has gone, and says why.
            Err(Poured::Write) | Ok(()) => ended.map(drop).map_err(WorkspaceError::from),
            Err(Poured::Read(source)) => Err(WorkspaceError::Source { source }),
        }
    }

    /// Hands the tree to `take` as a tar archive: owners as numbers, names in order, extended
    /// attributes and hard links; no time is later than `latest`, in seconds since 1970. The same
    /// tree gives the same bytes.
    ///
    /// # Errors
    ///
    /// [`WorkspaceError::Space`].
    pub fn tar<T>(
        &mut self,
        latest: u64,
        take: impl FnOnce(&mut PipeReader) -> T,
    ) -> Result<T, WorkspaceError> {
        let (mut read, write) = io::pipe().map_err(WorkspaceError::system("make a pipe"))?;
        let request = serde_json::json!({ "latest": latest });
        let mut space = self.job("tar", &request, Some(write.into()))?;
        let (taken, ended) = thread::scope(|scope| {
            let served = scope.spawn(move || space.serve(&mut Quiet, Limits { deadline: None }));
            let taken = take(&mut read);
            // Who does not want the rest ends it.
            let left = io::copy(&mut read.by_ref().take(1 << 20), &mut io::sink()).unwrap_or(0);
            drop(read);
            let ended = served.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (taken, if left < 1 << 20 { ended.map(drop) } else { Ok(()) })
        });
        ended?;
        Ok(taken)
    }

    /// Edits the tree, in order, without a program of it: see [`Edit`]. `now` is the time of what
    /// is changed, in seconds since 1970.
    ///
    /// # Errors
    ///
    /// [`WorkspaceError::Space`]: which edit failed, and why.
    pub fn edit(&mut self, edits: &[Edit], now: u64) -> Result<(), WorkspaceError> {
        let request = serde_json::json!({ "edits": edits, "now": now });
        self.asked("edit", &request).map(drop)
    }

    /// Returns the contents of a file of the tree, behind links; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`WorkspaceError::Space`], also if it has more than 16 MiB.
    pub fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, WorkspaceError> {
        let answer = self.asked("read", &serde_json::json!({ "path": path }))?;
        Ok(answer.split_first().map(|(_, bytes)| bytes.to_vec()))
    }

    fn asked(&mut self, job: &str, request: &serde_json::Value) -> Result<Vec<u8>, WorkspaceError> {
        let mut space = self.job(job, request, None)?;
        Ok(space.serve(&mut Quiet, Limits { deadline: None })?.answer)
    }

    fn job(
        &mut self,
        name: &str,
        request: &serde_json::Value,
        data: Option<OwnedFd>,
    ) -> Result<Space, WorkspaceError> {
        let view = View::Bare { job: name.to_owned(), request: request.to_string().into_bytes() };
        let layers = Layers { lower: self.lower(), view, shown: Vec::new(), binds: Vec::new() };
        let setup = Setup { data: data.is_some(), ..self.setup(layers)? };
        self.used = true;
        Ok(Space::start_with(&self.cache.sandbox().exec, &setup, data)?)
    }

    fn setup(&self, layers: Layers) -> Result<Setup, WorkspaceError> {
        let scratch = self.scratch();
        let scratch =
            scratch.canonicalize().map_err(|e| WorkspaceError::io("look at", scratch, e))?;
        Ok(Setup {
            scratch,
            argv: Vec::new(),
            env: Vec::new(),
            network: false,
            hostname: b"localhost".to_vec(),
            aside: Vec::new(),
            file: false,
            cwd: b"/".to_vec(),
            root: Root::Layers(layers),
            data: false,
            room: None,
        })
    }

    /// Returns the layers' folders as the stages call them.
    fn lower(&self) -> Vec<PathBuf> {
        let all = Path::new("../../../layers");
        self.layers.iter().rev().map(|layer| all.join(layer.digest().hex()).join("fs")).collect()
    }

    fn shown(&self, task: &Task, view: &View) -> Vec<Shown> {
        let tree = |path: &str| PathBuf::from(path);
        let mut shown = Vec::new();
        if *view == View::Inside {
            let bytes = POLICY.1.as_bytes().to_vec();
            shown.push(Shown { path: tree(POLICY.0), bytes, mode: 0o755, over: false });
        }
        if task.network {
            let bytes = self.cache.sandbox().resolvers.clone();
            shown.push(Shown { path: tree(RESOLVERS), bytes, mode: 0o644, over: true });
        }
        shown
    }

    fn environment(&self, task: &Task) -> Vec<(Vec<u8>, Vec<u8>)> {
        // `systemctl` then does what it can without a running manager: docs/ENVIRONMENT.md of
        // systemd.
        let fixed = [
            ("PATH", PATH),
            ("HOME", "/root"),
            ("LANG", "C.UTF-8"),
            ("DEBIAN_FRONTEND", "noninteractive"),
            ("SYSTEMD_OFFLINE", "1"),
        ];
        let mut all: Vec<(Vec<u8>, Vec<u8>)> =
            fixed.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        if task.network {
            all.extend(self.cache.sandbox().proxies.iter().cloned());
        }
        all.extend(
            task.env.iter().map(|(name, value)| (name.clone().into(), value.clone().into())),
        );
        all
    }

    /// Makes the folders that a task wants to see.
    fn binds(&self, task: &Task) -> Result<Vec<Bind>, WorkspaceError> {
        let copies = self.scratch().join("in");
        if copies.symlink_metadata().is_ok() {
            fs::remove_dir_all(&copies).map_err(|e| WorkspaceError::io("remove", &copies, e))?;
        }
        let mut binds = Vec::new();
        for (n, mount) in task.mounts.iter().enumerate() {
            binds.push(match mount {
                Mount::Files { from, at } => {
                    task::copy_for_all(from, &copies.join(n.to_string()))?;
                    let from = Path::new("../in").join(n.to_string());
                    Bind { from, at: at.into(), writable: false }
                }
                Mount::Cache { name, at } => {
                    let from = Path::new("../../../packages").join(name);
                    Bind { from, at: at.into(), writable: true }
                }
            });
        }
        Ok(binds)
    }

    /// Makes a layer of the changes, which then belongs to those of this tree.
    ///
    /// # Errors
    ///
    /// [`WorkspaceError::Space`], [`WorkspaceError::Io`]; then nothing is kept.
    pub fn keep(&mut self, claim: Claim, name: &str) -> Result<Layer, WorkspaceError> {
        if !self.used {
            // The folder of changes is made by the first that runs.
            self.edit(&[], 0)?;
        }
        let done = self.scratch().join(DONE);
        fs::create_dir(&done).map_err(|e| WorkspaceError::io("make", &done, e))?;
        fs::set_permissions(&done, fs::Permissions::from_mode(0o711))
            .map_err(|e| WorkspaceError::io("make", &done, e))?;
        let bytes = keep(&self.cache.sandbox().exec, self.scratch())?;
        let parent = self.layers.last().map(Layer::digest).cloned();
        let layer = self.cache.add(claim, &done, (name, parent.as_ref(), bytes))?;
        self.layers.push(layer.clone());
        self.used = false;
        Ok(layer)
    }

    /// Lays a layer on top, which is there already. Changes that were not kept are gone.
    ///
    /// # Errors
    ///
    /// [`WorkspaceError::Space`].
    pub fn push(&mut self, layer: Layer) -> Result<(), WorkspaceError> {
        if self.used {
            remove_left(&self.cache.sandbox().exec, self.scratch())?;
            self.used = false;
        }
        self.layers.push(layer);
        Ok(())
    }

    /// Returns the word for the tree's package manager: `apt`; `None` if it has none that is
    /// known.
    ///
    /// # Errors
    ///
    /// [`WorkspaceError::Space`].
    pub fn package_manager(&mut self) -> Result<Option<String>, WorkspaceError> {
        let answer = self.asked("manager", &serde_json::Value::Null)?;
        let word = String::from_utf8_lossy(&answer).into_owned();
        Ok(Some(word).filter(|word| !word.is_empty()))
    }

    /// Returns the layers, the lowest first.
    #[must_use]
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Returns the digest of the topmost layer.
    #[must_use]
    pub fn top(&self) -> Option<&Digest> {
        self.layers.last().map(Layer::digest)
    }
}

impl Drop for Workspace<'_> {
    fn drop(&mut self) {
        // What resists is removed by the next who opens the cache.
        remove_left(&self.cache.sandbox().exec, self.scratch()).ok();
        self.scratch = None;
    }
}

/// Hears nothing: Kiln's own work says what there is to say by its answer.
struct Quiet;

impl Serve for Quiet {
    fn request(&mut self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn output(&mut self, _: &[u8]) {}
}

/// Makes lines of what a program writes, and keeps the last ones.
struct Listener<'a> {
    on_line: &'a mut dyn FnMut(&str),
    line: Vec<u8>,
    tail: Vec<u8>,
}

impl Listener<'_> {
    fn end(&mut self) {
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            (self.on_line)(&String::from_utf8_lossy(&line));
        }
    }
}

impl Serve for Listener<'_> {
    fn request(&mut self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn output(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        if self.tail.len() > 2 * TAIL {
            self.tail.drain(..self.tail.len() - TAIL);
        }
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part.strip_suffix(b"\n").unwrap_or(part));
            if part.ends_with(b"\n") || self.line.len() > MOST_LINE {
                let line = std::mem::take(&mut self.line);
                let line = line.strip_suffix(b"\r").unwrap_or(&line);
                (self.on_line)(&String::from_utf8_lossy(line));
            }
        }
    }
}

/// Which side of a copy failed.
enum Poured {
    Read(io::Error),
    Write,
}

fn pour(from: &mut dyn Read, to: &mut dyn Write) -> Result<(), Poured> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Poured::Read(error)),
        };
        to.write_all(&buffer[..n]).map_err(|_| Poured::Write)?;
    }
}

impl From<SpaceError> for WorkspaceError {
    fn from(source: SpaceError) -> Self {
        match source {
            SpaceError::Interrupted => Self::Interrupted,
            source => Self::Space { source },
        }
    }
}
