// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a set owns is taken away: its networks, pools and secrets. Its machines go as all machines do.

use kiln_libvirt::Connection;
use kiln_libvirt::storage::Pool;

use super::{owned_pool, owned_secret};
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::secrets::{self, Known};
use crate::machine::templates::{self, Template};
use crate::machine::undo::{self, Undo};
use crate::machine::{networks, pools, template};

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

/// Removes a secret, unless it is another's by now.
///
/// # Errors
///
/// Something uses it (class object): it stays. What libvirt says.
pub(crate) fn remove_secret(
    ctx: &Context,
    conn: &Connection,
    (set, name): (&str, &str),
) -> anyhow::Result<()> {
    let all = secrets::all(conn)?;
    let own = |one: &&Known| one.name.as_deref() == Some(name) && owned_secret(one.uuid, set, name);
    let Some(secret) = all.iter().find(own) else { return Ok(()) };
    secrets::refuse_used(conn, secret)?;
    secrets::take(ctx, conn, secret)
}

/// Takes a pool out of use, unless it is another's by now, with the images' copies in it that
/// nobody needs; and its folder, if that was made with it and is empty, or the secret that was made
/// with it.
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
    let view = pool.xml()?;
    let owned = view.uuid().and_then(|uuid| Some((uuid, owned_pool(uuid, set, name)?)));
    let Some((uuid, made)) = owned else { return Ok(()) };
    let users = pools::machines_in(conn, &pool, &view)?;
    if !users.is_empty() {
        let names: Vec<String> = users.iter().map(|name| format!("`{name}`")).collect();
        let what = format!("the pool `{name}` stays: it has volumes of {}", names.join(", "));
        return Err(Problem::new(Class::Object, what).hint("remove the machines first").into());
    }
    // One whose folder is gone cannot be started, and has nothing to lose.
    let gone = view.folder().is_some_and(|folder| pools::is_made(conn, &folder));
    if !pool.is_active()? && !gone {
        pool.start()?;
    }
    if pool.is_active()? {
        clear(ctx, conn, &pool)?;
    }
    let secret = pools::secret_of(conn, name, &view)?;
    pools::remove(ctx, conn, (name, uuid, made), secret)
}

/// Removes the images' copies in a pool that nobody needs.
///
/// # Errors
///
/// Something else is in it (class object).
fn clear(ctx: &Context, conn: &Connection, pool: &Pool) -> anyhow::Result<()> {
    // What others put there since is seen only then.
    pool.refresh()?;
    // The others were made to be templates.
    let unused =
        |one: &&Template| one.clones.is_empty() && templates::is_of_launch(&one.volume.name);
    for copy in templates::all(ctx, conn, pool)?.iter().filter(unused) {
        template::remove(ctx, conn, pool, &copy.volume)?;
    }
    let view = pool.xml()?;
    if !matches!(view.kind().as_deref(), Some("dir")) {
        // Others have theirs in it, and it stays as it is.
        return Ok(());
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
