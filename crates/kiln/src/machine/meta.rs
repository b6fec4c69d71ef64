// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What Kiln remembers of a machine: in the domain's own `<metadata>`, nowhere else.
//!
//! **Invariant:** what is read here was written by Kiln or by somebody with the right to define
//! domains; still, an element that is not understood is an error that names it, never a panic.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use kiln_libvirt::domain::metadata;
use kiln_libvirt::xml::Element;
use kiln_spec::forward::{ForwardSpec, Protocol};
use uuid::Uuid;

use super::dns::Dns;

/// A volume: pool and name.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct VolumeRef {
    /// The pool's name.
    pub(crate) pool: String,
    /// The volume's name in it.
    pub(crate) name: String,
}

/// An address that the network gives to the machine alone.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Reservation {
    /// The network's name.
    pub(crate) network: String,
    /// The machine's hardware address.
    pub(crate) mac: String,
    /// The IPv4 address.
    pub(crate) ip: String,
    /// The host name that goes with it.
    pub(crate) name: String,
}

/// An address that the machine itself was told.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct OwnAddress {
    /// The hardware address of its interface.
    pub(crate) mac: String,
    /// The address.
    pub(crate) ip: IpAddr,
}

/// What a machine was cloned from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Origin {
    /// The machine's name then.
    pub(crate) machine: String,
    /// Its UUID.
    pub(crate) uuid: Uuid,
}

/// The set that a machine is of, and what it was made of that cannot be seen on it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Owner {
    /// The set's name.
    pub(crate) set: String,
    /// The entry of its file: the machine's name, without its number.
    pub(crate) entry: String,
    /// What stands for the login that the file asked for.
    pub(crate) login: String,
    /// What stands for the user-data.
    pub(crate) user_data: String,
    /// What stands for the addresses, gateways and name servers that the guest was told.
    pub(crate) told: String,
}

/// A port of the host that leads to a port of the machine.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Forward {
    /// TCP or UDP.
    pub(crate) protocol: Protocol,
    /// The host's address that it is on; all of them if it is not named.
    pub(crate) listen: Option<IpAddr>,
    /// The host's port.
    pub(crate) port: u16,
    /// The machine's port.
    pub(crate) to: u16,
}

impl Forward {
    /// Returns a forward on an address of the host, or on all of them.
    pub(crate) fn new(spec: ForwardSpec, listen: Option<IpAddr>) -> Self {
        Self { protocol: spec.protocol, listen, port: spec.port, to: spec.to }
    }

    /// Whether both want the same port: of the same address, or one of them of every address.
    pub(crate) fn clashes(&self, other: &Self) -> bool {
        let overlap = match (self.listen, other.listen) {
            (Some(own), Some(others)) => own == others,
            _ => true,
        };
        overlap && self.protocol == other.protocol && self.port == other.port
    }
}

/// The host's side of it: `2201/tcp`, `192.168.1.5:2201/tcp`.
impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.listen {
            Some(ip) => write!(f, "{}/{}", SocketAddr::new(ip, self.port), self.protocol),
            None => write!(f, "{}/{}", self.port, self.protocol),
        }
    }
}

/// What Kiln remembers of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    /// The image's name; empty if there was none, as of a clone of somebody else's domain.
    pub(crate) image: String,
    /// The image's digest; empty as the name.
    pub(crate) digest: String,
    /// The template that the disk hangs on; none of a full clone.
    pub(crate) template: Option<VolumeRef>,
    /// The machine that it is a clone of.
    pub(crate) origin: Option<Origin>,
    /// The set that it is of.
    pub(crate) owner: Option<Owner>,
    /// cloud-init's instance-id.
    pub(crate) instance_id: Uuid,
    /// Who logs in.
    pub(crate) user: String,
    /// Seconds since 1970 when the machine was made.
    pub(crate) made_at: u64,
    /// The version of Kiln that made it.
    pub(crate) made_by: String,
    /// The root disk.
    pub(crate) disk: VolumeRef,
    /// Further disks.
    pub(crate) data: Vec<VolumeRef>,
    /// The seed.
    pub(crate) seed: VolumeRef,
    /// Where the console is logged.
    pub(crate) console: VolumeRef,
    /// The machine's addresses that networks reserve for it.
    pub(crate) reservations: Vec<Reservation>,
    /// The machine's addresses that it was told.
    pub(crate) addresses: Vec<OwnAddress>,
    /// The words by which it is put together with others.
    pub(crate) tags: Vec<String>,
    /// The port of the host that leads to the machine's port 22, with user-mode networking.
    pub(crate) ssh_port: Option<u16>,
    /// The ports of the host that lead to it, besides that.
    pub(crate) forwards: Vec<Forward>,
    /// Its names in a DNS server of somebody else's.
    pub(crate) dns: Option<Dns>,
}

