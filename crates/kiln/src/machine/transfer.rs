// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Programs and files in a guest, through its agent: no network, no login, as root.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use kiln_host::signal;
use kiln_libvirt::agent::{Agent, Exec, ExecStatus, FileHandle, FileMode, READ_PIECE, WRITE_PIECE};
use uuid::Uuid;

use super::existing::Machine;
use crate::error::{Class, Problem};

/// How long the agent may take for one answer.
const ANSWER: Duration = Duration::from_secs(20);
/// The first wait for a program's end; each next one is longer, up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(20);
/// The longest wait between two looks.
const LONGEST: Duration = Duration::from_millis(500);

/// Where a program's streams are kept in the guest while it runs: memory, gone after a restart.
const STREAMS: &str = "/run/kiln-exec-";

/// Gets a program's output, piece by piece: standard output first, standard error second.
pub(crate) struct Sinks<'a> {
    /// Standard output.
    pub(crate) stdout: &'a mut dyn FnMut(&[u8]),
    /// Standard error.
    pub(crate) stderr: &'a mut dyn FnMut(&[u8]),
}

/// Runs `command` in the guest to its end and returns its exit status, 128 + n for signal n, as a
/// shell would say. Its output is handed on while it runs.
///
/// The agent could keep the output itself, but an answer of more than 4 MiB breaks libvirt's
/// channel to the agent until the machine is restarted (measured with libvirt 11.3). So a shell
/// in the guest leads the streams into files that only root can read, and they are read in
/// pieces.
///
/// # Errors
///
/// The machine is off (class object); no agent, no shell in the guest, or the time is up (class
/// guest).
pub(crate) fn exec(
    machine: &Machine,
    command: &[String],
    input: &[u8],
    timeout: Option<Duration>,
    sinks: Sinks<'_>,
) -> anyhow::Result<u8> {
    let agent = agent(machine)?;
    let Some(name) = command.first() else {
        return Err(Problem::new(Class::Usage, "no command is given").into());
    };
    let folder = format!("{STREAMS}{}", Uuid::now_v7());
    quick(&agent, machine, &["mkdir", "-m", "700", &folder])?;
    if !input.is_empty() {
        agent.write_file(&format!("{folder}/in"), input)?;
    }
    let from = if input.is_empty() { "/dev/null" } else { "$d/in" };
    // The shell is called kiln: it says so where it cannot find the program.
    let script = format!("d=$1; shift; exec \"$@\" <\"{from}\" >\"$d/out\" 2>\"$d/err\"");
    let shell = ["-c".to_owned(), script, "kiln".to_owned(), folder.clone()];
    let program = Exec {
        path: "/bin/sh".to_owned(),
        args: shell.into_iter().chain(command.iter().cloned()).collect(),
        ..Exec::default()
    };
    let pid = agent.exec(&program).map_err(|error| not_run(machine, name, error))?;
    let status = until_end(&agent, machine, (name, pid, &folder), timeout, sinks)?;
    quick(&agent, machine, &["rm", "-rf", &folder])?;
    let code = match (status.code, status.signal) {
        (_, Some(signal)) => 128_i64.saturating_add(signal),
        (Some(code), None) => code,
        (None, None) => 0,
    };
    Ok(u8::try_from(code).unwrap_or(255))
}

/// Runs a short command of Kiln's own, whose output is nobody's.
fn quick(agent: &Agent, machine: &Machine, command: &[&str]) -> anyhow::Result<()> {
    let program = Exec {
        path: command[0].to_owned(),
        args: command[1..].iter().map(|arg| (*arg).to_owned()).collect(),
        ..Exec::default()
    };
    let pid = agent.exec(&program).map_err(|error| not_run(machine, command[0], error))?;
    let mut pause = FIRST;
    loop {
        let status = agent.exec_status(pid)?;
        match (status.exited, status.code) {
            (false, _) => {}
            (true, Some(0)) => return Ok(()),
            (true, _) => {
                let what = format!("`{}` failed in `{}`", command.join(" "), machine.name);
                return Err(Problem::new(Class::Guest, what).into());
            }
        }
        std::thread::park_timeout(pause);
        pause = (pause * 2).min(LONGEST);
    }
}

fn not_run(machine: &Machine, path: &str, error: kiln_libvirt::Error) -> anyhow::Error {
    if !error.is_agent_refusal() {
        return error.into();
    }
    let what = format!("could not run `{path}` in `{}`", machine.name);
    let hint = "may the guest's agent run programs? (its block list says)";
    Problem::new(Class::Guest, what).hint(hint).because(error).into()
}

