// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The console on a real terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::tcgetattr;

use crate::lab::Lab;

/// How long the guest may take to answer the Enter key.
const PROMPT: Duration = Duration::from_secs(300);

/// Attaches a terminal, presses Enter until the guest prompts, leaves with Ctrl-].
pub(crate) fn console_is_left_with_the_terminal_as_it_was(lab: &Lab, name: &str) {
    answers(lab, name, b"\r", "login:");
}

/// Attaches a terminal, types again and again until the guest shows what is wanted, leaves with
/// Ctrl-]; the terminal is then as it was.
pub(crate) fn answers(lab: &Lab, name: &str, typed: &[u8], wanted: &str) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("it can be opened");
    let path = ptsname(&master, Vec::new()).expect("its name");
    let slave = File::options()
        .read(true)
        .write(true)
        .open(path.to_str().expect("a path"))
        .expect("its other end");
    let before = format!("{:?}", tcgetattr(&slave).expect("its settings"));
    let end = || Stdio::from(OwnedFd::from(slave.try_clone().expect("cloned")));
    #[expect(clippy::disallowed_methods, reason = "the program under test needs this terminal")]
    let mut kiln = std::process::Command::new(env!("CARGO_BIN_EXE_kiln"))
        .args(["console", name])
        .env("KILN_HOME", &lab.home)
        .stdin(end())
        .stdout(end())
        .stderr(end())
        .spawn()
        .expect("started");
    let mut terminal = File::from(master);
    let seen = press_until(&mut terminal, typed, wanted);
    assert!(seen.contains(wanted), "{seen}");
    terminal.write_all(&[0x1d]).expect("Ctrl-] is typed");
    let seen = press_until(&mut terminal, b"", "left the console of");
    assert!(seen.contains(&format!("left the console of `{name}`")), "{seen}");
    assert!(kiln.wait().expect("it ends").success());
    assert_eq!(format!("{:?}", tcgetattr(&slave).expect("its settings")), before);
}

/// Types `key` again and again and returns all that was shown, until `wanted` is among it.
fn press_until(terminal: &mut File, key: &[u8], wanted: &str) -> String {
    let began = Instant::now();
    let mut seen = Vec::new();
    while began.elapsed() < PROMPT {
        terminal.write_all(key).expect("typed");
        let mut fds = [PollFd::new(terminal, PollFlags::IN)];
        let second = Timespec { tv_sec: 1, tv_nsec: 0 };
        if poll(&mut fds, Some(&second)).expect("polled") > 0 {
            let mut buf = [0; 4096];
            match terminal.read(&mut buf) {
                Ok(n) => seen.extend_from_slice(&buf[..n]),
                Err(_) => break,
            }
        }
        if String::from_utf8_lossy(&seen).contains(wanted) {
            break;
        }
    }
    String::from_utf8_lossy(&seen).into_owned()
}
