// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a launch does to the world, as things that can be undone.
//!
//! Each entry is in the journal before its step is done, so undoing must cope with a step that
//! never happened: not found is as good as undone.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use kiln_host::journal::{self, Journal};
use kiln_libvirt::Connection;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::dns;
use super::existing::Machine;
use super::forward::{self, Change};
use super::meta::{Reservation, VolumeRef};
use super::network::{Details, dhcp_host};
use super::pool;
use super::pools;
use super::secrets;
use super::template;
use crate::context::Context;
use crate::error::{Class, Problem};

/// One thing to undo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "undo")]
pub(crate) enum Undo {
    /// Stop and undefine the domain with this UUID: nobody else's has it.
    Domain {
        /// The host.
        uri: String,
        /// The domain.
        uuid: Uuid,
        /// Its name, for people.
        name: String,
    },
    /// Switch the domain with this UUID off.
    Running {
        /// The host.
        uri: String,
        /// The domain.
        uuid: Uuid,
        /// Its name, for people.
        name: String,
    },
    /// Delete a volume that was not there before the step.
    Volume {
        /// The host.
        uri: String,
        /// The volume.
        volume: VolumeRef,
    },
    /// Delete the older pieces of a console's log, which virtlogd names after it.
    RotatedLogs {
        /// The host.
        uri: String,
        /// The log.
        volume: VolumeRef,
    },
    /// Delete a template that has no mark of being complete.
    Template {
        /// The host.
        uri: String,
        /// The template.
        volume: VolumeRef,
    },
    /// Take a reserved address back.
    Reservation {
        /// The host.
        uri: String,
        /// The reservation.
        reservation: Reservation,
    },
    /// Take forwards from a machine.
    Forwards {
        /// The host.
        uri: String,
        /// Whose they are.
        change: Change,
    },
    /// Make the rules of all forwards anew: a machine that had some is gone.
    Rules {
        /// The host.
        uri: String,
    },
    /// Stop and remove the network with this UUID: nobody else's has it.
    Network {
        /// The host.
        uri: String,
        /// The network.
        uuid: Uuid,
        /// Its name.
        name: String,
    },
    /// Take the pool with this UUID out of use: no other making has it. Its volumes stay.
    Pool {
        /// The host.
        uri: String,
        /// The pool.
        uuid: Uuid,
        /// Its name.
        name: String,
        /// Whether its folder was not there before, and goes if it is empty.
        made: bool,
    },
    /// Remove the secret with this UUID: no other making has it.
    Secret {
        /// The host.
        uri: String,
        /// The secret.
        uuid: Uuid,
        /// Its name, for people.
        name: String,
    },
    /// Remove what this client keeps of the machine.
    Folder {
        /// The folder.
        path: PathBuf,
    },
}

impl Undo {
    /// Returns what is left if this is not undone, for people.
    pub(crate) fn left(&self) -> String {
        match self {
            Self::Domain { name, .. } => format!("domain `{name}`"),
            Self::Running { name, .. } => format!("the running machine `{name}`"),
            Self::Volume { volume, .. } | Self::Template { volume, .. } => {
                format!("volume `{}` in pool `{}`", volume.name, volume.pool)
            }
            Self::RotatedLogs { volume, .. } => format!("older logs beside `{}`", volume.name),
            Self::Reservation { reservation, .. } => {
                format!("reservation of {} in network `{}`", reservation.ip, reservation.network)
            }
            Self::Forwards { change, .. } => format!("forwards of `{}`", change.name),
            Self::Rules { .. } => "rules of forwards".to_owned(),
            Self::Network { name, .. } => format!("network `{name}`"),
            Self::Pool { name, .. } => format!("pool `{name}`"),
            Self::Secret { name, .. } => format!("secret `{name}`"),
            Self::Folder { path } => format!("folder `{}`", path.display()),
        }
    }

    fn uri(&self) -> Option<&str> {
        match self {
            Self::Domain { uri, .. }
            | Self::Running { uri, .. }
            | Self::Volume { uri, .. }
            | Self::Template { uri, .. }
            | Self::RotatedLogs { uri, .. }
            | Self::Reservation { uri, .. }
            | Self::Forwards { uri, .. }
            | Self::Rules { uri }
            | Self::Network { uri, .. }
            | Self::Pool { uri, .. }
            | Self::Secret { uri, .. } => Some(uri),
            Self::Folder { .. } => None,
        }
    }

