// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The template: an image's copy in a pool of the host, made once; machines' disks hang on it.
//!
//! A template is complete when the empty volume beside it, its mark, is there: libvirt cannot
//! rename a volume, so an upload that was cut short could not be told from a whole one. The name
//! holds the image's digest, so a changed image is another template.
//!
//! One `kiln` of this client uploads at a time (a lock); `kiln`s of other clients that find a
//! volume without a mark wait for it to grow, and give up with an error if it does not.

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use kiln_host::lock::Lock;
use kiln_host::{copy, journal::Journal, signal};
use kiln_libvirt::Connection;
use kiln_libvirt::domain::DiskFormat;
use kiln_libvirt::storage::{Pool, Volume, VolumeSpec};
use kiln_spec::Bytes;
use uuid::Uuid;

use super::image::ImageFile;
use super::meta::VolumeRef;
use super::pool::PoolInUse;
use super::undo::{Undo, roll_back};
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::ui::Task;

/// Space that is left free in a pool, so that machines' disks can grow a little: 64 MiB.
const RESERVE: u64 = 64 << 20;

/// An upload of another client that has not grown for this long is taken for dead.
const STALLED: Duration = Duration::from_secs(5);
/// How often it is looked at.
const POLL: Duration = Duration::from_millis(300);

/// Returns the template of an image in a pool. Pure.
pub(crate) fn of(image: &ImageFile, pool: &str) -> VolumeRef {
    let hex = image.digest.trim_start_matches("sha256:");
    let short = hex.get(..12).unwrap_or(hex);
    let name = format!("kiln-{}-{short}.{}", image.name, image.format);
    VolumeRef { pool: pool.to_owned(), name }
}

fn mark_of(template: &VolumeRef) -> String {
    format!("{}.complete", template.name)
}

/// Returns whether the template is there, whole.
pub(crate) fn is_there(pool: &Pool, template: &VolumeRef) -> anyhow::Result<bool> {
    for name in [&mark_of(template), &template.name] {
        match pool.volume(name) {
            Err(error) if error.is_not_found() => return Ok(false),
            other => other?,
        };
    }
    Ok(true)
}

fn lock_file(ctx: &Context, uri: &str, template: &VolumeRef) -> PathBuf {
    let host = Uuid::new_v5(&Uuid::NAMESPACE_URL, uri.as_bytes()).simple();
    ctx.sub("locks").join(format!("{host}-{}-{}", template.pool, template.name))
}

/// Makes sure that the template is there. Returns whether it had to be uploaded.
///
/// # Errors
///
/// Too little space in the pool (class host), or what libvirt says; nothing is left then.
pub(crate) fn ensure(
    ctx: &Context,
    conn: &Connection,
    pool: &PoolInUse,
    image: &ImageFile,
    task: &Task,
) -> anyhow::Result<bool> {
    let template = of(image, &pool.name);
    if is_there(&pool.pool, &template)? {
        return Ok(false);
    }
    let _lock = Lock::wait(&lock_file(ctx, conn.uri().as_str(), &template))?;
    if is_there(&pool.pool, &template)? {
        return Ok(false);
    }
    // We hold the lock: a volume without a mark is another client's, or the remains of one.
    if await_other(pool, &template, task)? {
        return Ok(false);
    }
    remove_volumes(pool, &template)?;
    check_space(pool, image)?;
    let mut job = Journal::begin(&ctx.sub("journal"), &format!("template-{}", Uuid::now_v7()))?;
    job.before(Undo::Template { uri: conn.uri().to_string(), volume: template.clone() })?;
    match upload(conn, pool, image, &template, task) {
        Ok(()) => {
            job.commit()?;
            Ok(true)
        }
        Err(error) => {
            remove_volumes(pool, &template)?;
            Err(roll_back(ctx, conn, job, error))
        }
    }
}

