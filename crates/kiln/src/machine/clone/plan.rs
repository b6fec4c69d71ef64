// SPDX-License-Identifier: Apache-2.0 OR MIT
//! All that a clone will be, as a value. Pure: nothing is asked, made or started here.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use kiln_libvirt::domain::DiskSource;
use kiln_libvirt::xml::Element;
use kiln_spec::MachineName;
use kiln_spec::mac::Mac;
use uuid::Uuid;

use super::domain::{self, Fate, New};
use super::report::{self, Fact};
use super::source::{Source, SourceDisk};
use crate::error::{Class, Problem};
use crate::machine::meta::{Meta, Origin, VolumeRef};
use crate::machine::network;
use crate::machine::pool::Place;

/// What is wanted of each of several clones, checked and resolved.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    /// What is cloned.
    pub(crate) source: &'a Source,
    /// Whether disks are to hang on the template that the source's hang on.
    pub(crate) linked: bool,
    /// The pool of all volumes; each beside its source's without one.
    pub(crate) pool: Option<&'a str>,
    /// Where the volumes of pools are, by their names.
    pub(crate) places: &'a BTreeMap<String, Place>,
    /// The pool of the consoles' logs.
    pub(crate) consoles: &'a str,
    /// Who logs in, if the source does not say.
    pub(crate) user: &'a str,
    /// The address of the first interface, if it must be a certain one.
    pub(crate) ip: Option<Ipv4Addr>,
    /// Whether the first interface's address is to be reserved, whatever the source has.
    pub(crate) reserve: bool,
    /// Seconds since 1970.
    pub(crate) now: u64,
}

/// A disk to be copied.
#[derive(Clone, Debug)]
pub(crate) struct NewDisk {
    /// What is copied.
    pub(crate) from: SourceDisk,
    /// Where to.
    pub(crate) volume: VolumeRef,
    /// Whether it is to hang on its source's template.
    pub(crate) linked: bool,
}

/// An address to be reserved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewReservation {
    /// The network.
    pub(crate) network: String,
    /// The hardware address.
    pub(crate) mac: Mac,
    /// The address, if it must be a certain one.
    pub(crate) ip: Option<Ipv4Addr>,
}

/// What will be done for one clone.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Its name.
    pub(crate) name: MachineName,
    /// Its UUID, which is its instance-id, too.
    pub(crate) uuid: Uuid,
    /// What Kiln will remember of it.
    pub(crate) meta: Meta,
    /// Its disks, the root disk first.
    pub(crate) disks: Vec<NewDisk>,
    /// Its hardware addresses, each after its source's.
    pub(crate) macs: Vec<(Option<Mac>, Mac)>,
    /// The addresses that are reserved for it.
    pub(crate) reservations: Vec<NewReservation>,
    fates: BTreeMap<String, Fate>,
    seed: DiskSource,
    console: String,
}