    /// Undoes it on the host that `conn` leads to. Nothing there to undo is success.
    pub(crate) fn run(&self, ctx: &Context, conn: &Connection) -> anyhow::Result<()> {
        match self {
            Self::Domain { uuid, .. } => remove_domain(conn, *uuid),
            Self::Running { uuid, .. } => switch_off(conn, *uuid),
            Self::Volume { volume, .. } => remove_volume(ctx, conn, volume),
            Self::RotatedLogs { volume, .. } => remove_rotated(conn, volume),
            Self::Template { volume, .. } => template::remove_unfinished(ctx, conn, volume),
            Self::Reservation { reservation, .. } => release(conn, reservation),
            Self::Forwards { change, .. } => forward::take(ctx, conn, change),
            Self::Rules { .. } => forward::rebuild_if_able(ctx, conn),
            Self::Network { uuid, name, .. } => remove_network(conn, *uuid, name),
            Self::Pool { uuid, name, made, .. } => remove_pool(conn, *uuid, name, *made),
            Self::Secret { uuid, .. } => secrets::remove(conn, *uuid),
            Self::Folder { path } => remove_folder(path),
        }
    }
}

/// Switches a domain off.
fn switch_off(conn: &Connection, uuid: Uuid) -> anyhow::Result<()> {
    match conn.domain_by_uuid(uuid).and_then(|domain| domain.destroy()) {
        // Not there, or not running: as good as off.
        Err(error) if error.is_operation_invalid() || error.is_not_found() => Ok(()),
        other => Ok(other?),
    }
}

/// Stops and undefines a domain with everything libvirt keeps of it.
pub(crate) fn remove_domain(conn: &Connection, uuid: Uuid) -> anyhow::Result<()> {
    let domain = match conn.domain_by_uuid(uuid) {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    };
    switch_off(conn, uuid)?;
    match domain.undefine() {
        Err(error) if error.is_not_found() => Ok(()),
        other => Ok(other?),
    }
}

/// Removes a machine with everything that Kiln made for it: domain, volumes, reservation, names in
/// DNS, and what this client keeps. All of it is in the journal first, so that a kill in the middle is
/// finished by the next `kiln`.
///
/// # Errors
///
/// Kiln did not make it, or others lie over its disk (class object); class undo when something could
/// not be removed.
pub(crate) fn remove_machine(ctx: &Context, machine: &Machine) -> anyhow::Result<()> {
    let uri = machine.conn.uri().to_string();
    let meta = machine.meta()?;
    pools::refuse_parent(ctx, machine)?;
    // While its address is still its own. What does not work is no reason for the machine to stay.
    let named = dns::leave(ctx, machine)?;
    let mut job = Journal::begin(&ctx.sub("journal"), &format!("rm-{}", Uuid::now_v7()))?;
    // Undone in reverse: the machine stops first, its name is free when all else is gone.
    let (name, uuid) = (machine.name.clone(), machine.uuid);
    if !meta.forwards.is_empty() {
        job.before(Undo::Rules { uri: uri.clone() })?;
    }
    job.before(Undo::Domain { uri: uri.clone(), uuid, name: name.clone() })?;
    job.before(Undo::Folder { path: machine.folder(ctx) })?;
    for volume in meta.volumes() {
        job.before(Undo::Volume { uri: uri.clone(), volume: volume.clone() })?;
    }
    job.before(Undo::RotatedLogs { uri: uri.clone(), volume: meta.console.clone() })?;
    for reservation in &meta.reservations {
        job.before(Undo::Reservation { uri: uri.clone(), reservation: reservation.clone() })?;
    }
    job.before(Undo::Running { uri, uuid, name: name.clone() })?;
    let (left, why) = undo_all(ctx, &machine.conn, &job);
    let Some(error) = why else {
        remove_libvirts_log(ctx, machine);
        job.commit()?;
        return named.map_or(Ok(()), |error| Err(still_named(machine, error).into()));
    };
    let what = format!("not all of `{name}` could be removed; left: {}", left.join(", "));
    let problem = Problem::new(Class::Undo, what).hint("the next kiln command tries again");
    Err(problem.because(error).into())
}

/// Returns the problem of a machine that is gone and whose names are not.
fn still_named(machine: &Machine, error: anyhow::Error) -> Problem {
    let name = &machine.name;
    let records = machine.meta.iter().flat_map(|meta| &meta.dns).flat_map(|dns| &dns.records);
    let left: Vec<String> = records.map(|record| format!("`{record}`")).collect();
    let what = format!("`{name}` was removed, but not its names in DNS; left: {}", left.join(", "));
    let hint = format!("`kiln dns rm {name}` tries again; `kiln dns list` shows what is left");
    Problem::new(Class::Undo, what).hint(hint).because(error)
}

