// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Running a [`Cmd`]: cleared environment, own process group, deadline, death with us.
//!
//! `PR_SET_PDEATHSIG` follows the *thread* that started the child (prctl(2)), so one thread that
//! lives as long as the program starts them all.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fmt, mem};

use rustix::process::{Pid, Signal, WaitOptions};

use crate::cmd::{Cmd, Tool};
use crate::signal;

/// Where programs are looked for: what `PATH` is for every child.
pub(crate) const FOLDERS: &[&str] =
    &["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// Bytes of a tool's stderr kept in an error: the last ones, which say most.
const STDERR_KEPT: usize = 4096;
/// Time between SIGTERM and SIGKILL for a tool that outlives its deadline.
const GRACE: Duration = Duration::from_secs(5);
/// How often a waiting run looks whether Kiln was told to stop.
const TICK: Duration = Duration::from_millis(100);

/// What a finished tool wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its exit status: one of those that the [`Cmd`] counts as good.
    pub code: i32,
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// The end of its standard error, at most 4 KiB.
    pub stderr: String,
}

/// Something that can run a [`Cmd`]: this machine, or a stand-in for it.
pub trait Host: fmt::Debug + Send + Sync {
    /// Runs `cmd` to its end and returns what it wrote. Its standard input is `stdin`.
    ///
    /// # Errors
    ///
    /// See [`CmdError`].
    fn run_with(&self, cmd: &Cmd, stdin: &[u8]) -> Result<Output, CmdError>;

    /// Runs `cmd` to its end with nothing on its standard input.
    ///
    /// # Errors
    ///
    /// See [`CmdError`].
    fn run(&self, cmd: &Cmd) -> Result<Output, CmdError> {
        self.run_with(cmd, &[])
    }

    /// Starts `cmd` and returns its standard output as a reader. `on_line` gets each line of its
    /// standard error, without the newline, from another thread.
    ///
    /// # Errors
    ///
    /// [`CmdError::Start`] and [`CmdError::Missing`].
    fn pipe(&self, cmd: &Cmd, on_line: OnLine) -> Result<Pipe, CmdError>;

    /// Runs `cmd` on our own terminal (standard input, output and error are ours) and returns
    /// its exit status, 128 + n for signal n.
    ///
    /// # Errors
    ///
    /// [`CmdError::Start`] and [`CmdError::Missing`].
    fn interactive(&self, cmd: &Cmd) -> Result<i32, CmdError>;
}

/// Gets each line of a tool's standard error.
pub type OnLine = Box<dyn FnMut(&str) + Send>;

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CmdError {
    /// The program is not installed.
    #[error("`{}` is not installed (package {})", tool.program(), tool.package())]
    Missing {
        /// Which one.
        tool: Tool,
    },
    /// It could not be started.
    #[error("could not start `{cmd}`")]
    Start {
        /// The command, as one would type it.
        cmd: String,
        /// What the system said.
        source: io::Error,
    },
    /// It ran, and failed.
    #[error("`{cmd}` failed with {status}{}", tail(stderr))]
    Failed {
        /// The command, as one would type it.
        cmd: String,
        /// `status 1`, or the signal that ended it.
        status: String,
        /// The end of what it wrote to stderr.
        stderr: String,
    },
    /// It took longer than it may, and was ended.
    #[error("`{cmd}` did not end within {allowed:?}{}", tail(stderr))]
    Deadline {
        /// The command, as one would type it.
        cmd: String,
        /// How long it was allowed to take.
        allowed: Duration,
        /// The end of what it wrote to stderr.
        stderr: String,
    },
    /// Kiln was told to stop (a signal), and ended it.
    #[error("`{cmd}` was stopped, because kiln was")]
    Interrupted {
        /// The command, as one would type it.
        cmd: String,
    },
}

fn tail(stderr: &str) -> String {
    if stderr.is_empty() {
        return String::new();
    }
    stderr.lines().fold(String::from(":"), |all, line| all + "\n| " + line)
}

