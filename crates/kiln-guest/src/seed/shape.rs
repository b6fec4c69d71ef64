// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a network configuration must look like for cloud-init to read it at all.
//!
//! Source: `net/network_state.py` of cloud-init 22.4 to 26.2 (which types of version 1 there are,
//! and what each needs), its `schema-network-config-v1.json`, the reference of netplan for version
//! 2; for `network_data.json` `convert_net_json` of `sources/helpers/openstack.py`.

use kiln_spec::Datasource;

use crate::userdata::{Source, UserDataError, tree};
use crate::yaml::{Node, Type, Value};

/// What version 1 knows, and the keys that each needs besides `type`.
const V1: [(&str, &[&str]); 8] = [
    ("bond", &["name", "bond_interfaces", "params"]),
    ("bridge", &["name", "bridge_interfaces"]),
    ("infiniband", &["name"]),
    ("loopback", &["name"]),
    ("nameserver", &["address"]),
    ("physical", &["name"]),
    ("route", &["destination"]),
    ("vlan", &["name", "vlan_id", "vlan_link"]),
];
/// What a subnet of version 1 may be.
const SUBNETS: [&str; 12] = [
    "dhcp",
    "dhcp4",
    "dhcp6",
    "ipv6_dhcpv6-stateful",
    "ipv6_dhcpv6-stateless",
    "ipv6_slaac",
    "loopback",
    "manual",
    "none",
    "static",
    "static4",
    "static6",
];
/// The sections of version 2 that have interfaces by name. Netplan knows more, which it is handed.
const V2: [&str; 5] = ["bonds", "bridges", "ethernets", "vlans", "wifis"];
/// What an interface of version 2 has lists of.
const V2_LISTS: [&str; 3] = ["addresses", "interfaces", "routes"];
/// What of it is a truth value.
const V2_TRUTHS: [&str; 3] = ["dhcp4", "dhcp6", "optional"];

/// Checks that cloud-init finds a network configuration in a text: of version 1 or 2, below
/// `network` perhaps, or OpenStack's `network_data.json` for a drive of that kind. `file_name` is
/// what errors call it.
///
/// # Errors
///
/// [`UserDataError::Syntax`], [`UserDataError::Root`] or [`UserDataError::WrongType`] with the
/// place.
pub fn check_network_config(
    text: &str,
    file_name: &str,
    datasource: Datasource,
) -> Result<(), UserDataError> {
    let source = Source::new(file_name, text);
    let check = Check { source };
    if datasource == Datasource::ConfigDrive {
        json(source)?;
        return check.network_data(&tree(source)?);
    }
    let root = tree(source)?;
    let inner = root.get("network").unwrap_or(&root);
    check.root(inner, "a mapping")?;
    if inner.get("config").and_then(Node::as_text) == Some("disabled") {
        return Ok(());
    }
    match inner.get("version").map(|version| &version.value) {
        Some(Value::Scalar(version)) if version.text == "1" => check.v1(inner),
        Some(Value::Scalar(version)) if version.text == "2" => check.v2(inner),
        _ => check.wrong(inner, "a network configuration must have `version: 1` or `version: 2`"),
    }
}

/// Checks that a text is JSON, which is stricter than YAML.
fn json(source: Source<'_>) -> Result<(), UserDataError> {
    serde_json::from_str::<serde_json::Value>(source.text).map(drop).map_err(|error| {
        // Its text has the place in it, which is told in our own way.
        let text = error.to_string();
        let said = text.split(" at line ").next().unwrap_or_default();
        let what = format!("OpenStack's `network_data.json` is JSON: {said}");
        let place = source.place(error.line().max(1), error.column().max(1));
        UserDataError::Syntax { place, what }
    })
}

#[derive(Clone, Copy)]
struct Check<'a> {
    source: Source<'a>,
}

