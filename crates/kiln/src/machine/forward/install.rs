// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The rules of all forwards, put into the kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use kiln_host::tools::iptables::{self, Family};
use kiln_host::tools::nft;
use kiln_host::{CmdError, Host, Tool};
use kiln_libvirt::Connection;
use kiln_libvirt::network::NetworkView;
use serde_json::{Value, json};

use super::accept::{self, FORWARD, Step};
use super::rules::{self, FORWARDS, Rule, TABLE};
use super::way::{may_filter, place};
use super::{lock, targets};
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::existing::Machine;
use crate::machine::networks;

/// How often it is tried when others change the packet filter at the same moment.
const TRIES: u32 = 5;
/// Where the kernel names the tables of the older `iptables`, of each family.
const LEGACY: [(Family, &str); 2] =
    [(Family::V4, "/proc/net/ip_tables_names"), (Family::V6, "/proc/net/ip6_tables_names")];

/// What was put in place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rebuilt {
    /// How many forwards lead somewhere.
    pub(crate) forwards: usize,
    /// The machines that have them.
    pub(crate) machines: BTreeSet<String>,
    /// The machines of which no address is known: their forwards lead nowhere.
    pub(crate) without_address: Vec<String>,
    /// What the packet filter was told.
    pub(crate) commands: Value,
}

/// Makes the rules of the forwards of all machines of the host anew, all or none of them; with
/// `dry_run` they are only returned.
///
/// # Errors
///
/// What libvirt or the packet filter says.
pub(crate) fn rebuild(ctx: &Context, conn: &Connection, dry_run: bool) -> anyhow::Result<Rebuilt> {
    let _lock = lock(ctx)?;
    let (rules, mut rebuilt) = wanted(conn)?;
    let mut tries = 0;
    loop {
        tries += 1;
        let chains = chains(ctx)?;
        let commands = commands(ctx, &chains, &rules)?;
        rebuilt.commands = json!({ "nftables": commands });
        if dry_run {
            return Ok(rebuilt);
        }
        match ctx.host.run_with(&nft::apply(), rebuilt.commands.to_string().as_bytes()) {
            // Somebody else's change came between the look and the transaction.
            Err(CmdError::Failed { .. }) if tries < TRIES => continue,
            other => other?,
        };
        let_through(ctx, &chains, !rules.is_empty())?;
        return Ok(rebuilt);
    }
}

/// Makes the rules anew if this process may; else says who can. What a machine that is gone
/// leaves behind is no reason to fail.
pub(crate) fn rebuild_if_able(ctx: &Context, conn: &Connection) -> anyhow::Result<()> {
    if conn.is_session() {
        return Ok(());
    }
    if conn.is_local() && may_filter() && Tool::Nft.find().is_some() {
        return rebuild(ctx, conn, false).map(drop);
    }
    ctx.ui.warn(
        "the rules of forwards stay as they are until root does `kiln forward restore` on the host",
    );
    Ok(())
}

/// Returns what stands on the rules of forwards that are in place now; `None` if it cannot be
/// seen from here.
///
/// # Errors
///
/// What the packet filter says.
pub(crate) fn state(ctx: &Context, conn: &Connection) -> anyhow::Result<Option<BTreeSet<String>>> {
    if !conn.is_local() || !may_filter() || Tool::Nft.find().is_none() {
        return Ok(None);
    }
    let (family, table) = TABLE;
    let ours = |c: &nft::Chain| c.family == family && c.table == table && c.name == FORWARDS;
    if !chains(ctx)?.iter().any(ours) {
        return Ok(Some(BTreeSet::new()));
    }
    let rules = listed(ctx, family, table, FORWARDS)?;
    Ok(Some(rules.into_iter().filter_map(|rule| rule.comment).collect()))
}

/// Returns the rules that all machines together want.
fn wanted(conn: &Connection) -> anyhow::Result<(Vec<Rule>, Rebuilt)> {
    let mut networks: BTreeMap<String, Option<NetworkView>> = BTreeMap::new();
    let (mut rules, mut rebuilt) = (Vec::new(), Rebuilt::default());
    for machine in Machine::ours(conn)? {
        let Some(meta) = machine.meta.as_ref().filter(|meta| !meta.forwards.is_empty()) else {
            continue;
        };
        // passt's are none of the packet filter's.
        let Some((network, mac)) = place(&machine) else { continue };
        let view = match networks.get(&network) {
            Some(view) => view.clone(),
            None => {
                // One that is gone leads nowhere; so do its machines' forwards.
                let view = networks::find(conn, &network).ok().map(|n| n.xml()).transpose()?;
                networks.insert(network, view.clone());
                view
            }
        };
        let to = view.map(|view| targets(&view, mac, meta)).unwrap_or_default();
        if to.is_empty() {
            rebuilt.without_address.push(machine.name);
            continue;
        }
        for forward in &meta.forwards {
            let lead = to.iter().filter_map(|to| Rule::new(&machine.name, forward, *to));
            rules.extend(lead);
        }
        rebuilt.forwards += meta.forwards.len();
        rebuilt.machines.insert(machine.name);
    }
    Ok((rules, rebuilt))
}

fn unreadable(what: &str) -> Problem {
    Problem::new(Class::Tool, format!("`nft` printed something else than {what}"))
}

fn chains(ctx: &Context) -> anyhow::Result<Vec<nft::Chain>> {
    let printed = ctx.host.run(&nft::list_chains())?.stdout;
    Ok(nft::parse_chains(&printed).ok_or_else(|| unreadable("chains"))?)
}

fn listed(ctx: &Context, family: &str, table: &str, chain: &str) -> anyhow::Result<Vec<nft::Rule>> {
    let printed = ctx.host.run(&nft::list_chain(family, table, chain))?.stdout;
    Ok(nft::parse_rules(&printed).ok_or_else(|| unreadable("rules"))?)
}

/// Returns the transaction: our table, and what libvirt's backend `nftables` needs.
fn commands(ctx: &Context, chains: &[nft::Chain], rules: &[Rule]) -> anyhow::Result<Vec<Value>> {
    let mut all = rules::table(rules);
    for family in Family::ALL.map(Family::nft) {
        let Some((table, chain)) = accept::nft_chain(chains, family) else { continue };
        let there = listed(ctx, family, table, chain)?;
        all.extend(accept::for_nft(family, &there, !rules.is_empty()));
    }
    Ok(all)
}

/// Has `iptables` accept forwards where libvirt's backend `iptables` has its rules.
fn let_through(ctx: &Context, chains: &[nft::Chain], wanted: bool) -> anyhow::Result<()> {
    for (family, legacy) in LEGACY {
        // Asked, it would make tables of its own where there are none.
        let used = accept::uses_iptables(chains, family.nft())
            || fs::read_to_string(legacy).is_ok_and(|names| names.lines().any(|n| n == "filter"));
        if !used || family.tool().find().is_none() {
            continue;
        }
        let filter = iptables::parse(&ctx.host.run(&iptables::list(family))?.stdout);
        for step in accept::for_iptables(&filter, wanted) {
            let cmd = match &step {
                Step::Delete(rule) => iptables::delete(family, FORWARD, rule),
                Step::Insert(rule) => iptables::insert(family, FORWARD, rule),
            };
            ctx.host.run(&cmd)?;
        }
    }
    Ok(())
}
