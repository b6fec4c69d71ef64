// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A machine that is there: its domain, what Kiln remembers of it, and how to reach it.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use kiln_libvirt::Connection;
use kiln_libvirt::domain::{AddressSource, Domain, DomainXml, InterfaceView, XmlKind};
use serde_json::{Value, json};
use uuid::Uuid;

use super::dns::Dns;
use super::meta::{Meta, VolumeRef};
use super::ssh::{self, Route};
use crate::context::Context;
use crate::error::{Class, Problem};

/// The public host keys of OpenSSH: sshd_config(5), `HostKey`, its defaults.
const HOST_KEYS: &[&str] = &[
    "/etc/ssh/ssh_host_ed25519_key.pub",
    "/etc/ssh/ssh_host_ecdsa_key.pub",
    "/etc/ssh/ssh_host_rsa_key.pub",
];
/// The most that is read of a host key file.
const KEY_MOST: usize = 16 << 10;
/// The file that names the private keys of a login, in the machine's folder.
const LOGIN: &str = "login.json";

/// A machine that is there.
#[derive(Debug)]
pub(crate) struct Machine {
    /// The host.
    pub(crate) conn: Connection,
    /// The domain.
    pub(crate) domain: Domain,
    /// Its name.
    pub(crate) name: String,
    /// Its UUID.
    pub(crate) uuid: Uuid,
    /// Its definition.
    pub(crate) xml: DomainXml,
    /// What Kiln remembers; `None` if Kiln did not make it.
    pub(crate) meta: Option<Meta>,
}

impl Machine {
    /// Finds the machine `name`.
    ///
    /// # Errors
    ///
    /// Not there (class object), with the nearest name.
    pub(crate) fn find(conn: &Connection, name: &str) -> anyhow::Result<Self> {
        let domain = match conn.domain(name) {
            Err(error) if error.is_not_found() => return Err(not_found(conn, name).into()),
            other => other?,
        };
        Self::of(conn, domain)
    }

    /// Returns every machine of the host, Kiln's or not, by name.
    ///
    /// # Errors
    ///
    /// What libvirt says; one that goes meanwhile is left out.
    pub(crate) fn all(conn: &Connection) -> anyhow::Result<Vec<Self>> {
        let gone = |error: &anyhow::Error| {
            let error = error.downcast_ref::<kiln_libvirt::Error>();
            error.is_some_and(kiln_libvirt::Error::is_not_found)
        };
        let found = conn.domains()?.into_iter().map(|domain| Self::of(conn, domain));
        let kept = found.filter(|machine| !machine.as_ref().is_err_and(gone));
        let mut all = kept.collect::<anyhow::Result<Vec<_>>>()?;
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// Returns the machines of the host that Kiln made, by name.
    ///
    /// # Errors
    ///
    /// As [`Machine::all`].
    pub(crate) fn ours(conn: &Connection) -> anyhow::Result<Vec<Self>> {
        let mut all = Self::all(conn)?;
        all.retain(|machine| machine.meta.is_some());
        Ok(all)
    }

    /// Returns what it remembers of its names in DNS, if it is to have any.
    pub(crate) fn dns(&self) -> Option<&Dns> {
        self.meta.as_ref()?.dns.as_ref()
    }

    /// Returns what the machine is now, if it runs; its `xml` is what it is at its next start.
    ///
    /// # Errors
    ///
    /// What libvirt says; one that is gone meanwhile does not run.
    pub(crate) fn now(&self) -> Result<Option<DomainXml>, kiln_libvirt::Error> {
        let now = self.domain.state().and_then(|state| {
            state.is_active().then(|| self.domain.xml(XmlKind::Active)).transpose()
        });
        match now {
            Err(error) if error.is_not_found() => Ok(None),
            other => other,
        }
    }

    /// Returns whether its disk was made on a template.
    pub(crate) fn hangs_on(&self, template: &VolumeRef) -> bool {
        self.meta.as_ref().is_some_and(|meta| meta.template.as_ref() == Some(template))
    }

    /// Takes a domain for a machine.
    ///
    /// # Errors
    ///
    /// What libvirt says.
    pub(crate) fn of(conn: &Connection, domain: Domain) -> anyhow::Result<Self> {
        let xml = domain.xml(XmlKind::Inactive)?;
        // A domain that others made of one of Kiln's has its metadata: the volumes that these name
        // are the original's.
        let own = |meta: &Meta| meta.instance_id == domain.uuid();
        Ok(Self {
            conn: conn.clone(),
            name: domain.name().to_owned(),
            uuid: domain.uuid(),
            meta: Meta::of_domain(&xml.0).filter(own),
            domain,
            xml,
        })
    }

    /// Returns what Kiln remembers.
    ///
    /// # Errors
    ///
    /// Class object if Kiln did not make the machine.
    pub(crate) fn meta(&self) -> Result<&Meta, Problem> {
        self.meta.as_ref().ok_or_else(|| {
            let what = format!("kiln did not make `{}`", self.name);
            Problem::new(Class::Object, what)
                .hint("`kiln list --all` shows such machines without an image")
        })
    }

    /// Returns whether a program is connected to the guest's end of the agent channel.
    ///
    /// # Errors
    ///
    /// What libvirt says.
    pub(crate) fn agent_connected(&self) -> anyhow::Result<bool> {
        if !self.domain.state()?.is_active() {
            return Ok(false);
        }
        let live = self.domain.xml(XmlKind::Active)?;
        Ok(live.channels().iter().any(|channel| {
            channel.0.get("target/@name").as_deref() == Some("org.qemu.guest_agent.0")
                && channel.0.get("target/@state").as_deref() == Some("connected")
        }))
    }

    /// Returns the machine's addresses, those of its first interface first, IPv4 before IPv6: what
    /// Kiln knows of an interface, or else what is leased, what the agent says, or what is in the
    /// host's ARP table. A machine that is off has only what is known.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let all = self.addresses_of_each();
        all.iter().flat_map(|(_, known)| known).map(ToString::to_string).collect()
    }

