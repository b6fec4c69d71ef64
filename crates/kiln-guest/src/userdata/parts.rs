// SPDX-License-Identifier: Apache-2.0 OR MIT
//! User data of several parts: MIME messages, archives, lists of addresses. What each part is, and
//! whether cloud-init will understand it.
//!
//! Source: `user_data.py` of cloud-init 22.4 to 26.2: `_process_msg` (which type a part has),
//! `_explode_archive`, `_do_include`; `handlers/cloud_config.py`, `_merge_patch`.

use mail_parser::{Encoding, MessageParser, MessagePart, MimeHeaders as _, PartType};

use super::{Kind, Source, UserDataError, Warning, config, text, tree};
use crate::yaml::{Node, Type};

/// The types of which cloud-init looks at the first line: `TYPE_NEEDED` and that of scripts.
const LOOKED_AT: [&str; 3] = ["text/plain", "text/x-not-multipart", "text/x-shellscript"];
/// The types that it unpacks first: `DECOMP_TYPES`.
const PACKED: [&str; 8] = [
    "application/gzip",
    "application/gzip-compressed",
    "application/gzipped",
    "application/x-compress",
    "application/x-compressed",
    "application/x-gunzip",
    "application/x-gzip",
    "application/x-gzip-compressed",
];
/// The type of an entry of an archive that does not tell: `ARCHIVE_UNDEF_TYPE`.
const OF_ENTRY: &str = "text/cloud-config";
/// What an address may begin with: `read_file_or_url`. A file is one of the guest's.
const ADDRESSES: [&str; 4] = ["http://", "https://", "file://", "/"];

/// A part of user data.
#[derive(Clone, PartialEq, Eq)]
pub struct Part {
    /// Its MIME type, as cloud-init sees it.
    pub mime_type: String,
    /// Its text, decoded and unpacked; `None` if it is none.
    pub text: Option<String>,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part").field("mime_type", &self.mime_type).finish_non_exhaustive()
    }
}

/// Checks what is no cloud-config, and returns what to warn of.
///
/// # Errors
///
/// As [`super::UserData::parse`].
pub(super) fn check(kind: Kind, source: Source<'_>) -> Result<Vec<Warning>, UserDataError> {
    match kind {
        Kind::CloudConfig => Ok(config(source)?.1),
        Kind::Script | Kind::Boothook => Ok(script(source)),
        Kind::Include | Kind::IncludeOnce => include(source),
        Kind::JsonPatch => patch(source),
        Kind::Archive => archive(source),
        Kind::Mime => message(source),
        // What they make is known in the guest only.
        Kind::Jinja | Kind::PartHandler => Ok(Vec::new()),
    }
}

fn script(source: Source<'_>) -> Vec<Warning> {
    let first = source.text.split('\n').next().unwrap_or("");
    let windows = first.ends_with('\r');
    let place = || source.place(1, first.chars().count());
    windows.then(|| Warning::CarriageReturn { place: place() }).into_iter().collect()
}

/// Checks that each line that is no comment is an address.
fn include(source: Source<'_>) -> Result<Vec<Warning>, UserDataError> {
    let mut found = false;
    for (number, line) in (1..).zip(source.text.lines()) {
        // The address may stand behind the word.
        let lower = line.trim_start().to_ascii_lowercase();
        let word = ["#include-once", "#include"].into_iter().find(|word| lower.starts_with(word));
        let skipped = line.len() - lower.len() + word.map_or(0, str::len);
        let address = line[skipped..].trim();
        if address.is_empty() || address.starts_with('#') {
            continue;
        }
        found = true;
        if !ADDRESSES.iter().any(|with| address.starts_with(with)) {
            let column = line.chars().count() - line[skipped..].trim_start().chars().count() + 1;
            let what = "an address begins with `http://` or `https://`, or is a path in the guest";
            return wrong(source, (number, column), what);
        }
    }
    if found { Ok(Vec::new()) } else { wrong(source, (1, 1), "no address is included") }
}

