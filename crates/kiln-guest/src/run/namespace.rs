// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Running a guest's programs in namespaces of the host.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use kiln_host::namespace::{
    Exec, Limits, PROGRAM_FILE, PROGRAM_PATH, Root, Serve, Setup, Space, SpaceError,
};

use super::apply::Apply;
use super::files::{Files, Shown};
use super::processor;
use super::{Job, Program, RunError, RunOutput, Runner};
use crate::tree::{GuestPath, Kind, Tree, TreeError};

/// The most bytes of one argument: `MAX_ARG_STRLEN` of Linux is 128 KiB.
const ARGUMENT: usize = 100 << 10;
/// How much of what a program wrote is kept.
const TAIL: usize = 64 << 10;
/// Where programs are looked for.
const PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Says no to `invoke-rc.d` and `deb-systemd-invoke`: 101 is "action forbidden by policy".
/// Source: /usr/share/doc/init-system-helpers/README.policy-rc.d.gz of Debian.
const POLICY: &str = "/usr/sbin/policy-rc.d";
const FORBID: &[u8] = b"#!/bin/sh\nexit 101\n";
/// Where programs look for resolvers.
const RESOLVERS: &str = "/etc/resolv.conf";
/// Directories that something is mounted on.
const MOUNTED: [&str; 3] = ["/dev", "/proc", "/run"];
/// The most bytes of a host name: `HOST_NAME_MAX` of Linux.
const HOST_NAME: usize = 64;

/// Gets what programs write to their standard output and error, as it comes.
pub type Log<'a> = Box<dyn FnMut(&[u8]) + 'a>;

/// Runs a guest's programs in namespaces of their own: nothing is booted, nothing of the host is
/// seen, and root is not needed.
///
/// Of the guest's files only those are unpacked that a program opens.
pub struct NamespaceRunner<'a> {
    /// How Kiln starts itself: the program must call [`kiln_host::namespace::enter`].
    pub exec: Exec,
    /// An existing folder of the host for what programs read and change; each run leaves it as it
    /// was. Its file system must be one that overlayfs can write to.
    pub scratch: PathBuf,
    /// The host's resolvers, for jobs with network: lines of resolv.conf(5). See
    /// [`super::resolvers`].
    pub resolvers: Vec<u8>,
    /// Variables for every program, such as the user's proxies.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// How long one program may take; `None` for as long as it likes.
    pub deadline: Option<Duration>,
    /// Gets what programs write, as it comes.
    pub log: Log<'a>,
}

/// Without variables and resolvers.
impl std::fmt::Debug for NamespaceRunner<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NamespaceRunner")
            .field("exec", &self.exec)
            .field("scratch", &self.scratch)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl Runner for NamespaceRunner<'_> {
    fn run(&mut self, tree: &mut dyn Tree, job: &Job) -> Result<RunOutput, RunError> {
        let failed = |source: Failure| backend(job, source);
        if let Some(why) = processor::unfit(tree).map_err(|e| failed(e.into()))? {
            return Err(RunError::Impossible { job: job.name.clone(), why });
        }
        let shown = self.shown(tree, job).map_err(|e| failed(e.into()))?;
        self.spaced(tree, job, &shown).map_err(failed)
    }
}

