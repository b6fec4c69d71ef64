// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The packet filter's rules of all forwards, as a table of Kiln's own. Pure.
//!
//! A connection to one of the host's own addresses is led on to the machine, whether it comes
//! from outside, from another machine or from the host itself. What comes from the machine's own
//! network is given the host's address, or the machine would answer past the host.
//!
//! The host's own 127.0.0.1 and ::1 need more: the kernel sends nothing from there to elsewhere
//! unless `route_localnet` lets it, and that would open the host's loopback to machines as soon as
//! somebody flushes the packet filter. Here the packet is given the host's address on the
//! machine's network on its way out, before anything else sees it, and its answer is given back
//! 127.0.0.1 after everything else has.
//!
//! Source: nft(8), libnftables-json(5); why this way: docs/design/0017-forwards.md.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::Target;
use crate::machine::meta::Forward;

/// The table's family and name.
pub(super) const TABLE: (&str, &str) = ("inet", "kiln");
/// The chain with a rule for each forward.
pub(super) const FORWARDS: &str = "forwards";
/// The most of a machine's name that is written on a rule, in bytes: nft takes 128 for all of it,
/// and the rest is at most 52.
const NAME_MOST: usize = 64;
/// The bit of a connection's mark that says that it is a forward of Kiln's.
pub(super) const MARK: u32 = 0x0400_0000;

/// A forward, and where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// The machine.
    pub(super) machine: String,
    /// The forward.
    pub(super) forward: Forward,
    /// The machine's address.
    pub(super) target: Target,
}

impl Rule {
    /// Returns the rule of a forward to an address; `None` if it is on an address of the other
    /// family.
    pub(super) fn new(machine: &str, forward: &Forward, target: Target) -> Option<Self> {
        let six = target.ip.is_ipv6();
        let fits = forward.listen.is_none_or(|listen| listen.is_ipv6() == six);
        let machine = machine.to_owned();
        fits.then(|| Self { machine, forward: forward.clone(), target })
    }

    /// Returns what is written on the rule: whose it is.
    pub(super) fn comment(&self) -> String {
        comment(&self.machine, &self.forward)
    }

    fn family(&self) -> &'static str {
        family(self.target.ip)
    }

    fn nfproto(&self) -> &'static str {
        if self.target.ip.is_ipv6() { "ipv6" } else { "ipv4" }
    }

    fn port(&self) -> Value {
        equal(payload(self.forward.protocol.name(), "dport"), self.forward.port)
    }

    /// Leads a new connection on, and marks it.
    fn lead(&self) -> Value {
        let mut all = vec![equal(json!({"meta": {"key": "nfproto"}}), self.nfproto())];
        if let Some(listen) = self.forward.listen {
            all.push(equal(payload(self.family(), "daddr"), listen.to_string()));
        }
        all.push(self.port());
        let mark = json!({"ct": {"key": "mark"}});
        all.push(json!({"mangle": {"key": mark, "value": {"|": [mark, MARK]}}}));
        let (ip, to) = (self.target.ip.to_string(), self.forward.to);
        all.push(json!({"dnat": {"family": self.family(), "addr": ip, "port": to}}));
        rule(FORWARDS, &self.comment(), all)
    }

    /// Gives what the host sends to its own loopback the host's address; `None` if the forward is
    /// not there.
    fn leave_loopback(&self) -> Option<Value> {
        let own = match self.forward.listen {
            None => loopback(self.target.ip),
            Some(listen) if listen.is_loopback() => Value::from(listen.to_string()),
            Some(_) => return None,
        };
        let family = self.family();
        let source = if family == "ip" { "127.0.0.1" } else { "::1" };
        let host = self.target.host.to_string();
        let all = vec![
            equal(payload(family, "saddr"), source),
            equal(payload(family, "daddr"), own),
            self.port(),
            json!({"mangle": {"key": payload(family, "saddr"), "value": host}}),
        ];
        Some(rule("from_loopback", &self.comment(), all))
    }
}

