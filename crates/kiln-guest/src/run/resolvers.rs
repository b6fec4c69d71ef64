// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The host's resolvers, as a guest's program on the host's network can use them.

use std::fs;

/// Where programs of the host look for resolvers.
const USUAL: &str = "/etc/resolv.conf";
/// Where systemd-resolved writes the resolvers that it asks itself.
const UPSTREAM: &str = "/run/systemd/resolve/resolv.conf";
/// systemd-resolved's own address: it answers to the host's programs alone, and not always.
const STUB: &str = "127.0.0.53";
/// The most bytes that are taken of a file.
const MOST: usize = 64 << 10;

/// Returns the lines of resolv.conf(5) for a guest's programs: the host's, or if those only lead
/// to systemd-resolved's stub, the resolvers that it asks. Empty if the host has none.
#[must_use]
pub fn resolvers() -> Vec<u8> {
    choose(fs::read(USUAL).ok(), || fs::read(UPSTREAM).ok())
}

fn choose(usual: Option<Vec<u8>>, upstream: impl FnOnce() -> Option<Vec<u8>>) -> Vec<u8> {
    let usual = usual.unwrap_or_default();
    let text = String::from_utf8_lossy(&usual);
    let mut servers = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    let stubs = servers.all(|server| server.trim() == STUB);
    let mut lines = if stubs { upstream().unwrap_or(usual) } else { usual };
    lines.truncate(MOST);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stub_is_passed_over() {
        let real = || Some(b"nameserver 9.9.9.9\n".to_vec());
        let plain = b"search x\nnameserver 1.1.1.1\n".to_vec();
        assert_eq!(choose(Some(plain.clone()), real), plain);
        let stub = b"# c\nnameserver 127.0.0.53\noptions edns0\n".to_vec();
        assert_eq!(choose(Some(stub.clone()), real), b"nameserver 9.9.9.9\n");
        assert_eq!(choose(Some(stub.clone()), || None), stub);
        assert_eq!(choose(None, || None), b"");
    }
}
