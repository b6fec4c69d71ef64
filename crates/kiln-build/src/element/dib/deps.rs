// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which elements an image is made of: `element-deps` and `element-provides`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kiln_spec::Arch;

use super::find::{Element, Shelf};
use crate::element::ElementError;

/// What an element that makes a whole system provides.
pub const OPERATING_SYSTEM: &str = "operating-system";

/// The elements of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// All of them, by name.
    pub elements: Vec<Element>,
    /// What is provided, and by which element.
    pub provided: BTreeMap<String, String>,
    /// Elements that depend on each other in a circle, each circle once. diskimage-builder takes
    /// them: the scripts' numbers say the order, not the dependencies.
    pub circles: Vec<Vec<String>>,
}

/// Finds the elements that `wanted` need, and those that these need, and so on. What `given`
/// names is there without any element: a base of Kiln's is an `operating-system`.
///
/// # Errors
///
/// [`ElementError::Unknown`], [`ElementError::TwoProviders`], [`ElementError::Displaced`],
/// [`ElementError::NoOperatingSystem`], and whatever reading the files says.
pub fn resolve(shelf: &Shelf, wanted: &[&str], given: &[&str]) -> Result<Resolved, ElementError> {
    let mut provided: BTreeMap<String, String> =
        given.iter().map(|name| ((*name).to_owned(), "the recipe's base".to_owned())).collect();
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut queue: VecDeque<(String, Option<String>)> = VecDeque::new();
    for name in wanted {
        if seen.insert((*name).to_owned()) {
            queue.push_back(((*name).to_owned(), None));
        }
    }
    while let Some((name, needed_by)) = queue.pop_front() {
        // Before it is looked for: what is provided need not be an element at all.
        if provided.contains_key(&name) {
            continue;
        }
        let element = shelf.wanted(&name, needed_by.as_deref())?;
        for provides in names(element, "element-provides")? {
            if let Some(first) = provided.get(&provides) {
                let first = first.clone();
                return Err(ElementError::TwoProviders { provided: provides, first, second: name });
            }
            provided.insert(provides, name.clone());
        }
        let deps = names(element, "element-deps")?;
        for dep in &deps {
            if !provided.contains_key(dep) && seen.insert(dep.clone()) {
                queue.push_back((dep.clone(), Some(name.clone())));
            }
        }
        all.insert(name, deps);
    }
    if let Some((name, by)) = wanted.iter().find_map(|name| provided.get_key_value(*name)) {
        return Err(ElementError::Displaced { name: name.clone(), by: by.clone() });
    }
    if !provided.contains_key(OPERATING_SYSTEM) {
        return Err(ElementError::NoOperatingSystem);
    }
    all.retain(|name, _| !provided.contains_key(name));
    let elements = all.keys().filter_map(|name| shelf.get(name).cloned()).collect();
    Ok(Resolved { elements, provided, circles: circles(&all) })
}

/// Adds the disk that `vm` has where nothing else is named, as diskimage-builder does.
#[must_use]
pub fn with_block_device<'a>(wanted: &[&'a str], arch: Arch) -> Vec<&'a str> {
    let mut wanted = wanted.to_vec();
    if wanted.contains(&"vm") && !wanted.iter().any(|name| name.starts_with("block-device-")) {
        let is_arm = arch == Arch::Arm64;
        wanted.push(if is_arm { "block-device-efi" } else { "block-device-mbr" });
    }
    wanted
}

/// Reads a file of names, one a line, each once and in order.
fn names(element: &Element, file: &str) -> Result<Vec<String>, ElementError> {
    let text = element.read(file)?.unwrap_or_default();
    let names: BTreeSet<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Ok(names.into_iter().map(str::to_owned).collect())
}