/// Undoes each step of a job, also after one that fails. Returns what is left, and the first
/// reason.
fn undo_all(
    ctx: &Context,
    conn: &Connection,
    job: &Journal<Undo>,
) -> (Vec<String>, Option<anyhow::Error>) {
    let mut left = Vec::new();
    let mut why = None;
    for undo in job.to_undo() {
        if let Err(error) = undo.run(ctx, conn) {
            ctx.ui.detail(format!("could not undo {}: {error:#}", undo.left()));
            left.push(undo.left());
            why = why.or(Some(error));
        }
    }
    (left, why)
}

/// Removes the log that libvirt itself keeps of a domain's QEMU, which undefining leaves behind.
/// Only of a host that is this machine, and only if we may: it is libvirt's, and harmless.
fn remove_libvirts_log(ctx: &Context, machine: &Machine) {
    if !machine.conn.is_local() {
        return;
    }
    let folder = if machine.conn.is_session() {
        let cache = ctx.env.home.as_ref().map(|home| home.join(".cache"));
        ctx.env.xdg_cache_home.clone().or(cache).map(|cache| cache.join("libvirt/qemu/log"))
    } else {
        Some(PathBuf::from("/var/log/libvirt/qemu"))
    };
    if let Some(folder) = folder {
        fs::remove_file(folder.join(format!("{}.log", machine.name))).ok();
    }
}

/// Deletes a volume, if it is there.
pub(crate) fn remove_volume(
    ctx: &Context,
    conn: &Connection,
    volume: &VolumeRef,
) -> anyhow::Result<()> {
    let pool = match conn.pool(&volume.pool) {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    };
    let found = match pool.volume(&volume.name) {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    };
    pool::delete(ctx, &pool, &found)
}

/// Deletes the older pieces of a console's log: virtlogd.conf(5), `max_backups`, names them
/// `NAME.0`, `NAME.1` and so on once the log has 2 MiB.
fn remove_rotated(conn: &Connection, log: &VolumeRef) -> anyhow::Result<()> {
    let pool = match conn.pool(&log.pool) {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    };
    // Only a log that was rotated is worth looking through the pool for: the piece in use is
    // then younger than the machine, and libvirt knows the others only after a refresh.
    let full = match pool.volume(&log.name).and_then(|volume| volume.info()) {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?.allocation,
    };
    if full.0 == 0 {
        return Ok(());
    }
    // libvirt refuses to refresh a pool while somebody uploads into it. A rotated log is rare, and
    // a machine's end must not wait for other people's uploads.
    if pool.refresh().is_err() {
        return Ok(());
    }
    let start = format!("{}.", log.name);
    for volume in pool.volumes()? {
        let rest = volume.name().strip_prefix(&start).unwrap_or("x");
        if rest.chars().all(|c| c.is_ascii_digit()) {
            volume.delete()?;
        }
    }
    Ok(())
}

/// Gives a reserved address back.
pub(crate) fn release(conn: &Connection, reservation: &Reservation) -> anyhow::Result<()> {
    let network = match conn.network(&reservation.network) {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    };
    // One that is no reservation was never made.
    let Some(host) = dhcp_host(reservation) else { return Ok(()) };
    if !Details::of(&network)?.hosts.iter().any(|known| known.mac == host.mac) {
        return Ok(());
    }
    Ok(network.remove_dhcp_host(&host)?)
}

/// Stops and removes a network, if the one of that name has that UUID.
fn remove_network(conn: &Connection, uuid: Uuid, name: &str) -> anyhow::Result<()> {
    let network = match conn.network(name) {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    };
    if network.xml()?.uuid() != Some(uuid) {
        return Ok(());
    }
    match network.stop() {
        Err(error) if error.is_operation_invalid() || error.is_not_found() => {}
        other => other?,
    }
    match network.undefine() {
        // One that was started without a definition is gone when it stops.
        Err(error) if error.is_not_found() => Ok(()),
        other => Ok(other?),
    }
}

/// Takes a pool out of use, if the one of that name has that UUID; with `made` its folder goes,
/// too, if it is empty.
fn remove_pool(conn: &Connection, uuid: Uuid, name: &str, made: bool) -> anyhow::Result<()> {
    let pool = match conn.pool(name) {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    };
    if pool.xml()?.uuid() != Some(uuid) {
        return Ok(());
    }
    match pool.stop() {
        Err(error) if error.is_operation_invalid() || error.is_not_found() => {}
        other => other?,
    }
    if made {
        // Not made yet, or somebody has put something there: it stays.
        pool.remove_empty().ok();
    }
    match pool.undefine() {
        Err(error) if error.is_not_found() => Ok(()),
        other => Ok(other?),
    }
}

