// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is cloned: a machine that is off, Kiln's or not, looked at before anything is made.

use std::collections::BTreeMap;
use std::path::Path;

use kiln_libvirt::Connection;
use kiln_libvirt::domain::{DiskDevice, DiskFormat, DiskSource, DiskView, XmlKind};
use kiln_libvirt::storage::{Pool, RbdPool, Volume, VolumeView};
use kiln_libvirt::xml::Element;
use kiln_spec::Bytes;

use super::domain::Fate;
use crate::error::{Class, Problem};
use crate::machine::existing::Machine;
use crate::machine::meta::VolumeRef;
use crate::machine::network::Details;
use crate::machine::{pools, template, templates};

/// The most volumes that may lie over one another.
const DEEPEST: usize = 32;
/// Where a volume descriptor of ISO 9660 is, and how long: ECMA-119, 6.2.1, 8.4.
const DESCRIPTOR: (u64, u64) = (32 << 10, 2 << 10);
/// Where in it the volume's name is: ECMA-119, 8.4.7.
const LABEL: std::ops::Range<usize> = 40..72;
/// Names of drives with a seed: cloud-init's `NoCloud` and `ConfigDrive`.
const SEEDS: [&str; 2] = ["cidata", "config-2"];

/// What a disk's clone lies over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Below {
    /// The template.
    pub(crate) template: VolumeRef,
    /// Its path on the host.
    pub(crate) path: String,
}

/// A disk that is copied.
#[derive(Clone, Debug)]
pub(crate) struct SourceDisk {
    /// Its name in libvirt.
    pub(crate) target: String,
    /// Its volume.
    pub(crate) volume: Volume,
    /// The pool's name.
    pub(crate) pool: String,
    /// How the machine reads it.
    pub(crate) format: DiskFormat,
    /// The size that a guest sees.
    pub(crate) capacity: Bytes,
    /// The room that it takes, with all that lies below it.
    pub(crate) takes: Bytes,
    /// The room that it takes alone.
    pub(crate) takes_alone: Bytes,
    /// Whether something lies below it.
    pub(crate) has_backing: bool,
    /// The template that it hangs on.
    pub(crate) below: Option<Below>,
    /// Whether it is raw to the machine, and something else by its first bytes, which the guest
    /// may have written: nobody may obey them.
    pub(crate) misleading: bool,
    /// The Ceph pool that it is in, if it is in one.
    pub(crate) rbd: Option<RbdPool>,
}

impl SourceDisk {
    /// Returns whether a clone can lie over what this lies over, or over a snapshot of it that never
    /// changes.
    pub(crate) fn can_be_below(&self) -> bool {
        self.below.is_some() || self.rbd.is_some()
    }
}

/// What is cloned.
#[derive(Debug)]
pub(crate) struct Source {
    /// The machine.
    pub(crate) machine: Machine,
    /// Its definition, with secrets: not for logs.
    pub(crate) xml: Element,
    /// The disks that are copied, the root disk first.
    pub(crate) disks: Vec<SourceDisk>,
    /// What becomes of the others, by their name in libvirt.
    pub(super) others: BTreeMap<String, Fate>,
    /// Its seed, if Kiln made it.
    pub(crate) seed: Option<Volume>,
    /// The networks that reserve an address for each of its interfaces.
    pub(crate) reserved: Vec<Option<String>>,
    /// The file of its UEFI variables, if it has one.
    pub(crate) nvram: Option<String>,
}

