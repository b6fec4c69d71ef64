// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the steps of a launch, of a clone and of a forward have in common.

use std::net::Ipv4Addr;

use kiln_host::journal::Journal;
use kiln_host::signal;
use kiln_libvirt::Connection;
use kiln_libvirt::storage::Pool;
use kiln_spec::MachineName;
use kiln_spec::mac::Mac;

use super::existing::Machine;
use super::meta::{Reservation, VolumeRef};
use super::network::{self, Wish};
use super::undo::Undo;
use crate::error::{Class, Problem};

/// Returns the problem of a name that another machine has; `ours` if Kiln made that.
pub(crate) fn taken(name: &str, ours: bool) -> Problem {
    let problem = Problem::new(Class::Object, format!("there is a machine `{name}` already"));
    problem.hint(if ours {
        format!(
            "choose another name; `kiln info {name}` shows that one, `kiln rm {name}` removes it"
        )
    } else {
        "choose another name: kiln did not make that machine".to_owned()
    })
}

/// Refuses names that machines have, before anything is made.
///
/// # Errors
///
/// As [`taken`]; what libvirt says.
pub(crate) fn refuse_taken(conn: &Connection, names: &[MachineName]) -> anyhow::Result<()> {
    for name in names {
        match conn.domain(name.as_str()) {
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
            Ok(domain) => {
                let ours = Machine::of(conn, domain)?.meta.is_some();
                return Err(taken(name.as_str(), ours).into());
            }
        }
    }
    Ok(())
}

/// Refuses a volume of a machine to be that is there already: it is somebody's, and not touched.
///
/// # Errors
///
/// Class object; what libvirt says.
pub(crate) fn refuse_volume(
    conn: &Connection,
    name: &MachineName,
    (pool, volume): (&Pool, &VolumeRef),
) -> anyhow::Result<()> {
    match pool.volume(&volume.name) {
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) if conn.domain(name.as_str()).is_ok() => Err(taken(name.as_str(), true).into()),
        Ok(_) => {
            let what = format!("pool `{}` has a volume `{}` already", volume.pool, volume.name);
            let hint =
                "no machine of that name is there; choose another name, or remove the volume";
            Err(Problem::new(Class::Object, what).hint(hint).into())
        }
    }
}

/// Reserves an address; how to take it back is in the journal first. Returns `None` on a network
/// that reserves none.
///
/// # Errors
///
/// As [`network::reserve`].
pub(crate) fn reserve(
    conn: &Connection,
    job: &mut Journal<Undo>,
    network: &str,
    wish: &Wish<'_>,
) -> anyhow::Result<Option<Reservation>> {
    let uri = conn.uri().to_string();
    network::reserve(conn, network, wish, &mut |reservation| {
        let undo = Undo::Reservation { uri: uri.clone(), reservation: reservation.clone() };
        Ok(job.before(undo)?)
    })
}

/// Reserves an address for the `n`th interface of a machine to be, which has `made` already.
///
/// # Errors
///
/// As [`reserve`].
pub(crate) fn reserve_nth(
    conn: &Connection,
    job: &mut Journal<Undo>,
    (name, n, made): (&MachineName, usize, &[Reservation]),
    (network, mac, ip): (&str, Mac, Option<Ipv4Addr>),
) -> anyhow::Result<Option<Reservation>> {
    // A network takes each name once.
    let again = made.iter().any(|made| made.network == network);
    let machine = if again { format!("{name}-eth{n}") } else { name.to_string() };
    reserve(conn, job, network, &Wish { machine: &machine, mac: &mac.to_string(), ip })
}

/// Stops `what` if a signal came: what was done of it is undone then.
///
/// # Errors
///
/// Class tool.
pub(crate) fn go_on(what: &str) -> Result<(), Problem> {
    if signal::interrupted() {
        let what = format!("stopped by a signal; {what} was undone");
        return Err(Problem::new(Class::Tool, what));
    }
    Ok(())
}
