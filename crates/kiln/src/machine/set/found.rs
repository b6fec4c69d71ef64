// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the host has of a set, and beside it. Asked, and not changed.

use std::collections::BTreeMap;

use kiln_libvirt::Connection;
use kiln_libvirt::domain::{DomainXml, XmlKind};
use kiln_libvirt::network::NetworkView;
use kiln_libvirt::storage::{Pool, RbdPool};
use kiln_spec::Bytes;

use super::owned_pool;
use crate::machine::existing::Machine;
use crate::machine::meta::{Meta, VolumeRef};
use crate::machine::{network, networks};

/// A network of the host.
#[derive(Clone, Debug)]
pub(crate) struct HostNetwork {
    /// The set that owns it.
    pub(crate) owner: Option<String>,
    /// Whether it is active.
    pub(crate) active: bool,
    /// Its definition.
    pub(crate) view: NetworkView,
}

/// A pool of the host.
#[derive(Clone, Debug)]
pub(crate) struct HostPool {
    /// Whether the set owns it.
    pub(crate) owned: bool,
    /// Whether it is in use.
    pub(crate) active: bool,
    /// Its folder.
    pub(crate) folder: Option<String>,
    /// What it is in a Ceph cluster.
    pub(crate) rbd: Option<RbdPool>,
}

/// The disk of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostDisk {
    /// Not asked for: it is no machine of the set, or its pool is off.
    Unknown,
    /// Somebody has removed it.
    Gone,
    /// It has this size.
    Is(Bytes),
}

/// A machine of the host.
#[derive(Clone, Debug)]
pub(crate) struct HostMachine {
    /// What Kiln remembers; `None` if it did not make it.
    pub(crate) meta: Option<Meta>,
    /// What it is at its next start.
    pub(crate) xml: DomainXml,
    /// What it is now, if it runs and is the set's.
    pub(crate) live: Option<DomainXml>,
    /// Its disk.
    pub(crate) disk: HostDisk,
}

impl HostMachine {
    /// Returns the set that it is of.
    pub(crate) fn set(&self) -> Option<&str> {
        Some(self.meta.as_ref()?.owner.as_ref()?.set.as_str())
    }
}

/// What the host has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// The network of machines that name none.
    pub(crate) usual: String,
    /// The networks, by name.
    pub(crate) networks: BTreeMap<String, HostNetwork>,
    /// The pools, by name.
    pub(crate) pools: BTreeMap<String, HostPool>,
    /// The machines, by name.
    pub(crate) machines: BTreeMap<String, HostMachine>,
}

/// Asks for all that a set is compared with.
///
/// # Errors
///
/// What libvirt says. What goes while it is asked for is not there.
pub(crate) fn ask(conn: &Connection, set: &str) -> anyhow::Result<Found> {
    let usual = if conn.is_session() { network::USER } else { "default" };
    Ok(Found {
        usual: usual.to_owned(),
        networks: all_networks(conn)?,
        pools: all_pools(conn, set)?,
        machines: all_machines(conn, set)?,
    })
}

fn all_networks(conn: &Connection) -> anyhow::Result<BTreeMap<String, HostNetwork>> {
    let mut all = BTreeMap::new();
    for found in conn.networks()? {
        let asked = found.xml().and_then(|view| Ok((view, found.is_active()?)));
        let (view, active) = match asked {
            Err(error) if error.is_not_found() => continue,
            other => other?,
        };
        let owner = networks::owner(&view);
        all.insert(found.name().to_owned(), HostNetwork { owner, active, view });
    }
    Ok(all)
}

fn all_pools(conn: &Connection, set: &str) -> anyhow::Result<BTreeMap<String, HostPool>> {
    let mut all = BTreeMap::new();
    for found in conn.pools()? {
        let asked = found.xml().and_then(|view| Ok((view, found.is_active()?)));
        let (view, active) = match asked {
            Err(error) if error.is_not_found() => continue,
            other => other?,
        };
        let name = found.name().to_owned();
        let owned = view.uuid().and_then(|uuid| owned_pool(uuid, set, &name)).is_some();
        let (folder, rbd) = (view.target_path(), view.rbd());
        all.insert(name, HostPool { owned, active, folder, rbd });
    }
    Ok(all)
}

fn all_machines(conn: &Connection, set: &str) -> anyhow::Result<BTreeMap<String, HostMachine>> {
    let (mut all, mut pools) = (BTreeMap::new(), BTreeMap::new());
    for machine in Machine::all(conn)? {
        let name = machine.name.clone();
        let mut one = HostMachine {
            meta: machine.meta.clone(),
            xml: machine.xml.clone(),
            live: None,
            disk: HostDisk::Unknown,
        };
        if one.set() == Some(set) {
            one.live = live(&machine)?;
            one.disk = disk(conn, machine.meta.as_ref(), &mut pools)?;
        }
        all.insert(name, one);
    }
    Ok(all)
}

/// Returns what a machine is now, if it runs. One question: only what runs has a number.
fn live(machine: &Machine) -> anyhow::Result<Option<DomainXml>> {
    match machine.domain.xml(XmlKind::Active) {
        Err(error) if error.is_not_found() => Ok(None),
        other => Ok(Some(other?).filter(|now| now.id().is_some())),
    }
}

fn disk(
    conn: &Connection,
    meta: Option<&Meta>,
    pools: &mut BTreeMap<String, Pool>,
) -> anyhow::Result<HostDisk> {
    let Some(VolumeRef { pool, name }) = meta.map(|meta| &meta.disk) else {
        return Ok(HostDisk::Unknown);
    };
    let found = match pools.get(pool) {
        Some(found) => Ok(found.clone()),
        None => conn.pool(pool),
    };
    let found = match found {
        // With its pool: what is in that folder nobody knows.
        Err(error) if error.is_not_found() => return Ok(HostDisk::Unknown),
        other => other,
    };
    let found = found.and_then(|found| {
        pools.insert(pool.clone(), found.clone());
        found.volume(name)?.info()
    });
    match found {
        Err(error) if error.is_not_found() => Ok(HostDisk::Gone),
        Err(error) if error.is_operation_invalid() => Ok(HostDisk::Unknown),
        other => Ok(HostDisk::Is(other?.capacity)),
    }
}
