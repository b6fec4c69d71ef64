// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An interface of a machine: what it is on, and how it gets its addresses. Written
//! `NETWORK[,KEY=VALUE…]`, as the options of QEMU and virt-install are.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

use crate::mac::Mac;
use crate::yaml::nearest;

/// What may follow the network's name.
const KEYS: &[&str] = &["ip", "static", "gateway", "dns", "mac"];

/// An interface to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceSpec {
    /// The host's network; `user` for user-mode networking.
    pub network: String,
    /// How it gets its addresses.
    pub addressing: Addressing,
    /// Its hardware address, if it is to be this one.
    pub mac: Option<Mac>,
}

/// How an interface gets its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addressing {
    /// The network gives it one, by DHCP.
    Dhcp,
    /// The network gives it one that is reserved for it: this one, or any that is free.
    Reserved(Option<Ipv4Addr>),
    /// The guest is told them.
    Static(StaticAddresses),
}

/// Addresses that a guest is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StaticAddresses {
    /// Its own, each with the length of its network's prefix.
    pub addresses: Vec<IpNet>,
    /// Where it sends what is for elsewhere: at most one of IPv4 and one of IPv6.
    pub gateways: Vec<IpAddr>,
    /// The name servers that it asks.
    pub dns: Vec<IpAddr>,
}

/// Why a text is no interface.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InterfaceError {
    /// No network is named first.
    #[error("`{text}` names no network; write it like `lan`, `lan,ip=192.168.101.10`")]
    NoNetwork {
        /// The text.
        text: String,
    },
    /// A word that is no `KEY=VALUE`, or an unknown key.
    #[error("`{word}` is none of {}{}", KEYS.join("=, ") + "=", meant(*.near))]
    Key {
        /// The word.
        word: String,
        /// The key that it is nearest to.
        near: Option<&'static str>,
    },
    /// A value that is none of its key.
    #[error("`{key}={value}` is not {wanted}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// Keys that do not go together, or one too often.
    #[error("{0}")]
    Together(&'static str),
    /// A gateway that the guest could not reach.
    #[error("the gateway {gateway} is in none of the networks of the static addresses")]
    Gateway {
        /// The gateway.
        gateway: IpAddr,
    },
    /// An address that no machine can have.
    #[error("`{net}` is no address of one machine: it stands for {stands_for}")]
    NotOne {
        /// The address.
        net: IpNet,
        /// What it stands for.
        stands_for: &'static str,
    },
    /// A later machine's address is not of the network any more.
    #[error("there is no address for machine {number}: after {from} its network ends")]
    Ended {
        /// The machine's number.
        number: u32,
        /// The first machine's address.
        from: IpAddr,
    },
    /// Several machines of one hardware address.
    #[error("several machines cannot have the hardware address {0}")]
    OneMac(Mac),
}

fn meant(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!("; did you mean `{near}=`?"))
}

impl InterfaceSpec {
    /// Returns an interface on a network that gives it an address.
    #[must_use]
    pub fn on(network: &str) -> Self {
        Self { network: network.to_owned(), addressing: Addressing::Dhcp, mac: None }
    }

    /// Returns that of the machine `number`, from 1, of several: its addresses are counted on.
    ///
    /// # Errors
    ///
    /// [`InterfaceError::Ended`], [`InterfaceError::OneMac`].
    pub fn counted(&self, number: u32) -> Result<Self, InterfaceError> {
        let by = number.saturating_sub(1);
        if let (Some(mac), true) = (self.mac, by > 0) {
            return Err(InterfaceError::OneMac(mac));
        }
        let addressing = match &self.addressing {
            Addressing::Reserved(Some(ip)) => {
                let ended = InterfaceError::Ended { number, from: (*ip).into() };
                let next = u32::from(*ip).checked_add(by).map(Ipv4Addr::from);
                Addressing::Reserved(Some(next.ok_or(ended)?))
            }
            Addressing::Static(own) => {
                let addresses = own.addresses.iter().map(|net| counted(*net, by, number));
                let addresses = addresses.collect::<Result<_, _>>()?;
                Addressing::Static(StaticAddresses { addresses, ..own.clone() })
            }
            other => other.clone(),
        };
        Ok(Self { addressing, ..self.clone() })
    }
}