impl Meta {
    /// Returns the volumes, the disk first.
    pub(crate) fn volumes(&self) -> Vec<&VolumeRef> {
        let disks = std::iter::once(&self.disk).chain(&self.data);
        disks.chain([&self.seed, &self.console]).collect()
    }

    /// Returns the element for the domain's metadata, without the prefix of its namespace.
    pub(crate) fn element(&self) -> Element {
        let q = Element::new;
        let volume = |role: &str, v: &VolumeRef| {
            q("volume").attr("role", role).attr("pool", &v.pool).attr("name", &v.name)
        };
        let reservations = self.reservations.iter().map(|r| {
            q("reservation")
                .attr("network", &r.network)
                .attr("mac", &r.mac)
                .attr("ip", &r.ip)
                .attr("name", &r.name)
        });
        let origin = |o: &Origin| q("clone").attr("of", &o.machine).attr("uuid", o.uuid);
        let owner = |o: &Owner| {
            q("set")
                .attr("name", &o.set)
                .attr("entry", &o.entry)
                .attr("login", &o.login)
                .attr("user-data", &o.user_data)
                .attr("told", &o.told)
        };
        // The one for SSH has no protocol.
        let forward = |f: &Forward| {
            let element = q("forward").attr("protocol", f.protocol).attr("port", f.port);
            let element = element.attr("to", f.to);
            match f.listen {
                Some(ip) => element.attr("listen", ip),
                None => element,
            }
        };
        let own = |own: &OwnAddress| q("address").attr("mac", &own.mac).attr("ip", own.ip);
        q("machine")
            .child(q("image").attr("name", &self.image).attr("digest", &self.digest))
            .maybe(self.template.as_ref().map(|template| volume("template", template)))
            .maybe(self.origin.as_ref().map(origin))
            .maybe(self.owner.as_ref().map(owner))
            .child(volume("disk", &self.disk))
            .children(self.data.iter().map(|data| volume("data", data)))
            .child(volume("seed", &self.seed))
            .child(volume("console", &self.console))
            .child(q("instance").attr("id", self.instance_id))
            .child(q("login").attr("user", &self.user))
            .child(q("made").attr("at", self.made_at).attr("by", &self.made_by))
            .children(reservations)
            .children(self.addresses.iter().map(own))
            .children(self.tags.iter().map(|tag| q("tag").attr("name", tag)))
            .maybe(self.ssh_port.map(|port| q("forward").attr("port", port).attr("to", 22)))
            .children(self.forwards.iter().map(forward))
            .maybe(self.dns.as_ref().map(Dns::element))
    }

    /// Reads the element back from a domain's XML; `None` if Kiln did not make the domain.
    pub(crate) fn of_domain(domain: &Element) -> Option<Self> {
        Self::read(&metadata::find(domain)?)
    }

    fn read(element: &Element) -> Option<Self> {
        let child = |name: &str| element.elements().find(|e| e.name == name);
        let text = |e: &Element, name: &str| e.attribute(name).map(str::to_owned);
        let volumes = |role: &'static str| {
            let of_role = element.elements().filter(move |e| e.attribute("role") == Some(role));
            of_role.map(|e| Some(VolumeRef { pool: text(e, "pool")?, name: text(e, "name")? }))
        };
        let volume = |role| volumes(role).next().flatten();
        let all = |name: &'static str| element.elements().filter(move |e| e.name == name);
        let reservations = all("reservation").map(|e| {
            Some(Reservation {
                network: text(e, "network")?,
                mac: text(e, "mac")?,
                ip: text(e, "ip")?,
                name: text(e, "name")?,
            })
        });
        let addresses = all("address")
            .map(|e| Some(OwnAddress { mac: text(e, "mac")?, ip: text(e, "ip")?.parse().ok()? }));
        Some(Self {
            image: text(child("image")?, "name")?,
            digest: text(child("image")?, "digest")?,
            template: volume("template"),
            origin: child("clone")
                .map(|e| {
                    let uuid = e.attribute("uuid")?.parse().ok()?;
                    Some(Origin { machine: text(e, "of")?, uuid })
                })
                .unwrap_or_default(),
            owner: child("set").and_then(|e| {
                Some(Owner {
                    set: text(e, "name")?,
                    entry: text(e, "entry")?,
                    login: text(e, "login")?,
                    user_data: text(e, "user-data")?,
                    told: text(e, "told").unwrap_or_default(),
                })
            }),
            instance_id: child("instance")?.attribute("id")?.parse().ok()?,
            user: text(child("login")?, "user")?,
            made_at: child("made")?.attribute("at")?.parse().ok()?,
            made_by: text(child("made")?, "by")?,
            disk: volume("disk")?,
            data: volumes("data").collect::<Option<_>>()?,
            seed: volume("seed")?,
            console: volume("console")?,
            reservations: reservations.collect::<Option<_>>()?,
            addresses: addresses.collect::<Option<_>>()?,
            tags: all("tag").map(|e| text(e, "name")).collect::<Option<_>>()?,
            ssh_port: all("forward")
                .find(|e| e.attribute("protocol").is_none())
                .and_then(|e| e.attribute("port")?.parse().ok()),
            forwards: all("forward")
                .filter(|e| e.attribute("protocol").is_some())
                .map(forward_of)
                .collect::<Option<_>>()?,
            dns: match child("dns") {
                Some(element) => Some(Dns::read(element)?),
                None => None,
            },
        })
    }
}

