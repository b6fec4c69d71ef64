// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Copies of disks, as volumes of the host.
//!
//! | what | how |
//! |---|---|
//! | a file on this machine, whose file system can share blocks | nothing is copied |
//! | any other disk | libvirt copies it on the host, without holes and with nothing below it |
//! | a linked clone's disk | its bytes, which are what differs from the template |
//! | an image of a Ceph pool | libvirt clones it over a snapshot; for a full clone its bytes |
//! | a raw disk that begins like another format | its bytes: libvirt would obey the guest's words |
//!
//! Bytes go through this client where its files are not the host's. Nothing here starts QEMU's own
//! tools, and nothing believes a header that a guest may have written.

use std::fs::File;
use std::path::Path;

use kiln_disk::format;
use kiln_host::scratch::Scratch;
use kiln_host::signal;
use kiln_libvirt::Connection;
use kiln_libvirt::domain::DiskFormat;
use kiln_libvirt::storage::{Pool, RbdPool, Volume, VolumeSpec};
use kiln_spec::Bytes;

use super::source::SourceDisk;
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::ceph::Client;
use crate::machine::pool::{RESERVE, room, shared};
use crate::remains;

/// How a copy was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The copy shares the blocks of the file.
    Shared,
    /// All of it was copied.
    Copied,
    /// It hangs on the same template.
    Linked,
}

impl Way {
    /// Returns the words for it.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Shared => "full clone, its blocks shared",
            Self::Copied => "full clone",
            Self::Linked => "linked clone",
        }
    }
}

/// Where a copy goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct To<'a> {
    /// The pool.
    pub(crate) pool: &'a Pool,
    /// The volume's name in it.
    pub(crate) name: &'a str,
    /// The permissions of its file, if they are not libvirt's own choice.
    pub(crate) mode: Option<u32>,
}

/// Copies a disk.
///
/// # Errors
///
/// The pool is full (class host), or what libvirt says; a volume may be left.
pub(crate) fn disk(
    ctx: &Context,
    conn: &Connection,
    (from, linked): (&SourceDisk, bool),
    to: To<'_>,
) -> anyhow::Result<Way> {
    let done = if let Some(rbd) = &from.rbd {
        in_ceph(ctx, conn, (from, rbd, linked), to)
    } else if linked {
        bytes(ctx, conn, (&from.volume, true), to).map(|_| Way::Linked)
    } else if from.misleading {
        bytes(ctx, conn, (&from.volume, false), to)
    } else {
        whole(conn, from, to)
    };
    done.map_err(|error| full(to.pool, error))
}

/// Says that a pool is full, if that is why a copy failed.
fn full(pool: &Pool, error: anyhow::Error) -> anyhow::Error {
    pool.refresh().ok();
    match room(pool) {
        Ok(info) if info.available.0 < RESERVE => {
            let what = format!("the pool `{}` is full", pool.name());
            let hint = "free some space, or choose another with `--pool`";
            Problem::new(Class::Host, what).hint(hint).because(error).into()
        }
        _ => error,
    }
}

/// Clones an image of a Ceph pool in that pool: linked by libvirt, over a snapshot; else its bytes.
fn in_ceph(
    ctx: &Context,
    conn: &Connection,
    (from, rbd, linked): (&SourceDisk, &RbdPool, bool),
    to: To<'_>,
) -> anyhow::Result<Way> {
    let spec = spec(to, DiskFormat::Raw, from.capacity);
    if linked {
        drop(to.pool.clone_volume(&spec, &from.volume, false)?);
        return Ok(Way::Linked);
    }
    drop(to.pool.create_volume(&spec)?);
    let client = Client::open(ctx, conn, rbd)?;
    client.copy(from.volume.name(), (to.name, from.capacity.0))?;
    Ok(Way::Copied)
}

fn whole(conn: &Connection, from: &SourceDisk, to: To<'_>) -> anyhow::Result<Way> {
    if let Some(file) = alone(conn, from) {
        let volume = make(to, file.metadata()?.len())?;
        if shared(&file, &volume) {
            return Ok(Way::Shared);
        }
        volume.delete()?;
    }
    let spec = spec(to, from.format.clone(), from.capacity);
    // libvirt shares blocks of raw files itself, also on another host.
    if from.format == DiskFormat::Raw && to.pool.clone_volume(&spec, &from.volume, true).is_ok() {
        return Ok(Way::Shared);
    }
    to.pool.clone_volume(&spec, &from.volume, false)?;
    Ok(Way::Copied)
}

