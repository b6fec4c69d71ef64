// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `guestfish`: a libguestfs appliance (a small Linux in QEMU) that holds a disk image, driven
//! over pipes: commands on its standard input, answers on its standard output.
//!
//! Source: guestfish(1), guestfs(3), libguestfs 1.48 to 1.54. A line holds one command and has
//! less than 8 KiB. After each command comes an `echo` with a word that the guest cannot guess;
//! what precedes it is the answer. A command that fails writes to standard error and, with `-`
//! before it, does not end the program; one that works writes nothing there. Messages are shown,
//! never understood.

use std::fmt;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::cmd::{Cmd, Tool};
use crate::run::CmdError;
use crate::signal;

/// The longest line that guestfish reads: `rl_gets` in fish/fish.c has a buffer of 8192 bytes.
const LINE: usize = 8000;
/// The most bytes of an answer: longer ones go through files.
const ANSWER: usize = 64 << 20;
/// The most bytes that are kept of an error's text.
const TEXT: usize = 4096;
/// How long one command may take; starting the appliance without KVM on a busy machine does.
const DEADLINE: Duration = Duration::from_secs(900);
/// The processor of an appliance that is emulated: all that QEMU can do but page tables of five
/// levels, which its kernel would use. Measured with QEMU 7.2: started in 47 s instead of 57 s.
const EMULATED: &str = "max,la57=off";
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Why the appliance did not do what it was told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FishError {
    /// guestfish could not be started.
    #[error("cannot start the appliance")]
    Start {
        /// Why.
        #[from]
        source: CmdError,
    },
    /// It refused a command.
    #[error("the appliance refused `{command}`: {text}")]
    Refused {
        /// The command's name.
        command: String,
        /// What it said, without control characters.
        text: String,
    },
    /// It ended, or its pipes failed.
    #[error("the appliance is gone: {text}")]
    Gone {
        /// The last that it said.
        text: String,
    },
    /// It took longer than it may.
    #[error("the appliance did not do `{command}` within {DEADLINE:?}")]
    Deadline {
        /// The command's name.
        command: String,
    },
    /// Kiln was told to stop.
    #[error("the appliance was stopped, because kiln was")]
    Interrupted,
    /// A command's line would be too long.
    #[error("the appliance cannot be told so long a path")]
    TooLong,
}

/// One word of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word<'a> {
    /// Taken as it is: a name, a number, `key:value`.
    Plain(&'a str),
    /// Quoted: any bytes but NUL.
    Bytes(&'a [u8]),
}

/// A command's name and its words.
pub type Command<'a> = (&'a str, Vec<Word<'a>>);

/// The most bytes that a command may have, its name, blanks and quotes included.
pub const MOST: usize = LINE;

/// How an appliance is started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fish {
    /// Whether KVM works on this host; otherwise its processor is emulated.
    pub kvm: bool,
}

/// A running guestfish. Dropped, it is ended, with its appliance.
pub struct Session {
    child: Child,
    output: OwnedFd,
    errors: OwnedFd,
    word: String,
    emulated: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("child", &self.child.id()).finish_non_exhaustive()
    }
}

/// Returns the command that starts guestfish; keys of disks come on its standard input.
#[must_use]
pub fn start(fish: &Fish) -> Cmd {
    let cmd = Cmd::new(Tool::Guestfish)
        .args(["--keys-from-stdin", "--no-progress-bars"])
        .env("LIBGUESTFS_BACKEND", "direct")
        .env("HOME", "/")
        .deadline(None);
    if fish.kvm { cmd } else { cmd.env("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg") }
}

