// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Pools of a Ceph cluster: where they are, and how the host logs in.
//!
//! **Invariant:** a disk in such a pool gets every monitor and the login from the pool's
//! definition: [`RbdPool::image`] is the only way from one to the other.

use std::str::FromStr;

use kiln_spec::place::host_and_port;

use super::PoolView;
use crate::domain::{Rbd, RbdAuth, RbdHost};
use crate::xml::Element;

/// A pool of a Ceph cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RbdPool {
    /// Ceph's name of it.
    pub pool: String,
    /// The cluster's monitors.
    pub hosts: Vec<RbdHost>,
    /// How to log in; not at all if there is none.
    pub auth: Option<RbdAuth>,
}

impl RbdPool {
    /// Returns an image of the pool, as a disk has it: with all monitors, and the login.
    #[must_use]
    pub fn image(&self, name: &str) -> Rbd {
        Rbd {
            pool: self.pool.clone(),
            image: name.to_owned(),
            hosts: self.hosts.clone(),
            auth: self.auth.clone(),
        }
    }

    /// Returns libvirt's path of an image of the pool.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        [self.pool.as_str(), name].join("/")
    }

    /// Returns whether both are one pool of one cluster, as far as their definitions tell.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let shared = |host: &RbdHost| {
            other.hosts.iter().any(|theirs| theirs.name == host.name && theirs.port == host.port)
        };
        self.pool == other.pool && self.hosts.iter().any(shared)
    }

    /// Returns the `<source>` of the pool's definition.
    #[must_use]
    pub fn source(&self) -> Element {
        let auth = self.auth.as_ref().map(|auth| {
            let secret = auth.secret.named_in(Element::new("secret"));
            Element::new("auth").attr("type", "ceph").attr("username", &auth.user).child(secret)
        });
        Element::new("source")
            .children(self.hosts.iter().map(RbdHost::to_element))
            .child(Element::new("name").text(&self.pool))
            .maybe(auth)
    }
}

impl PoolView {
    /// Returns what it is in a Ceph cluster, if it is of type `rbd`.
    #[must_use]
    pub fn rbd(&self) -> Option<RbdPool> {
        if self.kind()? != "rbd" {
            return None;
        }
        let source = self.0.find("source")?;
        let hosts = source.find_all("host").into_iter().filter_map(RbdHost::of).collect();
        let auth = source.find("auth").and_then(RbdAuth::of);
        Some(RbdPool { pool: self.source_name()?, hosts, auth })
    }
}

/// Why a word names no monitor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is no monitor: HOST, HOST:PORT or [IPV6]:PORT")]
pub struct MonitorError {
    word: String,
}

impl FromStr for RbdHost {
    type Err = MonitorError;

    fn from_str(word: &str) -> Result<Self, MonitorError> {
        let wrong = || MonitorError { word: word.to_owned() };
        let (name, port) = host_and_port(word).ok_or_else(wrong)?;
        let fine = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        let named = !name.is_empty() && !name.starts_with('-') && name.chars().all(fine);
        if !named && !name.contains(':') {
            return Err(wrong());
        }
        Ok(Self { name: name.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::RbdSecret;
    use crate::storage::{PoolKind, pool_element};

    fn pool() -> RbdPool {
        let hosts = ["10.0.0.1", "mon2.lan:6789", "[fd00::3]:3300"];
        RbdPool {
            pool: "vms".into(),
            hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
            auth: Some(RbdAuth {
                user: "libvirt".into(),
                secret: RbdSecret::Uuid(uuid::Uuid::from_u128(7)),
            }),
        }
    }

    #[test]
    fn what_is_written_of_a_pool_is_read_back() {
        let xml = pool_element("ceph", None, &PoolKind::Rbd(pool()));
        let parsed = PoolView(Element::parse(&xml.to_string()).unwrap());
        assert_eq!(parsed.rbd(), Some(pool()));
        assert_eq!(parsed.target_path(), None);
        let disk = parsed.rbd().unwrap().image("web1.raw");
        assert_eq!(disk.hosts.len(), 3);
        assert_eq!(disk.auth, pool().auth);
    }

    #[test]
    fn monitors_are_hosts_with_or_without_a_port() {
        let of = |word: &str| word.parse::<RbdHost>().map(|host| (host.name, host.port));
        assert_eq!(of("mon1"), Ok(("mon1".into(), None)));
        assert_eq!(of("10.0.0.1:6789"), Ok(("10.0.0.1".into(), Some(6789))));
        assert_eq!(of("fd00::1"), Ok(("fd00::1".into(), None)));
        assert_eq!(of("[fd00::1]:3300"), Ok(("fd00::1".into(), Some(3300))));
        for wrong in ["", ":1", "a,b", "a:0", "a:99999", "a:b:c", "[fd00::1", "[x]:1", "-o", "a b"]
        {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn one_pool_is_known_by_a_monitor() {
        let mut other = pool();
        other.hosts.truncate(1);
        assert!(pool().is_same(&other));
        other.hosts[0].port = Some(1);
        assert!(!pool().is_same(&other));
    }
}