fn patch(source: Source<'_>) -> Result<Vec<Warning>, UserDataError> {
    let trimmed = source.text.trim_start();
    let body = trimmed.get("#cloud-config-jsonp".len()..).unwrap_or_default();
    let before = source.text[..source.text.len() - body.len()].matches('\n').count();
    let operations: serde_json::Value = match serde_json::from_str(body) {
        Ok(value) => value,
        Err(error) => {
            // Its text has the place in it, which is told in our own way.
            let text = error.to_string();
            let what = text.split(" at line ").next().unwrap_or_default().to_owned();
            let place = source.place(error.line().max(1) + before, error.column().max(1));
            return Err(UserDataError::Syntax { place, what });
        }
    };
    let is_operation = |one: &serde_json::Value| {
        ["op", "path"].iter().all(|key| one.get(key).is_some_and(serde_json::Value::is_string))
    };
    match operations.as_array() {
        Some(all) if all.iter().all(is_operation) => Ok(Vec::new()),
        _ => {
            let what = "a JSON patch is a list of objects with `op` and `path`";
            wrong(source, (before + 1, 1), what)
        }
    }
}

fn archive(source: Source<'_>) -> Result<Vec<Warning>, UserDataError> {
    let root = tree(source)?;
    let place = |node: &Node| source.place(node.spot.line, node.spot.column);
    let Some(items) = root.as_list() else {
        let (place, found) = (place(&root), root.type_of().name());
        return Err(UserDataError::Root { place, wanted: "a list", found });
    };
    let mut warnings = Vec::new();
    for (number, item) in items.iter().enumerate() {
        let text_of = |key: &str| match item.get(key) {
            Some(value) if value.as_text().is_none() && value.type_of() != Type::Binary => {
                Err(UserDataError::WrongType {
                    place: place(value),
                    key: format!("{number}.{key}"),
                    wanted: Type::Text.name().into(),
                    found: value.type_of().name(),
                })
            }
            value => Ok(value.and_then(Node::as_text)),
        };
        let (content, given) = match item.type_of() {
            Type::Text => (item.as_text(), None),
            Type::Map => (text_of("content")?, text_of("type")?),
            other => {
                return Err(UserDataError::WrongType {
                    place: place(item),
                    key: number.to_string(),
                    wanted: "a text or a mapping".into(),
                    found: other.name(),
                });
            }
        };
        let Some(content) = content else { continue };
        let file = format!("{}, entry {}", source.file, number + 1);
        let kind = match given {
            Some(given) => Kind::of_mime_type(given),
            None => Kind::of(content).or(Kind::of_mime_type(OF_ENTRY)),
        };
        if let Some(kind) = kind.filter(|kind| *kind != Kind::Archive) {
            warnings.extend(check(kind, Source::new(&file, content))?);
        }
    }
    Ok(warnings)
}

fn message(source: Source<'_>) -> Result<Vec<Warning>, UserDataError> {
    let parser = MessageParser::new().with_mime_headers();
    let parsed = parser.parse(source.text.as_bytes());
    let parts = parsed.map(|message| message.parts).unwrap_or_default();
    let mut warnings = Vec::new();
    let mut seen = 0;
    for part in parts.iter().filter(|part| is_leaf(part)) {
        seen += 1;
        let offset = usize::try_from(part.offset_body).unwrap_or_default();
        let before = source.text.get(..offset).unwrap_or_default().matches('\n').count();
        let shown = format!("{}, part {seen}", source.file);
        let (mime_type, body) = (mime_type(part), contents(part));
        let packed = is_packed(&mime_type);
        // What is read as it stands has its place in the file itself.
        let plain = part.encoding == Encoding::None && !packed;
        let Ok(text) = text(&body, &shown) else {
            if packed {
                // Refused for what it says it is.
                text(&body, &shown)?;
            }
            continue;
        };
        let inner = if plain {
            Source { file: source.file, text: &text, before: before + source.before }
        } else {
            Source::new(&shown, &text)
        };
        match kind_of(&mime_type, &text) {
            Some(Kind::Mime) | None if is_looked_at(&mime_type) => {
                warnings.push(Warning::UnknownPart { place: inner.place(1, 1) });
            }
            Some(kind) => warnings.extend(check(kind, inner)?),
            // Of a kind that the user's own part handler knows.
            None => {}
        }
    }
    if seen == 0 {
        return wrong(source, (1, 1), "this message has no parts");
    }
    Ok(warnings)
}