impl Source {
    /// Looks at a machine that is to be cloned.
    ///
    /// # Errors
    ///
    /// It runs, is asleep on disk, or has a disk that cannot be copied (class object).
    pub(crate) fn of(conn: &Connection, machine: Machine) -> anyhow::Result<Self> {
        expect_off(&machine)?;
        let own = machine.meta.as_ref().map(|meta| meta.seed.clone());
        let seed = own.and_then(|seed| conn.pool(&seed.pool).ok()?.volume(&seed.name).ok());
        let seed_path = seed.as_ref().and_then(|seed| seed.path().ok());
        let (mut disks, mut others) = (Vec::new(), BTreeMap::new());
        for view in machine.xml.disks() {
            let target = view.target().unwrap_or_default();
            if seed_path.is_some() && view.file().or(view.network_name()) == seed_path {
                others.insert(target, Fate::Seed);
                continue;
            }
            match shared(conn, &view) {
                Some(fate) => drop(others.insert(target, fate)),
                None => disks.push((view.boot_order(), disk(conn, &machine, &view)?)),
            }
        }
        // The one that is booted from is the root disk; without an order it is the first.
        disks.sort_by_key(|(order, _)| order.unwrap_or(u32::MAX));
        let disks: Vec<SourceDisk> = disks.into_iter().map(|(_, disk)| disk).collect();
        if disks.is_empty() {
            let what = format!("`{}` has no disk that can be cloned", machine.name);
            return Err(Problem::new(Class::Object, what).into());
        }
        let reserved = reservations(conn, &machine)?;
        let xml = machine.domain.xml(XmlKind::InactiveSecure)?.0;
        let nvram = nvram(&xml);
        Ok(Self { xml, disks, others, seed, reserved, nvram, machine })
    }

    /// Refuses a machine that was started meanwhile: its disks were not still.
    ///
    /// # Errors
    ///
    /// Class object.
    pub(crate) fn is_still_off(&self) -> anyhow::Result<()> {
        expect_off(&self.machine)
    }
}

/// Refuses a machine whose disks are in use.
fn expect_off(machine: &Machine) -> anyhow::Result<()> {
    let name = &machine.name;
    let problem = if machine.domain.state()?.is_active() {
        let problem = Problem::new(Class::Object, format!("`{name}` runs, so its disks change"));
        problem.hint(format!("stop it first: `kiln stop {name}`"))
    } else if machine.domain.has_saved_memory()? {
        let what = format!("`{name}` is saved to disk in the middle of its work");
        Problem::new(Class::Object, what)
            .hint(format!("`kiln start {name}`, then `kiln stop {name}`"))
    } else {
        return Ok(());
    };
    Err(problem.into())
}

/// Refuses a machine that was told its addresses: its clone would have the same.
///
/// # Errors
///
/// Class object.
pub(crate) fn told_no_address(machine: &Machine) -> Result<(), Problem> {
    let own = machine.meta.as_ref().and_then(|meta| meta.addresses.first());
    let Some(own) = own else { return Ok(()) };
    let name = &machine.name;
    let what =
        format!("`{name}` was told its address {}, and its clone would have it, too", own.ip);
    let hint = format!(
        "make a template of it (`kiln template create {name} NAME`): `kiln launch NAME` takes `--network`"
    );
    Err(Problem::new(Class::Object, what).hint(hint))
}

/// Returns what becomes of a disk that is not copied.
fn shared(conn: &Connection, view: &DiskView) -> Option<Fate> {
    let device = view.device().unwrap_or(DiskDevice::Disk);
    if device == DiskDevice::Cdrom {
        return Some(if is_seed(conn, view) { Fate::Eject } else { Fate::Share });
    }
    let floppy = device.as_str() == "floppy";
    let meant = view.is_readonly() || view.0.find("shareable").is_some();
    (floppy || meant).then_some(Fate::Share)
}

/// Returns whether a medium is a seed of somebody else's tool, as far as that can be had.
fn is_seed(conn: &Connection, view: &DiskView) -> bool {
    let Some(volume) = view.file().and_then(|path| conn.volume_by_path(&path).ok()) else {
        return false;
    };
    let mut bytes = Vec::new();
    let (at, length) = DESCRIPTOR;
    let read = volume.download(&mut bytes, at, Some(length), &mut |_| ());
    let label = bytes.get(LABEL).map(|label| String::from_utf8_lossy(label).trim().to_lowercase());
    read.is_ok() && label.is_some_and(|label| SEEDS.contains(&label.as_str()))
}

