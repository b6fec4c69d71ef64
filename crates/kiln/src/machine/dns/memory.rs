// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a machine remembers of its names in DNS.

use kiln_dns::{Data, Record};
use kiln_libvirt::xml::Element;
use serde_json::{Value, json};

/// A machine's names: where, and what may be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dns {
    /// What the user calls the server.
    pub(crate) server: String,
    /// All that may be in its zones; none if nothing was put there yet.
    pub(crate) records: Vec<Record>,
}

impl Dns {
    /// Returns the element for the machine's metadata.
    pub(crate) fn element(&self) -> Element {
        let record = |record: &Record| {
            Element::new("record")
                .attr("zone", &record.zone)
                .attr("name", &record.name)
                .attr("type", record.data.word())
                .attr("data", &record.data)
        };
        let records = self.records.iter().map(record);
        Element::new("dns").attr("server", &self.server).children(records)
    }

    /// Reads the element back; `None` if it is not understood.
    pub(crate) fn read(element: &Element) -> Option<Self> {
        let record = |element: &Element| {
            Some(Record {
                zone: element.attribute("zone")?.to_owned(),
                name: element.attribute("name")?.to_owned(),
                data: Data::parse(element.attribute("type")?, element.attribute("data")?)?,
            })
        };
        Some(Self {
            server: element.attribute("server")?.to_owned(),
            records: element.elements().map(record).collect::<Option<_>>()?,
        })
    }

    /// Returns the names that have addresses, each once.
    pub(crate) fn names(&self) -> Vec<&str> {
        let of_address = |record: &&Record| !matches!(record.data, Data::Ptr(_));
        let all = self.records.iter().filter(of_address).map(|record| record.name.as_str());
        let mut names: Vec<&str> = all.collect();
        names.dedup();
        names
    }
}

/// Returns a record as `--json` shows it, and as it is kept.
pub(crate) fn record_json(record: &Record) -> Value {
    json!({
        "zone": record.zone,
        "name": record.name,
        "type": record.data.word(),
        "data": record.data.to_string(),
    })
}

/// Reads [`record_json`] back.
pub(super) fn record_of(value: &Value) -> Option<Record> {
    let text = |key: &str| value[key].as_str();
    Some(Record {
        zone: text("zone")?.to_owned(),
        name: text("name")?.to_owned(),
        data: Data::parse(text("type")?, text("data")?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_kept_as_json_too() {
        let record = Record {
            zone: "lab.example".into(),
            name: "web1.lab.example".into(),
            data: Data::of("fd00::7".parse().unwrap()),
        };
        assert_eq!(record_of(&record_json(&record)), Some(record));
        assert_eq!(record_of(&json!({ "zone": "a" })), None);
    }
}
