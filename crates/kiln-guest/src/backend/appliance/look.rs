// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Asking the appliance for many things of a directory at once.

use std::fs::File;
use std::io::Read;

use kiln_host::tools::guestfish::{self, FishError, Word, host};

use super::ahead::Names;
use super::answer;
use super::tree::{ApplianceTree, ROOM, backend, failed, strange};
use crate::tree::{GuestPath, Kind, Stat, Tree, TreeError, Xattrs};

/// The most bytes of names in a directory.
const MOST_NAMES: u64 = 256 << 20;
/// How many files' attributes are asked for at once.
const AT_ONCE: usize = 100;

impl ApplianceTree {
    /// Reads a directory: its names in their order, with what is there. `None` if it is none.
    pub(super) fn read_dir(&mut self, dir: &GuestPath) -> Result<Option<Names>, TreeError> {
        let names = match self.session.call("readdir", &[Word::Bytes(dir.as_bytes())]) {
            Ok(text) => answer::names(&text),
            // It may also be too large.
            Err(FishError::Refused { .. }) => match self.stat(dir)? {
                Some(stat) if stat.kind == Kind::Directory => None,
                _ => return Ok(None),
            },
            Err(error) => return Err(backend("read", dir, error)),
        };
        if let Some(names) = names {
            let stats = self.stats(dir, &names)?;
            if let Some(stats) = stats.into_iter().collect::<Option<Vec<_>>>() {
                return Ok(Some(names.into_iter().zip(stats).collect()));
            }
        }
        // A name that the structures' text does not tell.
        let names = self.names_by_file(dir)?;
        let stats = self.stats(dir, &names)?;
        let stat = |(name, stat): (Vec<u8>, Option<Stat>)| match stat {
            Some(stat) => Ok((name, stat)),
            // It is there, and cannot be read.
            None => Err(strange("read", &dir.join(&name))),
        };
        names.into_iter().zip(stats).map(stat).collect::<Result<Vec<_>, _>>().map(Some)
    }

    fn names_by_file(&mut self, dir: &GuestPath) -> Result<Vec<Vec<u8>>, TreeError> {
        let buffer = self.buffer();
        self.call(("ls0", "read"), &[Word::Bytes(dir.as_bytes()), host(&buffer)], dir)?;
        let mut bytes = Vec::new();
        File::open(&buffer)
            .and_then(|file| file.take(MOST_NAMES).read_to_end(&mut bytes))
            .map_err(|e| failed("read", dir, e))?;
        let names = bytes.split(|b| *b == 0).filter(|name| !name.is_empty());
        let mut names: Vec<_> = names.map(<[u8]>::to_vec).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Asks what several names of a directory are; `None` for one that is not there.
    fn stats(
        &mut self,
        dir: &GuestPath,
        names: &[Vec<u8>],
    ) -> Result<Vec<Option<Stat>>, TreeError> {
        let mut all = Vec::with_capacity(names.len());
        let mut rest = names;
        while let [first, others @ ..] = rest {
            let (list, count) = list_of(dir, rest, usize::MAX);
            if count == 0 {
                all.push(self.ask("lstatns", &dir.join(first))?);
                rest = others;
                continue;
            }
            let words = [Word::Bytes(dir.as_bytes()), Word::Bytes(&list)];
            let text = self.call(("lstatnslist", "read"), &words, dir)?;
            let some = answer::structures(&text).filter(|some| some.len() == count);
            for one in some.ok_or_else(|| strange("read", dir))? {
                all.push(answer::stat(one).map(|(stat, device)| self.located(stat, device)));
            }
            rest = &rest[count..];
        }
        Ok(all)
    }

    /// Asks for the attributes of what is at a path, and of what comes after it in its directory.
    pub(super) fn ask_ahead(&mut self, path: &GuestPath) -> Result<(), TreeError> {
        let Some(dir) = path.parent() else { return Ok(()) };
        let names = self.ahead.wanted(path, AT_ONCE);
        let (list, count) = list_of(&dir, &names, AT_ONCE);
        if count < 2 {
            return Ok(());
        }
        let words = [Word::Bytes(dir.as_bytes()), Word::Bytes(&list)];
        let text = match self.session.call("lxattrlist", &words) {
            Ok(text) => text,
            Err(FishError::Refused { .. }) => return Ok(()),
            Err(error) => return Err(backend("read", path, error)),
        };
        let Some(all) = answer::attributes_of(&text, count) else { return Ok(()) };
        for (name, attributes) in names.iter().zip(all) {
            let known = |one: &answer::Attribute<'_>| {
                Some((String::from_utf8(one.0.to_vec()).ok()?, answer::plain(*one)?))
            };
            let own = attributes.iter().filter(|(name, _)| !is_alias(name));
            if let Some(mut xattrs) = own.map(known).collect::<Option<Xattrs>>() {
                xattrs.sort();
                self.ahead.put_xattrs(&dir, name, xattrs);
            }
        }
        Ok(())
    }
}

/// Returns whether an attribute is how XFS keeps an access control list, which has a name of its
/// own: to remove the one is to remove the other.
pub(super) fn is_alias(name: &[u8]) -> bool {
    [&b"trusted.SGI_ACL_FILE"[..], b"trusted.SGI_ACL_DEFAULT"].contains(&name)
}

/// Returns names of a directory as one word, as many as fit into a line, and how many they are.
/// None if the first is one that such a list cannot have.
fn list_of(dir: &GuestPath, names: &[Vec<u8>], most: usize) -> (Vec<u8>, usize) {
    let room = guestfish::MOST.saturating_sub(guestfish::quoted_len(dir.as_bytes()) + ROOM);
    let (mut list, mut count, mut len) = (Vec::new(), 0, 0);
    for name in names.iter().take(most) {
        // guestfish(1): a list's words are quoted within; a quote or a backslash cannot be.
        len += guestfish::quoted_len(name) + 3;
        let odd = name.iter().any(|b| b"'\\".contains(b)) || name.starts_with(b"..");
        if odd || len > room {
            break;
        }
        list.push(b'\'');
        list.extend_from_slice(name);
        list.extend_from_slice(b"' ");
        count += 1;
    }
    (list, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_asked_for_as_many_at_once_as_fit_into_a_line() {
        let names =
            |names: &[&str]| names.iter().map(|n| n.as_bytes().to_vec()).collect::<Vec<_>>();
        let dir = GuestPath::from("/etc");
        let some = names(&["a b", "c\nd", "it's", "z"]);
        assert_eq!(list_of(&dir, &some, 9), (b"'a b' 'c\nd' ".to_vec(), 2));
        assert_eq!(list_of(&dir, &some, 1).1, 1);
        assert_eq!(list_of(&dir, &some[2..], 9).1, 0);
        let many = vec![b"x".repeat(255); 100];
        let (list, count) = list_of(&dir, &many, usize::MAX);
        assert!(count > 25 && guestfish::quoted_len(&list) < guestfish::MOST - ROOM);
    }
}
