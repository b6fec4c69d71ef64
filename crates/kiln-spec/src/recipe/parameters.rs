// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Parameters: names that a recipe declares, and `${name}` replaced by their values before the
//! rest of the file is read.
//!
//! **Invariant:** a value cannot change how the YAML around it is read: what could end a scalar
//! is refused in it. Only names that are declared are replaced, so the variables of a shell's
//! lines stay.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::yaml::{self, YamlError};

/// The most bytes of a value.
const MOST: usize = 4096;

/// What the key `parameters` holds.
#[derive(Debug, Default, Deserialize)]
struct Declared {
    #[serde(default)]
    parameters: BTreeMap<String, Spanned<Option<String>>>,
}

/// Values by name.
pub type Parameters = BTreeMap<String, String>;

/// Reads the parameters that `text` declares, with the values `given` in place of the defaults.
pub(super) fn read(text: &str, file: &str, given: &Parameters) -> Result<Parameters, YamlError> {
    let declared: Declared = match alone(text) {
        Some(part) => yaml::from_str(&part, file)?,
        None => Declared::default(),
    };
    let whole = |message| YamlError { file: file.to_owned(), place: None, message };
    for name in given.keys() {
        let known = || declared.parameters.keys().map(String::as_str);
        if !known().any(|known| known == name) {
            let near = yaml::nearest(name, known());
            let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            return Err(whole(format!("the recipe has no parameter `{name}`{near}")));
        }
    }
    let mut all = Parameters::new();
    for (name, default) in declared.parameters {
        let wrong = |message| Err(yaml::error_at(text, file, default.referenced, message));
        if !is_name(&name) {
            return wrong(format!(
                "`{}` is no name of a parameter: it has a-z, 0-9 and `_`, a letter first",
                name.escape_debug()
            ));
        }
        let (value, is_given) = match (given.get(&name), &default.value) {
            (Some(value), _) => (value.clone(), true),
            (None, Some(value)) => (value.clone(), false),
            (None, None) => {
                return wrong(format!("the parameter `{name}` needs a value: `-p {name}=VALUE`"));
            }
        };
        if let Some(why) = unfit(&value) {
            let what = format!("the value of the parameter `{name}` {why}");
            return if is_given {
                Err(whole(what))
            } else {
                Err(yaml::error_at(text, file, default.referenced, what))
            };
        }
        all.insert(name, value);
    }
    Ok(all)
}

/// Returns the text with all lines but those of the key `parameters` empty, so that places stay
/// right; `None` if there is no such key.
fn alone(text: &str) -> Option<String> {
    let mut inside = false;
    let mut found = false;
    let mut part = String::new();
    for line in text.split_inclusive('\n') {
        let goes_on = line.starts_with([' ', '\t', '#', '\n', '\r', '}']);
        inside = line.starts_with("parameters:") || inside && goes_on;
        found |= inside;
        part.push_str(if inside { line } else { "\n" });
    }
    found.then_some(part)
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_lowercase())
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Returns what is wrong with a value.
fn unfit(value: &str) -> Option<String> {
    if value.len() > MOST {
        return Some(format!("has more than {MOST} bytes"));
    }
    if let Some(c) = value.chars().find(|c| c.is_control() || "\"'\\#{}[],".contains(*c)) {
        return Some(format!("may not have the character `{}`", c.escape_debug()));
    }
    let odd = value.starts_with(['&', '*', '!', '|', '>', '%', '@', '`', ' ', '?'])
        || value.starts_with("- ")
        || value.ends_with([' ', ':'])
        || value.contains(": ");
    odd.then(|| "would be read as YAML where it stands".to_owned())
}

/// Replaces `${name}` of each declared name by its value; `$${name}` becomes `${name}`.
#[must_use]
pub fn replace(text: &str, parameters: &Parameters) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        let name = from[2..].split_once('}').map(|(name, _)| name);
        let known = name.and_then(|name| Some((name, parameters.get(name)?)));
        match known {
            Some((name, _)) if before.ends_with('$') => {
                out.push_str(&before[..before.len() - 1]);
                out.push_str(&from[..name.len() + 3]);
                rest = &from[name.len() + 3..];
            }
            Some((name, value)) => {
                out.push_str(before);
                out.push_str(value);
                rest = &from[name.len() + 3..];
            }
            None => {
                out.push_str(before);
                out.push_str("${");
                rest = &from[2..];
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Parameters {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn only_declared_names_are_replaced() {
        let values = given(&[("a", "1"), ("b", "${a}")]);
        assert_eq!(replace("${a}-${b}-${HOME}-$${a}-${", &values), "1-${a}-${HOME}-${a}-${");
        assert_eq!(replace("x", &values), "x");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let text = "kiln: 1\nparameters:\n  suite: bookworm\n  must:\nname: [${suite}]\n";
        let error = read(text, "f", &given(&[])).unwrap_err().to_string();
        assert!(error.starts_with("f:4:7: the parameter `must` needs a value"), "{error}");
        let all = read(text, "f", &given(&[("must", "x y")])).unwrap();
        assert_eq!(all, given(&[("suite", "bookworm"), ("must", "x y")]));
        let error = read(text, "f", &given(&[("siute", "x")])).unwrap_err().to_string();
        assert_eq!(error, "f: the recipe has no parameter `siute`; did you mean `suite`?");
        for bad in ["a\nb", "a\"", "a: b", "[x", "- x", "&x", "x #y", "a:", "'"] {
            let error = read(text, "f", &given(&[("must", bad)])).unwrap_err().to_string();
            assert!(error.starts_with("f: the value of the parameter `must` "), "{error}");
        }
        let error = read("parameters: {Up: 1}\n", "f", &given(&[])).unwrap_err().to_string();
        assert!(error.starts_with("f:1:18: `Up` is no name of a parameter"), "{error}");
        assert!(read("kiln: 1\n", "f", &given(&[])).unwrap().is_empty());
    }
}
