// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a network of a host is to be: how it reaches the outside, and which addresses it gives.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::word::{WordError, is_file_word, is_word, word};

/// The most characters of a name of an interface of Linux (IFNAMSIZ less its end).
const MOST_DEVICE: usize = 15;
/// The most addresses of a range that libvirt 9 takes: `virSocketAddrGetRange`.
const MOST_LEASES: u32 = 65_535;
/// The most characters of a domain's name: RFC 1035, 2.3.4.
const MOST_DOMAIN: usize = 253;

/// How the machines on a network reach the outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkMode {
    /// Behind the host's address.
    Nat,
    /// Routed by the host; others must know the way back.
    Routed,
    /// Not at all: they reach each other and the host.
    Isolated,
    /// Routed, with no firewall rules of libvirt's.
    Open,
    /// A bridge that the host has: what it is connected to gives out addresses.
    Bridge(DeviceName),
    /// An interface of the host, shared by macvtap. Machines do not reach the host itself.
    Macvtap(DeviceName),
}

impl NetworkMode {
    /// Returns the word for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Nat => "nat",
            Self::Routed => "routed",
            Self::Isolated => "isolated",
            Self::Open => "open",
            Self::Bridge(_) => "bridge",
            Self::Macvtap(_) => "macvtap",
        }
    }

    /// Whether libvirt makes a bridge for it, gives out its addresses and answers its names.
    #[must_use]
    pub const fn is_libvirts(&self) -> bool {
        !matches!(self, Self::Bridge(_) | Self::Macvtap(_))
    }
}

/// A name that the network's DNS server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsHost {
    /// The name.
    pub name: DomainName,
    /// Its address.
    pub address: IpAddr,
}

/// The first and the last address that DHCP gives out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DhcpRange {
    /// The first.
    pub first: Ipv4Addr,
    /// The last.
    pub last: Ipv4Addr,
}

/// A network to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkSpec {
    /// Its name.
    pub name: NetworkName,
    /// How it reaches the outside.
    pub mode: NetworkMode,
    /// Its IPv4 addresses; the host has the first.
    pub ipv4: Option<Ipv4Net>,
    /// What DHCP gives out of them; nothing if it is not named.
    pub dhcp: Option<DhcpRange>,
    /// Its IPv6 addresses; the host has the first, and announces the prefix to machines.
    pub ipv6: Option<Ipv6Net>,
    /// The domain of its machines' names.
    pub domain: Option<DomainName>,
    /// More names that its DNS server answers.
    pub hosts: Vec<DnsHost>,
}

/// Why something cannot be a network, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// A name that cannot be one.
    #[error(transparent)]
    Name(#[from] WordError),
    /// A text that is no range of addresses.
    #[error(
        "`{text}` is no range of IPv4 addresses; write it like `192.168.101.100-192.168.101.199`"
    )]
    Range {
        /// The text.
        text: String,
    },
    /// A text that is no name with an address.
    #[error("`{text}` is no name with an address; write it like `db.shop.lan=192.168.101.5`")]
    Host {
        /// The text.
        text: String,
    },
    /// Addresses for a network that others give addresses to.
    #[error("a network of the mode `{mode}` has no addresses of its own")]
    Foreign {
        /// The mode.
        mode: &'static str,
    },
    /// A network of addresses that is written with one of its addresses.
    #[error("`{net}` is an address in the network `{meant}`")]
    NotANetwork {
        /// What is written.
        net: IpNet,
        /// The network that it lies in.
        meant: IpNet,
    },
    /// Too few addresses, or too many.
    #[error("`{net}` cannot be a network of machines: {why}")]
    Size {
        /// The network.
        net: IpNet,
        /// What is wrong.
        why: &'static str,
    },
    /// A range that is not in the network.
    #[error("the range {range} is not one of machines in `{net}`: {why}")]
    Outside {
        /// The range.
        range: DhcpRange,
        /// The network.
        net: Ipv4Net,
        /// What is wrong.
        why: &'static str,
    },
    /// DHCP without IPv4 addresses.
    #[error("DHCP needs a network of IPv4 addresses to give out")]
    NoSubnet,
    /// No address at all.
    #[error("a network of the mode `{mode}` needs addresses, of IPv4 or IPv6")]
    NoAddresses {
        /// The mode.
        mode: &'static str,
    },
}

impl NetworkSpec {
    /// Returns the host's IPv4 address in it: the first.
    #[must_use]
    pub fn gateway(&self) -> Option<Ipv4Addr> {
        self.ipv4.map(first)
    }

