// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What lets forwards through where libvirt refuses all that comes from outside. Pure.
//!
//! libvirt ends what it writes for a network by a rule that rejects new connections into it. No
//! table of anybody else's can accept them: an `accept` ends its own chain only (nft(8)). So two
//! rules stand where libvirt's own begin, in the chain that the kernel calls: the first has
//! libvirt's rules about *leaving* a network judge the packet (an isolated network stays so), the
//! second accepts it. In libvirt's chains proper they would not stay in front: it puts its rules
//! at their heads anew when it is restarted.
//!
//! Source: measured with libvirt 11.3.0, both backends (docs/design/0017-forwards.md).

use kiln_host::tools::iptables::Filter;
use kiln_host::tools::nft;
use serde_json::{Value, json};

use super::rules::{MARK, ours};

/// What is written on both rules.
const COMMENT: &str = "kiln";
/// libvirt's table of its backend `nftables`, the chain in it that the kernel calls, and the one
/// about leaving a network.
const NFT: (&str, &str, &str) = ("libvirt_network", "forward", "guest_output");
/// The chain of `iptables` that the kernel calls.
pub(super) const FORWARD: &str = "FORWARD";
/// libvirt's chain about leaving a network, of its backend `iptables`.
const FWO: &str = "LIBVIRT_FWO";

/// Returns libvirt's chain to look into for the rules of that family; `None` if libvirt has
/// none there.
pub(super) fn nft_chain(
    chains: &[nft::Chain],
    family: &str,
) -> Option<(&'static str, &'static str)> {
    let (table, forward, output) = NFT;
    let has = |name: &str| {
        let same = |c: &nft::Chain| c.family == family && c.table == table && c.name == name;
        chains.iter().any(same)
    };
    (has(forward) && has(output)).then_some((table, forward))
}

/// Whether `iptables` keeps libvirt's rules of that family, by its variant nf_tables.
pub(super) fn uses_iptables(chains: &[nft::Chain], family: &str) -> bool {
    chains.iter().any(|c| c.family == family && c.table == "filter" && c.name == FWO)
}

/// Returns the commands for libvirt's chain, of which `there` are the rules: the two are taken
/// out, and put in again if they are `wanted`.
pub(super) fn for_nft(family: &str, there: &[nft::Rule], wanted: bool) -> Vec<Value> {
    let (table, chain, output) = NFT;
    let old = there.iter().filter(|rule| rule.comment.as_deref() == Some(COMMENT));
    let mut all: Vec<Value> = old
        .map(|rule| {
            let rule =
                json!({"family": family, "table": table, "chain": chain, "handle": rule.handle});
            json!({"delete": {"rule": rule}})
        })
        .collect();
    if wanted {
        // Each is put at the head: the last one comes first.
        for verdict in [json!({"accept": null}), json!({"jump": {"target": output}})] {
            let mut expr = ours().to_vec();
            expr.push(verdict);
            let rule = json!({"family": family, "table": table, "chain": chain, "comment": COMMENT, "expr": expr});
            all.push(json!({"insert": {"rule": rule}}));
        }
    }
    all
}

/// One change of the chain [`FORWARD`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Takes such a rule out.
    Delete(Vec<String>),
    /// Puts it at the head.
    Insert(Vec<String>),
}

/// Returns what is to be done with `iptables`; nothing if all is as it should be.
pub(super) fn for_iptables(filter: &Filter, wanted: bool) -> Vec<Step> {
    let rules = filter.rules.iter().filter(|(chain, _)| chain == FORWARD);
    let all: Vec<Option<&str>> = rules.map(|(_, rule)| target_of_ours(rule)).collect();
    let old: Vec<&str> = all.iter().copied().flatten().collect();
    let wanted = wanted && filter.chains.iter().any(|chain| chain == FWO);
    let goal: &[&str] = if wanted { &[FWO, "ACCEPT"] } else { &[] };
    let in_front = all.iter().take(goal.len()).copied().eq(goal.iter().map(|to| Some(*to)));
    if old == goal && in_front {
        return Vec::new();
    }
    let delete = old.iter().map(|to| Step::Delete(words(to)));
    let insert = goal.iter().rev().map(|to| Step::Insert(words(to)));
    delete.chain(insert).collect()
}

