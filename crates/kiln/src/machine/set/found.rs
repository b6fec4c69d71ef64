// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the host has of a set, and beside it. Asked, and not changed.

use std::collections::BTreeMap;

use kiln_host::causes::in_line;
use kiln_libvirt::Connection;
use kiln_libvirt::domain::{DomainXml, XmlKind};
use kiln_libvirt::keyring::Key;
use kiln_libvirt::network::NetworkView;
use kiln_libvirt::storage::{Pool, RbdPool};
use kiln_spec::Bytes;
use kiln_spec::set::NfsSource;

use super::{owned_pool, owned_secret};
use crate::machine::existing::Machine;
use crate::machine::meta::{Meta, VolumeRef};
use crate::machine::pool;
use crate::machine::{network, networks, secrets};
use crate::ui::Ui;

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
    /// What is mounted there, if that is of a server.
    pub(crate) nfs: Option<NfsSource>,
    /// The volume group, if it is one of LVM.
    pub(crate) group: Option<String>,
    /// What it is in a Ceph cluster.
    pub(crate) rbd: Option<RbdPool>,
}

/// A secret for Ceph that the host keeps.
#[derive(Clone, Debug)]
pub(crate) struct HostSecret {
    /// Whether the set owns it.
    pub(crate) owned: bool,
    /// The Ceph user whose key it is, if Kiln was told.
    pub(crate) user: Option<String>,
    /// The key, of one that the set owns.
    pub(crate) key: Option<Key>,
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
    /// Whether the host starts it with itself; not asked of others'.
    pub(crate) autostart: bool,
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
    /// The secrets for Ceph, by name.
    pub(crate) secrets: BTreeMap<String, HostSecret>,
    /// The pools, by name.
    pub(crate) pools: BTreeMap<String, HostPool>,
    /// The machines, by name.
    pub(crate) machines: BTreeMap<String, HostMachine>,
    /// Pools that could not be asked, and why: disks in them are not known.
    pub(crate) silent: BTreeMap<String, String>,
}

impl Found {
    /// Says which pools could not be asked.
    pub(crate) fn warn(&self, ui: &Ui) {
        for (pool, why) in &self.silent {
            ui.warn(format!("the disks in pool `{pool}` are not compared: {why}"));
        }
    }
}

/// Asks for all that a set is compared with.
///
/// # Errors
///
/// What libvirt says. What goes while it is asked for is not there.
pub(crate) fn ask(conn: &Connection, set: &str) -> anyhow::Result<Found> {
    let usual = if conn.is_session() { network::USER } else { "default" };
    let (machines, silent) = all_machines(conn, set)?;
    Ok(Found {
        silent,
        usual: usual.to_owned(),
        networks: all_networks(conn)?,
        secrets: all_secrets(conn, set)?,
        pools: all_pools(conn, set)?,
        machines,
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

fn all_secrets(conn: &Connection, set: &str) -> anyhow::Result<BTreeMap<String, HostSecret>> {
    let mut all = BTreeMap::new();
    for known in secrets::all(conn)?.into_iter().filter(|known| known.kind == "ceph") {
        let Some(name) = known.name else { continue };
        let owned = owned_secret(known.uuid, set, &name);
        let key = match owned.then(|| conn.secret_by_uuid(known.uuid).and_then(|one| one.key())) {
            None => None,
            // Gone meanwhile, or its making was cut short before it had its key.
            Some(Err(error)) if error.is_not_found() => None,
            Some(key) => Some(key?),
        };
        all.insert(name, HostSecret { owned, user: known.user, key });
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
        let (folder, group, rbd) = (view.folder(), view.volume_group(), view.rbd());
        let of_server = view.kind().as_deref() == Some("netfs");
        let nfs = view.source_host().zip(view.source_dir()).filter(|_| of_server);
        let nfs = nfs.map(|(host, export)| NfsSource { host, export });
        all.insert(name, HostPool { owned, active, folder, nfs, group, rbd });
    }
    Ok(all)
}

/// The machines by name, and the pools that could not be asked.
type Machines = (BTreeMap<String, HostMachine>, BTreeMap<String, String>);

fn all_machines(conn: &Connection, set: &str) -> anyhow::Result<Machines> {
    let (mut all, mut pools) = (BTreeMap::new(), BTreeMap::new());
    let mut silent = BTreeMap::new();
    for machine in Machine::all(conn)? {
        let name = machine.name.clone();
        let mut one = HostMachine {
            meta: machine.meta.clone(),
            xml: machine.xml.clone(),
            live: None,
            disk: HostDisk::Unknown,
            autostart: false,
        };
        if one.set() == Some(set) {
            one.live = live(&machine)?;
            one.autostart = match machine.domain.autostart() {
                // Its end is told by what else is asked.
                Err(error) if error.is_not_found() => false,
                other => other?,
            };
            one.disk = disk(conn, machine.meta.as_ref(), (&mut pools, &mut silent))?;
        }
        all.insert(name, one);
    }
    Ok((all, silent))
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
    (pools, silent): (&mut BTreeMap<String, Pool>, &mut BTreeMap<String, String>),
) -> anyhow::Result<HostDisk> {
    let Some(VolumeRef { pool, name }) = meta.map(|meta| &meta.disk) else {
        return Ok(HostDisk::Unknown);
    };
    // Each question may take a cluster's half minute.
    if silent.contains_key(pool) {
        return Ok(HostDisk::Unknown);
    }
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
        pool::disk_size(&found.volume(name)?)
    });
    match found {
        Err(error) if error.is_not_found() => Ok(HostDisk::Gone),
        Err(error) if error.is_operation_invalid() => Ok(HostDisk::Unknown),
        // A cluster that is away, or a key that is to be put right.
        Err(error) if pools.contains_key(pool) => {
            silent.insert(pool.clone(), in_line(&error));
            Ok(HostDisk::Unknown)
        }
        other => Ok(HostDisk::Is(other?)),
    }
}
