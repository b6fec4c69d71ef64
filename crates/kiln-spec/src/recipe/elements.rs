// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a recipe says of elements: Kiln's own, and diskimage-builder's as a base.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::schema;

use super::words::{ElementName, SourcePath, VariableName};

/// An element of Kiln's, with its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ElementUse {
    /// Its name.
    pub name: ElementName,
    /// What the recipe gives it.
    pub with: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ElementFile {
    /// Its name.
    name: ElementName,
    /// Its parameters: `kiln element info NAME` says which there are.
    #[serde(default)]
    with: BTreeMap<String, Value>,
}

impl JsonSchema for ElementUse {
    fn schema_name() -> Cow<'static, str> {
        "Element".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (name, keys) =
            (generator.subschema_for::<ElementName>(), generator.subschema_for::<ElementFile>());
        json_schema!({ "description": "An element of Kiln's, with its parameters.", "anyOf": [name, keys] })
    }
}

/// A name, or keys with values.
impl<'de> Deserialize<'de> for ElementUse {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = ElementUse;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an element's name, or the keys `name` and `with`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ElementUse, E> {
                let name = text.parse().map_err(E::custom)?;
                Ok(ElementUse { name, with: BTreeMap::new() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ElementUse, A::Error> {
                let ElementFile { name, with } =
                    Deserialize::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ElementUse { name, with })
            }
        }
        from.deserialize_any(Either)
    }
}

/// A tree that diskimage-builder's elements make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DibBase {
    /// The elements; those that they need come with them.
    pub elements: Vec<ElementName>,
    /// The folders that elements are in: of two with one name, that of the earlier counts.
    /// From the recipe's folder if it is no absolute path.
    pub paths: Vec<String>,
    /// A recipe whose tree they are applied to, a file from this one's folder; `None` if one of
    /// them makes the tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// Files and folders of the recipe's folder that variables name. Scripts beside the tree start
    /// in a folder that has copies of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<SourcePath>,
    /// Variables that elements read: `DIB_RELEASE` and the like.
    #[serde(default)]
    #[schemars(with = "BTreeMap<VariableName, schema::Scalar>")]
    pub variables: BTreeMap<VariableName, String>,
}
