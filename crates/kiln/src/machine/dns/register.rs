// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A machine's names put into a DNS server, and taken back.

use std::collections::BTreeMap;
use std::net::IpAddr;

use kiln_dns::claim::{Claim, Withdrawn, point, unpoint};
use kiln_dns::record::reverse;
use kiln_dns::{Data, DnsError, Record};
use kiln_libvirt::Connection;
use uuid::Uuid;

use super::config::{self, Config};
use super::left::{self, Left};
use super::memory::Dns;
use super::problem::problem;
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::existing::Machine;

/// A server under way: asked one thing after the other, and not again once it was not there.
struct Asked<'a> {
    ctx: &'a Context,
    name: &'a str,
    config: Config,
    /// The first thing that went wrong.
    wrong: Option<anyhow::Error>,
}

/// What became of one question.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Came {
    Done,
    /// The server has refused: all is as before.
    Not,
    /// Nobody knows.
    Unknown,
}

impl<'a> Asked<'a> {
    fn begin(ctx: &'a Context, name: &'a str) -> anyhow::Result<Self> {
        Ok(Self { ctx, name, config: config::find(ctx, name)?, wrong: None })
    }

    /// Refuses a server that another client calls by another name: its word about a machine's names
    /// would be worth nothing.
    fn is_that_of(&self, dns: &Dns) -> anyhow::Result<()> {
        let own = self.config.zone.as_str();
        let mut all = dns.records.iter().filter(|record| !is_pointer(record));
        let Some(other) = all.find(|record| !record.zone.eq_ignore_ascii_case(own)) else {
            return Ok(());
        };
        let (server, zone) = (self.name, &other.zone);
        let what = format!(
            "`{server}` is a DNS server of the zone `{own}` here, and `{}` is in `{zone}`",
            other.name
        );
        let hint = "make the right one known under that name; `kiln dns server list` shows those";
        Err(Problem::new(Class::Object, what).hint(hint).into())
    }

    fn ask<T>(
        &mut self,
        question: impl FnOnce(&Config) -> Result<T, DnsError>,
    ) -> (Came, Option<T>) {
        if let Err(absent) = self.ctx.silent.check(self.name) {
            self.wrong.get_or_insert(absent.into());
            return (Came::Not, None);
        }
        match question(&self.config) {
            Ok(done) => (Came::Done, Some(done)),
            Err(error) => {
                self.ctx.silent.note(self.name, &error);
                let came = if error.is_unknown() { Came::Unknown } else { Came::Not };
                self.wrong.get_or_insert(problem(self.name, error).into());
                (came, None)
            }
        }
    }

    fn end(self) -> anyhow::Result<()> {
        self.wrong.map_or(Ok(()), Err)
    }
}

/// Puts a machine's addresses behind its name, and the name behind its addresses if the server is to
/// have that; what was there of it before and is no more is taken away. Returns the machine, with
/// what it remembers then.
///
/// # Errors
///
/// It has no address that is known, somebody else has the name (class object); what the server
/// or libvirt says.
pub(crate) fn register(
    ctx: &Context,
    conn: &Connection,
    (uuid, server): (Uuid, &str),
) -> anyhow::Result<Machine> {
    let machine = Machine::of(conn, conn.domain_by_uuid(uuid)?)?;
    let old = machine.meta()?.dns.clone();
    let old = match old {
        Some(dns) if dns.server != server && !dns.records.is_empty() => {
            let what =
                format!("`{}` has its name in the DNS server `{}`", machine.name, dns.server);
            let hint = format!("`kiln dns rm {}` takes it back first", machine.name);
            return Err(Problem::new(Class::Object, what).hint(hint).into());
        }
        Some(dns) => dns.records,
        None => Vec::new(),
    };
    let mut asked = Asked::begin(ctx, server)?;
    asked.is_that_of(&Dns { server: server.to_owned(), records: old.clone() })?;
    let name = asked.config.name_of(&machine.name);
    settle(ctx, (server, &name), uuid);
    let ips = addresses(&machine, &asked.config)?;
    let new = asked.wanted(&name, &ips, &old);
    let all = union(&old, &new);
    remember(conn, uuid, server, all.clone())?;
    let now = asked.put((&name, uuid), &old, &new);
    if now != all {
        remember(conn, uuid, server, now)?;
    }
    // It was to go once, and is here.
    left::forget(ctx, uuid)?;
    asked.end()?;
    let known = machine.known_addresses();
    if ips.iter().any(|ip| !known.contains(&ip.to_string())) {
        let name = &machine.name;
        let what = format!("nobody keeps the address of `{name}` for it");
        ctx.ui.warn(format!("{what}: when it changes, `kiln dns update {name}`"));
    }
    Machine::of(conn, conn.domain_by_uuid(uuid)?)
}

