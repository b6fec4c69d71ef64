// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Repositories of virt-builder: their index, read and written.
//!
//! ```text
//! index.asc   clear-signed text: a section an image
//! *.xz        the images, compressed, with their SHA-512 in the index
//! ```
//!
//! Source: virt-builder(1) and virt-builder-repository(1) 1.56, and `builder/index_parser.ml`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use kiln_spec::Bytes;
use kiln_spec::image::Os;

use super::checksum::{Algorithm, Checksum};
use super::entry::{Check, Entry, Proof};
use super::source::Source;
use super::url::{self, Address};
use super::{CatalogError, Kind, Reader};

mod scan;

pub use scan::{Field, Section, scan};

/// The most characters of a value that an error shows.
const SHOWN_MOST: usize = 200;

/// An image of a repository, as its index describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The section's name: what virt-builder calls the OS version.
    pub id: String,
    /// The name for people.
    pub name: Option<String>,
    /// The system's short name in libosinfo.
    pub osinfo: Option<String>,
    /// The processor: `x86_64`.
    pub arch: String,
    /// The file, by a path that begins where the index is.
    pub file: String,
    /// The digest of the file as it is downloaded.
    pub checksum: Option<Checksum>,
    /// The revision, from 1.
    pub revision: u64,
    /// `raw` or `qcow2`; `None` for what the file shows.
    pub format: Option<String>,
    /// How large a machine sees the disk.
    pub size: Bytes,
    /// How long the file is that is downloaded.
    pub compressed_size: Option<Bytes>,
    /// The partition that grows with the disk: `/dev/sda3`.
    pub expand: Option<String>,
    /// The logical volume that grows with the disk.
    pub lvexpand: Option<String>,
    /// Notes by language; the key is empty for those without one.
    pub notes: BTreeMap<String, String>,
    /// Whether lists leave it out.
    pub hidden: bool,
    /// Other names of the image.
    pub aliases: Vec<String>,
}

/// Reads an index. `name` is the file's, for errors. Keys that are not known are passed over, as
/// virt-builder does.
///
/// # Errors
///
/// [`CatalogError::Syntax`] with the line, for what virt-builder refuses, too: an image that is
/// there twice, a path that leads away from the index, `arch`, `file` or `size` missing.
pub fn parse(bytes: &[u8], name: &str) -> Result<Vec<Template>, CatalogError> {
    let mut seen = BTreeSet::new();
    let mut templates = Vec::new();
    for section in scan(bytes, name)? {
        let template = template(&section, name)?;
        if !seen.insert((template.id.clone(), template.arch.clone())) {
            let what =
                format!("`[{}]` for {} is there already", template.id, shown(&template.arch));
            return Err(CatalogError::syntax(name, section.line, what));
        }
        templates.push(template);
    }
    Ok(templates)
}

/// What a terminal may show of somebody's words.
fn shown(text: &str) -> String {
    text.escape_debug().take(SHOWN_MOST).collect()
}

fn template(section: &Section, name: &str) -> Result<Template, CatalogError> {
    let wrong = |line: usize, what: String| CatalogError::syntax(name, line, what);
    let needed = |key: &str| {
        let missing = || wrong(section.line, format!("`[{}]` has no `{key}`", section.name));
        section.field(key, None).ok_or_else(missing)
    };
    let number = |field: &Field| {
        let no = || {
            wrong(field.line, format!("`{}` is no number: `{}`", field.key, shown(&field.value)))
        };
        field.value.trim().parse::<u64>().map_err(|_| no())
    };
    let file = needed("file")?;
    url::check_relative(&file.value).map_err(|what| wrong(file.line, format!("`file` {what}")))?;
    let sha512 = section.field("checksum", Some("sha512"));
    let checksum = sha512.or_else(|| section.field("checksum", None)).map(|field| {
        Checksum::new(Algorithm::Sha512, field.value.trim())
            .ok_or_else(|| wrong(field.line, format!("`{}` is no SHA-512", shown(&field.value))))
    });
    let optional = |key: &str| section.field(key, None).map(number).transpose();
    let hidden = match section.field("hidden", None).map(|field| (field, field.value.as_str())) {
        None | Some((_, "false")) => false,
        Some((_, "true")) => true,
        Some((field, other)) => {
            return Err(wrong(
                field.line,
                format!("`hidden` is `true` or `false`, not `{}`", shown(other)),
            ));
        }
    };
    let text = |key: &str| section.get(key).map(str::to_owned);
    let notes = section.fields.iter().filter(|field| field.key == "notes");
    Ok(Template {
        id: section.name.clone(),
        name: text("name"),
        osinfo: text("osinfo"),
        arch: needed("arch")?.value.clone(),
        file: file.value.clone(),
        checksum: checksum.transpose()?,
        revision: optional("revision")?.unwrap_or(1),
        format: text("format"),
        size: Bytes(number(needed("size")?)?),
        compressed_size: optional("compressed_size")?.map(Bytes),
        expand: text("expand"),
        lvexpand: text("lvexpand"),
        notes: notes.map(|f| (f.subkey.clone().unwrap_or_default(), f.value.clone())).collect(),
        hidden,
        aliases: section
            .get("aliases")
            .map(|all| all.split_whitespace().map(str::to_owned).collect())
            .unwrap_or_default(),
    })
}