/// Returns what stands on the rules of a forward.
pub(crate) fn comment(machine: &str, forward: &Forward) -> String {
    // Somebody may have renamed it, and one that is too long would keep all others away.
    let short: String =
        machine.char_indices().take_while(|(at, _)| *at < NAME_MOST).map(|(_, c)| c).collect();
    format!("{short} {forward}")
}

fn family(ip: IpAddr) -> &'static str {
    if ip.is_ipv6() { "ip6" } else { "ip" }
}

/// Returns the loopback addresses of the family.
fn loopback(of: IpAddr) -> Value {
    match of {
        IpAddr::V4(_) => json!({"prefix": {"addr": "127.0.0.0", "len": 8}}),
        IpAddr::V6(_) => Value::from("::1"),
    }
}

fn payload(protocol: &str, field: &str) -> Value {
    json!({"payload": {"protocol": protocol, "field": field}})
}

fn equal(left: Value, right: impl Into<Value>) -> Value {
    json!({"match": {"op": "==", "left": left, "right": right.into()}})
}

/// Returns what tells the connections of forwards from all others.
pub(super) fn ours() -> [Value; 2] {
    let mark = json!({"&": [{"ct": {"key": "mark"}}, MARK]});
    let status = json!({"match": {"op": "in", "left": {"ct": {"key": "status"}}, "right": "dnat"}});
    [status, equal(mark, MARK)]
}

fn rule(chain: &str, comment: &str, expr: Vec<Value>) -> Value {
    let (family, table) = TABLE;
    let mut rule = json!({"family": family, "table": table, "chain": chain, "expr": expr});
    if !comment.is_empty() {
        rule["comment"] = Value::from(comment);
    }
    json!({"add": {"rule": rule}})
}

fn chain(name: &str, hook: Option<(&str, &str, i32)>) -> Value {
    let (family, table) = TABLE;
    let mut chain = json!({"family": family, "table": table, "name": name});
    if let Some((kind, hook, priority)) = hook {
        chain["type"] = Value::from(kind);
        chain["hook"] = Value::from(hook);
        chain["prio"] = Value::from(priority);
        chain["policy"] = Value::from("accept");
    }
    json!({"add": {"chain": chain}})
}

/// Returns the commands that make the table anew, or take it away if there are no rules: in one
/// transaction with what follows.
pub(super) fn table(rules: &[Rule]) -> Vec<Value> {
    let table = json!({"table": {"family": TABLE.0, "name": TABLE.1}});
    // Deleting one that is not there is an error, adding one that is there is none.
    let mut all = vec![json!({"add": table}), json!({"delete": table})];
    if rules.is_empty() {
        return all;
    }
    all.push(json!({"add": table}));
    all.extend([
        chain(FORWARDS, None),
        // As all that changes destinations does: nft(8), `dstnat`.
        chain("prerouting", Some(("nat", "prerouting", -100))),
        chain("output", Some(("nat", "output", -100))),
        chain("postrouting", Some(("nat", "postrouting", 100))),
        // Before connections are tracked, and after all that changes addresses.
        chain("from_loopback", Some(("filter", "output", -300))),
        chain("to_loopback", Some(("filter", "input", 110))),
    ]);
    all.extend(rules.iter().map(Rule::lead));
    let local = || {
        let fib = json!({"fib": {"result": "type", "flags": ["daddr"]}});
        vec![equal(fib, "local"), json!({"jump": {"target": FORWARDS}})]
    };
    // From outside nothing reaches the host's loopback, also not what a forward is on.
    for ip in [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])] {
        let to = equal(payload(family(ip), "daddr"), loopback(ip));
        all.push(rule("prerouting", "", vec![to, json!({"return": null})]));
    }
    all.push(rule("prerouting", "", local()));
    all.push(rule("output", "", local()));
    let nets: BTreeSet<IpNet> = rules.iter().map(|rule| rule.target.net).collect();
    all.extend(nets.into_iter().map(hairpin));
    all.extend(rules.iter().filter_map(Rule::leave_loopback));
    let families: BTreeSet<bool> = rules.iter().map(|rule| rule.target.ip.is_ipv6()).collect();
    all.extend(families.into_iter().map(reach_loopback));
    all
}