/// Returns how a disk is laid out, and whether its bytes say otherwise; `no` says what is wrong with it.
fn format_of(
    view: &DiskView,
    pool: &Pool,
    known: &VolumeView,
    no: &dyn Fn(&str, &str) -> anyhow::Error,
) -> anyhow::Result<(DiskFormat, bool)> {
    // Not said, it is raw: libvirt does not guess.
    let format = view.format().unwrap_or(DiskFormat::Raw);
    if !matches!(format, DiskFormat::Raw | DiskFormat::Qcow2) {
        let what = format!("is in the format `{format}`");
        return Err(no(&what, "`kiln image convert` makes a qcow2 of it"));
    }
    if format == DiskFormat::Qcow2 && pool.xml()?.volume_group().is_some() {
        let what = format!("is a qcow2 in a volume of LVM, in the pool `{}`", pool.name());
        return Err(no(&what, "libvirt copies such volumes as they are only"));
    }
    let misleading = known.format().is_some_and(|known| known != format);
    if misleading && format == DiskFormat::Qcow2 {
        return Err(no("is to be qcow2, and the file is not", "`kiln image check` looks at it"));
    }
    Ok((format, misleading))
}

fn disk(conn: &Connection, machine: &Machine, view: &DiskView) -> anyhow::Result<SourceDisk> {
    let target = view.target().unwrap_or_default();
    let of = format!("the disk `{target}` of `{}`", machine.name);
    let no = |what: &str, hint: &str| -> anyhow::Error {
        Problem::new(Class::Object, format!("{of} {what}")).hint(hint).into()
    };
    let encrypted =
        view.0.find("encryption").is_some() || view.0.find("source/encryption").is_some();
    if encrypted {
        return Err(no(
            "is encrypted by libvirt, and its copy would need the key",
            "copy it by hand",
        ));
    }
    if view.0.find("source/slices").is_some() || view.device().is_some_and(|d| d.as_str() == "lun")
    {
        return Err(no("is a part of a device, or a device itself", "copy it by hand"));
    }
    if let Some(DiskSource::Rbd(rbd)) = view.source() {
        let Some((volume, rbd)) = pools::rbd_volume(conn, &rbd)? else {
            let what = format!(
                "is the Ceph image `{}/{}`, which is in no pool of the host that is in use",
                rbd.pool, rbd.image
            );
            return Err(no(&what, "make Ceph's pool one: `kiln pool create NAME --rbd POOL`"));
        };
        return in_ceph(conn, machine, target, volume, rbd);
    }
    let volume = match (view.file().or(view.block()), view.pool(), view.volume()) {
        (Some(path), ..) => by_path(conn, &path).ok_or_else(|| {
            let folder = Path::new(&path).parent().unwrap_or(Path::new("/")).display();
            let what = format!("is `{path}`, which is in no pool of the host that is in use");
            let hint = format!("make its folder one: `kiln pool create NAME --dir {folder}`");
            let device = "libvirt copies volumes of its pools only";
            no(&what, if view.block().is_some() { device } else { &hint })
        })?,
        (None, Some(pool), Some(volume)) => conn.pool(&pool)?.volume(&volume)?,
        _ => {
            let place = view.protocol().or(view.kind()).unwrap_or_default();
            let what = format!("is of the kind `{place}`");
            return Err(no(
                &what,
                "machines whose disks are files or volumes can be cloned so far",
            ));
        }
    };
    let pool = volume.pool()?;
    let known = volume.xml()?;
    let (format, misleading) = format_of(view, &pool, &known, &no)?;
    let info = volume.info()?;
    let backing = known.backing_path().filter(|_| !misleading);
    let below = backing.as_ref().map(|path| template_at(conn, path)).transpose()?.flatten();
    let mut takes = info.allocation;
    if let Some(path) = &backing {
        takes.0 = takes.0.saturating_add(chain(conn, path)?.0);
    }
    let whole = known.physical().unwrap_or(info.capacity.0);
    Ok(SourceDisk {
        target,
        pool: pool.name().to_owned(),
        format,
        capacity: if misleading { Bytes(whole) } else { info.capacity },
        takes: Bytes(takes.0.min(info.capacity.0.saturating_add(takes.0 / 8))),
        takes_alone: info.allocation,
        has_backing: backing.is_some(),
        below,
        misleading,
        rbd: None,
        volume,
    })
}

