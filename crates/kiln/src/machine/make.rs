// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The steps of a launch: each is in the journal before it is done.
//!
//! The first step, defining the domain, is the claim: libvirt lets one name have one UUID, so of
//! two launches of the same name one wins, wherever they run, and only the winner touches
//! volumes of that name.

use kiln_disk::format::qcow2::{most_of, overlay};
use kiln_host::journal::Journal;
use kiln_host::lock::Lock;
use kiln_libvirt::Connection;
use kiln_libvirt::domain::DiskFormat;
use kiln_libvirt::storage::{Pool, VolumeSpec};

use super::ceph::Client;
use super::existing::{Machine, keep_identities};
use super::forward::{self, Way};
use super::keys::Keys;
use super::meta::VolumeRef;
use super::network::Attachment;
use super::plan::Plan;
use super::pool::{self, Place, PoolInUse, check_space};
use super::step;
use super::template;
use super::timings::Timings;
use super::undo::{Undo, roll_back};
use crate::context::{Context, unix_secs};
use crate::error::Problem;
use crate::ui::Task;

/// One launch under way.
struct Making<'a> {
    ctx: &'a Context,
    conn: &'a Connection,
    pool: &'a PoolInUse,
    plan: Plan,
    job: Journal<Undo>,
}

/// Does what the plan says, up to the machine, which runs if it is to. After an error or a signal nothing is
/// left.
///
/// # Errors
///
/// The name or a volume is taken (class object); what libvirt says; class undo if something is
/// left.
pub(crate) fn make(
    ctx: &Context,
    (conn, pool): (&Connection, &PoolInUse),
    plan: Plan,
    keys: &Keys,
    (task, timings): (&Task, &mut Timings),
) -> anyhow::Result<Machine> {
    let job = Journal::begin(&ctx.sub("journal"), &plan.uuid.to_string())?;
    let mut making = Making { ctx, conn, pool, plan, job };
    match making.steps(keys, task, timings) {
        Ok(machine) => {
            making.job.commit()?;
            Ok(machine)
        }
        Err(error) => Err(roll_back(ctx, conn, making.job, error)),
    }
}