    /// Returns the host's IPv6 address in it: the first after the network's own.
    #[must_use]
    pub fn gateway6(&self) -> Option<Ipv6Addr> {
        self.ipv6.map(|net| Ipv6Addr::from(u128::from(net.network()) + 1))
    }

    /// Returns the range that DHCP gives out if none is named: all but the host's own address, or
    /// the first of them.
    #[must_use]
    pub fn usual_range(net: Ipv4Net) -> DhcpRange {
        let first = u32::from(first(net)) + 1;
        let last = u32::from(net.broadcast()) - 1;
        DhcpRange { first: first.into(), last: last.min(first + MOST_LEASES - 1).into() }
    }

    /// Checks that its parts go together.
    ///
    /// # Errors
    ///
    /// [`NetworkError`], all but those of single words.
    pub fn check(&self) -> Result<(), NetworkError> {
        let mode = self.mode.word();
        let has_own = self.ipv4.is_some() || self.ipv6.is_some() || self.dhcp.is_some();
        let answers = self.domain.is_some() || !self.hosts.is_empty();
        if !self.mode.is_libvirts() {
            let own = has_own || answers;
            return if own { Err(NetworkError::Foreign { mode }) } else { Ok(()) };
        }
        if let Some(net) = self.ipv4 {
            whole(net.into(), net.trunc().into())?;
            if net.prefix_len() > 29 || net.prefix_len() < 8 {
                let why = "its prefix is to have 8 to 29 bits";
                return Err(NetworkError::Size { net: net.into(), why });
            }
        }
        if let Some(net) = self.ipv6 {
            whole(net.into(), net.trunc().into())?;
            if net.prefix_len() != 64 {
                let why = "machines make their own addresses of a prefix of 64 bits";
                return Err(NetworkError::Size { net: net.into(), why });
            }
        }
        match (self.ipv4, self.dhcp) {
            (Some(net), Some(range)) => range.check(net),
            (None, Some(_)) => Err(NetworkError::NoSubnet),
            (None, None) if self.ipv6.is_none() && !matches!(self.mode, NetworkMode::Isolated) => {
                Err(NetworkError::NoAddresses { mode })
            }
            _ => Ok(()),
        }
    }
}

/// Returns the first address of a network that a machine can have.
fn first(net: Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(net.network()) + 1)
}

fn whole(net: IpNet, meant: IpNet) -> Result<(), NetworkError> {
    if net == meant { Ok(()) } else { Err(NetworkError::NotANetwork { net, meant }) }
}

impl DhcpRange {
    fn check(self, net: Ipv4Net) -> Result<(), NetworkError> {
        let wrong = |why| Err(NetworkError::Outside { range: self, net, why });
        let inside =
            |ip: Ipv4Addr| net.contains(&ip) && ip != net.network() && ip != net.broadcast();
        if !inside(self.first) || !inside(self.last) {
            return wrong("it begins or ends outside");
        }
        if self.first > self.last {
            return wrong("its end comes before its beginning");
        }
        if u32::from(self.last) - u32::from(self.first) >= MOST_LEASES {
            return wrong("libvirt takes 65535 addresses at most");
        }
        if (self.first..=self.last).contains(&first(net)) {
            return wrong("it holds the host's own address, the first");
        }
        Ok(())
    }
}

impl fmt::Display for DhcpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl FromStr for DhcpRange {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let ends = text.split_once('-').and_then(|(first, last)| {
            Some(Self { first: first.parse().ok()?, last: last.parse().ok()? })
        });
        ends.ok_or_else(|| NetworkError::Range { text: text.to_owned() })
    }
}

impl FromStr for DnsHost {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let wrong = || NetworkError::Host { text: text.to_owned() };
        let (name, address) = text.split_once('=').ok_or_else(wrong)?;
        Ok(Self { name: name.parse()?, address: address.parse().map_err(|_| wrong())? })
    }
}

