// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One thing to do for a set, as a value, in words and as JSON.

use std::fmt;

use kiln_spec::Bytes;
use kiln_spec::network::NetworkSpec;
use kiln_spec::set::PoolSpec;
use serde_json::{Value, json};

use super::{Getting, WantedSecret};
use crate::machine::meta::Forward;

/// What is changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Object {
    /// A network, by its name.
    Network(String),
    /// A secret.
    Secret(String),
    /// A pool.
    Pool(String),
    /// An image of the store.
    Image(String),
    /// A machine.
    Machine(String),
}

impl Object {
    /// Returns the word for its kind.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Network(_) => "network",
            Self::Secret(_) => "secret",
            Self::Pool(_) => "pool",
            Self::Image(_) => "image",
            Self::Machine(_) => "machine",
        }
    }

    /// Returns its name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Network(name)
            | Self::Secret(name)
            | Self::Pool(name)
            | Self::Image(name)
            | Self::Machine(name) => name,
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind(), self.name())
    }
}

/// What is done to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A network is made and started.
    MakeNetwork(NetworkSpec),
    /// A secret is made.
    MakeSecret(WantedSecret),
    /// A secret gets another key.
    GiveKey(WantedSecret),
    /// A pool is made and taken into use.
    MakePool(PoolSpec),
    /// An image comes into the store.
    Get {
        /// How.
        how: Getting,
        /// Whether only machines need it that would be made anew.
        anew: bool,
    },
    /// A machine is made and started: the number, from 1, of an entry.
    MakeMachine {
        /// The entry, by its place.
        entry: usize,
        /// Its number.
        number: u32,
        /// What it is to be, for people.
        detail: String,
    },
    /// A network or pool is started that is off.
    Activate,
    /// A machine is started that is off.
    Start,
    /// The processors are changed.
    Cpus(u32, u32),
    /// The memory is changed.
    Memory(Bytes, Bytes),
    /// The disk grows.
    Disk(Bytes, Bytes),
    /// Whether the host starts it with itself is changed.
    Autostart(bool),
    /// The tags are changed.
    Tags(Vec<String>),
    /// Its name is put into this DNS server.
    Name(String),
    /// Its name is taken back from this DNS server.
    Unname(String),
    /// Forwards are taken away.
    TakeForwards(Vec<Forward>),
    /// Forwards are added.
    AddForwards(Vec<Forward>),
    /// A machine that runs is restarted, so that it gets what it was given.
    Restart(String),
    /// A machine is removed and made anew, for these reasons.
    Anew {
        /// The entry, by its place.
        entry: usize,
        /// Its number.
        number: u32,
        /// Why.
        why: Vec<String>,
    },
    /// It differs in a way that nobody but its owner can change.
    Differs(Vec<String>),
    /// It is removed.
    Remove,
}

/// What must be allowed before something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// `--restart`.
    Restart,
    /// `--rebuild`.
    Rebuild,
    /// `--prune`.
    Prune,
    /// Nothing allows it.
    Hand,
}

impl Need {
    /// Returns how it is allowed, for people.
    const fn hint(self) -> &'static str {
        match self {
            Self::Restart => "with --restart",
            Self::Rebuild => "with --rebuild, which removes its disk",
            Self::Prune => "with --prune",
            Self::Hand => "not changed: `kiln down` first, or change the file",
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Rebuild => "rebuild",
            Self::Prune => "prune",
            Self::Hand => "hand",
        }
    }
}

/// What the user has allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// Machines that run may be restarted.
    pub(crate) restart: bool,
    /// Machines may be removed and made anew.
    pub(crate) rebuild: bool,
    /// What the file does not name any more may be removed.
    pub(crate) prune: bool,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Action {
    /// To what.
    pub(crate) object: Object,
    /// What.
    pub(crate) what: What,
}

impl Action {
    /// Returns what must be allowed for it, if something must.
    pub(crate) const fn need(&self) -> Option<Need> {
        match self.what {
            What::Restart(_) => Some(Need::Restart),
            What::Anew { .. } | What::Get { anew: true, .. } => Some(Need::Rebuild),
            What::Remove => Some(Need::Prune),
            What::Differs(_) => Some(Need::Hand),
            _ => None,
        }
    }

    /// Returns whether it is done.
    pub(crate) const fn is_allowed(&self, allowed: Allowed) -> bool {
        match self.need() {
            None => true,
            Some(Need::Restart) => allowed.restart,
            Some(Need::Rebuild) => allowed.rebuild,
            Some(Need::Prune) => allowed.prune,
            Some(Need::Hand) => false,
        }
    }

    /// Returns it as a line; what is not allowed says how it would be.
    pub(crate) fn line(&self, allowed: Allowed) -> String {
        let (kind, name) = (self.object.kind(), self.object.name());
        let mut line = format!("{} {kind} {name}: {}", self.sign(), self.detail());
        if let Some(need) = self.need().filter(|_| !self.is_allowed(allowed)) {
            let hint = match self.what {
                What::Get { .. } => "with --rebuild",
                _ => need.hint(),
            };
            line.push_str(&format!(" ({hint})"));
        }
        line
    }

