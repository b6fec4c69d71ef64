// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Distributions whose packages are RPMs: their releases, and where their packages are.

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

use super::Url;

/// A release of a distribution with RPM, and where its packages are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RpmBase {
    /// The release.
    #[serde(flatten)]
    pub release: RpmRelease,
    /// Where its packages are: what [`RpmRelease::repositories`] stand below.
    pub mirror: Url,
    /// A file of the recipe's folder with the keys of the packages; `None` for the distributor's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyring: Option<String>,
}

/// A release of a distribution with RPM that Kiln builds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RpmRelease {
    /// Fedora.
    Fedora(Fedora),
    /// CentOS Stream.
    CentosStream(CentosStream),
    /// AlmaLinux.
    Almalinux(El),
    /// Rocky Linux.
    Rocky(El),
}

impl RpmRelease {
    /// Returns the distribution's name, as recipes have it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Fedora(_) => "fedora",
            Self::CentosStream(_) => "centos-stream",
            Self::Almalinux(_) => "almalinux",
            Self::Rocky(_) => "rocky",
        }
    }

    /// Returns the version: `43`, `10`, `9.6`.
    #[must_use]
    pub fn version(&self) -> &str {
        match self {
            Self::Fedora(version) => &version.0,
            Self::CentosStream(version) => &version.0,
            Self::Almalinux(version) | Self::Rocky(version) => &version.0,
        }
    }

    /// Returns the version without what follows a dot.
    #[must_use]
    pub fn major(&self) -> &str {
        self.version().split('.').next().unwrap_or_default()
    }

    /// Returns the account that cloud-init makes in the distribution's own images.
    #[must_use]
    pub const fn account(&self) -> &'static str {
        match self {
            Self::Fedora(_) => "fedora",
            Self::CentosStream(_) => "cloud-user",
            Self::Almalinux(_) => "almalinux",
            Self::Rocky(_) => "rocky",
        }
    }

    /// Returns the distributor's mirror.
    pub(super) fn mirror(&self) -> Url {
        let url = match self {
            Self::Fedora(_) => "https://dl.fedoraproject.org/pub/fedora/linux",
            Self::CentosStream(_) => "https://mirror.stream.centos.org",
            Self::Almalinux(_) => "https://repo.almalinux.org/almalinux",
            Self::Rocky(_) => "https://dl.rockylinux.org/pub/rocky",
        };
        url.parse().expect("it is an address")
    }

    /// Returns the repositories: what they are called, and their folders below the mirror. `arch`
    /// is the processor's name there: `x86_64`.
    #[must_use]
    pub fn repositories(&self, arch: &str) -> Vec<(&'static str, String)> {
        let version = self.version();
        match self {
            Self::Fedora(_) => vec![
                ("fedora", format!("releases/{version}/Everything/{arch}/os")),
                ("updates", format!("updates/{version}/Everything/{arch}")),
            ],
            Self::CentosStream(_) => vec![
                ("baseos", format!("{version}-stream/BaseOS/{arch}/os")),
                ("appstream", format!("{version}-stream/AppStream/{arch}/os")),
            ],
            Self::Almalinux(_) | Self::Rocky(_) => vec![
                ("baseos", format!("{version}/BaseOS/{arch}/os")),
                ("appstream", format!("{version}/AppStream/{arch}/os")),
            ],
        }
    }
}

/// Makes a type for the versions of a distribution: a text, or a number as YAML reads it.
macro_rules! version {
    ($(#[$doc:meta])* $name:ident, $why:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
        pub struct $name(String);

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::schema::word("version", $why)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let word = from.deserialize_any(Word)?;
                let check: fn(&str) -> bool = $check;
                if check(&word) {
                    Ok(Self(word))
                } else {
                    Err(de::Error::custom(format!("`{word}` is no version: {}", $why)))
                }
            }
        }
    };
}

struct Word;

impl Visitor<'_> for Word {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a version, like \"43\"")
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_u64<E>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_i64<E>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<String, E> {
        // 9.10 as a number is 9.1.
        Err(E::custom(format!("a version with a dot needs quotes: \"{number}\"")))
    }
}

version! {
    /// A version of Fedora.
    Fedora, "Fedora has 41 and later ones",
    |word| is_number(word) && word.parse::<u32>().is_ok_and(|n| (41..1000).contains(&n))
}

version! {
    /// A version of CentOS Stream.
    CentosStream, "CentOS Stream has 9 and 10",
    |word| matches!(word, "9" | "10")
}

version! {
    /// A version of AlmaLinux or Rocky Linux.
    El, "it is 9 or 10, or one of these with a number after a dot, like \"9.6\"",
    |word| {
        let (major, minor) = word.split_once('.').unwrap_or((word, "0"));
        matches!(major, "9" | "10") && minor.len() <= 2 && is_number(minor)
    }
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use crate::Recipe;
    use crate::recipe::{Base, RpmBase};

    fn base(text: &str) -> Result<RpmBase, String> {
        let text = format!("kiln: 1\nname: r\nbase: {text}\n");
        let recipe = Recipe::parse(&text, "r").map_err(|error| error.to_string())?;
        match recipe.base {
            Base::Rpm(base) => Ok(base),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn repositories_stand_below_the_mirror() {
        let fedora = base("{fedora: 43}").unwrap();
        assert_eq!(fedora, base("{fedora: \"43\"}").unwrap());
        assert_eq!(
            fedora.release.repositories("x86_64"),
            [
                ("fedora", "releases/43/Everything/x86_64/os".to_owned()),
                ("updates", "updates/43/Everything/x86_64".to_owned())
            ]
        );
        let stream = base("{centos-stream: \"10\", mirror: 'http://m/c'}").unwrap();
        assert_eq!(stream.mirror.as_str(), "http://m/c");
        assert_eq!(stream.release.repositories("aarch64")[0].1, "10-stream/BaseOS/aarch64/os");
        let rocky = base("{rocky: \"9.6\", keyring: k.asc}").unwrap();
        assert_eq!((rocky.release.version(), rocky.release.major()), ("9.6", "9"));
        assert_eq!(rocky.keyring.as_deref(), Some("k.asc"));
    }

    #[test]
    fn versions_are_those_that_there_are() {
        for wrong in [
            "{fedora: 7}",
            "{fedora: rawhide}",
            "{fedora: \"43/..\"}",
            "{centos-stream: 8}",
            "{almalinux: 9.6}",
            "{almalinux: \"8.9\"}",
            "{rocky: \"9.\"}",
            "{rocky: \"9\", security: 'http://m/'}",
            "{fedora: 43, components: [main]}",
        ] {
            assert!(base(wrong).is_err(), "{wrong}");
        }
    }
}