    /// Returns [`Machine::addresses`] that others can reach: none of user-mode networking.
    pub(crate) fn outside_addresses(&self) -> Vec<IpAddr> {
        let interfaces = self.xml.interfaces();
        let user = interfaces.iter().filter(|one| one.kind().as_deref() == Some("user"));
        let user: Vec<String> = user.filter_map(|one| Some(one.mac()?.to_string())).collect();
        let all = self.addresses_of_each().into_iter();
        all.filter(|(mac, _)| !user.contains(mac)).flat_map(|(_, known)| known).collect()
    }

    /// Returns the addresses by the hardware addresses of the interfaces, in order.
    fn addresses_of_each(&self) -> Vec<(String, Vec<IpAddr>)> {
        let mut of: Vec<(String, Vec<IpAddr>)> =
            self.macs().into_iter().map(|mac| (mac.clone(), self.known_of(&mac))).collect();
        for source in [AddressSource::Lease, AddressSource::Agent, AddressSource::Arp] {
            if of.iter().all(|(_, known)| !known.is_empty()) {
                break;
            }
            for found in self.domain.interfaces(source).unwrap_or_default() {
                let mac = found.mac.map(|mac| mac.to_string()).unwrap_or_default();
                let Some((_, known)) = of.iter_mut().find(|(of, _)| *of == mac) else { continue };
                if !known.is_empty() {
                    continue;
                }
                let all = found.addresses.into_iter().map(|(ip, _)| ip);
                known.extend(all.filter(|ip| !ip.is_loopback() && !is_link_local(ip)));
                known.sort_by_key(IpAddr::is_ipv6);
                known.dedup();
            }
        }
        of
    }

    /// Returns the addresses that are reserved for the machine or that it was told, in the order
    /// of its interfaces.
    pub(crate) fn known_addresses(&self) -> Vec<String> {
        let all = self.macs();
        all.iter().flat_map(|mac| self.known_of(mac)).map(|ip| ip.to_string()).collect()
    }

    fn known_of(&self, mac: &str) -> Vec<IpAddr> {
        let Some(meta) = &self.meta else { return Vec::new() };
        let reserved = meta.reservations.iter().filter(|r| r.mac == mac);
        let reserved = reserved.filter_map(|r| r.ip.parse().ok());
        let own = meta.addresses.iter().filter(|own| own.mac == mac).map(|own| own.ip);
        let mut all: Vec<IpAddr> = reserved.chain(own).collect();
        all.sort_by_key(IpAddr::is_ipv6);
        all
    }

