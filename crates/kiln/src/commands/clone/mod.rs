// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln clone`.

pub(crate) mod renew;
mod template;

use std::collections::BTreeMap;
use std::path::Path;

use kiln_libvirt::Connection;
use kiln_libvirt::domain::DiskFormat;
use kiln_spec::{Bytes, MachineName};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{many, start};
use crate::args::clone::Clone;
use crate::args::launch::WantedIp;
use crate::context::{Context, unix_secs};
use crate::error::{Class, Problem};
use crate::machine::clone::report::{self as identity, Fact};
use crate::machine::clone::source::{Source, told_no_address};
use crate::machine::clone::{self, Plan, Wanted, With};
use crate::machine::existing::Machine;
use crate::machine::keys::{self, Keys};
use crate::machine::plan::KILN_USER;
use crate::machine::pool::{self, Place, PoolInUse, check_space};
use crate::machine::{host, network, step, undo};

/// How many clones are made at the same time: their copies share one disk.
const AT_ONCE: usize = 4;

/// Everything that is the same for all clones of a command.
struct Common<'a> {
    ctx: &'a Context,
    args: &'a Clone,
    conn: Connection,
    source: Source,
    pools: BTreeMap<String, PoolInUse>,
    places: BTreeMap<String, Place>,
    consoles: String,
    keys: Keys,
}

/// Makes clones of a machine.
pub(crate) fn run(ctx: &Context, args: &Clone) -> anyhow::Result<u8> {
    let names = names(args)?;
    let given = keys::given(&args.ssh_key)?;
    let conn = host::connect(ctx)?;
    let machine = match Machine::find(&conn, &args.source) {
        Ok(machine) => machine,
        Err(error) => match template::find(ctx, &conn, args) {
            Some(found) => return template::run(ctx, args, conn, (&found, given)),
            None => return Err(error),
        },
    };
    told_no_address(&machine)?;
    let source = Source::of(&conn, machine)?;
    step::refuse_taken(&conn, &names)?;
    if !args.dry_run {
        undo::can_begin(ctx)?;
    }
    let (pools, places, consoles) = pools(ctx, &conn, args, &source)?;
    let mut common = Common { ctx, args, conn, source, pools, places, consoles, keys: given };
    common.wanted().check()?;
    if args.dry_run {
        return many::would(&ctx.ui, &names, |_, name| {
            let plan = common.plan(name)?;
            Ok((plan.lines(&common.source), plan.shown_xml(&common.source)))
        });
    }
    common.check_space(names.len())?;
    // Of a clone of Kiln's the seed says who logs in.
    if common.source.seed.is_none() && common.keys.public.is_empty() {
        common.keys = keys::find(ctx, false)?;
    }
    let made = many::make_all(&ctx.ui, &names, AT_ONCE, |_, name| make(&common, name));
    many::show(&ctx.ui, made, |made| Ok(show(&common, &made)))
}

fn names(args: &Clone) -> anyhow::Result<Vec<MachineName>> {
    match args.count {
        None => Ok(vec![args.name.clone()]),
        Some(_) if matches!(args.ip, Some(WantedIp::This(_))) => {
            let what = "one address cannot be reserved for several clones";
            Err(Problem::new(Class::Usage, what).hint("`--ip auto` reserves one for each").into())
        }
        Some(count) => Ok((1..=count).map(|n| args.name.counted(n)).collect::<Result<_, _>>()?),
    }
}

/// Pools, where their volumes are, and the name of the one for the consoles' logs.
type Pools = (BTreeMap<String, PoolInUse>, BTreeMap<String, Place>, String);

/// Finds the pools that volumes go to. In a dry run none is made or started.
fn pools(ctx: &Context, conn: &Connection, args: &Clone, source: &Source) -> anyhow::Result<Pools> {
    let beside = source.disks.iter().map(|disk| disk.pool.as_str());
    let mut names: Vec<String> = match &args.pool {
        Some(name) => vec![name.clone()],
        None => beside.map(str::to_owned).collect(),
    };
    // The root disk's comes first.
    let first = names.first().map_or(pool::DEFAULT, String::as_str);
    let place = pool::place_to_be(ctx, conn, first)?;
    let (consoles, _) = pool::of_consoles(ctx, conn, (first, &place))?;
    names.push(consoles.clone());
    let (mut pools, mut places) = (BTreeMap::new(), BTreeMap::new());
    for name in names {
        places.insert(name.clone(), pool::place_to_be(ctx, conn, &name)?);
        if !args.dry_run {
            pools.insert(name.clone(), pool::find(ctx, conn, &name)?);
        }
    }
    Ok((pools, places, consoles))
}

