// SPDX-License-Identifier: Apache-2.0 OR MIT
//! UEFI variables: libvirt keeps them in a file that is in no pool.
//!
//! The file is copied on the host itself, by a pool of its folder that is there meanwhile only: so
//! it works through any connection. Two pools cannot have one folder, so one waits for the other.

use std::time::{Duration, Instant};

use kiln_host::journal::Journal;
use kiln_host::lock::Lock;
use kiln_host::signal;
use kiln_libvirt::Connection;
use kiln_libvirt::domain::DiskFormat;
use kiln_libvirt::storage::{Pool, PoolKind, VolumeSpec, pool_element};
use kiln_spec::Bytes;
use uuid::Uuid;

use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::pools;
use crate::machine::undo::Undo;

/// How long another client's copy is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked for: libvirt has no event that would be worth it.
const POLL: Duration = Duration::from_millis(50);

/// Copies the variables at `from` to `to`; both are paths on the host. Returns `false` if there are
/// none, as of a machine that was never started.
///
/// # Errors
///
/// What libvirt says.
pub(super) fn copy(
    ctx: &Context,
    conn: &Connection,
    (from, to): (&str, &str),
    job: &mut Journal<Undo>,
) -> anyhow::Result<bool> {
    // One at a time of this client; others are waited for below.
    let _lock = Lock::wait(&ctx.sub("locks").join("nvram"))?;
    let (Some((folder, name)), Some((target, new))) = (parts(from), parts(to)) else {
        let what = format!("`{from}` is no file of UEFI variables");
        return Err(Problem::new(Class::Tool, what).into());
    };
    let here = Folder::open(conn, folder, job)?;
    let there = (target != folder).then(|| Folder::open(conn, target, job)).transpose()?;
    let done = copy_between(&here.pool, &there.as_ref().unwrap_or(&here).pool, (name, new));
    if let Some(there) = there {
        there.close()?;
    }
    here.close()?;
    done
}

fn parts(path: &str) -> Option<(&str, &str)> {
    path.rsplit_once('/').filter(|(folder, name)| !folder.is_empty() && !name.is_empty())
}

fn copy_between(from: &Pool, to: &Pool, (name, new): (&str, &str)) -> anyhow::Result<bool> {
    let volume = match from.volume(name) {
        Err(error) if error.is_not_found() => return Ok(false),
        other => other?,
    };
    let known = volume.xml()?;
    // As it is: libvirt makes qcow2 of qcow2, and copies the bytes of anything else.
    let format = known.format().filter(|format| *format == DiskFormat::Qcow2);
    let size = Bytes(known.capacity().unwrap_or(0));
    let spec = VolumeSpec::new(new, format.unwrap_or(DiskFormat::Raw), size);
    to.clone_volume(&spec, &volume, false)?;
    Ok(true)
}

/// A folder of the host as a pool.
struct Folder {
    pool: Pool,
    /// Whether it is there for this only.
    ours: bool,
}

impl Folder {
    fn open(conn: &Connection, folder: &str, job: &mut Journal<Undo>) -> anyhow::Result<Self> {
        let began = Instant::now();
        let mut sure = false;
        loop {
            // Somebody's own pool of that folder does, too, but not another client's for the moment.
            if let Some(pool) = others(conn, folder)? {
                pool.refresh().ok();
                return Ok(Self { pool, ours: false });
            }
            let error = match make(conn, folder, job) {
                Ok(pool) => return Ok(Self { pool, ours: true }),
                Err(error) => error,
            };
            // A pool that has just gone is no reason to give up, once.
            let free = pools::at(conn, folder)?.is_none();
            if began.elapsed() > PATIENCE || (free && std::mem::replace(&mut sure, true)) {
                return Err(error);
            }
            if signal::interrupted() {
                return Err(Problem::stopped().into());
            }
            std::thread::park_timeout(POLL);
        }
    }

    fn close(self) -> anyhow::Result<()> {
        if self.ours {
            self.pool.stop()?;
            self.pool.undefine()?;
        }
        Ok(())
    }
}

/// What pools for the moment are called.
const NAME: &str = "kiln-nvram-";

fn others(conn: &Connection, folder: &str) -> anyhow::Result<Option<Pool>> {
    match conn.pool_by_target(folder) {
        Err(error) if error.is_not_found() => Ok(None),
        other => Ok(Some(other?).filter(|pool| !pool.name().starts_with(NAME))),
    }
}

fn make(conn: &Connection, folder: &str, job: &mut Journal<Undo>) -> anyhow::Result<Pool> {
    let uuid = Uuid::new_v4();
    let name = [NAME, &uuid.to_string()].concat();
    let uri = conn.uri().to_string();
    job.before(Undo::Pool { uri, uuid, name: name.clone(), made: false })?;
    let kind = PoolKind::Dir { folder: folder.to_owned() };
    let pool = conn.define_pool_xml(&pool_element(&name, Some(uuid), &kind))?;
    pool.start()?;
    Ok(pool)
}
