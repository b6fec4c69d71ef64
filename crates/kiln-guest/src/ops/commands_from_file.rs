// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `commands-from-file`, and the grammar of such files.

use std::path::Path;

use kiln_host::read::bounded;

use super::argument::host_path;
use super::{ArgumentError, Operation, Parsed, Plan, Shown};

/// The most that is read of such a file.
const MOST: u64 = 16 << 20;

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "commands-from-file",
    argument: Some("FILENAME"),
    heading: "Read operations from a file",
    documentation: "\
Reads operations from a file of the host, one a line, without the leading dashes, each with its \
argument as it is, without quotes:

  # the name of the machine
  hostname web
  write /etc/motd:Welcome.\\
  Be kind.
  root-password file:/run/secrets/root

Empty lines and lines that begin with # are left out; blanks before an operation, too. A backslash \
at the end of a line makes the next one a part of the argument, with the line end between them. \
The operations are done where this one stands. Such a file cannot name another.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| Ok(Parsed::Commands(host_path(text)?)),
};

/// Adds the operations of the file at `path` to a plan.
pub(super) fn read(plan: &mut Plan, path: &Path) -> Result<(), ArgumentError> {
    let failed = |source| ArgumentError::File { path: path.to_owned(), source };
    let bytes = bounded(path, MOST).map_err(failed)?;
    let text = String::from_utf8(bytes).map_err(|error| failed(std::io::Error::other(error)))?;
    for (line, text) in lines(&text) {
        let text = text.trim_start();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let (name, argument) = match text.split_once(' ') {
            Some((name, argument)) => (name, Some(argument)),
            None => (text, None),
        };
        // An operation without an argument may have blanks after it.
        let takes_none = Operation::find(name).is_some_and(|o| o.argument.is_none());
        let argument = argument.filter(|a| !(takes_none && a.trim().is_empty()));
        plan.add_from_file((path, line), name, argument)?;
    }
    Ok(())
}

/// Returns the lines, joined where a backslash ends one, each with its number from 1.
fn lines(text: &str) -> Vec<(usize, String)> {
    let mut all: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (at, line) in text.lines().enumerate() {
        let (line, more) = match line.strip_suffix('\\') {
            Some(line) => (line, true),
            None => (line, false),
        };
        match all.last_mut().filter(|_| open) {
            Some((_, last)) => {
                last.push('\n');
                last.push_str(line);
            }
            None => all.push((at + 1, line.to_owned())),
        }
        open = more;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backslash_joins_lines_with_a_line_end() {
        let got = lines("a x\\\n  y\n\n# c\nb\\\n");
        let want = [(1, "a x\n  y"), (3, ""), (4, "# c"), (5, "b")];
        let want: Vec<_> = want.iter().map(|(n, t)| (*n, (*t).to_owned())).collect();
        assert_eq!(got, want);
    }
}
