// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The host's pools: found by name, their volumes, and what hangs on each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use kiln_libvirt::domain::DiskView;
use kiln_libvirt::storage::{Pool, PoolInfo, PoolView, VolumeView};
use kiln_libvirt::xml::Element;
use kiln_libvirt::{Connection, Error};
use kiln_spec::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use super::existing::Machine;
use super::meta::VolumeRef;
use super::undo::{self, Undo};
use crate::context::Context;
use crate::error::{Class, Problem};

/// Finds a pool.
///
/// # Errors
///
/// Not there (class object), with the nearest name.
pub(crate) fn find(conn: &Connection, name: &str) -> anyhow::Result<Pool> {
    match conn.pool(name) {
        Err(error) if error.is_not_found() => {}
        other => return Ok(other?),
    }
    let problem = Problem::new(Class::Object, format!("the host has no pool `{name}`"));
    let (all, otherwise) = (conn.pools()?, "`kiln pool list` shows what there is");
    Err(problem.did_you_mean(name, all.iter().map(Pool::name), otherwise).into())
}

/// Finds the pool of a folder, in use or not.
///
/// # Errors
///
/// What libvirt says.
pub(crate) fn at(conn: &Connection, folder: &str) -> Result<Option<Pool>, kiln_libvirt::Error> {
    // By its parts: `/srv/vms/` is `/srv/vms`. On this host links to it are it, too.
    let real = |folder: &str| {
        let real = conn.is_local().then(|| std::fs::canonicalize(folder).ok()).flatten();
        real.unwrap_or_else(|| PathBuf::from(folder))
    };
    let wanted = real(folder);
    for pool in conn.pools()? {
        let other = match pool.xml() {
            // Removed between the listing and now.
            Err(error) if error.is_not_found() => continue,
            other => other?.target_path(),
        };
        if other.is_some_and(|other| real(&other) == wanted) {
            return Ok(Some(pool));
        }
    }
    Ok(None)
}

fn already(name: &str) -> Problem {
    let what = format!("the host has a pool `{name}` already");
    Problem::new(Class::Object, what).hint("choose another name, or `kiln pool rm` it")
}

/// Refuses a pool whose name is taken.
///
/// # Errors
///
/// Class object; what libvirt says.
pub(crate) fn refuse_taken(conn: &Connection, name: &str) -> anyhow::Result<()> {
    match conn.pool(name) {
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(already(name).into()),
    }
}

/// Returns whether a pool's folder has still to be made. Of another host nobody knows: a folder
/// stays there, empty.
pub(crate) fn is_made(conn: &Connection, folder: &str) -> bool {
    conn.is_local() && !Path::new(folder).exists()
}

/// Defines a pool, makes its folder and takes it into use; undone as a whole if a step fails.
///
/// # Errors
///
/// The name is taken (class object); what libvirt says.
pub(crate) fn make(
    ctx: &Context,
    conn: &Connection,
    (uuid, xml): (Uuid, &Element),
    autostart: bool,
) -> anyhow::Result<()> {
    let view = PoolView(xml.clone());
    let (name, folder) = (view.name().unwrap_or_default(), view.target_path().unwrap_or_default());
    let made = is_made(conn, &folder);
    let steps = || -> Result<(), Error> {
        let pool = conn.define_pool_xml(xml)?;
        pool.build()?;
        pool.start()?;
        if autostart { pool.set_autostart(true) } else { Ok(()) }
    };
    let undo = Undo::Pool { uri: conn.uri().to_string(), uuid, name: name.clone(), made };
    undo::or_undone(ctx, conn, (&format!("pool-{uuid}"), undo), || match steps() {
        Err(error) if error.is_exists() => Err(already(&name).because(error).into()),
        other => Ok(other?),
    })
}

