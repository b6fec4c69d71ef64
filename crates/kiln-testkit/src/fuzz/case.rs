// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One input: a seed and what was changed in it, as one line of text.
//!
//! `qcow2 v3 24=00000000000a0000 len=4096`: the target, the seed, then the changes in order: at a
//! place in decimal these bytes in hexadecimal, or the length.

use std::fmt;
use std::str::FromStr;

use super::{Rng, Seed};

/// One change of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// These bytes are put there; the input grows if it must.
    Put(usize, Vec<u8>),
    /// The input is cut off, or filled up with zeros.
    Len(usize),
}

/// One input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The name of the target.
    pub target: String,
    /// The name of the seed.
    pub seed: String,
    /// The changes, in order.
    pub edits: Vec<Edit>,
}

/// The longest input that a change makes.
const MOST: usize = 64 << 20;

impl Case {
    /// Returns the seed with changes.
    #[must_use]
    pub fn new(target: &str, seed: &str, edits: &[Edit]) -> Self {
        Self { target: target.to_owned(), seed: seed.to_owned(), edits: edits.to_vec() }
    }

    /// Returns one of the seeds with one to five random changes.
    ///
    /// # Panics
    ///
    /// If there is no seed.
    #[must_use]
    pub fn random(target: &str, seeds: &[Seed], rng: &mut Rng) -> Self {
        let seed = rng.pick(seeds);
        let count = 1 + rng.below(rng.clone().below(5) + 1);
        let edits: Vec<Edit> = (0..count).map(|_| edit(seed, rng)).collect();
        Self::new(target, seed.name, &edits)
    }

    /// Returns the input, made of the seed's bytes.
    #[must_use]
    pub fn bytes(&self, seed: &[u8]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for edit in &self.edits {
            match edit {
                Edit::Len(len) => bytes.resize((*len).min(MOST), 0),
                Edit::Put(at, new) if at + new.len() <= MOST => {
                    bytes.resize(bytes.len().max(at + new.len()), 0);
                    bytes[*at..at + new.len()].copy_from_slice(new);
                }
                Edit::Put(..) => (),
            }
        }
        bytes
    }
}

/// Returns a random change, most often of a number in a table.
fn edit(seed: &Seed, rng: &mut Rng) -> Edit {
    let len = seed.bytes.len();
    let kind = rng.below(20);
    if kind == 0 {
        return Edit::Len(rng.below(len + 1));
    }
    if kind == 1 || seed.hot.is_empty() {
        let count = 1 + rng.below(8);
        return Edit::Put(rng.below(len), rng.bytes(count));
    }
    let hot = rng.pick(&seed.hot).clone();
    if kind == 2 {
        // A piece of one table in another's place.
        let other = rng.pick(&seed.hot).clone();
        let from = (other.start + rng.below(other.len())).min(len);
        let count = (1_usize << rng.below(8)).min(len - from);
        return Edit::Put(
            hot.start + rng.below(hot.len()),
            seed.bytes[from..from + count].to_vec(),
        );
    }
    let width = *rng.pick(&[1, 2, 4, 4, 8, 8]);
    let at = hot.start + rng.below(hot.len().div_ceil(width)) * width;
    let value = value(seed, at, width, rng);
    let bytes = if seed.big_endian {
        value.to_be_bytes()[8 - width..].to_vec()
    } else {
        value.to_le_bytes()[..width].to_vec()
    };
    Edit::Put(at, bytes)
}

/// Returns a number that parsers may not expect in the place of another.
fn value(seed: &Seed, at: usize, width: usize, rng: &mut Rng) -> u64 {
    let mut old = [0; 8];
    let there = seed.bytes.get(at..(at + width).min(seed.bytes.len())).unwrap_or_default();
    let old = if seed.big_endian {
        old[8 - there.len()..].copy_from_slice(there);
        u64::from_be_bytes(old)
    } else {
        old[..there.len()].copy_from_slice(there);
        u64::from_le_bytes(old)
    };
    let size = u64::try_from(seed.bytes.len()).unwrap_or(u64::MAX);
    match rng.below(12) {
        0 => 0,
        1 => u64::MAX,
        2 => u64::MAX >> 1,
        3 => 1 << rng.below(width * 8),
        4 => (1 << rng.below(width * 8)) - 1,
        5 => old.wrapping_add(1),
        6 => old.wrapping_sub(1),
        7 => old << rng.below(16),
        8 => old ^ 1 << rng.below(width * 8),
        9 => size >> rng.below(16),
        10 => rng.number() % 64,
        _ => rng.number(),
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.target, self.seed)?;
        for edit in &self.edits {
            match edit {
                Edit::Len(len) => write!(f, " len={len}")?,
                Edit::Put(at, bytes) => {
                    write!(f, " {at}=")?;
                    bytes.iter().try_for_each(|b| write!(f, "{b:02x}"))?;
                }
            }
        }
        Ok(())
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{line}` is no case");
        let mut words = line.split_whitespace();
        let (target, seed) = words.next().zip(words.next()).ok_or_else(wrong)?;
        let edit = |word: &str| {
            let (at, value) = word.split_once('=')?;
            if at == "len" {
                return Some(Edit::Len(value.parse().ok()?));
            }
            let digits: Option<Vec<u8>> =
                value.chars().map(|c| c.to_digit(16).and_then(|n| u8::try_from(n).ok())).collect();
            let bytes = digits?.as_chunks::<2>().0.iter().map(|[h, l]| h << 4 | l).collect();
            Some(Edit::Put(at.parse().ok()?, bytes))
        };
        let edits = words.map(edit).collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
        Ok(Self::new(target, seed, &edits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed() -> Seed {
        let bytes = (0..=255).collect();
        Seed { name: "s", bytes, hot: vec![0..16, 100..120], big_endian: true }
    }

    #[test]
    fn a_case_survives_as_text() {
        for number in 0..1000 {
            let case = Case::random("t", &[seed()], &mut Rng::new(number));
            assert_eq!(case.to_string().parse::<Case>().unwrap(), case);
            assert_eq!(Case::random("t", &[seed()], &mut Rng::new(number)), case);
            let _ = case.bytes(&seed().bytes);
        }
        assert!("t".parse::<Case>().is_err());
        assert!("t s 5=zz".parse::<Case>().is_err());
    }

    #[test]
    fn changes_are_made_in_order() {
        let case: Case = "t s 2=ffff len=4 6=01".parse().unwrap();
        assert_eq!(case.bytes(&seed().bytes), [0, 1, 255, 255, 0, 0, 1]);
    }
}