    /// Returns the hardware addresses of its interfaces, in order.
    fn macs(&self) -> Vec<String> {
        let all = self.xml.interfaces();
        all.iter().filter_map(|interface| Some(interface.mac()?.to_string())).collect()
    }

    /// Returns its interfaces as JSON: what each is on, and what is known of its addresses.
    pub(crate) fn interfaces_json(&self) -> Vec<Value> {
        let one = |interface: &InterfaceView| {
            let mac = interface.mac().map(|mac| mac.to_string()).unwrap_or_default();
            json!({
                "type": interface.kind(),
                "network": interface.network(),
                "known_addresses": self.known_of(&mac),
                "mac": mac,
            })
        };
        self.xml.interfaces().iter().map(one).collect()
    }

    /// Returns how SSH reaches the machine; `None` while it has no address.
    ///
    /// # Errors
    ///
    /// Kiln did not make it, or what libvirt says.
    pub(crate) fn route(&self, ctx: &Context) -> anyhow::Result<Option<Route>> {
        let meta = self.meta()?;
        let (address, port) = match meta.ssh_port {
            Some(port) => ("127.0.0.1".to_owned(), port),
            None => match self.addresses().into_iter().next() {
                Some(address) => (address, 22),
                None => return Ok(None),
            },
        };
        let known_hosts = ssh::known_hosts_file(&self.folder(ctx));
        Ok(Some(Route {
            alias: self.name.clone(),
            user: meta.user.clone(),
            address,
            port,
            proxy: ssh::proxy(self.conn.uri()),
            identities: self.identities(ctx),
            verified: known_hosts.is_file(),
            known_hosts,
        }))
    }

    /// Returns the folder for what this client keeps of the machine.
    pub(crate) fn folder(&self, ctx: &Context) -> PathBuf {
        ctx.machine_folder(&self.uuid.to_string())
    }

    /// Returns the private keys of the login that this client keeps in mind; none if `ssh` finds
    /// its keys by itself.
    pub(crate) fn identities(&self, ctx: &Context) -> Vec<PathBuf> {
        let text = fs::read_to_string(self.folder(ctx).join(LOGIN)).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Reads the guest's public host keys through the agent into the machine's own known_hosts.
    /// Returns whether there were any.
    ///
    /// # Errors
    ///
    /// When the file cannot be written. An agent that does not answer, or may not read files, is
    /// no error.
    pub(crate) fn learn_host_keys(&self, ctx: &Context, within: Duration) -> anyhow::Result<bool> {
        let agent = self.domain.agent(within);
        let mut keys = Vec::new();
        for path in HOST_KEYS {
            match agent.read_file(path, KEY_MOST) {
                Ok(bytes) => keys.push(String::from_utf8_lossy(&bytes).into_owned()),
                Err(error) if error.is_agent_unresponsive() => return Ok(false),
                // Not there: a guest need not have every kind.
                Err(_) => {}
            }
        }
        let text = ssh::known_hosts(&self.name, &keys);
        if text.is_empty() {
            return Ok(false);
        }
        let folder = self.folder(ctx);
        let file = ssh::known_hosts_file(&folder);
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(&file, text))
            .with_context(|| format!("could not write `{}`", file.display()))?;
        Ok(true)
    }
}

/// Keeps which private keys a login uses, in the machine's folder.
///
/// # Errors
///
/// When it cannot be written.
pub(crate) fn keep_identities(ctx: &Context, uuid: Uuid, files: &[PathBuf]) -> anyhow::Result<()> {
    let folder = ctx.machine_folder(&uuid.to_string());
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(folder.join(LOGIN), serde_json::to_string(files)?))
        .with_context(|| format!("could not write into `{}`", folder.display()))
}

fn is_link_local(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

fn not_found(conn: &Connection, name: &str) -> Problem {
    let problem =
        Problem::new(Class::Object, format!("there is no machine `{name}` on {}", conn.uri()));
    let all = conn.domains().unwrap_or_default();
    problem.did_you_mean(name, all.iter().map(Domain::name), "`kiln list` shows what there is")
}