/// A file of the guest that grows, and how much of it was read.
struct Growing {
    path: String,
    open: Option<FileHandle>,
}

impl Growing {
    /// Reads all that is there, in pieces. A file that is not made yet has nothing.
    fn drain(&mut self, agent: &Agent, sink: &mut dyn FnMut(&[u8])) -> anyhow::Result<()> {
        let file = match self.open {
            Some(file) => file,
            None => match agent.open(&self.path, FileMode::Read) {
                Ok(file) => *self.open.insert(file),
                Err(error) if error.is_agent_refusal() => return Ok(()),
                Err(error) => return Err(error.into()),
            },
        };
        loop {
            let piece = agent.read(file, READ_PIECE)?;
            if piece.is_empty() {
                return Ok(());
            }
            sink(&piece);
        }
    }
}

fn until_end(
    agent: &Agent,
    machine: &Machine,
    (path, pid, folder): (&str, i64, &str),
    timeout: Option<Duration>,
    sinks: Sinks<'_>,
) -> anyhow::Result<ExecStatus> {
    let began = Instant::now();
    let mut pause = FIRST;
    let file = |name: &str| Growing { path: format!("{folder}/{name}"), open: None };
    let (mut out, mut err) = (file("out"), file("err"));
    loop {
        // Asked before the files are read: what was written before the end is read after it.
        let status = agent.exec_status(pid)?;
        out.drain(agent, sinks.stdout)?;
        err.drain(agent, sinks.stderr)?;
        if status.exited {
            for open in [out.open, err.open].into_iter().flatten() {
                agent.close(open)?;
            }
            return Ok(status);
        }
        let late = timeout.is_some_and(|most| began.elapsed() > most);
        if late || signal::interrupted() {
            let name = &machine.name;
            let what =
                format!("`{path}` has not ended in `{name}`; it goes on there as process {pid}");
            let hint = format!("`kiln exec {name} -- kill {pid}` ends it");
            return Err(Problem::new(Class::Guest, what).hint(hint).into());
        }
        // The agent has no event for a program's end.
        std::thread::park_timeout(pause);
        pause = (pause * 2).min(LONGEST);
    }
}

/// Returns the agent of a running machine.
///
/// # Errors
///
/// The machine is off (class object).
pub(crate) fn agent(machine: &Machine) -> anyhow::Result<Agent> {
    machine.expect_running()?;
    Ok(machine.domain.agent(ANSWER))
}

/// Copies one file into the guest, with its mode.
///
/// # Errors
///
/// What the agent says; what reading says.
pub(crate) fn send(machine: &Machine, from: &Path, to: &str) -> anyhow::Result<u64> {
    use std::os::unix::fs::PermissionsExt;
    let agent = agent(machine)?;
    let mut source = File::open(from)?;
    let mode = source.metadata()?.permissions().mode() & 0o7777;
    let file = agent.open(to, FileMode::Write)?;
    let mut buf = vec![0; WRITE_PIECE];
    let mut sent = 0;
    let moved = loop {
        match source.read(&mut buf) {
            Ok(0) => break Ok(()),
            Ok(n) => {
                if let Err(error) = agent.write(file, &buf[..n]) {
                    break Err(error.into());
                }
                sent += n as u64;
            }
            Err(error) => break Err(anyhow::Error::new(error)),
        }
    };
    let closed = agent.close(file);
    moved?;
    closed?;
    quick(&agent, machine, &["chmod", &format!("{mode:04o}"), "--", to])?;
    Ok(sent)
}

/// Copies one file out of the guest.
///
/// # Errors
///
/// What the agent says; what writing says.
pub(crate) fn fetch(machine: &Machine, from: &str, to: &Path) -> anyhow::Result<u64> {
    let agent = agent(machine)?;
    let file =
        agent.open(from, FileMode::Read).map_err(|error| match error.is_agent_refusal() {
            true => {
                let what = format!("`{}` has no file `{from}` that could be read", machine.name);
                Problem::new(Class::Object, what).because(error).into()
            }
            false => anyhow::Error::new(error),
        })?;
    let mut target = tempfile::NamedTempFile::new_in(to.parent().unwrap_or(Path::new(".")))?;
    let mut got = 0;
    let moved = loop {
        match agent.read(file, READ_PIECE) {
            Ok(piece) if piece.is_empty() => break Ok(()),
            Ok(piece) => {
                if let Err(error) = target.write_all(&piece) {
                    break Err(anyhow::Error::new(error));
                }
                got += piece.len() as u64;
            }
            Err(error) => break Err(error.into()),
        }
    };
    let closed = agent.close(file);
    moved?;
    closed?;
    target.persist(to)?;
    Ok(got)
}
