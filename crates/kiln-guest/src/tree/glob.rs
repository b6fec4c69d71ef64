// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Patterns of names, as a shell has them.
//!
//! Source: glob(7), glob(3) with `GLOB_BRACE`; fnmatch(3) with `FNM_PATHNAME` and `FNM_PERIOD`.
//! This is what libguestfs expands patterns with.

use super::walk::{Paths, present};
use super::{GuestPath, Kind, Tree, TreeError};

/// The most patterns that braces make of one.
const MOST_PATTERNS: usize = 1024;
/// The most bytes of a pattern.
const MOST_BYTES: usize = 4096;

/// Returns the places of the guest that a pattern names, sorted, each once; none if there are
/// none. `*`, `?` and `[…]` stand for parts of one name, but not for the `.` that a name begins
/// with; `{a,b}` stands for both, `\` takes the meaning from the character after it. Links are
/// followed on the way, not at the end.
///
/// # Errors
///
/// [`TreeError::BadPath`] for a pattern with a NUL, one that is too long, or whose braces make
/// more than 1024; [`TreeError::TooMany`], [`TreeError::Backend`].
pub fn glob(tree: &mut dyn Tree, pattern: impl AsRef<[u8]>) -> Result<Vec<GuestPath>, TreeError> {
    let pattern = pattern.as_ref();
    let bad = || {
        let head = String::from_utf8_lossy(&pattern[..pattern.len().min(80)]);
        TreeError::BadPath { path: head.escape_debug().to_string() }
    };
    if pattern.len() >= MOST_BYTES || pattern.contains(&0) {
        return Err(bad());
    }
    let mut found = Vec::new();
    for pattern in braces(pattern).ok_or_else(bad)? {
        let names: Vec<&[u8]> = pattern.split(|&b| b == b'/').filter(|n| !n.is_empty()).collect();
        let mut at = vec![GuestPath::root()];
        for name in names {
            at = step(tree, &at, name)?;
        }
        for path in at {
            if present(tree.lstat(&path))?.flatten().is_some() {
                found.push(path);
            }
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Returns what `name`, a pattern or not, may be in the directories. What cannot be entered has
/// nothing in it.
fn step(tree: &mut dyn Tree, dirs: &[GuestPath], name: &[u8]) -> Result<Vec<GuestPath>, TreeError> {
    let mut next = Paths::default();
    for dir in dirs {
        if !is_pattern(name) {
            next.push(dir.join(unescaped(name)))?;
            continue;
        }
        let stat = present(tree.stat(dir))?.flatten();
        if stat.is_none_or(|stat| stat.kind != Kind::Directory) {
            continue;
        }
        for entry in tree.list(dir)? {
            if fnmatch(name, &entry.name) {
                next.push(dir.join(entry.name))?;
            }
        }
    }
    Ok(next.paths)
}

fn is_pattern(name: &[u8]) -> bool {
    let mut bytes = name.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => _ = bytes.next(),
            b'*' | b'?' | b'[' => return true,
            _ => (),
        }
    }
    false
}

fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    let mut bytes = name.iter();
    while let Some(&byte) = bytes.next() {
        plain.push(if byte == b'\\' { bytes.next().copied().unwrap_or(byte) } else { byte });
    }
    plain
}

/// Returns the patterns that braces make of one; `None` if they are too many.
fn braces(pattern: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut todo = vec![pattern.to_vec()];
    let mut done = Vec::new();
    while let Some(pattern) = todo.pop() {
        if todo.len() + done.len() >= MOST_PATTERNS {
            return None;
        }
        match first_brace(&pattern) {
            Some((open, commas, close)) => {
                let starts = std::iter::once(open).chain(commas.iter().copied());
                let ends = commas.iter().copied().chain([close]);
                let choices = starts.zip(ends).map(|(start, end)| {
                    [&pattern[..open], &pattern[start + 1..end], &pattern[close + 1..]].concat()
                });
                todo.extend(choices);
            }
            None => done.push(pattern),
        }
    }
    Some(done)
}

/// Returns where the first pair of braces opens, where the commas between them are, and where it
/// closes. `{}` and braces without an end are characters like others.
fn first_brace(pattern: &[u8]) -> Option<(usize, Vec<usize>, usize)> {
    let mut open = Vec::new();
    let mut commas: Vec<Vec<usize>> = Vec::new();
    let mut at = 0;
    let mut first: Option<(usize, Vec<usize>, usize)> = None;
    while at < pattern.len() {
        match pattern[at] {
            b'\\' => at += 1,
            b'{' if pattern.get(at + 1) == Some(&b'}') => at += 1,
            b'{' => {
                open.push(at);
                commas.push(Vec::new());
            }
            b',' => commas.iter_mut().next_back().into_iter().for_each(|c| c.push(at)),
            b'}' => {
                if let (Some(start), Some(between)) = (open.pop(), commas.pop())
                    && first.as_ref().is_none_or(|(first, ..)| start < *first)
                {
                    first = Some((start, between, at));
                }
            }
            _ => (),
        }
        at += 1;
    }
    first
}