    const fn sign(&self) -> char {
        match self.what {
            What::MakeNetwork(_)
            | What::MakeSecret(_)
            | What::MakePool(_)
            | What::Get { .. }
            | What::MakeMachine { .. } => '+',
            What::Remove => '-',
            What::Differs(_) => '!',
            _ => '~',
        }
    }

    /// Returns the word that `--json` uses for what is done.
    const fn word(&self) -> &'static str {
        match self.what {
            What::MakeNetwork(_)
            | What::MakeSecret(_)
            | What::MakePool(_)
            | What::MakeMachine { .. } => "make",
            What::Get { how: Getting::Build(_), .. } => "build",
            What::Get { how: Getting::Assemble(..), .. } => "assemble",
            What::Get { .. } => "pull",
            What::Activate | What::Start => "start",
            What::GiveKey(_)
            | What::Cpus(..)
            | What::Memory(..)
            | What::Disk(..)
            | What::Autostart(_)
            | What::Tags(_)
            | What::Name(_)
            | What::Unname(_)
            | What::TakeForwards(_)
            | What::AddForwards(_) => "change",
            What::Restart(_) => "restart",
            What::Anew { .. } => "rebuild",
            What::Differs(_) => "differs",
            What::Remove => "remove",
        }
    }

    /// Returns what is done, for people.
    pub(crate) fn detail(&self) -> String {
        let ports = |forwards: &[Forward]| {
            let all = forwards.iter().map(|forward| format!("{forward} to port {}", forward.to));
            all.collect::<Vec<_>>().join(", ")
        };
        match &self.what {
            What::MakeNetwork(spec) => network(spec),
            What::MakeSecret(secret) => format!("the key of client.{}", secret.entry.user),
            What::GiveKey(_) => "give it another key".to_owned(),
            What::MakePool(spec) => spec.source.to_string(),
            What::Get { how: Getting::Build(recipe), .. } => format!("build it of {recipe}"),
            What::Get { how: Getting::Assemble(place, _), .. } => {
                format!("make it of the bundle {place}")
            }
            What::Get { how: Getting::Pull(name), .. } => format!("pull {name} of a catalog"),
            What::Get { how: Getting::Fetch(url, _), .. } => format!("fetch it from {url}"),
            What::MakeMachine { detail, .. } => detail.clone(),
            What::Activate | What::Start => "start it".to_owned(),
            What::Cpus(from, to) => format!("cpus {from} -> {to}"),
            What::Memory(from, to) => format!("memory {from} -> {to}"),
            What::Disk(from, to) => format!("disk {from} -> {to}"),
            What::Autostart(true) => "have the host start it with itself".to_owned(),
            What::Autostart(false) => "not started with the host any more".to_owned(),
            What::Tags(tags) if tags.is_empty() => "no tags".to_owned(),
            What::Tags(tags) => format!("tags {}", tags.join(", ")),
            What::Name(server) => format!("put its name into the DNS server {server}"),
            What::Unname(server) => format!("take its name from the DNS server {server}"),
            What::TakeForwards(all) => format!("take the forward of {}", ports(all)),
            What::AddForwards(all) => format!("forward {}", ports(all)),
            What::Restart(what) => format!("restart it, for {what}"),
            What::Anew { why, .. } => format!("make it anew: {}", why.join("; ")),
            What::Differs(why) => why.join("; "),
            What::Remove => "remove it".to_owned(),
        }
    }

    fn json(&self, allowed: Allowed) -> Value {
        json!({
            "object": self.object.kind(),
            "name": self.object.name(),
            "do": self.word(),
            "detail": self.detail(),
            "needs": self.need().map(Need::word),
            "allowed": self.is_allowed(allowed),
        })
    }
}

/// Leaves out what changes a machine that is made anew, where that is allowed: it is made as it is
/// wanted.
pub(crate) fn settled(mut actions: Vec<Action>, allowed: Allowed) -> Vec<Action> {
    let is_anew = |action: &Action| matches!(action.what, What::Anew { .. });
    let anew = |action: &&Action| is_anew(action) && action.is_allowed(allowed);
    let objects: Vec<Object> =
        actions.iter().filter(anew).map(|action| action.object.clone()).collect();
    actions.retain(|action| is_anew(action) || !objects.contains(&action.object));
    actions
}

/// Returns all that is to be done as JSON.
pub(crate) fn json_of(actions: &[Action], allowed: Allowed) -> Value {
    actions.iter().map(|action| action.json(allowed)).collect()
}

fn network(spec: &NetworkSpec) -> String {
    let mut parts = vec![spec.mode.word().to_owned()];
    match &spec.mode {
        kiln_spec::network::NetworkMode::Bridge(device)
        | kiln_spec::network::NetworkMode::Macvtap(device) => parts.push(device.to_string()),
        _ => {}
    }
    parts.extend(spec.ipv4.map(|net| net.to_string()));
    parts.extend(spec.ipv6.map(|net| net.to_string()));
    let mut text = parts.join(" ");
    text.extend(spec.dhcp.map(|range| format!(", DHCP {range}")));
    text.extend(spec.domain.as_ref().map(|domain| format!(", domain {domain}")));
    text
}
