// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln template create`.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use kiln_guest::seal::Selection;
use kiln_host::copy as files;
use kiln_host::journal::Journal;
use kiln_host::lock::Lock;
use kiln_host::scratch::Scratch;
use kiln_libvirt::Connection;
use kiln_libvirt::domain::DiskFormat;
use serde_json::json;
use uuid::Uuid;

use crate::args::bundle::trust::Trust;
use crate::args::template::create::Create;
use crate::commands::clone::renew;
use crate::context::{Context, unix_secs};
use crate::error::{Class, Problem};
use crate::machine::ceph::Client;
use crate::machine::clone::copy::{self, To};
use crate::machine::clone::guest::{self, Renewed};
use crate::machine::clone::source::Source;
use crate::machine::existing::Machine;
use crate::machine::image::{self, ImageFile};
use crate::machine::meta::VolumeRef;
use crate::machine::pool::{self, Place, PoolInUse, check_space};
use crate::machine::templates::{self, Facts, MadeOf, Template};
use crate::machine::undo::{self, Undo};
use crate::machine::{host, template};
use crate::remains;
use crate::ui::Task;

/// How often another version is taken when somebody else was faster.
const TRIES: u32 = 20;

/// What a template is made of.
enum Of {
    Machine(Box<Source>),
    Image(Box<ImageFile>),
}

/// Makes a template.
pub(crate) fn run(ctx: &Context, args: &Create) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let of = of(ctx, &conn, args)?;
    undo::can_begin(ctx)?;
    if ctx.store()?.find(args.name.as_str()).is_ok() {
        let what = format!("there is an image `{}` in the store", args.name);
        let hint = "`kiln launch` would take that: choose another name";
        return Err(Problem::new(Class::Object, what).hint(hint).into());
    }
    let beside = match &of {
        Of::Machine(source) => source.disks.first().map(|disk| disk.pool.as_str()),
        Of::Image(_) => None,
    };
    let name = args.pool.as_deref().or(beside).unwrap_or(pool::DEFAULT);
    let pool = pool::find(ctx, &conn, name)?;
    if pool.place.is_lvm() {
        let what = format!("the LVM pool `{name}` has no templates but the copies of images");
        let hint = "choose a folder or Ceph's with `--pool`";
        return Err(Problem::new(Class::Object, what).hint(hint).into());
    }
    let (size, format) = match &of {
        Of::Machine(source) => (source.disks[0].takes, source.disks[0].format.clone()),
        Of::Image(image) if pool.place.rbd().is_some() => (image.file_size, DiskFormat::Raw),
        Of::Image(image) if image.format == "qcow2" => (image.file_size, DiskFormat::Qcow2),
        Of::Image(image) => (image.file_size, DiskFormat::Raw),
    };
    let named = |one: &Template| {
        one.name == args.name.as_str() && templates::is_of_launch(&one.volume.name)
    };
    if templates::all(ctx, &conn, &pool.pool)?.iter().any(named) {
        let what = format!("the pool `{}` has a template of an image `{}`", pool.name, args.name);
        let hint = "`kiln launch` could not tell the two: choose another name";
        return Err(Problem::new(Class::Object, what).hint(hint).into());
    }
    check_space(&pool, &format!("a template of `{}`", args.source), size)?;
    let mut making = Making { ctx, conn: &conn, args, pool: &pool, of: &of, format };
    let (volume, sealed) = making.claim()?;
    let full = format!("{}:{}", args.name, volume.1);
    if let (Of::Machine(source), true) = (&of, args.convert) {
        undo::remove_machine(ctx, &source.machine)?;
        ctx.ui.say(format!("removed `{}`", source.machine.name));
    }
    if ctx.ui.json() {
        let version = volume.1.to_string();
        ctx.ui.result(&json!({
            "name": args.name, "version": version, "pool": pool.name, "volume": volume.0.name,
            "sealed": sealed,
        }));
        return Ok(0);
    }
    let there =
        if pool.name == pool::DEFAULT { String::new() } else { format!(" --pool {}", pool.name) };
    ctx.ui.say(format!(
        "`{full}` is a template; `kiln launch {} NAME{there}` makes a machine of it",
        args.name
    ));
    ctx.ui.out(full);
    Ok(0)
}

