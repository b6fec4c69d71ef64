// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The pool that a machine's volumes are in.
//!
//! Only the pool that was asked for is ever touched: another pool of the host may hang (an RBD
//! pool whose monitors are gone stalls every call that reaches it).

use std::fs::File;

use kiln_host::copy;
use kiln_libvirt::Connection;
use kiln_libvirt::domain::DiskFormat;
use kiln_libvirt::storage::{Pool, Volume, VolumeSpec};
use kiln_spec::Bytes;

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
    /// The folder that its volumes lie in.
    pub(crate) folder: String,
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

/// Returns the folder that a pool has or, if it is the default one and missing, would get.
///
/// # Errors
///
/// As [`find`].
pub(crate) fn folder_to_be(ctx: &Context, conn: &Connection, name: &str) -> anyhow::Result<String> {
    match conn.pool(name) {
        Err(error) if error.is_not_found() && name == DEFAULT => default_folder(ctx, conn),
        Err(error) if error.is_not_found() => Err(missing(name).into()),
        other => Ok(in_use(other?, name)?.folder),
    }
}

fn missing(name: &str) -> Problem {
    let problem = Problem::new(Class::Object, format!("the host has no pool `{name}`"));
    problem.hint("`kiln pool list` shows what there is")
}

/// Finds the pool `name`, starts it if it is not active, and makes `default` if it is missing.
///
/// # Errors
///
/// Not there (class object), not a directory pool (class host), or what libvirt says.
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

/// Refuses a pool without room for `what`.
///
/// # Errors
///
/// Class host.
pub(crate) fn check_space(pool: &PoolInUse, what: &str, needed: Bytes) -> anyhow::Result<()> {
    // libvirt refuses while somebody uploads into the pool; what it knew before must do then.
    pool.pool.refresh().ok();
    let free = pool.pool.info()?.available;
    if free.0 >= needed.0.saturating_add(RESERVE) {
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
pub(crate) fn write(pool: &Pool, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let size = u64::try_from(bytes.len())?;
    let volume = pool.create_volume(&VolumeSpec::new(name, DiskFormat::Raw, Bytes(size)))?;
    if size > 0 {
        volume.upload(&mut &*bytes, 0, size, &mut |_| ())?;
    }
    Ok(())
}

/// Lets a volume share a file's blocks, where the file system can and we may.
pub(crate) fn shared(file: &File, volume: &Volume) -> bool {
    let Ok(path) = volume.path() else { return false };
    let to = File::options().write(true).open(path);
    to.is_ok_and(|to| copy::reflink(file, &to).is_ok())
}

fn in_use(pool: Pool, name: &str) -> anyhow::Result<PoolInUse> {
    let details = pool.xml()?;
    match (details.kind().unwrap_or_default().as_str(), details.target_path()) {
        ("dir" | "fs" | "netfs", Some(folder)) => {
            Ok(PoolInUse { pool, name: name.to_owned(), folder })
        }
        (kind, _) => {
            let what = format!("pool `{name}` is of the kind `{kind}`; machines need a directory");
            Err(Problem::new(Class::Host, what).hint("choose another with `--pool`").into())
        }
    }
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
