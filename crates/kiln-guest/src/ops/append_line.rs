// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `append-line`.

use super::argument::{action, pair, path};
use super::{Action, Operation, Problem, Scene, Shown, Wrong};
use crate::tree::{GuestPath, Kind, Tree as _, TreeError};

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "append-line",
    argument: Some("FILE:LINE"),
    heading: "Append a line to a file of the guest",
    documentation: "\
Appends LINE to FILE. If the file does not end with a line end, one is added before. The line end \
is the file's own: that of Windows where the file has it. A file that is not there is made.

To append several lines, use the operation several times; an empty LINE is an empty line:

  --append-line '/etc/hosts:10.0.0.1 db' --append-line '/etc/hosts:10.0.0.2 web'",
    runs_programs: false,
    shown: Shown::First,
    parse: |text| {
        let (file, line) = pair(text)?;
        if line.contains('\n') {
            return Err(Wrong::new("it is more than one line: use the operation once for each"));
        }
        action(AppendLine { file: path(file)?, line: line.to_owned() })
    },
};

#[derive(Debug)]
struct AppendLine {
    file: GuestPath,
    line: String,
}

impl Action for AppendLine {
    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        let mut text = match scene.tree.stat(&self.file)? {
            Some(stat) if stat.kind != Kind::File => {
                return Err(TreeError::NotAFile { path: self.file.clone() }.into());
            }
            Some(_) => scene.text(&self.file)?,
            None => Vec::new(),
        };
        append(&mut text, self.line.as_bytes());
        Ok(scene.put(&self.file, &text, 0o644)?)
    }
}

/// Appends a line with the line end that the text uses.
pub(super) fn append(text: &mut Vec<u8>, line: &[u8]) {
    // As virt-customize: what the first part of the file has decides.
    let head = &text[..text.len().min(8192)];
    let end: &[u8] = if head.windows(2).any(|two| two == b"\r\n") {
        b"\r\n"
    } else if head.contains(&b'\n') || !head.contains(&b'\r') {
        b"\n"
    } else {
        b"\r"
    };
    let end = end.to_vec();
    if !text.is_empty() && !text.ends_with(&end) {
        text.extend(&end);
    }
    text.extend(line);
    text.extend(&end);
}

#[cfg(test)]
mod tests {
    use super::append;

    #[test]
    fn the_line_end_is_the_files_own() {
        for (before, after) in [
            ("", "x\n"),
            ("a", "a\nx\n"),
            ("a\n", "a\nx\n"),
            ("a\r\nb\r\n", "a\r\nb\r\nx\r\n"),
            ("a\r\nb", "a\r\nb\r\nx\r\n"),
            ("a\rb", "a\rb\rx\r"),
        ] {
            let mut text = before.as_bytes().to_vec();
            append(&mut text, b"x");
            assert_eq!(String::from_utf8(text).unwrap(), after, "{before:?}");
        }
    }
}
