// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Parameters of elements: what each is, and the values that recipes give.

use std::collections::BTreeMap;
use std::fmt;

use kiln_spec::recipe::{GuestPath, Locale, Timezone, Url, UserName};
use kiln_spec::yaml::nearest;
use kiln_spec::{Bytes, MachineName};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a recipe gives an element: parameters and their values.
pub type Given = BTreeMap<String, Value>;

/// A parameter of an element.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// What it is for, in one line.
    pub about: String,
    /// What its value is.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Whether it is a list of such.
    #[serde(default)]
    pub list: bool,
    /// The values that it may have; empty for all of its kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<String>,
    /// What it is if the recipe says nothing; without it, the recipe must.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
}

/// What a parameter's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Letters, digits and `._+-/:@`.
    Word,
    /// One line.
    Line,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Flag,
    /// A size with its unit: `512MiB`.
    Size,
    /// An account.
    Account,
    /// A host's name.
    Hostname,
    /// A language: `de_DE.UTF-8`.
    Locale,
    /// A time zone: `Europe/Berlin`.
    Timezone,
    /// An address of a mirror.
    Url,
    /// The path of a file in the image.
    Path,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Word => "word",
            Self::Line => "line",
            Self::Number => "number",
            Self::Flag => "flag",
            Self::Size => "size",
            Self::Account => "account",
            Self::Hostname => "hostname",
            Self::Locale => "locale",
            Self::Timezone => "timezone",
            Self::Url => "url",
            Self::Path => "path",
        })
    }
}

/// The values of all parameters, each as its words: one, or those of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Values(BTreeMap<String, Vec<String>>);

impl Values {
    /// Checks what a recipe gives, and fills in the defaults.
    pub(super) fn of(
        parameters: &BTreeMap<String, Parameter>,
        given: &Given,
    ) -> Result<Self, String> {
        if let Some(unknown) = given.keys().find(|name| !parameters.contains_key(*name)) {
            let near = nearest(unknown, parameters.keys().map(String::as_str));
            let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            return Err(format!("it has no parameter `{}`{near}", unknown.escape_debug()));
        }
        let mut values = BTreeMap::new();
        for (name, parameter) in parameters {
            let value = given.get(name).or(parameter.default.as_ref());
            let value = value.ok_or_else(|| format!("the parameter `{name}` is needed"))?;
            let words = parameter.read(value).map_err(|why| format!("`{name}`: {why}"))?;
            values.insert(name.clone(), words);
        }
        Ok(Self(values))
    }

    /// Returns each parameter with its value, the words of a list on lines.
    pub(super) fn lines(&self) -> impl Iterator<Item = (&str, String)> {
        self.0.iter().map(|(name, words)| (name.as_str(), words.join("\n")))
    }

    /// Whether a parameter is `true`, or has a value that is not empty.
    pub(super) fn is_set(&self, name: &str) -> bool {
        let is_set = |word: &String| !word.is_empty() && word != "false";
        self.0.get(name).is_some_and(|words| words.iter().any(is_set))
    }

    /// Puts values in place of `${name}`. The words of a list are joined by `, `.
    pub(super) fn fill(&self, text: &str) -> Result<String, String> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').ok_or("`${` without `}`")?;
            let words = self.0.get(name).ok_or_else(|| format!("no parameter is `{name}`"))?;
            filled += before;
            filled += &words.join(", ");
            rest = after;
        }
        Ok(filled + rest)
    }
}

impl Parameter {
    fn read(&self, value: &Value) -> Result<Vec<String>, String> {
        match value {
            Value::Array(list) if self.list => list.iter().map(|one| self.word(one)).collect(),
            Value::Array(_) => Err(format!("it is one {}, no list", self.kind)),
            one => Ok(vec![self.word(one)?]),
        }
    }

    fn word(&self, value: &Value) -> Result<String, String> {
        let word = match (value, self.kind) {
            (Value::Bool(flag), Kind::Flag) => return Ok(flag.to_string()),
            (_, Kind::Flag) => return Err("it is `true` or `false`".into()),
            (Value::String(word), _) => word.clone(),
            (Value::Number(number), _) => number.to_string(),
            (Value::Null, _) => String::new(),
            _ => return Err(format!("it is a {}", self.kind)),
        };
        self.check(&word)?;
        if !self.one_of.is_empty() && !self.one_of.contains(&word) {
            let known = self.one_of.join("`, `");
            return Err(format!("`{}` is none of `{known}`", word.escape_debug()));
        }
        Ok(word)
    }