/// Returns the machine's addresses that the server is to have.
fn addresses(machine: &Machine, config: &Config) -> anyhow::Result<Vec<IpAddr>> {
    let all = machine.outside_addresses();
    let ips: Vec<IpAddr> = all.iter().copied().filter(|ip| config.takes(*ip)).collect();
    if !ips.is_empty() {
        return Ok(ips);
    }
    let name = &machine.name;
    let problem = if all.is_empty() {
        let what = format!("`{name}` has no address that is known");
        let hint = format!("`kiln dns update {name}` when it has one; `kiln info {name}` shows it");
        Problem::new(Class::Object, what).hint(hint)
    } else {
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        let what = format!("no address of `{name}` is of the DNS server's subnets");
        Problem::new(Class::Object, what).hint(format!("it has {}", all.join(", ")))
    };
    Err(problem.into())
}

fn union(old: &[Record], new: &[Record]) -> Vec<Record> {
    let more = new.iter().filter(|record| !old.contains(record));
    old.iter().chain(more).cloned().collect()
}

/// Writes into a machine's memory what may be in DNS.
fn remember(
    conn: &Connection,
    uuid: Uuid,
    server: &str,
    records: Vec<Record>,
) -> anyhow::Result<()> {
    // As it is now: something else may have been written meanwhile.
    let machine = Machine::of(conn, conn.domain_by_uuid(uuid)?)?;
    let mut meta = machine.meta()?.clone();
    meta.dns = Some(Dns { server: server.to_owned(), records });
    Ok(machine.domain.set_metadata(Some(&meta.element()))?)
}

fn is_pointer(record: &&Record) -> bool {
    matches!(record.data, Data::Ptr(_))
}

impl Asked<'_> {
    /// Returns the records that are to be there.
    fn wanted(&mut self, name: &str, ips: &[IpAddr], old: &[Record]) -> Vec<Record> {
        let zone = self.config.zone.to_string().to_ascii_lowercase();
        let of =
            |ip: &IpAddr| Record { zone: zone.clone(), name: name.to_owned(), data: Data::of(*ip) };
        let mut all: Vec<Record> = ips.iter().map(of).collect();
        if self.config.reverse {
            for ip in ips {
                let of = reverse(*ip);
                // Of what is there already the zone is known.
                let known = old.iter().find(|record| record.name == of);
                let known = known.map(|record| record.zone.clone());
                let zone = known.or_else(|| self.ask(|config| config.server().zone_of(&of)).1);
                let data = Data::Ptr(name.to_owned());
                all.extend(zone.map(|zone| Record { zone, name: of, data }));
            }
        }
        all
    }

    /// Puts the new records there instead of the old. Returns what may be there then.
    fn put(&mut self, (name, uuid): (&str, Uuid), old: &[Record], new: &[Record]) -> Vec<Record> {
        let data = |all: &[Record]| {
            let of = all.iter().filter(|record| !is_pointer(record) && record.name == name);
            of.map(|record| record.data.clone()).collect::<Vec<_>>()
        };
        let (before, after) = (data(old), data(new));
        let (came, _) = self.ask(|config| {
            let zone = config.zone.to_string().to_ascii_lowercase();
            let claim = Claim { zone: &zone, name, machine: uuid, ttl: config.ttl };
            claim.put(&config.server(), &before, &after)
        });
        let forward = |all: &[Record]| {
            all.iter().filter(|record| !is_pointer(record)).cloned().collect::<Vec<_>>()
        };
        let mut now = match came {
            Came::Done => forward(new),
            Came::Not => forward(old),
            Came::Unknown => union(&forward(old), &forward(new)),
        };
        let gone = came == Came::Not;
        for record in old.iter().filter(is_pointer).filter(|record| !new.contains(record)) {
            let (came, _) = self.ask(|config| unpoint(&config.server(), record));
            now.extend((came != Came::Done).then(|| record.clone()));
        }
        for record in new.iter().filter(is_pointer) {
            if gone {
                // An address must not lead to a name that is somebody else's.
                now.extend(old.contains(record).then(|| record.clone()));
                continue;
            }
            let (came, _) = self.ask(|config| point(&config.server(), record, config.ttl));
            let kept = came != Came::Not || old.contains(record);
            now.extend(kept.then(|| record.clone()));
        }
        now
    }
}

