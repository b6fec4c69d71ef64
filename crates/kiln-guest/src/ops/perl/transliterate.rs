// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `tr///`.

use crate::ops::Wrong;

/// What becomes of each byte.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// `Some(None)`: deleted; `None`: not looked for.
    to: Vec<Option<Option<char>>>,
    squeeze: bool,
}

impl Table {
    /// Reads the two lists and the flags.
    pub(super) fn parse(from: &str, to: &str, flags: &str) -> Result<Self, Wrong> {
        if let Some(other) = flags.chars().find(|c| !"cds".contains(*c)) {
            return Err(Wrong::new(format!("the flag `{other}` of `tr` is not known")));
        }
        let delete = flags.contains('d');
        let listed = list(from)?;
        let from: Vec<u8> = if flags.contains('c') {
            (0..=u8::MAX).filter(|b| !listed.contains(b)).collect()
        } else {
            listed
        };
        let mut targets = list(to)?;
        if targets.is_empty() && !delete {
            targets.clone_from(&from);
        }
        let mut table = vec![None; 256];
        for (at, byte) in from.iter().enumerate() {
            let slot = &mut table[usize::from(*byte)];
            // The first time that a byte is listed counts.
            if slot.is_none() {
                let target = targets.get(at).or(if delete { None } else { targets.last() });
                *slot = Some(target.map(|b| char::from(*b)));
            }
        }
        Ok(Self { to: table, squeeze: flags.contains('s') })
    }

    /// Replaces the characters of a line, each of which is one byte.
    pub(super) fn apply(&self, line: &str) -> String {
        let mut out = String::with_capacity(line.len());
        let mut last = None;
        for c in line.chars() {
            match self.to[usize::from(super::byte(c))] {
                None => {
                    out.push(c);
                    last = None;
                }
                Some(None) => {}
                Some(Some(new)) => {
                    if !(self.squeeze && last == Some(new)) {
                        out.push(new);
                    }
                    last = Some(new);
                }
            }
        }
        out
    }
}

/// Reads a list of characters with ranges and escapes.
fn list(text: &str) -> Result<Vec<u8>, Wrong> {
    let mut bytes: Vec<(u8, bool)> = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let (c, plain) = match c {
            '\\' => match chars.next() {
                Some('n') => ('\n', false),
                Some('t') => ('\t', false),
                Some('r') => ('\r', false),
                Some('f') => ('\x0c', false),
                Some('0') => ('\0', false),
                Some(c) if c.is_ascii_alphanumeric() => {
                    return Err(Wrong::new(format!(r"`\{c}` in `tr` is not known")));
                }
                Some(c) => (c, false),
                None => return Err(Wrong::new("a list of `tr` ends with a backslash")),
            },
            c => (c, true),
        };
        bytes.push((super::byte(c), plain && c == '-'));
    }
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match (bytes.get(at + 1), bytes.get(at + 2)) {
            (Some((_, true)), Some((high, _))) => {
                let low = bytes[at].0;
                if low > *high {
                    return Err(Wrong::new("a range of `tr` runs backwards"));
                }
                out.extend(low..=*high);
                at += 3;
            }
            _ => {
                out.push(bytes[at].0);
                at += 1;
            }
        }
    }
    Ok(out)
}