fn wrong<T>(
    source: Source<'_>,
    (line, column): (usize, usize),
    what: &str,
) -> Result<T, UserDataError> {
    Err(UserDataError::Syntax { place: source.place(line, column), what: what.to_owned() })
}

fn is_packed(mime_type: &str) -> bool {
    PACKED.contains(&mime_type)
}

fn is_looked_at(mime_type: &str) -> bool {
    LOOKED_AT.contains(&mime_type) || is_packed(mime_type)
}

/// Returns the kind of a part with this type and text.
fn kind_of(mime_type: &str, text: &str) -> Option<Kind> {
    let looked = is_looked_at(mime_type).then(|| Kind::of(text)).flatten();
    looked.or_else(|| Kind::of_mime_type(mime_type))
}

/// Returns whether a part is none that only holds others: `is_skippable`.
fn is_leaf(part: &MessagePart<'_>) -> bool {
    !mime_type(part).starts_with("multipart/")
}

/// Returns the type that a part says it has, in small letters.
fn mime_type(part: &MessagePart<'_>) -> String {
    let given = part.content_type().map(|given| match given.subtype() {
        Some(subtype) => format!("{}/{subtype}", given.ctype()),
        None => given.ctype().to_owned(),
    });
    given.unwrap_or_else(|| "text/plain".to_owned()).to_ascii_lowercase()
}

fn contents(part: &MessagePart<'_>) -> Vec<u8> {
    match &part.body {
        PartType::Text(text) | PartType::Html(text) => text.as_bytes().to_vec(),
        PartType::Binary(bytes) | PartType::InlineBinary(bytes) => bytes.to_vec(),
        PartType::Message(message) => message.raw_message.to_vec(),
        PartType::Multipart(_) => Vec::new(),
    }
}

/// Returns the parts of user data that have been checked.
pub(super) fn of(kind: Kind, whole: &str) -> Vec<Part> {
    match kind {
        Kind::Mime => of_message(whole),
        Kind::Archive => of_archive(whole),
        _ => {
            let mime_type = kind.mime_type().unwrap_or("text/plain").to_owned();
            vec![Part { mime_type, text: Some(whole.to_owned()) }]
        }
    }
}

fn of_message(whole: &str) -> Vec<Part> {
    let parser = MessageParser::new().with_mime_headers();
    let Some(message) = parser.parse(whole.as_bytes()) else { return Vec::new() };
    let parts = message.parts.iter();
    let parts = parts.filter(|part| is_leaf(part));
    parts
        .map(|part| {
            let (mime_type, body) = (mime_type(part), contents(part));
            let text = text(&body, "").ok();
            let kind = text.as_deref().and_then(|text| kind_of(&mime_type, text));
            let seen = kind.and_then(Kind::mime_type).map_or(mime_type, str::to_owned);
            Part { mime_type: seen, text }
        })
        .collect()
}