/// Refuses what is no folder, and a folder that is another pool's: the two would see each other's
/// volumes.
///
/// # Errors
///
/// Class object, with whose it is.
pub(crate) fn folder_is_free(conn: &Connection, folder: &str) -> anyhow::Result<()> {
    if conn.is_local() && std::fs::metadata(folder).is_ok_and(|there| !there.is_dir()) {
        let what = format!("`{folder}` is there, and no folder");
        return Err(Problem::new(Class::Object, what).into());
    }
    let Some(pool) = at(conn, folder)? else { return Ok(()) };
    let what = format!("the folder `{folder}` is that of the pool `{}`", pool.name());
    Err(Problem::new(Class::Object, what).into())
}

/// What there is to know of a pool without its volumes.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    /// Its name.
    pub(crate) name: String,
    /// Whether it is in use.
    pub(crate) active: bool,
    /// Whether it is taken into use with the host.
    pub(crate) autostart: bool,
    /// Its definition.
    pub(crate) view: PoolView,
    /// Its sizes; `None` while it is not in use.
    pub(crate) room: Option<PoolInfo>,
}

impl Summary {
    /// Asks for everything once.
    ///
    /// # Errors
    ///
    /// What libvirt says.
    pub(crate) fn of(pool: &Pool) -> Result<Self, kiln_libvirt::Error> {
        let active = pool.is_active()?;
        Ok(Self {
            name: pool.name().to_owned(),
            active,
            autostart: pool.autostart().unwrap_or(false),
            view: pool.xml()?,
            room: active.then(|| pool.info()).transpose()?,
        })
    }

    /// Returns whether it is in use, for people.
    pub(crate) const fn state(&self) -> &'static str {
        if self.active { "active" } else { "inactive" }
    }

    /// Returns where its volumes are, for people.
    pub(crate) fn place(&self) -> Option<String> {
        self.view.target_path().or(self.view.source_name())
    }

    /// Returns it as JSON.
    pub(crate) fn json(&self) -> Value {
        let size = |of: fn(&PoolInfo) -> Bytes| self.room.as_ref().map(|room| of(room).0);
        json!({
            "name": self.name,
            "uuid": self.view.uuid(),
            "active": self.active,
            "autostart": self.autostart,
            "type": self.view.kind(),
            "folder": self.view.target_path(),
            "source": self.view.source_name(),
            "capacity_bytes": size(|room| room.capacity),
            "used_bytes": size(|room| room.allocation),
            "free_bytes": size(|room| room.available),
        })
    }
}

/// A volume, and what hangs on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Its name.
    pub(crate) name: String,
    /// How its bytes are laid out.
    pub(crate) format: String,
    /// The size that a guest sees.
    pub(crate) capacity: Bytes,
    /// The room that it takes.
    pub(crate) allocation: Bytes,
    /// The path of what lies below it.
    pub(crate) over: Option<String>,
    /// The machines that have it as a disk, or were made on it and have theirs in another pool.
    pub(crate) machines: Vec<String>,
    /// The volumes of the pool that lie over it.
    pub(crate) clones: Vec<String>,
}

impl Held {
    /// Returns machines and volumes that need it, for people.
    pub(crate) fn users(&self) -> Vec<String> {
        self.machines.iter().chain(&self.clones).cloned().collect()
    }

    /// Returns it as JSON.
    pub(crate) fn json(&self) -> Value {
        json!({
            "name": self.name,
            "format": self.format,
            "capacity_bytes": self.capacity.0,
            "allocation_bytes": self.allocation.0,
            "over": self.over,
            "machines": self.machines,
            "clones": self.clones,
        })
    }
}

