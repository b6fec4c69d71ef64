// SPDX-License-Identifier: Apache-2.0 OR MIT
//! VMDK: what its description names.
//!
//! A description is text: comments, `name=value` lines and lines of extents, such as
//! `RW 131072 SPARSE "disk-s001.vmdk"`. QEMU opens what the extents name. It reads the text less
//! strictly than is done here, so a line of any other form is refused: nothing can be an extent
//! for QEMU and something else for us.

use std::fs;
use std::io::{Read, Seek};
use std::path::Path;

use super::super::FormatError;
use super::super::source::Source;
use super::{Foreign, ForeignFormat, field};

/// The most bytes of a description: what QEMU reads.
const MOST_TEXT: u64 = (1 << 20) - 1;
/// The most extents.
const MOST_PARTS: usize = 4096;
/// `parentCID` of a disk without a parent.
const NO_PARENT: &str = "ffffffff";
/// The value of `compressAlgorithm` and the flag of a stream: what is written stays.
const COMPRESSED: u32 = 1 << 16;
const SECTOR: u64 = 512;

fn damaged(name: &str, what: impl Into<String>) -> FormatError {
    FormatError::Foreign { name: name.to_owned(), what: what.into() }
}

pub(super) fn probe<F: Read + Seek>(
    source: &mut Source<'_, F>,
    head: &[u8],
) -> Result<Foreign, FormatError> {
    let mut found =
        Foreign { format: ForeignFormat::Vmdk, parts: Vec::new(), parent: None, writable: true };
    if head.starts_with(b"#") {
        let text = source.read(0, source.size.min(MOST_TEXT))?;
        let about = describe(source.name, &text)?;
        (found.parts, found.parent) = (about.parts, about.parent);
        return Ok(found);
    }
    if head.starts_with(b"COWD") {
        return Ok(found);
    }
    source.within(0, SECTOR)?;
    found.writable = check_sparse(source.name, head)?;
    let le64 = |at| field(head, at).map_or(0, u64::from_le_bytes);
    let (at, len) = (le64(28).saturating_mul(SECTOR), le64(36).saturating_mul(SECTOR));
    if at != 0 && len != 0 {
        let text = source.read(at, len.min(MOST_TEXT))?;
        // What it names is the file itself, or nothing: QEMU reads no more of it.
        found.parent = describe(source.name, &text)?.parent;
    }
    Ok(found)
}

/// Checks the header of a sparse file, and returns whether it can be written to.
fn check_sparse(name: &str, head: &[u8]) -> Result<bool, FormatError> {
    let le32 = |at| field(head, at).map_or(0, u32::from_le_bytes);
    let le64 = |at| field(head, at).map_or(0, u64::from_le_bytes);
    // Without a size QEMU takes the description in it for one of several files.
    if le64(12) == 0 {
        return Err(damaged(name, "a VMDK of size 0"));
    }
    if !(1..=3).contains(&le32(4)) {
        return Err(damaged(name, format!("VMDK version {}", le32(4))));
    }
    Ok(le32(8) & COMPRESSED == 0)
}

/// What a description says.
#[derive(Debug, Default, PartialEq, Eq)]
struct About {
    parts: Vec<String>,
    parent: Option<String>,
}