/// This machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealHost;

impl Host for RealHost {
    fn run_with(&self, cmd: &Cmd, stdin: &[u8]) -> Result<Output, CmdError> {
        let mut command = command(cmd)?;
        command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.stdin(match cmd.reads() {
            Some(file) => File::open(file)
                .map_err(|source| CmdError::Start { cmd: cmd.to_string(), source })?
                .into(),
            None if stdin.is_empty() => Stdio::null(),
            None => Stdio::piped(),
        });
        let mut child = start(cmd, command)?;
        let feed = child.stdin.take().map(|mut to| {
            let bytes = stdin.to_vec();
            // A tool that does not read all of its input is judged by its exit status.
            thread::spawn(move || io::Write::write_all(&mut to, &bytes).is_ok())
        });
        let mut stdout = child.stdout.take();
        let all = thread::spawn(move || {
            let mut bytes = Vec::new();
            stdout.as_mut().map_or(Ok(0), |from| from.read_to_end(&mut bytes)).map(|_| bytes)
        });
        let lines = watch_stderr(&mut child, Box::new(|_| ()));
        let ended = wait(cmd, &mut child);
        let stderr = join(lines);
        let stdout = join(all).map_err(|source| CmdError::Start { cmd: cmd.to_string(), source });
        feed.map(join);
        let code = judge(cmd, ended, &stderr)?;
        Ok(Output { code, stdout: stdout?, stderr })
    }

    fn pipe(&self, cmd: &Cmd, on_line: OnLine) -> Result<Pipe, CmdError> {
        let mut command = command(cmd)?;
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = start(cmd, command)?;
        let stdout = child.stdout.take();
        let lines = watch_stderr(&mut child, on_line);
        let overdue = Arc::new(AtomicBool::new(false));
        let guard = guard(cmd, &child, Arc::clone(&overdue));
        Ok(Pipe {
            cmd: cmd.clone(),
            child,
            stdout,
            lines: Some(lines),
            guard: Some(guard),
            overdue,
        })
    }

    fn interactive(&self, cmd: &Cmd) -> Result<i32, CmdError> {
        let command = command(cmd)?;
        let mut child = start(cmd, command)?;
        let status =
            child.wait().map_err(|source| CmdError::Start { cmd: cmd.to_string(), source })?;
        Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()))
    }
}

/// A tool that runs while its standard output is read. Dropped before its end, it is killed.
#[derive(Debug)]
pub struct Pipe {
    cmd: Cmd,
    child: Child,
    stdout: Option<ChildStdout>,
    lines: Option<JoinHandle<String>>,
    guard: Option<Sender<()>>,
    overdue: Arc<AtomicBool>,
}

impl Pipe {
    /// Returns the number of its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the tool's end; what it still writes is thrown away.
    ///
    /// # Errors
    ///
    /// [`CmdError::Failed`], [`CmdError::Deadline`] and [`CmdError::Interrupted`].
    pub fn finish(mut self) -> Result<(), CmdError> {
        if let Some(mut rest) = self.stdout.take() {
            // A reader that stopped early must not leave the tool blocked on a full pipe.
            io::copy(&mut rest, &mut io::sink()).ok();
        }
        let ended = self.child.wait().map(Ended::Exited);
        self.guard = None;
        let stderr = self.lines.take().map(join).unwrap_or_default();
        let ended = if self.overdue.load(Ordering::SeqCst) {
            Ok(if signal::interrupted() { Ended::Interrupted } else { Ended::Overdue })
        } else {
            ended
        };
        judge(&self.cmd, ended, &stderr).map(|_| ())
    }
}

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.stdout.as_mut().map_or(Ok(0), |from| from.read(buf))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            end(&mut self.child);
        }
    }
}

enum Ended {
    Exited(ExitStatus),
    Overdue,
    Interrupted,
}

