// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The pool that a machine's volumes are in.
//!
//! Only the pool that was asked for is ever touched: another pool of the host may hang (an RBD
//! pool whose monitors are gone stalls every call that reaches it).

use std::fs::File;
use std::time::{Duration, Instant};

use kiln_disk::format::qcow2::size_in;
use kiln_host::{copy, signal};
use kiln_libvirt::Connection;
use kiln_libvirt::domain::{DiskFormat, DiskSource};
use kiln_libvirt::storage::{Pool, PoolInfo, RbdPool, Volume, VolumeKind, VolumeSpec};
use kiln_spec::{Bytes, MachineName};
use uuid::Uuid;

use super::ceph::{Client, SECTOR, forget_changes};
use crate::context::Context;
use crate::error::{Class, Problem};

/// The pool that is made when it is missing.
pub(crate) const DEFAULT: &str = "default";
/// Where libvirt's own tools put it on a system host: virt-install(1), virt-manager.
const SYSTEM_FOLDER: &str = "/var/lib/libvirt/images";

/// Space that is left free in a pool, so that machines' disks can grow a little: 64 MiB.
pub(crate) const RESERVE: u64 = 64 << 20;

/// A pool, active, and what there is to know of it.
#[derive(Debug)]
pub(crate) struct PoolInUse {
    /// The pool.
    pub(crate) pool: Pool,
    /// Its name.
    pub(crate) name: String,
    /// Where its volumes are.
    pub(crate) place: Place,
}

/// Where the volumes of a pool are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a folder of the host.
    Folder(String),
    /// In a volume group of LVM, whose devices are in this folder.
    Lvm(String),
    /// In a Ceph cluster.
    Rbd(RbdPool),
}

impl Place {
    /// Returns where a volume is, for the disk of a machine: the one way from a pool to that.
    pub(crate) fn source(&self, volume: &str) -> DiskSource {
        match self {
            Self::Folder(_) => DiskSource::File(self.path(volume)),
            Self::Lvm(_) => DiskSource::Block(self.path(volume)),
            Self::Rbd(rbd) => DiskSource::Rbd(rbd.image(volume)),
        }
    }

    /// Returns the path of a volume, as libvirt has it.
    pub(crate) fn path(&self, volume: &str) -> String {
        match self {
            Self::Folder(folder) | Self::Lvm(folder) => {
                format!("{}/{volume}", folder.trim_end_matches('/'))
            }
            Self::Rbd(rbd) => rbd.path(volume),
        }
    }

    /// Returns how the disks of machines are laid out in it.
    pub(crate) const fn disk_format(&self) -> DiskFormat {
        match self {
            Self::Folder(_) | Self::Lvm(_) => DiskFormat::Qcow2,
            Self::Rbd(_) => DiskFormat::Raw,
        }
    }

    /// Returns what the names of a machine's volumes begin with. Several hosts share a Ceph pool,
    /// and each may have a machine of the name: there the UUID tells whose it is.
    pub(crate) fn stem(&self, machine: &MachineName, uuid: Uuid) -> String {
        match self {
            Self::Folder(_) | Self::Lvm(_) => machine.to_string(),
            Self::Rbd(_) => {
                let digits = uuid.simple().to_string();
                format!("{machine}-{}", &digits[24..])
            }
        }
    }

    /// Returns it if it is in a Ceph cluster.
    pub(crate) const fn rbd(&self) -> Option<&RbdPool> {
        match self {
            Self::Folder(_) | Self::Lvm(_) => None,
            Self::Rbd(rbd) => Some(rbd),
        }
    }

    /// Returns whether its volumes are files.
    pub(crate) const fn is_folder(&self) -> bool {
        matches!(self, Self::Folder(_))
    }

    /// Returns whether its volumes are those of LVM.
    pub(crate) const fn is_lvm(&self) -> bool {
        matches!(self, Self::Lvm(_))
    }
}

/// Returns whether the pool `name` is there and active.
///
/// # Errors
///
/// What libvirt says.
pub(crate) fn is_active(conn: &Connection, name: &str) -> anyhow::Result<bool> {
    match conn.pool(name) {
        Err(error) if error.is_not_found() => Ok(false),
        other => Ok(other?.is_active()?),
    }
}

/// Returns where the volumes of a pool are or, if it is the default one and missing, would be.
///
/// # Errors
///
/// As [`find`].
pub(crate) fn place_to_be(ctx: &Context, conn: &Connection, name: &str) -> anyhow::Result<Place> {
    match conn.pool(name) {
        Err(error) if error.is_not_found() && name == DEFAULT => {
            Ok(Place::Folder(default_folder(ctx, conn)?))
        }
        Err(error) if error.is_not_found() => Err(missing(name).into()),
        other => Ok(in_use(other?, name)?.place),
    }
}

