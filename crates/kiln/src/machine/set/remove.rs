// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a set owns is taken away: its networks and pools. Its machines go as all machines do.

use kiln_libvirt::Connection;
use kiln_libvirt::storage::Pool;

use super::pool_uuid;
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::templates::{self, Template};
use crate::machine::undo::{self, Undo};
use crate::machine::{networks, template};

/// Removes a network, unless it is another's by now.
///
/// # Errors
///
/// Machines are on it (class object): it stays. What libvirt says.
pub(crate) fn remove_network(
    ctx: &Context,
    conn: &Connection,
    (set, name): (&str, &str),
) -> anyhow::Result<()> {
    let view = match conn.network(name).and_then(|network| network.xml()) {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    };
    let Some(uuid) = view.uuid().filter(|_| networks::owner(&view).as_deref() == Some(set)) else {
        return Ok(());
    };
    let on_it = networks::attached(conn, name)?;
    if !on_it.is_empty() {
        let names: Vec<String> =
            on_it.iter().map(|machine| format!("`{}`", machine.name)).collect();
        let what = format!("the network `{name}` stays: it is that of {}", names.join(", "));
        return Err(Problem::new(Class::Object, what).hint("remove the machines first").into());
    }
    let uri = conn.uri().to_string();
    undo::remove(ctx, conn, Undo::Network { uri, uuid, name: name.to_owned() })
}

/// Takes a pool out of use, unless it is another's by now, with the images' copies in it that
/// nobody needs; and its folder, if that was made with it and is empty.
///
/// # Errors
///
/// Volumes of others are in it (class object): it stays. What libvirt says.
pub(crate) fn remove_pool(
    ctx: &Context,
    conn: &Connection,
    (set, name): (&str, &str),
) -> anyhow::Result<()> {
    let pool = match conn.pool(name) {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    };
    let uuid = pool.xml()?.uuid();
    let owned = [true, false].into_iter().find(|made| uuid == Some(pool_uuid(set, name, *made)));
    let (Some(uuid), Some(made)) = (uuid, owned) else { return Ok(()) };
    // One that cannot be started, since its folder is gone, has nothing to lose.
    if pool.is_active()? || pool.start().is_ok() {
        clear(ctx, conn, &pool)?;
    }
    let uri = conn.uri().to_string();
    undo::remove(ctx, conn, Undo::Pool { uri, uuid, name: name.to_owned(), made })
}

/// Removes the images' copies in a pool that nobody needs.
///
/// # Errors
///
/// Something else is in it (class object).
fn clear(ctx: &Context, conn: &Connection, pool: &Pool) -> anyhow::Result<()> {
    // What others put there since is seen only then.
    pool.refresh()?;
    // One with facts was made to be a template; the others are copies that a launch has made.
    let unused = |one: &&Template| one.clones.is_empty() && one.facts.is_none();
    for copy in templates::all(conn, pool)?.iter().filter(unused) {
        template::remove(ctx, conn, pool, &copy.volume)?;
    }
    let left: Vec<String> =
        pool.volumes()?.iter().map(|volume| format!("`{}`", volume.name())).collect();
    if left.is_empty() {
        return Ok(());
    }
    let name = pool.name();
    let what = format!("the pool `{name}` stays: it has {}", left.join(", "));
    let hint = format!("remove them, or `kiln pool rm {name}`, which leaves them where they are");
    Err(Problem::new(Class::Object, what).hint(hint).into())
}
