// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `file_contexts`: which label belongs to which path.
//!
//! Source: file_contexts(5), and libselinux's `label_file.c`: among all lines that fit, one
//! without wildcards wins, then the last; `.homedirs` and `.local` come after the policy's own.
//! A line's expression is PCRE; the `regex` crate reads what policies use of it, in linear time,
//! and what it does not read is [`Unclear`], never guessed.
//!
//! **Invariant:** files are the guest's: lines, expressions and compiled sizes are bounded.

use std::collections::HashMap;

use regex::bytes::{Regex, RegexBuilder};

use crate::tree::walk::present;
use crate::tree::{GuestPath, Kind, Tree, TreeError};

/// The most that is read of each file.
const MOST_FILE: u64 = 16 << 20;
/// The most lines of all files.
const MOST_LINES: usize = 200_000;
/// The most bytes that one compiled expression takes.
const MOST_COMPILED: usize = 1 << 20;
/// What stands for a context where a file is to be left as it is.
const NONE: &str = "<<none>>";
/// Files of contexts, in the order in which they are read; the last one wins.
const FILES: [&str; 3] = ["", ".homedirs", ".local"];
/// Files of paths that are looked up as others: the administrator's own first.
const SUBSTITUTES: [&str; 2] = [".subs", ".subs_dist"];

/// One line.
#[derive(Clone, Debug)]
struct Spec {
    /// The expression, as written.
    text: String,
    /// What every path that fits begins with.
    prefix: Vec<u8>,
    /// Only for things of this kind.
    kind: Option<Kind>,
    context: String,
    compiled: Compiled,
}

/// An expression is compiled when a path comes along that it may fit.
#[derive(Clone, Debug)]
enum Compiled {
    NotYet,
    Yes(Regex),
    /// It is not understood.
    No,
}

/// A path that is looked up as another.
#[derive(Clone, Debug)]
struct Substitute {
    from: Vec<u8>,
    to: Vec<u8>,
}

/// A line is in the way whose meaning is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file context `{}` is not understood", text.escape_debug())]
pub struct Unclear {
    /// The line's expression.
    pub text: String,
}

/// The file contexts of a guest's policy.
#[derive(Clone, Debug, Default)]
pub struct Contexts {
    /// Lines without wildcards, by their paths; the last line of a path and kind wins.
    exact: HashMap<Vec<u8>, Vec<Spec>>,
    /// All others, in order.
    patterns: Vec<Spec>,
    /// By file: the administrator's, the distribution's.
    substitutes: [Vec<Substitute>; 2],
}

impl Contexts {
    /// Reads the contexts of a policy; `None` if there are none, or too many.
    ///
    /// # Errors
    ///
    /// [`TreeError::Backend`].
    pub fn load(tree: &mut dyn Tree, policy: &str) -> Result<Option<Self>, TreeError> {
        let base = format!("/etc/selinux/{policy}/contexts/files/file_contexts");
        let mut contexts = Self::default();
        for (number, end) in FILES.iter().enumerate() {
            let Some(text) = text(tree, &format!("{base}{end}"))? else {
                if number == 0 {
                    return Ok(None);
                }
                continue;
            };
            if !contexts.add(&text) {
                return Ok(None);
            }
        }
        for (list, end) in contexts.substitutes.iter_mut().zip(SUBSTITUTES) {
            let text = text(tree, &format!("{base}{end}"))?.unwrap_or_default();
            *list = substitutes(&text);
        }
        Ok(Some(contexts))
    }

    /// Adds the lines of a file; `false` if they are too many.
    fn add(&mut self, text: &str) -> bool {
        for (number, line) in text.lines().enumerate() {
            if number >= MOST_LINES || self.patterns.len() >= MOST_LINES {
                return false;
            }
            let Some((expression, kind, context)) = fields(line) else { continue };
            let spec = Spec {
                text: expression.to_owned(),
                prefix: prefix(expression),
                kind,
                context: context.to_owned(),
                compiled: Compiled::NotYet,
            };
            match literal(expression) {
                Some(path) => self.exact.entry(path).or_default().push(spec),
                None => self.patterns.push(spec),
            }
        }
        true
    }