/// Returns the pool for the logs of consoles, which are files of the host: the machine's own, or
/// the default one, and where that is.
///
/// # Errors
///
/// As [`find`]; the default pool is no folder (class host).
pub(crate) fn of_consoles(
    ctx: &Context,
    conn: &Connection,
    (name, place): (&str, &Place),
) -> anyhow::Result<(String, Place)> {
    if place.is_folder() {
        return Ok((name.to_owned(), place.clone()));
    }
    let there = place_to_be(ctx, conn, DEFAULT)?;
    if !there.is_folder() {
        let what = format!("the log of a console is a file, and the pool `{DEFAULT}` is no folder");
        return Err(Problem::new(Class::Host, what).into());
    }
    Ok((DEFAULT.to_owned(), there))
}

fn missing(name: &str) -> Problem {
    let problem = Problem::new(Class::Object, format!("the host has no pool `{name}`"));
    problem.hint("`kiln pool list` shows what there is")
}

/// Finds the pool `name`, starts it if it is not active, and makes `default` if it is missing.
///
/// # Errors
///
/// Not there (class object), of no kind that machines can be in (class host), or what libvirt says.
pub(crate) fn find(ctx: &Context, conn: &Connection, name: &str) -> anyhow::Result<PoolInUse> {
    let pool = match conn.pool(name) {
        Err(error) if error.is_not_found() && name == DEFAULT => make_default(ctx, conn)?,
        Err(error) if error.is_not_found() => return Err(missing(name).into()),
        other => other?,
    };
    if !pool.is_active()? {
        match pool.start() {
            // Somebody else was faster.
            Err(error) if error.is_operation_invalid() => {}
            other => other?,
        }
    }
    in_use(pool, name)
}

/// Asks how much room a pool has. Of a folder of this machine that is what others than root may fill:
/// libvirt counts in what a file system keeps for root, and QEMU is not root.
///
/// # Errors
///
/// What libvirt says.
pub(crate) fn room(pool: &Pool) -> Result<PoolInfo, kiln_libvirt::Error> {
    let mut info = pool.info()?;
    if pool.connection().is_local()
        && let Some(folder) = pool.xml()?.folder()
        && let Ok(stat) = rustix::fs::statvfs(folder)
    {
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        info.available = info.available.min(Bytes(free));
    }
    Ok(info)
}

/// Refuses a pool without room for `what`.
///
/// # Errors
///
/// Class host.
pub(crate) fn check_space(pool: &PoolInUse, what: &str, needed: Bytes) -> anyhow::Result<()> {
    // libvirt refuses while somebody uploads into the pool; what it knew before must do then.
    pool.pool.refresh().ok();
    let info = room(&pool.pool)?;
    let free = info.available;
    // A Ceph cluster that has just begun has not counted yet.
    if info.capacity.0 == 0 || free.0 >= needed.0.saturating_add(RESERVE) {
        return Ok(());
    }
    let what = format!("pool `{}` has {free} free, and {what} needs {needed}", pool.name);
    let hint = "free some space, or choose another with `--pool`";
    Err(Problem::new(Class::Host, what).hint(hint).into())
}

/// Makes a volume of these bytes.
///
/// # Errors
///
/// What libvirt says; a volume may be left.
pub(crate) fn write(ctx: &Context, pool: &Pool, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let size = u64::try_from(bytes.len())?;
    let view = pool.xml()?;
    if view.volume_group().is_some() {
        // It is longer than that, and what was there before is not to be read with it.
        let ended = [bytes, &[0]].concat();
        let spec = VolumeSpec::new(name, DiskFormat::Raw, Bytes(size + 1)).allocated();
        return Ok(pool.create_volume(&spec)?.upload(&mut &ended[..], 0, size + 1, &mut |_| ())?);
    }
    if let Some(rbd) = view.rbd() {
        let whole = Bytes(size.next_multiple_of(SECTOR).max(SECTOR));
        drop(pool.create_volume(&VolumeSpec::new(name, DiskFormat::Raw, whole))?);
        return Client::open(ctx, pool.connection(), &rbd)?.write(name, bytes);
    }
    let volume = pool.create_volume(&VolumeSpec::new(name, DiskFormat::Raw, Bytes(size)))?;
    if size > 0 {
        volume.upload(&mut &*bytes, 0, size, &mut |_| ())?;
    }
    Ok(())
}

/// Makes a volume that only is there: a mark.
///
/// # Errors
///
/// As [`write`].
pub(crate) fn touch(pool: &Pool, name: &str) -> anyhow::Result<()> {
    let view = pool.xml()?;
    // Those that are no files have a length, whatever is in them.
    let size = if view.folder().is_none() { SECTOR } else { 0 };
    let spec = VolumeSpec::new(name, DiskFormat::Raw, Bytes(size));
    let spec = if view.volume_group().is_some() { spec.allocated() } else { spec };
    drop(pool.create_volume(&spec)?);
    Ok(())
}

/// How long a Ceph cluster keeps in mind who has an image open and went without a word, as after a
/// kill: 30 s unless it is told otherwise.
const FORGOTTEN: Duration = Duration::from_secs(45);
/// How often it is asked meanwhile.
const POLL: Duration = Duration::from_millis(500);