pub(crate) fn command(cmd: &Cmd) -> Result<Command, CmdError> {
    let program = cmd.tool().find().ok_or(CmdError::Missing { tool: cmd.tool() })?;
    #[expect(clippy::disallowed_methods, reason = "the one place that makes a process")]
    let mut command = Command::new(program);
    command
        .args(cmd.arguments())
        .env_clear()
        .env("PATH", FOLDERS.join(":"))
        .env("LC_ALL", "C.UTF-8")
        .envs(cmd.environment());
    Ok(command)
}

type Job = Box<dyn FnOnce() + Send>;

/// Starts `command` from the thread that never ends.
pub(crate) fn start(cmd: &Cmd, mut command: Command) -> Result<Child, CmdError> {
    static STARTER: OnceLock<Sender<Job>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (jobs, todo): (Sender<Job>, Receiver<Job>) = channel();
        thread::spawn(move || todo.into_iter().for_each(|job| job()));
        jobs
    });
    die_with_us(&mut command);
    let (answer, answered) = channel();
    let job: Job = Box::new(move || mem::drop(answer.send(command.spawn())));
    let gone = || io::Error::other("the thread that starts programs is gone");
    starter
        .send(job)
        .map_err(|_| gone())
        .and_then(|()| answered.recv().map_err(|_| gone())?)
        .map_err(|source| CmdError::Start { cmd: cmd.to_string(), source })
}

#[expect(unsafe_code, reason = "pre_exec is the only way to set the parent-death signal")]
fn die_with_us(command: &mut Command) {
    // SAFETY: between fork and exec the closure makes one system call and allocates nothing.
    unsafe {
        command.pre_exec(|| {
            rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
            Ok(())
        });
    }
}

fn watch_stderr(child: &mut Child, mut on_line: OnLine) -> JoinHandle<String> {
    let stderr = child.stderr.take();
    thread::spawn(move || {
        let mut kept = String::new();
        let Some(stderr) = stderr else { return kept };
        let mut reader = BufReader::new(stderr);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line);
            on_line(text.trim_end_matches(['\n', '\r']));
            kept.push_str(&text);
            line.clear();
            if kept.len() > 2 * STDERR_KEPT {
                kept = last(&kept);
            }
        }
        last(&kept).trim().to_owned()
    })
}

fn last(text: &str) -> String {
    let mut from = text.len().saturating_sub(STDERR_KEPT);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text[from..].to_owned()
}

fn wait(cmd: &Cmd, child: &mut Child) -> io::Result<Ended> {
    let began = Instant::now();
    // Waits for the end in the kernel, in another thread, without reaping the child.
    let (done, ended) = channel();
    let id = pid(child);
    thread::spawn(move || {
        let wait = rustix::process::waitid(
            rustix::process::WaitId::Pid(id),
            rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT,
        );
        done.send(wait).ok();
    });
    loop {
        match ended.recv_timeout(TICK) {
            Ok(_) | Err(RecvTimeoutError::Disconnected) => return child.wait().map(Ended::Exited),
            Err(RecvTimeoutError::Timeout) if signal::interrupted() => {
                end(child);
                return Ok(Ended::Interrupted);
            }
            Err(RecvTimeoutError::Timeout) => {
                if cmd.allowed().is_some_and(|most| began.elapsed() > most) {
                    end(child);
                    return Ok(Ended::Overdue);
                }
            }
        }
    }
}

/// Ends a piped tool at its deadline or when Kiln is told to stop. Dropping the sender ends it.
fn guard(cmd: &Cmd, child: &Child, overdue: Arc<AtomicBool>) -> Sender<()> {
    let (alive, gone) = channel::<()>();
    let (id, allowed, began) = (pid(child), cmd.allowed(), Instant::now());
    thread::spawn(move || {
        while matches!(gone.recv_timeout(TICK), Err(RecvTimeoutError::Timeout)) {
            if signal::interrupted() || allowed.is_some_and(|most| began.elapsed() > most) {
                overdue.store(true, Ordering::SeqCst);
                rustix::process::kill_process_group(id, Signal::TERM).ok();
                if matches!(gone.recv_timeout(GRACE), Err(RecvTimeoutError::Timeout)) {
                    rustix::process::kill_process_group(id, Signal::KILL).ok();
                }
                return;
            }
        }
    });
    alive
}