fn counted(net: IpNet, by: u32, number: u32) -> Result<IpNet, InterfaceError> {
    let next: Option<IpAddr> = match net.addr() {
        IpAddr::V4(ip) => u32::from(ip).checked_add(by).map(|ip| Ipv4Addr::from(ip).into()),
        IpAddr::V6(ip) => u128::from(ip).checked_add(by.into()).map(|ip| Ipv6Addr::from(ip).into()),
    };
    let next = next.filter(|ip| net.contains(ip));
    let next = next.and_then(|ip| IpNet::new(ip, net.prefix_len()).ok());
    let next = next.filter(|net| stands_for(*net).is_none());
    next.ok_or(InterfaceError::Ended { number, from: net.addr() })
}

/// Returns what an address stands for, if not for one machine.
fn stands_for(net: IpNet) -> Option<&'static str> {
    let ip = net.addr();
    if ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() {
        return Some("no machine, several, or itself");
    }
    let wide = match net {
        IpNet::V4(net) => net.prefix_len() < 31,
        IpNet::V6(net) => net.prefix_len() < 127,
    };
    match net {
        _ if wide && ip == net.network() => Some("the network"),
        IpNet::V4(net) if wide && net.addr() == net.broadcast() => Some("all machines of it"),
        _ => None,
    }
}

impl FromStr for InterfaceSpec {
    type Err = InterfaceError;

    fn from_str(text: &str) -> Result<Self, InterfaceError> {
        let mut words = text.split(',');
        let network = words.next().unwrap_or_default();
        if network.is_empty() || network.contains('=') {
            return Err(InterfaceError::NoNetwork { text: text.to_owned() });
        }
        let mut parts = Parts::default();
        words.try_for_each(|word| parts.take(word))?;
        let mac = parts.mac;
        Ok(Self { network: network.to_owned(), addressing: parts.addressing()?, mac })
    }
}

/// What the keys say.
#[derive(Debug, Default)]
struct Parts {
    reserved: Option<Option<Ipv4Addr>>,
    own: StaticAddresses,
    mac: Option<Mac>,
}

impl Parts {
    fn take(&mut self, word: &str) -> Result<(), InterfaceError> {
        let unknown = |key: &str| InterfaceError::Key {
            word: word.to_owned(),
            near: nearest(key, KEYS.iter().copied())
                .and_then(|near| KEYS.iter().find(|known| **known == near).copied()),
        };
        let (key, value) = word.split_once('=').ok_or_else(|| unknown(word))?;
        match key {
            "ip" => {
                let wanted = "an IPv4 address or `auto`";
                let ip = if value == "auto" { None } else { Some(of("ip", value, wanted)?) };
                if self.reserved.replace(ip).is_some() {
                    return Err(InterfaceError::Together("`ip` can be said once"));
                }
            }
            "static" => {
                let wanted = "an address with the length of its prefix, like `10.0.0.5/24`";
                let net: IpNet = of("static", value, wanted)?;
                if let Some(stands_for) = stands_for(net) {
                    return Err(InterfaceError::NotOne { net, stands_for });
                }
                self.own.addresses.push(net);
            }
            "gateway" => self.own.gateways.push(of("gateway", value, "an address")?),
            "dns" => self.own.dns.push(of("dns", value, "an address")?),
            "mac" => {
                let wanted = "a hardware address of one interface, like `52:54:00:12:34:56`";
                let mac: Mac = of("mac", value, wanted)?;
                let wrong = || InterfaceError::Value { key: "mac", value: value.into(), wanted };
                let one = Some(mac).filter(|mac| !mac.is_multicast()).ok_or_else(wrong)?;
                if self.mac.replace(one).is_some() {
                    return Err(InterfaceError::Together("`mac` can be said once"));
                }
            }
            other => return Err(unknown(other)),
        }
        Ok(())
    }

    fn addressing(self) -> Result<Addressing, InterfaceError> {
        let own = self.own;
        let one = |v4: bool| own.gateways.iter().filter(|ip| ip.is_ipv4() == v4).count() < 2;
        if !one(true) || !one(false) {
            return Err(InterfaceError::Together(
                "`gateway` can be said once for IPv4 and once for IPv6",
            ));
        }
        match self.reserved {
            Some(_) if !own.addresses.is_empty() => {
                Err(InterfaceError::Together("`ip` (reserved) and `static` do not go together"))
            }
            _ if own.addresses.is_empty() && !(own.gateways.is_empty() && own.dns.is_empty()) => {
                Err(InterfaceError::Together("`gateway` and `dns` belong to `static` addresses"))
            }
            Some(ip) => Ok(Addressing::Reserved(ip)),
            None if own.addresses.is_empty() => Ok(Addressing::Dhcp),
            None => {
                let reached = |ip: &IpAddr| own.addresses.iter().any(|net| net.contains(ip));
                match own.gateways.iter().find(|ip| !reached(ip)) {
                    Some(gateway) => Err(InterfaceError::Gateway { gateway: *gateway }),
                    None => Ok(Addressing::Static(own)),
                }
            }
        }
    }
}

