// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The right side of `s///`, and strings.

use fancy_regex::Captures;

use crate::ops::Wrong;

/// A piece of a replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    /// A group of the match; 0 is all of it.
    Group(usize),
    /// From here on: `\U`, `\L`, and `\E` that ends them.
    Case(Case),
    /// The next character: `\u`, `\l`.
    Next(Case),
}

/// What happens to letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Keep,
    Upper,
    Lower,
}

/// Reads a replacement; `groups` is how many groups the match has, all of it included.
pub(super) fn parse(text: &str, groups: usize) -> Result<Vec<Piece>, Wrong> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let piece = match c {
            '\\' => match escape(&mut chars)? {
                Escape::Char(c) => {
                    plain.push(c);
                    continue;
                }
                Escape::Piece(piece) => piece,
            },
            '$' => variable(&mut chars)?,
            '@' if chars.peek().is_some_and(|c| c.is_ascii_alphabetic() || "_{$:".contains(*c)) => {
                return Err(Wrong::new(r"Perl takes `@` for an array: write `\@`"));
            }
            c => {
                plain.push(c);
                continue;
            }
        };
        if let Piece::Group(group) = piece
            && group >= groups
        {
            return Err(Wrong::new(format!("there is no group {group} in the regular expression")));
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(piece);
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

/// Reads a string in double quotes, which knows no groups.
pub(super) fn plain(text: &str) -> Result<String, Wrong> {
    let mut out = String::new();
    for piece in parse(text, 0)? {
        match piece {
            Piece::Text(text) => out.push_str(&text),
            _ => return Err(Wrong::new("there are no variables and no cases in strings")),
        }
    }
    Ok(out)
}

enum Escape {
    Char(char),
    Piece(Piece),
}

fn escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Escape, Wrong> {
    let c = chars.next().ok_or_else(|| Wrong::new("the replacement ends with a backslash"))?;
    Ok(match c {
        'n' => Escape::Char('\n'),
        't' => Escape::Char('\t'),
        'r' => Escape::Char('\r'),
        'f' => Escape::Char('\x0c'),
        'a' => Escape::Char('\x07'),
        'e' => Escape::Char('\x1b'),
        '0' => Escape::Char('\0'),
        'x' => Escape::Char(hex(chars)?),
        'U' => Escape::Piece(Piece::Case(Case::Upper)),
        'L' => Escape::Piece(Piece::Case(Case::Lower)),
        'E' => Escape::Piece(Piece::Case(Case::Keep)),
        'u' => Escape::Piece(Piece::Next(Case::Upper)),
        'l' => Escape::Piece(Piece::Next(Case::Lower)),
        // As in sed: Perl takes `\1` here, too.
        '1'..='9' => Escape::Piece(Piece::Group(c.to_digit(10).map_or(0, |d| d as usize))),
        c if c.is_ascii_alphabetic() => {
            return Err(Wrong::new(format!(r"`\{c}` in a replacement is not known")));
        }
        c => Escape::Char(c),
    })
}

fn hex(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<char, Wrong> {
    let braces = chars.next_if_eq(&'{').is_some();
    let mut digits = String::new();
    while digits.len() < 2
        && let Some(digit) = chars.next_if(char::is_ascii_hexdigit)
    {
        digits.push(digit);
    }
    if braces && chars.next() != Some('}') {
        return Err(Wrong::new(r"`\x{…}` is known for bytes only: two hexadecimal digits"));
    }
    let number = if digits.is_empty() { Ok(0) } else { u8::from_str_radix(&digits, 16) };
    number.map(char::from).map_err(|_| Wrong::new(r"`\x` has no hexadecimal number"))
}

fn variable(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Piece, Wrong> {
    let wrong = || Wrong::new(r"there are no variables but `$1` and `$&`: write `\$` for a dollar");
    let braces = chars.next_if_eq(&'{').is_some();
    if chars.next_if_eq(&'&').is_some() {
        return if braces && chars.next() != Some('}') {
            Err(wrong())
        } else {
            Ok(Piece::Group(0))
        };
    }
    let mut digits = String::new();
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    if (braces && chars.next() != Some('}')) || digits.starts_with('0') {
        return Err(wrong());
    }
    digits.parse().map(Piece::Group).map_err(|_| wrong())
}

/// Adds what a replacement makes of a match.
pub(super) fn expand(pieces: &[Piece], found: &Captures<'_, str>, out: &mut String) {
    let (mut case, mut next) = (Case::Keep, Case::Keep);
    for piece in pieces {
        let text = match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Group(group) => found.get(*group).map_or("", |group| group.as_str()),
            Piece::Case(new) => {
                case = *new;
                continue;
            }
            Piece::Next(new) => {
                next = *new;
                continue;
            }
        };
        for c in text.chars() {
            out.push(match if next == Case::Keep { case } else { next } {
                Case::Keep => c,
                Case::Upper => c.to_ascii_uppercase(),
                Case::Lower => c.to_ascii_lowercase(),
            });
            next = Case::Keep;
        }
    }
}
