// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The user's own data for cloud-init: what kind it is, whether cloud-init will understand it.
//!
//! | module | what |
//! |---|---|
//! | `check` | types of keys, passwords in plain text |
//! | `hide` | a text without the secrets in it |
//! | `keys` | the keys that cloud-init knows |
//! | `parts` | messages, archives and lists of addresses: what each part is |
//!
//! Source: cloud-init 22.4 to 26.2, `handlers/__init__.py` (which kind), `user_data.py` (gzip and
//! MIME), `schemas/schema-cloud-config-v1.json` (keys and types). Everything is checked before a
//! machine is made, since in the guest cloud-init only writes a line to its log.

mod check;
mod error;
mod hide;
mod keys;
mod parts;

use std::fmt;
use std::io::Read;

pub(crate) use error::Source;
pub use error::{Place, UserDataError};
pub use hide::hidden;
pub use parts::Part;

use crate::yaml::{self, Node, Type, Value};

/// The most bytes of user data, unpacked. Clouds allow some KiB; this bounds our memory.
pub const MOST_BYTES: u64 = 16 << 20;

/// How many bytes cloud-init searches for the mark of a MIME message: `convert_string`.
const MIME_WINDOW: usize = 4096;

/// What cloud-init takes user data for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// `#cloud-config`: YAML.
    CloudConfig,
    /// `#!`: a script, run once at the end of the first boot.
    Script,
    /// `#include`: addresses of more user data.
    Include,
    /// `#include-once`: the same, fetched once.
    IncludeOnce,
    /// `#cloud-boothook`: a script, run early in each boot.
    Boothook,
    /// `#part-handler`: Python code for other kinds.
    PartHandler,
    /// `#cloud-config-archive`: a YAML list of parts.
    Archive,
    /// `#cloud-config-jsonp`: a JSON patch.
    JsonPatch,
    /// `## template: jinja`: a template of another kind.
    Jinja,
    /// A MIME message, of several parts perhaps.
    Mime,
}

impl Kind {
    /// The beginnings that tell a kind, the longest first, with the MIME type of each.
    const BEGINNINGS: [(&'static str, Self, &'static str); 9] = [
        ("#cloud-config-archive", Self::Archive, "text/cloud-config-archive"),
        ("#cloud-config-jsonp", Self::JsonPatch, "text/cloud-config-jsonp"),
        ("## template: jinja", Self::Jinja, "text/jinja2"),
        ("#cloud-boothook", Self::Boothook, "text/cloud-boothook"),
        ("#include-once", Self::IncludeOnce, "text/x-include-once-url"),
        ("#cloud-config", Self::CloudConfig, "text/cloud-config"),
        ("#part-handler", Self::PartHandler, "text/part-handler"),
        ("#include", Self::Include, "text/x-include-url"),
        ("#!", Self::Script, "text/x-shellscript"),
    ];

    /// Returns the kind of a text; cloud-init skips white space before it and reads capitals as
    /// small letters.
    fn of(text: &str) -> Option<Self> {
        let text = text.trim_start();
        let begins =
            |with: &str| text.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with));
        let by_beginning = Self::BEGINNINGS.iter().find(|(with, ..)| begins(with));
        let is_message = || is_mime(text) && begins_with_header(text);
        by_beginning.map(|(_, kind, _)| *kind).or_else(|| is_message().then_some(Self::Mime))
    }

    /// Returns the MIME type that cloud-init has for it; none for what is a message already.
    pub(crate) fn mime_type(self) -> Option<&'static str> {
        Self::BEGINNINGS.iter().find(|(_, kind, _)| *kind == self).map(|(.., mime)| *mime)
    }

    /// Returns the kind that cloud-init has a MIME type for.
    fn of_mime_type(mime_type: &str) -> Option<Self> {
        let known = Self::BEGINNINGS.iter().find(|(.., mime)| mime.eq_ignore_ascii_case(mime_type));
        known.map(|(_, kind, _)| *kind)
    }
}

/// Returns whether cloud-init would take this for a MIME message.
pub(crate) fn is_mime(text: &str) -> bool {
    let window = &text.as_bytes()[..text.len().min(MIME_WINDOW)];
    let mark = b"mime-version:";
    window.windows(mark.len()).any(|w| w.eq_ignore_ascii_case(mark))
}

/// Returns whether the first line is a header of a message, or the line that a mailbox has
/// before it.
fn begins_with_header(text: &str) -> bool {
    let first = text.lines().next().unwrap_or("");
    let name = |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    first.starts_with("From ") || first.split_once(':').is_some_and(|(n, _)| name(n))
}

/// Something in the user data that is allowed and surely not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// cloud-init knows no such key.
    UnknownKey {
        /// Where it stands.
        place: Place,
        /// The key.
        key: String,
        /// The known key that is most like it, if one is.
        nearest: Option<&'static str>,
    },
    /// A password as it is typed, which everyone in the guest can read.
    PlainSecret {
        /// Where it stands.
        place: Place,
        /// The key that it belongs to, as a path like `users.0.plain_text_passwd`.
        key: String,
    },
    /// A script whose first line ends with a carriage return, which no kernel starts.
    CarriageReturn {
        /// Where it stands.
        place: Place,
    },
    /// A part of a message or an archive that cloud-init has no use for.
    UnknownPart {
        /// Where it begins.
        place: Place,
    },
}