fn forward_of(element: &Element) -> Option<Forward> {
    let listen = match element.attribute("listen") {
        Some(ip) => Some(ip.parse().ok()?),
        None => None,
    };
    Some(Forward {
        protocol: element.attribute("protocol")?.parse().ok()?,
        listen,
        port: element.attribute("port")?.parse().ok()?,
        to: element.attribute("to")?.parse().ok()?,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use kiln_dns::{Data, Record};

    use super::*;

    pub(crate) fn sample() -> Meta {
        let volume = |name: &str| VolumeRef { pool: "default".into(), name: name.into() };
        Meta {
            image: "debian-12".into(),
            digest: "sha256:ab".into(),
            template: Some(volume("kiln-ab.qcow2")),
            origin: Some(Origin { machine: "web0".into(), uuid: Uuid::from_u128(6) }),
            owner: Some(Owner {
                set: "shop".into(),
                entry: "web".into(),
                login: "0a".into(),
                user_data: "0b".into(),
                told: "0c".into(),
            }),
            instance_id: Uuid::from_u128(7),
            user: "debian".into(),
            made_at: 1_700_000_000,
            made_by: "0.1.0".into(),
            disk: volume("web1.qcow2"),
            data: vec![volume("web1-vdc.qcow2"), volume("web1-vdd.raw")],
            seed: volume("web1-seed.iso"),
            console: volume("web1-console.log"),
            reservations: vec![Reservation {
                network: "default".into(),
                mac: "52:54:00:00:00:01".into(),
                ip: "192.168.122.7".into(),
                name: "web1".into(),
            }],
            addresses: vec![OwnAddress {
                mac: "52:54:00:00:00:02".into(),
                ip: "fd00::7".parse().unwrap(),
            }],
            tags: vec!["web".into(), "test".into()],
            ssh_port: Some(20_022),
            forwards: vec![
                Forward::new("8080:80".parse().unwrap(), None),
                Forward::new("53:5353/udp".parse().unwrap(), "192.168.1.5".parse().ok()),
            ],
            dns: Some(Dns {
                server: "lab".into(),
                records: vec![
                    Record {
                        zone: "lab.example".into(),
                        name: "web1.lab.example".into(),
                        data: Data::of("192.168.122.7".parse().unwrap()),
                    },
                    Record {
                        zone: "168.192.in-addr.arpa".into(),
                        name: "7.122.168.192.in-addr.arpa".into(),
                        data: Data::Ptr("web1.lab.example".into()),
                    },
                ],
            }),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let meta = sample();
        let domain = Element::new("domain")
            .child(Element::new("metadata").child(metadata::qualified(&meta.element())));
        let parsed = Element::parse(&domain.to_string()).unwrap();
        assert_eq!(Meta::of_domain(&parsed), Some(meta));
    }

    #[test]
    fn forwards_clash_on_one_port_of_one_address() {
        let forward = |spec: &str, listen: Option<&str>| {
            Forward::new(spec.parse().unwrap(), listen.map(|ip| ip.parse().unwrap()))
        };
        let all = forward("80:80", None);
        assert!(all.clashes(&forward("80:8080", Some("10.0.0.1"))));
        assert!(!all.clashes(&forward("80:80/udp", None)));
        assert!(!all.clashes(&forward("81:80", None)));
        let one = forward("80:80", Some("10.0.0.1"));
        assert!(one.clashes(&one) && !one.clashes(&forward("80:80", Some("10.0.0.2"))));
        let six = forward("80:80", Some("fd00::1"));
        let shown = [&all, &one, &six].map(|forward| forward.to_string());
        assert_eq!(shown, ["80/tcp", "10.0.0.1:80/tcp", "[fd00::1]:80/tcp"]);
    }

    #[test]
    fn a_domain_of_others_has_none() {
        let domain = Element::parse("<domain><metadata><x xmlns='urn:x'/></metadata></domain>");
        assert_eq!(Meta::of_domain(&domain.unwrap()), None);
        assert_eq!(Meta::of_domain(&Element::new("domain")), None);
    }
}