/// Writes an index, which [`parse`] and virt-builder read back.
///
/// The keys come in the order in which virt-builder-repository writes them. Line breaks in values
/// other than notes become blanks.
#[must_use]
pub fn write(templates: &[Template]) -> String {
    let mut out = String::new();
    for template in templates {
        // Writing to a string cannot fail.
        writeln!(out, "[{}]", template.id).ok();
        for (key, value) in pairs(template) {
            let breaks = if key.starts_with("notes") { "\n " } else { " " };
            writeln!(out, "{key}={}", value.replace('\0', " ").replace('\n', breaks)).ok();
        }
        out.push('\n');
    }
    out
}

fn pairs(t: &Template) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut add = |key: &str, value: Option<&str>| {
        pairs.extend(value.map(|value| (key.to_owned(), value.to_owned())));
    };
    add("name", t.name.as_deref());
    add("osinfo", t.osinfo.as_deref());
    add("file", Some(&t.file));
    add("arch", Some(&t.arch));
    add("checksum[sha512]", t.checksum.as_ref().map(Checksum::hex));
    add("revision", Some(&t.revision.to_string()));
    add("format", t.format.as_deref());
    add("size", Some(&t.size.0.to_string()));
    add("compressed_size", t.compressed_size.map(|size| size.0.to_string()).as_deref());
    add("expand", t.expand.as_deref());
    add("lvexpand", t.lvexpand.as_deref());
    for (language, notes) in &t.notes {
        let own = format!("notes[{language}]");
        add(if language.is_empty() { "notes" } else { &own }, Some(notes));
    }
    add("aliases", (!t.aliases.is_empty()).then(|| t.aliases.join(" ")).as_deref());
    add("hidden", t.hidden.then_some("true"));
    pairs
}

/// The kind of virt-builder's repositories.
#[derive(Clone, Copy, Debug)]
pub struct VirtBuilder;

impl Kind for VirtBuilder {
    fn word(&self) -> Option<&'static str> {
        Some("native")
    }

    fn about(&self) -> &'static str {
        "virt-builder's repositories: the address of an index"
    }

    fn read(&self, source: &Source, reader: &Reader<'_>) -> Result<Vec<Entry>, CatalogError> {
        let Some(uri) = &source.uri else { return Ok(Vec::new()) };
        let (bytes, proof) = reader.signed_text(source, uri)?;
        let all = parse(&bytes, &uri.to_string())?;
        all.into_iter().map(|template| entry(template, source, uri, &proof)).collect()
    }
}