fn of<T: FromStr>(
    key: &'static str,
    value: &str,
    wanted: &'static str,
) -> Result<T, InterfaceError> {
    value.parse().map_err(|_| InterfaceError::Value { key, value: value.to_owned(), wanted })
}

impl fmt::Display for InterfaceSpec {
    /// Writes it as [`FromStr`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.network)?;
        match &self.addressing {
            Addressing::Dhcp => {}
            Addressing::Reserved(None) => f.write_str(",ip=auto")?,
            Addressing::Reserved(Some(ip)) => write!(f, ",ip={ip}")?,
            Addressing::Static(own) => {
                own.addresses.iter().try_for_each(|net| write!(f, ",static={net}"))?;
                own.gateways.iter().try_for_each(|ip| write!(f, ",gateway={ip}"))?;
                own.dns.iter().try_for_each(|ip| write!(f, ",dns={ip}"))?;
            }
        }
        self.mac.map_or(Ok(()), |mac| write!(f, ",mac={mac}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        text.parse::<InterfaceSpec>().unwrap_err().to_string()
    }

    #[test]
    fn what_is_written_is_read_and_written_again() {
        for text in [
            "lan",
            "user",
            "lan,ip=auto",
            "lan,ip=192.168.101.10,mac=52:54:00:12:34:56",
            "lan,static=10.0.0.5/24,gateway=10.0.0.1,dns=10.0.0.1,dns=9.9.9.9",
            "lan,static=10.0.0.5/24,static=fd00::5/64,gateway=10.0.0.1,gateway=fd00::1",
        ] {
            assert_eq!(text.parse::<InterfaceSpec>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(said("").contains("names no network"));
        assert!(said("ip=auto").contains("names no network"));
        assert_eq!(
            said("lan,gatway=1"),
            "`gatway=1` is none of ip=, static=, gateway=, dns=, mac=; did you mean `gateway=`?"
        );
        assert_eq!(said("lan,fast"), "`fast` is none of ip=, static=, gateway=, dns=, mac=");
        assert_eq!(said("lan,ip=fd00::1"), "`ip=fd00::1` is not an IPv4 address or `auto`");
        assert!(said("lan,static=10.0.0.5").contains("like `10.0.0.5/24`"));
        assert!(said("lan,mac=01:54:00:12:34:56").contains("of one interface"));
        assert!(said("lan,ip=auto,ip=auto").contains("once"));
        assert!(said("lan,ip=auto,static=10.0.0.5/24").contains("do not go together"));
        assert!(said("lan,dns=10.0.0.1").contains("belong to"));
        assert!(said("lan,static=10.0.0.5/24,gateway=10.0.1.1").contains("in none of"));
        assert!(said("lan,static=10.0.0.0/24").contains("the network"));
        assert!(said("lan,static=10.0.0.255/24").contains("all machines"));
        let two = "lan,static=10.0.0.5/24,gateway=10.0.0.1,gateway=10.0.0.2";
        assert!(said(two).contains("once for IPv4"));
    }

    #[test]
    fn addresses_are_counted_on() {
        let nth = |text: &str, n| {
            text.parse::<InterfaceSpec>().unwrap().counted(n).map(|spec| spec.to_string())
        };
        assert_eq!(nth("lan,ip=10.0.0.9", 1), Ok("lan,ip=10.0.0.9".into()));
        assert_eq!(nth("lan,ip=10.0.0.9", 3), Ok("lan,ip=10.0.0.11".into()));
        let both = "lan,static=10.0.0.9/24,static=fd00::9/64";
        assert_eq!(nth(both, 2), Ok("lan,static=10.0.0.10/24,static=fd00::a/64".into()));
        assert_eq!(
            nth("lan,static=10.0.0.253/24", 3).unwrap_err().to_string(),
            "there is no address for machine 3: after 10.0.0.253 its network ends"
        );
        assert!(nth("lan,mac=52:54:00:12:34:56", 2).unwrap_err().to_string().contains("several"));
        assert_eq!(nth("lan", 7), Ok("lan".into()));
    }
}
