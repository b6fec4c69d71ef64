// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Regular expressions of Perl in the words of the `fancy-regex` crate.

use fancy_regex::{Regex, RegexBuilder};

use crate::ops::Wrong;

/// How much work one match may be, in steps of backtracking.
const MOST_STEPS: usize = 1_000_000;

/// The flags behind a regular expression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    /// `i`.
    ignore_case: bool,
    /// `m`: `^` and `$` stand for the ends of each line in the text.
    lines: bool,
    /// `s`: `.` stands for line ends, too.
    dot_all: bool,
    /// `x`: blanks and comments are left out.
    blanks: bool,
}

impl Flags {
    /// Reads flags.
    pub(super) fn parse(letters: &str) -> Result<Self, Wrong> {
        let mut flags = Self::default();
        for letter in letters.chars() {
            match letter {
                'i' => flags.ignore_case = true,
                'm' => flags.lines = true,
                's' => flags.dot_all = true,
                'x' => flags.blanks = true,
                // How Perl compiles it, and which letters it knows: bytes, here.
                'o' | 'a' => {}
                other => return Err(Wrong::new(format!("the flag `{other}` is not known"))),
            }
        }
        Ok(flags)
    }
}

/// Compiles a regular expression of Perl.
pub(super) fn compile(text: &str, flags: Flags) -> Result<Regex, Wrong> {
    if text.is_empty() {
        return Err(Wrong::new("the regular expression is empty"));
    }
    let mut translated = String::from("(?");
    for (set, letter) in [(flags.ignore_case, 'i'), (flags.dot_all, 's'), (flags.blanks, 'x')] {
        if set {
            translated.push(letter);
        }
    }
    if translated.len() == 2 {
        translated.clear();
    } else {
        translated.push(')');
    }
    let mut translator =
        Translator { flags, chars: text.chars().collect(), at: 0, out: translated };
    translator.run()?;
    let built = RegexBuilder::new(&translator.out).backtrack_limit(MOST_STEPS).build();
    built.map_err(|error| {
        let bytes: Vec<u8> = text.chars().map(super::byte).collect();
        let shown = String::from_utf8_lossy(&bytes).escape_debug().to_string();
        Wrong::new(format!("`{shown}` is no regular expression that kiln knows: {error}"))
    })
}

const WORD: &str = "0-9A-Za-z_";
const DIGIT: &str = "0-9";
const SPACE: &str = r"\t\n\x0B\x0C\r ";

struct Translator {
    flags: Flags,
    chars: Vec<char>,
    at: usize,
    out: String,
}

