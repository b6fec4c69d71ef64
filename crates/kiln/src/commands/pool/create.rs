// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln pool create`.

use std::path::{Component, Path};

use kiln_libvirt::storage::{PoolKind, pool_element};
use kiln_spec::set::{NfsSource, is_ceph_pool};
use serde_json::json;
use uuid::Uuid;

use crate::args::pool::create::Create;
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::pools::Summary;
use crate::machine::rbd_login::Login;
use crate::machine::{host, pools, secrets};

/// Makes a pool.
pub(crate) fn run(ctx: &Context, args: &Create) -> anyhow::Result<u8> {
    let wanted = wanted(args)?;
    let conn = host::connect(ctx)?;
    pools::refuse_taken(&conn, args.name.as_str())?;
    let (kind, key) = match wanted {
        Wanted::Folder(kind) => (kind, None),
        Wanted::Rbd(pool, login) => {
            login.found(&conn, args.name.as_str(), (pool, args.monitor.clone()))?
        }
    };
    let place = match &kind {
        PoolKind::Rbd(rbd) => format!("the Ceph pool {}", rbd.pool),
        PoolKind::Lvm { group } => {
            pools::folder_is_free(&conn, &format!("/dev/{group}"))?;
            format!("the volume group {group}")
        }
        _ => {
            let folder = kind.folder().unwrap_or_default();
            pools::folder_is_free(&conn, folder)?;
            folder.to_owned()
        }
    };
    let uuid = Uuid::now_v7();
    let xml = pool_element(args.name.as_str(), Some(uuid), &kind);
    if args.dry_run {
        if ctx.ui.json() {
            ctx.ui.result(
                &json!({ "would": { "create": args.name.as_str(), "xml": xml.to_string() } }),
            );
        } else {
            if let Some(key) = &key {
                ctx.ui.out(format!("make the secret `{}` of the key of {}", key.name, key.user));
            }
            ctx.ui.out(format!("make the pool `{}` in {place}", args.name));
            ctx.ui.out(xml.to_string());
        }
        return Ok(0);
    }
    pools::make(ctx, &conn, (uuid, &xml), key.as_ref(), !args.no_autostart)?;
    let pool = pools::find(&conn, args.name.as_str())?;
    let summary = Summary::of(&pool)?;
    if ctx.ui.json() {
        ctx.ui.result(&summary.json());
        return Ok(0);
    }
    let room = summary
        .room
        .map_or_else(String::new, |room| format!(", {} free of {}", room.available, room.capacity));
    ctx.ui.say(format!("pool `{}` is in use: {place}{room}", args.name));
    ctx.ui.out(args.name.as_str());
    Ok(0)
}

/// What a pool is to be, as far as the command line says it.
enum Wanted {
    /// Of files, or of LVM's volumes.
    Folder(PoolKind),
    /// A pool of a Ceph cluster, by its name, and how to log in.
    Rbd(String, Login),
}

fn wanted(args: &Create) -> anyhow::Result<Wanted> {
    let Some(pool) = &args.rbd else { return Ok(Wanted::Folder(kind(args)?)) };
    secrets::check_user(args.user.as_deref())?;
    if pool.contains('/') {
        let what = format!("`{pool}` names a namespace, and libvirt's pools have none of Ceph's");
        let hint = "name the pool alone, or one that is the user's own";
        return Err(Problem::new(Class::Usage, what).hint(hint).into());
    }
    if !is_ceph_pool(pool) {
        let what = format!("`{pool}` is no name of a Ceph pool");
        return Err(Problem::new(Class::Usage, what).into());
    }
    let login = match (&args.secret, &args.keyring) {
        (_, Some(path)) => Login::from_keyring(path, args.user.as_deref())?,
        (Some(name), None) => Login::Secret(name.clone(), args.user.clone()),
        (None, None) => {
            return Err(
                Problem::new(Class::Usage, "`--rbd` needs `--secret` or `--keyring`").into()
            );
        }
    };
    Ok(Wanted::Rbd(pool.clone(), login))
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
    if let Some(group) = &args.lvm {
        return Ok(PoolKind::Lvm { group: group.to_string() });
    }
    match (&args.dir, &args.nfs, &args.mount) {
        (Some(folder), ..) => Ok(PoolKind::Dir { folder: absolute(folder)? }),
        (None, Some(from), Some(mount)) => {
            let NfsSource { host, export } = from.clone();
            Ok(PoolKind::Nfs { host, export, mount: absolute(mount)? })
        }
        _ => Err(Problem::new(Class::Usage, "a pool is `--dir`, `--lvm`, `--nfs` or `--rbd`")),
    }
}
