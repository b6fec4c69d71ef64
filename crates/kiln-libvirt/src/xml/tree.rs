// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The tree.

use std::borrow::Cow;
use std::fmt;

/// One thing that an element holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Node {
    /// An element.
    Element(Element),
    /// Text, with its entities resolved.
    Text(String),
    /// Text that is written as `<![CDATA[…]]>`.
    CData(String),
    /// A comment, without its marks.
    Comment(String),
    /// A processing instruction, without its marks.
    Instruction(String),
}

/// One element, with all that it holds, in the order of the document.
///
/// Names are kept as they are written: `qemu:commandline` is the name, `xmlns:qemu` an attribute.
///
/// # Examples
///
/// ```
/// use kiln_libvirt::xml::Element;
///
/// let disk = Element::new("disk")
///     .attr("type", "file")
///     .child(Element::new("target").attr("dev", "vda").attr("bus", "virtio"));
/// assert_eq!(disk.get("target/@bus").as_deref(), Some("virtio"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Its name, with its prefix if it has one.
    pub name: String,
    /// Its attributes: names and values, entities resolved.
    pub attributes: Vec<(String, String)>,
    /// What it holds.
    pub nodes: Vec<Node>,
}

impl Element {
    /// Returns an empty element.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Sets an attribute.
    #[must_use]
    pub fn attr(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.set_attribute(name, value.to_string());
        self
    }

    /// Adds a child element at the end.
    #[must_use]
    pub fn child(mut self, child: Self) -> Self {
        self.push(child);
        self
    }

    /// Adds a child element at the end, if there is one.
    #[must_use]
    pub fn maybe(self, child: Option<Self>) -> Self {
        match child {
            Some(child) => self.child(child),
            None => self,
        }
    }

    /// Adds child elements at the end, in order.
    #[must_use]
    pub fn children(self, children: impl IntoIterator<Item = Self>) -> Self {
        children.into_iter().fold(self, Self::child)
    }

    /// Replaces all that the element holds by text.
    #[must_use]
    pub fn text(mut self, text: impl fmt::Display) -> Self {
        self.set_text(text.to_string());
        self
    }

    /// Returns the value of an attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str())
    }

    /// Sets an attribute, in its old place if it was there.
    pub fn set_attribute(&mut self, name: &str, value: String) {
        match self.attributes.iter_mut().find(|(k, _)| k == name) {
            Some((_, old)) => *old = value,
            None => self.attributes.push((name.to_owned(), value)),
        }
    }

    /// Returns the child elements, in order.
    pub fn elements(&self) -> impl Iterator<Item = &Self> {
        self.nodes.iter().filter_map(|n| match n {
            Node::Element(e) => Some(e),
            _ => None,
        })
    }

    /// Returns the child elements, in order, to be changed.
    pub fn elements_mut(&mut self) -> impl Iterator<Item = &mut Self> {
        self.nodes.iter_mut().filter_map(|n| match n {
            Node::Element(e) => Some(e),
            _ => None,
        })
    }

    /// Returns the first element at `path` (`"devices/disk"`); itself if `path` is empty.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&Self> {
        path.split('/').filter(|s| !s.is_empty()).try_fold(self, |at, step| at.first(step))
    }

    /// Returns the first element at `path`, to be changed.
    pub fn find_mut(&mut self, path: &str) -> Option<&mut Self> {
        path.split('/')
            .filter(|s| !s.is_empty())
            .try_fold(self, |at, step| at.elements_mut().find(|e| e.name == step))
    }

    /// Returns every element at `path`: all of the last step's name below the first of each step
    /// before it.
    #[must_use]
    pub fn find_all(&self, path: &str) -> Vec<&Self> {
        let (parent, last) = path.rsplit_once('/').unwrap_or(("", path));
        match self.find(parent) {
            Some(parent) => parent.elements().filter(|e| e.name == last).collect(),
            None => Vec::new(),
        }
    }

    /// Returns the text that the element itself holds: of text and CDATA, put together.
    #[must_use]
    pub fn content(&self) -> Cow<'_, str> {
        let mut texts = self.nodes.iter().filter_map(|n| match n {
            Node::Text(t) | Node::CData(t) => Some(t.as_str()),
            _ => None,
        });
        match (texts.next(), texts.next()) {
            (None, _) => Cow::Borrowed(""),
            (Some(only), None) => Cow::Borrowed(only),
            (Some(first), Some(second)) => {
                Cow::Owned([first, second].into_iter().chain(texts).collect())
            }
        }
    }

    /// Replaces all that the element holds by text.
    pub fn set_text(&mut self, text: String) {
        self.nodes = if text.is_empty() { Vec::new() } else { vec![Node::Text(text)] };
    }

    /// Returns the value at `path`: of an attribute (`"target/@bus"`), or the text of an element
    /// (`"os/type"`) without white space around it.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<String> {
        let (parent, last) = path.rsplit_once('/').unwrap_or(("", path));
        match last.strip_prefix('@') {
            Some(name) => self.find(parent)?.attribute(name).map(str::to_owned),
            None => self.find(path).map(|e| e.content().trim().to_owned()),
        }
    }

    /// Sets the value at `path` (see [`Self::get`]) and makes the elements on the way that are
    /// missing.
    pub fn set(&mut self, path: &str, value: impl fmt::Display) {
        let (parent, last) = path.rsplit_once('/').unwrap_or(("", path));
        match last.strip_prefix('@') {
            Some(name) => self.make(parent).set_attribute(name, value.to_string()),
            None => self.make(path).set_text(value.to_string()),
        }
    }

    /// Removes the attribute or the first element at `path`; returns whether it was there.
    pub fn remove(&mut self, path: &str) -> bool {
        let (parent, last) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(at) = self.find_mut(parent) else { return false };
        if let Some(name) = last.strip_prefix('@') {
            let before = at.attributes.len();
            at.attributes.retain(|(k, _)| k != name);
            return at.attributes.len() < before;
        }
        let found = at.nodes.iter().position(|n| matches!(n, Node::Element(e) if e.name == last));
        let Some(mut index) = found else { return false };
        at.nodes.remove(index);
        // Its indentation goes with it.
        if index > 0 && is_blank(&at.nodes[index - 1]) {
            index -= 1;
            at.nodes.remove(index);
        }
        true
    }

    /// Adds a child element at the end. In a document that was parsed it takes the indentation
    /// of its siblings.
    pub fn push(&mut self, child: Self) {
        let child = Node::Element(child);
        match (self.nodes.first(), self.nodes.last()) {
            (Some(first), Some(last))
                if self.nodes.len() > 1 && is_blank(first) && is_blank(last) =>
            {
                let (indent, end) = (first.clone(), self.nodes.len() - 1);
                self.nodes.splice(end..end, [indent, child]);
            }
            _ => self.nodes.push(child),
        }
    }

    /// Removes the white space between elements, here and below; text beside text stays.
    pub fn remove_indentation(&mut self) {
        if self.elements().next().is_some() {
            self.nodes.retain(|node| !is_blank(node));
        }
        self.elements_mut().for_each(Self::remove_indentation);
    }

    fn first(&self, name: &str) -> Option<&Self> {
        self.elements().find(|e| e.name == name)
    }

    fn make(&mut self, path: &str) -> &mut Self {
        path.split('/').filter(|s| !s.is_empty()).fold(self, |at, step| {
            if at.first(step).is_none() {
                at.push(Self::new(step));
            }
            at.elements_mut().find(|e| e.name == step).expect("it was there or was just added")
        })
    }
}