    fn check(&self, word: &str) -> Result<(), String> {
        // Nothing, where nothing is the default.
        if word.is_empty() && self.default.as_ref().is_some_and(|d| d == "") {
            return Ok(());
        }
        let simple = |c: char| c.is_ascii_alphanumeric() || "._+-/:@".contains(c);
        let plain = |ok: bool| ok.then_some(()).ok_or(());
        let fits = match self.kind {
            Kind::Word => {
                plain(!word.is_empty() && !word.starts_with('-') && word.chars().all(simple))
            }
            Kind::Line => plain(word.len() <= 4096 && !word.chars().any(char::is_control)),
            Kind::Number => word.parse::<u64>().map(drop).map_err(drop),
            Kind::Flag => Err(()),
            Kind::Size => word.parse::<Bytes>().map(drop).map_err(drop),
            Kind::Account => word.parse::<UserName>().map(drop).map_err(drop),
            Kind::Hostname => word.parse::<MachineName>().map(drop).map_err(drop),
            Kind::Locale => word.parse::<Locale>().map(drop).map_err(drop),
            Kind::Timezone => word.parse::<Timezone>().map(drop).map_err(drop),
            Kind::Url => word.parse::<Url>().map(drop).map_err(drop),
            Kind::Path => word.parse::<GuestPath>().map(drop).map_err(drop),
        };
        fits.map_err(|()| format!("`{}` is no {}", word.escape_debug(), self.kind))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(parameters: Value, given: Value) -> Result<Values, String> {
        let parameters = serde_json::from_value(parameters).unwrap();
        Values::of(&parameters, &serde_json::from_value(given).unwrap())
    }

    #[test]
    fn values_fill_texts() {
        let parameters = json!({
            "who": {"about": "", "type": "account", "default": "dev"},
            "of": {"about": "", "type": "word", "list": true},
            "on": {"about": "", "type": "flag", "default": false},
        });
        let filled = values(parameters, json!({"of": ["a", "b"]})).unwrap();
        assert_eq!(filled.fill("[${of}] ${who} $x ${on}").unwrap(), "[a, b] dev $x false");
        assert!(filled.is_set("of") && !filled.is_set("on"));
        assert!(filled.fill("${nothing}").is_err() && filled.fill("${of").is_err());
    }

    #[test]
    fn values_of_the_wrong_kind_are_refused() {
        let refused = |kind: &str, value: Value| {
            let parameters = json!({"p": {"about": "", "type": kind}});
            values(parameters, json!({"p": value})).unwrap_err()
        };
        assert_eq!(refused("account", json!("root")), "`p`: `root` is no account");
        assert_eq!(refused("word", json!("a\nb")), r"`p`: `a\nb` is no word");
        assert_eq!(refused("line", json!("a\nb")), r"`p`: `a\nb` is no line");
        assert_eq!(refused("flag", json!("yes")), "`p`: it is `true` or `false`");
        assert_eq!(refused("number", json!(-1)), "`p`: `-1` is no number");
        assert_eq!(refused("size", json!("big")), "`p`: `big` is no size");
        assert_eq!(refused("url", json!(["a"])), "`p`: it is one url, no list");
        assert_eq!(refused("path", json!("../x")), "`p`: `../x` is no path");
        let one_of = json!({"p": {"about": "", "type": "word", "one_of": ["no", "yes"]}});
        assert_eq!(
            values(one_of.clone(), json!({"p": "maybe"})).unwrap_err(),
            "`p`: `maybe` is none of `no`, `yes`"
        );
        assert_eq!(values(one_of.clone(), json!({})).unwrap_err(), "the parameter `p` is needed");
        assert_eq!(
            values(json!({"port": {"about": "", "type": "number"}}), json!({"prt": 1}))
                .unwrap_err(),
            "it has no parameter `prt`; did you mean `port`?"
        );
    }
}