/// Waits for another client's upload, as long as it grows. Returns whether the template is whole.
fn await_other(pool: &PoolInUse, template: &VolumeRef, task: &Task) -> anyhow::Result<bool> {
    let mut seen = None;
    let mut since = Instant::now();
    loop {
        let volume = match pool.pool.volume(&template.name) {
            Err(error) if error.is_not_found() => return Ok(false),
            other => other?,
        };
        if is_there(&pool.pool, template)? {
            return Ok(true);
        }
        let now = volume.info()?.allocation;
        if seen != Some(now) {
            seen = Some(now);
            since = Instant::now();
        } else if since.elapsed() > STALLED {
            return Ok(false);
        }
        if signal::interrupted() {
            return Err(Problem::stopped().into());
        }
        task.phase("template", "another client is uploading it");
        // libvirt has no event for a volume that grows.
        std::thread::park_timeout(POLL);
    }
}

fn check_space(pool: &PoolInUse, image: &ImageFile) -> anyhow::Result<()> {
    // libvirt refuses while somebody uploads into the pool; what it knew before must do then.
    pool.pool.refresh().ok();
    let free = pool.pool.info()?.available;
    if free.0 >= image.file_size.0.saturating_add(RESERVE) {
        return Ok(());
    }
    let what = format!(
        "pool `{}` has {free} free, and image `{}` needs {}",
        pool.name, image.name, image.file_size
    );
    Err(Problem::new(Class::Host, what)
        .hint("free some space, or choose another with `--pool`")
        .into())
}

fn upload(
    conn: &Connection,
    pool: &PoolInUse,
    image: &ImageFile,
    template: &VolumeRef,
    task: &Task,
) -> anyhow::Result<()> {
    // As raw, whatever the image is: the bytes come as they are, libvirt adds no header.
    let spec = VolumeSpec::new(&template.name, DiskFormat::Raw, image.file_size);
    let volume = pool.pool.create_volume(&spec)?;
    if !(conn.is_local() && shared(&image.file, &volume)) {
        send(&volume, &image.file, image, task)?;
    }
    pool.pool.create_volume(&VolumeSpec::new(&mark_of(template), DiskFormat::Raw, Bytes(0)))?;
    Ok(())
}

/// Lets the volume share the image's blocks, where the file system can and we may.
pub(super) fn shared(file: &File, volume: &Volume) -> bool {
    let Ok(path) = volume.path() else { return false };
    let Ok(to) = File::options().write(true).open(path) else { return false };
    copy::reflink(file, &to).is_ok()
}

fn send(volume: &Volume, file: &File, image: &ImageFile, task: &Task) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut shown = Duration::ZERO;
    volume.upload_file(&mut file.try_clone()?, &mut |sent| {
        if began.elapsed() >= shown {
            task.phase("template", &format!("{} of {}", Bytes(sent), image.file_size));
            shown = began.elapsed() + Duration::from_millis(200);
        }
    })?;
    if signal::interrupted() {
        return Err(Problem::stopped().into());
    }
    Ok(())
}

fn remove_volumes(pool: &PoolInUse, template: &VolumeRef) -> anyhow::Result<()> {
    for name in [mark_of(template), template.name.clone()] {
        match pool.pool.volume(&name).and_then(|volume| volume.delete()) {
            Err(error) if error.is_not_found() => {}
            other => other?,
        }
    }
    Ok(())
}

/// Deletes a template whose upload was cut short. A whole one, and one that another `kiln` is
/// uploading now, stay.
pub(crate) fn remove_unfinished(
    ctx: &Context,
    conn: &Connection,
    template: &VolumeRef,
) -> anyhow::Result<()> {
    let Some(_lock) = Lock::attempt(&lock_file(ctx, conn.uri().as_str(), template))? else {
        return Ok(());
    };
    let pool = match conn.pool(&template.pool) {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    };
    let pool = PoolInUse { pool, name: template.pool.clone(), folder: String::new() };
    if is_there(&pool.pool, template)? { Ok(()) } else { remove_volumes(&pool, template) }
}
