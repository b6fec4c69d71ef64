// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why user data is refused, and where.

use std::fmt;

/// The most characters of a source line that are shown.
const SHOWN: usize = 100;

/// A place in the user's file. Shown as `file:line:column`, both counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's name.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The line's text, without its end.
    pub text: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl Place {
    /// Returns the line with a caret below the place, as two lines without an end.
    #[must_use]
    pub fn snippet(&self) -> String {
        let skipped = self.column.saturating_sub(SHOWN);
        // A tab or control character would move the caret away.
        let clean = |c: char| if c.is_control() { ' ' } else { c };
        let shown: String = self.text.chars().skip(skipped).take(SHOWN).map(clean).collect();
        let number = self.line.to_string();
        let caret = self.column.saturating_sub(skipped).max(1);
        format!("{number} | {shown}\n{:width$} | {:>caret$}", "", "^", width = number.len())
    }
}

/// A file's name and text, of which places are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) file: &'a str,
    pub(crate) text: &'a str,
    /// How many lines of the file are before the text.
    pub(crate) before: usize,
}

impl<'a> Source<'a> {
    /// Returns the whole of a file.
    pub(crate) fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, before: 0 }
    }

    /// Returns the place of a line and a column of the text.
    pub(crate) fn place(self, line: usize, column: usize) -> Place {
        let text = self.text.lines().nth(line.saturating_sub(1)).unwrap_or("");
        Place {
            file: self.file.to_owned(),
            line: line + self.before,
            column,
            text: text.to_owned(),
        }
    }
}

/// Why user data is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UserDataError {
    /// There is nothing in it.
    #[error("`{file}` is empty")]
    Empty {
        /// The file.
        file: String,
    },
    /// It has more bytes than anyone writes by hand.
    #[error("`{file}` has more than {} MiB", super::MOST_BYTES >> 20)]
    TooLarge {
        /// The file.
        file: String,
    },
    /// It begins like gzip and is none, or is cut off.
    #[error("`{file}` could not be unpacked")]
    Gzip {
        /// The file.
        file: String,
        /// What the unpacker says.
        source: std::io::Error,
    },
    /// It is no UTF-8.
    #[error("`{file}` is no UTF-8 text: line {line} has other bytes")]
    NotText {
        /// The file.
        file: String,
        /// The first line with such a byte, from 1.
        line: usize,
    },
    /// cloud-init could not tell what it is.
    #[error("`{place}`: the first line does not tell what this is")]
    Header {
        /// The first line.
        place: Place,
    },
    /// It is no YAML that cloud-init can read, or a part of it is not what it should be.
    #[error("`{place}`: {what}")]
    Syntax {
        /// Where.
        place: Place,
        /// What is wrong.
        what: String,
    },
    /// The whole has the wrong type.
    #[error("`{place}`: must be {wanted}, and is {found}")]
    Root {
        /// Where it begins.
        place: Place,
        /// What it must be.
        wanted: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A key's value has the wrong type.
    #[error("`{place}`: `{key}` must be {wanted}, and is {found}")]
    WrongType {
        /// Where the value begins.
        place: Place,
        /// The key, or a list's place in it as `runcmd.3` (from 0).
        key: String,
        /// What the value must be.
        wanted: Box<str>,
        /// What it is.
        found: &'static str,
    },
}

impl UserDataError {
    /// Returns where in the file it is, if that is known.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Header { place }
            | Self::Syntax { place, .. }
            | Self::Root { place, .. }
            | Self::WrongType { place, .. } => Some(place),
            Self::Empty { .. }
            | Self::TooLarge { .. }
            | Self::Gzip { .. }
            | Self::NotText { .. } => None,
        }
    }

    /// Returns the line it is about, with a caret below the place.
    #[must_use]
    pub fn snippet(&self) -> Option<String> {
        self.place().map(Place::snippet)
    }

    /// Returns what to do about it, if there is one thing.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Header { .. } | Self::Empty { .. } => Some(
                "the first line must be `#cloud-config`, or `#!` and an interpreter for a script"
                    .to_owned(),
            ),
            Self::Syntax { place, .. } if place.text.contains('\t') => {
                Some("YAML is indented with spaces, never with tabs".to_owned())
            }
            Self::WrongType { key, found: "a mapping", .. }
                if key.starts_with("runcmd.") || key.starts_with("bootcmd.") =>
            {
                Some("put the command in quotes: `: ` makes a mapping of it".to_owned())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snippets_point_at_the_place() {
        let source = Source::new("u", "a\npackages:\t5\n");
        assert_eq!(source.place(2, 11).snippet(), "2 | packages: 5\n  |           ^");
        assert_eq!(source.place(9, 1).snippet(), "9 | \n  | ^");
        let long = "x".repeat(500);
        let snippet = Source::new("u", &long).place(1, 400).snippet();
        assert!(snippet.lines().all(|l| l.len() == 104), "{snippet}");
    }
}
