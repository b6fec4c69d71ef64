// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The host's pools: found by name, their volumes, and what hangs on each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use kiln_host::tools::rbd::{Entry, Listed};
use kiln_libvirt::domain::{DiskView, Rbd, RbdHost, RbdSecret};
use kiln_libvirt::keyring::Key;
use kiln_libvirt::storage::{Pool, PoolInfo, PoolView, RbdPool, Volume, VolumeView};
use kiln_libvirt::xml::Element;
use kiln_libvirt::{Connection, Error};
use kiln_spec::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use super::ceph::Client;
use super::existing::Machine;
use super::meta::VolumeRef;
use super::secrets;
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

/// A key that a secret is made of, together with a pool.
#[derive(Debug)]
pub(crate) struct NewKey {
    /// The secret's UUID.
    pub(crate) uuid: Uuid,
    /// The secret's name.
    pub(crate) name: String,
    /// Whose key it is.
    pub(crate) user: String,
    /// The key.
    pub(crate) key: Key,
}

/// Returns the name of the secret that is made with a pool, and goes with it.
pub(crate) fn own_secret(pool: &str) -> String {
    format!("kiln-pool-{pool}")
}

/// Defines a pool, makes its folder or its secret, and takes it into use; undone as a whole if a
/// step fails.
///
/// # Errors
///
/// The name is taken (class object); what libvirt says.
pub(crate) fn make(
    ctx: &Context,
    conn: &Connection,
    (uuid, xml): (Uuid, &Element),
    key: Option<&NewKey>,
    autostart: bool,
) -> anyhow::Result<()> {
    let view = PoolView(xml.clone());
    let name = view.name().unwrap_or_default();
    let folder = view.folder();
    let made = folder.as_ref().is_some_and(|folder| is_made(conn, folder));
    let steps = || -> anyhow::Result<()> {
        if let Some(new) = key {
            let named = (new.name.as_str(), new.uuid);
            secrets::define(conn, named, (Some(&new.user), &new.key))?;
        }
        let pool = match conn.define_pool_xml(xml) {
            Err(error) if error.is_exists() => return Err(already(&name).because(error).into()),
            Err(error) if view.volume_group().is_some() => {
                let what = "the host's libvirt takes no pool of LVM";
                let hint =
                    "has it the driver? apt install libvirt-daemon-driver-storage-logical lvm2";
                return Err(Problem::new(Class::Host, what).because(error).hint(hint).into());
            }
            other => other?,
        };
        if folder.is_some() {
            pool.build()?;
        }
        pool.start().map_err(|error| not_started(ctx, conn, &view, error))?;
        if autostart {
            pool.set_autostart(true)?;
        }
        Ok(())
    };
    let uri = conn.uri().to_string();
    let secret =
        key.map(|new| Undo::Secret { uri: uri.clone(), uuid: new.uuid, name: new.name.clone() });
    let pool = Undo::Pool { uri, uuid, name: name.clone(), made };
    let all = secret.into_iter().chain([pool]).collect();
    undo::all_or_undone(ctx, conn, (&format!("pool-{uuid}"), all), steps)
}

/// Returns the secret that was made with a pool, if the pool still has it and nothing else does:
/// its UUID and its name.
///
/// # Errors
///
/// What libvirt says.
pub(crate) fn secret_of(
    conn: &Connection,
    name: &str,
    view: &PoolView,
) -> anyhow::Result<Option<(Uuid, String)>> {
    let Some(RbdSecret::Uuid(uuid)) = view.rbd().and_then(|rbd| Some(rbd.auth?.secret)) else {
        return Ok(None);
    };
    let own = own_secret(name);
    match conn.ceph_secret(&own) {
        Err(error) if error.is_not_found() => return Ok(None),
        other => {
            if other?.uuid() != uuid {
                return Ok(None);
            }
        }
    }
    let users = secrets::users(conn, &secrets::find(conn, &own)?)?;
    Ok(users.iter().all(|user| *user == format!("pool `{name}`")).then_some((uuid, own)))
}

/// Takes a pool out of use, with the secret that was made with it; `made` says that its folder was,
/// too.
///
/// # Errors
///
/// What libvirt says.
pub(crate) fn remove(
    ctx: &Context,
    conn: &Connection,
    (name, uuid, made): (&str, Uuid, bool),
    secret: Option<(Uuid, String)>,
) -> anyhow::Result<()> {
    let uri = conn.uri().to_string();
    let secret = secret.map(|(uuid, name)| Undo::Secret { uri: uri.clone(), uuid, name });
    let pool = Undo::Pool { uri, uuid, name: name.to_owned(), made };
    undo::remove_all(ctx, conn, secret.into_iter().chain([pool]).collect())
}