word!(
    /// The name of a network: what stands in the XML of machines, and in a file name of the host.
    NetworkName,
    "name of a network",
    "it begins with a letter or digit, and has letters, digits, `-`, `_` and `.`, at most 200",
    is_file_word
);
word!(
    /// The name of an interface of the host: `br0`.
    DeviceName,
    "name of an interface",
    "it has letters, digits, `-`, `_`, `.` and `@`, at most 15",
    |name| is_word(name, MOST_DEVICE, "-_.@")
);
word!(
    /// The domain of the names of a network's machines: `shop.lan`.
    DomainName,
    "name of a domain",
    "it is labels of letters, digits and `-`, with `.` between them",
    |name| {
        let is_label = |label: &str| is_word(label, 63, "-") && !label.ends_with('-');
        name.len() <= MOST_DOMAIN && name.split('.').all(is_label)
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(mode: NetworkMode, net: Option<&str>, dhcp: Option<&str>) -> NetworkSpec {
        NetworkSpec {
            name: "lan".parse().unwrap(),
            mode,
            ipv4: net.map(|net| net.parse().unwrap()),
            dhcp: dhcp.map(|range| range.parse().unwrap()),
            ipv6: None,
            domain: None,
            hosts: Vec::new(),
        }
    }

    fn said(mode: NetworkMode, net: Option<&str>, dhcp: Option<&str>) -> String {
        spec(mode, net, dhcp).check().unwrap_err().to_string()
    }

    #[test]
    fn the_host_has_the_first_address_and_dhcp_the_others() {
        let lan = spec(NetworkMode::Nat, Some("192.168.101.0/24"), None);
        assert_eq!(lan.check(), Ok(()));
        assert_eq!(lan.gateway().unwrap().to_string(), "192.168.101.1");
        let usual = NetworkSpec::usual_range(lan.ipv4.unwrap());
        assert_eq!(usual.to_string(), "192.168.101.2-192.168.101.254");
        assert_eq!(usual.check(lan.ipv4.unwrap()), Ok(()));
        // libvirt takes no larger range.
        let large = spec(NetworkMode::Nat, Some("10.0.0.0/8"), None);
        let usual = NetworkSpec::usual_range(large.ipv4.unwrap());
        assert_eq!(usual.to_string(), "10.0.0.2-10.1.0.0");
        assert_eq!(usual.check(large.ipv4.unwrap()), Ok(()));
        let larger = Some("10.0.0.2-10.1.0.1");
        assert!(said(NetworkMode::Nat, Some("10.0.0.0/8"), larger).contains("65535 addresses"));
        let six = NetworkSpec { ipv6: Some("fd00:1::/64".parse().unwrap()), ..lan };
        assert_eq!(six.check(), Ok(()));
        assert_eq!(six.gateway6().unwrap().to_string(), "fd00:1::1");
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let net = Some("10.1.0.0/24");
        let nat = || NetworkMode::Nat;
        assert_eq!(
            said(nat(), Some("10.1.0.7/24"), None),
            "`10.1.0.7/24` is an address in the network `10.1.0.0/24`"
        );
        assert!(said(nat(), Some("10.1.0.0/30"), None).contains("8 to 29 bits"));
        assert_eq!(
            said(nat(), net, Some("10.1.1.5-10.1.1.9")),
            "the range 10.1.1.5-10.1.1.9 is not one of machines in `10.1.0.0/24`: it begins or ends outside"
        );
        assert!(said(nat(), net, Some("10.1.0.9-10.1.0.5")).contains("before its beginning"));
        assert!(said(nat(), net, Some("10.1.0.1-10.1.0.5")).contains("the host's own address"));
        assert!(said(nat(), net, Some("10.1.0.5-10.1.0.255")).contains("ends outside"));
        assert_eq!(
            said(nat(), None, None),
            "a network of the mode `nat` needs addresses, of IPv4 or IPv6"
        );
        let bridge = NetworkMode::Bridge("br0".parse().unwrap());
        assert!(said(bridge, net, None).contains("no addresses of its own"));
        assert_eq!(spec(NetworkMode::Isolated, None, None).check(), Ok(()));
        let mut six = spec(nat(), net, None);
        six.ipv6 = Some("fd00::/48".parse().unwrap());
        assert!(six.check().unwrap_err().to_string().contains("64 bits"));
    }

    #[test]
    fn words_are_checked() {
        for name in ["", "-a", "a/b", "a b", "../x"] {
            assert!(name.parse::<NetworkName>().is_err(), "{name}");
        }
        assert!("br0".parse::<DeviceName>().is_ok());
        assert!("a-name-too-long-for-linux".parse::<DeviceName>().is_err());
        assert!("shop.lan".parse::<DomainName>().is_ok());
        for domain in ["shop..lan", "-a.b", "a-.b", "a_b"] {
            assert!(domain.parse::<DomainName>().is_err(), "{domain}");
        }
        let host: DnsHost = "db.lan=10.0.0.5".parse().unwrap();
        assert_eq!((host.name.as_str(), host.address.to_string()), ("db.lan", "10.0.0.5".into()));
        assert!("db.lan".parse::<DnsHost>().is_err() && "db=x".parse::<DnsHost>().is_err());
        assert!("10.0.0.5".parse::<DhcpRange>().is_err());
    }
}
