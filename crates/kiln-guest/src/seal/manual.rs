// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is said of the operations, made from their records: the list, the manual's text, a
//! chapter of the documentation.

use std::fmt::Write;

use super::{OPERATIONS, Operation, Origin};

/// Columns of the manual's text.
const COLUMNS: usize = 70;

/// Returns a line for each operation: its name, `*` if it runs by default, its heading.
#[must_use]
pub fn list() -> String {
    let width = OPERATIONS.iter().map(|op| op.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for op in OPERATIONS {
        let mark = if op.default { '*' } else { ' ' };
        writeln!(text, "{:<width$} {mark} {}", op.name, op.heading).ok();
    }
    text
}

/// Returns all that is said of the operations as plain text.
#[must_use]
pub fn manual() -> String {
    let mut text = String::new();
    for op in OPERATIONS {
        let mark = if op.default { "*" } else { "" };
        writeln!(text, "{}{mark}", op.name).ok();
        for paragraph in paragraphs(op) {
            fill(&mut text, &paragraph);
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text
}

/// Returns all that is said of the operations as Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::new();
    for (origin, title) in
        [(Origin::Sysprep, "Operations of virt-sysprep"), (Origin::Kiln, "Operations of Kiln")]
    {
        writeln!(text, "### {title}\n").ok();
        for op in OPERATIONS.iter().filter(|op| op.origin == origin) {
            let default = if op.default { "" } else { " (off by default)" };
            writeln!(text, "**{}**{default}: {}.", op.name, op.heading).ok();
            for part in [op.documentation, op.notes].iter().filter(|part| !part.is_empty()) {
                writeln!(text, "{}", part.replace('*', "\\*").replace('_', "\\_")).ok();
            }
            if !op.paths.is_empty() {
                let paths: Vec<_> = op.paths.iter().map(|path| format!("`{path}`")).collect();
                writeln!(text, "Paths: {}", paths.join(", ")).ok();
            }
            text.push('\n');
        }
    }
    text
}

fn paragraphs(op: &Operation) -> Vec<String> {
    let mut all = vec![format!("{}.", op.heading)];
    all.extend(
        [op.documentation, op.notes].iter().filter(|t| !t.is_empty()).map(|t| t.to_string()),
    );
    if !op.paths.is_empty() {
        all.push(format!("Paths: {}", op.paths.join(" ")));
    }
    all
}

/// Adds a paragraph, broken into lines between its words.
fn fill(text: &mut String, paragraph: &str) {
    let mut line = String::from("   ");
    for word in paragraph.split(' ') {
        if line.len() + 1 + word.len() > COLUMNS && !line.trim().is_empty() {
            writeln!(text, "{line}").ok();
            line = String::from("   ");
        }
        line.push(' ');
        line.push_str(word);
    }
    writeln!(text, "{line}").ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_in_each() {
        let (list, manual, markdown) = (list(), manual(), markdown());
        for op in OPERATIONS {
            assert!(list.lines().any(|line| line.split(' ').next() == Some(op.name)));
            assert!(manual.lines().any(|line| line.trim_end_matches('*') == op.name));
            assert!(markdown.contains(&format!("**{}**", op.name)));
        }
        assert!(list.starts_with("abrt-data               * Remove the crash reports"));
        // A long path has a line of its own.
        let long = |line: &&str| line.len() > COLUMNS && line.trim().contains(' ');
        assert_eq!(manual.lines().find(long), None);
    }
}