fn spec(to: To<'_>, format: DiskFormat, capacity: Bytes) -> VolumeSpec {
    VolumeSpec { mode: to.mode, ..VolumeSpec::new(to.name, format, capacity) }
}

/// Makes a volume for bytes as they are: as raw, so that libvirt adds no header.
fn make(to: To<'_>, length: u64) -> anyhow::Result<Volume> {
    Ok(to.pool.create_volume(&spec(to, DiskFormat::Raw, Bytes(length)))?)
}

/// Opens a volume's file for reading, if it is one of this machine and we may.
fn opened(conn: &Connection, volume: &Volume) -> Option<File> {
    let path = conn.is_local().then(|| volume.path().ok())??;
    File::open(path).ok().filter(|file| file.metadata().is_ok_and(|meta| meta.is_file()))
}

/// Opens the file of a disk that needs no other and has nothing but its present state.
fn alone(conn: &Connection, from: &SourceDisk) -> Option<File> {
    let mut file = opened(conn, &from.volume).filter(|_| !from.has_backing)?;
    if from.format == DiskFormat::Raw {
        return Some(file);
    }
    let info = format::probe_complete(&mut file, from.volume.name()).ok()?;
    info.qcow2().is_some_and(|qcow2| qcow2.snapshots == 0).then_some(file)
}

/// Copies a volume's bytes as they are; `linked` of a qcow2 file that hangs on a template.
fn bytes(
    ctx: &Context,
    conn: &Connection,
    (from, linked): (&Volume, bool),
    to: To<'_>,
) -> anyhow::Result<Way> {
    let scratch;
    let mut file = match opened(conn, from) {
        Some(file) => file,
        None => {
            scratch = Scratch::begin(&remains::folder(ctx), "clone")?;
            fetched(ctx, conn, from, &scratch.path().join("disk"))?
        }
    };
    if linked {
        has_no_snapshots(&mut file, from.name())?;
    }
    put(conn, &file, to)
}

/// Refuses a file whose bytes would bring snapshots along.
fn has_no_snapshots(file: &mut File, name: &str) -> anyhow::Result<()> {
    let info = format::probe(file, name)?;
    match info.qcow2().map_or(0, |qcow2| qcow2.snapshots) {
        0 => Ok(()),
        count => {
            let what =
                format!("`{name}` has {count} snapshots in it, and a linked clone would, too");
            Err(Problem::new(Class::Object, what).hint("leave out `--linked`").into())
        }
    }
}

/// Brings a volume's bytes into a file of this client's.
///
/// # Errors
///
/// What libvirt says, or this client's file system; a signal.
pub(crate) fn fetched(
    ctx: &Context,
    conn: &Connection,
    from: &Volume,
    path: &Path,
) -> anyhow::Result<File> {
    let mut file = File::options().read(true).write(true).create_new(true).open(path)?;
    if let Some(rbd) = from.pool()?.xml()?.rbd() {
        Client::open(ctx, conn, &rbd)?.fetch(from.name(), &file)?;
        return Ok(file);
    }
    from.download_file(&mut file, &mut |_| ())?;
    if signal::interrupted() {
        return Err(Problem::stopped().into());
    }
    Ok(file)
}

/// Makes a volume of a file of this client's.
///
/// # Errors
///
/// What libvirt says; a signal.
pub(crate) fn put(conn: &Connection, file: &File, to: To<'_>) -> anyhow::Result<Way> {
    let volume = make(to, file.metadata()?.len())?;
    if conn.is_local() && shared(file, &volume) {
        return Ok(Way::Shared);
    }
    volume.upload_file(&mut file.try_clone()?, &mut |_| ())?;
    if signal::interrupted() {
        return Err(Problem::stopped().into());
    }
    Ok(Way::Copied)
}

/// Opens a volume's file for changing, if it is one of this machine and we may; returns its path.
pub(crate) fn reachable(conn: &Connection, volume: &Volume) -> Option<String> {
    let path = conn.is_local().then(|| volume.path().ok())??;
    let file = File::options().read(true).write(true).open(&path).ok()?;
    file.metadata().is_ok_and(|meta| meta.is_file()).then_some(path)
}