/// Finds what a template is to be made of.
fn of(ctx: &Context, conn: &Connection, args: &Create) -> anyhow::Result<Of> {
    let machine = match conn.domain(&args.source) {
        Err(error) if error.is_not_found() => None,
        other => Some(Machine::of(conn, other?)?),
    };
    let Some(machine) = machine.filter(|_| !args.source.contains('/')) else {
        if args.convert {
            let what = format!("there is no machine `{}` to be converted", args.source);
            return Err(Problem::new(Class::Object, what).into());
        }
        let found = image::find(ctx, &args.source, (&Trust::default(), false))?;
        return Ok(Of::Image(Box::new(found)));
    };
    if args.convert {
        machine.meta()?;
    }
    let source = Source::of(conn, machine)?;
    if source.disks.len() > 1 {
        let what =
            format!("`{}` has {} disks, and a template has one", args.source, source.disks.len());
        let hint = "`kiln clone` copies all; or detach those that are data";
        return Err(Problem::new(Class::Object, what).hint(hint).into());
    }
    Ok(Of::Machine(Box::new(source)))
}

/// One template under way.
struct Making<'a> {
    ctx: &'a Context,
    conn: &'a Connection,
    args: &'a Create,
    pool: &'a PoolInUse,
    of: &'a Of,
    format: DiskFormat,
}

