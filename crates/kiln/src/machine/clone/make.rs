// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The steps of a clone: each is in the journal before it is done.
//!
//! As with a launch, defining the domain is the claim of the name: only who has that touches
//! volumes of that name.

use std::collections::BTreeMap;
use std::path::PathBuf;

use kiln_disk::device::RawFile;
use kiln_guest::seed::{Login, Reissue, Reissued, Seed, Setup, reissue};
use kiln_host::journal::Journal;
use kiln_host::scratch::Scratch;
use kiln_libvirt::Connection;
use kiln_libvirt::domain::XmlKind;
use kiln_spec::Datasource;

use super::copy::{self, To};
use super::guest::{self, Renew, Renewed};
use super::nvram;
use super::plan::Plan;
use super::report::{Fact, Fate};
use super::source::Source;
use crate::context::{Context, unix_secs};
use crate::error::{Class, Problem};
use crate::machine::existing::{Machine, keep_identities};
use crate::machine::keys::Keys;
use crate::machine::meta::VolumeRef;
use crate::machine::pool::{self, PoolInUse};
use crate::machine::step;
use crate::machine::template;
use crate::machine::undo::{Undo, roll_back};
use crate::remains;
use crate::ui::Task;

/// What every clone of a command is made with.
#[derive(Clone, Copy)]
pub(crate) struct With<'a> {
    /// The host.
    pub(crate) conn: &'a Connection,
    /// The pools, by their names.
    pub(crate) pools: &'a BTreeMap<String, PoolInUse>,
    /// What is cloned.
    pub(crate) source: &'a Source,
    /// Who may log in, where the source does not say.
    pub(crate) keys: &'a Keys,
    /// The private keys of the login.
    pub(crate) identities: &'a [PathBuf],
    /// What takes the identity out of the guest.
    pub(crate) renew: Renew<'a>,
    /// Whether the guest is to be left as it is.
    pub(crate) as_is: bool,
}

/// One clone under way.
struct Cloning<'a> {
    ctx: &'a Context,
    with: With<'a>,
    plan: Plan,
    job: Journal<Undo>,
    facts: Vec<Fact>,
}

/// Does what the plan says. The clone is off then. After an error or a signal nothing is left.
///
/// # Errors
///
/// The name or a volume is taken, the source was started meanwhile (class object); the pool is full
/// (class host); what libvirt says; class undo if something is left.
pub(crate) fn make(
    ctx: &Context,
    with: With<'_>,
    plan: Plan,
    task: &Task,
) -> anyhow::Result<(Machine, Vec<Fact>)> {
    let job = Journal::begin(&ctx.sub("journal"), &plan.uuid.to_string())?;
    let facts = plan.facts(with.source);
    let mut cloning = Cloning { ctx, with, plan, job, facts };
    match cloning.steps(task) {
        Ok(machine) => {
            cloning.job.commit()?;
            Ok((machine, cloning.facts))
        }
        Err(error) => Err(roll_back(ctx, with.conn, cloning.job, error)),
    }
}

