// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln inventory`: what Ansible's script plugin reads.
//!
//! Source: <https://docs.ansible.com/ansible/latest/dev_guide/developing_inventory.html>,
//! "Inventory script conventions".

use std::collections::{BTreeMap, BTreeSet};

use kiln_host::cmd::quote;
use serde_json::{Map, Value, json};

use super::list::state_word;
use crate::args::inventory::Inventory;
use crate::context::Context;
use crate::machine::existing::Machine;
use crate::machine::host;
use crate::machine::ssh::Route;

/// Prints the inventory, or the variables of one machine.
pub(crate) fn run(ctx: &Context, args: &Inventory) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    if let Some(name) = &args.host {
        let machine = Machine::find(&conn, name)?;
        machine.meta()?;
        ctx.ui.result(&Entry::of(ctx, &machine)?.variables());
        return Ok(0);
    }
    let machines = Machine::ours(&conn)?;
    let all = machines.iter().map(|machine| Entry::of(ctx, machine));
    let all: Vec<Entry> = all.collect::<Result<_, _>>()?;
    ctx.ui.result(&inventory(&all));
    Ok(0)
}

/// A machine, as the inventory shows it.
#[derive(Clone, Debug)]
struct Entry {
    name: String,
    uuid: String,
    image: String,
    tags: Vec<String>,
    /// The set that it is of, and the entry of its file.
    set: Option<(String, String)>,
    state: &'static str,
    route: Option<Route>,
}

impl Entry {
    fn of(ctx: &Context, machine: &Machine) -> anyhow::Result<Self> {
        let state = machine.domain.state()?;
        let meta = machine.meta()?;
        Ok(Self {
            name: machine.name.clone(),
            uuid: machine.uuid.to_string(),
            image: meta.image.clone(),
            tags: meta.tags.clone(),
            set: meta.owner.as_ref().map(|owner| (owner.set.clone(), owner.entry.clone())),
            state: state_word(state),
            // One that is off is known, and not to be reached.
            route: if state.is_active() { machine.route(ctx)? } else { None },
        })
    }

    fn groups(&self) -> Vec<String> {
        let tags = self.tags.iter().map(|tag| group("tag", tag));
        let image = Some(&self.image).filter(|image| !image.is_empty());
        let image = image.map(|image| group("image", image));
        let sets = self.set.iter().flat_map(|(set, entry)| {
            [group("set", set), group("set", &[set.as_str(), entry].join("_"))]
        });
        tags.chain(image).chain(sets).chain([group("state", self.state)]).collect()
    }

    fn variables(&self) -> Value {
        let mut all = json!({
            "kiln_uuid": self.uuid,
            "kiln_image": self.image,
            "kiln_tags": self.tags,
            "kiln_set": self.set.as_ref().map(|(set, _)| set),
            "kiln_state": self.state,
        });
        let Some(route) = &self.route else { return all };
        let options: Vec<String> = route.trust_options().iter().map(|word| quote(word)).collect();
        all["ansible_host"] = json!(route.address);
        all["ansible_port"] = json!(route.port);
        all["ansible_user"] = json!(route.user);
        all["ansible_ssh_common_args"] = json!(options.join(" "));
        if let Some(file) = route.identities.first() {
            all["ansible_ssh_private_key_file"] = json!(file);
        }
        all
    }
}

/// Returns the name of a group: Ansible takes letters, digits and `_`.
fn group(kind: &str, name: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("{kind}_{}", name.chars().map(word).collect::<String>())
}

fn inventory(all: &[Entry]) -> Value {
    let mut groups: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for entry in all {
        for group in entry.groups() {
            groups.entry(group).or_default().insert(&entry.name);
        }
    }
    let variables: Map<String, Value> =
        all.iter().map(|entry| (entry.name.clone(), entry.variables())).collect();
    let names: Vec<&String> = groups.keys().collect();
    // With the variables here Ansible does not ask for each machine.
    let mut whole = json!({
        "_meta": { "hostvars": variables },
        "all": { "children": names },
    });
    for (group, hosts) in &groups {
        whole[group] = json!({ "hosts": hosts });
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_in_groups_and_have_what_a_login_needs() {
        let entry = |name: &str, route| Entry {
            name: name.into(),
            uuid: "u".into(),
            image: "debian-12".into(),
            tags: vec!["web-front".into()],
            set: (name == "web1").then(|| ("shop".into(), "web".into())),
            state: if name == "web1" { "running" } else { "stopped" },
            route,
        };
        let route = Route::sample();
        let whole = inventory(&[entry("web1", Some(route)), entry("web2", None)]);
        assert_eq!(whole["image_debian_12"]["hosts"], json!(["web1", "web2"]));
        assert_eq!(whole["tag_web_front"]["hosts"], json!(["web1", "web2"]));
        assert_eq!(whole["state_running"]["hosts"], json!(["web1"]));
        assert_eq!(whole["set_shop"]["hosts"], json!(["web1"]));
        assert_eq!(whole["set_shop_web"]["hosts"], json!(["web1"]));
        let vars = &whole["_meta"]["hostvars"]["web1"];
        assert_eq!(vars["ansible_host"], "192.168.122.7");
        assert_eq!(vars["ansible_ssh_private_key_file"], "/k/id");
        let options = vars["ansible_ssh_common_args"].as_str().unwrap();
        assert!(options.contains("-o 'UserKnownHostsFile=\"/k/known hosts\"'"), "{options}");
        assert_eq!(whole["_meta"]["hostvars"]["web2"].get("ansible_host"), None);
        assert_eq!(inventory(&[])["all"]["children"], json!([]));
    }
}
