// SPDX-License-Identifier: Apache-2.0 OR MIT
//! YAML that people write: read into types, with errors that show the place.
//!
//! An error has file, line, column, the line itself with a caret below, and, for a key or a word
//! that is not known, the nearest one that is.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_saphyr::{Error, Location, MessageFormatter, UserMessageFormatter};

/// Why a YAML file could not be read.
///
/// Its `Display` has one line that says what and where, and below it the line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlError {
    /// The file, as its reader calls it.
    pub file: String,
    /// Where in the file; the reader of a whole file may not know.
    pub place: Option<Place>,
    /// What is wrong, in one line.
    pub message: String,
}

/// A place in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The line's text.
    pub source: String,
    /// How many characters are meant; at least 1.
    pub length: usize,
}

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(place) = &self.place else {
            return write!(f, "{}: {}", self.file, self.message);
        };
        writeln!(f, "{}:{}:{}: {}", self.file, place.line, place.column, self.message)?;
        let number = place.line.to_string();
        let margin = " ".repeat(number.len());
        // A tab stays a tab, so that the caret stands below its character.
        let before: String = place
            .source
            .chars()
            .take(place.column - 1)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        writeln!(f, "  {number} | {}", place.source)?;
        write!(f, "  {margin} | {before}{}", "^".repeat(place.length))
    }
}

impl std::error::Error for YamlError {}

/// Reads one YAML document.
///
/// # Errors
///
/// [`YamlError`] for what is no YAML and for what `T` does not take.
pub fn from_str<T: DeserializeOwned>(text: &str, file: &str) -> Result<T, YamlError> {
    let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| YamlError {
        file: file.to_owned(),
        place: error.location().and_then(|at| place(text, at)),
        message: message(error.without_snippet()),
    })
}

/// Returns an error at a place that [`serde_saphyr::Spanned`] gave.
#[must_use]
pub fn error_at(text: &str, file: &str, at: Location, message: String) -> YamlError {
    YamlError { file: file.to_owned(), place: place(text, at), message }
}

fn place(text: &str, at: Location) -> Option<Place> {
    let line = usize::try_from(at.line()).ok().filter(|&line| line > 0)?;
    let column = usize::try_from(at.column()).ok().filter(|&column| column > 0)?;
    let source = text.lines().nth(line - 1).unwrap_or_default().to_owned();
    let left = source.chars().count().saturating_sub(column - 1);
    // A mapping's or a block's span goes on over many lines: then its first word is meant.
    let word = source.chars().skip(column - 1).take_while(|c| !c.is_whitespace()).count();
    let span = usize::try_from(at.span().len()).unwrap_or(usize::MAX);
    let length = if span <= left { span } else { word };
    Some(Place { line, column, source, length: length.max(1) })
}

fn message(error: &Error) -> String {
    match error {
        Error::SerdeUnknownField { field, expected, .. } => {
            format!("unknown key `{field}`; {}", offer(field, expected))
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            format!("unknown word `{variant}`; {}", offer(variant, expected))
        }
        Error::SerdeMissingField { field, .. } => format!("the key `{field}` is missing"),
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the key `{key}` is there twice")
        }
        Error::SerdeInvalidType { unexpected, expected, .. }
        | Error::SerdeInvalidValue { unexpected, expected, .. } => {
            format!("expected {expected}, found {unexpected}")
        }
        Error::InvalidScalar { ty, .. } => format!("expected {}", type_for_people(ty)),
        Error::Unexpected { expected, .. } => format!("expected {}", type_for_people(expected)),
        Error::Eof { .. } => "the file is empty".into(),
        Error::Message { msg, .. } => msg.clone(),
        other => UserMessageFormatter.format_message(other).into_owned(),
    }
}

fn type_for_people(rust: &str) -> &str {
    match rust {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number, which may be negative",
        "f32" | "f64" => "a number",
        "bool" => "`true` or `false`",
        "mapping start" => "keys with values, like `key: value`",
        "sequence start" => "a list, like `[one, two]`",
        "string scalar" => "text",
        other => other,
    }
}

fn offer(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known are {}", list(known)),
    }
}

/// Returns words in backticks, the last two joined by `and`.
fn list(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// Returns the word of `known` that `word` was most likely meant to be, if one is near enough:
/// at most a third of its letters differ, or one.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|&(far, candidate)| {
            far <= (candidate.chars().count().max(word.chars().count()) / 3).max(1)
        })
        .min_by_key(|&(far, _)| far)
        .map(|(_, candidate)| candidate)
}

/// The edit distance with swaps of neighbours counted as one edit (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<_>, Vec<_>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the errors are looked at")]
    struct Small {
        packages: Vec<String>,
        #[serde(default)]
        count: u32,
    }

    fn error(text: &str) -> String {
        from_str::<Small>(text, "f.yaml").unwrap_err().to_string()
    }

    #[test]
    fn a_wrong_key_is_shown_with_the_nearest() {
        assert_eq!(
            error("count: 1\npakages: [x]\n"),
            "f.yaml:2:1: unknown key `pakages`; did you mean `packages`?\n  \
             2 | pakages: [x]\n    | ^^^^^^^"
        );
    }

    #[test]
    fn a_key_like_none_is_shown_with_all() {
        assert_eq!(
            error("zzz: 1\n"),
            "f.yaml:1:1: unknown key `zzz`; known are `packages` and `count`\n  \
             1 | zzz: 1\n    | ^^^"
        );
    }

    #[test]
    fn a_wrong_type_a_double_key_and_no_yaml_are_shown() {
        assert_eq!(
            error("packages: [x]\ncount: many\n"),
            "f.yaml:2:8: expected a whole number\n  2 | count: many\n    |        ^^^^"
        );
        assert_eq!(
            error("packages: [x]\npackages: [y]\n"),
            "f.yaml:2:1: the key `packages` is there twice\n  2 | packages: [y]\n    | ^^^^^^^^"
        );
        assert_eq!(
            error("packages: x\n"),
            "f.yaml:1:11: expected a list, like `[one, two]`\n  1 | packages: x\n    |           ^"
        );
        assert_eq!(
            error("count: 1\n"),
            "f.yaml:1:1: the key `packages` is missing\n  1 | count: 1\n    | ^^^^^"
        );
    }

    #[test]
    fn what_is_no_yaml_is_shown() {
        assert_eq!(
            error("packages: [x\n"),
            "f.yaml:1:11: unclosed bracket '['\n  1 | packages: [x\n    |           ^"
        );
        assert_eq!(error(""), "f.yaml:1:1: the file is empty\n  1 | \n    | ^");
    }

    #[test]
    fn near_is_near_enough() {
        let known = ["memory", "packages", "files"];
        assert_eq!(nearest("mmeory", known), Some("memory"));
        assert_eq!(nearest("file", known), Some("files"));
        assert_eq!(nearest("disk", known), None);
    }
}