/// Ends a child and its process group: SIGTERM, then after [`GRACE`] SIGKILL.
pub(crate) fn end(child: &mut Child) {
    let group = pid(child);
    rustix::process::kill_process_group(group, Signal::TERM).ok();
    let began = Instant::now();
    while began.elapsed() < GRACE {
        match rustix::process::waitpid(Some(group), WaitOptions::NOHANG) {
            Ok(None) => thread::park_timeout(TICK / 10),
            _ => return,
        }
    }
    rustix::process::kill_process_group(group, Signal::KILL).ok();
    child.wait().ok();
}

fn pid(child: &Child) -> Pid {
    let raw = i32::try_from(child.id()).expect("a process id fits pid_t, which is i32 on Linux");
    Pid::from_raw(raw).expect("the id of a started child is not 0")
}

fn judge(cmd: &Cmd, ended: io::Result<Ended>, stderr: &str) -> Result<i32, CmdError> {
    let shown = cmd.to_string();
    let status = match ended.map_err(|source| CmdError::Start { cmd: shown.clone(), source })? {
        Ended::Exited(status) => status,
        Ended::Interrupted => return Err(CmdError::Interrupted { cmd: shown }),
        Ended::Overdue => {
            let allowed = cmd.allowed().unwrap_or_default();
            return Err(CmdError::Deadline { cmd: shown, allowed, stderr: stderr.to_owned() });
        }
    };
    match status.code() {
        Some(code) if cmd.is_ok(code) => Ok(code),
        Some(code) => Err(failed(shown, format!("status {code}"), stderr)),
        None => {
            let signal = status.signal().unwrap_or_default();
            let name = signal::name(signal);
            Err(failed(shown, format!("signal {name}"), stderr))
        }
    }
}

fn failed(cmd: String, status: String, stderr: &str) -> CmdError {
    CmdError::Failed { cmd, status, stderr: stderr.to_owned() }
}

fn join<T>(thread: JoinHandle<T>) -> T {
    match thread.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_command_status_and_stderr() {
        let cmd = Cmd::new(Tool::Ssh).arg("-Q").arg("nothing-of-the-kind");
        let error = RealHost.run(&cmd).unwrap_err().to_string();
        assert!(error.starts_with("`ssh -Q nothing-of-the-kind` failed with status "), "{error}");
    }

    #[test]
    fn output_is_read_whole() {
        let out = RealHost.run(&Cmd::new(Tool::Ssh).arg("-Q").arg("key")).unwrap();
        assert!(String::from_utf8(out.stdout).unwrap().lines().any(|l| l == "ssh-ed25519"));
    }

    #[test]
    fn a_tool_that_takes_too_long_is_ended() {
        // A listening address that never answers; the deadline is shorter than ssh's own.
        let cmd = Cmd::new(Tool::Ssh)
            .args(["-oProxyCommand=sleep 60", "nowhere.invalid"])
            .deadline(Some(Duration::from_millis(300)));
        let began = Instant::now();
        let error = RealHost.run(&cmd).unwrap_err();
        assert!(matches!(error, CmdError::Deadline { .. }), "{error}");
        assert!(began.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_pipe_can_be_read_and_judged() {
        let mut pipe =
            RealHost.pipe(&Cmd::new(Tool::Ssh).arg("-Q").arg("cipher"), Box::new(|_| ())).unwrap();
        let mut text = String::new();
        pipe.read_to_string(&mut text).unwrap();
        pipe.finish().unwrap();
        assert!(text.contains("aes256-ctr"));
    }
}
