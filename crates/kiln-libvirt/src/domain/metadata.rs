// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<metadata>`: what Kiln must remember about a machine, inside the machine's own definition.
//! Source: <https://libvirt.org/formatdomain.html#general-metadata>.
//!
//! libvirt keeps one element a namespace. It is handed over and returned without the prefix;
//! in a whole domain's XML it has one.

use crate::xml::{Element, Node};

/// The namespace of Kiln's element.
pub const NAMESPACE: &str = "urn:kiln:machine:1";

/// Its prefix.
pub const PREFIX: &str = "kiln";

/// Returns the element with the namespace's prefix on itself and on all elements in it, as it
/// stands in a domain's XML.
#[must_use]
pub fn qualified(element: &Element) -> Element {
    let mut element = element.clone();
    rename(&mut element, &|name| {
        if name.contains(':') { name.to_owned() } else { [PREFIX, name].join(":") }
    });
    let declaration = ["xmlns", PREFIX].join(":");
    element.attributes.insert(0, (declaration, NAMESPACE.to_owned()));
    element
}

/// Returns Kiln's element of a domain's `<metadata>`, without its prefix, whatever that is.
#[must_use]
pub fn find(domain: &Element) -> Option<Element> {
    let mut elements = domain.find("metadata")?.elements();
    elements.find_map(|e| {
        let (prefix, _) = e.name.split_once(':')?;
        let declaration = ["xmlns", prefix].join(":");
        (e.attribute(&declaration)? == NAMESPACE).then(|| {
            let mut plain = e.clone();
            plain.attributes.retain(|(k, _)| *k != declaration);
            plain.remove_indentation();
            let start = [prefix, ""].join(":");
            rename(&mut plain, &|name| name.strip_prefix(&start).unwrap_or(name).to_owned());
            plain
        })
    })
}

/// Puts Kiln's element, given without its prefix, into a domain's XML, in the place of an older one.
pub fn replace(domain: &mut Element, element: &Element) {
    let ours = |node: &Node| {
        let Node::Element(e) = node else { return false };
        let prefix = e.name.split_once(':').map(|(prefix, _)| prefix);
        let declaration = prefix.map(|prefix| ["xmlns", prefix].join(":"));
        declaration.is_some_and(|d| e.attribute(&d) == Some(NAMESPACE))
    };
    if let Some(metadata) = domain.find_mut("metadata") {
        metadata.nodes.retain(|node| !ours(node));
        metadata.push(qualified(element));
    } else {
        domain.push(Element::new("metadata").child(qualified(element)));
    }
}

fn rename(element: &mut Element, to: &dyn Fn(&str) -> String) {
    element.name = to(&element.name);
    for node in &mut element.nodes {
        if let Node::Element(child) = node {
            rename(child, to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_element_is_replaced_and_others_stay() {
        let mut domain: Element = "<domain><metadata><k:machine xmlns:k='urn:kiln:machine:1'/>\
             <o:x xmlns:o='urn:o'/></metadata></domain>"
            .parse()
            .unwrap();
        replace(&mut domain, &Element::new("machine").attr("n", 2));
        let found = find(&domain).unwrap();
        assert_eq!(found.attribute("n"), Some("2"));
        let names: Vec<_> =
            domain.find("metadata").unwrap().elements().map(|e| e.name.clone()).collect();
        assert_eq!(names, ["o:x", "kiln:machine"]);
        let mut bare = Element::new("domain");
        replace(&mut bare, &Element::new("machine"));
        assert!(find(&bare).is_some());
    }

    #[test]
    fn the_prefix_is_put_on_and_taken_off() {
        let plain = Element::new("machine")
            .attr("image", "debian-12")
            .child(Element::new("forward").attr("host", 2201));
        let domain = Element::new("domain").child(
            Element::new("metadata")
                .child(Element::new("os:info").attr("xmlns:os", "urn:other"))
                .child(qualified(&plain)),
        );
        assert_eq!(
            domain.find("metadata").unwrap().to_string(),
            "<metadata>\n  <os:info xmlns:os='urn:other'/>\n  <kiln:machine \
             xmlns:kiln='urn:kiln:machine:1' image='debian-12'>\n    <kiln:forward \
             host='2201'/>\n  </kiln:machine>\n</metadata>"
        );
        assert_eq!(find(&domain), Some(plain));
        assert_eq!(find(&Element::new("domain")), None);
    }

    #[test]
    fn another_prefix_for_the_same_namespace_is_ours_too() {
        let text = "<domain><metadata><k:machine xmlns:k='urn:kiln:machine:1'><k:a/></k:machine>\
                    </metadata></domain>";
        let domain = Element::parse(text).unwrap();
        let expected = Element::new("machine").child(Element::new("a"));
        assert_eq!(find(&domain), Some(expected));
    }
}
