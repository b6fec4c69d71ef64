// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The key that updates are signed with, and the file that it comes in.
//!
//! Source: the `key` statement of BIND's `named.conf` (named.conf(5)), which tsig-keygen(8) and
//! ddns-confgen(8) write, and which Knot's and PowerDNS's programs know as well.
//!
//! **Invariant:** no error and no `Debug` shows the secret.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::tsig::{Algorithm, Key, KeyName};
use serde::{Deserialize, Serialize};

/// The algorithms, as BIND's files name them: RFC 8945, section 6, those that may still be used,
/// and SHA-1, which old servers have.
const ALGORITHMS: [(&str, Algorithm); 4] = [
    ("hmac-sha256", Algorithm::Sha256),
    ("hmac-sha384", Algorithm::Sha384),
    ("hmac-sha512", Algorithm::Sha512),
    ("hmac-sha1", Algorithm::Sha1),
];

/// Why there is no key in a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No key is there.
    #[error("there is no `key \"NAME\" {{ algorithm …; secret \"…\"; }};` in it")]
    Missing,
    /// Several keys are there.
    #[error("there are several keys in it: {}", names.join(", "))]
    Several {
        /// Their names.
        names: Vec<String>,
    },
    /// A key's name is none of DNS.
    #[error("`{}` is no name of a key", name.escape_debug())]
    Name {
        /// The name.
        name: String,
    },
    /// The algorithm is not one of those.
    #[error(
        "the key `{name}` has an algorithm that is not known here; there are hmac-sha256, hmac-sha384, hmac-sha512 and hmac-sha1"
    )]
    Algorithm {
        /// The key's name.
        name: String,
    },
    /// The secret is no base64.
    #[error("the secret of the key `{name}` is no base64")]
    Secret {
        /// The key's name.
        name: String,
    },
}

/// A key that a server knows, too.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TsigKey {
    name: String,
    algorithm: String,
    secret: String,
}

impl fmt::Debug for TsigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TsigKey").field("name", &self.name).finish_non_exhaustive()
    }
}

impl TsigKey {
    /// Reads the one key of a file.
    ///
    /// # Errors
    ///
    /// [`KeyError`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut keys = statements(&tokens(text));
        let Some(key) = keys.pop() else { return Err(KeyError::Missing) };
        if !keys.is_empty() {
            let names = keys.into_iter().chain([key]).map(|key| key.name).collect();
            return Err(KeyError::Several { names });
        }
        key.signer()?;
        Ok(key)
    }

    /// Returns its name, by which the server knows it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its algorithm: `hmac-sha256`.
    #[must_use]
    pub fn algorithm(&self) -> &str {
        &self.algorithm
    }

    /// Returns what signs.
    pub(crate) fn signer(&self) -> Result<Key, KeyError> {
        let name = || self.name.clone();
        let known: KeyName = self.name.parse().map_err(|_| KeyError::Name { name: name() })?;
        let algorithm = ALGORITHMS.iter().find(|(word, _)| *word == self.algorithm);
        let (_, algorithm) = algorithm.ok_or_else(|| KeyError::Algorithm { name: name() })?;
        let secret = STANDARD.decode(&self.secret).ok().filter(|secret| !secret.is_empty());
        let secret = secret.ok_or_else(|| KeyError::Secret { name: name() })?;
        // Without bounds of its own none can be wrong.
        Key::new(*algorithm, &secret, known, None, None)
            .map_err(|_| KeyError::Algorithm { name: name() })
    }
}

/// Returns the words of a file of BIND's, without comments: `{`, `}` and `;` stand alone.
fn tokens(text: &str) -> Vec<String> {
    let (mut all, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let line = || rest.find('\n').unwrap_or(rest.len());
        let end = match first {
            '#' => line(),
            '/' if rest.starts_with("//") => line(),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |at| at + 2),
            '"' => {
                let end = rest[1..].find('"').map_or(rest.len(), |at| at + 1);
                all.push(rest[1..end].to_owned());
                (end + 1).min(rest.len())
            }
            '{' | '}' | ';' => {
                all.push(first.to_string());
                1
            }
            white if white.is_whitespace() => white.len_utf8(),
            _ => {
                let ends = |c: char| c.is_whitespace() || "{};\"".contains(c);
                let end = rest.find(ends).unwrap_or(rest.len());
                all.push(rest[..end].to_owned());
                end
            }
        };
        rest = &rest[end..];
    }
    all
}

/// Returns the keys among the words; one that is not whole has an empty algorithm or secret.
fn statements(tokens: &[String]) -> Vec<TsigKey> {
    let mut keys = Vec::new();
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth = depth.saturating_sub(1),
            "key" if depth == 0 => {
                let [name, brace, body @ ..] = &tokens[at + 1..] else { continue };
                if brace != "{" {
                    continue;
                }
                let end = body.iter().position(|token| token == "}").unwrap_or(body.len());
                let of = |what: &str| {
                    let mut pairs = body[..end].windows(2);
                    let found = pairs.find(|pair| pair[0].eq_ignore_ascii_case(what));
                    found.map(|pair| pair[1].clone()).unwrap_or_default()
                };
                // A name of DNS, with or without the dot at its end.
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                let algorithm = of("algorithm").to_ascii_lowercase();
                keys.push(TsigKey { name, algorithm, secret: of("secret") });
            }
            _ => {}
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# made by ddns-confgen\nkey \"Kiln.Lab.\" {\n\talgorithm hmac-sha256;\n\
        \tsecret \"c2VjcmV0c2VjcmV0\"; // no more\n};\n/* key \"x\" { }; */\n";

    #[test]
    fn the_key_of_a_file_is_read_and_not_shown() {
        let key = TsigKey::parse(FILE).unwrap();
        assert_eq!((key.name(), key.algorithm()), ("kiln.lab", "hmac-sha256"));
        assert_eq!(format!("{key:?}"), "TsigKey { name: \"kiln.lab\", .. }");
        let plain = "key kiln { algorithm HMAC-SHA512 ; secret c2VjcmV0; };";
        assert_eq!(TsigKey::parse(plain).unwrap().algorithm(), "hmac-sha512");
    }

    #[test]
    fn what_is_no_key_says_why_without_the_secret() {
        let said = |text: &str| TsigKey::parse(text).unwrap_err().to_string();
        let missing = "there is no `key \"NAME\" { algorithm …; secret \"…\"; };` in it";
        for text in ["", "key", "zone \"a\" { key { x; }; };", "key \"", "/* key a {"] {
            assert_eq!(said(text), missing, "{text}");
        }
        let two = format!("{FILE}{}", FILE.replace("Kiln", "other"));
        assert_eq!(said(&two), "there are several keys in it: kiln.lab, other.lab");
        let md5 = said(&FILE.replace("sha256", "md5"));
        assert!(md5.starts_with("the key `kiln.lab` has an algorithm that is not known"), "{md5}");
        for secret in ["no base64!", ""] {
            let text = FILE.replace("c2VjcmV0c2VjcmV0", secret);
            assert_eq!(said(&text), "the secret of the key `kiln.lab` is no base64");
        }
        let long = FILE.replace("Kiln", &"x".repeat(64));
        assert!(said(&long).ends_with("is no name of a key"));
    }
}
