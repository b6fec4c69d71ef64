// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A guest's accounts: `/etc/passwd`, `/etc/shadow`, `/etc/group` as files of records.
//!
//! **Invariant:** what is not changed stays byte for byte: odd lines, comments, a missing last
//! line end.
//!
//! Source: passwd(5), shadow(5), group(5), gshadow(5).

use crate::tree::{GuestPath, Tree, TreeError};

/// The most that is read of one of these files.
const MOST: u64 = 16 << 20;

/// One account of a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub name: Vec<u8>,
    /// User number.
    pub uid: u32,
    /// Number of its own group.
    pub gid: u32,
    /// Its home directory, as it is written.
    pub home: Vec<u8>,
}

/// A file of lines whose fields are parted by colons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// Each with its line end, which the last may lack.
    lines: Vec<Vec<u8>>,
}

impl Records {
    /// Takes a file apart.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        Self { lines: bytes.split_inclusive(|&b| b == b'\n').map(<[u8]>::to_vec).collect() }
    }

    /// Reads a file of the guest; no records if it is not there.
    ///
    /// # Errors
    ///
    /// What the tree says.
    pub fn read(tree: &mut dyn Tree, path: &GuestPath) -> Result<Option<Self>, TreeError> {
        match tree.stat(path)? {
            Some(_) => Ok(Some(Self::parse(&tree.read(path, MOST)?))),
            None => Ok(None),
        }
    }

    /// Returns the file.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.lines.concat()
    }

    /// Returns the first record whose first field is `key`.
    #[must_use]
    pub fn find(&self, key: &[u8]) -> Option<usize> {
        self.lines.iter().position(|line| fields(line).next() == Some(key))
    }

    /// Returns field `field` of record `record`, both from 0.
    #[must_use]
    pub fn field(&self, record: usize, field: usize) -> Option<&[u8]> {
        fields(self.lines.get(record)?).nth(field)
    }

    /// Returns the numbers that stand in field `field` of the records.
    pub fn numbers(&self, field: usize) -> impl Iterator<Item = u32> {
        self.lines.iter().filter_map(move |line| number(fields(line).nth(field)?))
    }

    /// Gives a field another value; the record gets fields if it has too few.
    pub fn set(&mut self, record: usize, field: usize, value: &[u8]) {
        let Some(line) = self.lines.get_mut(record) else { return };
        let end = content(line).len();
        let rest = line.split_off(end);
        let mut all: Vec<Vec<u8>> = line.split(|&b| b == b':').map(<[u8]>::to_vec).collect();
        if all.len() <= field {
            all.resize(field + 1, Vec::new());
        }
        all[field] = value.to_vec();
        *line = all.join(&b':');
        line.extend(rest);
    }

    /// Adds a record at the end.
    pub fn push(&mut self, record: &[u8]) {
        if let Some(last) = self.lines.last_mut()
            && !last.ends_with(b"\n")
        {
            last.push(b'\n');
        }
        self.lines.push([record, b"\n"].concat());
    }

    /// Adds a name to the list in the last field of a record; nothing if it is there.
    pub fn add_member(&mut self, record: usize, field: usize, name: &[u8]) {
        let members = self.field(record, field).unwrap_or_default();
        if members.split(|&b| b == b',').any(|member| member == name) {
            return;
        }
        let all = if members.is_empty() { name.to_vec() } else { [members, b",", name].concat() };
        self.set(record, field, &all);
    }
}

fn content(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    content(line).split(|&b| b == b':')
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Returns an account by its name; `None` if the guest has none of that name, or a broken one.
///
/// # Errors
///
/// What the tree says.
pub fn user(tree: &mut dyn Tree, name: &str) -> Result<Option<User>, TreeError> {
    let Some(records) = Records::read(tree, &"/etc/passwd".into())? else { return Ok(None) };
    let found = records.find(name.as_bytes()).and_then(|at| {
        Some(User {
            name: name.as_bytes().to_vec(),
            uid: number(records.field(at, 2)?)?,
            gid: number(records.field(at, 3)?)?,
            home: records.field(at, 5)?.to_vec(),
        })
    });
    Ok(found)
}

/// Returns a group's number by its name.
///
/// # Errors
///
/// What the tree says.
pub fn group(tree: &mut dyn Tree, name: &str) -> Result<Option<u32>, TreeError> {
    let Some(records) = Records::read(tree, &"/etc/group".into())? else { return Ok(None) };
    Ok(records.find(name.as_bytes()).and_then(|at| number(records.field(at, 2)?)))
}

/// Returns whether a text may be the name of an account, as useradd(8) has it.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let body = text.strip_suffix('$').unwrap_or(text);
    let first = body.bytes().next();
    first.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_uppercase() || b == b'_')
        && text.len() <= 32
        && body.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_changed_stays_byte_for_byte() {
        let odd = b"root:x:0:0:root:/root:/bin/bash\n\n+@nis\r\n#c\nlast:y";
        assert_eq!(Records::parse(odd).bytes(), odd);
        let mut records = Records::parse(odd);
        let last = records.find(b"last").unwrap();
        records.set(last, 1, b"new");
        records.set(0, 1, b"");
        records.push(b"more:x");
        assert_eq!(
            records.bytes(),
            b"root::0:0:root:/root:/bin/bash\n\n+@nis\r\n#c\nlast:new\nmore:x\n"
        );
        records.set(last, 4, b"v");
        assert_eq!(records.field(last, 4), Some(&b"v"[..]));
        assert_eq!(records.field(last, 3), Some(&b""[..]));
    }

    #[test]
    fn members_are_added_once() {
        let mut records = Records::parse(b"sudo:x:27:\nadm:x:4:a");
        records.add_member(0, 3, b"u");
        records.add_member(1, 3, b"u");
        records.add_member(1, 3, b"u");
        assert_eq!(records.bytes(), b"sudo:x:27:u\nadm:x:4:a,u");
    }

    #[test]
    fn names_of_accounts_are_checked() {
        for good in ["root", "_apt", "a.b-c_1", "Debian-exim", "host$"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "1a", "a:b", "a b", "-x", "a\n", "$", &"x".repeat(33)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