/// Says what is wrong with a Ceph pool. libvirt has one number for all of it, so the cluster is asked
/// once more, from here.
fn not_started(ctx: &Context, conn: &Connection, view: &PoolView, error: Error) -> anyhow::Error {
    if let Some(group) = view.volume_group() {
        let what = format!("the host does not get into the volume group `{group}`");
        let hint = "`vgs` there shows what there is, `vgcreate NAME DEVICE` makes one";
        return Problem::new(Class::Tool, what).because(error).hint(hint).into();
    }
    let Some(rbd) = view.rbd() else { return error.into() };
    let user = rbd.auth.as_ref().map_or_else(String::new, |auth| auth.user.clone());
    let entry = Client::open(ctx, conn, &rbd).ok().and_then(|client| client.knock().ok());
    let (what, hint) = match entry {
        Some(Entry::Denied) => (
            format!("the cluster does not let client.{user} in with this key"),
            format!("`ceph auth get client.{user}` on the cluster says whether it is known, and its key"),
        ),
        Some(Entry::NoPool) => (
            format!("the cluster has no pool `{}`", rbd.pool),
            "`ceph osd lspools` on the cluster says what there is".to_owned(),
        ),
        Some(Entry::Silent) => (
            "no monitor of the cluster answers".to_owned(),
            "are the addresses right, and is the way to them open?".to_owned(),
        ),
        Some(Entry::Open) | None => (
            format!("the host does not get into the Ceph pool `{}`", rbd.pool),
            "do the monitors answer the host, and has it libvirt's driver? apt install libvirt-daemon-driver-storage-rbd".to_owned(),
        ),
    };
    Problem::new(Class::Tool, what).because(error).hint(hint).into()
}

/// Finds the volume that is an image of a Ceph pool, also one that its pool has not seen yet.
///
/// # Errors
///
/// What libvirt says.
pub(crate) fn rbd_volume(
    conn: &Connection,
    image: &Rbd,
) -> anyhow::Result<Option<(Volume, RbdPool)>> {
    let of = RbdPool { pool: image.pool.clone(), hosts: image.hosts.clone(), auth: None };
    for pool in conn.pools()? {
        let rbd = match pool.xml() {
            // Removed between the listing and now.
            Err(error) if error.is_not_found() => continue,
            other => other?.rbd(),
        };
        let Some(rbd) = rbd.filter(|rbd| rbd.is_same(&of)) else { continue };
        if !pool.is_active()? {
            continue;
        }
        let volume = pool.volume(&image.image).or_else(|_| {
            pool.refresh().ok();
            pool.volume(&image.image)
        });
        match volume {
            Err(error) if error.is_not_found() => {}
            volume => return Ok(Some((volume?, rbd))),
        }
    }
    Ok(None)
}

/// Refuses to remove a machine whose disk others lie over: in a Ceph pool that can be.
///
/// # Errors
///
/// Class object, with what lies over it; what libvirt and `rbd` say.
pub(crate) fn refuse_parent(ctx: &Context, machine: &Machine) -> anyhow::Result<()> {
    let Some(meta) = &machine.meta else { return Ok(()) };
    for disk in [&meta.disk].into_iter().chain(&meta.data) {
        let pool = match machine.conn.pool(&disk.pool) {
            Err(error) if error.is_not_found() => continue,
            other => other?,
        };
        let Some(rbd) = pool.xml()?.rbd() else { continue };
        match pool.volume(&disk.name) {
            Err(error) if error.is_not_found() => continue,
            volume => drop(volume?),
        }
        let over = Client::open(ctx, &machine.conn, &rbd)?.children(&disk.name)?;
        if over.is_empty() {
            continue;
        }
        let used = disks(&Machine::all(&machine.conn)?)?;
        let owner = |path: &String| {
            let of = used.get(&Use::Path(path.clone()));
            let of = of.into_iter().flatten().map(|name| format!("`{name}`")).next();
            of.unwrap_or_else(|| format!("the image {path}"))
        };
        let names: Vec<String> = over.iter().map(owner).collect();
        let what = format!("on the disk of `{}` hang {}", machine.name, names.join(", "));
        return Err(Problem::new(Class::Object, what).hint("remove them first").into());
    }
    Ok(())
}

