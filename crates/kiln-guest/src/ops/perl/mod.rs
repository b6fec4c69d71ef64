// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The part of Perl that edits of lines need: `s///`, `tr///`, a few statements, conditions.
//!
//! Perl sees bytes here, not letters. A byte stands for the character of the same number, so that
//! any file can be edited and what is not matched stays byte for byte.
//!
//! **Invariant:** nothing is run but what is known here. How long a match may take is bounded,
//! whatever the guest's file holds.
//!
//! Source: perlop(1), perlre(1); virt-edit(1) for `$lineno`.

mod parse;
mod pattern;
mod replacement;
mod transliterate;

use fancy_regex::Regex;

use self::replacement::Piece;
use self::transliterate::Table;
use super::Wrong;

/// Statements that are applied to each line.
#[derive(Clone, Debug)]
pub(super) struct Program {
    statements: Vec<Statement>,
}

#[derive(Clone, Debug)]
struct Statement {
    verb: Verb,
    condition: Option<Condition>,
}

#[derive(Clone, Debug)]
enum Verb {
    Substitute {
        pattern: Regex,
        replacement: Vec<Piece>,
        global: bool,
    },
    Transliterate(Table),
    /// `$_ = "..."`
    Set(String),
    /// `$_ .= "..."`
    Add(String),
    /// `next`: the line is left out, and the rest not done.
    Next,
}

#[derive(Clone, Debug)]
struct Condition {
    /// `unless`, or `!~`.
    not: bool,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Matches(Regex),
    Line(Compare, u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Why a line could not be edited.
fn too_hard(error: &fancy_regex::Error) -> Wrong {
    Wrong::new(format!("the regular expression is too much work for a line of the file: {error}"))
}

/// The most bytes that a line may grow to.
const MOST_LINE: usize = 64 << 20;

impl Program {
    /// Reads a program.
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        let statements = parse::statements(&letters(text.as_bytes()))?;
        if statements.is_empty() {
            return Err(Wrong::new("the expression is empty"));
        }
        Ok(Self { statements })
    }

    /// Applies it to each line of a text.
    pub(super) fn run(&self, text: &[u8]) -> Result<Vec<u8>, Wrong> {
        let mut out = Vec::with_capacity(text.len());
        for (number, line) in (1..).zip(text.split_inclusive(|&b| b == b'\n')) {
            if let Some(line) = self.line(letters(line), number)? {
                out.extend(line.chars().map(byte));
            }
            if out.len() > MOST_LINE * 4 {
                return Err(Wrong::new("the file would become larger than 256 MiB"));
            }
        }
        Ok(out)
    }

    fn line(&self, mut line: String, number: u64) -> Result<Option<String>, Wrong> {
        for statement in &self.statements {
            if let Some(condition) = &statement.condition
                && !condition.holds(&line, number)?
            {
                continue;
            }
            match &statement.verb {
                Verb::Substitute { pattern, replacement, global } => {
                    if let Some(new) = substitute(&line, pattern, replacement, *global)? {
                        line = new;
                    }
                }
                Verb::Transliterate(table) => line = table.apply(&line),
                Verb::Set(text) => line.clone_from(text),
                Verb::Add(text) => line.push_str(text),
                Verb::Next => return Ok(None),
            }
            if line.len() > MOST_LINE {
                return Err(Wrong::new("a line would become longer than 64 MiB"));
            }
        }
        Ok(Some(line))
    }
}

impl Condition {
    fn holds(&self, line: &str, number: u64) -> Result<bool, Wrong> {
        let yes = match &self.test {
            Test::Matches(pattern) => pattern.is_match(line).map_err(|e| too_hard(&e))?,
            Test::Line(compare, other) => match compare {
                Compare::Equal => number == *other,
                Compare::NotEqual => number != *other,
                Compare::Less => number < *other,
                Compare::LessOrEqual => number <= *other,
                Compare::Greater => number > *other,
                Compare::GreaterOrEqual => number >= *other,
            },
        };
        Ok(yes != self.not)
    }
}

/// Replaces matches; `None` if there is none.
fn substitute(
    line: &str,
    pattern: &Regex,
    replacement: &[Piece],
    global: bool,
) -> Result<Option<String>, Wrong> {
    let mut out = String::new();
    let (mut at, mut copied) = (0, 0);
    let mut any = false;
    while at <= line.len() {
        let found = pattern.captures_from_pos(line, at).map_err(|e| too_hard(&e))?;
        let Some(found) = found else { break };
        let Some(all) = found.get(0) else { break };
        any = true;
        out.push_str(&line[copied..all.start()]);
        replacement::expand(replacement, &found, &mut out);
        copied = all.end();
        at = if all.end() > all.start() {
            all.end()
        } else {
            // After a match of nothing, the next begins one character on.
            all.end() + line[all.end()..].chars().next().map_or(1, char::len_utf8)
        };
        if !global || out.len() > MOST_LINE {
            break;
        }
    }
    out.push_str(&line[copied..]);
    Ok(any.then_some(out))
}

/// Returns the characters of the same numbers as the bytes.
fn letters(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| char::from(b)).collect()
}

/// Returns the byte that a character stands for; all are below 256.
fn byte(c: char) -> u8 {
    u8::try_from(u32::from(c)).unwrap_or(b'?')
}

#[cfg(test)]
mod tests;
