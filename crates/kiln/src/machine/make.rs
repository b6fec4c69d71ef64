// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The steps of a launch: each is in the journal before it is done.
//!
//! The first step, defining the domain, is the claim: libvirt lets one name have one UUID, so of
//! two launches of the same name one wins, wherever they run, and only the winner touches
//! volumes of that name.

use kiln_host::journal::Journal;
use kiln_host::lock::Lock;
use kiln_host::signal;
use kiln_libvirt::Connection;
use kiln_libvirt::domain::DiskFormat;
use kiln_libvirt::storage::VolumeSpec;
use kiln_spec::Bytes;

use super::existing::{Machine, keep_identities};
use super::forward::{self, Way};
use super::keys::Keys;
use super::meta::VolumeRef;
use super::network::{self, Attachment, Wish};
use super::plan::Plan;
use super::pool::PoolInUse;
use super::template;
use super::timings::Timings;
use super::undo::{Undo, roll_back};
use crate::context::{Context, unix_secs};
use crate::error::{Class, Problem};
use crate::ui::Task;

/// One launch under way.
struct Making<'a> {
    ctx: &'a Context,
    conn: &'a Connection,
    pool: &'a PoolInUse,
    plan: Plan,
    job: Journal<Undo>,
}

/// Does what the plan says, up to the running machine. After an error or a signal nothing is
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

/// Returns the problem of a name that another machine has; `ours` if Kiln made that.
pub(crate) fn taken(name: &str, ours: bool) -> Problem {
    let problem = Problem::new(Class::Object, format!("there is a machine `{name}` already"));
    problem.hint(if ours {
        format!(
            "choose another name; `kiln info {name}` shows that one, `kiln rm {name}` removes it"
        )
    } else {
        "choose another name: kiln did not make that machine".to_owned()
    })
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
        task.phase("start", "");
        timings.phase("start", || self.start())
    }

    /// A volume of the machine's that is there already is somebody's: it is not touched.
    fn check_volumes(&self) -> anyhow::Result<()> {
        for volume in self.plan.meta.volumes() {
            match self.pool.pool.volume(&volume.name) {
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
                Ok(_) if self.conn.domain(self.plan.name.as_str()).is_ok() => {
                    return Err(self.taken().into());
                }
                Ok(_) => {
                    let what =
                        format!("pool `{}` has a volume `{}` already", volume.pool, volume.name);
                    let hint = "no machine of that name is there; choose another name, or remove the volume";
                    return Err(Problem::new(Class::Object, what).hint(hint).into());
                }
            }
        }
        Ok(())
    }

    fn taken(&self) -> Problem {
        taken(self.plan.name.as_str(), true)
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
        match self.conn.define_domain_xml(&self.plan.xml()) {
            Err(error) if error.is_exists() => return Err(self.taken().because(error).into()),
            other => other?,
        };
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
        forward::check_free(self.ctx, self.conn, (forwards, way), None)?;
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
        let (path, format) = self.plan.backing.clone();
        let format = if format == "qcow2" { DiskFormat::Qcow2 } else { DiskFormat::Raw };
        let spec = VolumeSpec::new(&volume.name, DiskFormat::Qcow2, self.plan.disk_size)
            .backed_by(&path, format);
        self.pool.pool.create_volume(&spec)?;
        // Who removes a template takes its mark away first, and then looks for what hangs on it:
        // so one of the two sees the other.
        match &self.plan.meta.template {
            Some(of) if !template::is_there(&self.pool.pool, of)? => {
                let what = format!("the template `{}` was removed meanwhile", of.name);
                Err(Problem::new(Class::Object, what).into())
            }
            _ => Ok(()),
        }
    }

    fn seed(&mut self) -> anyhow::Result<()> {
        let iso = self.plan.seed.to_iso(unix_secs())?;
        let volume = self.plan.meta.seed.clone();
        self.before_volume(&volume)?;
        let size = u64::try_from(iso.len())?;
        let spec = VolumeSpec::new(&volume.name, DiskFormat::Raw, Bytes(size));
        let seed = self.pool.pool.create_volume(&spec)?;
        seed.upload(&mut iso.as_slice(), 0, size, &mut |_| ())?;
        let volume = self.plan.meta.console.clone();
        self.before_volume(&volume)?;
        let log = VolumeSpec::new(&volume.name, DiskFormat::Raw, Bytes(0));
        self.pool.pool.create_volume(&log)?;
        Ok(())
    }

    /// Reserves the machine's addresses and remembers them in the domain.
    fn reserve(&mut self) -> anyhow::Result<()> {
        for (n, nic) in self.plan.nics.iter().enumerate() {
            let Some((network, ip)) = nic.wish() else { continue };
            self.go_on()?;
            // A network takes each name once.
            let again = self.plan.meta.reservations.iter().any(|made| made.network == network);
            let name = &self.plan.name;
            let machine = if again { format!("{name}-eth{n}") } else { name.to_string() };
            let (uri, job) = (self.conn.uri().to_string(), &mut self.job);
            let wish = Wish { machine: &machine, mac: &nic.mac.to_string(), ip };
            let made = network::reserve(self.conn, network, &wish, &mut |reservation| {
                let undo = Undo::Reservation { uri: uri.clone(), reservation: reservation.clone() };
                Ok(job.before(undo)?)
            })?;
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

    fn go_on(&self) -> anyhow::Result<()> {
        if signal::interrupted() {
            let what =
                format!("stopped by a signal; the launch of `{}` was undone", self.plan.name);
            return Err(Problem::new(Class::Tool, what).into());
        }
        Ok(())
    }
}
