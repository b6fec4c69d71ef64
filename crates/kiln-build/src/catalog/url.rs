// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Addresses: which are understood, what is shown of them, how a path joins one.

use std::fmt;
use std::path::{Path, PathBuf};

use kiln_spec::place::after_scheme;

/// The address of a file or of a folder of files: `https://`, `http://` or a path of this host.
///
/// Its `Display` leaves out a user's name and password.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(String);

/// A text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` is no address: `https://…`, `http://…`, `file:///…` or an absolute path is one")]
pub struct AddressError {
    /// The text, without a password.
    pub shown: String,
}

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    ///
    /// [`AddressError`] for another scheme, a relative path, blanks or control characters.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let path = text.strip_prefix("file://").filter(|path| path.starts_with('/'));
        let text = path.unwrap_or(text);
        let good = match after_scheme(text) {
            Some(rest) => !rest.is_empty() && !rest.starts_with('/') && !rest.contains(' '),
            None => text.starts_with('/'),
        };
        if good && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(AddressError { shown: redact(text).escape_debug().to_string() })
        }
    }

    /// Returns the address with its user's name and password, if it has them.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// Returns the path, if this is one of this host.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.starts_with('/').then(|| Path::new(&self.0))
    }

    /// Returns whether it is `https://`.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// Returns the host's name, without a port.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        let authority = self.0.split_once("://")?.1.split(['/', '?', '#']).next()?;
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        if host.starts_with('[') {
            return host.split_inclusive(']').next();
        }
        host.split(':').next()
    }

    /// Returns the address of `relative`, which begins in the same folder as this one: what is
    /// after the last `/` of this address gives way to it.
    ///
    /// # Errors
    ///
    /// What is wrong with `relative`: see [`check_relative`].
    pub fn join(&self, relative: &str) -> Result<Self, String> {
        check_relative(relative)?;
        let base = self.0.split(['?', '#']).next().unwrap_or_default();
        let after_scheme = base.find("://").map_or(0, |at| at + 3);
        let end = base.rfind('/').filter(|at| *at >= after_scheme);
        let folder = end.map_or_else(|| format!("{base}/"), |at| base[..=at].to_owned());
        if self.path().is_some() {
            return Ok(Self(folder + relative));
        }
        Ok(Self(folder + &encode(relative)))
    }

    /// Returns the address as a folder's: with a `/` at its end.
    #[must_use]
    pub fn folder(&self) -> Self {
        Self(if self.0.ends_with('/') { self.0.clone() } else { format!("{}/", self.0) })
    }

    /// Returns where a redirection from here leads.
    #[must_use]
    pub fn redirect(&self, location: &str) -> Option<Self> {
        if location.is_empty() {
            return None;
        }
        if location.contains("://") {
            return Self::parse(location).ok().filter(|to| to.path().is_none());
        }
        let (scheme, rest) = self.0.split_once("://")?;
        if let Some(other) = location.strip_prefix("//") {
            return Self::parse(&format!("{scheme}://{other}")).ok();
        }
        let host = rest.split('/').next()?;
        if location.starts_with('/') {
            return Self::parse(&format!("{scheme}://{host}{location}")).ok();
        }
        let folder = self.0.rfind('/').map(|at| &self.0[..=at])?;
        Self::parse(&format!("{folder}{location}")).ok()
    }

    /// Returns what is after the last `/`.
    #[must_use]
    pub fn file_name(&self) -> &str {
        let base = self.0.split(['?', '#']).next().unwrap_or_default();
        base.rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact(&self.0))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl From<PathBuf> for Address {
    fn from(path: PathBuf) -> Self {
        Self(path.to_string_lossy().into_owned())
    }
}

/// Returns an address without a user's name and password.
#[must_use]
pub fn redact(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://***@{}", &rest[at + 1..]),
        None => text.to_owned(),
    }
}

/// Checks a path that somebody else wrote: relative, and leading nowhere but down.
///
/// # Errors
///
/// What is wrong with it, to be put after the key's name. Percent signs are looked through.
pub fn check_relative(path: &str) -> Result<(), String> {
    let shown = path.escape_debug();
    if path.is_empty() {
        return Err("is empty".into());
    }
    if path.contains("://") {
        return Err(format!("is an address, not a path beside the index: `{shown}`"));
    }
    if path.starts_with('/') {
        return Err(format!("is an absolute path: `{shown}`"));
    }
    for part in path.split('/') {
        let plain = decode(part);
        let bad = |c: char| c == '/' || c == '\\' || c.is_control();
        if plain.is_empty() || plain == "." || plain == ".." || plain.chars().any(bad) {
            return Err(format!("is a path that leads elsewhere: `{shown}`"));
        }
    }
    Ok(())
}

/// Decodes the percent signs of a part of a path, twice: what a careless server would do.
fn decode(part: &str) -> String {
    let once = |text: &[u8]| {
        let mut out = Vec::new();
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            let hex = text.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
            let code = hex.filter(|_| byte == b'%').and_then(|h| u8::from_str_radix(h, 16).ok());
            out.push(code.unwrap_or(byte));
            at += if code.is_some() { 3 } else { 1 };
        }
        out
    };
    String::from_utf8_lossy(&once(&once(part.as_bytes()))).into_owned()
}

/// Encodes what may not stand in the path of an address; percent signs are left as they are.
fn encode(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=:@%".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn paths_that_lead_away_are_refused() {
        for good in ["a.xz", "a/b.xz", "a b.xz", "..a", "a%20b", "ü.xz"] {
            assert_eq!(check_relative(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "/etc/passwd",
            "https://other/a",
            "../a",
            "a/../../b",
            "a/./b",
            "a//b",
            "a/",
            "%2e%2e/a",
            "%252e%252e/a",
            "a%2f..%2fb",
            "..%5ca",
            "a\\b",
            "a\nb",
            "file:///etc",
        ] {
            assert!(check_relative(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_path_joins_where_the_index_is() {
        let join = |base: &str, path: &str| address(base).join(path).unwrap().secret().to_owned();
        assert_eq!(join("https://h/r/index.asc", "a b.xz"), "https://h/r/a%20b.xz");
        assert_eq!(join("https://h/r/index.asc?x=/y", "a"), "https://h/r/a");
        assert_eq!(join("https://h", "a"), "https://h/a");
        assert_eq!(join("/srv/r/index", "a b"), "/srv/r/a b");
        assert_eq!(join("file:///srv/r/index", "a"), "/srv/r/a");
    }

    #[test]
    fn passwords_are_not_shown() {
        let secret = address("https://me:hunter2@h:8443/a@b");
        assert_eq!(secret.to_string(), "https://***@h:8443/a@b");
        assert_eq!(format!("{secret:?}"), "Address(https://***@h:8443/a@b)");
        assert_eq!(secret.host(), Some("h"));
        let error = Address::parse("ftp://me:hunter2@h/").unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn redirections_lead_where_they_say() {
        let from = address("https://h/a/b");
        let to = |location: &str| from.redirect(location).map(|to| to.secret().to_owned());
        assert_eq!(to("https://o/c").as_deref(), Some("https://o/c"));
        assert_eq!(to("//o/c").as_deref(), Some("https://o/c"));
        assert_eq!(to("/c").as_deref(), Some("https://h/c"));
        assert_eq!(to("c").as_deref(), Some("https://h/a/c"));
        assert_eq!(to("file:///etc/passwd"), None);
    }
}
