// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln flatten`.

use serde_json::json;

use crate::args::flatten::Flatten;
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::ceph::Client;
use crate::machine::existing::Machine;
use crate::machine::host;

/// A disk that lies over something.
struct Linked<'a> {
    client: Client<'a>,
    image: String,
    over: String,
}

/// Lets machines stand alone.
pub(crate) fn run(ctx: &Context, args: &Flatten) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let machines = Machine::find_all(&conn, &args.names)?;
    // Refused before the first is touched.
    let found: Vec<(&Machine, Vec<Linked<'_>>)> = machines
        .iter()
        .map(|machine| Ok((machine, linked(ctx, machine)?)))
        .collect::<anyhow::Result<_>>()?;
    let mut flattened = Vec::new();
    for (machine, disks) in &found {
        let name = &machine.name;
        for disk in disks {
            if !args.dry_run {
                ctx.ui.task(name).phase("flatten", &format!("{}, over {}", disk.image, disk.over));
                disk.client.flatten(&disk.image)?;
            } else if !ctx.ui.json() {
                ctx.ui.out(format!("copy {} into {}", disk.over, disk.image));
            }
        }
        if !args.dry_run {
            forget_template(machine)?;
            let what = if disks.is_empty() { "stood alone before" } else { "stands alone" };
            ctx.ui.say(format!("`{name}` {what}"));
        }
        let images: Vec<&str> = disks.iter().map(|disk| disk.image.as_str()).collect();
        flattened.push(json!({ "name": name, "volumes": images }));
    }
    if ctx.ui.json() {
        let word = if args.dry_run { "would_flatten" } else { "flattened" };
        ctx.ui.result(&json!({ word: flattened }));
    }
    Ok(0)
}

/// Returns the disks of a machine that lie over something.
fn linked<'a>(ctx: &'a Context, machine: &Machine) -> anyhow::Result<Vec<Linked<'a>>> {
    let meta = machine.meta()?;
    let mut found = Vec::new();
    for disk in [&meta.disk].into_iter().chain(&meta.data) {
        let Some(rbd) = machine.conn.pool(&disk.pool)?.xml()?.rbd() else {
            let name = &machine.name;
            let what = format!("the disk `{}` of `{name}` is in no Ceph pool", disk.name);
            let hint = format!("a full clone stands alone: `kiln clone {name} NEW`");
            return Err(Problem::new(Class::Object, what).hint(hint).into());
        };
        let client = Client::open(ctx, &machine.conn, &rbd)?;
        let is =
            |one: &&kiln_host::tools::rbd::Listed| one.image == disk.name && one.snapshot.is_none();
        let parent = client.list()?.iter().find(is).and_then(|one| one.parent.clone());
        if let Some((pool, image)) = parent {
            let over = format!("{pool}/{image}");
            found.push(Linked { client, image: disk.name.clone(), over });
        }
    }
    Ok(found)
}

/// Remembers that a machine hangs on no template any more.
fn forget_template(machine: &Machine) -> anyhow::Result<()> {
    let mut meta = machine.meta()?.clone();
    if meta.template.take().is_some() {
        machine.domain.set_metadata(Some(&meta.element()))?;
    }
    Ok(())
}