/// Returns the circles among dependencies: the sets of elements that each lead to all others.
fn circles(all: &BTreeMap<String, Vec<String>>) -> Vec<Vec<String>> {
    let reach: BTreeMap<&str, BTreeSet<&str>> = all
        .keys()
        .map(|start| {
            let (mut seen, mut stack) = (BTreeSet::new(), vec![start.as_str()]);
            while let Some(name) = stack.pop() {
                for dep in all.get(name).into_iter().flatten() {
                    if seen.insert(dep.as_str()) {
                        stack.push(dep);
                    }
                }
            }
            (start.as_str(), seen)
        })
        .collect();
    let mut found: BTreeSet<Vec<String>> = BTreeSet::new();
    for (name, reached) in reach.iter().filter(|(name, reached)| reached.contains(*name)) {
        let back = |other: &&&str| reach.get(**other).is_some_and(|theirs| theirs.contains(name));
        found.insert(reached.iter().filter(back).map(|name| (*name).to_owned()).collect());
    }
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Elements as `name: (dependencies, provided)`.
    fn shelf(elements: &[(&str, &str, &str)]) -> (tempfile::TempDir, Shelf) {
        let home = tempfile::tempdir().unwrap();
        for (name, deps, provides) in elements {
            let path = home.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("element-deps"), deps).unwrap();
            fs::write(path.join("element-provides"), provides).unwrap();
        }
        let shelf = Shelf::open(&[home.path().into()]).unwrap();
        (home, shelf)
    }

    fn resolved(elements: &[(&str, &str, &str)], wanted: &[&str]) -> Result<Resolved, String> {
        let (_home, shelf) = shelf(elements);
        resolve(&shelf, wanted, &[]).map_err(|error| error.to_string())
    }

    const OS: (&str, &str, &str) = ("os", "", "operating-system\n");

    #[test]
    fn dependencies_are_followed_and_what_is_provided_is_no_element() {
        let elements = [
            OS,
            ("vm", " block-device\nloader \n\n", ""),
            ("mbr", "", "block-device"),
            ("loader", "", ""),
        ];
        let resolved = resolved(&elements, &["os", "vm", "mbr"]).unwrap();
        let names: Vec<_> = resolved.elements.iter().map(|e| e.name.as_str()).collect();
        assert_eq!(names, ["loader", "mbr", "os", "vm"]);
        assert_eq!(resolved.provided["block-device"], "mbr");
    }

    #[test]
    fn what_is_missing_is_named_with_who_needs_it_and_what_is_near() {
        let (_home, shelf) = shelf(&[OS, ("a", "loadr", ""), ("loader", "", "")]);
        let error = resolve(&shelf, &["os", "a"], &[]).unwrap_err();
        assert_eq!(error.to_string(), "there is no element `loadr`, which `a` depends on");
        assert_eq!(error.hint().as_deref(), Some("did you mean `loader`?"));
    }

    #[test]
    fn two_providers_a_displaced_element_and_no_system_are_refused() {
        let two = [OS, ("other", "", "operating-system")];
        let error = resolved(&two, &["os", "other"]).unwrap_err();
        assert_eq!(error, "both `os` and `other` provide `operating-system`");
        let displaced = [OS, ("new", "", "old"), ("old", "", "")];
        let error = resolved(&displaced, &["os", "new", "old"]).unwrap_err();
        assert_eq!(error, "the element `old` cannot be used beside `new`, which provides it");
        let error = resolved(&[("a", "", "")], &["a"]).unwrap_err();
        assert_eq!(error, "no element provides `operating-system`");
    }

    #[test]
    fn a_base_of_kilns_is_an_operating_system() {
        let (_home, shelf) = shelf(&[OS, ("a", "", "")]);
        assert!(resolve(&shelf, &["a"], &[OPERATING_SYSTEM]).is_ok());
        let error = resolve(&shelf, &["os"], &[OPERATING_SYSTEM]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "both `the recipe's base` and `os` provide `operating-system`"
        );
    }

    #[test]
    fn circles_are_told_and_do_not_matter() {
        let elements = [OS, ("a", "b", ""), ("b", "c", ""), ("c", "a", ""), ("d", "d a", "")];
        let (_home, shelf) = shelf(&elements);
        let found = resolve(&shelf, &["os", "a"], &[]).unwrap();
        assert_eq!(found.circles, [["a", "b", "c"]]);
        assert_eq!(found.elements.len(), 4);
    }
}