/// Refuses a Ceph pool that another pool is already: the two would see each other's volumes.
///
/// # Errors
///
/// Class object, with whose it is.
pub(crate) fn rbd_is_free(conn: &Connection, wanted: &RbdPool) -> anyhow::Result<()> {
    for pool in conn.pools()? {
        let other = match pool.xml() {
            // Removed between the listing and now.
            Err(error) if error.is_not_found() => continue,
            other => other?.rbd(),
        };
        if other.is_some_and(|other| other.is_same(wanted)) {
            let what =
                format!("the Ceph pool `{}` is that of the pool `{}`", wanted.pool, pool.name());
            return Err(Problem::new(Class::Object, what).into());
        }
    }
    Ok(())
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
            room: active.then(|| super::pool::room(pool)).transpose()?,
        })
    }

    /// Returns whether it is in use, for people.
    pub(crate) const fn state(&self) -> &'static str {
        if self.active { "active" } else { "inactive" }
    }

    /// Returns where its volumes are, for people.
    pub(crate) fn place(&self) -> Option<String> {
        let rbd = self.view.rbd().map(|rbd| format!("Ceph pool {}", rbd.pool));
        self.view.target_path().or(rbd).or(self.view.source_name())
    }

    /// Returns it as JSON.
    pub(crate) fn json(&self) -> Value {
        let size = |of: fn(&PoolInfo) -> Bytes| self.room.as_ref().map(|room| of(room).0);
        let rbd = self.view.rbd();
        let monitor = |host: &RbdHost| json!({ "host": host.name, "port": host.port });
        json!({
            "name": self.name,
            "uuid": self.view.uuid(),
            "active": self.active,
            "autostart": self.autostart,
            "type": self.view.kind(),
            "folder": self.view.folder(),
            "volume_group": self.view.volume_group(),
            "source": self.view.source_name(),
            "monitors": rbd.as_ref().map(|rbd| rbd.hosts.iter().map(monitor).collect::<Vec<_>>()),
            "user": rbd.as_ref().and_then(|rbd| Some(&rbd.auth.as_ref()?.user)),
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
pub(crate) fn volumes(
    ctx: &Context,
    pool: &Pool,
    machines: &[Machine],
) -> anyhow::Result<Vec<Held>> {
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
    let parents = parents(ctx, pool)?;
    for (name, view) in &found {
        if let Some(below) = view.backing_path() {
            over.entry(below).or_default().push(name.clone());
        }
    }
    // Also of those that another host has made, of which libvirt here has not heard yet.
    for (name, below) in &parents {
        over.entry(below.clone()).or_default().push(name.clone());
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
            over: view.backing_path().or_else(|| parents.get(&name).cloned()),
            machines: machines.into_iter().cloned().collect(),
            clones,
            name,
        }
    };
    Ok(found.into_iter().map(held).collect())
}

/// Returns what the images of a Ceph pool lie over, as libvirt's paths: libvirt itself does not tell.
/// A cluster that this client does not get through to is no error: a template that something lies
/// over is protected in it, and machines say which theirs is.
fn parents(ctx: &Context, pool: &Pool) -> anyhow::Result<BTreeMap<String, String>> {
    let Some(rbd) = pool.xml()?.rbd() else { return Ok(BTreeMap::new()) };
    let listed = Client::open(ctx, pool.connection(), &rbd).and_then(|client| client.list());
    let listed = listed.unwrap_or_else(|error| {
        let name = pool.name();
        ctx.ui.warn(format!("what lies over what in `{name}` is not known: {error:#}"));
        Vec::new()
    });
    let one = |one: Listed| {
        let (pool, image) = one.parent.filter(|_| one.snapshot.is_none())?;
        Some((one.image, format!("{pool}/{image}")))
    };
    Ok(listed.into_iter().filter_map(one).collect())
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
    let folder = view.target_path().or(view.rbd().map(|rbd| rbd.pool));
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
    /// A path on the host, or Ceph's pool and image.
    Path(String),
    /// A volume of a pool.
    Volume(String, String),
}

impl Use {
    fn of(disk: &DiskView) -> Option<Self> {
        let rbd = disk.network_name().filter(|_| disk.protocol().as_deref() == Some("rbd"));
        let path = disk.file().or(disk.block()).or(rbd).map(Self::Path);
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