impl Warning {
    fn place(&self) -> &Place {
        match self {
            Self::UnknownKey { place, .. }
            | Self::PlainSecret { place, .. }
            | Self::CarriageReturn { place }
            | Self::UnknownPart { place } => place,
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey { place, key, nearest: Some(nearest) } => {
                write!(f, "`{place}`: cloud-init knows no key `{key}`; did you mean `{nearest}`?")
            }
            Self::UnknownKey { place, key, nearest: None } => {
                write!(f, "`{place}`: cloud-init knows no key `{key}`, and will ignore it")
            }
            Self::PlainSecret { place, key } => write!(
                f,
                "`{place}`: `{key}` holds a password as plain text; it will be readable on the \
                 machine's seed drive and in the guest (a hash from `mkpasswd -m sha-512` would not)"
            ),
            Self::CarriageReturn { place } => {
                write!(
                    f,
                    "`{place}`: the first line ends with a carriage return (Windows line ends)"
                )
            }
            Self::UnknownPart { place } => {
                write!(f, "`{place}`: cloud-init cannot tell what this part is, and will ignore it")
            }
        }
    }
}

/// User data that has been checked.
///
/// Its `Debug` does not show the content, which may hold secrets.
#[derive(Clone, PartialEq)]
pub struct UserData {
    kind: Kind,
    /// The text, unpacked.
    text: String,
    /// Of a cloud-config what it holds: always a map.
    config: Option<Node>,
    warnings: Vec<Warning>,
}

impl fmt::Debug for UserData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserData").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl UserData {
    /// Reads user data. `file_name` is what errors and warnings call it.
    ///
    /// Data compressed with gzip is unpacked. Of a cloud-config the syntax is checked, and for
    /// each key that cloud-init knows the type of its value; so is each that is a part of a MIME
    /// message or of an archive. A JSON patch must be one, an include must name addresses. Scripts
    /// and templates are only read as text.
    ///
    /// # Errors
    ///
    /// - [`UserDataError::Empty`] if there is nothing in it.
    /// - [`UserDataError::TooLarge`] if it has more than [`MOST_BYTES`].
    /// - [`UserDataError::Gzip`] if it begins like gzip and cannot be unpacked.
    /// - [`UserDataError::NotText`] if it is no UTF-8.
    /// - [`UserDataError::Header`] if the first line does not tell its kind.
    /// - [`UserDataError::Syntax`] if it, or a part of it, is no YAML that cloud-init can read, no
    ///   JSON patch, no address or no message.
    /// - [`UserDataError::Root`] if the YAML is no mapping.
    /// - [`UserDataError::WrongType`] if a key has a value that cloud-init cannot use.
    pub fn parse(bytes: &[u8], file_name: &str) -> Result<Self, UserDataError> {
        let text = text(bytes, file_name)?;
        let source = Source::new(file_name, &text);
        let Some(kind) = Kind::of(&text) else {
            let line = text.lines().position(|l| !l.trim().is_empty()).unwrap_or(0) + 1;
            return Err(UserDataError::Header { place: source.place(line, 1) });
        };
        let (config, warnings) = match kind {
            Kind::CloudConfig => {
                let (tree, warnings) = config(source)?;
                (Some(tree), warnings)
            }
            _ => (None, parts::check(kind, source)?),
        };
        Ok(Self { kind, config, warnings, text })
    }

    /// Returns what cloud-init takes it for.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns what is allowed in it and surely not meant, in the order of the file.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Returns the text as it was written, unpacked. It may hold secrets.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns what a cloud-config holds, a map; `None` of all else.
    pub(crate) fn config(&self) -> Option<&Node> {
        self.config.as_ref()
    }

    /// Returns the parts that cloud-init makes of it before it fetches anything: those of a message
    /// or of an archive, else the whole.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        parts::of(self.kind, &self.text)
    }
}

/// Returns the text in some bytes, unpacked if need be.
fn text(bytes: &[u8], file_name: &str) -> Result<String, UserDataError> {
    let file = || file_name.to_owned();
    let unpacked;
    let mut bytes = bytes;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        unpacked = gunzip(bytes, file_name)?;
        bytes = &unpacked;
    }
    if u64::try_from(bytes.len()).is_ok_and(|len| len > MOST_BYTES) {
        return Err(UserDataError::TooLarge { file: file() });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = bytes.iter().take(error.valid_up_to());
        let line = good.filter(|&&b| b == b'\n').count() + 1;
        UserDataError::NotText { file: file(), line }
    })?;
    // A byte order mark hides the first line from cloud-init.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(UserDataError::Empty { file: file() });
    }
    Ok(text.to_owned())
}

