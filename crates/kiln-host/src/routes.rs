// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which networks this host reaches without a gateway to everywhere: where no other may be.
//!
//! Source: the kernel's tables, `/proc/net/route` and `/proc/net/ipv6_route` (Linux,
//! net/ipv4/fib_trie.c and net/ipv6/route.c).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use crate::read;

/// The most of a table that is read: a full table of the Internet has other machines.
const MOST: u64 = 16 << 20;

/// A network that the host has a route to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its first address.
    pub address: IpAddr,
    /// The length of its prefix.
    pub prefix: u8,
    /// The interface that leads there.
    pub device: String,
}

/// Returns the host's routes, but for those to everywhere. A table that cannot be read has none.
#[must_use]
pub fn all() -> Vec<Route> {
    let text = |path: &str| {
        let bytes = read::bounded(Path::new(path), MOST).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (four, six) = (text("/proc/net/route"), text("/proc/net/ipv6_route"));
    let lines = four.lines().filter_map(line4).chain(six.lines().filter_map(line6));
    lines.filter(|route| route.prefix > 0 && route.device != "lo").collect()
}

/// Reads a line of `/proc/net/route`: numbers are in the host's order of bytes, as the kernel has
/// them in memory, and so reversed on a little-endian one.
fn line4(line: &str) -> Option<Route> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let number = |n: usize| u32::from_str_radix(fields.get(n)?, 16).ok();
    let address = Ipv4Addr::from(number(1)?.to_ne_bytes());
    let mask = u32::from_be_bytes(number(7)?.to_ne_bytes());
    let prefix = u8::try_from(mask.leading_ones()).ok()?;
    Some(Route { address: address.into(), prefix, device: (*fields.first()?).to_owned() })
}

fn line6(line: &str) -> Option<Route> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let address = Ipv6Addr::from(u128::from_str_radix(fields.first()?, 16).ok()?);
    let prefix = u8::from_str_radix(fields.get(1)?, 16).ok()?;
    // What is no network of its own: multicast, and each interface's own addresses.
    let special = address.is_multicast() || address.is_unicast_link_local() || prefix == 128;
    let device = (*fields.get(9)?).to_owned();
    (!special).then_some(Route { address: address.into(), prefix, device })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_kernel_are_read() {
        assert_eq!(line4("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t"), None);
        if cfg!(target_endian = "little") {
            let line = "virbr0\t007AA8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0";
            let address = "192.168.122.0".parse().unwrap();
            let route = Route { address, prefix: 24, device: "virbr0".into() };
            assert_eq!(line4(line), Some(route));
        }
        let line = "fd000101000000000000000000000000 40 00000000000000000000000000000000 00 \
                    00000000000000000000000000000000 00000100 00000001 00000000 00000001     br0";
        let address = "fd00:101::".parse().unwrap();
        assert_eq!(line6(line), Some(Route { address, prefix: 64, device: "br0".into() }));
        let link = line.replacen("fd000101", "fe800000", 1);
        assert_eq!(line6(&link), None);
    }

    #[test]
    fn this_host_has_no_route_to_everywhere_in_it() {
        assert!(all().iter().all(|route| route.prefix > 0));
    }
}