/// Returns the volumes of a pool in use, by name, and which of `machines` have them.
///
/// # Errors
///
/// What libvirt says.
pub(crate) fn volumes(pool: &Pool, machines: &[Machine]) -> anyhow::Result<Vec<Held>> {
    let used = disks(machines)?;
    let mut found = Vec::new();
    for volume in pool.volumes()? {
        match volume.xml() {
            // Removed between the listing and now.
            Err(error) if error.is_not_found() => {}
            other => found.push((volume.name().to_owned(), other?)),
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let mut over: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, view) in &found {
        if let Some(below) = view.backing_path() {
            over.entry(below).or_default().push(name.clone());
        }
    }
    let owners = |(name, view): &(String, VolumeView)| {
        let by_name = Use::Volume(pool.name().to_owned(), name.clone());
        let by_path = Use::Path(view.path().unwrap_or_default());
        let of = [by_name, by_path].into_iter().filter_map(|key| used.get(&key));
        (name.clone(), of.flatten().cloned().collect())
    };
    let owners: BTreeMap<String, BTreeSet<String>> = found.iter().map(owners).collect();
    let held = |(name, view): (String, VolumeView)| {
        let clones = over.remove(&view.path().unwrap_or_default()).unwrap_or_default();
        let of = |name: &String| owners.get(name).into_iter().flatten();
        let by_clones: BTreeSet<&String> = clones.iter().flat_map(of).collect();
        let template = VolumeRef { pool: pool.name().to_owned(), name: name.clone() };
        let on_it = machines.iter().filter(|machine| machine.hangs_on(&template));
        let on_it = on_it.map(|machine| &machine.name).filter(|name| !by_clones.contains(name));
        let machines: BTreeSet<&String> = of(&name).chain(on_it).collect();
        Held {
            format: view.format().map_or_else(String::new, |format| format.to_string()),
            capacity: Bytes(view.capacity().unwrap_or(0)),
            allocation: Bytes(view.allocation().unwrap_or(0)),
            over: view.backing_path(),
            machines: machines.into_iter().cloned().collect(),
            clones,
            name,
        }
    };
    Ok(found.into_iter().map(held).collect())
}

/// Returns the machines that have a volume of a pool as a disk or were made on one, by name; of a
/// pool that is not in use, those whose disks lie in its folder.
///
/// # Errors
///
/// What libvirt says.
pub(crate) fn machines_in(
    conn: &Connection,
    pool: &Pool,
    view: &PoolView,
) -> anyhow::Result<BTreeSet<String>> {
    let folder = view.target_path();
    let is_in = |used: &Use| match used {
        Use::Volume(of, _) => of == pool.name(),
        Use::Path(path) => {
            let above = Path::new(path).parent();
            folder.as_ref().is_some_and(|folder| above == Some(Path::new(folder)))
        }
    };
    let machines = Machine::all(conn)?;
    let all = disks(&machines)?.into_iter();
    let mut names: BTreeSet<String> =
        all.filter(|(used, _)| is_in(used)).flat_map(|(_, names)| names).collect();
    // Their disks may be in another pool.
    let made_on = |machine: &&Machine| {
        let template = machine.meta.as_ref().and_then(|meta| meta.template.as_ref());
        template.is_some_and(|template| template.pool == pool.name())
    };
    names.extend(machines.iter().filter(made_on).map(|machine| machine.name.clone()));
    Ok(names)
}

/// What a disk of a machine is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    /// A path on the host.
    Path(String),
    /// A volume of a pool.
    Volume(String, String),
}

impl Use {
    fn of(disk: &DiskView) -> Option<Self> {
        let path = disk.file().or(disk.block()).map(Self::Path);
        path.or_else(|| Some(Self::Volume(disk.pool()?, disk.volume()?)))
    }
}

/// Returns which machines have which disks, now or at their next start.
fn disks(machines: &[Machine]) -> anyhow::Result<BTreeMap<Use, BTreeSet<String>>> {
    let mut all: BTreeMap<Use, BTreeSet<String>> = BTreeMap::new();
    for machine in machines {
        for xml in machine.now()?.iter().chain([&machine.xml]) {
            for used in xml.disks().iter().filter_map(Use::of) {
                all.entry(used).or_default().insert(machine.name.clone());
            }
        }
    }
    Ok(all)
}
