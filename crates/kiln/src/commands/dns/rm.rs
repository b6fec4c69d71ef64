// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln dns rm`.

use kiln_dns::Record;
use kiln_libvirt::Connection;
use serde_json::{Value, json};

use crate::args::dns::rm::Rm;
use crate::context::Context;
use crate::machine::dns::{self, Left, record_json};
use crate::machine::existing::Machine;
use crate::machine::host;

/// Whose names are taken back.
enum Whose {
    /// A machine that is there.
    Machine(Box<Machine>),
    /// One that is gone.
    Gone(Left),
}

/// Takes names back.
pub(crate) fn run(ctx: &Context, args: &Rm) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    // Those that are not there are found before the first is touched.
    let mut all = Vec::new();
    for name in &args.names {
        all.extend(found(ctx, &conn, name)?);
    }
    let mut removed = Vec::new();
    for whose in &all {
        let (name, records) = (whose.name(), whose.records());
        if !args.dry_run {
            whose.take(ctx, args.forget)?;
        }
        for record in records {
            removed.push(json_of(name, record));
            if args.dry_run && !ctx.ui.json() {
                ctx.ui.out(format!("{record}"));
            } else if !args.dry_run {
                let word = if args.forget { "forgot" } else { "removed" };
                ctx.ui.say(format!("{word} {record}"));
            }
        }
    }
    if removed.is_empty() {
        ctx.ui.say(format!("nothing of {} is in DNS", args.names.join(", ")));
    }
    if ctx.ui.json() {
        let word = match (args.dry_run, args.forget) {
            (true, _) => "would_remove",
            (false, true) => "forgotten",
            (false, false) => "removed",
        };
        ctx.ui.result(&json!({ word: removed }));
    }
    Ok(0)
}

fn json_of(machine: &str, record: &Record) -> Value {
    let mut json = record_json(record);
    json["machine"] = json!(machine);
    json
}

/// Finds a machine of a name, and what others of that name have left.
fn found(ctx: &Context, conn: &Connection, name: &str) -> anyhow::Result<Vec<Whose>> {
    let machine = Machine::find(conn, name);
    let there = machine.as_ref().ok().map(|machine| machine.uuid);
    let left = dns::left_of(ctx, name, there)?;
    let mut all: Vec<Whose> = left.into_iter().map(Whose::Gone).collect();
    match machine {
        Ok(machine) => {
            machine.meta()?;
            all.push(Whose::Machine(Box::new(machine)));
        }
        Err(error) if all.is_empty() => return Err(error),
        Err(_) => {}
    }
    Ok(all)
}

impl Whose {
    fn name(&self) -> &str {
        match self {
            Self::Machine(machine) => &machine.name,
            Self::Gone(left) => &left.machine,
        }
    }

    fn records(&self) -> &[Record] {
        match self {
            Self::Machine(machine) => machine.dns().map_or(&[], |dns| &dns.records),
            Self::Gone(left) => &left.dns.records,
        }
    }

    fn take(&self, ctx: &Context, forget: bool) -> anyhow::Result<()> {
        match self {
            Self::Machine(machine) if forget => dns::forget_of(ctx, machine),
            Self::Machine(machine) => dns::withdraw(ctx, machine),
            Self::Gone(left) if forget => dns::forget(ctx, left.uuid),
            Self::Gone(left) => dns::withdraw_left(ctx, left),
        }
    }
}
