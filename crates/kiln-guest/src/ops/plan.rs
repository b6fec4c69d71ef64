// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From arguments to what is to be done.

use std::path::Path;

use super::commands_from_file;
use super::{Action, ArgumentError, EditError, OPERATIONS, Operation, Parsed, Setting};
use crate::system::crypt::Crypto;
use crate::tree::GuestPath;

/// One operation that is to be done.
#[derive(Debug)]
pub struct Step {
    /// The operation.
    pub operation: &'static Operation,
    /// Its argument, as far as it may be shown.
    pub argument: String,
    /// What to do.
    pub action: Box<dyn Action>,
}

/// What holds for all operations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// How passwords are hashed.
    pub crypto: Crypto,
    /// Whether new files are to get no SELinux labels.
    pub no_relabel: bool,
    /// Directories whose files get none.
    pub relabel_exclude: Vec<GuestPath>,
}

/// Operations to be done, in order.
#[derive(Debug, Default)]
pub struct Plan {
    /// The operations.
    pub steps: Vec<Step>,
    /// What holds for all of them.
    pub settings: Settings,
}

impl Plan {
    /// Adds the operation `name` with its argument. That of `commands-from-file` is read at
    /// once, and its operations are added.
    ///
    /// # Errors
    ///
    /// See [`ArgumentError`].
    pub fn add(&mut self, name: &str, argument: Option<&str>) -> Result<(), ArgumentError> {
        let (operation, parsed) = parse(name, argument)?;
        match parsed {
            Parsed::Commands(path) => commands_from_file::read(self, &path),
            parsed => {
                self.push(operation, argument.unwrap_or_default(), parsed);
                Ok(())
            }
        }
    }

    /// Looks whether the files of the host that the operations need are there and can be read.
    ///
    /// # Errors
    ///
    /// The first operation that cannot be done, and why.
    pub fn check(&self) -> Result<(), EditError> {
        self.steps.iter().try_for_each(|step| {
            step.action.check().map_err(|source| EditError {
                operation: step.operation.name,
                argument: step.argument.clone(),
                source,
            })
        })
    }

    /// Adds an operation from a file, which may not name another file.
    pub(super) fn add_from_file(
        &mut self,
        (path, line): (&Path, usize),
        name: &str,
        argument: Option<&str>,
    ) -> Result<(), ArgumentError> {
        let wrong =
            |source| ArgumentError::Line { path: path.to_owned(), line, source: Box::new(source) };
        match parse(name, argument).map_err(wrong)? {
            (_, Parsed::Commands(_)) => Err(wrong(ArgumentError::Nested)),
            (operation, parsed) => {
                self.push(operation, argument.unwrap_or_default(), parsed);
                Ok(())
            }
        }
    }

    /// Returns whether programs of the guest are to run.
    #[must_use]
    pub fn runs_programs(&self) -> bool {
        self.steps.iter().any(|step| step.operation.runs_programs)
    }

    /// Returns whether the user's own SSH keys are asked for.
    #[must_use]
    pub fn wants_keys(&self) -> bool {
        let own = |step: &Step| step.operation.name == "ssh-inject" && !step.argument.contains(':');
        self.steps.iter().any(own)
    }

    fn push(&mut self, operation: &'static Operation, argument: &str, parsed: Parsed) {
        match parsed {
            Parsed::Action(action) => {
                let argument = operation.show(argument);
                self.steps.push(Step { operation, argument, action });
            }
            Parsed::Setting(Setting::Crypto(crypto)) => self.settings.crypto = crypto,
            Parsed::Setting(Setting::NoRelabel) => self.settings.no_relabel = true,
            Parsed::Setting(Setting::RelabelExclude(path)) => {
                self.settings.relabel_exclude.push(path);
            }
            Parsed::Setting(Setting::Nothing) | Parsed::Commands(_) => {}
        }
    }
}

fn parse(
    name: &str,
    argument: Option<&str>,
) -> Result<(&'static Operation, Parsed), ArgumentError> {
    let operation = Operation::find(name)
        .ok_or_else(|| ArgumentError::Unknown { name: name.to_owned(), nearest: nearest(name) })?;
    let name = operation.name;
    let given = match (operation.argument, argument) {
        (Some(syntax), None) => return Err(ArgumentError::Missing { name, syntax }),
        (None, Some(_)) => return Err(ArgumentError::Unwanted { name }),
        (_, given) => given.unwrap_or_default(),
    };
    let parsed = (operation.parse)(given).map_err(|source| {
        let syntax = operation.argument.unwrap_or_default();
        ArgumentError::Wrong { name, argument: operation.show(given), syntax, source }
    })?;
    Ok((operation, parsed))
}

/// Returns the operation whose name looks most like `name`, if one does at all.
fn nearest(name: &str) -> Option<&'static str> {
    let near = OPERATIONS.iter().map(|o| (distance(name, o.name), o.name)).min()?;
    (near.0 <= 1 + near.1.len() / 4).then_some(near.1)
}

/// How many letters must be added, removed or replaced to make `b` of `a`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().take(64).enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = before + usize::from(from != *to);
            before = row[j + 1];
            row[j + 1] = replaced.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_host_are_looked_for_before_anything_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().join("there").display().to_string();
        std::fs::write(&there, "x").unwrap();
        let none = folder.path().join("none").display().to_string();
        let dir = folder.path().display().to_string();
        for (name, [before, after]) in [
            ("upload", ["", ":/x"]),
            ("copy-in", ["", ":/x"]),
            ("tar-in", ["", ":/x"]),
            ("run", ["", ""]),
            ("firstboot", ["", ""]),
            ("root-password", ["file:", ""]),
            ("password", ["u:locked:file:", ""]),
            ("ssh-inject", ["root:file:", ""]),
        ] {
            let check = |path: &str| {
                let mut plan = Plan::default();
                plan.add(name, Some(&format!("{before}{path}{after}"))).unwrap();
                plan.check()
            };
            check(&there).unwrap();
            let error = check(&none).unwrap_err();
            assert_eq!(error.operation, name);
            assert_eq!(error.source.to_string(), format!("cannot read `{none}`"));
            // Of these only `copy-in` takes a folder.
            assert_eq!(check(&dir).is_ok(), name == "copy-in", "{name}");
        }
    }

    /// Who opens a pipe takes what is in it, or waits for ever.
    #[test]
    fn a_pipe_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let (cwd, mode) = (rustix::fs::CWD, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(cwd, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let mut plan = Plan::default();
        plan.add("upload", Some(&format!("{}:/x", path.display()))).unwrap();
        plan.check().unwrap();
    }
}