/// How often libvirt is asked whether it has ended.
const TICK: Duration = Duration::from_millis(100);
/// How long libvirt may go on to make a volume whose client was killed.
const MAKING: Duration = Duration::from_secs(30);

/// Removes a volume, in a Ceph pool with its snapshots; an image that was in use until just now is
/// waited for, and one that libvirt still makes or fills, which it goes on with when its client is
/// killed. Not there is success.
///
/// # Errors
///
/// What libvirt says, as when another volume lies over it.
pub(crate) fn delete(ctx: &Context, pool: &Pool, volume: &Volume) -> anyhow::Result<()> {
    let (rbd, since) = (pool.xml()?.rbd(), Instant::now());
    loop {
        let error = match delete_once(ctx, (pool, rbd.as_ref()), volume) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let libvirts = error.downcast_ref::<kiln_libvirt::Error>();
        let being_made = libvirts.is_some_and(kiln_libvirt::Error::is_operation_invalid);
        if !being_made || since.elapsed() > MAKING || signal::interrupted() {
            return Err(error);
        }
        std::thread::park_timeout(TICK);
    }
}

fn delete_once(
    ctx: &Context,
    (pool, rbd): (&Pool, Option<&RbdPool>),
    volume: &Volume,
) -> anyhow::Result<()> {
    let Some(rbd) = rbd else {
        return match volume.delete() {
            Err(error) if error.is_not_found() => Ok(()),
            other => Ok(other?),
        };
    };
    forget_changes(ctx, rbd, volume.name());
    let (since, mut last) = (Instant::now(), false);
    loop {
        let error = match volume.delete_with_snapshots() {
            Ok(()) => return Ok(()),
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => error,
        };
        if last || since.elapsed() > FORGOTTEN || signal::interrupted() {
            return Err(error.into());
        }
        // Its last user may have gone since libvirt was refused: without one it is tried once more.
        last = !Client::open(ctx, pool.connection(), rbd)?.is_watched(volume.name());
        if !last {
            ctx.ui.detail(format!("waiting for the last user of `{}` to go", volume.name()));
            std::thread::park_timeout(POLL);
        }
    }
}

/// Returns the size of a machine's disk. libvirt knows that of a file and of an image of Ceph's; of a
/// device it knows how long that is, and a qcow2 in it says itself what it shows: no guest gets there.
///
/// # Errors
///
/// What libvirt says.
pub(crate) fn disk_size(volume: &Volume) -> Result<Bytes, kiln_libvirt::Error> {
    let info = volume.info()?;
    if info.kind != VolumeKind::Block {
        return Ok(info.capacity);
    }
    let mut start = Vec::new();
    volume.download(&mut start, 0, Some(SECTOR), &mut |_| ())?;
    Ok(size_in(&start).unwrap_or(info.capacity))
}

/// Lets a volume share a file's blocks, where the file system can and we may.
pub(crate) fn shared(file: &File, volume: &Volume) -> bool {
    let Ok(path) = volume.path() else { return false };
    let to = File::options().write(true).open(path);
    to.is_ok_and(|to| copy::reflink(file, &to).is_ok())
}

fn in_use(pool: Pool, name: &str) -> anyhow::Result<PoolInUse> {
    let details = pool.xml()?;
    let kind = details.kind().unwrap_or_default();
    let lvm = || details.volume_group().and_then(|_| details.target_path()).map(Place::Lvm);
    let place = details.folder().map(Place::Folder).or(details.rbd().map(Place::Rbd)).or_else(lvm);
    let Some(place) = place else {
        let what = format!(
            "pool `{name}` is of the kind `{kind}`; machines need a folder, LVM's or Ceph's"
        );
        return Err(Problem::new(Class::Host, what).hint("choose another with `--pool`").into());
    };
    Ok(PoolInUse { pool, name: name.to_owned(), place })
}

fn make_default(ctx: &Context, conn: &Connection) -> anyhow::Result<Pool> {
    let folder = default_folder(ctx, conn)?;
    ctx.ui.say(format!("making the pool `{DEFAULT}` in {folder}"));
    let pool = match conn.define_dir_pool(DEFAULT, &folder) {
        // Somebody else was faster.
        Err(error) if error.is_exists() => conn.pool(DEFAULT)?,
        other => {
            let pool = other?;
            pool.build()?;
            pool.set_autostart(true)?;
            pool
        }
    };
    Ok(pool)
}

fn default_folder(ctx: &Context, conn: &Connection) -> anyhow::Result<String> {
    if !conn.is_session() {
        return Ok(SYSTEM_FOLDER.to_owned());
    }
    let home = ctx.env.xdg_data_home.clone();
    let data = home.or_else(|| ctx.env.home.as_ref().map(|home| home.join(".local/share")));
    match data {
        Some(data) if conn.is_local() => Ok(data.join("libvirt/images").display().to_string()),
        _ => {
            let what =
                format!("the host has no pool `{DEFAULT}`, and its home folder is not known");
            let hint = "make one there: kiln pool create default --dir FOLDER";
            Err(Problem::new(Class::Object, what).hint(hint).into())
        }
    }
}
