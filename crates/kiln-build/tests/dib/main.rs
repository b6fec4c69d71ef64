// SPDX-License-Identifier: Apache-2.0 OR MIT
//! diskimage-builder's elements, read by Kiln and by diskimage-builder itself: both say the same
//! about every element of its package.

mod package;
mod same;

use std::collections::BTreeSet;

use kiln_build::element::ElementError;
use kiln_build::element::dib::{Resolved, Shelf, resolve};

/// Systems that elements are put upon.
const SYSTEMS: [&str; 5] = ["debian-minimal", "ubuntu", "fedora-minimal", "opensuse", "gentoo"];

/// What resolving amounts to, in words that both sides use.
fn outcome(result: &Result<Resolved, ElementError>) -> String {
    match result {
        Ok(resolved) => {
            let names: Vec<_> = resolved.elements.iter().map(|e| e.name.as_str()).collect();
            names.join(" ")
        }
        Err(ElementError::Unknown { .. }) => "MissingElementException".into(),
        Err(ElementError::TwoProviders { .. } | ElementError::Displaced { .. }) => {
            "AlreadyProvidedException".into()
        }
        Err(ElementError::NoOperatingSystem) => "MissingOSException".into(),
        Err(other) => panic!("{other}"),
    }
}

/// Every list of elements that is asked about: each element alone, and upon each system.
fn lists(shelf: &Shelf) -> Vec<Vec<&str>> {
    let mut lists: Vec<Vec<&str>> = Vec::new();
    for element in shelf.iter() {
        lists.push(vec![element.name.as_str()]);
        for system in SYSTEMS {
            lists.push(vec![system, &element.name]);
            lists.push(vec!["base", "vm", "block-device-mbr", system, &element.name]);
        }
    }
    // Kiln takes an element that is named twice.
    lists.retain(|list| list.iter().collect::<BTreeSet<_>>().len() == list.len());
    lists
}

/// The lists of elements that can be built.
fn resolved(shelf: &Shelf) -> Vec<Resolved> {
    lists(shelf).iter().filter_map(|wanted| resolve(shelf, wanted, &[]).ok()).collect()
}
