// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From text to a tree.

use std::str::FromStr;

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::{Element, Node};

/// How deep elements may be nested; libvirt's own documents need about ten.
const DEEPEST: usize = 200;

/// Why a text is no XML that Kiln reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// It breaks XML's rules.
    #[error("the XML is not well formed at byte {position}: {message}")]
    Malformed {
        /// Where, counted in bytes from 0.
        position: u64,
        /// What the parser says.
        message: String,
    },
    /// It has a document type, which could define entities without end.
    #[error("the XML has a document type")]
    DocumentType,
    /// An entity that only a document type could define.
    #[error("the XML has the unknown entity `{name}`")]
    Entity {
        /// The entity's name.
        name: String,
    },
    /// Elements are nested too deeply.
    #[error("the XML is nested more than {DEEPEST} deep")]
    TooDeep,
    /// There is no element, more than one, or text beside it.
    #[error("the XML does not have exactly one outermost element")]
    Root,
}

impl Element {
    /// Reads a document's outermost element. Comments before and after it are dropped.
    ///
    /// # Errors
    ///
    /// [`ParseError`] if the text is not well formed, has a document type, or is nested more
    /// than 200 deep.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut reader = Reader::from_str(text);
        reader.config_mut().check_comments = true;
        let mut open: Vec<Self> = Vec::new();
        let mut root = None;
        loop {
            let malformed = |position, error: &dyn std::fmt::Display| ParseError::Malformed {
                position,
                message: error.to_string(),
            };
            let event = reader.read_event().map_err(|e| malformed(reader.error_position(), &e))?;
            let node = match event {
                Event::Start(start) => {
                    if open.len() == DEEPEST {
                        return Err(ParseError::TooDeep);
                    }
                    let element =
                        element(&start).map_err(|e| malformed(reader.buffer_position(), &e))?;
                    open.push(element);
                    continue;
                }
                Event::Empty(start) => Node::Element(
                    element(&start).map_err(|e| malformed(reader.buffer_position(), &e))?,
                ),
                Event::End(_) => Node::Element(open.pop().ok_or(ParseError::Root)?),
                Event::Text(text) => Node::Text(text.xml10_content().into_owned()),
                Event::CData(text) => Node::CData(text.xml10_content().into_owned()),
                Event::Comment(text) => Node::Comment(text.xml10_content().into_owned()),
                Event::PI(text) => Node::Instruction(text.into_inner().into_owned()),
                Event::GeneralRef(name) => Node::Text(resolve(&name)?),
                Event::DocType(_) => return Err(ParseError::DocumentType),
                Event::Decl(_) => continue,
                Event::Eof => break,
            };
            match (open.last_mut(), node) {
                (Some(parent), node) => add(parent, node),
                (None, Node::Element(element)) if root.is_none() => root = Some(element),
                (None, Node::Comment(_) | Node::Instruction(_)) => {}
                (None, node) if super::tree::is_blank(&node) => {}
                (None, _) => return Err(ParseError::Root),
            }
        }
        if open.is_empty() { root.ok_or(ParseError::Root) } else { Err(ParseError::Root) }
    }
}

impl FromStr for Element {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

fn element(start: &BytesStart<'_>) -> Result<Element, quick_xml::Error> {
    let mut element = Element::new(start.name().as_ref());
    for attribute in start.attributes() {
        let attribute = attribute?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0)?.into_owned();
        element.attributes.push((attribute.key.as_ref().to_owned(), value));
    }
    Ok(element)
}

fn resolve(name: &quick_xml::events::BytesRef<'_>) -> Result<String, ParseError> {
    let unknown = || ParseError::Entity { name: name.xml10_content().into_owned() };
    match name.resolve_char_ref() {
        Ok(Some(c)) => Ok(c.to_string()),
        Ok(None) => {
            resolve_xml_entity(&name.xml10_content()).map(str::to_owned).ok_or_else(unknown)
        }
        Err(_) => Err(unknown()),
    }
}

/// Adds a node; text beside text becomes one, since the parser splits it at each entity.
fn add(parent: &mut Element, node: Node) {
    match (parent.nodes.last_mut(), node) {
        (Some(Node::Text(before)), Node::Text(more)) => before.push_str(&more),
        (_, node) => parent.nodes.push(node),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_survives_a_round_trip() {
        let text = "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <!-- kept: <b> & all -->
  <name>a&lt;b &amp; c</name>
  <metadata>
    <kiln:machine xmlns:kiln='urn:kiln:machine:1' digest='x&apos;y&#10;z'><![CDATA[<raw>&]]></kiln:machine>
  </metadata>
  <?pi some thing?>
  <future new='1'>mixed <b>text</b> here</future>
  <qemu:commandline>
    <qemu:arg value='-fw_cfg'/>
  </qemu:commandline>
</domain>";
        let element = Element::parse(text).unwrap();
        assert_eq!(element.to_string(), text);
        assert_eq!(element.get("name").as_deref(), Some("a<b & c"));
        assert_eq!(element.get("metadata/kiln:machine").as_deref(), Some("<raw>&"));
        assert_eq!(element.get("metadata/kiln:machine/@digest").as_deref(), Some("x'y\nz"));
        assert_eq!(Element::parse(&element.to_string()).unwrap(), element);
    }

    #[test]
    fn what_is_not_read_is_refused() {
        let error = |text: &str| Element::parse(text).unwrap_err().to_string();
        assert_eq!(
            error("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>"),
            "the XML has a document type"
        );
        assert_eq!(error("<a>&x;</a>"), "the XML has the unknown entity `x`");
        assert_eq!(error(""), "the XML does not have exactly one outermost element");
        assert_eq!(error("<a/><b/>"), "the XML does not have exactly one outermost element");
        assert_eq!(error("<a/>text"), "the XML does not have exactly one outermost element");
        assert_eq!(error("<a>"), "the XML does not have exactly one outermost element");
        assert_eq!(error(&"<a>".repeat(201)), "the XML is nested more than 200 deep");
        assert!(matches!(
            Element::parse("<a><b></a>"),
            Err(ParseError::Malformed { position: 6, .. })
        ));
        assert!(matches!(Element::parse("<a b='1' b='2'/>"), Err(ParseError::Malformed { .. })));
    }

    #[test]
    fn declaration_and_comments_around_the_document_are_no_error() {
        let text = "<?xml version='1.0'?>\n<!--\nWARNING\n-->\n<a/>\n<!-- end -->\n";
        assert_eq!(Element::parse(text).unwrap(), Element::new("a"));
    }
}
