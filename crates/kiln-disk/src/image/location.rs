// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where an image is: in a file, or in a Ceph cluster.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use kiln_host::tools::qemu_storage_daemon::Rbd;

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In a file, or on a disk of the host.
    File(PathBuf),
    /// In a Ceph cluster.
    Rbd(RbdName),
}

impl Location {
    /// Returns it so that it means the same from any folder, without links on the way.
    ///
    /// # Errors
    ///
    /// What the host says, if there is no such file.
    pub fn absolute(&self) -> io::Result<Self> {
        match self {
            Self::File(path) => path.canonicalize().map(Self::File),
            Self::Rbd(name) => Ok(Self::Rbd(name.clone())),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Rbd(name) => name.fmt(f),
        }
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

/// An image of a Ceph cluster, named as QEMU names it:
/// `rbd:POOL/[NAMESPACE/]IMAGE[@SNAPSHOT][:id=USER][:conf=FILE]`. A backslash takes from `/`, `@`,
/// `:` and itself what they mean.
///
/// Source: `qemu_rbd_parse_filename` in `block/rbd.c` of QEMU 10.0. Its other options set what is
/// Ceph's to configure, `key` a secret: they are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RbdName(pub(super) Rbd);

/// Why a name is none of an image in a Ceph cluster.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RbdNameError {
    /// It does not begin with `rbd:`.
    #[error("it does not begin with `rbd:`")]
    NotRbd,
    /// The pool or the image is missing, or has no letters.
    #[error("it has no pool and image: `rbd:POOL/IMAGE`")]
    Incomplete,
    /// An option that is not taken.
    #[error("`{option}` is not taken; `id=USER` and `conf=FILE` are")]
    Option {
        /// Its name.
        option: String,
    },
}

/// What a name for a Ceph image begins with.
const PREFIX: &str = "rbd:";

impl RbdName {
    /// Returns whether a word is meant to name an image of a Ceph cluster.
    #[must_use]
    pub fn is_meant(word: &str) -> bool {
        word.starts_with(PREFIX)
    }

    /// Returns whether it names a snapshot, which never changes.
    #[must_use]
    pub fn is_snapshot(&self) -> bool {
        self.0.snapshot.is_some()
    }
}

impl FromStr for RbdName {
    type Err = RbdNameError;

    fn from_str(word: &str) -> Result<Self, RbdNameError> {
        let rest = word.strip_prefix(PREFIX).ok_or(RbdNameError::NotRbd)?;
        let mut parts = split(rest, ':');
        let place = parts.next().unwrap_or_default();
        let mut rbd = Rbd::default();
        for option in parts {
            match option.split_once('=') {
                Some(("id", user)) => rbd.user = Some(plain(user)),
                Some(("conf", file)) => rbd.conf = Some(PathBuf::from(plain(file))),
                named => {
                    // Not its value, which may be a key.
                    let option = named.map_or(option, |(name, _)| name).to_owned();
                    return Err(RbdNameError::Option { option });
                }
            }
        }
        let mut at = split(place, '@');
        let names: Vec<&str> = split(at.next().unwrap_or_default(), '/').collect();
        rbd.snapshot = at.next().map(plain);
        match names.as_slice() {
            [pool, image] => (rbd.pool, rbd.image) = (plain(pool), plain(image)),
            [pool, namespace, image] => {
                (rbd.pool, rbd.image) = (plain(pool), plain(image));
                rbd.namespace = Some(plain(namespace)).filter(|name| !name.is_empty());
            }
            _ => return Err(RbdNameError::Incomplete),
        }
        let empty = rbd.pool.is_empty() || rbd.image.is_empty();
        if empty || rbd.snapshot.as_deref() == Some("") || at.next().is_some() {
            return Err(RbdNameError::Incomplete);
        }
        Ok(Self(rbd))
    }
}

/// Splits a text at each `mark` that has no backslash before it.
fn split(text: &str, mark: char) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    text.split(move |c| {
        let here = c == mark && !escaped;
        escaped = c == '\\' && !escaped;
        here
    })
}

/// Returns a part of a name without its backslashes.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    plain
}

/// Returns a part of a name with backslashes where they are needed.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\/@:".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

impl fmt::Display for RbdName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rbd { pool, namespace, image, snapshot, user, conf } = &self.0;
        write!(f, "{PREFIX}{}/", escaped(pool))?;
        if let Some(namespace) = namespace {
            write!(f, "{}/", escaped(namespace))?;
        }
        f.write_str(&escaped(image))?;
        if let Some(snapshot) = snapshot {
            write!(f, "@{}", escaped(snapshot))?;
        }
        if let Some(user) = user {
            write!(f, ":id={}", user.replace(':', "\\:"))?;
        }
        if let Some(conf) = conf {
            write!(f, ":conf={}", conf.display().to_string().replace(':', "\\:"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rbd(pool: &str, image: &str) -> Rbd {
        Rbd { pool: pool.to_owned(), image: image.to_owned(), ..Rbd::default() }
    }

    #[test]
    fn names_are_those_that_qemu_takes() {
        let with = |word: &str| word.parse::<RbdName>().unwrap();
        assert_eq!(with("rbd:vms/web").0, rbd("vms", "web"));
        let all = with("rbd:vms/team/web@before:id=libvirt:conf=/etc/ceph/a.conf");
        let wanted = Rbd {
            namespace: Some("team".into()),
            snapshot: Some("before".into()),
            user: Some("libvirt".into()),
            conf: Some("/etc/ceph/a.conf".into()),
            ..rbd("vms", "web")
        };
        assert_eq!(all.0, wanted);
        assert!(all.is_snapshot());
        assert_eq!(with(r"rbd:a\/b/c\@d\:e:id=x\:y").0.pool, "a/b");
        assert_eq!(with(r"rbd:a\/b/c\@d\:e:id=x\:y").0.image, "c@d:e");
        assert_eq!(with(r"rbd:a\/b/c\@d\:e:id=x\:y").0.user.as_deref(), Some("x:y"));
        for word in ["rbd:vms/web", "rbd:a/b/c@d:id=e:conf=/f", r"rbd:a\/b/c\@d\:e@s:id=x\:y"] {
            assert_eq!(with(word).to_string(), word);
        }
    }

    #[test]
    fn what_is_none_is_said() {
        let error = |word: &str| word.parse::<RbdName>().unwrap_err();
        assert_eq!(error("vms/web"), RbdNameError::NotRbd);
        for word in
            ["rbd:", "rbd:vms", "rbd:vms/", "rbd:/web", "rbd:a/b/c/d", "rbd:a/b@", "rbd:a/b@c@d"]
        {
            assert_eq!(error(word), RbdNameError::Incomplete, "{word}");
        }
        let shown = error("rbd:vms/web:key=secret").to_string();
        assert_eq!(shown, "`key` is not taken; `id=USER` and `conf=FILE` are");
    }
}