/// Takes back what a machine has in DNS. Returns what may still be there, and why.
///
/// # Errors
///
/// The server is not known here (class object).
fn take(
    ctx: &Context,
    uuid: Uuid,
    dns: &Dns,
) -> anyhow::Result<(Vec<Record>, Option<anyhow::Error>)> {
    let mut asked = Asked::begin(ctx, &dns.server)?;
    asked.is_that_of(dns)?;
    let mut still = Vec::new();
    for record in dns.records.iter().filter(is_pointer) {
        let (came, _) = asked.ask(|config| unpoint(&config.server(), record));
        still.extend((came != Came::Done).then(|| record.clone()));
    }
    let mut names: BTreeMap<(&str, &str), Vec<&Record>> = BTreeMap::new();
    for record in dns.records.iter().filter(|record| !is_pointer(record)) {
        names.entry((&record.zone, &record.name)).or_default().push(record);
    }
    for ((zone, name), records) in names {
        let data: Vec<Data> = records.iter().map(|record| record.data.clone()).collect();
        let (came, what) = asked.ask(|config| {
            let claim = Claim { zone, name, machine: uuid, ttl: config.ttl };
            claim.withdraw(&config.server(), &data)
        });
        if what == Some(Withdrawn::NotOurs) {
            ctx.ui.say(format!("`{name}` is not this machine's in DNS any more: left as it is"));
        }
        if came != Came::Done {
            still.extend(records.into_iter().cloned());
        }
    }
    Ok((still, asked.wrong))
}

/// Takes a machine's names back, and out of its memory.
///
/// # Errors
///
/// What the server says: what is still there stays in its memory. What libvirt says.
pub(crate) fn withdraw(ctx: &Context, machine: &Machine) -> anyhow::Result<()> {
    let Some(dns) = &machine.meta()?.dns else { return Ok(()) };
    let (still, wrong) =
        if dns.records.is_empty() { (Vec::new(), None) } else { take(ctx, machine.uuid, dns)? };
    if let Some(error) = wrong {
        remember(&machine.conn, machine.uuid, &dns.server, still)?;
        return Err(error);
    }
    forget_of(ctx, machine)
}

/// Takes a machine's names out of its memory, and asks no server.
///
/// # Errors
///
/// What libvirt says.
pub(crate) fn forget_of(ctx: &Context, machine: &Machine) -> anyhow::Result<()> {
    let now = Machine::of(&machine.conn, machine.conn.domain_by_uuid(machine.uuid)?)?;
    let mut meta = now.meta()?.clone();
    meta.dns = None;
    now.domain.set_metadata(Some(&meta.element()))?;
    left::forget(ctx, machine.uuid)
}

/// Takes back what a machine that is gone has left.
///
/// # Errors
///
/// What the server says: what is still there is kept in mind.
pub(crate) fn withdraw_left(ctx: &Context, left: &Left) -> anyhow::Result<()> {
    let (still, wrong) = take(ctx, left.uuid, &left.dns)?;
    let Some(error) = wrong else { return left::forget(ctx, left.uuid) };
    let dns = Dns { records: still, ..left.dns.clone() };
    left::write(ctx, &Left { dns, ..left.clone() })?;
    Err(error)
}

/// Takes back what a machine that goes now has in DNS. It is kept in mind first, until it is gone.
/// Returns what is left, and why: no reason for the machine to stay.
///
/// # Errors
///
/// It cannot be kept in mind (class host): then the machine must not go.
pub(crate) fn leave(ctx: &Context, machine: &Machine) -> anyhow::Result<Option<anyhow::Error>> {
    let Some(dns) = machine.dns().filter(|dns| !dns.records.is_empty()) else { return Ok(None) };
    let left = left::keep(ctx, machine, dns)?;
    Ok(withdraw_left(ctx, &left).err())
}

/// Takes back what machines that are gone have left of a name that is wanted now. What does not work
/// is seen by who takes the name.
pub(super) fn settle(ctx: &Context, (server, name): (&str, &str), but: Uuid) {
    for left in left::all(ctx).unwrap_or_default() {
        let same = left.dns.server == server && left.dns.names().contains(&name);
        if same && left.uuid != but {
            withdraw_left(ctx, &left).ok();
        }
    }
}