impl Wanted<'_> {
    /// Checks what does not depend on a clone's name.
    ///
    /// # Errors
    ///
    /// A linked clone of what hangs on no template (class object); an address for what has no
    /// network (class usage).
    pub(crate) fn check(&self) -> Result<(), Problem> {
        let name = &self.source.machine.name;
        let pools = self.source.disks.iter().map(|disk| self.pool.unwrap_or(&disk.pool));
        let is_lvm = |pool: &&str| self.places.get(*pool).is_some_and(Place::is_lvm);
        if let Some(pool) = pools.into_iter().find(is_lvm) {
            let what = format!("the clone of `{name}` would be in the LVM pool `{pool}`");
            let hint = "name a pool of files with `--pool`";
            return Err(Problem::new(Class::Object, what).hint(hint));
        }
        if let Some(disk) = self.source.disks.iter().find(|disk| self.crosses(disk)) {
            let what = format!("`{name}` has its disk in the pool `{}`", disk.pool);
            let hint = "a disk is cloned within its Ceph pool, or from folder to folder: leave out `--pool`";
            return Err(Problem::new(Class::Object, what).hint(hint));
        }
        if self.linked && self.source.disks.first().is_none_or(|disk| !disk.can_be_below()) {
            let what = format!(
                "the disk of `{name}` hangs on no template, and `{name}` may change it under a linked clone"
            );
            return Err(Problem::new(Class::Object, what)
                .hint("make a full clone: leave out `--linked`")
                .hint(format!("or a template of it, whose clones are linked: `kiln template create {name} NAME`")));
        }
        let first = self.source.machine.xml.interfaces().into_iter().next();
        if self.reserve && first.is_none_or(|first| first.network().is_none()) {
            let what =
                format!("the first interface of `{name}` is on no network that reserves addresses");
            return Err(Problem::new(Class::Usage, what).hint("leave out `--ip`"));
        }
        Ok(())
    }

    /// Returns whether a clone of a disk would be elsewhere, and one of the two is in no folder.
    fn crosses(&self, disk: &SourceDisk) -> bool {
        let Some(pool) = self.pool.filter(|pool| *pool != disk.pool) else { return false };
        disk.rbd.is_some() || self.places.get(pool).is_some_and(|place| !place.is_folder())
    }

    /// Plans the clone `name` with the identity `uuid` (version 7); `ssh_port` is free on the host.
    pub(crate) fn plan(&self, name: &MachineName, uuid: Uuid, ssh_port: Option<u16>) -> Plan {
        let source = self.source;
        let disks: Vec<NewDisk> = source
            .disks
            .iter()
            .enumerate()
            .map(|(n, disk)| self.disk((name, uuid), n, disk))
            .collect();
        let pool = disks.first().map_or_else(String::new, |disk| disk.volume.pool.clone());
        let seed = VolumeRef { name: format!("{}-seed.iso", self.stem(&pool, (name, uuid))), pool };
        let console =
            VolumeRef { pool: self.consoles.to_owned(), name: format!("{name}-console.log") };
        let old = source.machine.meta.as_ref();
        let template = disks.first().filter(|disk| disk.linked);
        let machine = source.machine.name.clone();
        let mut fates = source.others.clone();
        for disk in &disks {
            fates.insert(disk.from.target.clone(), Fate::Copy(self.place(&disk.volume)));
        }
        let seed_place = self.place(&seed);
        let console_path = self.places.get(&console.pool).map(|place| place.path(&console.name));
        let macs: Vec<(Option<Mac>, Mac)> = (0..)
            .zip(source.machine.xml.interfaces())
            .map(|(n, interface)| (interface.mac(), network::mac(uuid, n)))
            .collect();
        let meta = Meta {
            image: old.map_or_else(String::new, |old| old.image.clone()),
            digest: old.map_or_else(String::new, |old| old.digest.clone()),
            template: template.and_then(|disk| Some(disk.from.below.as_ref()?.template.clone())),
            origin: Some(Origin { machine, uuid: source.machine.uuid }),
            // A set has what its file names, and no clones of that.
            owner: None,
            instance_id: uuid,
            user: old.map_or_else(|| self.user.to_owned(), |old| old.user.clone()),
            made_at: self.now,
            made_by: env!("CARGO_PKG_VERSION").to_owned(),
            disk: disks.first().map(|disk| disk.volume.clone()).unwrap_or_else(|| seed.clone()),
            data: disks.iter().skip(1).map(|disk| disk.volume.clone()).collect(),
            seed,
            console,
            reservations: Vec::new(),
            addresses: Vec::new(),
            tags: old.map_or_else(Vec::new, |old| old.tags.clone()),
            ssh_port,
            // A port leads to one machine, and a name.
            forwards: Vec::new(),
            dns: None,
        };
        let (name, reservations) = (name.clone(), self.reservations(&macs));
        let (seed, console) = (seed_place, console_path.unwrap_or_default());
        Plan { name, uuid, meta, disks, macs, reservations, fates, seed, console }
    }

    fn disk(
        &self,
        (name, uuid): (&MachineName, Uuid),
        number: usize,
        from: &SourceDisk,
    ) -> NewDisk {
        let end = &from.format;
        let pool = self.pool.unwrap_or(&from.pool).to_owned();
        let stem = self.stem(&pool, (name, uuid));
        let file = match number {
            0 => format!("{stem}.{end}"),
            _ => format!("{stem}-{}.{end}", from.target),
        };
        let linked = self.linked && from.can_be_below();
        NewDisk { from: from.clone(), volume: VolumeRef { pool, name: file }, linked }
    }

    fn stem(&self, pool: &str, (name, uuid): (&MachineName, Uuid)) -> String {
        self.places.get(pool).map_or_else(|| name.to_string(), |place| place.stem(name, uuid))
    }

    fn place(&self, volume: &VolumeRef) -> DiskSource {
        self.places.get(&volume.pool).map_or(DiskSource::Empty, |place| place.source(&volume.name))
    }

    fn reservations(&self, macs: &[(Option<Mac>, Mac)]) -> Vec<NewReservation> {
        let interfaces = self.source.machine.xml.interfaces();
        let of = |(n, interface): (usize, &kiln_libvirt::domain::InterfaceView)| {
            let reserved = self.source.reserved.get(n).cloned().flatten();
            let asked = if n == 0 && self.reserve { interface.network() } else { None };
            let ip = self.ip.filter(|_| n == 0);
            Some(NewReservation { network: asked.or(reserved)?, mac: macs.get(n)?.1, ip })
        };
        interfaces.iter().enumerate().filter_map(of).collect()
    }
}

