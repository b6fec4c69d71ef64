// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln pool create`.

use std::path::Path;

use kiln_libvirt::storage::{PoolKind, pool_element};
use kiln_libvirt::xml::Element;
use kiln_libvirt::{Connection, Error};
use serde_json::json;
use uuid::Uuid;

use crate::args::pool::create::Create;
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::pools::Summary;
use crate::machine::undo::{self, Undo};
use crate::machine::{host, pools};

/// Makes a pool.
pub(crate) fn run(ctx: &Context, args: &Create) -> anyhow::Result<u8> {
    let kind = kind(args)?;
    let conn = host::connect(ctx)?;
    refuse_taken(&conn, args.name.as_str())?;
    pools::folder_is_free(&conn, kind.folder())?;
    let uuid = Uuid::now_v7();
    let xml = pool_element(args.name.as_str(), Some(uuid), &kind);
    if args.dry_run {
        if ctx.ui.json() {
            ctx.ui.result(
                &json!({ "would": { "create": args.name.as_str(), "xml": xml.to_string() } }),
            );
        } else {
            ctx.ui.out(format!("make the pool `{}` in {}", args.name, kind.folder()));
            ctx.ui.out(xml.to_string());
        }
        return Ok(0);
    }
    make(ctx, &conn, (args, &kind), (uuid, &xml))?;
    let pool = pools::find(&conn, args.name.as_str())?;
    let summary = Summary::of(&pool)?;
    if ctx.ui.json() {
        ctx.ui.result(&summary.json());
        return Ok(0);
    }
    let room = summary
        .room
        .map_or_else(String::new, |room| format!(", {} free of {}", room.available, room.capacity));
    ctx.ui.say(format!("pool `{}` is in use: {}{room}", args.name, kind.folder()));
    ctx.ui.out(args.name.as_str());
    Ok(0)
}

fn kind(args: &Create) -> Result<PoolKind, Problem> {
    let absolute = |folder: &str| {
        if Path::new(folder).is_absolute() {
            return Ok(folder.to_owned());
        }
        let problem = Problem::new(Class::Usage, format!("`{folder}` is no absolute path"));
        Err(problem.hint("the host may be another one: it takes the whole path"))
    };
    match (&args.dir, &args.nfs, &args.mount) {
        (Some(folder), ..) => Ok(PoolKind::Dir { folder: absolute(folder)? }),
        (None, Some(from), Some(mount)) => {
            let parts = from.split_once(':').filter(|(host, dir)| {
                !host.is_empty() && !host.starts_with('-') && Path::new(dir).is_absolute()
            });
            let wrong = || Problem::new(Class::Usage, format!("`{from}` is not HOST:FOLDER"));
            let (host, export) = parts.ok_or_else(wrong)?;
            let (host, export) = (host.to_owned(), export.to_owned());
            Ok(PoolKind::Nfs { host, export, mount: absolute(mount)? })
        }
        _ => Err(Problem::new(Class::Usage, "a pool is `--dir` or `--nfs`")),
    }
}

fn already(name: &str) -> Problem {
    let what = format!("the host has a pool `{name}` already");
    Problem::new(Class::Object, what).hint("choose another name, or `kiln pool rm` it")
}

fn refuse_taken(conn: &Connection, name: &str) -> anyhow::Result<()> {
    match conn.pool(name) {
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(already(name).into()),
    }
}

/// Defines it, makes its folder and takes it into use; undone as a whole if a step fails.
fn make(
    ctx: &Context,
    conn: &Connection,
    (args, kind): (&Create, &PoolKind),
    (uuid, xml): (Uuid, &Element),
) -> anyhow::Result<()> {
    let name = args.name.to_string();
    // Of another host nobody knows: a folder stays there, empty.
    let made = conn.is_local() && !Path::new(kind.folder()).exists();
    let steps = || -> Result<(), Error> {
        let pool = conn.define_pool_xml(xml)?;
        pool.build()?;
        pool.start()?;
        if args.no_autostart { Ok(()) } else { pool.set_autostart(true) }
    };
    let undo = Undo::Pool { uri: conn.uri().to_string(), uuid, name, made };
    undo::or_undone(ctx, conn, (&format!("pool-{uuid}"), undo), || match steps() {
        Err(error) if error.is_exists() => Err(already(args.name.as_str()).because(error).into()),
        other => Ok(other?),
    })
}
