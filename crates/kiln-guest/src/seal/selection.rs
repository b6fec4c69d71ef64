// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which operations run.

use std::collections::BTreeSet;

use kiln_spec::yaml::nearest;

use super::{OPERATIONS, Operation, Origin, SealError};

/// Stands for the operations that run by default.
const DEFAULTS: &str = "defaults";
/// Stands for all operations.
const ALL: &str = "all";
/// Stands for the operations that virt-sysprep runs by default.
const SYSPREP: &str = "virt-sysprep";

/// A set of operations: those that run by default, until a list is given.
///
/// # Examples
///
/// ```
/// use kiln_guest::seal::Selection;
///
/// let mut selection = Selection::default();
/// selection.add_list("defaults,-ssh-userdir,user-account")?;
/// assert!(selection.contains("user-account") && !selection.contains("ssh-userdir"));
/// # Ok::<(), kiln_guest::seal::SealError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection(Option<BTreeSet<&'static str>>);

impl Selection {
    /// Adds a list as `--operations` has it: names add, names with `-` take away, one after the
    /// other, from nothing on; `defaults`, `all` and `virt-sysprep` (what that tool runs by
    /// default) stand for many. Several lists go on from one another.
    ///
    /// # Errors
    ///
    /// [`SealError::Unknown`], [`SealError::Empty`].
    pub fn add_list(&mut self, list: &str) -> Result<(), SealError> {
        let mut set = self.0.clone().unwrap_or_default();
        for word in list.split(',').map(str::trim) {
            match word.strip_prefix('-') {
                Some(name) => {
                    for name in named(name, "--operations")? {
                        set.remove(name);
                    }
                }
                None => set.extend(named(word, "--operations")?),
            }
        }
        self.0 = Some(set);
        Ok(())
    }

    /// Selects exactly a list, as `--enable` has it: names alone.
    ///
    /// # Errors
    ///
    /// [`SealError::Unknown`], [`SealError::Empty`]; [`SealError::EnabledTwice`] if something
    /// was selected before.
    pub fn enable(&mut self, list: &str) -> Result<(), SealError> {
        if self.0.is_some() {
            return Err(SealError::EnabledTwice);
        }
        let names = list.split(',').map(|name| one(name.trim(), "--enable"));
        self.0 = Some(names.collect::<Result<_, _>>()?);
        Ok(())
    }

    /// Returns whether an operation is in the set.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.operations().iter().any(|operation| operation.name == name)
    }

    /// Returns the operations of the set, by name.
    #[must_use]
    pub fn operations(&self) -> Vec<&'static Operation> {
        let chosen = |op: &&Operation| match &self.0 {
            Some(set) => set.contains(op.name),
            None => op.default,
        };
        OPERATIONS.iter().filter(chosen).collect()
    }
}

/// Returns the operations that a word stands for.
fn named(word: &str, option: &'static str) -> Result<Vec<&'static str>, SealError> {
    let wanted: fn(&Operation) -> bool = match word {
        DEFAULTS => |op| op.default,
        ALL => |_| true,
        SYSPREP => |op| op.default && op.origin == Origin::Sysprep,
        name => return Ok(vec![one(name, option)?]),
    };
    Ok(OPERATIONS.iter().filter(|op| wanted(op)).map(|op| op.name).collect())
}

fn one(name: &str, option: &'static str) -> Result<&'static str, SealError> {
    if name.is_empty() {
        return Err(SealError::Empty { option });
    }
    let found = OPERATIONS.iter().find(|op| op.name == name).map(|op| op.name);
    found.ok_or_else(|| {
        let near = nearest(name, OPERATIONS.iter().map(|op| op.name));
        SealError::Unknown { name: name.to_owned(), near }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(lists: &[&str]) -> Vec<&'static str> {
        let mut selection = Selection::default();
        lists.iter().for_each(|list| selection.add_list(list).unwrap());
        selection.operations().iter().map(|op| op.name).collect()
    }

    fn count(list: &str) -> usize {
        self::list(&[list]).len()
    }

    #[test]
    fn words_are_taken_one_after_the_other() {
        assert_eq!(list(&["utmp,abrt-data"]), ["abrt-data", "utmp"]);
        assert_eq!(list(&["utmp", "abrt-data"]), ["abrt-data", "utmp"]);
        assert_eq!(list(&["utmp,-utmp"]), [""; 0]);
        assert_eq!(list(&["-utmp,utmp"]), ["utmp"]);
        assert_eq!(list(&["-utmp"]), [""; 0]);
        assert_eq!(list(&["all,-defaults,-all"]), [""; 0]);
        assert_eq!(count("all"), OPERATIONS.len());
        assert_eq!(count("defaults,-utmp") + 1, count("defaults"));
        assert_eq!(count("virt-sysprep"), 39);
        assert_eq!(Selection::default().operations().len(), count("defaults"));
    }

    #[test]
    fn wrong_lists_are_refused() {
        let mut selection = Selection::default();
        let text = |error: SealError| error.to_string();
        assert_eq!(
            text(selection.add_list("utnp").unwrap_err()),
            "`utnp` is no seal operation; did you mean `utmp`?"
        );
        assert_eq!(
            text(selection.enable("zzzzzzzzz").unwrap_err()),
            "`zzzzzzzzz` is no seal operation"
        );
        assert_eq!(
            text(selection.add_list("utmp,,x").unwrap_err()),
            "`--operations` has an empty name of an operation"
        );
        assert_eq!(
            text(selection.enable("").unwrap_err()),
            "`--enable` has an empty name of an operation"
        );
        // As in virt-sysprep, `--enable` knows names only.
        assert!(selection.enable("defaults").is_err());
        selection.enable("utmp").unwrap();
        assert_eq!(
            text(selection.enable("utmp").unwrap_err()),
            "`--enable` can be given once, and not after `--operations`"
        );
        selection.add_list("abrt-data").unwrap();
        assert_eq!(selection.operations().len(), 2);
    }
}