    /// Returns the label for something of this kind at a path; `None` if none is said.
    ///
    /// # Errors
    ///
    /// [`Unclear`] if a line that may be the right one is not understood.
    pub fn lookup(&mut self, path: &GuestPath, kind: Kind) -> Result<Option<String>, Unclear> {
        let mut path = path.as_bytes().to_vec();
        for list in &self.substitutes {
            if let Some(other) = substituted(list, &path) {
                path = other;
            }
        }
        let fits = |spec: &Spec| spec.kind.is_none_or(|only| only == kind);
        let exact = self.exact.get(&path).map(Vec::as_slice).unwrap_or_default();
        if let Some(spec) = exact.iter().rfind(|spec| fits(spec)) {
            return Ok(known(&spec.context));
        }
        for spec in self.patterns.iter_mut().rev() {
            if fits(spec) && path.starts_with(&spec.prefix) && spec.takes(&path)? {
                return Ok(known(&spec.context));
            }
        }
        Ok(None)
    }
}

impl Spec {
    /// Returns whether the whole path fits the expression.
    fn takes(&mut self, path: &[u8]) -> Result<bool, Unclear> {
        if matches!(self.compiled, Compiled::NotYet) {
            self.compiled = compiled(&self.text);
        }
        match &self.compiled {
            Compiled::Yes(regex) => Ok(regex.is_match(path)),
            _ => Err(Unclear { text: self.text.clone() }),
        }
    }
}

/// Compiles an expression. One with alternatives outside brackets is not understood: libselinux
/// anchors the first of them at its beginning only and the last at its end only, and where the
/// first begins depends on its version.
fn compiled(text: &str) -> Compiled {
    if has_alternatives(text.as_bytes()) {
        return Compiled::No;
    }
    let whole = format!("^(?:{text})$");
    let mut builder = RegexBuilder::new(&whole);
    builder.unicode(false).dot_matches_new_line(true).size_limit(MOST_COMPILED);
    builder.build().map_or(Compiled::No, Compiled::Yes)
}

fn known(context: &str) -> Option<String> {
    (context != NONE).then(|| context.to_owned())
}

fn text(tree: &mut dyn Tree, path: &str) -> Result<Option<String>, TreeError> {
    let path = GuestPath::new(path)?;
    match present(tree.stat(&path))?.flatten() {
        Some(stat) if stat.kind == Kind::File && stat.size <= MOST_FILE => {
            let bytes = tree.read(&path, MOST_FILE)?;
            Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
        }
        _ => Ok(None),
    }
}

/// Splits a line: expression, kind, context; `None` for a comment or what is no line.
fn fields(line: &str) -> Option<(&str, Option<Kind>, &str)> {
    let mut words = line.split_ascii_whitespace();
    let expression = words.next().filter(|word| !word.starts_with('#'))?;
    let second = words.next()?;
    let Some(context) = words.next() else { return Some((expression, None, second)) };
    let kind = match second {
        "--" => Kind::File,
        "-d" => Kind::Directory,
        "-l" => Kind::Symlink,
        "-c" => Kind::Char,
        "-b" => Kind::Block,
        "-p" => Kind::Fifo,
        "-s" => Kind::Socket,
        _ => return None,
    };
    Some((expression, Some(kind), context))
}

/// Returns whether a byte means something in an expression. Source: `regex_has_meta_chars` and
/// `spec_hasMetaChars` of libselinux.
fn is_meta(byte: u8) -> bool {
    b".^$?*+|[({".contains(&byte)
}

/// Returns the path that an expression without wildcards stands for.
fn literal(expression: &str) -> Option<Vec<u8>> {
    let mut path = Vec::with_capacity(expression.len());
    let mut bytes = expression.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => path.push(bytes.next().filter(|b| !b.is_ascii_alphanumeric())?),
            meta if is_meta(meta) => return None,
            plain => path.push(plain),
        }
    }
    Some(path)
}

/// Returns what every path begins with that an expression fits. With alternatives outside
/// brackets these are the whole folders before the first wildcard, as in libselinux.
fn prefix(expression: &str) -> Vec<u8> {
    let bytes = expression.as_bytes();
    let mut prefix = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => match bytes.get(at + 1) {
                Some(&next) if !next.is_ascii_alphanumeric() => {
                    prefix.push(next);
                    at += 2;
                }
                _ => break,
            },
            b'?' | b'*' | b'{' => {
                prefix.pop();
                break;
            }
            meta if is_meta(meta) => break,
            plain => {
                prefix.push(plain);
                at += 1;
            }
        }
    }
    if has_alternatives(bytes) {
        prefix.truncate(prefix.iter().rposition(|&b| b == b'/').unwrap_or(0));
    }
    prefix
}

/// Returns whether an expression has alternatives outside all brackets.
fn has_alternatives(expression: &[u8]) -> bool {
    let mut depth = 0_i32;
    let mut bytes = expression.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'|' if depth <= 0 => return true,
            _ => {}
        }
    }
    false
}

