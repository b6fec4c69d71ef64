// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Password hashes as `/etc/shadow` holds them.
//!
//! SHA-512 is the default: every C library of the last fifteen years takes it, musl's too, and
//! yescrypt takes ten times as long to make.
//!
//! Source: crypt(5).

use sha_crypt::{PasswordHasher, ShaCrypt};
use yescrypt::Yescrypt;

/// How a password is hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Crypto {
    /// `$1$`: for systems from before 2007 only, and not safe any more.
    Md5,
    /// `$5$`.
    Sha256,
    /// `$6$`.
    #[default]
    Sha512,
    /// `$y$`: for libxcrypt 4.3 and newer (2018); not for musl.
    Yescrypt,
}

/// Why a password could not be hashed.
#[derive(Debug, thiserror::Error)]
#[error("could not hash the password")]
pub struct HashError {
    /// What the algorithm said.
    source: sha_crypt::password_hash::Error,
}

impl Crypto {
    /// Every one, by the word that stands for it.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("md5", Self::Md5),
        ("sha256", Self::Sha256),
        ("sha512", Self::Sha512),
        ("yescrypt", Self::Yescrypt),
    ];

    /// Hashes a password. `salt` must be random.
    ///
    /// # Errors
    ///
    /// What the algorithm says of its parameters.
    pub fn hash(self, password: &[u8], salt: &[u8; 16]) -> Result<String, HashError> {
        // Twelve bytes are the sixteen characters of salt that libcrypt looks at; it does not
        // know a hash that was made with more.
        let hash = match self {
            Self::Md5 => return Ok(md5_crypt(password, salt)),
            Self::Sha256 => ShaCrypt::SHA256.hash_password_with_salt(password, &salt[..12]),
            Self::Sha512 => ShaCrypt::SHA512.hash_password_with_salt(password, &salt[..12]),
            Self::Yescrypt => Yescrypt::default().hash_password_with_salt(password, salt),
        };
        hash.map(|hash| hash.as_str().to_owned()).map_err(|source| HashError { source })
    }
}

/// Characters of the numbers 0 to 63 in hashes.
const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

fn digits(mut number: u32, count: usize, out: &mut String) {
    for _ in 0..count {
        out.push(char::from(DIGITS[(number & 63) as usize]));
        number >>= 6;
    }
}

/// The algorithm of FreeBSD 2.0's crypt(3), 1994.
fn md5_crypt(password: &[u8], random: &[u8; 16]) -> String {
    use md5::{Digest, Md5};
    let salt: Vec<u8> = random[..8].iter().map(|b| DIGITS[usize::from(b & 63)]).collect();
    let mut inner = [password, b"$1$", &salt].concat();
    let other = Md5::digest([password, &salt, password].concat());
    inner.extend(password.chunks(16).flat_map(|chunk| &other[..chunk.len()]));
    let mut rest = password.len();
    while rest > 0 {
        inner.push(if rest & 1 == 1 { 0 } else { password[0] });
        rest >>= 1;
    }
    let mut hash: [u8; 16] = Md5::digest(inner).into();
    for round in 0..1000 {
        let odd = round % 2 == 1;
        let mut next = if odd { password.to_vec() } else { hash.to_vec() };
        if round % 3 != 0 {
            next.extend(&salt);
        }
        if round % 7 != 0 {
            next.extend(password);
        }
        next.extend(if odd { &hash[..] } else { password });
        hash = Md5::digest(next).into();
    }
    let mut text = format!("$1${}$", String::from_utf8_lossy(&salt));
    for (a, b, c) in [(0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5)] {
        let three = [hash[a], hash[b], hash[c]].map(u32::from);
        digits(three[0] << 16 | three[1] << 8 | three[2], 4, &mut text);
    }
    digits(u32::from(hash[11]), 2, &mut text);
    text
}

/// Characters of random passwords: none that looks like another.
const CLEAR: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
/// How long they are: 93 bits.
const RANDOM_LENGTH: usize = 16;

/// Returns a random password: 16 letters and digits. `random` fills a slice with random bytes.
///
/// # Errors
///
/// What `random` says.
pub fn random_password<E>(random: &mut dyn FnMut(&mut [u8]) -> Result<(), E>) -> Result<String, E> {
    let mut password = String::new();
    while password.len() < RANDOM_LENGTH {
        let mut bytes = [0; 64];
        random(&mut bytes)?;
        // Bytes past the last whole multiple would make some characters likelier.
        let fair = 256 / CLEAR.len() * CLEAR.len();
        let chosen = bytes.iter().map(|&b| usize::from(b)).filter(|b| *b < fair);
        password.extend(
            chosen.map(|b| char::from(CLEAR[b % CLEAR.len()])).take(RANDOM_LENGTH - password.len()),
        );
    }
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_passwords_are_of_clear_characters() {
        let mut next = 0_u8;
        let mut random = |buf: &mut [u8]| {
            for byte in buf {
                next = next.wrapping_mul(29).wrapping_add(7);
                *byte = next;
            }
            Ok::<(), ()>(())
        };
        let password = random_password(&mut random).unwrap();
        assert_eq!(password.len(), 16);
        assert!(password.bytes().all(|b| CLEAR.contains(&b)));
        assert_ne!(password, random_password(&mut random).unwrap());
        assert_eq!(random_password(&mut |_| Err(3)), Err(3));
    }
}