impl Cloning<'_> {
    fn steps(&mut self, task: &Task) -> anyhow::Result<Machine> {
        self.check_volumes()?;
        task.phase("define", "");
        self.claim()?;
        self.disks(task)?;
        self.with.source.is_still_off()?;
        self.nvram()?;
        task.phase("identity", "");
        let renewed = self.guest()?;
        task.phase("seed", "");
        self.seed()?;
        self.reserve()?;
        let cloud_init = self.with.source.seed.is_some();
        self.facts.extend(guest::facts(&renewed, cloud_init));
        self.facts.extend(self.plan.rest(self.with.source));
        if let Renewed::NoSystem { why } = &renewed {
            let name = &self.plan.name;
            self.ctx.ui.warn(format!("nothing was taken out of the guest of `{name}`: {why}"));
        }
        let domain = self.with.conn.domain_by_uuid(self.plan.uuid)?;
        Machine::of(self.with.conn, domain)
    }

    fn uri(&self) -> String {
        self.with.conn.uri().to_string()
    }

    fn pool(&self, volume: &VolumeRef) -> anyhow::Result<&PoolInUse> {
        let problem =
            || Problem::new(Class::Bug, format!("no pool was found for `{}`", volume.name));
        Ok(self.with.pools.get(&volume.pool).ok_or_else(problem)?)
    }

    /// A volume of the clone's that is there already is somebody's: it is not touched.
    fn check_volumes(&self) -> anyhow::Result<()> {
        for volume in self.plan.meta.volumes() {
            let there = (&self.pool(volume)?.pool, volume);
            step::refuse_volume(self.with.conn, &self.plan.name, there)?;
        }
        Ok(())
    }

    fn claim(&mut self) -> anyhow::Result<()> {
        self.go_on()?;
        let (uri, uuid, name) = (self.uri(), self.plan.uuid, self.plan.name.to_string());
        self.job.before(Undo::Domain { uri, uuid, name: name.clone() })?;
        match self.with.conn.define_domain_xml(&self.plan.xml(self.with.source)) {
            Err(error) if error.is_exists() => {
                return Err(step::taken(&name, true).because(error).into());
            }
            other => other?,
        };
        self.job.before(Undo::Folder { path: self.ctx.machine_folder(&uuid.to_string()) })?;
        keep_identities(self.ctx, uuid, self.with.identities)
    }

    fn before_volume(&mut self, volume: &VolumeRef) -> anyhow::Result<()> {
        self.go_on()?;
        Ok(self.job.before(Undo::Volume { uri: self.uri(), volume: volume.clone() })?)
    }

    fn disks(&mut self, task: &Task) -> anyhow::Result<()> {
        for disk in self.plan.disks.clone() {
            let from = disk.from.volume.name();
            task.phase("disk", &format!("{from}, {}", disk.from.takes));
            self.before_volume(&disk.volume)?;
            let pool = &self.pool(&disk.volume)?.pool;
            let to = To { pool, name: &disk.volume.name, mode: None };
            let way = copy::disk(self.ctx, self.with.conn, (&disk.from, disk.linked), to)?;
            if let Some(below) = disk.from.below.as_ref().filter(|_| disk.linked) {
                let of = &below.template;
                template::still_there(&self.with.conn.pool(&of.pool)?, of)?;
            }
            let (what, is) = (format!("disk {}", disk.from.target), &disk.volume.name);
            let is = format!("{is}, {}", way.words());
            self.facts.push(Fact::new(what, Fate::Copied, from, is));
        }
        Ok(())
    }

    fn nvram(&mut self) -> anyhow::Result<()> {
        let Some(from) = &self.with.source.nvram else { return Ok(()) };
        self.go_on()?;
        let domain = self.with.conn.domain_by_uuid(self.plan.uuid)?;
        let Some(to) = domain.xml(XmlKind::Inactive)?.nvram().filter(|path| !path.is_empty())
        else {
            let what =
                format!("libvirt names no file for the UEFI variables of `{}`", self.plan.name);
            return Err(Problem::new(Class::Tool, what).into());
        };
        // Undefining the domain removes them.
        let copied = nvram::copy(self.ctx, self.with.conn, (from, &to), &mut self.job)?;
        let fact = if copied {
            Fact::new("uefi variables", Fate::Copied, from, to)
        } else {
            Fact::new("uefi variables", Fate::New, "", "")
        };
        self.facts.push(fact);
        Ok(())
    }

    fn guest(&mut self) -> anyhow::Result<Renewed> {
        self.go_on()?;
        let first = self.plan.disks.first().filter(|_| !self.with.as_is);
        let Some(disk) = first else { return Ok(Renewed::AsIs) };
        let volume = self.pool(&disk.volume)?.pool.volume(&disk.volume.name)?;
        let what = (&volume, &disk.from.format, disk.linked);
        guest::renew(self.ctx, self.with.conn, what, self.with.renew)
    }

    fn seed(&mut self) -> anyhow::Result<()> {
        let iso = self.seed_drive()?;
        let volume = self.plan.meta.seed.clone();
        self.before_volume(&volume)?;
        pool::write(self.ctx, &self.pool(&volume)?.pool, &volume.name, &iso)?;
        let volume = self.plan.meta.console.clone();
        self.before_volume(&volume)?;
        pool::touch(&self.pool(&volume)?.pool, &volume.name)
    }

    /// Returns the source's seed made over; of a source without one a seed that lets the keys in.
    fn seed_drive(&self) -> anyhow::Result<Vec<u8>> {
        let (plan, now) = (&self.plan, unix_secs());
        let Some(old) = &self.with.source.seed else {
            let keys = self.with.keys.public.clone();
            let user = plan.meta.user.clone();
            let login = Login { name: user, is_default_user: false, ssh_keys: keys };
            let seed = Seed {
                datasource: Datasource::NoCloud,
                instance_id: plan.uuid.to_string(),
                hostname: plan.name.clone(),
                fqdn: None,
                login,
                setup: Setup::default(),
                user_data: None,
                network_config: None,
                vendor_data: None,
            };
            return Ok(seed.to_iso(now)?);
        };
        let scratch = Scratch::begin(&remains::folder(self.ctx), "clone")?;
        let file = copy::fetched(self.ctx, self.with.conn, old, &scratch.path().join("seed"))?;
        let macs = plan.macs.iter().filter_map(|(was, is)| Some(((*was)?, *is))).collect();
        let to = Reissue { instance_id: plan.uuid, hostname: plan.name.clone(), macs };
        let Reissued { iso, own_name } = reissue(Box::new(RawFile::new(file)?), &to, now)?;
        if let Some(name) = own_name {
            let clone = &plan.name;
            self.ctx.ui.warn(format!("the user-data name the guest of `{clone}`: `{name}`"));
        }
        Ok(iso)
    }

    /// Reserves the clone's addresses and remembers them in the domain.
    fn reserve(&mut self) -> anyhow::Result<()> {
        for (n, one) in self.plan.reservations.clone().into_iter().enumerate() {
            self.go_on()?;
            let machine = (&self.plan.name, n, self.plan.meta.reservations.as_slice());
            let wish = (one.network.as_str(), one.mac, one.ip);
            let made = step::reserve_nth(self.with.conn, &mut self.job, machine, wish)?;
            if let Some(made) = &made {
                let what = format!("address in {}", one.network);
                let old = self.with.source.machine.meta.as_ref();
                let old =
                    old.and_then(|m| m.reservations.iter().find(|r| r.network == one.network));
                let was = old.map_or("", |old| old.ip.as_str());
                self.facts.push(Fact::new(what, Fate::New, was, &made.ip));
            }
            self.plan.meta.reservations.extend(made);
        }
        if !self.plan.meta.reservations.is_empty() {
            let domain = self.with.conn.domain_by_uuid(self.plan.uuid)?;
            domain.set_metadata(Some(&self.plan.meta.element()))?;
        }
        Ok(())
    }

    fn go_on(&self) -> Result<(), Problem> {
        step::go_on(&format!("the clone `{}`", self.plan.name))
    }
}