impl Plan {
    /// Returns the clone's definition.
    pub(crate) fn xml(&self, source: &Source) -> Element {
        self.renewed(&source.xml)
    }

    /// Returns the clone's definition without secrets, to be shown.
    pub(crate) fn shown_xml(&self, source: &Source) -> Element {
        self.renewed(&source.machine.xml.0)
    }

    fn renewed(&self, xml: &Element) -> Element {
        let macs: Vec<Mac> = self.macs.iter().map(|(_, mac)| *mac).collect();
        let new = New {
            name: self.name.as_str(),
            uuid: self.uuid,
            macs: &macs,
            fates: &self.fates,
            seed: &self.seed,
            console: &self.console,
            meta: &self.meta.element(),
            ssh_port: self.meta.ssh_port,
        };
        domain::renewed(xml, &new)
    }

    /// Returns what will be done, in order, a line each.
    pub(crate) fn lines(&self, source: &Source) -> Vec<String> {
        let mut lines = vec![format!("define domain `{}` ({})", self.name, self.uuid)];
        for disk in &self.disks {
            let how = match disk.from.below.as_ref().filter(|_| disk.linked) {
                Some(below) => format!("a linked clone on template `{}`", below.template.name),
                None if disk.linked => "a linked clone on a snapshot of it".to_owned(),
                None => "a full clone".to_owned(),
            };
            let from = disk.from.volume.name();
            lines.push(format!("create volume `{}` from `{from}`, {how}", disk.volume.name));
        }
        if let Some(nvram) = &source.nvram {
            lines.push(format!("copy the UEFI variables `{nvram}`"));
        }
        lines.push("take out of the guest what tells it from others".to_owned());
        lines.push(format!("create volume `{}`, the cloud-init seed", self.meta.seed.name));
        lines.push(format!("create volume `{}`, the console's log", self.meta.console.name));
        lines.extend(self.reservations.iter().map(|one| match one.ip {
            Some(ip) => format!("reserve {ip} in network `{}` for {}", one.network, one.mac),
            None => format!("reserve an address in network `{}` for {}", one.network, one.mac),
        }));
        lines
    }

    /// Returns the report's lines about the definition.
    pub(crate) fn facts(&self, source: &Source) -> Vec<Fact> {
        let old = &source.machine;
        let mut facts = vec![
            Fact::new("host name", report::Fate::New, &old.name, self.name.as_str()),
            Fact::new("uuid", report::Fate::New, old.uuid.to_string(), self.uuid.to_string()),
        ];
        let was = old.meta.as_ref().map_or_else(String::new, |meta| meta.instance_id.to_string());
        facts.push(Fact::new("instance-id", report::Fate::New, was, self.uuid.to_string()));
        for (was, is) in &self.macs {
            let was = was.map_or_else(String::new, |mac| mac.to_string());
            facts.push(Fact::new("mac", report::Fate::New, was, is.to_string()));
        }
        facts
    }

    /// Returns the report's lines about what both have, or the clone lacks.
    pub(crate) fn rest(&self, source: &Source) -> Vec<Fact> {
        let shared = self.fates.iter().filter(|(_, fate)| **fate == Fate::Share);
        let mut facts: Vec<Fact> = shared
            .map(|(target, _)| {
                Fact::new(format!("disk {target}"), report::Fate::Kept, "", "shared")
            })
            .collect();
        let ejected = self.fates.iter().filter(|(_, fate)| **fate == Fate::Eject);
        facts.extend(
            ejected.map(|(target, _)| {
                Fact::new(format!("seed in {target}"), report::Fate::Left, "", "")
            }),
        );
        let devices = source.xml.find("devices");
        let has = |name| devices.is_some_and(|devices| devices.find(name).is_some());
        if has("tpm") {
            facts.push(Fact::new("tpm", report::Fate::New, "", "empty"));
        }
        if has("hostdev") {
            facts.push(Fact::new("host devices", report::Fate::Kept, "", "one machine at a time"));
        }
        let forwards = source.machine.meta.iter().flat_map(|meta| &meta.forwards);
        facts.extend(
            forwards.map(|one| Fact::new("forward", report::Fate::Left, one.to_string(), "")),
        );
        facts.push(Fact::new("snapshots", report::Fate::Left, "", ""));
        facts.push(Fact::new("accounts, data", report::Fate::Kept, "", ""));
        facts
    }
}
