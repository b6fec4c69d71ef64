// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `source-repository-NAME`: what an element fetches while it is built.

use super::find::Element;
use crate::element::ElementError;

/// How the files' names begin.
pub const PREFIX: &str = "source-repository-";

/// How something is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A clone.
    Git,
    /// An archive that is unpacked.
    Tar,
    /// One file.
    File,
    /// Nothing: the distribution's package is used.
    Package,
}

/// Something that an element fetches. Variables (`$NAME`) stand as they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// How it is fetched.
    pub kind: Kind,
    /// Where it goes in the tree.
    pub to: Option<String>,
    /// Where it is fetched from.
    pub from: Option<String>,
    /// The branch, tag or commit; the part of an archive.
    pub reference: Option<String>,
}

/// Reads all that an element fetches.
///
/// # Errors
///
/// [`ElementError::Content`] for a line that is none; what reading says.
pub fn of(element: &Element) -> Result<Vec<Source>, ElementError> {
    let mut found = Vec::new();
    for file in element.list("")? {
        if !file.starts_with(PREFIX) || file.ends_with('~') {
            continue;
        }
        let text = element.read(&file)?.unwrap_or_default();
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let source = parse(line).ok_or_else(|| {
                let shown = line.escape_debug();
                element.content(&file, format!("`{shown}` is no `name type path address [ref]`"))
            })?;
            found.push(source);
        }
    }
    Ok(found)
}

fn parse(line: &str) -> Option<Source> {
    let mut words = line.split_whitespace();
    let name = words.next()?.to_owned();
    let kind = match words.next()? {
        "git" => Kind::Git,
        "tar" => Kind::Tar,
        "file" => Kind::File,
        "package" => Kind::Package,
        _ => return None,
    };
    let rest: Vec<_> = words.map(str::to_owned).collect();
    let is_path = |word: &&String| word.starts_with(['/', '$']);
    let to = rest.first().filter(is_path).cloned();
    let mut rest = rest.into_iter().skip(usize::from(to.is_some()));
    let (from, reference) = (rest.next(), rest.next());
    rest.next().is_none().then_some(Source { name, kind, to, from, reference })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_name_type_path_address_and_reference() {
        let source = parse("glean git /tmp/glean.git https://x.org/glean").unwrap();
        assert_eq!(source.kind, Kind::Git);
        assert_eq!(source.to.as_deref(), Some("/tmp/glean.git"));
        assert_eq!(source.from.as_deref(), Some("https://x.org/glean"));
        assert_eq!(source.reference, None);
        let source = parse("a tar /a http://x/a-$V.tar.gz *").unwrap();
        assert_eq!(source.reference.as_deref(), Some("*"));
        assert_eq!(parse("a package").unwrap().to, None);
        for line in ["a", "a svn /x y", "a git /x y z w"] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