impl Making<'_> {
    /// Makes the next version: who makes its volume has the number.
    fn claim(&mut self) -> anyhow::Result<((VolumeRef, u32), bool)> {
        let mut tries = 0;
        loop {
            let version = templates::next_version(&self.pool.pool, self.args.name.as_str())?;
            let name = templates::volume_name(self.args.name.as_str(), version, &self.format);
            let volume = VolumeRef { pool: self.pool.name.clone(), name };
            tries += 1;
            match self.make(&volume) {
                Err(error) if tries < TRIES && is_taken(&error) => {}
                other => return Ok(((volume, version), other?)),
            }
        }
    }

    fn make(&self, volume: &VolumeRef) -> anyhow::Result<bool> {
        let (ctx, uri) = (self.ctx, self.conn.uri().to_string());
        let _lock = Lock::wait(&template::lock_file(ctx, &uri, volume))?;
        let mut job = Journal::begin(&ctx.sub("journal"), &format!("template-{}", Uuid::now_v7()))?;
        job.before(Undo::Template { uri, volume: volume.clone() })?;
        match self.steps(volume) {
            Ok(sealed) => {
                job.commit()?;
                Ok(sealed)
            }
            Err(error) if is_taken(&error) => {
                // Somebody else's.
                job.commit()?;
                Err(error)
            }
            Err(error) => {
                template::remove_volumes(ctx, &self.pool.pool, volume)?;
                Err(undo::roll_back(ctx, self.conn, job, error))
            }
        }
    }

    fn steps(&self, volume: &VolumeRef) -> anyhow::Result<bool> {
        let (ctx, pool) = (self.ctx, &self.pool.pool);
        let task = ctx.ui.task(self.args.name.as_str());
        if let (Of::Machine(source), place) = (self.of, &self.pool.place)
            && source.disks[0].rbd.is_some() != place.rbd().is_some()
        {
            let what = format!(
                "`{}` has its disk in the pool `{}`",
                self.args.source, source.disks[0].pool
            );
            let hint = "a template is not made from a Ceph pool in another pool, or the other way: leave out `--pool`";
            return Err(Problem::new(Class::Object, what).hint(hint).into());
        }
        let mode = template::mode(self.conn, pool)?;
        let to = To { pool, name: &volume.name, mode };
        task.phase("copy", &self.args.source);
        let renewed = match self.of {
            Of::Machine(source) => {
                copy::disk(ctx, self.conn, (&source.disks[0], false), to)?;
                source.is_still_off()?;
                task.phase("seal", "");
                let made = pool.volume(&volume.name)?;
                let seal = |disk: &Path, format: &DiskFormat, _| self.seal(disk, format);
                match self.args.as_is {
                    true => Renewed::AsIs,
                    false => guest::renew(ctx, self.conn, (&made, &self.format, false), &seal)?,
                }
            }
            Of::Image(image) => self.of_image(image, to, &task)?,
        };
        if let Renewed::NoSystem { why } = &renewed {
            ctx.ui.warn(format!("nothing was sealed: {why}"));
        }
        let sealed = matches!(renewed, Renewed::Done { .. });
        templates::write_facts(ctx, pool, &volume.name, &self.facts(sealed))?;
        self.make_read_only(volume)?;
        if let (Of::Machine(_), Some(rbd)) = (self.of, self.pool.place.rbd()) {
            Client::open(ctx, self.conn, rbd)?.protect(&volume.name)?;
        }
        template::mark(pool, &volume.name)?;
        Ok(sealed)
    }

    /// Seals a copy of an image, and brings that to the host.
    fn of_image(&self, image: &ImageFile, to: To<'_>, task: &Task) -> anyhow::Result<Renewed> {
        let Some(from) = &image.file else { return Ok(Renewed::AsIs) };
        if let (true, Place::Rbd(rbd)) = (self.args.as_is, &self.pool.place) {
            template::import(self.ctx, (self.conn, self.pool, rbd), (image, from), to.name, task)?;
            return Ok(Renewed::AsIs);
        }
        let scratch = Scratch::begin(&remains::folder(self.ctx), "template")?;
        let path = scratch.path().join("disk");
        let copied = File::create_new(&path)?;
        if files::reflink(from, &copied).is_err() {
            files::sparse(from, &copied)?;
        }
        drop(copied);
        // The copy is what the image is, whatever the volume will be.
        let format = if image.format == "qcow2" { DiskFormat::Qcow2 } else { DiskFormat::Raw };
        let renewed = if self.args.as_is { Renewed::AsIs } else { self.seal(&path, &format)? };
        let sealed = File::open(&path)?;
        match &self.pool.place {
            Place::Folder(_) | Place::Lvm(_) => drop(copy::put(self.conn, &sealed, to)?),
            Place::Rbd(rbd) => {
                let there = (self.conn, self.pool, rbd);
                template::import(self.ctx, there, (image, &sealed), to.name, task)?;
            }
        }
        Ok(renewed)
    }

    fn seal(&self, disk: &Path, format: &DiskFormat) -> anyhow::Result<Renewed> {
        let none = &mut |_: &mut dyn kiln_guest::tree::Tree| Ok(Vec::new());
        renew::seal(self.ctx, (disk, format, false), &Selection::default(), none)
            .context("the template could not be sealed")
    }

    fn facts(&self, sealed: bool) -> Facts {
        let (made, user, uefi) = match self.of {
            Of::Machine(source) => {
                let (machine, below) = (&source.machine, source.disks[0].below.as_ref());
                let made = MadeOf::Machine {
                    name: machine.name.clone(),
                    uuid: machine.uuid,
                    template: below.map(|below| below.template.name.clone()),
                };
                let user = machine.meta.as_ref().map(|meta| meta.user.clone());
                (made, user.unwrap_or_default(), Some(machine.xml.is_uefi()))
            }
            Of::Image(image) => {
                let (name, digest) = (image.name.clone(), image.digest.clone());
                let user = image.manifest.as_ref().map(|manifest| manifest.user.clone());
                (MadeOf::Image { name, digest }, user.unwrap_or_default(), None)
            }
        };
        let made_by = env!("CARGO_PKG_VERSION").to_owned();
        Facts { made, made_at: unix_secs(), made_by, user, uefi, sealed }
    }

    /// In a session libvirt fills the volume as its owner, so it is closed when it is whole.
    fn make_read_only(&self, volume: &VolumeRef) -> anyhow::Result<()> {
        if self.conn.is_session() && self.conn.is_local() && self.pool.place.rbd().is_none() {
            let path = self.pool.pool.volume(&volume.name)?.path()?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o400))?;
        }
        Ok(())
    }
}

fn is_taken(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let error = cause.downcast_ref::<kiln_libvirt::Error>();
        error.is_some_and(kiln_libvirt::Error::is_exists)
    })
}
