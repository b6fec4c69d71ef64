// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A child process that runs cases: this test binary again, with limits.
//!
//! The parent writes a case on a line, the child answers on a line. If the child ends, or says
//! nothing for too long, that case is to blame, and the next one gets a new child.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};

use super::{Case, Outcome, Seed, Target};

/// What each line of the child begins with.
const MARK: &str = "kiln-fuzz ";
/// Says to the child where it may write, and that it is one.
const FOLDER: &str = "KILN_FUZZ_FOLDER";
/// The memory that a child may have.
const MEMORY: u64 = 512 << 20;
/// The longest that one case may take: of the processor's time, so that a busy machine is no
/// fault, and of all time, for a case that waits for what never comes.
const TIME: Duration = Duration::from_secs(5);
const ALL_TIME: Duration = Duration::from_secs(60);
/// The longest that making the seeds may take.
const START: Duration = Duration::from_secs(60);

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The parser gave this answer.
    Right(String),
    /// The parser refused it, saying this.
    Refused(String),
    /// The parser panicked, died, hung, or refused it without saying clearly why.
    Failed(String),
}

/// A child that runs cases.
#[derive(Debug)]
pub struct Worker {
    test: &'static str,
    folder: PathBuf,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Worker {
    /// Returns a worker whose children run `test` of this test binary, which calls [`serve`].
    /// `folder` is theirs to write in.
    #[must_use]
    pub fn start(test: &'static str, folder: &Path) -> Self {
        Self { test, folder: folder.to_owned(), running: None }
    }

    /// Makes the seeds of a target, which must be done before its cases are run.
    ///
    /// # Panics
    ///
    /// If there is none, or the folder cannot be written.
    #[must_use]
    pub fn seeds(&self, target: &Target) -> Vec<Seed> {
        let seeds = (target.seeds)(&fresh(&self.folder, "making"));
        assert!(!seeds.is_empty(), "`{}` has seeds", target.name);
        for seed in &seeds {
            let path = seed_path(&self.folder, target.name, seed.name);
            std::fs::write(path, &seed.bytes).expect("the folder can be written");
        }
        seeds
    }

    /// Runs one case.
    ///
    /// # Panics
    ///
    /// If a child cannot be started.
    pub fn run(&mut self, case: &Case) -> Verdict {
        let running = self.running.take().unwrap_or_else(|| self.spawn());
        let mut running = running;
        // A child that ended cannot be written to; the answer then says so.
        let _ = writeln!(running.stdin, "{case}").and_then(|()| running.stdin.flush());
        let verdict = match wait(&running) {
            Ok(line) => match line.split_once(' ') {
                Some(("right", text)) => Verdict::Right(text.to_owned()),
                Some(("refused", text)) => Verdict::Refused(text.to_owned()),
                _ => Verdict::Failed(line),
            },
            Err(RecvTimeoutError::Timeout) => {
                self.end(running);
                return Verdict::Failed(format!("no answer within {TIME:?} of its time"));
            }
            Err(RecvTimeoutError::Disconnected) => {
                let how = self.end(running);
                return Verdict::Failed(how);
            }
        };
        self.running = Some(running);
        verdict
    }

    fn spawn(&self) -> Running {
        let program = std::env::current_exe().expect("a test knows its binary");
        let errors = File::create(self.folder.join("stderr")).expect("the folder can be written");
        #[expect(clippy::disallowed_methods, reason = "the test binary itself is run again")]
        let mut command = Command::new(program);
        command
            .args(["--exact", self.test, "--nocapture", "--test-threads=1"])
            .env(FOLDER, &self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors);
        let mut child = command.spawn().expect("the test binary can be started");
        let stdin = child.stdin.take().expect("it is a pipe");
        let stdout = child.stdout.take().expect("it is a pipe");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let Some(line) = line.strip_prefix(MARK) else { continue };
                if sender.send(line.to_owned()).is_err() {
                    break;
                }
            }
        });
        let running = Running { child, stdin, lines };
        let ready = running.lines.recv_timeout(START);
        assert!(ready.is_ok(), "the child did not begin: {}", self.last_words());
        running
    }

    /// Ends a child and returns how it ended.
    fn end(&self, mut running: Running) -> String {
        let _ = running.child.kill();
        let status = running.child.wait().map_or_else(|error| error.to_string(), |s| s.to_string());
        format!("{status}: {}", self.last_words())
    }

    /// Returns the end of what the last child wrote to standard error, on one line.
    fn last_words(&self) -> String {
        let bytes = std::fs::read(self.folder.join("stderr")).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(1500)..]).into_owned();
        text.replace('\n', " | ")
    }
}

/// Waits for the child's answer, as long as a case may take.
fn wait(running: &Running) -> Result<String, RecvTimeoutError> {
    let (start, used) = (Instant::now(), time_used(running.child.id()));
    loop {
        match running.lines.recv_timeout(TIME) {
            Err(RecvTimeoutError::Timeout) => {
                let now = time_used(running.child.id()).saturating_sub(used);
                if now >= TIME || start.elapsed() >= ALL_TIME {
                    return Err(RecvTimeoutError::Timeout);
                }
            }
            answer => return answer,
        }
    }
}

/// Returns the processor's time that a process has used in all its threads: proc(5),
/// `/proc/pid/task/tid/schedstat`, the first number in nanoseconds.
fn time_used(pid: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let nanos = threads.filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.end(running);
        }
    }
}

/// The child's side: limits its own memory and answers each case on standard input. Returns at
/// once in a process that is no child.
///
/// # Panics
///
/// If a case names no target or seed, and as the parser does.
pub fn serve(targets: &[Target]) {
    let Some(folder) = crate::variable(FOLDER).map(PathBuf::from) else { return };
    let limit = Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) };
    setrlimit(Resource::As, limit).expect("a limit can be lowered");
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).expect("a limit can be lowered");
    answer("ready");
    let mut last = (PathBuf::new(), Vec::new());
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let case: Case = line.parse().expect("a case");
        let target = targets.iter().find(|target| target.name == case.target);
        let target = target.expect("a target of this name");
        let path = seed_path(&folder, target.name, &case.seed);
        if last.0 != path {
            last = (path.clone(), std::fs::read(&path).expect("a seed of this name"));
        }
        let mut bytes = case.bytes(&last.1);
        (target.mend)(&mut bytes);
        answer(&judged((target.run)(&bytes, &folder)));
    }
}

fn seed_path(folder: &Path, target: &str, seed: &str) -> PathBuf {
    folder.join(format!("seed-{target}-{seed}"))
}

/// Returns a new empty folder.
fn fresh(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("the folder can be written");
    path
}

/// Returns the child's line for an outcome.
fn judged(outcome: Outcome) -> String {
    let error = match outcome {
        Ok(text) => return format!("right {}", text.replace('\n', " ")),
        Err(error) => error,
    };
    let mut chain = Vec::new();
    let mut next: Option<&dyn Error> = Some(&*error);
    while let Some(error) = next {
        chain.push(error.to_string());
        next = error.source();
    }
    let text = chain.join(": ");
    let unclear = chain.iter().any(|part| part.is_empty() || part.chars().any(char::is_control));
    if unclear || text.len() > 8192 {
        return format!("unclear {:?}", text.chars().take(500).collect::<String>());
    }
    format!("refused {text}")
}

fn answer(text: &str) {
    // A new line first: the test harness has begun one.
    let line = format!("\n{MARK}{text}\n");
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).expect("the parent reads");
}
