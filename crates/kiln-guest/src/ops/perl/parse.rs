// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reading a program.

use super::pattern::{self, Flags};
use super::replacement;
use super::transliterate::Table;
use super::{Compare, Condition, Statement, Test, Verb};
use crate::ops::Wrong;

/// What is read, and how far.
struct Source<'a> {
    rest: &'a str,
}

/// Reads statements, parted by semicolons.
pub(super) fn statements(text: &str) -> Result<Vec<Statement>, Wrong> {
    let mut source = Source { rest: text };
    let mut all = Vec::new();
    loop {
        source.blanks();
        while source.take(";") {
            source.blanks();
        }
        if source.rest.is_empty() {
            return Ok(all);
        }
        let verb = source.verb()?;
        let condition = source.condition()?;
        all.push(Statement { verb, condition });
        source.blanks();
        if !source.rest.is_empty() && !source.rest.starts_with(';') {
            return Err(source.unknown());
        }
    }
}

impl<'a> Source<'a> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Takes a word that no other letter follows.
    fn word(&mut self, word: &str) -> bool {
        let follows =
            |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        match self.rest.strip_prefix(word) {
            Some(rest) if !follows(rest) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn unknown(&self) -> Wrong {
        let bytes: Vec<u8> = self.rest.chars().take(40).map(super::byte).collect();
        let shown = String::from_utf8_lossy(&bytes).escape_debug().to_string();
        Wrong::new(format!(
            "kiln runs no Perl, and `{shown}` is none of the expressions that it knows"
        ))
    }

    fn verb(&mut self) -> Result<Verb, Wrong> {
        if self.word("next") {
            return Ok(Verb::Next);
        }
        if self.word("undef") {
            self.blanks();
            // In Perl the line becomes nothing, and the statements that follow see that.
            return if self.take("$_") {
                Ok(Verb::Set(String::new()))
            } else {
                Err(self.unknown())
            };
        }
        if self.rest.starts_with("$_") {
            return self.assignment();
        }
        for name in ["tr", "y"] {
            if self.operator(name) {
                return self.transliterate();
            }
        }
        if self.operator("s") { self.substitute() } else { Err(self.unknown()) }
    }

    /// Takes the name of an operator that a delimiter follows.
    fn operator(&mut self, name: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(name) else { return false };
        let Some(next) = rest.chars().next() else { return false };
        let good = next.is_ascii_punctuation() && !matches!(next, '_' | '\'' | ';' | '\\' | '=');
        if good {
            self.rest = rest;
        }
        good
    }

    fn assignment(&mut self) -> Result<Verb, Wrong> {
        let before = self.rest;
        self.take("$_");
        self.blanks();
        // `$_ =~ s/…/…/` is `s/…/…/`.
        if self.take("=~") {
            self.blanks();
            return self.verb();
        }
        let add = self.take(".=");
        if !add && (self.rest.starts_with("==") || !self.take("=")) {
            self.rest = before;
            return Err(self.unknown());
        }
        self.blanks();
        let text = if self.rest.starts_with('"') {
            let text = self.delimited()?.0;
            replacement::plain(&text)?
        } else if self.rest.starts_with('\'') {
            let text = self.delimited()?.0;
            text.replace("\\'", "'").replace("\\\\", "\\")
        } else {
            return Err(self.unknown());
        };
        Ok(if add { Verb::Add(text) } else { Verb::Set(text) })
    }

    /// Takes what stands between delimiters, with its backslashes; also returns the closing one.
    fn delimited(&mut self) -> Result<(String, char), Wrong> {
        let mut chars = self.rest.char_indices();
        let Some((_, open)) = chars.next() else { return Err(self.unknown()) };
        let close = match open {
            '(' => ')',
            '{' => '}',
            '[' => ']',
            '<' => '>',
            other => other,
        };
        let mut depth = 1;
        let mut escaped = false;
        for (at, c) in chars {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == close {
                depth -= 1;
                if depth == 0 {
                    let inner = self.rest[open.len_utf8()..at].to_owned();
                    self.rest = &self.rest[at + c.len_utf8()..];
                    return Ok((inner, close));
                }
            } else if c == open {
                depth += 1;
            }
        }
        Err(Wrong::new(format!("the closing `{close}` is missing in the expression")))
    }

    /// Takes two parts: `/a/b/`, or `{a}{b}`.
    fn two_parts(&mut self) -> Result<(String, String), Wrong> {
        let open = self.rest.chars().next();
        let (first, close) = self.delimited()?;
        if open == Some(close) {
            // The closing delimiter of the first part opens the second.
            let rest = self.rest;
            let text = format!("{close}{rest}");
            let mut second = Source { rest: &text };
            let (second_text, _) = second.delimited()?;
            self.rest = &rest[rest.len() - second.rest.len()..];
            return Ok((first, second_text));
        }
        self.blanks();
        Ok((first, self.delimited()?.0))
    }

    fn letters(&mut self) -> &'a str {
        let end = self.rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(self.rest.len());
        let (letters, rest) = self.rest.split_at(end);
        self.rest = rest;
        letters
    }

    fn substitute(&mut self) -> Result<Verb, Wrong> {
        let (pattern, replacement) = self.two_parts()?;
        let letters = self.letters();
        let (global, flags) = (letters.contains('g'), letters.replace('g', ""));
        if flags.contains('e') {
            return Err(Wrong::new("kiln runs no Perl: the flag `e` is not known"));
        }
        let pattern = pattern::compile(&pattern, Flags::parse(&flags)?)?;
        let replacement = replacement::parse(&replacement, pattern.captures_len())?;
        Ok(Verb::Substitute { pattern, replacement, global })
    }

    fn transliterate(&mut self) -> Result<Verb, Wrong> {
        let (from, to) = self.two_parts()?;
        let flags = self.letters();
        Ok(Verb::Transliterate(Table::parse(&from, &to, flags)?))
    }

    fn condition(&mut self) -> Result<Option<Condition>, Wrong> {
        self.blanks();
        let unless = if self.word("if") {
            false
        } else if self.word("unless") {
            true
        } else {
            return Ok(None);
        };
        self.blanks();
        let before = self.rest;
        // One pair of parentheses may stand around it.
        let around = self.take("(");
        self.blanks();
        let mut not = unless;
        if self.take("!") {
            not = !not;
            self.blanks();
        }
        let test = if self.take("$lineno") || self.take("$.") {
            self.line_number()?
        } else {
            if self.take("$_") {
                self.blanks();
                if self.take("!~") {
                    not = !not;
                } else if !self.take("=~") {
                    self.rest = before;
                    return Err(self.unknown());
                }
                self.blanks();
            }
            let matches = self.rest.starts_with('/') || self.operator("m");
            if !matches {
                return Err(self.unknown());
            }
            let (text, _) = self.delimited()?;
            let flags = self.letters();
            Test::Matches(pattern::compile(&text, Flags::parse(flags)?)?)
        };
        self.blanks();
        if around && !self.take(")") {
            return Err(self.unknown());
        }
        Ok(Some(Condition { not, test }))
    }

    fn line_number(&mut self) -> Result<Test, Wrong> {
        self.blanks();
        let compares = [
            ("==", Compare::Equal),
            ("!=", Compare::NotEqual),
            ("<=", Compare::LessOrEqual),
            (">=", Compare::GreaterOrEqual),
            ("<", Compare::Less),
            (">", Compare::Greater),
        ];
        let Some((_, compare)) = compares.into_iter().find(|(text, _)| self.take(text)) else {
            return Err(self.unknown());
        };
        self.blanks();
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let number = self.rest[..end].parse().map_err(|_| self.unknown())?;
        self.rest = &self.rest[end..];
        Ok(Test::Line(compare, number))
    }
}
