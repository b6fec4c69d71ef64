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
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kiln_disk::device::{Device, RawFile};
use kiln_disk::format::qcow2::Qcow2File;
use kiln_host::lock::Lock;
use kiln_host::{journal::Journal, signal};
use kiln_libvirt::Connection;
use kiln_libvirt::domain::DiskFormat;
use kiln_libvirt::storage::{Pool, RbdPool, Volume, VolumeSpec};
use kiln_spec::Bytes;
use uuid::Uuid;

use super::ceph::{Client, SECTOR};
use super::existing::Machine;
use super::image::ImageFile;
use super::meta::VolumeRef;
use super::pool::{self, Place, PoolInUse, check_space, shared};
use super::pools;
use super::templates::facts_of;
use super::undo::{Undo, roll_back};
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::ui::Task;

/// An upload of another client that has not grown for this long is taken for dead.
const STALLED: Duration = Duration::from_secs(5);
/// How often it is looked at.
const POLL: Duration = Duration::from_millis(300);

/// Returns the template of an image in a pool. Pure.
pub(crate) fn of(image: &ImageFile, (pool, place): (&str, &Place)) -> VolumeRef {
    if let Some(template) = &image.template {
        return template.clone();
    }
    let hex = image.digest.trim_start_matches("sha256:");
    let short = hex.get(..12).unwrap_or(hex);
    // In a Ceph cluster the image is unpacked.
    let format = if place.rbd().is_some() { "raw" } else { &image.format };
    let name = format!("kiln-{}-{short}.{format}", image.name);
    VolumeRef { pool: pool.to_owned(), name }
}

/// Returns the name of the mark of a template's volume.
pub(crate) fn mark_of(volume: &str) -> String {
    format!("{volume}.complete")
}

/// Returns the permissions of a template's file: nobody writes to it, and only its owner, which
/// libvirt makes the guest's QEMU, reads it. In a session libvirt could not fill it then, and on a
/// server's folder root may be nobody: there it is libvirt's own choice.
pub(crate) fn mode(conn: &Connection, pool: &Pool) -> anyhow::Result<Option<u32>> {
    let local = pool.xml()?.kind().as_deref() == Some("dir");
    Ok((local && !conn.is_session()).then_some(0o400))
}

/// Puts the mark beside a template: it is whole.
pub(crate) fn mark(pool: &Pool, volume: &str) -> anyhow::Result<()> {
    pool::touch(pool, &mark_of(volume))
}

/// Returns whether the template is there, whole.
pub(crate) fn is_there(pool: &Pool, template: &VolumeRef) -> anyhow::Result<bool> {
    for name in [&mark_of(&template.name), &template.name] {
        match pool.volume(name) {
            Err(error) if error.is_not_found() => return Ok(false),
            other => other?,
        };
    }
    Ok(true)
}

/// Looks for a template once more, after something was made that hangs on it: who removes one takes
/// its mark away first, and then looks for what hangs on it. So one of the two sees the other.
///
/// # Errors
///
/// It was removed (class object).
pub(crate) fn still_there(pool: &Pool, template: &VolumeRef) -> anyhow::Result<()> {
    if is_there(pool, template)? { Ok(()) } else { Err(removed(template).into()) }
}

fn removed(template: &VolumeRef) -> Problem {
    let what = format!("the template `{}` was removed meanwhile", template.name);
    Problem::new(Class::Object, what)
}