fn entry(
    t: Template,
    source: &Source,
    uri: &Address,
    proof: &Proof,
) -> Result<Entry, CatalogError> {
    let url = uri.join(&t.file).map_err(|what| {
        CatalogError::syntax(&uri.to_string(), 1, format!("`file` of `[{}]` {what}", t.id))
    })?;
    let title = t.name.clone().unwrap_or_else(|| t.id.clone());
    Ok(Entry {
        catalog: source.name.clone(),
        os: Os {
            id: t.osinfo.unwrap_or_default(),
            version: String::new(),
            pretty_name: title.clone(),
        },
        title,
        aliases: t.aliases,
        arch: t.arch,
        url,
        check: t.checksum.map_or(Check::Missing, Check::Known),
        version: t.revision.to_string(),
        format: t.format,
        size: Some(t.size),
        download: t.compressed_size,
        user: None,
        firmware: Vec::new(),
        notes: t.notes,
        hidden: t.hidden,
        proof: proof.clone(),
        name: t.id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
                          0123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDEF";

    fn full() -> String {
        format!(
            "[debian-12]\nname=Debian® 12\nosinfo=debian12\nfile=d/debian-12.xz\narch=x86_64\n\
             checksum[sha512]={}\nrevision=7\nformat=raw\nsize=6442450944\n\
             compressed_size=148947524\nexpand=/dev/sda3\nlvexpand=/dev/vg/root\n\
             notes=Two lines.\n \n  The last.\nnotes[ja]=x\naliases=bookworm stable\nhidden=true\n\n",
            DIGEST.to_ascii_lowercase()
        )
    }

    #[test]
    fn an_index_is_read_and_written_back_as_it_was() {
        let all = parse(full().as_bytes(), "index").unwrap();
        assert_eq!(all[0].notes[""], "Two lines.\n\n The last.");
        assert_eq!(all[0].aliases, ["bookworm", "stable"]);
        assert_eq!(write(&all), full());
        let least = "[a]\narch=x\nfile=a.xz\nsize=1\nunknown=1\n";
        let read = parse(least.as_bytes(), "index").unwrap();
        assert_eq!((read[0].revision, read[0].hidden, &read[0].checksum), (1, false, &None));
    }

    #[test]
    fn what_virt_builder_refuses_is_refused_with_its_line() {
        let whole = "[a]\narch=x\nfile=a.xz\nsize=1\n";
        for (text, expected) in [
            ("[a]\narch=x\nsize=1\n".to_owned(), "line 1: `[a]` has no `file`"),
            ("[a]\nfile=a\nsize=1\n".into(), "line 1: `[a]` has no `arch`"),
            ("[a]\narch=x\nfile=a\n".into(), "line 1: `[a]` has no `size`"),
            (whole.replace("size=1", "size=x"), "line 4: `size` is no number: `x`"),
            (whole.replace("size=1", "size=-1"), "line 4: `size` is no number: `-1`"),
            (format!("{whole}revision=\n"), "line 5: `revision` is no number: ``"),
            (format!("{whole}hidden=yes\n"), "line 5: `hidden` is `true` or `false`, not `yes`"),
            (format!("{whole}checksum=00\n"), "line 5: `00` is no SHA-512"),
            (format!("{whole}{whole}"), "line 5: `[a]` for x is there already"),
            (
                whole.replace("a.xz", "../a.xz"),
                "line 3: `file` is a path that leads elsewhere: `../a.xz`",
            ),
            (
                whole.replace("a.xz", "/etc/shadow"),
                "line 3: `file` is an absolute path: `/etc/shadow`",
            ),
            (
                whole.replace("a.xz", "http://h/a"),
                "line 3: `file` is an address, not a path beside the index: `http://h/a`",
            ),
            (whole.replace("a.xz", ""), "line 3: `file` is empty"),
        ] {
            let error = parse(text.as_bytes(), "index").unwrap_err().to_string();
            assert_eq!(error, format!("`index`, {expected}"));
        }
        let other = whole.replace("arch=x", "arch=y");
        assert_eq!(parse(format!("{whole}{other}").as_bytes(), "index").unwrap().len(), 2);
    }

    #[test]
    fn a_value_cannot_begin_a_line_of_its_own() {
        let mut all = parse(full().as_bytes(), "index").unwrap();
        all[0].name = Some("a\n[evil]\nfile=b".into());
        all[0].notes.insert(String::new(), "a\n[evil]\n#b".into());
        let read = parse(write(&all).as_bytes(), "index").unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].notes, all[0].notes);
        assert_eq!(read[0].name.as_deref(), Some("a [evil] file=b"));
    }
}
