// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The lines of virt-builder's files: sections, fields, continuations.
//!
//! Indexes and definitions of repositories share one grammar, strictly line by line. Source: the
//! scanner and parser of virt-builder 1.56, `builder/index-scan.l` and `builder/index-parse.y`:
//!
//! ```text
//! comment       # only in the first column
//! section       [name], name of [-A-Za-z0-9._], blanks may follow
//! field         key=value or key[subkey]=value; nothing is trimmed
//! continuation  a line that begins with one blank, which is taken off
//! ```
//!
//! Every line ends with a newline. A line of no other kind is an error, as it is there. The frame
//! of a signature is not part of it: that is [`crate::catalog::openpgp`]'s, and nothing here ever
//! sees a byte that was not verified, unless the user said so.

use super::super::CatalogError;

/// A section with its fields, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What is between the brackets.
    pub name: String,
    /// The line of its heading, from 1.
    pub line: usize,
    /// Its fields.
    pub fields: Vec<Field>,
}

/// A field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its key.
    pub key: String,
    /// What is between brackets after the key.
    pub subkey: Option<String>,
    /// Its value; lines of continuation are joined by newlines.
    pub value: String,
    /// The line that it begins in, from 1.
    pub line: usize,
}

impl Section {
    /// Returns the value of a field without a subkey.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.field(key, None).map(|field| field.value.as_str())
    }

    /// Returns the field with this key and subkey.
    #[must_use]
    pub fn field(&self, key: &str, subkey: Option<&str>) -> Option<&Field> {
        self.fields.iter().find(|f| f.key == key && f.subkey.as_deref() == subkey)
    }
}

/// Reads the sections of a file. `name` is the file's, for errors.
///
/// Bytes that are not UTF-8 are replaced: they can only be in values and comments.
///
/// # Errors
///
/// [`CatalogError::Syntax`] with the line; a field that is twice in a section is one, too.
pub fn scan(bytes: &[u8], name: &str) -> Result<Vec<Section>, CatalogError> {
    let text = String::from_utf8_lossy(bytes);
    let mut sections: Vec<Section> = Vec::new();
    // Whether the line before was a field's, so that a continuation may follow.
    let mut continues = false;
    for (n, line) in text.split_inclusive('\n').enumerate() {
        let number = n + 1;
        let wrong = |what: &str| CatalogError::syntax(name, number, what);
        let Some(line) = line.strip_suffix('\n') else {
            return Err(wrong("the last line has no end: is the file cut off?"));
        };
        if line.contains('\0') {
            return Err(wrong("there is a zero byte"));
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(rest) = line.strip_prefix([' ', '\t']) {
            let field = sections.last_mut().and_then(|section| section.fields.last_mut());
            let field = field.filter(|_| continues).ok_or_else(|| wrong("it continues nothing"))?;
            field.value.push('\n');
            field.value.push_str(rest);
        } else if line.starts_with('[') {
            let heading = section(line).ok_or_else(|| wrong("it is no heading of a section"))?;
            sections.push(Section { name: heading, line: number, fields: Vec::new() });
            continues = false;
        } else {
            let found = field(line, number).ok_or_else(|| wrong("it is no `key=value`"))?;
            let last = sections.last_mut().ok_or_else(|| wrong("it stands before any section"))?;
            if last.field(&found.key, found.subkey.as_deref()).is_some() {
                let what = format!("`{}` is in `[{}]` already", shown(&found), last.name);
                return Err(CatalogError::syntax(name, number, what));
            }
            last.fields.push(found);
            continues = true;
        }
    }
    Ok(sections)
}

fn shown(field: &Field) -> String {
    match &field.subkey {
        Some(subkey) => format!("{}[{subkey}]", field.key),
        None => field.key.clone(),
    }
}

fn section(line: &str) -> Option<String> {
    let (name, rest) = line.strip_prefix('[')?.split_once(']')?;
    let good = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let blank = rest.chars().all(|c| c == ' ' || c == '\t');
    (!name.is_empty() && name.chars().all(good) && blank).then(|| name.to_owned())
}

fn field(line: &str, number: usize) -> Option<Field> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let end = line.find(|c| !good(c)).filter(|end| *end > 0)?;
    let (key, mut rest) = line.split_at(end);
    let mut subkey = None;
    if let Some(inner) = rest.strip_prefix('[') {
        let (name, after) = inner.split_once(']')?;
        if name.is_empty() || !name.chars().all(|c| good(c) || c == ',') {
            return None;
        }
        subkey = Some(name.to_owned());
        rest = after;
    }
    let value = rest.strip_prefix('=')?.to_owned();
    Some(Field { key: key.to_owned(), subkey, value, line: number })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        scan(text.as_bytes(), "index").unwrap_err().to_string()
    }

    #[test]
    fn a_file_is_read_as_virt_builder_reads_it() {
        let text = "# a comment\n\n[fedora-41]\t \nname=Fedora® 41\nnotes= a\n\n  b\n\tc\n \n\
                    notes[ja]=d\nempty=\nx=a = b[c]=d \n[b]\n";
        let sections = scan(text.as_bytes(), "index").unwrap();
        assert_eq!(sections.len(), 2);
        let first = &sections[0];
        assert_eq!((first.name.as_str(), first.line), ("fedora-41", 3));
        assert_eq!(first.get("name"), Some("Fedora® 41"));
        assert_eq!(first.get("notes"), Some(" a\n b\nc\n"));
        assert_eq!(first.field("notes", Some("ja")).unwrap().value, "d");
        assert_eq!(first.get("empty"), Some(""));
        assert_eq!(first.get("x"), Some("a = b[c]=d "));
        assert_eq!(sections[1].fields, []);
        assert_eq!(scan(b"", "index").unwrap(), []);
    }

    #[test]
    fn what_the_grammar_does_not_have_is_an_error_with_its_line() {
        for (text, expected) in [
            ("[a]\nb", "`index`, line 2: the last line has no end: is the file cut off?"),
            ("a=b\n", "`index`, line 1: it stands before any section"),
            (" a\n", "`index`, line 1: it continues nothing"),
            ("[a]\n b\n", "`index`, line 2: it continues nothing"),
            ("[a]\nb=c\n[d]\n e\n", "`index`, line 4: it continues nothing"),
            ("[a b]\n", "`index`, line 1: it is no heading of a section"),
            ("[]\n", "`index`, line 1: it is no heading of a section"),
            ("[a]\r\n", "`index`, line 1: it is no heading of a section"),
            ("[a]x\n", "`index`, line 1: it is no heading of a section"),
            ("[a]\nb c=d\n", "`index`, line 2: it is no `key=value`"),
            ("[a]\nb[]=d\n", "`index`, line 2: it is no `key=value`"),
            ("[a]\nb[c=d\n", "`index`, line 2: it is no `key=value`"),
            ("[a]\n=d\n", "`index`, line 2: it is no `key=value`"),
            ("[a]\nb=c\0\n", "`index`, line 2: there is a zero byte"),
            ("[a]\nb=c\nb=d\n", "`index`, line 3: `b` is in `[a]` already"),
            ("[a]\nb[c]=c\nb[c]=d\n", "`index`, line 3: `b[c]` is in `[a]` already"),
            ("-----BEGIN PGP SIGNED MESSAGE-----\n", "`index`, line 1: it is no `key=value`"),
        ] {
            assert_eq!(error(text), expected, "{text:?}");
        }
    }
}
