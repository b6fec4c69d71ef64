// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What in a clone's guest tells it from its source: taken out before it first starts.

use std::path::Path;

use kiln_host::scratch::Scratch;
use kiln_libvirt::Connection;
use kiln_libvirt::domain::DiskFormat;
use kiln_libvirt::storage::Volume;

use super::copy::{self, To};
use super::report::{Fact, Fate};
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::ceph::Client;
use crate::remains;

/// The operations of `kiln image seal` that take out who a machine is, and nothing else: what it
/// has done and what is on it stays.
pub(crate) const IDENTITY: &[&str] = &[
    "cloud-init-network",
    "dbus-machine-id",
    "dhcp-client-state",
    "dhcp-identity",
    "hostid",
    "insights-client",
    "interfaces-hwaddr",
    "iscsi-initiator",
    "kerberos-hostkeytab",
    "machine-id",
    "management-agents",
    "mysql-uuid",
    "net-hostname",
    "net-hwaddr",
    "netplan-mac",
    "networkd-mac",
    "nm-state",
    "nvme-host",
    "popularity-contest",
    "random-seed",
    "rh-subscription-manager",
    "rhn-systemid",
    "smolt-uuid",
    "snapd",
    "ssh-hostkeys",
    "ubuntu-pro",
    "udev-persistent",
    "udev-persistent-net",
    "yum-uuid",
];

/// What those that no guest may share are called in the report, whether they were found or not.
const ALWAYS: &[(&str, &str)] = &[
    ("machine-id", "machine-id"),
    ("ssh-hostkeys", "ssh host keys"),
    ("random-seed", "random seed"),
    ("dhcp-identity", "dhcp client id"),
];

/// What was done to a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Renewed {
    /// Its identity was taken out.
    Done {
        /// The operations that changed something.
        operations: Vec<&'static str>,
        /// Whether Kiln made the SSH host keys, since nothing in the guest does.
        keys_made: bool,
    },
    /// There is no system that Kiln knows.
    NoSystem {
        /// What there is instead.
        why: String,
    },
    /// It was to be left as it is.
    AsIs,
}

/// Takes the identity out of a disk that is a file here; the flag says that it lies over another.
pub(crate) type Renew<'a> =
    &'a (dyn Fn(&Path, &DiskFormat, bool) -> anyhow::Result<Renewed> + Sync);

/// Takes the identity out of the guest on a volume: in its file, or, where that is out of reach, in
/// a copy of it on this client.
///
/// # Errors
///
/// What opening the guest says; a linked disk out of reach (class host).
pub(crate) fn renew(
    ctx: &Context,
    conn: &Connection,
    (volume, format, linked): (&Volume, &DiskFormat, bool),
    how: Renew<'_>,
) -> anyhow::Result<Renewed> {
    if let Some(rbd) = volume.pool()?.xml()?.rbd() {
        let client = Client::open(ctx, conn, &rbd)?;
        return how(Path::new(&client.name(volume.name())), format, false);
    }
    if let Some(path) = copy::reachable(conn, volume) {
        return how(Path::new(&path), format, linked);
    }
    if linked {
        let what =
            format!("the disk `{}` is out of this client's reach with its template", volume.name());
        let problem = Problem::new(Class::Host, what);
        let problem = problem.hint("make a full clone: leave out `--linked`");
        return Err(problem
            .hint("or renew nothing in the guest but what cloud-init does: `--as-is`")
            .into());
    }
    let scratch = Scratch::begin(&remains::folder(ctx), "clone")?;
    let path = scratch.path().join("disk");
    drop(copy::fetched(ctx, conn, volume, &path)?);
    let renewed = how(&path, format, false)?;
    if matches!(renewed, Renewed::Done { .. }) {
        let (pool, name) = (volume.pool()?, volume.name().to_owned());
        let mode = volume.xml()?.mode().and_then(|mode| u32::from_str_radix(&mode, 8).ok());
        volume.delete()?;
        let file = std::fs::File::open(&path)?;
        copy::put(conn, &file, To { pool: &pool, name: &name, mode })?;
    }
    Ok(renewed)
}

/// Returns the lines of the report about the guest.
pub(super) fn facts(renewed: &Renewed, cloud_init: bool) -> Vec<Fact> {
    let always = ALWAYS.iter().map(|(_, what)| *what);
    match renewed {
        Renewed::Done { operations, keys_made } => {
            let fate = |name: &str| match name {
                "ssh host keys" if *keys_made => Fate::New,
                _ => Fate::AtStart,
            };
            let more = operations.iter().filter(|name| ALWAYS.iter().all(|(op, _)| op != *name));
            let more = more.map(|name| Fact::new(*name, Fate::AtStart, "", ""));
            always.map(|what| Fact::new(what, fate(what), "", "")).chain(more).collect()
        }
        Renewed::NoSystem { .. } | Renewed::AsIs => {
            // cloud-init makes host keys for each instance that it has not seen.
            let keys = if cloud_init { Fate::AtStart } else { Fate::Kept };
            let fate = |what: &str| if what == "ssh host keys" { keys } else { Fate::Kept };
            always.map(|what| Fact::new(what, fate(what), "", "")).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_guest::seal::Selection;

    #[test]
    fn the_operations_are_those_of_a_seal() {
        let mut selection = Selection::default();
        selection.add_list(&IDENTITY.join(",")).unwrap();
        assert_eq!(selection.operations().len(), IDENTITY.len());
        assert!(ALWAYS.iter().all(|(name, _)| IDENTITY.contains(name)));
    }

    #[test]
    fn what_no_two_may_share_is_always_told() {
        let done = Renewed::Done { operations: vec!["machine-id", "hostid"], keys_made: true };
        let told = |renewed: &Renewed| -> Vec<(String, Fate)> {
            facts(renewed, true).into_iter().map(|fact| (fact.what, fact.fate)).collect()
        };
        let line = |what: &str, fate| (what.to_owned(), fate);
        assert_eq!(
            told(&done),
            [
                line("machine-id", Fate::AtStart),
                line("ssh host keys", Fate::New),
                line("random seed", Fate::AtStart),
                line("dhcp client id", Fate::AtStart),
                line("hostid", Fate::AtStart),
            ]
        );
        assert_eq!(
            told(&Renewed::AsIs),
            [
                line("machine-id", Fate::Kept),
                line("ssh host keys", Fate::AtStart),
                line("random seed", Fate::Kept),
                line("dhcp client id", Fate::Kept),
            ]
        );
    }
}
