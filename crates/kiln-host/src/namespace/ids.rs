// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which ids of the host stand for the guest's users.
//!
//! Root gives a high range that no account has; others what `/etc/subuid` and `/etc/subgid` give
//! them, through `newuidmap` and `newgidmap`. The guest's root is never the host's: as that it
//! could write in `/proc/sys`. Source: `user_namespaces(7)`, subuid(5), newuidmap(1).

use std::fs;
use std::path::Path;

use rustix::process::{getgid, getuid};

use super::SpaceError;
use crate::cmd::{Cmd, Tool};
use crate::run::{Host, RealHost};

/// The first of the host's ids for a guest's users, when root runs its programs: above those
/// that systemd hands out.
const ROOT_BASE: u32 = 0x7100_0000;
/// How many ids a guest has then.
const ROOT_COUNT: u32 = 0x0400_0000;

/// A run of ids of the host that begins with the one for the guest's 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u32,
    pub(super) count: u32,
}

/// Gives the process `pid`, which has just left the caller's user namespace, the guest's ids,
/// and behind them the caller's own one.
pub(super) fn map_outer(pid: u32) -> Result<(), SpaceError> {
    let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
    if uid == 0 {
        let range = root_range(&read("/proc/self/uid_map")?);
        let line = format!("0 {} {}\n{} 0 1\n", range.first, range.count, range.count);
        let folder = format!("/proc/{pid}");
        write(&format!("{folder}/uid_map"), &line)?;
        return write(&format!("{folder}/gid_map"), &line);
    }
    let name = name(uid);
    for (tool, file, id) in
        [(Tool::Newuidmap, "/etc/subuid", uid), (Tool::Newgidmap, "/etc/subgid", gid)]
    {
        let text = fs::read_to_string(file).unwrap_or_default();
        let Some(range) = subordinate(&text, &name, uid) else {
            return Err(SpaceError::NoIds { user: name, file });
        };
        let numbers = [pid, 0, range.first, range.count, range.count, id, 1];
        let cmd = Cmd::new(tool).args(numbers.map(|n| n.to_string()));
        RealHost.run(&cmd).map_err(|source| SpaceError::Map { source: Box::new(source) })?;
    }
    Ok(())
}

/// Gives a process below us the guest's ids alone: all that we have but the last.
pub(super) fn map_inner(pid: u32) -> Result<(), SpaceError> {
    for file in ["uid_map", "gid_map"] {
        let ours = read(&format!("/proc/self/{file}"))?;
        let count = numbers(&ours).find(|line| line[0] == 0).map_or(1, |line| line[2]);
        write(&format!("/proc/{pid}/{file}"), &format!("0 0 {count}\n"))?;
    }
    Ok(())
}

/// Returns the range that root takes: the usual one, or in a container the upper part of what
/// the container has.
fn root_range(map: &str) -> Range {
    let most = numbers(map).max_by_key(|line| line[2]).unwrap_or([0, 0, 1]);
    let end = u64::from(most[0]) + u64::from(most[2]);
    if end >= u64::from(ROOT_BASE) + u64::from(ROOT_COUNT) {
        return Range { first: ROOT_BASE, count: ROOT_COUNT };
    }
    let half = most[2] / 2;
    Range { first: most[0] + half, count: (most[2] - half).min(ROOT_COUNT) }
}

/// Returns the largest range that the lines of subuid(5) give a user.
fn subordinate(text: &str, name: &str, uid: u32) -> Option<Range> {
    let uid = uid.to_string();
    let ranges = text.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let user = fields.next()?;
        let (first, count) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        (user == name || user == uid).then_some(Range { first, count })
    });
    ranges.filter(|range| range.count > 0).max_by_key(|range| range.count)
}

/// Returns the lines of a map: first id inside, first id outside, how many.
fn numbers(map: &str) -> impl Iterator<Item = [u32; 3]> {
    map.lines().filter_map(|line| {
        let mut words = line.split_whitespace().map(|word| word.parse().ok());
        Some([words.next()??, words.next()??, words.next()??])
    })
}

/// Returns the name of a user, or the number where it has none.
fn name(uid: u32) -> String {
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let number = uid.to_string();
    let named = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then(|| name.to_owned())
    });
    named.unwrap_or(number)
}

fn read(path: &str) -> Result<String, SpaceError> {
    fs::read_to_string(path).map_err(SpaceError::system(format!("read `{path}`")))
}

fn write(path: &str, line: &str) -> Result<(), SpaceError> {
    fs::write(Path::new(path), line).map_err(SpaceError::system(format!("write `{path}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_the_largest_of_their_ranges() {
        let text = "a:100:10\nb:5:6\na:1000:65536\n1001:7:70000\nc:x:y\n";
        assert_eq!(subordinate(text, "a", 9), Some(Range { first: 1000, count: 65536 }));
        assert_eq!(subordinate(text, "z", 1001), Some(Range { first: 7, count: 70000 }));
        assert_eq!(subordinate(text, "c", 9), None);
    }

    #[test]
    fn root_in_a_container_has_what_the_container_has() {
        let whole = root_range("         0          0 4294967295\n");
        assert_eq!(whole, Range { first: ROOT_BASE, count: ROOT_COUNT });
        let small = root_range("0 1000 1\n1 100000 65536\n");
        assert_eq!(small, Range { first: 32769, count: 32768 });
    }
}