pub(crate) fn lock_file(ctx: &Context, uri: &str, template: &VolumeRef) -> PathBuf {
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
    let template = of(image, (&pool.name, &pool.place));
    if is_there(&pool.pool, &template)? {
        return Ok(false);
    }
    let _lock = Lock::wait(&lock_file(ctx, conn.uri().as_str(), &template))?;
    if pool.place.rbd().is_some() {
        // Another host may have made it. libvirt refuses while it makes a volume there.
        pool.pool.refresh().ok();
    }
    if is_there(&pool.pool, &template)? {
        return Ok(false);
    }
    // We hold the lock: a volume without a mark is another client's, or the remains of one.
    if await_other(pool, &template, task)? {
        return Ok(false);
    }
    if is_used(ctx, conn, &pool.pool, &template)? {
        // Somebody took its mark away, and what hangs on it needs it.
        mark(&pool.pool, &template.name)?;
        return Ok(false);
    }
    remove_volumes(ctx, &pool.pool, &template)?;
    check_space(pool, &format!("image `{}`", image.name), image.file_size)?;
    let mut job = Journal::begin(&ctx.sub("journal"), &format!("template-{}", Uuid::now_v7()))?;
    job.before(Undo::Template { uri: conn.uri().to_string(), volume: template.clone() })?;
    match upload(ctx, (conn, pool), image, &template, task) {
        Ok(()) => {
            job.commit()?;
            Ok(true)
        }
        Err(error) => {
            remove_volumes(ctx, &pool.pool, &template)?;
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

fn upload(
    ctx: &Context,
    (conn, pool): (&Connection, &PoolInUse),
    image: &ImageFile,
    template: &VolumeRef,
    task: &Task,
) -> anyhow::Result<()> {
    let Some(file) = &image.file else { return Err(removed(template).into()) };
    if let Place::Rbd(rbd) = &pool.place {
        import(ctx, (conn, pool, rbd), (image, file), &template.name, task)?;
        return mark(&pool.pool, &template.name);
    }
    // As raw, whatever the image is: the bytes come as they are, libvirt adds no header.
    let mut spec = VolumeSpec::new(&template.name, DiskFormat::Raw, image.file_size);
    spec.mode = mode(conn, &pool.pool)?;
    if pool.place.is_lvm() {
        spec = spec.allocated();
    }
    let volume = pool.pool.create_volume(&spec)?;
    if !(conn.is_local() && shared(file, &volume)) {
        send(&volume, file, image, task)?;
    }
    mark(&pool.pool, &template.name)
}

/// Unpacks an image into one of a Ceph pool, and protects that.
///
/// # Errors
///
/// What libvirt and QEMU say; a signal.
pub(crate) fn import(
    ctx: &Context,
    (conn, pool, rbd): (&Connection, &PoolInUse, &RbdPool),
    (image, file): (&ImageFile, &File),
    name: &str,
    task: &Task,
) -> anyhow::Result<()> {
    let size = Bytes(image.virtual_size.0.next_multiple_of(SECTOR));
    drop(pool.pool.create_volume(&VolumeSpec::new(name, DiskFormat::Raw, size))?);
    let client = Client::open(ctx, conn, rbd)?;
    let from = || -> io::Result<Box<dyn Device>> {
        let file = file.try_clone()?;
        match image.format.as_str() {
            "qcow2" => Ok(Box::new(Qcow2File::open(file, &image.name).map_err(io::Error::other)?)),
            _ => Ok(Box::new(RawFile::new(file)?)),
        }
    };
    let (began, shown) = (Instant::now(), Mutex::new(Duration::ZERO));
    let progress = |done: u64| {
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        if began.elapsed() >= *shown {
            task.phase("template", &format!("{} of {}", Bytes(done), image.virtual_size));
            *shown = began.elapsed() + Duration::from_millis(200);
        }
    };
    client.fill(name, (&from, image.virtual_size.0), &progress)?;
    client.protect(name)
}

/// Returns whether a volume of the pool lies over a template, or a machine of Kiln's was made on it.
fn is_used(
    ctx: &Context,
    conn: &Connection,
    pool: &Pool,
    template: &VolumeRef,
) -> anyhow::Result<bool> {
    let held = pools::volumes(ctx, pool, &Machine::all(conn)?)?;
    Ok(held.iter().any(|held| held.name == template.name && !held.users().is_empty()))
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

pub(crate) fn remove_volumes(
    ctx: &Context,
    pool: &Pool,
    template: &VolumeRef,
) -> anyhow::Result<()> {
    for name in [mark_of(&template.name), facts_of(&template.name), template.name.clone()] {
        match pool.volume(&name) {
            Err(error) if error.is_not_found() => {}
            volume => pool::delete(ctx, pool, &volume?)?,
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
    if is_there(&pool, template)? {
        return Ok(());
    }
    if is_used(ctx, conn, &pool, template)? {
        return mark(&pool, &template.name);
    }
    remove_volumes(ctx, &pool, template)
}

/// Removes a template that nothing hangs on: its mark first, so that no clone begins, then, if none
/// had begun, the rest. It is in the journal, so that a kill in the middle is finished.
///
/// # Errors
///
/// Something hangs on it by now (class object): it stays. What libvirt says.
pub(crate) fn remove(
    ctx: &Context,
    conn: &Connection,
    pool: &Pool,
    template: &VolumeRef,
) -> anyhow::Result<()> {
    let _lock = Lock::wait(&lock_file(ctx, conn.uri().as_str(), template))?;
    let mut job = Journal::begin(&ctx.sub("journal"), &format!("rm-{}", Uuid::now_v7()))?;
    job.before(Undo::Template { uri: conn.uri().to_string(), volume: template.clone() })?;
    match pool.volume(&mark_of(&template.name)).and_then(|volume| volume.delete()) {
        Err(error) if error.is_not_found() => {}
        other => other?,
    }
    if is_used(ctx, conn, pool, template)? {
        mark(pool, &template.name)?;
        job.commit()?;
        let what = format!("something hangs on the template `{}` by now", template.name);
        return Err(Problem::new(Class::Object, what)
            .hint("`kiln template info` says what")
            .into());
    }
    remove_volumes(ctx, pool, template)?;
    Ok(job.commit()?)
}