impl NamespaceRunner<'_> {
    fn spaced(
        &mut self,
        tree: &mut dyn Tree,
        job: &Job,
        shown: &BTreeMap<GuestPath, Shown>,
    ) -> Result<RunOutput, Failure> {
        let folder = tempfile::Builder::new().prefix("kiln-run-").tempdir_in(&self.scratch)?;
        let store = tempfile::tempfile_in(folder.path())?;
        let (argv, file) = arguments(&job.program);
        if let Some(bytes) = file {
            std::fs::write(folder.path().join(PROGRAM_FILE), bytes)?;
        }
        let setup = Setup {
            scratch: folder.path().canonicalize()?,
            argv,
            env: self.environment(),
            network: job.network,
            hostname: host_name(tree)?,
            aside: job.aside.iter().map(|path| path.as_bytes().to_vec()).collect(),
            file: file.is_some(),
            cwd: b"/".to_vec(),
            root: Root::Fuse,
            data: false,
            room: Some(room(tree)?),
        };
        let mut space = Space::start(&self.exec, &setup)?;
        let files = Files::new(tree, shown, store)?;
        let mut desk = Desk { files, log: &mut self.log, tail: Vec::new() };
        let ended = space.serve(&mut desk, Limits { deadline: self.deadline });
        let Desk { files, tail, .. } = desk;
        if let Some(trouble) = files.trouble() {
            return Err(trouble.into());
        }
        let code = ended?.code;
        if code == 0 {
            let mut apply = Apply::new(tree, shown)?;
            space.changes(|change, contents| {
                apply.change(change, contents).map_err(Failure::from)
            })?;
            apply.finish()?;
        }
        drop(space);
        folder.close()?;
        Ok(RunOutput { code, tail })
    }

    fn environment(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        // `systemctl` then does what it can without a running manager: systemctl(1) does not
        // name the variable, docs/ENVIRONMENT.md of systemd does.
        let fixed: [(&[u8], &[u8]); 4] = [
            (b"PATH", PATH),
            (b"HOME", b"/root"),
            (b"LANG", b"C.UTF-8"),
            (b"SYSTEMD_OFFLINE", b"1"),
        ];
        let fixed = fixed.iter().map(|(name, value)| (name.to_vec(), value.to_vec()));
        fixed.chain(self.env.iter().cloned()).collect()
    }

    /// Returns what the program sees that the guest does not have.
    fn shown(
        &self,
        tree: &mut dyn Tree,
        job: &Job,
    ) -> Result<BTreeMap<GuestPath, Shown>, TreeError> {
        let mut shown = BTreeMap::new();
        for path in MOUNTED {
            if tree.lstat(&path.into())?.is_none() {
                shown.insert(path.into(), Shown::Directory);
            }
        }
        let policy = GuestPath::from(POLICY);
        if tree.lstat(&policy)?.is_none() && real_folder(tree, &policy)? {
            shown.insert(policy, Shown::File(FORBID.to_vec(), 0o755));
        }
        let resolvers = GuestPath::from(RESOLVERS);
        if job.network && real_folder(tree, &resolvers)? {
            shown.insert(resolvers, Shown::File(self.resolvers.clone(), 0o644));
        }
        Ok(shown)
    }
}

/// Returns how many bytes a program's changes can be at most: what the guest's file systems hold.
/// Less may be free, but what the program replaces is.
fn room(tree: &mut dyn Tree) -> Result<u64, TreeError> {
    let all = tree.usage()?;
    Ok(all.iter().fold(0, |sum: u64, one| sum.saturating_add(one.size.0)))
}

/// Returns whether the directory of `path` is there, with no link on the way to it.
fn real_folder(tree: &mut dyn Tree, path: &GuestPath) -> Result<bool, TreeError> {
    let mut folder = path.parent();
    while let Some(at) = folder {
        if tree.lstat(&at)?.is_none_or(|stat| stat.kind != Kind::Directory) {
            return Ok(false);
        }
        folder = at.parent();
    }
    Ok(true)
}

/// Returns a program's arguments, and its file if it comes as one.
fn arguments(program: &Program) -> (Vec<Vec<u8>>, Option<&[u8]>) {
    let sh = || b"/bin/sh".to_vec();
    let path = || PROGRAM_PATH.as_bytes().to_vec();
    match program {
        Program::Shell(lines) if lines.len() < ARGUMENT && !lines.contains(&0) => {
            (vec![sh(), b"-c".to_vec(), lines.clone()], None)
        }
        Program::Shell(lines) => (vec![sh(), path()], Some(lines)),
        // What begins otherwise no kernel starts: a shell reads it, as shells do themselves.
        Program::File(bytes) if bytes.starts_with(b"#!") || bytes.starts_with(b"\x7fELF") => {
            (vec![path()], Some(bytes))
        }
        Program::File(bytes) => (vec![sh(), path()], Some(bytes)),
    }
}

