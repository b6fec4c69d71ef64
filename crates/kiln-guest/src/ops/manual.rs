// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The operations as documents: what help texts, manual pages and chapters are made from.

use super::{OPERATIONS, Operation};

/// How wide lines of text are.
const WIDTH: usize = 78;

/// Returns a line for each operation: its option, then its heading.
#[must_use]
pub fn list() -> String {
    let usage = |operation: &&Operation| usage(operation).len();
    let wide = OPERATIONS.iter().map(usage).max().unwrap_or_default().min(40);
    let line = |operation: &&Operation| {
        format!("{:wide$}  {}\n", self::usage(operation), operation.heading)
    };
    OPERATIONS.iter().map(line).collect()
}

/// Returns all that there is to say of each operation, as text.
#[must_use]
pub fn manual() -> String {
    let one = |operation: &&Operation| {
        let text = format!("{}.\n\n{}", operation.heading, wrapped(operation.documentation));
        let indented = text.lines().map(|line| match line {
            "" => "\n".to_owned(),
            line => format!("    {line}\n"),
        });
        format!("{}\n{}\n", usage(operation), indented.collect::<String>())
    };
    OPERATIONS.iter().map(one).collect()
}

/// Returns the same as sections of a Markdown document.
#[must_use]
pub fn markdown() -> String {
    let one = |operation: &&Operation| {
        let mut out = format!("### `{}`\n\n{}.", usage(operation), operation.heading);
        for block in blocks(operation.documentation) {
            match block {
                Block::Text(text) => out.push_str(&format!("\n\n{}", wrap(&text))),
                Block::Code(lines) => {
                    let code: Vec<&str> =
                        lines.iter().map(|line| line.strip_prefix("  ").unwrap_or(line)).collect();
                    out.push_str(&format!("\n\n```text\n{}\n```", code.join("\n")));
                }
            }
        }
        out + "\n\n"
    };
    OPERATIONS.iter().map(one).collect()
}

/// Returns a text with lines of a terminal's width; examples stay as they are.
#[must_use]
pub fn wrapped(text: &str) -> String {
    let blocks = blocks(text).into_iter().map(|block| match block {
        Block::Text(text) => wrap(&text),
        Block::Code(lines) => lines.join("\n"),
    });
    blocks.collect::<Vec<_>>().join("\n\n")
}

fn usage(operation: &Operation) -> String {
    match operation.argument {
        Some(argument) => format!("--{} {argument}", operation.name),
        None => format!("--{}", operation.name),
    }
}

enum Block {
    Text(String),
    Code(Vec<String>),
}

/// Takes a text apart: paragraphs, and runs of lines that begin with two blanks.
fn blocks(text: &str) -> Vec<Block> {
    let mut all = Vec::new();
    for part in text.split("\n\n") {
        for line in part.lines() {
            match (line.starts_with("  "), all.last_mut()) {
                (true, Some(Block::Code(lines))) => lines.push(line.to_owned()),
                (true, _) => all.push(Block::Code(vec![line.to_owned()])),
                (false, _) => all.push(Block::Text(line.to_owned())),
            }
        }
    }
    all
}

fn wrap(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let full = |line: &String| !line.is_empty() && line.len() + 1 + word.len() > WIDTH;
        if lines.last().is_some_and(full) {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_wrapped_and_examples_are_not() {
        let long = "word ".repeat(30);
        let text = format!("{long}\n\n  --example  a   b\n  --more\n\nEnd.");
        let got = wrapped(&text);
        assert!(got.lines().all(|line| line.len() <= WIDTH));
        assert!(got.ends_with("\n\n  --example  a   b\n  --more\n\nEnd."));
    }

    #[test]
    fn every_operation_is_in_every_document() {
        for document in [list(), manual(), markdown()] {
            for operation in OPERATIONS {
                assert!(document.contains(&format!("--{}", operation.name)), "{}", operation.name);
                assert!(document.contains(operation.heading), "{}", operation.name);
            }
        }
        assert!(list().lines().all(|line| line.len() <= 120));
    }
}
