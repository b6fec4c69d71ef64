// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What tests share: asking for what they need, and running the real tools beside Kiln's own code.
//!
//! A test whose need is missing is counted as skipped, with the reason: [`need`] writes a line to
//! the file that `KILN_SKIPS` names, and `make test` ends with the list. With `CI=true` or
//! `KILN_TEST_REQUIRE` set a missing need is a failure.

mod files;
mod folder;
pub mod fuzz;
pub mod http;
pub mod named;

use std::io::Write;
use std::process::Stdio;

pub use files::Files;
pub use folder::Folder;
pub use fuzz::Rng;

/// What a program wrote and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Exit status; -1 if a signal ended it.
    pub code: i32,
    /// Standard output, as text.
    pub stdout: String,
    /// Standard error, as text.
    pub stderr: String,
}

impl Output {
    /// Returns the output if the status is 0.
    ///
    /// # Panics
    ///
    /// If it is not, with all that the program wrote.
    #[must_use]
    #[track_caller]
    pub fn success(self) -> Self {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }
}

/// Runs a program with arguments and waits for its end. Nothing is on its standard input.
///
/// # Panics
///
/// If it cannot be started.
#[must_use]
#[track_caller]
pub fn run(argv: &[&str]) -> Output {
    run_with(argv, &[])
}

/// Runs a program like [`run`], with variables added to its environment.
///
/// # Panics
///
/// If it cannot be started.
#[must_use]
#[track_caller]
pub fn run_with(argv: &[&str], envs: &[(&str, &str)]) -> Output {
    #[expect(clippy::disallowed_methods, reason = "tests run tools beside the code under test")]
    let mut command = std::process::Command::new(argv[0]);
    if !argv[0].contains('/') {
        // A user of Debian finds no mke2fs without this. Kiln, which is started by its path, gets
        // the user's own.
        let path = variable("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/local/sbin:/usr/sbin:/sbin"));
    }
    let out = command
        .args(&argv[1..])
        .envs(envs.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("could not start {argv:?}: {error}"));
    Output {
        code: out.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&out.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
    }
}

/// Returns whether a test can go on: `met` says that its need is there, `what` names the need.
///
/// # Panics
///
/// If the need is missing and tests must not be skipped (`CI=true` or `KILN_TEST_REQUIRE`).
#[must_use]
#[track_caller]
pub fn need(met: bool, what: &str) -> bool {
    if met {
        return true;
    }
    let caller = std::panic::Location::caller();
    let required =
        variable("CI").is_some_and(|v| v == "true") || variable("KILN_TEST_REQUIRE").is_some();
    assert!(!required, "needs {what}, and skipping is not allowed here");
    if let Some(list) = variable("KILN_SKIPS") {
        note(&list, &format!("skipped: {}:{}: needs {what}", caller.file(), caller.line()));
    }
    false
}

/// Adds a line to a list of tests.
fn note(list: &str, line: &str) {
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(list)
        .and_then(|mut list| writeln!(list, "{line}"))
        .expect("the list of tests can be written");
}

/// Returns whether the tests run as root, which `what` is done with. Where `KILN_ROOT_LATER` names a
/// list (`tools/test`, of a user who may use sudo), the calling test is put on it and is no failure:
/// it is run again as root.
///
/// # Panics
///
/// As [`need`]. If the list cannot be written.
#[must_use]
#[track_caller]
pub fn need_root(what: &str) -> bool {
    let root = run(&["id", "-u"]).success().stdout.trim() == "0";
    let list = variable("KILN_ROOT_LATER").filter(|list| !root && !list.is_empty());
    let Some(list) = list else {
        return need(root, &format!("root, for {what}"));
    };
    let program = std::env::current_exe().expect("this program");
    let folder = std::env::current_dir().expect("this folder");
    let thread = std::thread::current();
    let test = thread.name().filter(|name| *name != "main").expect("a thread for each test");
    note(&list, &format!("{} {} {test}", folder.display(), program.display()));
    false
}

/// Returns whether a program is installed; see [`need`] for what happens if it is not.
///
/// # Panics
///
/// As [`need`].
#[must_use]
#[track_caller]
pub fn need_program(name: &str) -> bool {
    let folders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    need(
        folders.iter().any(|f| std::path::Path::new(f).join(name).is_file()),
        &format!("the program `{name}`"),
    )
}

/// Returns a variable of the environment, if it is set to text.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "tests are steered by the environment")]
    std::env::var(name).ok()
}
