// SPDX-License-Identifier: Apache-2.0 OR MIT
//! YAML as cloud-init reads it: a tree that keeps each scalar as written.
//!
//! cloud-init uses PyYAML, which is YAML 1.1: `yes` is a truth value, `0644` is octal, `1:20` is
//! eighty. A tree of typed values would lose that, so scalars stay text, and [`Type`] says what
//! PyYAML makes of them. What is written again is read by PyYAML as the same.

mod emit;
mod load;
mod resolve;
mod tabs;

pub(crate) use emit::emit;
pub(crate) use load::load;
pub(crate) use resolve::Type;

/// Where something stands in a file, both counted from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) line: usize,
    /// In characters.
    pub(crate) column: usize,
}

/// A value with its place. Two are equal if their values are, wherever they stand.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) spot: Spot,
    pub(crate) value: Value,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Text that stands for itself or, if it is plain, for what YAML 1.1 sees in it.
    Scalar(Scalar),
    /// Values in order.
    List(Vec<Node>),
    /// Keys and values in order, no key twice, merge keys (`<<`) carried out.
    Map(Vec<(Node, Node)>),
}

/// A scalar: its text, and how that is to be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) how: How,
}

/// How a scalar's text is to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// As YAML 1.1 resolves it: it was written without quotes or tag.
    Plain,
    /// As text: it was written in quotes, as a block or with `!!str`.
    Text,
    /// As its tag says: `int`, `float`, `bool`, `null`, `binary` or `timestamp`.
    Tagged(&'static str),
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Node {
    /// Returns a text, which is always read back as text.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Value::Scalar(Scalar { text: text.into(), how: How::Text }).into()
    }

    /// Returns a truth value.
    pub(crate) fn boolean(truth: bool) -> Self {
        Value::Scalar(Scalar { text: truth.to_string(), how: How::Plain }).into()
    }

    /// Returns a number.
    pub(crate) fn number(number: usize) -> Self {
        Value::Scalar(Scalar { text: number.to_string(), how: How::Plain }).into()
    }

    /// Returns a list.
    pub(crate) fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Value::List(items.into_iter().collect()).into()
    }

    /// Returns a map with text keys.
    pub(crate) fn map<'a>(pairs: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        Value::Map(pairs.into_iter().map(|(k, v)| (Self::text(k), v)).collect()).into()
    }

    /// Returns what PyYAML makes of it.
    pub(crate) fn type_of(&self) -> Type {
        match &self.value {
            Value::Scalar(scalar) => scalar.type_of(),
            Value::List(_) => Type::List,
            Value::Map(_) => Type::Map,
        }
    }

    /// Returns the text, if it is one for PyYAML, too.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) if self.type_of() == Type::Text => Some(&scalar.text),
            _ => None,
        }
    }

    /// Returns the items, if it is a list.
    pub(crate) fn as_list(&self) -> Option<&[Self]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// Returns keys and values, if it is a map.
    pub(crate) fn as_map(&self) -> Option<&[(Self, Self)]> {
        match &self.value {
            Value::Map(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// Returns the value of a text key, if this is a map that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?.iter().find(|(k, _)| k.as_text() == Some(key)).map(|(_, v)| v)
    }
}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        Self { spot: Spot::default(), value }
    }
}

impl Scalar {
    /// Returns what PyYAML makes of it.
    pub(crate) fn type_of(&self) -> Type {
        match self.how {
            How::Plain => resolve::resolve(&self.text),
            How::Text => Type::Text,
            How::Tagged(tag) => resolve::tagged(tag),
        }
    }
}
