// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Programs and files in a guest, through its agent: no network, no login, as root.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use kiln_host::signal;
use kiln_libvirt::agent::{Agent, Exec, ExecStatus, FileMode, MOST_INPUT, READ_PIECE, WRITE_PIECE};
use uuid::Uuid;

use super::existing::Machine;
use crate::error::{Class, Problem};

/// How long the agent may take for one answer.
const ANSWER: Duration = Duration::from_secs(20);
/// The first wait for a program's end; each next one is longer, up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(20);
/// The longest wait between two looks.
const LONGEST: Duration = Duration::from_millis(500);

/// What became of a program in the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    /// Its exit status, 128 + n for signal n, as a shell would say.
    pub(crate) code: u8,
    /// Its standard output.
    pub(crate) stdout: Vec<u8>,
    /// Its standard error.
    pub(crate) stderr: Vec<u8>,
    /// Whether the agent kept only a part of the output.
    pub(crate) truncated: bool,
}

/// Runs `command` in the guest to its end.
///
/// # Errors
///
/// The machine is off (class object); no agent, a program that the guest does not have, or the
/// time is up (class guest).
pub(crate) fn exec(
    machine: &Machine,
    command: &[String],
    input: &[u8],
    timeout: Option<Duration>,
) -> anyhow::Result<Done> {
    let agent = agent(machine)?;
    let [path, args @ ..] = command else {
        return Err(Problem::new(Class::Usage, "no command is given").into());
    };
    let staged = if input.len() > MOST_INPUT { Some(stage(&agent, input)?) } else { None };
    let program = match &staged {
        // The shell opens the file as the program's standard input, and nothing else.
        Some(file) => Exec {
            path: "/bin/sh".to_owned(),
            args: ["-c", "exec \"$@\" <\"$0\"", file, path]
                .into_iter()
                .map(str::to_owned)
                .chain(args.iter().cloned())
                .collect(),
            capture: true,
            ..Exec::default()
        },
        None => Exec {
            path: path.clone(),
            args: args.to_vec(),
            input: Some(input.to_vec()).filter(|i| !i.is_empty()),
            capture: true,
            ..Exec::default()
        },
    };
    let pid = agent.exec(&program).map_err(|error| not_run(machine, path, error))?;
    let ended = until_end(&agent, machine, path, pid, timeout);
    if let Some(file) = staged {
        let rm =
            Exec { path: "rm".to_owned(), args: vec!["-f".to_owned(), file], ..Exec::default() };
        agent.exec(&rm)?;
    }
    let status = ended?;
    let code = match (status.code, status.signal) {
        (_, Some(signal)) => 128_i64.saturating_add(signal),
        (Some(code), None) => code,
        (None, None) => 0,
    };
    Ok(Done {
        code: u8::try_from(code).unwrap_or(255),
        stdout: status.stdout,
        stderr: status.stderr,
        truncated: status.truncated,
    })
}

fn not_run(machine: &Machine, path: &str, error: kiln_libvirt::Error) -> anyhow::Error {
    if !error.is_agent_refusal() {
        return error.into();
    }
    let what = format!("could not run `{path}` in `{}`", machine.name);
    let hint = "is the program there, and may the guest's agent run programs (its block list)?";
    Problem::new(Class::Guest, what).hint(hint).because(error).into()
}

fn until_end(
    agent: &Agent,
    machine: &Machine,
    path: &str,
    pid: i64,
    timeout: Option<Duration>,
) -> anyhow::Result<ExecStatus> {
    let began = Instant::now();
    let mut pause = FIRST;
    loop {
        let status = agent.exec_status(pid)?;
        if status.exited {
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

fn stage(agent: &Agent, input: &[u8]) -> anyhow::Result<String> {
    let file = format!("/run/kiln-input-{}", Uuid::now_v7());
    agent.write_file(&file, input)?;
    Ok(file)
}

/// Returns the agent of a running machine.
///
/// # Errors
///
/// The machine is off (class object).
pub(crate) fn agent(machine: &Machine) -> anyhow::Result<Agent> {
    if !machine.domain.state()?.is_active() {
        let problem = Problem::new(Class::Object, format!("`{}` is off", machine.name));
        return Err(problem.hint(format!("`kiln start {}`", machine.name)).into());
    }
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
    let chmod = [format!("{mode:04o}"), "--".to_owned(), to.to_owned()];
    let command: Vec<String> = std::iter::once("chmod".to_owned()).chain(chmod).collect();
    exec(machine, &command, &[], None)?;
    Ok(sent)
}

/// Copies one file out of the guest.
///
/// # Errors
///
/// What the agent says; what writing says.
pub(crate) fn fetch(machine: &Machine, from: &str, to: &Path) -> anyhow::Result<u64> {
    let agent = agent(machine)?;
    let file = agent.open(from, FileMode::Read)?;
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