/// Looks at a disk in a Ceph pool: nobody guesses its format, and it lies over what the machine was
/// made on.
fn in_ceph(
    conn: &Connection,
    machine: &Machine,
    target: String,
    volume: Volume,
    rbd: RbdPool,
) -> anyhow::Result<SourceDisk> {
    let (info, pool) = (volume.info()?, volume.pool()?.name().to_owned());
    let meta = machine.meta.as_ref().filter(|meta| meta.disk.name == volume.name());
    let template = meta.and_then(|meta| meta.template.clone()).filter(|of| of.pool == pool);
    let mut takes = info.allocation;
    if let Some(template) = &template {
        let below = conn.pool(&pool)?.volume(&template.name)?.info()?;
        takes.0 = takes.0.saturating_add(below.allocation.0).min(info.capacity.0);
    }
    let below = template.map(|template| Below { path: rbd.path(&template.name), template });
    Ok(SourceDisk {
        target,
        pool,
        format: DiskFormat::Raw,
        capacity: info.capacity,
        takes,
        takes_alone: info.allocation,
        has_backing: false,
        below,
        misleading: false,
        rbd: Some(rbd),
        volume,
    })
}

/// Finds the volume at a path, also one that its pool has not seen yet.
fn by_path(conn: &Connection, path: &str) -> Option<Volume> {
    if let Ok(volume) = conn.volume_by_path(path) {
        return Some(volume);
    }
    let folder = Path::new(path).parent()?.to_str()?;
    conn.pool_by_target(folder).ok()?.refresh().ok()?;
    conn.volume_by_path(path).ok()
}

/// Returns the template at a path, if it is one.
fn template_at(conn: &Connection, path: &str) -> anyhow::Result<Option<Below>> {
    let Some(volume) = by_path(conn, path) else { return Ok(None) };
    let pool = volume.pool()?;
    let template = VolumeRef { pool: pool.name().to_owned(), name: volume.name().to_owned() };
    let whole = template::is_there(&pool, &template)?;
    if !whole && templates::is_name(&template.name) {
        // Somebody took its mark away, and the machine's disk needs it.
        template::mark(&pool, &template.name)?;
        return Ok(Some(Below { template, path: path.to_owned() }));
    }
    Ok(whole.then(|| Below { template, path: path.to_owned() }))
}

/// Returns the room that a volume takes with all that lies below it.
fn chain(conn: &Connection, first: &str) -> anyhow::Result<Bytes> {
    let (mut path, mut sum) = (first.to_owned(), 0_u64);
    for _ in 0..DEEPEST {
        let Some(volume) = by_path(conn, &path) else { break };
        sum = sum.saturating_add(volume.info()?.allocation.0);
        match volume.xml()?.backing_path() {
            Some(below) => path = below,
            None => break,
        }
    }
    Ok(Bytes(sum))
}

/// Returns of each interface the network that reserves an address for it.
fn reservations(conn: &Connection, machine: &Machine) -> anyhow::Result<Vec<Option<String>>> {
    let mut known: BTreeMap<String, Details> = BTreeMap::new();
    let mut all = Vec::new();
    for interface in machine.xml.interfaces() {
        let (Some(name), Some(mac)) = (interface.network(), interface.mac()) else {
            all.push(None);
            continue;
        };
        if !known.contains_key(&name) {
            let details = match conn.network(&name) {
                Err(error) if error.is_not_found() => Details::default(),
                network => Details::of(&network?)?,
            };
            known.insert(name.clone(), details);
        }
        let hosts = known.get(&name).map(|details| &details.hosts);
        let has = hosts.is_some_and(|hosts| hosts.iter().any(|host| host.mac == Some(mac)));
        all.push(has.then_some(name));
    }
    Ok(all)
}

/// Returns the file of a definition's UEFI variables.
fn nvram(xml: &Element) -> Option<String> {
    let of = xml.find("os/nvram")?;
    let path = of.get("source/@file").or_else(|| Some(of.content().trim().to_owned()))?;
    (!path.is_empty()).then_some(path)
}
