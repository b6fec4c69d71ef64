// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln pool create`.

use std::path::{Component, Path};

use kiln_libvirt::storage::{PoolKind, pool_element};
use serde_json::json;
use uuid::Uuid;

use crate::args::pool::create::Create;
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::pools::Summary;
use crate::machine::{host, pools};

/// Makes a pool.
pub(crate) fn run(ctx: &Context, args: &Create) -> anyhow::Result<u8> {
    let kind = kind(args)?;
    let conn = host::connect(ctx)?;
    pools::refuse_taken(&conn, args.name.as_str())?;
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
    pools::make(ctx, &conn, (uuid, &xml), !args.no_autostart)?;
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
        let path = Path::new(folder);
        let problem = |why| Problem::new(Class::Usage, format!("`{folder}` {why}"));
        if !path.is_absolute() {
            let hint = "the host may be another one: it takes the whole path";
            return Err(problem("is no absolute path").hint(hint));
        }
        if path.components().any(|part| part == Component::ParentDir) {
            return Err(problem("has a `..` in it").hint("write the folder that it leads to"));
        }
        Ok(folder.to_owned())
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