impl Session {
    /// Starts guestfish, without its appliance: that is the command `run`. `word` is one that
    /// nobody can guess.
    ///
    /// # Errors
    ///
    /// [`FishError::Start`].
    pub fn start(fish: &Fish, word: String) -> Result<Self, FishError> {
        let cmd = start(fish);
        let mut command = crate::run::command(&cmd)?;
        {
            use std::os::unix::process::CommandExt;
            command.process_group(0);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = crate::run::start(&cmd, command)?;
        let (Some(output), Some(errors)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(FishError::Gone { text: "it has no pipes".into() });
        };
        let (output, errors) = (OwnedFd::from(output), OwnedFd::from(errors));
        rustix::io::ioctl_fionbio(&errors, true)
            .map_err(|e| FishError::Gone { text: e.to_string() })?;
        Ok(Self { child, output, errors, word, emulated: !fish.kvm })
    }

    /// Does one command and returns what it wrote.
    ///
    /// # Errors
    ///
    /// [`FishError::Refused`], after which others can be done; all others end the session.
    pub fn call(&mut self, name: &str, words: &[Word<'_>]) -> Result<Vec<u8>, FishError> {
        self.call_with(name, words, None)
    }

    /// Does a command that asks for a key.
    ///
    /// # Errors
    ///
    /// As [`Session::call`].
    pub fn call_with(
        &mut self,
        name: &str,
        words: &[Word<'_>],
        key: Option<&[u8]>,
    ) -> Result<Vec<u8>, FishError> {
        let mut lines = Vec::new();
        command(&mut lines, name, words)?;
        if let Some(key) = key {
            lines.extend_from_slice(key);
            lines.push(b'\n');
        }
        self.send(lines)?;
        self.answer(name)
    }

    /// Does several commands, of whose answers nothing is wanted, one after the other; also those
    /// after one that was refused.
    ///
    /// # Errors
    ///
    /// As [`Session::call`]; a refusal names the first command and says what each was refused for.
    pub fn call_all(&mut self, commands: &[Command<'_>]) -> Result<(), FishError> {
        let Some((first, _)) = commands.first() else { return Ok(()) };
        let mut lines = Vec::new();
        for (name, words) in commands {
            command(&mut lines, name, words)?;
        }
        self.send(lines)?;
        self.answer(first).map(drop)
    }

    /// Starts the appliance.
    ///
    /// # Errors
    ///
    /// [`FishError::Refused`] if it does not start; all others end the session.
    pub fn launch(&mut self) -> Result<(), FishError> {
        if self.emulated && std::env::consts::ARCH == "x86_64" {
            let words = [Word::Plain("-cpu"), Word::Plain(EMULATED)];
            match self.call("config", &words) {
                // It starts without, too.
                Ok(_) | Err(FishError::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let text = match self.call("run", &[]) {
            Ok(_) => String::new(),
            // A warning is also written to standard error.
            Err(FishError::Refused { text, .. }) => text,
            Err(error) => return Err(error),
        };
        match self.call("ping-daemon", &[]) {
            Err(FishError::Refused { .. }) => {
                Err(FishError::Refused { command: "run".to_owned(), text })
            }
            answer => answer.map(drop),
        }
    }

    /// Hands lines to guestfish, and the one that ends the answer.
    fn send(&mut self, mut lines: Vec<u8>) -> Result<(), FishError> {
        lines.extend_from_slice(format!("echo {}\n", self.word).as_bytes());
        let sent = self.child.stdin.as_mut().is_some_and(|stdin| {
            // guestfish reads them all before it blocks: its answers are shorter than a pipe.
            stdin.write_all(&lines).and_then(|()| stdin.flush()).is_ok()
        });
        if sent { Ok(()) } else { Err(self.gone()) }
    }

    /// Ends guestfish in good order: file systems are unmounted, everything is on the disk.
    ///
    /// # Errors
    ///
    /// [`FishError::Refused`] if the appliance could not write everything.
    pub fn finish(mut self) -> Result<(), FishError> {
        self.call("umount-all", &[])?;
        self.call("shutdown", &[])?;
        self.child.stdin = None;
        let text = |e: io::Error| FishError::Gone { text: e.to_string() };
        let status = self.child.wait().map_err(text)?;
        if status.success() { Ok(()) } else { Err(self.gone()) }
    }

    /// Reads standard output up to the word that ends an answer.
    fn answer(&mut self, name: &str) -> Result<Vec<u8>, FishError> {
        let began = Instant::now();
        let end = format!("{}\n", self.word).into_bytes();
        let (mut all, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
        let mut held = String::new();
        loop {
            let (out, err) = self.wait()?;
            if err {
                // Read now, so that it does not stop at a full pipe; told with the answer.
                held.push_str(&self.said());
            }
            if out {
                match rustix::io::read(&self.output, &mut buffer[..]) {
                    Ok(0) => return Err(FishError::Gone { text: held + &self.said() }),
                    Ok(n) => all.extend_from_slice(&buffer[..n]),
                    Err(Errno::INTR) => {}
                    Err(errno) => return Err(FishError::Gone { text: errno.to_string() }),
                }
                if all.ends_with(&end) {
                    all.truncate(all.len() - end.len());
                    let text = held + &self.said();
                    if text.is_empty() {
                        return Ok(all);
                    }
                    return Err(FishError::Refused { command: name.to_owned(), text });
                }
            }
            if signal::interrupted() {
                return Err(FishError::Interrupted);
            }
            if began.elapsed() > DEADLINE || all.len() > ANSWER {
                return Err(FishError::Deadline { command: name.to_owned() });
            }
        }
    }

    fn wait(&self) -> Result<(bool, bool), FishError> {
        let mut fds =
            [PollFd::new(&self.output, PollFlags::IN), PollFd::new(&self.errors, PollFlags::IN)];
        match poll(&mut fds, Some(&TICK)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(FishError::Gone { text: errno.to_string() }),
        }
        let out = !fds[0].revents().is_empty();
        Ok((out, fds[1].revents().contains(PollFlags::IN)))
    }

    /// Returns what is on standard error now, without control characters.
    fn said(&self) -> String {
        let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(n) = rustix::io::read(&self.errors, &mut buffer[..]) {
            if n == 0 || all.len() > TEXT {
                break;
            }
            all.extend_from_slice(&buffer[..n]);
        }
        let text = String::from_utf8_lossy(&all);
        let lines = text.lines().map(|line| line.replace(char::is_control, ""));
        lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
    }

    fn gone(&self) -> FishError {
        FishError::Gone { text: self.said() }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            crate::run::end(&mut self.child);
        }
    }
}

/// Appends a command that may fail, as a line.
fn command(lines: &mut Vec<u8>, name: &str, words: &[Word<'_>]) -> Result<(), FishError> {
    let start = lines.len();
    lines.push(b'-');
    lines.extend_from_slice(name.as_bytes());
    for word in words {
        lines.push(b' ');
        put(lines, word);
    }
    if lines.len() - start > LINE {
        return Err(FishError::TooLong);
    }
    lines.push(b'\n');
    Ok(())
}

/// Returns how many bytes a word of these bytes takes at most.
#[must_use]
pub fn quoted_len(bytes: &[u8]) -> usize {
    let len = |byte: &u8| match byte {
        b'"' | b'\\' => 2,
        0..32 | 127 => 4,
        _ => 1,
    };
    bytes.iter().map(len).sum::<usize>() + 2
}

/// Appends a word as guestfish reads it back: guestfish(1), "Escape sequences in double quoted
/// arguments".
fn put(line: &mut Vec<u8>, word: &Word<'_>) {
    match word {
        Word::Plain(text) => line.extend_from_slice(text.as_bytes()),
        Word::Bytes(bytes) => {
            line.push(b'"');
            for byte in *bytes {
                match byte {
                    b'"' | b'\\' => line.extend([b'\\', *byte]),
                    0..32 | 127 => line.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
                    _ => line.push(*byte),
                }
            }
            line.push(b'"');
        }
    }
}

/// Returns a path of the host as a word.
#[must_use]
pub fn host(path: &Path) -> Word<'_> {
    use std::os::unix::ffi::OsStrExt;
    Word::Bytes(path.as_os_str().as_bytes())
}

/// Returns the number that a structure of an answer has under a name: `bavail: 12`.
#[must_use]
pub fn number(answer: &[u8], name: &str) -> Option<i64> {
    std::str::from_utf8(answer).ok()?.lines().find_map(|line| {
        let (key, value) = line.trim().split_once(": ")?;
        (key == name).then(|| value.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_out_of_a_structure() {
        let text = b"  bsize: 4096\n  blocks: -1\n  bavail: 7\n";
        assert_eq!((number(text, "bavail"), number(text, "blocks")), (Some(7), Some(-1)));
        assert_eq!(number(text, "bava"), None);
    }

    #[test]
    fn any_name_is_one_word() {
        let mut line = Vec::new();
        put(&mut line, &Word::Bytes(b"/a b\"\\\n\x7f\xff|$'"));
        assert_eq!(line, b"\"/a b\\\"\\\\\\x0a\\x7f\xff|$'\"");
        assert_eq!(quoted_len(b"/a b\"\\\n\x7f\xff|$'"), line.len());
    }

    #[test]
    fn a_command_is_one_line_of_bounded_length() {
        let mut lines = Vec::new();
        command(&mut lines, "ln-s", &[Word::Bytes(b"a\nb"), Word::Plain("c")]).unwrap();
        assert_eq!(lines, b"-ln-s \"a\\x0ab\" c\n");
        let long = command(&mut lines, "rm", &[Word::Bytes(&[b'\n'; 2000])]);
        assert!(matches!(long, Err(FishError::TooLong)));
    }

    #[test]
    fn an_appliance_without_kvm_says_so() {
        assert!(start(&Fish { kvm: false }).to_string().starts_with("guestfish --keys-from-stdin"));
    }
}