impl Translator {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek();
        self.at += 1;
        c
    }

    fn literal(&mut self, c: char) {
        if c.is_ascii_punctuation() || (self.flags.blanks && c.is_ascii_whitespace()) {
            self.out.push_str(&format!("\\x{:02X}", u32::from(c)));
        } else {
            self.out.push(c);
        }
    }

    fn run(&mut self) -> Result<(), Wrong> {
        while let Some(c) = self.next() {
            match c {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '$' => self.dollar()?,
                '^' if self.flags.lines => self.out.push_str(r"(?:\A|(?<=\n)(?!\z))"),
                '^' => self.out.push_str(r"\A"),
                '@' => match self.peek() {
                    Some(next) if next.is_ascii_alphabetic() || "_{$:".contains(next) => {
                        return Err(Wrong::new(r"Perl takes `@` for an array: write `\@`"));
                    }
                    _ => self.literal('@'),
                },
                '#' if self.flags.blanks => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                '#' => self.literal('#'),
                '{' => self.brace(),
                '}' | ']' => self.literal(c),
                '(' if self.chars[self.at..].starts_with(&['?', '#']) => {
                    while self.next().is_some_and(|c| c != ')') {}
                }
                other => self.out.push(other),
            }
        }
        Ok(())
    }

    /// `{` begins a number of times, or stands for itself.
    fn brace(&mut self) {
        let rest = &self.chars[self.at..];
        let Some(end) = rest.iter().position(|c| *c == '}') else { return self.literal('{') };
        let inner: String = rest[..end].iter().collect();
        let number = |t: &str| !t.is_empty() && t.chars().all(|c| c.is_ascii_digit());
        let times = match inner.split_once(',') {
            None => number(&inner),
            Some((low, high)) => number(low) && (high.is_empty() || number(high)),
        };
        if times {
            self.out.push_str(&format!("{{{inner}}}"));
            self.at += end + 1;
        } else {
            self.literal('{');
        }
    }

    /// `$` is the end of the text, before a last line end; or a variable, which there is none of.
    fn dollar(&mut self) -> Result<(), Wrong> {
        let next = self.peek();
        let blank = self.flags.blanks && next.is_some_and(|c| c.is_ascii_whitespace() || c == '#');
        if next.is_none() || blank || matches!(next, Some(')' | '|')) {
            self.out.push_str(if self.flags.lines { r"(?=\n|\z)" } else { r"(?=\n?\z)" });
            return Ok(());
        }
        Err(Wrong::new(r"there are no variables: write `\$` for a dollar"))
    }

    fn escape(&mut self) -> Result<(), Wrong> {
        let Some(c) = self.next() else {
            return Err(Wrong::new("the regular expression ends with a backslash"));
        };
        match c {
            'w' => self.out.push_str(&format!("[{WORD}]")),
            'W' => self.out.push_str(&format!("[^{WORD}]")),
            'd' => self.out.push_str(&format!("[{DIGIT}]")),
            'D' => self.out.push_str(&format!("[^{DIGIT}]")),
            's' => self.out.push_str(&format!("[{SPACE}]")),
            'S' => self.out.push_str(&format!("[^{SPACE}]")),
            'h' => self.out.push_str(r"[\t ]"),
            'v' => self.out.push_str(r"[\n\x0B\x0C\r]"),
            'N' => self.out.push_str(r"[^\n]"),
            'R' => self.out.push_str(r"(?:\r\n|[\n\x0B\x0C\r])"),
            'b' => self
                .out
                .push_str(&format!("(?:(?<=[{WORD}])(?![{WORD}])|(?<![{WORD}])(?=[{WORD}]))")),
            'B' => self
                .out
                .push_str(&format!("(?:(?<=[{WORD}])(?=[{WORD}])|(?<![{WORD}])(?![{WORD}]))")),
            'Z' => self.out.push_str(r"(?=\n?\z)"),
            'e' => self.out.push_str(r"\x1B"),
            'Q' => self.quoted(),
            'E' => {}
            '0' => self.out.push_str(r"\x00"),
            'A' | 'z' | 'K' | 'G' | 'n' | 't' | 'r' | 'f' | 'a' | 'x' | 'g' | 'k' | '1'..='9' => {
                self.out.push('\\');
                self.out.push(c);
            }
            c if c.is_ascii_alphabetic() => {
                return Err(Wrong::new(format!(r"`\{c}` in a regular expression is not known")));
            }
            c => self.literal(c),
        }
        Ok(())
    }

    /// Takes all up to `\E` as it stands.
    fn quoted(&mut self) {
        while let Some(c) = self.next() {
            if c == '\\' && self.peek() == Some('E') {
                self.at += 1;
                return;
            }
            self.literal(c);
        }
    }

    fn class(&mut self) -> Result<(), Wrong> {
        self.out.push('[');
        if self.peek() == Some('^') {
            self.at += 1;
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let Some(c) = self.next() else {
                return Err(Wrong::new("a `[` in the regular expression is not closed"));
            };
            match c {
                ']' if !first => {
                    self.out.push(']');
                    return Ok(());
                }
                '[' if self.peek() == Some(':') => self.posix()?,
                '\\' => self.class_escape()?,
                '-' => self.out.push('-'),
                c if c.is_ascii_punctuation() || c.is_ascii_whitespace() => {
                    self.out.push_str(&format!("\\x{:02X}", u32::from(c)));
                }
                c => self.out.push(c),
            }
            first = false;
        }
    }

    /// `[:alpha:]` and its kin stand for themselves.
    fn posix(&mut self) -> Result<(), Wrong> {
        let rest = &self.chars[self.at..];
        let end = rest.windows(2).position(|two| two == [':', ']']);
        let end =
            end.ok_or_else(|| Wrong::new("a `[:` in the regular expression is not closed"))?;
        let name: String = rest[1..end.max(1)].iter().collect();
        self.at += end + 2;
        self.out.push_str(&format!("[:{name}:]"));
        Ok(())
    }

    fn class_escape(&mut self) -> Result<(), Wrong> {
        let Some(c) = self.next() else {
            return Err(Wrong::new("a `[` in the regular expression is not closed"));
        };
        match c {
            'w' => self.out.push_str(WORD),
            'd' => self.out.push_str(DIGIT),
            's' => self.out.push_str(SPACE),
            'h' => self.out.push_str(r"\t "),
            'W' => self.out.push_str(&format!("[^{WORD}]")),
            'D' => self.out.push_str(&format!("[^{DIGIT}]")),
            'S' => self.out.push_str(&format!("[^{SPACE}]")),
            'b' => self.out.push_str(r"\x08"),
            'e' => self.out.push_str(r"\x1B"),
            '0' => self.out.push_str(r"\x00"),
            'n' | 't' | 'r' | 'f' | 'a' | 'x' => {
                self.out.push('\\');
                self.out.push(c);
            }
            c if c.is_ascii_alphanumeric() => {
                return Err(Wrong::new(format!(r"`\{c}` between `[` and `]` is not known")));
            }
            c if c.is_ascii() => self.out.push_str(&format!("\\x{:02X}", u32::from(c))),
            c => self.out.push(c),
        }
        Ok(())
    }
}