/// Returns whether a name fits a pattern without braces: fnmatch(3) with `FNM_PERIOD`.
#[must_use]
pub fn fnmatch(pattern: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'.') && matches!(pattern.first(), Some(b'*' | b'?' | b'[')) {
        return false;
    }
    let (mut p, mut n) = (0, 0);
    // Where the last `*` was, and how much of the name it has taken: the only place to go back to.
    let mut star: Option<(usize, usize)> = None;
    loop {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p + 1, n));
            p += 1;
            continue;
        }
        if n == name.len() && p == pattern.len() {
            return true;
        }
        if let Some(after) = name.get(n).and_then(|&byte| one(pattern, p, byte)) {
            (p, n) = (after, n + 1);
            continue;
        }
        match star {
            Some((after, taken)) if taken < name.len() => {
                star = Some((after, taken + 1));
                (p, n) = (after, taken + 1);
            }
            _ => return false,
        }
    }
}

/// Returns where the pattern goes on after what fits `byte`, if it does.
fn one(pattern: &[u8], at: usize, byte: u8) -> Option<usize> {
    match *pattern.get(at)? {
        b'?' => Some(at + 1),
        b'[' => match set(pattern, at, byte) {
            Some((end, fits)) => fits.then_some(end),
            None => (byte == b'[').then_some(at + 1),
        },
        b'\\' => {
            let escaped = pattern.get(at + 1);
            escaped.map_or(byte == b'\\', |&e| e == byte).then_some((at + 2).min(pattern.len()))
        }
        plain => (plain == byte).then_some(at + 1),
    }
}

/// Reads the set that opens at `at`: where the pattern goes on after it, and whether `byte` is in
/// it. `None` if it does not close.
fn set(pattern: &[u8], at: usize, byte: u8) -> Option<(usize, bool)> {
    let mut at = at + 1;
    let not = matches!(pattern.get(at)?, b'!' | b'^');
    at += usize::from(not);
    let first = at;
    let mut fits = false;
    loop {
        let mut low = *pattern.get(at)?;
        if low == b']' && at > first {
            return Some((at + 1, fits != not));
        }
        if low == b'[' && pattern.get(at + 1) == Some(&b':') {
            let rest = pattern.get(at + 2..)?;
            if let Some(len) = rest.windows(2).position(|two| two == b":]") {
                fits |= class(&rest[..len], byte);
                at += len + 4;
                continue;
            }
        }
        if low == b'\\' {
            at += 1;
            low = *pattern.get(at)?;
        }
        at += 1;
        let mut high = low;
        if pattern.get(at) == Some(&b'-') && pattern.get(at + 1).is_some_and(|&b| b != b']') {
            at += 1 + usize::from(pattern[at + 1] == b'\\');
            high = *pattern.get(at)?;
            at += 1;
        }
        fits |= (low..=high).contains(&byte);
    }
}

fn class(name: &[u8], byte: u8) -> bool {
    match name {
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"alpha" => byte.is_ascii_alphabetic(),
        b"blank" => matches!(byte, b' ' | b'\t'),
        b"cntrl" => byte.is_ascii_control(),
        b"digit" => byte.is_ascii_digit(),
        b"graph" => byte.is_ascii_graphic(),
        b"lower" => byte.is_ascii_lowercase(),
        b"print" => byte.is_ascii_graphic() || byte == b' ',
        b"punct" => byte.is_ascii_punctuation(),
        b"space" => byte.is_ascii_whitespace() || byte == 0x0b,
        b"upper" => byte.is_ascii_uppercase(),
        b"xdigit" => byte.is_ascii_hexdigit(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_patterns_as_fnmatch_has_it() {
        for (pattern, name, fits) in [
            ("*", "x", true),
            ("*", "", true),
            ("*", ".x", false),
            (".*", ".x", true),
            ("?x", ".x", false),
            ("[.]x", ".x", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("*.log", "a.log", true),
            ("*.log", "a.log.1", false),
            ("log.?", "log.1", true),
            ("log.?", "log.10", false),
            ("[a-cx]1", "b1", true),
            ("[!a-c]1", "b1", false),
            ("[^a-c]1", "d1", true),
            ("[]]", "]", true),
            ("[!]]", "]", false),
            ("[a-]", "-", true),
            ("[[:digit:]_]*", "7x", true),
            ("[[:digit:]_]*", "x7", false),
            ("[a\\]b]", "]", true),
            ("[", "[", true),
            ("[a", "[a", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("\\", "\\", true),
            ("", "", true),
            ("", "x", false),
            ("x", "", false),
        ] {
            assert_eq!(fnmatch(pattern.as_bytes(), name.as_bytes()), fits, "{pattern} {name}");
        }
        // A matcher that tries every way of sharing out the name takes ages over this.
        assert!(!fnmatch(&[&b"a*".repeat(500)[..], b"b"].concat(), &[b'a'; 4000]));
    }

    #[test]
    fn braces_make_several_patterns() {
        let made = |pattern: &str| {
            let mut made = braces(pattern.as_bytes()).unwrap();
            made.sort();
            made.into_iter().map(|p| String::from_utf8(p).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(made("a{b,c}d"), ["abd", "acd"]);
        assert_eq!(made("{a,b{c,d},}x"), ["ax", "bcx", "bdx", "x"]);
        assert_eq!(made("{a}{b,c}"), ["ab", "ac"]);
        assert_eq!(made("a{}b"), ["a{}b"]);
        assert_eq!(made("a{b"), ["a{b"]);
        assert_eq!(made("a\\{b,c\\}"), ["a\\{b,c\\}"]);
        assert_eq!(made("a,b}"), ["a,b}"]);
        assert!(braces("{a,b}".repeat(11).as_bytes()).is_none());
    }
}
