// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A tree to YAML text.

use super::{How, Node, Scalar, Type, Value, resolve};

/// The longest key that stands on its value's line. PyYAML takes at most 1024 characters.
const SIMPLE_KEY: usize = 200;

/// Returns a tree as YAML text that ends with a newline.
pub(crate) fn emit(node: &Node) -> String {
    let mut out = String::new();
    match &node.value {
        Value::Map(pairs) if !pairs.is_empty() => map(&mut out, pairs, 0),
        Value::List(items) if !items.is_empty() => list(&mut out, items, 0),
        _ => inline(&mut out, node, 0),
    }
    out
}

/// Writes what follows a key or a hyphen, and the end of the line.
fn inline(out: &mut String, node: &Node, indent: usize) {
    match &node.value {
        Value::Scalar(scalar) => scalar_value(out, scalar, indent),
        Value::List(_) => out.push_str("[]\n"),
        Value::Map(_) => out.push_str("{}\n"),
    }
}

fn map(out: &mut String, pairs: &[(Node, Node)], indent: usize) {
    for (number, (key, value)) in pairs.iter().enumerate() {
        if number > 0 || !out.ends_with("- ") {
            pad(out, indent);
        }
        let mut text = String::new();
        if let Value::Scalar(scalar) = &key.value {
            one_line(&mut text, scalar);
        }
        if text.chars().count() > SIMPLE_KEY {
            out.push_str("? ");
            out.push_str(&text);
            out.push('\n');
            pad(out, indent);
            out.push(':');
        } else {
            out.push_str(&text);
            out.push(':');
        }
        match &value.value {
            Value::Map(pairs) if !pairs.is_empty() => {
                out.push('\n');
                map(out, pairs, indent + 2);
            }
            Value::List(items) if !items.is_empty() => {
                out.push('\n');
                list(out, items, indent);
            }
            Value::Scalar(Scalar { text, how: How::Plain }) if text.is_empty() => out.push('\n'),
            _ => {
                out.push(' ');
                inline(out, value, indent + 2);
            }
        }
    }
}

fn list(out: &mut String, items: &[Node], indent: usize) {
    for (number, item) in items.iter().enumerate() {
        if number > 0 || !out.ends_with("- ") {
            pad(out, indent);
        }
        out.push_str("- ");
        match &item.value {
            Value::Map(pairs) if !pairs.is_empty() => map(out, pairs, indent + 2),
            Value::List(items) if !items.is_empty() => list(out, items, indent + 2),
            _ => inline(out, item, indent + 2),
        }
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// Writes a value, as a block if it has several lines that allow it.
fn scalar_value(out: &mut String, scalar: &Scalar, indent: usize) {
    if scalar.type_of() != Type::Text || !is_block(&scalar.text) {
        one_line(out, scalar);
        out.push('\n');
        return;
    }
    let (body, mark) = match scalar.text.strip_suffix('\n') {
        Some(body) => (body, "|\n"),
        None => (scalar.text.as_str(), "|-\n"),
    };
    out.push_str(mark);
    for line in body.split('\n') {
        if !line.is_empty() {
            pad(out, indent.max(2));
            out.push_str(line);
        }
        out.push('\n');
    }
}

/// Returns whether a literal block can hold a text without doubt: the first line shows the
/// indentation, the end needs no more than one newline, and nothing must be escaped.
fn is_block(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let blank = |line: &str| line.chars().all(|c| c == ' ' || c == '\t');
    body.contains('\n')
        && !body.starts_with([' ', '\t', '\n'])
        && !body.rsplit('\n').next().is_none_or(blank)
        && body.chars().all(|c| c == '\n' || c == '\t' || is_printable(c))
}

fn one_line(out: &mut String, scalar: &Scalar) {
    match scalar.how {
        How::Plain if scalar.type_of() == Type::Null => out.push_str("null"),
        How::Plain if scalar.type_of() != Type::Text => out.push_str(&scalar.text),
        How::Plain | How::Text if is_plain(&scalar.text) => out.push_str(&scalar.text),
        How::Plain | How::Text => quoted(out, &scalar.text),
        How::Tagged(tag) => {
            out.push_str("!!");
            out.push_str(tag);
            out.push(' ');
            quoted(out, &scalar.text);
        }
    }
}

/// Returns whether a text is read as the same text without quotes, by any YAML reader: letters
/// first, no sign that means anything, no word that is a value.
fn is_plain(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "_-./@+=, ".contains(c);
    let word = matches!(text.to_ascii_lowercase().as_str(), "y" | "n" | "nan" | "inf");
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '_')
        && !text.ends_with(' ')
        && text.chars().all(inner)
        && resolve::resolve(text) == Type::Text
        && !word
}

fn is_printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_printable(c) => out.push(c),
            c => out.push_str(&format!("\\u{:04X}", u32::from(c))),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::super::load;
    use super::*;

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for text in [
            "a: 1\nb: [x, {c: d, e: [f, [g, h], []]}, {}]\n",
            "perm: 0644\nquoted: '0644'\nyes: no\nt: \"yes\"\nn: ~\ne:\n",
            "s: |\n  #!/bin/sh\n  echo hi\n\n  exit\nl: >-\n  folded\n  text\n",
            "s: |+\n  a\n\n\nt: \"  lead\\n\\ttab\\nend  \"\nu: \"\\x07\\u2028ü😀\"\n",
            "- - - a\n    - b\n  - c\n- d\n",
            "b: !!binary aGk=\nf: !!float 1\n'': empty\n? null\n: x\n1: one\n'1': text\n",
            "k: 'a: b # c'\n\"multi\\nline key\": v\n",
            "just a text",
            "[]",
            "1e5: 0o17\ny: .5\n",
        ] {
            let tree = load(text).unwrap();
            let written = emit(&tree);
            assert_eq!(load(&written).unwrap(), normal(&tree), "{text}\n---\n{written}");
        }
    }

    /// The same tree with texts marked as such: quotes may come or go, types may not.
    fn normal(node: &Node) -> Node {
        let reread = |n: &Node| load(&emit(n)).unwrap();
        let again = reread(node);
        assert_eq!(types(node), types(&again));
        again
    }

    fn types(node: &Node) -> Vec<(Type, String)> {
        let text = match &node.value {
            Value::Scalar(s) if s.type_of() != Type::Null => s.text.clone(),
            _ => String::new(),
        };
        let mut out = vec![(node.type_of(), text)];
        match &node.value {
            Value::Scalar(_) => {}
            Value::List(items) => out.extend(items.iter().flat_map(types)),
            Value::Map(pairs) => {
                out.extend(pairs.iter().flat_map(|(k, v)| [types(k), types(v)].concat()));
            }
        }
        out
    }

    #[test]
    fn scripts_stay_readable() {
        let tree = load("runcmd: [\"set -e\\necho 'a: b'\\n\", ls -l]\nx: {z: 1}\n").unwrap();
        assert_eq!(emit(&tree), "runcmd:\n- |\n  set -e\n  echo 'a: b'\n- ls -l\nx:\n  z: 1\n");
    }

    #[test]
    fn long_keys_are_spelled_out() {
        let long = "k".repeat(2000);
        let tree = load(&format!("? {long}\n: {{a: [b]}}\n")).unwrap();
        assert_eq!(load(&emit(&tree)).unwrap().get(&long), tree.get(&long));
    }
}