/// Gives what comes from a machine's own network the host's address.
fn hairpin(net: IpNet) -> Value {
    let family = family(net.addr());
    let net = json!({"prefix": {"addr": net.addr().to_string(), "len": net.prefix_len()}});
    let mut all = ours().to_vec();
    all.push(equal(payload(family, "saddr"), net.clone()));
    all.push(equal(payload(family, "daddr"), net));
    all.push(json!({"masquerade": null}));
    rule("postrouting", "", all)
}

/// Gives the answers to what left the loopback the address back that it came from.
fn reach_loopback(six: bool) -> Value {
    let (family, own) = if six { ("ip6", "::1") } else { ("ip", "127.0.0.1") };
    let ip: IpAddr = if six { [0, 0, 0, 0, 0, 0, 0, 1].into() } else { [127, 0, 0, 1].into() };
    let asked = json!({"ct": {"key": format!("{family} daddr"), "dir": "original"}});
    let mut all = ours().to_vec();
    all.push(equal(json!({"ct": {"key": "direction"}}), "reply"));
    all.push(equal(asked, loopback(ip)));
    all.push(json!({"mangle": {"key": payload(family, "daddr"), "value": own}}));
    rule("to_loopback", "", all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(ip: &str, host: &str, net: &str) -> Target {
        let (ip, host, net) = (ip.parse().unwrap(), host.parse().unwrap(), net.parse().unwrap());
        Target { ip, host, net }
    }

    fn rule_of(spec: &str, listen: Option<&str>, target: Target) -> Option<Rule> {
        let listen = listen.map(|ip| ip.parse().unwrap());
        Rule::new("web1", &Forward::new(spec.parse().unwrap(), listen), target)
    }

    #[test]
    fn the_whole_table_is_as_it_was_read_and_tried() {
        let four = target("10.7.0.5", "10.7.0.1", "10.7.0.0/24");
        let six = target("fd07::5", "fd07::1", "fd07::/64");
        let rules: Vec<Rule> = [
            rule_of("2201:22", None, four),
            rule_of("2201:22", None, six),
            rule_of("5353:53/udp", Some("192.168.1.5"), four),
            rule_of("5353:53/udp", Some("192.168.1.5"), six),
            rule_of("8080:80", Some("127.0.0.1"), four),
        ]
        .into_iter()
        .flatten()
        .collect();
        assert_eq!(rules.len(), 4);
        let lines: Vec<String> = table(&rules).iter().map(Value::to_string).collect();
        let golden = include_str!("rules.golden.jsonl");
        assert_eq!(lines.join("\n") + "\n", golden);
    }

    #[test]
    fn a_long_name_does_not_make_a_rule_that_nft_refuses() {
        let listen = "2001:db8:1111:2222:3333:4444:5555:6666".parse().ok();
        let forward = Forward::new("65535:65535/udp".parse().unwrap(), listen);
        let text = comment(&"ä".repeat(200), &forward);
        assert!(
            text.len() <= 127
                && text.ends_with("ä [2001:db8:1111:2222:3333:4444:5555:6666]:65535/udp")
        );
    }

    #[test]
    fn no_forwards_leave_no_table() {
        let lines: Vec<String> = table(&[]).iter().map(Value::to_string).collect();
        let table = r#"{"table":{"family":"inet","name":"kiln"}}"#;
        assert_eq!(lines, [format!(r#"{{"add":{table}}}"#), format!(r#"{{"delete":{table}}}"#)]);
    }
}
