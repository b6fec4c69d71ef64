// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Words: text for which a check holds, each kind a type of its own.

/// A word that may not stand where it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no {what}: {why}", word.escape_debug())]
pub struct WordError {
    /// The word.
    pub word: String,
    /// What it should be: `image name`.
    pub what: &'static str,
    /// What it should be like.
    pub why: &'static str,
}

/// Makes a type for one kind of word: text for which a check holds.
macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $what:literal, $why:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Returns the word as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::schema::word($what, $why)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::word::WordError;

            fn from_str(word: &str) -> Result<Self, $crate::word::WordError> {
                let check: fn(&str) -> bool = $check;
                if check(word) {
                    Ok(Self(word.to_owned()))
                } else {
                    Err($crate::word::WordError { word: word.to_owned(), what: $what, why: $why })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::word::WordError;

            fn try_from(word: String) -> Result<Self, $crate::word::WordError> {
                word.parse()
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                word.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

pub(crate) use word;

/// The most characters of a name that becomes that of a file, with an ending: Linux takes 255.
const MOST_FILE: usize = 200;

/// Whether a text can be the name of something that libvirt keeps in a file of that name
/// (`NAME.xml`).
pub(crate) fn is_file_word(text: &str) -> bool {
    is_word(text, MOST_FILE, "-_.")
}

/// Whether a text begins with a letter or digit and has only those and `more`, at most `most`.
pub(crate) fn is_word(text: &str, most: usize, more: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.len() <= most
        && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}
