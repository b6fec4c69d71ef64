// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `nft`: the kernel's packet filter.
//!
//! Source: nft(8) and libnftables-json(5), nftables 1.0.6 to 1.1. What `-f` reads is one
//! transaction: all of it is done, or nothing. Exit status 1 for everything that fails.

use std::time::Duration;

use serde_json::Value;

use crate::cmd::{Cmd, Tool};

/// How long the kernel may take for a rule set.
const DEADLINE: Duration = Duration::from_secs(60);

/// A chain of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// `ip`, `ip6`, `inet` or another family.
    pub family: String,
    /// The table's name.
    pub table: String,
    /// The chain's name.
    pub name: String,
}

/// A rule of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The number by which it is deleted.
    pub handle: u64,
    /// What its maker wrote on it.
    pub comment: Option<String>,
}

/// Returns the command that names all chains of all tables. Read what it prints by
/// [`parse_chains`].
#[must_use]
pub fn list_chains() -> Cmd {
    Cmd::new(Tool::Nft).args(["-j", "list", "chains"]).deadline(Some(DEADLINE))
}

/// Returns the command that prints a chain, which must be there. Read it by [`parse_rules`].
#[must_use]
pub fn list_chain(family: &str, table: &str, chain: &str) -> Cmd {
    let what = ["-j", "list", "chain", family, table, chain];
    Cmd::new(Tool::Nft).args(what).deadline(Some(DEADLINE))
}

/// Returns the command that does what its standard input says, as one transaction: an object with
/// the list `nftables` of commands.
#[must_use]
pub fn apply() -> Cmd {
    Cmd::new(Tool::Nft).args(["-j", "-f", "-"]).deadline(Some(DEADLINE))
}

/// Reads what [`list_chains`] printed; `None` if it is nothing of the kind.
#[must_use]
pub fn parse_chains(printed: &[u8]) -> Option<Vec<Chain>> {
    let one = |chain: &Value| {
        let text = |key: &str| chain.get(key)?.as_str().map(str::to_owned);
        Some(Chain { family: text("family")?, table: text("table")?, name: text("name")? })
    };
    objects(printed, "chain")?.iter().map(one).collect()
}

/// Reads what [`list_chain`] printed; `None` if it is nothing of the kind.
#[must_use]
pub fn parse_rules(printed: &[u8]) -> Option<Vec<Rule>> {
    let one = |rule: &Value| {
        let comment = rule.get("comment").and_then(Value::as_str).map(str::to_owned);
        Some(Rule { handle: rule.get("handle")?.as_u64()?, comment })
    };
    objects(printed, "rule")?.iter().map(one).collect()
}

fn objects(printed: &[u8], kind: &str) -> Option<Vec<Value>> {
    // iptables' warning about its own tables may stand before or after it, as a comment.
    let text = String::from_utf8_lossy(printed);
    let line = text.lines().find(|line| line.starts_with('{'))?;
    let value: Value = serde_json::from_str(line).ok()?;
    let all = value.get("nftables")?.as_array()?;
    Some(all.iter().filter_map(|object| object.get(kind)).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_and_rules_are_read() {
        let printed = br#"{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"chain": {"family": "ip", "table": "libvirt_network", "name": "forward", "handle": 1}}]}"#;
        let chain =
            Chain { family: "ip".into(), table: "libvirt_network".into(), name: "forward".into() };
        assert_eq!(parse_chains(printed), Some(vec![chain]));
        let printed = br#"{"nftables": [{"rule": {"handle": 20, "comment": "kiln", "expr": []}}, {"rule": {"handle": 7, "expr": []}}]}
# Warning: table ip filter is managed by iptables-nft, do not touch!
"#;
        let rule =
            |handle, comment: Option<&str>| Rule { handle, comment: comment.map(Into::into) };
        assert_eq!(parse_rules(printed), Some(vec![rule(20, Some("kiln")), rule(7, None)]));
        assert_eq!(parse_rules(b"Error: no such file"), None);
        assert_eq!(parse_chains(b"{}"), None);
    }
}
