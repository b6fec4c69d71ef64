// SPDX-License-Identifier: Apache-2.0 OR MIT
//! JSON Schemas of the files that people write, for their editors: what is completed, and explained.
//!
//! They are made from the types that read the files. What they take may still be refused, since
//! words have rules that stand only in their descriptions, and keys that exclude each other are
//! named side by side; what they refuse, Kiln refuses.
//!
//! Source: JSON Schema, draft 7, which editors know best.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// Returns the schema of recipes.
#[must_use]
pub fn recipe() -> Value {
    let mut schema = of::<crate::recipe::RecipeFile>();
    Parameters.transform(&mut schema);
    schema.to_value()
}

/// Returns the schema of sets.
#[must_use]
pub fn set() -> Value {
    of::<crate::set::SetFile>().to_value()
}

fn of<T: JsonSchema>() -> Schema {
    SchemaSettings::draft07().into_generator().into_root_schema_for::<T>()
}

/// Text, a number or a switch: what stands where any text may.
pub(crate) struct Scalar;

impl JsonSchema for Scalar {
    fn schema_name() -> Cow<'static, str> {
        "Scalar".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

/// Returns the schema of a word. YAML reads some of them as numbers: `0644`, `43`.
pub(crate) fn word(what: &str, why: &str) -> Schema {
    json_schema!({
        "type": ["string", "number", "boolean"],
        "description": format!("A kind of text, {what}: {why}"),
    })
}

/// Returns the schema of the key that says which format a file has.
pub(crate) fn format(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "const": 1, "description": "The number of this format." })
}

/// Lets a parameter stand where no other text may.
struct Parameters;

impl Transform for Parameters {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let parameter = json!({ "type": "string", "pattern": "\\$\\{[a-z][a-z0-9_]*\\}" });
        if let Some(Value::Array(ways)) = schema.get_mut("oneOf") {
            ways.push(parameter);
            return;
        }
        let kinds = match schema.get("type") {
            Some(Value::String(kind)) => vec![kind.as_str()],
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let narrow = schema.get("enum").is_some()
            || kinds.iter().any(|kind| matches!(*kind, "integer" | "boolean"));
        if narrow && !(schema.get("enum").is_none() && kinds.contains(&"string")) {
            let description = schema.remove("description");
            let default = schema.remove("default");
            *schema = json_schema!({ "anyOf": [schema.clone(), parameter] });
            for (key, value) in [("description", description), ("default", default)] {
                value.map(|value| schema.insert(key.to_owned(), value));
            }
        }
    }
}