/// Returns where a rule of ours leads; `None` if it is not ours.
fn target_of_ours(rule: &str) -> Option<&str> {
    let words: Vec<&str> = rule.split(' ').collect();
    let after = |flag: &str| {
        let at = words.iter().position(|word| *word == flag)?;
        words.get(at + 1).copied()
    };
    (after("--comment")?.trim_matches('"') == COMMENT).then(|| after("-j")).flatten()
}

/// Returns the words of a rule. It has a match before its target: libvirt takes one without for
/// its own, and misses that (seen: it then adds its own again at each start).
fn words(target: &str) -> Vec<String> {
    let mark = format!("{MARK:#x}/{MARK:#x}");
    let words = ["-m", "connmark", "--mark", &mark, "-m", "conntrack", "--ctstate", "DNAT"];
    let more = ["-m", "comment", "--comment", COMMENT, "-j", target];
    words.iter().chain(&more).map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(rules: &[&str]) -> Filter {
        let of = |rule: &&str| (FORWARD.to_owned(), (*rule).to_owned());
        Filter { chains: vec![FWO.into()], rules: rules.iter().map(of).collect() }
    }

    #[test]
    fn libvirts_chain_gets_both_once() {
        let rule =
            |handle, comment: Option<&str>| nft::Rule { handle, comment: comment.map(Into::into) };
        let lines: Vec<String> = for_nft("ip", &[rule(20, Some("kiln")), rule(7, None)], true)
            .iter()
            .map(Value::to_string)
            .collect();
        let head = r#""family":"ip","table":"libvirt_network","chain":"forward""#;
        let ours = r#"{"match":{"op":"in","left":{"ct":{"key":"status"}},"right":"dnat"}},{"match":{"op":"==","left":{"&":[{"ct":{"key":"mark"}},67108864]},"right":67108864}}"#;
        assert_eq!(
            lines,
            [
                format!(r#"{{"delete":{{"rule":{{{head},"handle":20}}}}}}"#),
                format!(
                    r#"{{"insert":{{"rule":{{{head},"comment":"kiln","expr":[{ours},{{"accept":null}}]}}}}}}"#
                ),
                format!(
                    r#"{{"insert":{{"rule":{{{head},"comment":"kiln","expr":[{ours},{{"jump":{{"target":"guest_output"}}}}]}}}}}}"#
                ),
            ]
        );
        assert_eq!(for_nft("ip", &[rule(7, None)], false), Vec::<Value>::new());
    }

    #[test]
    fn iptables_has_both_in_front_or_neither() {
        let [out, accept] = [FWO, "ACCEPT"].map(|to| words(to).join(" "));
        assert_eq!(
            accept,
            "-m connmark --mark 0x4000000/0x4000000 -m conntrack --ctstate DNAT -m comment --comment kiln -j ACCEPT"
        );
        let (own, delete, insert) =
            ("-j LIBVIRT_FWX", |to| Step::Delete(words(to)), |to| Step::Insert(words(to)));
        let fresh = vec![insert("ACCEPT"), insert(FWO)];
        assert_eq!(for_iptables(&filter(&[own]), true), fresh);
        assert_eq!(for_iptables(&filter(&[&out, &accept, own]), true), []);
        let again = vec![delete(FWO), delete("ACCEPT"), insert("ACCEPT"), insert(FWO)];
        assert_eq!(for_iptables(&filter(&[own, &out, &accept]), true), again);
        assert_eq!(for_iptables(&filter(&[&out, own]), false), [delete(FWO)]);
        assert_eq!(for_iptables(&filter(&[own]), false), []);
        // Where libvirt has no rules, none is in the way.
        assert_eq!(for_iptables(&Filter::default(), true), []);
    }
}