fn of_archive(whole: &str) -> Vec<Part> {
    let Ok(root) = tree(Source::new("", whole)) else { return Vec::new() };
    let items = root.as_list().unwrap_or_default().iter();
    items
        .map(|item| {
            let content = item.as_text().or_else(|| item.get("content")?.as_text());
            let given = item.get("type").and_then(Node::as_text);
            let seen = || Kind::of(content?)?.mime_type();
            let mime_type = given.or_else(seen).unwrap_or(OF_ENTRY).to_owned();
            Part { mime_type, text: content.map(str::to_owned) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::UserData;
    use super::*;

    fn parse(text: &str) -> Result<UserData, UserDataError> {
        UserData::parse(text.as_bytes(), "u")
    }

    fn error(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    const HEAD: &str = "Content-Type: multipart/mixed; boundary=\"B\"\nMIME-Version: 1.0\n\n";

    fn of_parts(parts: &[&str]) -> String {
        let parts: String = parts.iter().map(|part| format!("--B\n{part}\n")).collect();
        format!("{HEAD}{parts}--B--\n")
    }

    #[test]
    fn a_cloud_config_in_a_message_is_checked_at_its_place() {
        let good = "Content-Type: text/cloud-config\n\npackages: [a]\n";
        let bad = "Content-Type: text/cloud-config\n\n#cloud-config\npackages: 5\n";
        let plain = "Content-Type: text/plain\n\n#cloud-config\nruncmd: x\n";
        assert!(parse(&of_parts(&[good])).unwrap().warnings().is_empty());
        let wrong = parse(&of_parts(&[good, bad])).unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "`u:13:11`: `packages` must be a list, and is a whole number"
        );
        assert_eq!(wrong.snippet().unwrap(), "13 | packages: 5\n   |           ^");
        assert_eq!(error(&of_parts(&[plain])), "`u:8:9`: `runcmd` must be a list, and is a text");
        // Encoded, it has no place in the file.
        let encoded = "Content-Type: text/cloud-config\nContent-Transfer-Encoding: base64\n\n\
                       cGFja2FnZXM6IDUK\n";
        assert_eq!(
            error(&of_parts(&[good, encoded])),
            "`u, part 2:1:11`: `packages` must be a list, and is a whole number"
        );
        assert_eq!(error(HEAD), "`u:1:1`: this message has no parts");
    }

    #[test]
    fn a_part_that_is_nothing_is_warned_of_and_own_types_are_not() {
        let nothing = "Content-Type: text/plain\n\nhello\n";
        let own = "Content-Type: text/x-mine\n\nhello\n";
        let script = "Content-Type: text/x-shellscript\n\n#!/bin/sh\r\n";
        let data = parse(&of_parts(&[nothing, own, script])).unwrap();
        let said: Vec<String> = data.warnings().iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "`u:7:1`: cloud-init cannot tell what this part is, and will ignore it",
                "`u:17:10`: the first line ends with a carriage return (Windows line ends)"
            ]
        );
        let kinds: Vec<String> = data.parts().into_iter().map(|part| part.mime_type).collect();
        assert_eq!(kinds, ["text/plain", "text/x-mine", "text/x-shellscript"]);
    }

    #[test]
    fn includes_are_lists_of_addresses() {
        for good in [
            "#include\nhttp://a/b\n# a remark\n\n  https://c\n",
            "#include http://a\n",
            "#include-once\nfile:///x\n/y\n#include http://z",
        ] {
            assert!(parse(good).unwrap().warnings().is_empty(), "{good}");
        }
        let says = "an address begins with `http://` or `https://`, or is a path in the guest";
        assert_eq!(error("#include\nhttp://a\n ftp://b\n"), format!("`u:3:2`: {says}"));
        assert_eq!(error("#include a.yaml\n"), format!("`u:1:10`: {says}"));
        assert_eq!(error("#include\n# none\n"), "`u:1:1`: no address is included");
    }

    #[test]
    fn patches_are_lists_of_operations() {
        let good = "#cloud-config-jsonp\n[{\"op\": \"add\", \"path\": \"/a\", \"value\": 1}]\n";
        assert!(parse(good).is_ok());
        let list = "a JSON patch is a list of objects with `op` and `path`";
        assert_eq!(error("#cloud-config-jsonp\n{}"), format!("`u:1:1`: {list}"));
        assert_eq!(error("#cloud-config-jsonp\n[{\"op\": \"add\"}]"), format!("`u:1:1`: {list}"));
        let cut = error("#cloud-config-jsonp\n[\n{");
        assert!(cut.starts_with("`u:3:1`: EOF while parsing"), "{cut}");
    }

    #[test]
    fn entries_of_an_archive_are_checked() {
        let archive = |text: &str| format!("#cloud-config-archive\n{text}\n");
        for good in [
            "- \"#!/bin/sh\\necho\"\n- {type: text/cloud-config, content: 'packages: [a]'}",
            "- content: |\n    packages: [a]\n  filename: x",
            "- {type: text/x-mine, content: anything}",
            "[]",
        ] {
            assert!(parse(&archive(good)).is_ok(), "{good}");
        }
        assert_eq!(
            error(&archive("- \"#!/bin/sh\"\n- {content: 'packages: 5'}")),
            "`u, entry 2:1:11`: `packages` must be a list, and is a whole number"
        );
        assert_eq!(
            error(&archive("- 5")),
            "`u:2:3`: `0` must be a text or a mapping, and is a whole number"
        );
        assert_eq!(
            error(&archive("- {content: [a]}")),
            "`u:2:13`: `0.content` must be a text, and is a list"
        );
    }
}