/// Whether a node is white space between elements.
pub(super) fn is_blank(node: &Node) -> bool {
    matches!(node, Node::Text(t) if t.chars().all(|c| c.is_ascii_whitespace()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> Element {
        Element::new("disk")
            .attr("type", "file")
            .child(Element::new("source").attr("file", "/a&b"))
            .child(Element::new("target").attr("dev", "vda"))
    }

    #[test]
    fn values_are_read_by_path() {
        let domain = Element::new("domain")
            .child(Element::new("os").child(Element::new("type").text(" hvm ")))
            .child(Element::new("devices").child(disk()).child(disk().attr("type", "block")));
        assert_eq!(domain.get("os/type").as_deref(), Some("hvm"));
        assert_eq!(domain.get("devices/disk/@type").as_deref(), Some("file"));
        assert_eq!(domain.get("devices/disk/target/@bus"), None);
        assert_eq!(domain.get("nothing/@here"), None);
        assert_eq!(domain.find_all("devices/disk").len(), 2);
        assert_eq!(domain.find("").map(|e| e.name.as_str()), Some("domain"));
    }

    #[test]
    fn setting_makes_the_way_and_keeps_the_rest() {
        let mut disk = disk();
        disk.set("driver/@cache", "none");
        disk.set("target/@bus", "virtio");
        disk.set("@type", "block");
        disk.set("serial", 17);
        assert_eq!(disk.get("source/@file").as_deref(), Some("/a&b"));
        assert_eq!(disk.get("driver/@cache").as_deref(), Some("none"));
        assert_eq!(disk.get("target/@dev").as_deref(), Some("vda"));
        assert_eq!(disk.get("target/@bus").as_deref(), Some("virtio"));
        assert_eq!(disk.get("serial").as_deref(), Some("17"));
        assert_eq!(disk.attributes, [("type".to_owned(), "block".to_owned())]);
    }

    #[test]
    fn indentation_is_removed_and_text_stays() {
        let mut e: Element =
            "<a>\n <b> x </b>\n <c>\n  <d/> y\n </c><e> </e>\n</a>".parse().unwrap();
        e.remove_indentation();
        let expected: Element = "<a><b> x </b><c><d/> y\n </c><e> </e></a>".parse().unwrap();
        assert_eq!(e, expected);
    }

    #[test]
    fn removal_tells_whether_it_was_there() {
        let mut disk = disk();
        assert!(disk.remove("source/@file"));
        assert!(!disk.remove("source/@file"));
        assert!(disk.remove("source"));
        assert!(!disk.remove("source"));
        assert!(!disk.remove("nothing/here"));
        assert_eq!(disk.elements().count(), 1);
    }

    #[test]
    fn what_is_added_to_a_parsed_document_is_indented_like_the_rest() {
        let mut e: Element = "<a>\n  <b/>\n</a>".parse().unwrap();
        e.push(Element::new("c"));
        assert_eq!(e.to_string(), "<a>\n  <b/>\n  <c/>\n</a>");
        assert!(e.remove("b"));
        assert_eq!(e.to_string(), "<a>\n  <c/>\n</a>");
    }
}