fn describe(name: &str, text: &[u8]) -> Result<About, FormatError> {
    // Padded with zeros up to a whole sector.
    let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
    let text = String::from_utf8_lossy(&text[..end]);
    let mut about = About::default();
    let (mut parent, mut hint) = (NO_PARENT.to_owned(), String::new());
    for line in text.split('\n') {
        let line = line.trim_end_matches('\r').trim_matches([' ', '\t']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(part) = extent(line) {
            about.parts.extend(part);
            if about.parts.len() > MOST_PARTS {
                return Err(damaged(name, format!("more than {MOST_PARTS} parts")));
            }
            continue;
        }
        let Some((key, value)) = setting(line) else {
            let line: String = line.chars().take(80).collect();
            return Err(damaged(name, format!("the line `{}`", line.escape_debug())));
        };
        match key.to_ascii_lowercase().as_str() {
            "parentcid" => value.to_ascii_lowercase().clone_into(&mut parent),
            "parentfilenamehint" => value.clone_into(&mut hint),
            _ => {}
        }
    }
    if parent != NO_PARENT || !hint.is_empty() {
        about.parent = Some(hint);
    }
    Ok(about)
}

/// Reads `name=value` or `name = "value"`.
fn setting(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    let key = key.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
    if key.is_empty() || !key.chars().all(plain) {
        return None;
    }
    Some((key, value.trim().trim_matches('"')))
}

/// Reads a line of an extent; the inner value is the file that it names, if it does.
fn extent(line: &str) -> Option<Option<String>> {
    let (access, rest) = line.split_once([' ', '\t'])?;
    if !["RW", "RDONLY", "NOACCESS"].contains(&access) {
        return None;
    }
    let (sectors, rest) = rest.trim_start().split_once([' ', '\t'])?;
    if sectors.is_empty() || !sectors.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let rest = rest.trim_start();
    let (kind, rest) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    let file = !rest.trim().is_empty();
    match kind {
        "ZERO" if !file => Some(None),
        "FLAT" | "SPARSE" | "VMFS" | "VMFSSPARSE" | "VMFSRDM" | "VMFSRAW" | "SESPARSE" if file => {
            let (part, after) = rest.trim_start().strip_prefix('"')?.split_once('"')?;
            let after = after.trim();
            after.bytes().all(|byte| byte.is_ascii_digit()).then(|| Some(part.to_owned()))
        }
        _ => None,
    }
}

/// Checks that each part is a plain file beside `image`: no other folder, no link, no name that
/// QEMU takes for something else than a file, and no part that names parts itself.
pub(super) fn check_parts(parts: &[String], image: &Path, name: &str) -> Result<(), FormatError> {
    let folder = image.parent().unwrap_or(Path::new("/"));
    for part in parts {
        let plain = !part.is_empty()
            && part != "."
            && part != ".."
            && !part.contains(['/', '\\', ':', '\0'])
            && part.chars().all(|c| c != char::REPLACEMENT_CHARACTER && !c.is_control());
        if !plain {
            let what = format!("a part named `{}`, outside of its folder", part.escape_debug());
            return Err(damaged(name, what));
        }
        let path = folder.join(part);
        let shown = path.display().to_string();
        let io = |source| FormatError::Io { name: shown.clone(), source };
        if !fs::symlink_metadata(&path).map_err(io)?.file_type().is_file() {
            return Err(damaged(name, format!("a part `{part}` that is no plain file")));
        }
        let mut file = fs::File::open(&path).map_err(io)?;
        let mut source = Source::new(&mut file, &shown)?;
        let head = source.read(0, SECTOR.min(source.size))?;
        if head.starts_with(b"KDMV") {
            source.within(0, SECTOR)?;
            check_sparse(&shown, &head)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\n";

    fn about(lines: &str) -> Result<About, String> {
        describe("x.vmdk", format!("{HEAD}{lines}\0\0").as_bytes()).map_err(|e| e.to_string())
    }

    #[test]
    fn extents_and_parents_are_found() {
        let found = about(
            "createType=\"twoGbMaxExtentSparse\"\r\nRW 4192256 SPARSE \"a-s001.vmdk\"\r\n\
             RW 63 FLAT \"a b.vmdk\" 128\nRW 10 ZERO\nddb.adapterType = \"ide\"\n",
        );
        let parts = vec!["a-s001.vmdk".to_owned(), "a b.vmdk".to_owned()];
        assert_eq!(found, Ok(About { parts, parent: None }));
        let found = about("parentCID=12ab\nparentFileNameHint=\"../base.vmdk\"").unwrap();
        assert_eq!(found.parent.as_deref(), Some("../base.vmdk"));
        assert_eq!(about("parentCID=12ab").unwrap().parent.as_deref(), Some(""));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for line in [
            "RW\n100 SPARSE \"/etc/passwd\"",
            "RW 10 ZERO \"/etc/passwd\"",
            "RW 10 FLAT\n\"/etc/passwd\" 0",
            "RW 10 FLAT \"/etc/passwd",
            "RW 10 FLAT \"a\" \"/etc/passwd\"",
            "\u{b}RW 10 FLAT \"/etc/passwd\" 0",
            "RW -10 FLAT \"/etc/passwd\" 0",
            "rw 10 FLAT \"/etc/passwd\" 0",
            "RW 10 NEWKIND \"/etc/passwd\"",
            "anything",
        ] {
            let error = about(line).unwrap_err();
            assert!(error.starts_with("`x.vmdk` is damaged or refused: the line `"), "{error}");
        }
    }

    #[test]
    fn parts_lie_beside_the_image() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("x.vmdk");
        fs::write(folder.path().join("good"), "x").unwrap();
        fs::create_dir(folder.path().join("folder")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).unwrap();
        let check = |part: &str| {
            check_parts(&[part.to_owned()], &image, "x.vmdk").map_err(|error| error.to_string())
        };
        assert_eq!(check("good"), Ok(()));
        for part in ["../good", "/etc/passwd", "..", "", "nbd:unix:/x", "json:{}", "a\nb"] {
            assert!(check(part).unwrap_err().contains("outside of its folder"), "{part}");
        }
        for part in ["folder", "link"] {
            assert!(check(part).unwrap_err().contains("no plain file"), "{part}");
        }
        assert!(check("missing").unwrap_err().starts_with("could not read `"));
        let mut head = b"KDMV\x01\0\0\0".to_vec();
        head.resize(512, 0);
        fs::write(folder.path().join("nested"), head).unwrap();
        assert!(check("nested").unwrap_err().ends_with("a VMDK of size 0"));
    }
}