/// Returns the guest's name for itself, `localhost` if it has none.
fn host_name(tree: &mut dyn Tree) -> Result<Vec<u8>, TreeError> {
    let file = GuestPath::from("/etc/hostname");
    let text = match tree.stat(&file)? {
        Some(stat) if stat.kind == Kind::File && stat.size <= 4096 => tree.read(&file, 4096)?,
        _ => Vec::new(),
    };
    let name = text.split(|b| *b == b'\n').next().unwrap_or_default().trim_ascii();
    let good = |b: &u8| b.is_ascii_alphanumeric() || b"-._".contains(b);
    let fits = !name.is_empty() && name.len() <= HOST_NAME && name.iter().all(good);
    Ok(if fits { name.to_vec() } else { b"localhost".to_vec() })
}

/// Answers a program's requests, and hears it.
struct Desk<'a, 'b> {
    files: Files<'a>,
    log: &'b mut dyn FnMut(&[u8]),
    tail: Vec<u8>,
}

impl Serve for Desk<'_, '_> {
    fn request(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        self.files.request(request)
    }

    fn output(&mut self, bytes: &[u8]) {
        (self.log)(bytes);
        self.tail.extend_from_slice(bytes);
        if self.tail.len() > 2 * TAIL {
            self.tail.drain(..self.tail.len() - TAIL);
        }
    }
}

/// Why a run came to nothing.
#[derive(Debug)]
enum Failure {
    Space(SpaceError),
    Tree(TreeError),
    Io(io::Error),
}

impl From<SpaceError> for Failure {
    fn from(source: SpaceError) -> Self {
        Self::Space(source)
    }
}

impl From<TreeError> for Failure {
    fn from(source: TreeError) -> Self {
        Self::Tree(source)
    }
}

impl From<io::Error> for Failure {
    fn from(source: io::Error) -> Self {
        Self::Io(source)
    }
}

fn backend(job: &Job, failure: Failure) -> RunError {
    let job = job.name.clone();
    match failure {
        Failure::Space(SpaceError::Full { room }) => RunError::Full { job, room },
        Failure::Space(source) => RunError::Backend { job, source: Box::new(source) },
        Failure::Tree(source) => RunError::Backend { job, source: Box::new(source) },
        Failure::Io(source) => RunError::Backend { job, source: Box::new(source) },
    }
}

/// Takes the first bytes of what is written, and lets the rest go.
pub(super) struct Head<'a>(pub(super) &'a mut [u8], pub(super) usize);

impl Write for Head<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let room = self.0.len() - self.1;
        let n = buf.len().min(room);
        self.0[self.1..][..n].copy_from_slice(&buf[..n]);
        self.1 += n;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_and_files_come_as_files() {
        let argv = |program: &Program| arguments(program).0;
        let file = |program: &Program| arguments(program).1.map(<[u8]>::len);
        let short = Program::Shell(b"true".to_vec());
        assert_eq!((argv(&short).len(), file(&short)), (3, None));
        let long = Program::Shell(vec![b'#'; ARGUMENT]);
        assert_eq!((argv(&long).len(), file(&long)), (2, Some(ARGUMENT)));
        let script = Program::File(b"#!/bin/x\n".to_vec());
        assert_eq!(argv(&script), [PROGRAM_PATH.as_bytes()]);
        let lines = Program::File(b"echo".to_vec());
        assert_eq!(argv(&lines)[0], b"/bin/sh");
    }

    #[test]
    fn a_head_takes_no_more_than_it_holds() {
        let mut bytes = [0; 4];
        let mut head = Head(&mut bytes, 0);
        head.write_all(b"abc").unwrap();
        head.write_all(b"defg").unwrap();
        assert_eq!(&bytes, b"abcd");
    }
}