fn substitutes(text: &str) -> Vec<Substitute> {
    let pairs = text.lines().take(MOST_LINES).filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let from = words.next().filter(|word| word.starts_with('/'))?;
        Some(Substitute { from: from.into(), to: words.next()?.into() })
    });
    pairs.collect()
}

/// Returns the path that another is looked up as: the last substitute of a whole folder name.
fn substituted(list: &[Substitute], path: &[u8]) -> Option<Vec<u8>> {
    list.iter().rev().find_map(|sub| {
        let rest = path.strip_prefix(&sub.from[..])?;
        let whole = rest.is_empty() || rest.starts_with(b"/");
        let rest = if sub.to == b"/" { rest.get(1..).unwrap_or_default() } else { rest };
        whole.then(|| [&sub.to, rest].concat())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::memory::MemoryTree;

    fn contexts(files: &[(&str, &str)]) -> Contexts {
        let mut tree = MemoryTree::new();
        for (end, text) in files {
            tree.add(&format!("/etc/selinux/t/contexts/files/file_contexts{end}={text}"));
        }
        Contexts::load(&mut tree, "t").unwrap().unwrap()
    }

    fn label(contexts: &mut Contexts, path: &str, kind: Kind) -> Option<String> {
        contexts.lookup(&GuestPath::new(path).unwrap(), kind).unwrap()
    }

    #[test]
    fn exact_lines_win_and_then_the_last() {
        let mut contexts = contexts(&[
            (
                "",
                "# c\n/etc/passwd -- exact\n/etc/.* a\n/etc/p.* b\n/etc/.*d d\n/x <<none>>\nodd\n",
            ),
            (".homedirs", "/home/[^/]+/.+ home\n"),
            (".local", "/home/ann/.* local\n/etc/q -d dir\n"),
        ]);
        let mut at = |path, kind| label(&mut contexts, path, kind);
        assert_eq!(at("/etc/passwd", Kind::File).as_deref(), Some("exact"));
        assert_eq!(at("/etc/passwd", Kind::Symlink).as_deref(), Some("d"));
        assert_eq!(at("/etc/px", Kind::File).as_deref(), Some("b"));
        assert_eq!(at("/home/ann/x", Kind::File).as_deref(), Some("local"));
        assert_eq!(at("/home/bob/x", Kind::File).as_deref(), Some("home"));
        assert_eq!(at("/etc/q", Kind::Directory).as_deref(), Some("dir"));
        assert_eq!(at("/etc/q", Kind::File).as_deref(), Some("a"));
        assert_eq!(at("/x", Kind::File), None);
        assert_eq!(at("/y", Kind::File), None);
    }

    #[test]
    fn paths_are_substituted_by_whole_names() {
        let mut contexts = contexts(&[
            ("", "/.* root\n/usr/lib(/.*)? lib\n"),
            (".subs_dist", "/lib64 /usr/lib\n/chroot /\n"),
            (".subs", "/mine /lib64\n"),
        ]);
        let mut at = |path| label(&mut contexts, path, Kind::File).unwrap();
        assert_eq!(at("/lib64/a"), "lib");
        assert_eq!(at("/mine/a"), "lib");
        assert_eq!(at("/lib64x/a"), "root");
        assert_eq!(at("/chroot/usr/lib/a"), "lib");
        assert_eq!(at("/chroot"), "root");
    }

    #[test]
    fn prefixes_and_literals_are_told() {
        for (text, wanted) in [
            ("/etc(/.*)?", "/etc"),
            ("/usr/bin/c\\+\\+.*", "/usr/bin/c++"),
            ("/dev/s?d", "/dev/"),
            ("/a|/b", ""),
            ("/a/b|/c", "/a"),
            ("/a(x|y)", "/a"),
            ("/lib+/x", "/lib"),
            ("/x\\d", "/x"),
        ] {
            assert_eq!(prefix(text), wanted.as_bytes(), "{text}");
        }
        assert_eq!(literal("/usr/bin/c\\+\\+"), Some(b"/usr/bin/c++".to_vec()));
        assert_eq!(literal("/x\\d"), None);
    }

    #[test]
    fn only_lines_that_may_fit_need_be_understood() {
        let mut contexts =
            contexts(&[("", "/.* a\n/odd/(?!x).* b\n/big/(a{999}){999} c\n/or/x|/y d\n")]);
        assert_eq!(label(&mut contexts, "/etc", Kind::File).as_deref(), Some("a"));
        for path in ["/odd/x", "/big/x", "/or/z"] {
            assert!(contexts.lookup(&path.into(), Kind::File).is_err(), "{path}");
        }
    }
}