impl Check<'_> {
    fn wrong<T>(self, at: &Node, what: &str) -> Result<T, UserDataError> {
        let place = self.source.place(at.spot.line, at.spot.column);
        Err(UserDataError::Syntax { place, what: what.to_owned() })
    }

    fn root(self, at: &Node, wanted: &'static str) -> Result<(), UserDataError> {
        if at.type_of() == Type::Map {
            return Ok(());
        }
        let place = self.source.place(at.spot.line, at.spot.column);
        Err(UserDataError::Root { place, wanted, found: at.type_of().name() })
    }

    fn is(self, at: &Node, path: &str, wanted: Type) -> Result<(), UserDataError> {
        if at.type_of() == wanted {
            return Ok(());
        }
        Err(UserDataError::WrongType {
            place: self.source.place(at.spot.line, at.spot.column),
            key: path.to_owned(),
            wanted: wanted.name().into(),
            found: at.type_of().name(),
        })
    }

    /// Returns the items of a key that must be a list, with their paths; none if it is not there.
    fn items<'n>(
        self,
        map: &'n Node,
        (path, key): (&str, &str),
    ) -> Result<Vec<(String, &'n Node)>, UserDataError> {
        let Some(list) = map.get(key) else { return Ok(Vec::new()) };
        let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        self.is(list, &path, Type::List)?;
        let items = list.as_list().unwrap_or_default().iter().enumerate();
        Ok(items.map(|(n, item)| (format!("{path}.{n}"), item)).collect())
    }

    fn v1(self, root: &Node) -> Result<(), UserDataError> {
        if root.get("config").is_none() {
            return self.wrong(root, "a network configuration of version 1 must have `config`");
        }
        for (path, item) in self.items(root, ("", "config"))? {
            self.is(item, &path, Type::Map)?;
            let kind = item.get("type").and_then(Node::as_text);
            let Some((kind, needs)) = V1.iter().find(|(name, _)| kind == Some(name)) else {
                let known: Vec<&str> = V1.iter().map(|(name, _)| *name).collect();
                let at = item.get("type").unwrap_or(item);
                return self
                    .wrong(at, &format!("`{path}.type` must be one of {}", known.join(", ")));
            };
            if let Some(key) = needs.iter().find(|key| item.get(key).is_none()) {
                return self.wrong(item, &format!("`{path}`: a {kind} must have `{key}`"));
            }
            for (path, subnet) in self.items(item, (&path, "subnets"))? {
                self.is(subnet, &path, Type::Map)?;
                let of = subnet.get("type").and_then(Node::as_text);
                if !of.is_some_and(|of| SUBNETS.contains(&of)) {
                    let at = subnet.get("type").unwrap_or(subnet);
                    let known = SUBNETS.join(", ");
                    return self.wrong(at, &format!("`{path}.type` must be one of {known}"));
                }
                if of.is_some_and(|of| of.starts_with("static")) && subnet.get("address").is_none()
                {
                    return self.wrong(subnet, &format!("`{path}`: it must have `address`"));
                }
            }
        }
        Ok(())
    }

    fn v2(self, root: &Node) -> Result<(), UserDataError> {
        for section in V2 {
            let Some(all) = root.get(section) else { continue };
            self.is(all, section, Type::Map)?;
            for (name, interface) in all.as_map().unwrap_or_default() {
                let path = format!("{section}.{}", name.as_text().unwrap_or("?"));
                self.is(interface, &path, Type::Map)?;
                for key in V2_LISTS {
                    self.items(interface, (&path, key))?;
                }
                for (path, route) in self.items(interface, (&path, "routes"))? {
                    self.is(route, &path, Type::Map)?;
                }
                for key in V2_TRUTHS {
                    if let Some(value) = interface.get(key) {
                        self.is(value, &format!("{path}.{key}"), Type::Bool)?;
                    }
                }
                for key in ["match", "nameservers"] {
                    if let Some(value) = interface.get(key) {
                        self.is(value, &format!("{path}.{key}"), Type::Map)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn network_data(self, root: &Node) -> Result<(), UserDataError> {
        self.root(root, "an object")?;
        for (section, needed) in [
            ("links", &["id", "type"][..]),
            ("networks", &["link", "type"]),
            ("services", &["type"]),
        ] {
            if root.get(section).is_none() && section != "services" {
                let what = format!("OpenStack's `network_data.json` must have `{section}`");
                return self.wrong(root, &what);
            }
            for (path, item) in self.items(root, ("", section))? {
                self.is(item, &path, Type::Map)?;
                if let Some(key) = needed.iter().find(|key| item.get(key).is_none()) {
                    return self.wrong(item, &format!("`{path}` must have `{key}`"));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        check_network_config(text, "n", Datasource::NoCloud).unwrap_err().to_string()
    }

    #[test]
    fn what_cloud_init_cannot_read_is_refused_with_its_place() {
        let version = "a network configuration must have `version: 1` or `version: 2`";
        for (text, expected) in [
            ("- x", "`n:1:1`: must be a mapping, and is a list"),
            ("ethernets: {}", &format!("`n:1:1`: {version}")),
            ("network: {version: 3}", &format!("`n:1:10`: {version}")),
            ("version: 1", "`n:1:1`: a network configuration of version 1 must have `config`"),
            ("version: 1\nconfig: {}", "`n:2:9`: `config` must be a list, and is a mapping"),
            (
                "version: 1\nconfig:\n- {type: physical}",
                "`n:3:3`: `config.0`: a physical must have `name`",
            ),
            (
                "version: 1\nconfig:\n- {type: physical, name: a, subnets: [{type: static}]}",
                "`n:3:39`: `config.0.subnets.0`: it must have `address`",
            ),
            (
                "version: 2\nethernets:\n  a: {addresses: 10.0.0.1/24}",
                "`n:3:18`: `ethernets.a.addresses` must be a list, and is a text",
            ),
            (
                "version: 2\nethernets:\n  a: {dhcp4: 'on'}",
                "`n:3:14`: `ethernets.a.dhcp4` must be a truth value, and is a text",
            ),
            (
                "version: 2\nethernets: [a]",
                "`n:2:12`: `ethernets` must be a mapping, and is a list",
            ),
        ] {
            assert_eq!(error(text), expected, "{text}");
        }
        let kinds = error("version: 1\nconfig:\n- type: phisical\n  name: a");
        assert!(
            kinds.starts_with("`n:3:9`: `config.0.type` must be one of bond, bridge"),
            "{kinds}"
        );
        let kinds = error("version: 1\nconfig: [{type: physical, name: a, subnets: [{type: x}]}]");
        assert!(kinds.contains("`config.0.subnets.0.type` must be one of dhcp, dhcp4"), "{kinds}");
    }

    #[test]
    fn a_drive_of_openstacks_takes_its_own_format_only() {
        let check = |text| check_network_config(text, "n", Datasource::ConfigDrive);
        let said = |text| check(text).unwrap_err().to_string();
        assert!(check("{\"links\": [], \"networks\": []}").is_ok());
        assert!(
            said("version: 2\n").starts_with("`n:1:1`: OpenStack's `network_data.json` is JSON")
        );
        assert_eq!(
            said("{\"links\": []}"),
            "`n:1:1`: OpenStack's `network_data.json` must have `networks`"
        );
        assert_eq!(
            said("{\"links\": [{}], \"networks\": []}"),
            "`n:1:12`: `links.0` must have `id`"
        );
    }
}