impl Common<'_> {
    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            source: &self.source,
            linked: self.args.linked,
            pool: self.args.pool.as_deref(),
            places: &self.places,
            consoles: &self.consoles,
            user: self.args.user.as_deref().unwrap_or(KILN_USER),
            ip: match self.args.ip {
                Some(WantedIp::This(ip)) => Some(ip),
                _ => None,
            },
            reserve: self.args.ip.is_some(),
            now: unix_secs(),
        }
    }

    fn plan(&self, name: &MachineName) -> anyhow::Result<Plan> {
        let uuid = Uuid::now_v7();
        let old = self.source.machine.meta.as_ref().and_then(|meta| meta.ssh_port);
        let port = old.map(|_| network::free_port(uuid)).transpose()?;
        Ok(self.wanted().plan(name, uuid, port))
    }

    /// Refuses what the pools have no room for, before anything is made.
    fn check_space(&self, count: usize) -> anyhow::Result<()> {
        let mut needed: BTreeMap<&str, u64> = BTreeMap::new();
        for disk in &self.source.disks {
            let linked = self.args.linked && disk.can_be_below();
            let one = if linked { disk.takes_alone } else { disk.takes };
            let all = one.0.saturating_mul(u64::try_from(count)?);
            let pool = self.args.pool.as_deref().unwrap_or(&disk.pool);
            let sum = needed.entry(pool).or_default();
            *sum = sum.saturating_add(all);
        }
        let what = format!("what is copied of `{}`", self.source.machine.name);
        for (name, bytes) in needed {
            if let Some(pool) = self.pools.get(name) {
                check_space(pool, &what, Bytes(bytes))?;
            }
        }
        Ok(())
    }
}

/// A clone that was made, and what became of its identities.
type Made = (Machine, Vec<Fact>);

fn make(common: &Common<'_>, name: &MachineName) -> anyhow::Result<Made> {
    let (ctx, source) = (common.ctx, &common.source);
    let task = ctx.ui.task(name.as_str());
    let renew = |disk: &Path, format: &DiskFormat, linked: bool| {
        renew::renew(ctx, (disk, format, linked), name)
    };
    let old = source.machine.identities(ctx);
    let identities = if source.seed.is_some() { &old } else { &common.keys.identities };
    let with = With {
        conn: &common.conn,
        pools: &common.pools,
        source,
        keys: &common.keys,
        identities,
        renew: &renew,
        as_is: common.args.as_is,
    };
    let (machine, facts) = clone::make(ctx, with, common.plan(name)?, &task)?;
    if common.args.start {
        machine.start(ctx)?;
    }
    Ok((machine, facts))
}

/// Shows a clone: to people, or as the JSON that it returns.
fn show(common: &Common<'_>, (machine, facts): &Made) -> Option<Value> {
    let ui = &common.ctx.ui;
    if ui.json() {
        return Some(as_json(common.args, machine, facts));
    }
    let name = &machine.name;
    let lines = identity::lines(&common.source.machine.name, name, facts);
    lines.iter().for_each(|line| ui.say(line));
    tell(common.ctx, common.args.start, machine);
    None
}

fn tell(ctx: &Context, started: bool, machine: &Machine) {
    let name = &machine.name;
    ctx.ui.say(match started {
        true => start::runs(name),
        false => format!("`{name}` is made; `kiln start {name}` starts it"),
    });
    ctx.ui.out(name);
}

fn as_json(args: &Clone, machine: &Machine, facts: &[Fact]) -> Value {
    let meta = machine.meta.as_ref();
    json!({
        "name": machine.name,
        "uuid": machine.uuid,
        "host": machine.conn.uri().to_string(),
        "clone_of": meta.map(|meta| &meta.origin),
        "template": meta.map(|meta| &meta.template),
        "linked": args.linked,
        "volumes": meta.map(|meta| meta.volumes()),
        "reservations": meta.map(|meta| &meta.reservations),
        "started": args.start,
        "identity": identity::as_json(facts),
    })
}
