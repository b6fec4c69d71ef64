// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From a tree to text.

use std::fmt::{self, Write};

use super::{Element, Node};

impl fmt::Display for Element {
    /// Writes the element. One that holds text is written as it is; one that holds elements
    /// only, as a fresh one does, gets a line for each, indented by two spaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self, 0)
    }
}

fn write(f: &mut fmt::Formatter<'_>, element: &Element, depth: usize) -> fmt::Result {
    write!(f, "<{}", element.name)?;
    for (name, value) in &element.attributes {
        write!(f, " {name}='")?;
        escape(f, value, true)?;
        f.write_char('\'')?;
    }
    if element.nodes.is_empty() {
        return f.write_str("/>");
    }
    f.write_char('>')?;
    let texts = |n: &Node| matches!(n, Node::Text(_) | Node::CData(_));
    let indented = !element.nodes.iter().any(texts);
    for node in &element.nodes {
        if indented {
            newline(f, depth + 1)?;
        }
        write_node(f, node, depth + 1)?;
    }
    if indented {
        newline(f, depth)?;
    }
    write!(f, "</{}>", element.name)
}

fn write_node(f: &mut fmt::Formatter<'_>, node: &Node, depth: usize) -> fmt::Result {
    match node {
        Node::Element(e) => write(f, e, depth),
        Node::Text(t) => escape(f, t, false),
        // The end mark cannot stand in the section: it is split over two.
        Node::CData(t) => {
            let text: String = t.chars().map(legal).collect();
            write!(f, "<![CDATA[{}]]>", text.replace("]]>", "]]]]><![CDATA[>"))
        }
        // Two hyphens cannot stand in a comment, nor one at its end.
        Node::Comment(t) => write!(f, "<!--{}-->", apart(t, '-', '-')),
        Node::Instruction(t) => write!(f, "<?{}?>", apart(t, '?', '>')),
    }
}

/// The text with a space after each `first` that `second` or the end follows.
fn apart(text: &str, first: char, second: char) -> String {
    let mut apart = String::with_capacity(text.len());
    let mut chars = text.chars().map(legal).peekable();
    while let Some(c) = chars.next() {
        apart.push(c);
        if c == first && chars.peek().is_none_or(|next| *next == second) {
            apart.push(' ');
        }
    }
    apart
}

/// The character, or the replacement character for one that XML 1.0 has no way to write.
fn legal(c: char) -> char {
    let control = c.is_ascii_control() && !"\n\t\r\x7f".contains(c);
    if control || c == '\u{fffe}' || c == '\u{ffff}' { char::REPLACEMENT_CHARACTER } else { c }
}

fn newline(f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
    write!(f, "\n{:1$}", "", depth * 2)
}

fn escape(f: &mut fmt::Formatter<'_>, text: &str, attribute: bool) -> fmt::Result {
    for c in text.chars() {
        match c {
            '&' => f.write_str("&amp;")?,
            '<' => f.write_str("&lt;")?,
            '>' => f.write_str("&gt;")?,
            '\'' if attribute => f.write_str("&apos;")?,
            // A reader would turn these into spaces.
            '\n' | '\t' if attribute => write!(f, "&#{};", u32::from(c))?,
            '\r' => f.write_str("&#13;")?,
            c => f.write_char(legal(c))?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_elements_are_indented() {
        let e = Element::new("a")
            .child(Element::new("b").attr("x", 1).text("t"))
            .child(Element::new("c").child(Element::new("d")));
        assert_eq!(e.to_string(), "<a>\n  <b x='1'>t</b>\n  <c>\n    <d/>\n  </c>\n</a>");
    }

    #[test]
    fn nothing_in_a_value_can_end_it() {
        let hostile = "'/><x a=\"]]>&\r\n\t\0--";
        let mut e = Element::new("a").attr("v", hostile).text(hostile);
        e.nodes.push(Node::CData(hostile.to_owned()));
        e.nodes.push(Node::Comment([hostile, "-"].concat()));
        e.nodes.push(Node::Instruction("x ?>?".to_owned()));
        let back = Element::parse(&e.to_string()).unwrap();
        assert_eq!(back.elements().count(), 0);
        assert_eq!(back.attribute("v").unwrap(), hostile.replace('\0', "\u{fffd}"));
    }
}