impl Making<'_> {
    fn steps(
        &mut self,
        keys: &Keys,
        task: &Task,
        timings: &mut Timings,
    ) -> anyhow::Result<Machine> {
        self.check_volumes()?;
        task.phase("define", "");
        timings.phase("define", || self.claim(keys))?;
        task.phase("disk", "");
        timings.phase("disk", || self.disk())?;
        task.phase("seed", "");
        timings.phase("seed", || self.seed())?;
        if self.plan.nics.iter().any(|nic| nic.wish().is_some()) {
            timings.phase("network", || self.reserve())?;
        }
        if self.plan.filters() {
            timings.phase("forward", || forward::rebuild(self.ctx, self.conn, false))?;
        }
        if !self.plan.start {
            return Machine::of(self.conn, self.conn.domain_by_uuid(self.plan.uuid)?);
        }
        task.phase("start", "");
        timings.phase("start", || self.start())
    }

    /// A volume of the machine's that is there already is somebody's: it is not touched.
    fn check_volumes(&self) -> anyhow::Result<()> {
        for volume in self.plan.meta.volumes() {
            step::refuse_volume(self.conn, &self.plan.name, (&self.pool_of(volume)?, volume))?;
        }
        Ok(())
    }

    /// The console's log may be in another pool than the disks.
    fn pool_of(&self, volume: &VolumeRef) -> anyhow::Result<Pool> {
        match volume.pool == self.pool.name {
            true => Ok(self.pool.pool.clone()),
            false => Ok(self.conn.pool(&volume.pool)?),
        }
    }

    fn taken(&self) -> Problem {
        step::taken(self.plan.name.as_str(), true)
    }

    fn uri(&self) -> String {
        self.conn.uri().to_string()
    }

    fn claim(&mut self, keys: &Keys) -> anyhow::Result<()> {
        self.go_on()?;
        let uuid = self.plan.uuid;
        let name = self.plan.name.to_string();
        // Until it is defined, with its forwards in it, nobody else may take their ports.
        let _lock = self.check_forwards()?;
        self.job.before(Undo::Domain { uri: self.uri(), uuid, name })?;
        let domain = match self.conn.define_domain_xml(&self.plan.xml()) {
            Err(error) if error.is_exists() => return Err(self.taken().because(error).into()),
            other => other?,
        };
        if self.plan.autostart {
            domain.set_autostart(true)?;
        }
        let path = self.ctx.machine_folder(&uuid.to_string());
        self.job.before(Undo::Folder { path })?;
        keep_identities(self.ctx, uuid, &keys.identities)
    }

    fn check_forwards(&mut self) -> anyhow::Result<Option<Lock>> {
        let forwards = &self.plan.meta.forwards;
        let Some(first) = self.plan.nics.first().filter(|_| !forwards.is_empty()) else {
            return Ok(None);
        };
        let way = match first.attachment {
            Attachment::Network { .. } => Way::Host,
            Attachment::User { .. } => Way::Passt,
        };
        let lock = forward::lock(self.ctx)?;
        forward::check_free(self.ctx, self.conn, (forwards, way), (None, &[]))?;
        if way != Way::Passt {
            self.job.before(Undo::Rules { uri: self.uri() })?;
        }
        Ok(Some(lock))
    }

    fn before_volume(&mut self, volume: &VolumeRef) -> anyhow::Result<()> {
        self.go_on()?;
        Ok(self.job.before(Undo::Volume { uri: self.uri(), volume: volume.clone() })?)
    }

    fn disk(&mut self) -> anyhow::Result<()> {
        let volume = self.plan.meta.disk.clone();
        self.before_volume(&volume)?;
        let pool = &self.pool.pool;
        match (&self.pool.place, &self.plan.meta.template) {
            (place, None) => self.whole(&volume, place)?,
            (Place::Rbd(_), Some(of)) => {
                // libvirt clones from the snapshot that the template has: nothing was written since.
                let spec = VolumeSpec::new(&volume.name, DiskFormat::Raw, self.plan.disk_size);
                let template = pool.volume(&of.name)?;
                let made = pool.clone_volume(&spec, &template, false)?;
                if self.plan.disk_size > template.info()?.capacity {
                    made.resize(self.plan.disk_size)?;
                }
            }
            (Place::Lvm(_), Some(_)) => self.overlay(&volume)?,
            _ => {
                let (path, format) = self.plan.backing.clone();
                let format = if format == "qcow2" { DiskFormat::Qcow2 } else { DiskFormat::Raw };
                let spec = VolumeSpec::new(&volume.name, DiskFormat::Qcow2, self.plan.disk_size)
                    .backed_by(&path, format);
                drop(pool.create_volume(&spec)?);
            }
        }
        match &self.plan.meta.template {
            Some(of) => template::still_there(&self.pool.pool, of),
            None => Ok(()),
        }
    }

    /// Makes a volume of LVM that is a qcow2 over the template: libvirt makes raw ones only, so its
    /// tables are written into it. It is as long as it may become: nobody makes it longer later.
    fn overlay(&self, volume: &VolumeRef) -> anyhow::Result<()> {
        let (path, format) = &self.plan.backing;
        let tables = overlay(self.plan.disk_size, (path, format))?;
        let length = most_of(self.plan.disk_size);
        check_space(self.pool, &format!("the disk of `{}`", self.plan.name), length)?;
        let spec = VolumeSpec::new(&volume.name, DiskFormat::Raw, length).allocated();
        let made = self.pool.pool.create_volume(&spec)?;
        Ok(made.upload(&mut &tables[..], 0, u64::try_from(tables.len())?, &mut |_| ())?)
    }

    /// Copies the template, on the host, so that nothing lies below the disk.
    fn whole(&self, volume: &VolumeRef, place: &Place) -> anyhow::Result<()> {
        let pool = &self.pool.pool;
        let template = pool.volume(&self.plan.template.name)?;
        let info = template.info()?;
        let what = format!("a copy of `{}`", self.plan.template.name);
        check_space(self.pool, &what, info.allocation)?;
        let made = match place {
            Place::Rbd(rbd) => {
                let spec = VolumeSpec::new(&volume.name, DiskFormat::Raw, info.capacity);
                let made = pool.create_volume(&spec)?;
                let client = Client::open(self.ctx, self.conn, rbd)?;
                client.copy(&self.plan.template.name, (&volume.name, info.capacity.0))?;
                made
            }
            // Written anew, as what it is to be: a file whose blocks were shared would be raw to
            // libvirt until it looks again, and grow as that.
            Place::Folder(_) | Place::Lvm(_) => {
                let spec = VolumeSpec::new(&volume.name, DiskFormat::Qcow2, info.capacity);
                pool.clone_volume(&spec, &template, false)?
            }
        };
        if self.plan.disk_size > info.capacity {
            made.resize(self.plan.disk_size)?;
        }
        Ok(())
    }

    fn seed(&mut self) -> anyhow::Result<()> {
        let iso = self.plan.seed.to_iso(unix_secs())?;
        let volume = self.plan.meta.seed.clone();
        self.before_volume(&volume)?;
        pool::write(self.ctx, &self.pool.pool, &volume.name, &iso)?;
        let volume = self.plan.meta.console.clone();
        self.before_volume(&volume)?;
        pool::touch(&self.pool_of(&volume)?, &volume.name)
    }

    /// Reserves the machine's addresses and remembers them in the domain.
    fn reserve(&mut self) -> anyhow::Result<()> {
        for (n, nic) in self.plan.nics.iter().enumerate() {
            let Some((network, ip)) = nic.wish() else { continue };
            self.go_on()?;
            let machine = (&self.plan.name, n, self.plan.meta.reservations.as_slice());
            let made =
                step::reserve_nth(self.conn, &mut self.job, machine, (network, nic.mac, ip))?;
            self.plan.meta.reservations.extend(made);
        }
        if !self.plan.meta.reservations.is_empty() {
            self.plan.domain.metadata = Some(self.plan.meta.element());
            self.conn.define_domain_xml(&self.plan.xml())?;
        }
        Ok(())
    }

    fn start(&mut self) -> anyhow::Result<Machine> {
        self.go_on()?;
        let uuid = self.plan.uuid;
        let domain = self.conn.domain_by_uuid(uuid)?;
        let name = self.plan.name.to_string();
        self.job.before(Undo::Running { uri: self.uri(), uuid, name })?;
        domain.start()?;
        // Told to stop while QEMU was starting: undone like everything else.
        self.go_on()?;
        Machine::of(self.conn, domain)
    }

    fn go_on(&self) -> Result<(), Problem> {
        step::go_on(&format!("the launch of `{}`", self.plan.name))
    }
}