fn remove_folder(path: &PathBuf) -> anyhow::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => Ok(other?),
    }
}

/// Makes sure that what is to come could be kept in the journal, before anything is made.
///
/// # Errors
///
/// Kiln's folder is not this user's to write to (class host).
pub(crate) fn can_begin(ctx: &Context) -> anyhow::Result<()> {
    let begun = Journal::<Undo>::begin(&ctx.sub("journal"), &format!("test-{}", Uuid::now_v7()));
    begun.and_then(Journal::commit).map_err(|error| {
        let what = "Kiln cannot keep what is to be undone if it is killed";
        let problem = Problem::new(Class::Host, what).because(error);
        problem
            .hint("KILN_HOME names the folder that Kiln keeps its things in: one of your own")
            .into()
    })
}

/// Undoes all of a job after `cause`. Returns the cause, or, if something could not be undone,
/// an error that has both and lists what is left; the journal then stays for the next `kiln`.
pub(crate) fn roll_back(
    ctx: &Context,
    conn: &Connection,
    job: Journal<Undo>,
    cause: anyhow::Error,
) -> anyhow::Error {
    let (left, _) = undo_all(ctx, conn, &job);
    if left.is_empty() {
        if let Err(error) = job.commit() {
            ctx.ui.warn(error.to_string());
        }
        return cause;
    }
    let problem =
        Problem::new(Class::Undo, format!("not all could be undone; left: {}", left.join(", ")));
    problem.hint("the next kiln command tries again").because(cause).into()
}

/// Does `steps`, which `undo` takes back: it is in the journal, of the name `journal`, before the
/// first, and is undone if one of them fails.
///
/// # Errors
///
/// Those of the steps; class undo when it could not be taken back.
pub(crate) fn or_undone(
    ctx: &Context,
    conn: &Connection,
    (journal, undo): (&str, Undo),
    steps: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    all_or_undone(ctx, conn, (journal, vec![undo]), steps)
}

/// As [`or_undone`], with several things to take back, the last first.
///
/// # Errors
///
/// As [`or_undone`].
pub(crate) fn all_or_undone(
    ctx: &Context,
    conn: &Connection,
    (journal, undo): (&str, Vec<Undo>),
    steps: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut job = Journal::begin(&ctx.sub("journal"), journal)?;
    for undo in undo {
        job.before(undo)?;
    }
    match steps() {
        Ok(()) => Ok(job.commit()?),
        Err(error) => Err(roll_back(ctx, conn, job, error)),
    }
}

/// Removes what `undo` takes back. It is in the journal first, so that a kill in the middle is
/// finished by the next `kiln`.
///
/// # Errors
///
/// What libvirt says; the journal stays then.
pub(crate) fn remove(ctx: &Context, conn: &Connection, undo: Undo) -> anyhow::Result<()> {
    remove_all(ctx, conn, vec![undo])
}

/// As [`remove`], of several things, the last first.
///
/// # Errors
///
/// As [`remove`].
pub(crate) fn remove_all(ctx: &Context, conn: &Connection, undo: Vec<Undo>) -> anyhow::Result<()> {
    let mut job = Journal::begin(&ctx.sub("journal"), &format!("rm-{}", Uuid::now_v7()))?;
    for undo in undo {
        job.before(undo)?;
    }
    for undo in job.to_undo() {
        undo.run(ctx, conn)?;
    }
    Ok(job.commit()?)
}

/// Undoes what killed jobs left behind. A host that cannot be reached keeps its jobs for later,
/// with a warning.
pub(crate) fn recover(ctx: &Context, conn: &Connection) -> anyhow::Result<()> {
    let jobs = journal::remains::<Undo>(&ctx.sub("journal"))?;
    let mut others: HashMap<String, Option<Connection>> = HashMap::new();
    for job in jobs {
        let mut whole = true;
        for undo in job.to_undo() {
            let uri = undo.uri().unwrap_or(conn.uri().as_str());
            let done = if uri == conn.uri().as_str() {
                undo.run(ctx, conn)
            } else {
                let other =
                    others.entry(uri.to_owned()).or_insert_with(|| Connection::open(uri).ok());
                match other {
                    Some(conn) => undo.run(ctx, conn),
                    None => Err(anyhow::anyhow!("could not connect to `{uri}`")),
                }
            };
            match done {
                Ok(()) => ctx.ui.say(format!("undid what a killed kiln left: {}", undo.left())),
                Err(error) => {
                    whole = false;
                    ctx.ui.warn(format!("a killed kiln left {}: {error:#}", undo.left()));
                }
            }
        }
        if whole {
            job.done()?;
        }
    }
    Ok(())
}
