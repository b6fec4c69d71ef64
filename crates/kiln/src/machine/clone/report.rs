// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The identity report: what of a clone is new, and what it has of its source.

use serde_json::{Value, json};

use crate::ui::Table;

/// What became of something that tells a machine from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The clone has its own.
    New,
    /// The guest makes its own at its first start.
    AtStart,
    /// A copy that changes by itself from now on.
    Copied,
    /// Both have the same.
    Kept,
    /// The clone has none.
    Left,
}

impl Fate {
    fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::AtStart => "new at its start",
            Self::Copied => "copied",
            Self::Kept => "kept",
            Self::Left => "left out",
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    /// What: `uuid`, `disk vda`.
    pub(crate) what: String,
    /// What became of it.
    pub(crate) fate: Fate,
    /// What the source has.
    pub(crate) was: String,
    /// What the clone has.
    pub(crate) is: String,
}

impl Fact {
    /// Returns a line.
    pub(crate) fn new(
        what: impl Into<String>,
        fate: Fate,
        was: impl Into<String>,
        is: impl Into<String>,
    ) -> Self {
        Self { what: what.into(), fate, was: was.into(), is: is.into() }
    }

    fn json(&self) -> Value {
        let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        json!({
            "what": self.what,
            "fate": self.fate.word(),
            "source": some(&self.was),
            "clone": some(&self.is),
        })
    }
}

/// Returns the report as a table.
pub(crate) fn lines(source: &str, clone: &str, facts: &[Fact]) -> Vec<String> {
    let mut table = Table::new(&["WHAT", "IS", source, clone]);
    for fact in facts {
        let row = [fact.what.as_str(), fact.fate.word(), &fact.was, &fact.is];
        table.row(row.map(str::to_owned).to_vec());
    }
    table.lines()
}

/// Returns the report as JSON.
pub(crate) fn as_json(facts: &[Fact]) -> Value {
    facts.iter().map(Fact::json).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_what_is_new_and_what_is_kept() {
        let facts = [
            Fact::new("uuid", Fate::New, "1", "2"),
            Fact::new("machine-id", Fate::AtStart, "", ""),
            Fact::new("accounts", Fate::Kept, "", ""),
        ];
        assert_eq!(
            lines("web1", "web2", &facts),
            [
                "WHAT        IS                web1  web2",
                "uuid        new               1     2",
                "machine-id  new at its start  -     -",
                "accounts    kept              -     -",
            ]
        );
        assert_eq!(
            as_json(&facts)[0],
            json!({"what": "uuid", "fate": "new", "source": "1", "clone": "2"})
        );
        assert_eq!(as_json(&facts)[1]["source"], Value::Null);
    }
}
