// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Names of machines, which are host names, too; of pools; and tags.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::word::{is_file_word, is_word, word};

/// The most characters of a host name's label: RFC 1035, 2.3.4.
const MOST: usize = 63;

/// The name of a machine: one label of a host name (RFC 1123, 2.1), in lower case.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct MachineName(String);

/// Why a name cannot be a machine's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// It is empty.
    #[error("a machine needs a name")]
    Empty,
    /// It is longer than a host name may be.
    #[error("`{name}` has {} characters; a host name has at most {MOST}", name.chars().count())]
    TooLong {
        /// The name.
        name: String,
    },
    /// It holds a character that a host name may not.
    #[error("`{name}` is no host name: `{wrong}` may not stand in one (a-z, 0-9 and - may)")]
    Character {
        /// The name.
        name: String,
        /// The first wrong character.
        wrong: char,
    },
    /// It begins or ends with a hyphen.
    #[error("`{name}` is no host name: it begins or ends with `-`")]
    Hyphen {
        /// The name.
        name: String,
    },
}

impl MachineName {
    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name of the `n`th of several machines: `web` and 2 make `web-2`.
    ///
    /// # Errors
    ///
    /// [`NameError::TooLong`] if the number makes it too long.
    pub fn counted(&self, n: u32) -> Result<Self, NameError> {
        format!("{}-{n}", self.0).parse()
    }
}

impl FromStr for MachineName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        let owned = || name.to_owned();
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() {
            Err(NameError::Empty)
        } else if let Some(wrong) = name.chars().find(|&c| !allowed(c)) {
            Err(NameError::Character { name: owned(), wrong })
        } else if name.len() > MOST {
            Err(NameError::TooLong { name: owned() })
        } else if name.starts_with('-') || name.ends_with('-') {
            Err(NameError::Hyphen { name: owned() })
        } else {
            Ok(Self(owned()))
        }
    }
}

impl TryFrom<String> for MachineName {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        name.parse()
    }
}

impl From<MachineName> for String {
    fn from(name: MachineName) -> Self {
        name.0
    }
}

impl fmt::Display for MachineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

word!(
    /// The name of a pool: libvirt keeps its definition in a file of that name.
    PoolName,
    "name of a pool",
    "it begins with a letter or digit, and has letters, digits, `-`, `_` and `.`, at most 200",
    is_file_word
);
word!(
    /// A word by which machines are put together: a group of an inventory.
    Tag,
    "tag",
    "it begins with a letter or digit, and has letters, digits, `-` and `_`, at most 63",
    |tag| is_word(tag, MOST, "-_")
);

#[cfg(test)]
mod tests {
    use super::*;

    fn error(name: &str) -> String {
        name.parse::<MachineName>().unwrap_err().to_string()
    }

    #[test]
    fn host_names_are_names() {
        for name in ["web1", "a", "1", "x-y", &"a".repeat(63)] {
            assert_eq!(name.parse::<MachineName>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn what_is_no_host_name_is_refused_with_the_reason() {
        assert_eq!(error(""), "a machine needs a name");
        assert_eq!(
            error(&"a".repeat(64)),
            format!("`{}` has 64 characters; a host name has at most 63", "a".repeat(64))
        );
        assert_eq!(
            error("we_b"),
            "`we_b` is no host name: `_` may not stand in one (a-z, 0-9 and - may)"
        );
        assert_eq!(
            error("Web"),
            "`Web` is no host name: `W` may not stand in one (a-z, 0-9 and - may)"
        );
        assert_eq!(error("-web"), "`-web` is no host name: it begins or ends with `-`");
        assert_eq!(
            error("../x"),
            "`../x` is no host name: `.` may not stand in one (a-z, 0-9 and - may)"
        );
    }

    #[test]
    fn counted_names_stay_names() {
        assert_eq!("web".parse::<MachineName>().unwrap().counted(3).unwrap().as_str(), "web-3");
        assert!("a".repeat(62).parse::<MachineName>().unwrap().counted(1).is_err());
    }
}
