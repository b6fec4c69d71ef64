// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `iptables` and `ip6tables`: the filter as libvirt's older backend writes it.
//!
//! Source: iptables(8), iptables-extensions(8), 1.8.9, of both variants (legacy and nf_tables). A
//! table that `iptables` of the variant nf_tables keeps must not be changed by `nft`: it refuses
//! to work on it from then on. `-S` prints rules in the form that `-A` takes.

use std::net::IpAddr;
use std::time::Duration;

use crate::cmd::{Cmd, Tool};

/// How long it may wait for others that change the same table, and work.
const DEADLINE: Duration = Duration::from_secs(60);

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `iptables`.
    V4,
    /// `ip6tables`.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// Returns the tool that is for it.
    #[must_use]
    pub const fn tool(self) -> Tool {
        match self {
            Self::V4 => Tool::Iptables,
            Self::V6 => Tool::Ip6tables,
        }
    }

    /// Returns the name of the family in nftables.
    #[must_use]
    pub const fn nft(self) -> &'static str {
        match self {
            Self::V4 => "ip",
            Self::V6 => "ip6",
        }
    }

    /// Returns the family of an address.
    #[must_use]
    pub const fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

fn command(family: Family) -> Cmd {
    // Somebody else may be at it: -w waits for them.
    Cmd::new(family.tool()).arg("-w").deadline(Some(DEADLINE))
}

/// Returns the command that prints the table `filter`. Read it by [`parse`].
#[must_use]
pub fn list(family: Family) -> Cmd {
    command(family).arg("-S")
}

/// Returns the command that puts a rule at the head of a chain.
#[must_use]
pub fn insert(family: Family, chain: &str, rule: &[String]) -> Cmd {
    command(family).args(["-I", chain, "1"]).args(rule)
}

/// Returns the command that takes the first such rule out of a chain; it must be there.
#[must_use]
pub fn delete(family: Family, chain: &str, rule: &[String]) -> Cmd {
    command(family).args(["-D", chain]).args(rule)
}

/// The table `filter`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The chains that were made, without those that are always there.
    pub chains: Vec<String>,
    /// The rules: each a chain, and the words that make it.
    pub rules: Vec<(String, String)>,
}

/// Reads what [`list`] printed.
#[must_use]
pub fn parse(printed: &[u8]) -> Filter {
    let mut filter = Filter::default();
    for line in String::from_utf8_lossy(printed).lines() {
        match line.split_once(' ') {
            Some(("-N", chain)) => filter.chains.push(chain.trim().to_owned()),
            Some(("-A", rule)) => {
                let (chain, rule) = rule.split_once(' ').unwrap_or((rule, ""));
                filter.rules.push((chain.to_owned(), rule.trim().to_owned()));
            }
            _ => {}
        }
    }
    filter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read() {
        let printed = b"-P FORWARD ACCEPT\n-N LIBVIRT_FWO\n-A FORWARD -j LIBVIRT_FWO\n\
                        -A LIBVIRT_FWO -i virbr0 -j REJECT --reject-with icmp-port-unreachable\n";
        let rule = |chain: &str, rule: &str| (chain.to_owned(), rule.to_owned());
        let filter = Filter {
            chains: vec!["LIBVIRT_FWO".into()],
            rules: vec![
                rule("FORWARD", "-j LIBVIRT_FWO"),
                rule("LIBVIRT_FWO", "-i virbr0 -j REJECT --reject-with icmp-port-unreachable"),
            ],
        };
        assert_eq!(parse(printed), filter);
        assert_eq!(parse(b""), Filter::default());
    }

    #[test]
    fn commands_wait_for_others() {
        let rule = ["-j".to_owned(), "ACCEPT".to_owned()];
        assert_eq!(list(Family::V6).to_string(), "ip6tables -w -S");
        let shown = insert(Family::V4, "FORWARD", &rule).to_string();
        assert_eq!(shown, "iptables -w -I FORWARD 1 -j ACCEPT");
        let shown = delete(Family::V4, "FORWARD", &rule).to_string();
        assert_eq!(shown, "iptables -w -D FORWARD -j ACCEPT");
    }
}
