// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Checksums that publishers give, and the files that they give them in.

use std::fmt;

use kiln_spec::image::Digest;
use ring::digest::{Algorithm as Ring, Context, SHA256, SHA512};

/// A hash function that is trusted. MD5 and SHA-1 are not: images that have nothing better are
/// refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Every one, the strongest last.
    pub const ALL: &'static [Self] = &[Self::Sha256, Self::Sha512];

    /// Returns its name, as checksum files spell it: `sha256`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    const fn digits(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }

    fn ring(self) -> &'static Ring {
        match self {
            Self::Sha256 => &SHA256,
            Self::Sha512 => &SHA512,
        }
    }
}

/// A checksum. Shown as `sha256:` and digits in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Checksum {
    algorithm: Algorithm,
    hex: String,
}

impl Checksum {
    /// Makes a checksum of its digits; `None` if they are not as many as they must be.
    #[must_use]
    pub fn new(algorithm: Algorithm, hex: &str) -> Option<Self> {
        let good = hex.len() == algorithm.digits() && hex.bytes().all(|b| b.is_ascii_hexdigit());
        good.then(|| Self { algorithm, hex: hex.to_ascii_lowercase() })
    }

    /// Returns the hash function.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns the digits, in lower case.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.hex
    }
}

impl From<&Digest> for Checksum {
    fn from(digest: &Digest) -> Self {
        Self { algorithm: Algorithm::Sha256, hex: digest.hex().to_owned() }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex)
    }
}

/// Computes a checksum bit by bit.
#[derive(Clone)]
pub struct Hasher {
    algorithm: Algorithm,
    context: Context,
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").field("algorithm", &self.algorithm).finish()
    }
}

impl Hasher {
    /// Begins.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, context: Context::new(algorithm.ring()) }
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
    }

    /// Ends.
    #[must_use]
    pub fn finish(self) -> Checksum {
        let digest = self.context.finish();
        let hex = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Checksum { algorithm: self.algorithm, hex }
    }
}

/// Finds a file's checksum in a file of checksums, by the digits' number.
///
/// Understands what coreutils write (`digits  name`, `digits *name`, also with `--tag` or as BSD
/// does: `SHA512 (name) = digits`), and a file with nothing but digits. Of a name's several
/// checksums the strongest counts; two of the same kind that differ count as none.
#[must_use]
pub fn find(text: &str, file: &str) -> Option<Checksum> {
    let mut found: Vec<Checksum> = Vec::new();
    let (mut lines, mut only) = (0, None);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        lines += 1;
        let (name, digits) = match tagged(line) {
            Some(tagged) => tagged,
            None => match line.split_once([' ', '\t']) {
                Some((digits, name)) => (name.trim_start().trim_start_matches('*'), digits),
                None => {
                    only = Some(line);
                    continue;
                }
            },
        };
        let name = name.strip_prefix("./").unwrap_or(name);
        if name == file {
            found.extend(of_digits(digits));
        }
    }
    if lines == 1
        && let Some(digits) = only
    {
        return of_digits(digits);
    }
    found.sort();
    found.dedup();
    let best = found.pop()?;
    let twice = found.iter().any(|other| other.algorithm == best.algorithm);
    (!twice).then_some(best)
}

/// Returns the checksum of a file that has just one, whatever it names.
#[must_use]
pub fn only(text: &str) -> Option<Checksum> {
    let line = |line: &str| match tagged(line) {
        Some((_, digits)) => of_digits(digits),
        None => of_digits(line.split([' ', '\t']).next().unwrap_or_default()),
    };
    let mut all = text.lines().filter_map(|text| line(text.trim()));
    all.next().filter(|_| all.next().is_none())
}

/// Reads `SHA512 (name) = digits`.
fn tagged(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.split_once(" (")?;
    rest.split_once(") = ")
}

fn of_digits(digits: &str) -> Option<Checksum> {
    Algorithm::ALL.iter().find_map(|&algorithm| Checksum::new(algorithm, digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_found_in_every_layout() {
        let (a, b) = ("a".repeat(64), "B".repeat(128));
        let text = format!("# {a}\n{a} *x.img\n{a}  ./y.img\nSHA512 (y.img) = {b}\nMD5 (z) = 00\n");
        assert_eq!(find(&text, "x.img"), Checksum::new(Algorithm::Sha256, &a));
        assert_eq!(find(&text, "y.img"), Checksum::new(Algorithm::Sha512, &b));
        assert_eq!(find(&text, "y.img").unwrap().hex(), "b".repeat(128));
        assert_eq!(find(&text, "img"), None);
        assert_eq!(find(&text, "z"), None);
        assert_eq!(find(&format!("{a}\n"), "x"), Checksum::new(Algorithm::Sha256, &a));
        assert_eq!(find(&format!("{a}  x\n{}  x\n", "c".repeat(64)), "x"), None);
        assert_eq!(find("", "x"), None);
        assert_eq!(only(&format!("# x\nSHA256 (y) = {a}\n")), Checksum::new(Algorithm::Sha256, &a));
        assert_eq!(only(&format!("{a}  x\n{a}  y\n")), None);
    }

    #[test]
    fn a_hash_is_that_of_the_standard() {
        let mut hasher = Hasher::new(Algorithm::Sha512);
        hasher.update(b"a");
        hasher.update(b"bc");
        // FIPS 180-2, appendix C.1.
        assert!(hasher.finish().to_string().starts_with("sha512:ddaf35a193617abacc417349ae204131"));
    }
}