/// Reads and checks a cloud-config: a map, and what to warn of.
fn config(source: Source<'_>) -> Result<(Node, Vec<Warning>), UserDataError> {
    let mut tree = tree(source)?;
    if tree.type_of() == Type::Null {
        tree.value = Value::Map(Vec::new());
    }
    if tree.type_of() != Type::Map {
        let place = source.place(tree.spot.line, tree.spot.column);
        let (found, wanted) = (tree.type_of().name(), "a mapping of keys to values");
        return Err(UserDataError::Root { place, wanted, found });
    }
    let warnings = check::check(&tree, source)?;
    Ok((tree, warnings))
}

/// Reads YAML as cloud-init does.
///
/// # Errors
///
/// [`UserDataError::Syntax`].
pub(crate) fn tree(source: Source<'_>) -> Result<Node, UserDataError> {
    yaml::load(source.text).map_err(|problem| UserDataError::Syntax {
        place: source.place(problem.spot.line, problem.spot.column),
        what: problem.what,
    })
}

fn gunzip(bytes: &[u8], file: &str) -> Result<Vec<u8>, UserDataError> {
    let mut out = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes)
        .take(MOST_BYTES + 1)
        .read_to_end(&mut out)
        .map_err(|source| UserDataError::Gzip { file: file.to_owned(), source })?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn parse(text: &str) -> Result<UserData, UserDataError> {
        UserData::parse(text.as_bytes(), "u.yaml")
    }

    fn error(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn kinds_are_told_as_cloud_init_does() {
        for (text, kind) in [
            ("#cloud-config\n{}", Kind::CloudConfig),
            ("  \n#Cloud-Config\n", Kind::CloudConfig),
            ("#!/bin/sh\n", Kind::Script),
            ("#include\nhttp://x/", Kind::Include),
            ("#include-once http://x/", Kind::IncludeOnce),
            ("#cloud-boothook\n#!/bin/sh", Kind::Boothook),
            ("#cloud-config-archive\n- '#!x'\n", Kind::Archive),
            ("#cloud-config-jsonp\n[]", Kind::JsonPatch),
            ("#part-handler\n", Kind::PartHandler),
            ("## template: jinja\n#cloud-config\n{{ x", Kind::Jinja),
            ("Content-Type: text/plain\nMIME-Version: 1.0\n\nx", Kind::Mime),
        ] {
            assert_eq!(parse(text).unwrap().kind(), kind, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        assert_eq!(error(" \n"), "`u.yaml` is empty");
        assert_eq!(
            error("\npackages: [a]\n"),
            "`u.yaml:2:1`: the first line does not tell what this is"
        );
        assert_eq!(
            parse("packages: [a]\n").unwrap_err().hint().unwrap(),
            "the first line must be `#cloud-config`, or `#!` and an interpreter for a script"
        );
        assert_eq!(
            error("#cloud-config\n- a\n"),
            "`u.yaml:2:1`: must be a mapping of keys to values, and is a list"
        );
        assert_eq!(
            error("#cloud-config-archive\na: b\n"),
            "`u.yaml:2:1`: must be a list, and is a mapping"
        );
        assert_eq!(
            error("#cloud-config\na: 1\na: 2\n"),
            "`u.yaml:3:1`: key `a` is there twice, first in line 2"
        );
        let bytes = UserData::parse(b"#cloud-config\nx: \xff\n", "u.yaml").unwrap_err();
        assert_eq!(bytes.to_string(), "`u.yaml` is no UTF-8 text: line 2 has other bytes");
    }

    #[test]
    fn gzip_is_unpacked_and_bombs_are_not() {
        let pack = |bytes: &[u8]| {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packer.write_all(bytes).unwrap();
            packer.finish().unwrap()
        };
        let good = pack(b"#cloud-config\nhostname: a\n");
        assert_eq!(UserData::parse(&good, "x").unwrap().kind(), Kind::CloudConfig);
        let error = |bytes: &[u8]| UserData::parse(bytes, "u.gz").unwrap_err().to_string();
        assert_eq!(error(&good[..20]), "`u.gz` could not be unpacked");
        let bomb = pack(&vec![b' '; 40 << 20]);
        assert_eq!(error(&bomb), "`u.gz` has more than 16 MiB");
    }

    #[test]
    fn an_empty_config_is_one() {
        let data = parse("#cloud-config\n# nothing yet\n").unwrap();
        assert!(data.config().unwrap().as_map().unwrap().is_empty());
    }

    #[test]
    fn scripts_from_windows_are_warned_about() {
        let warnings = parse("#!/bin/sh\r\necho\r\n").unwrap().warnings;
        assert_eq!(
            warnings[0].to_string(),
            "`u.yaml:1:10`: the first line ends with a carriage return (Windows line ends)"
        );
    }

    #[test]
    fn debug_hides_the_content() {
        let shown = format!("{:?}", parse("#cloud-config\npassword: hunter2\n").unwrap());
        assert_eq!(shown, "UserData { kind: CloudConfig, .. }");
    }
}
