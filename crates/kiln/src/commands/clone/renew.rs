// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Taking the identity out of the guest on a clone's disk.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use kiln_guest::guest::GuestError;
use kiln_guest::ops::{Network, Plan};
use kiln_guest::seal::Selection;
use kiln_guest::tree::{Attrs, GuestPath, Tree, is_file, write_bytes};
use kiln_host::scratch::Scratch;
use kiln_host::{Cmd, Host as _, Tool, signal};
use kiln_libvirt::domain::DiskFormat;
use kiln_spec::MachineName;

use crate::args::image::target::{Format, Opening};
use crate::commands::image::seal::seal_disk;
use crate::commands::image::{self, customize};
use crate::context::Context;
use crate::error::Problem;
use crate::machine::clone::guest::{IDENTITY, Renewed};
use crate::remains;

/// The kinds of SSH host keys: `ssh-keygen -A` of OpenSSH 9.
const KEYS: [&str; 3] = ["ed25519", "ecdsa", "rsa"];

/// Returns how a disk of a machine is opened: what it is was said by its definition.
fn opening(format: &DiskFormat, linked: bool) -> Opening {
    let format = if *format == DiskFormat::Qcow2 { Format::Qcow2 } else { Format::Raw };
    Opening { format: Some(format), follow_backing: linked, under_way: true, ..Opening::default() }
}

/// Seals the guest on a disk of a machine by these operations; `edits` are made last.
///
/// # Errors
///
/// The guest cannot be opened or changed. One that is no system that Kiln knows is no error.
pub(crate) fn seal(
    ctx: &Context,
    (disk, format, linked): (&Path, &DiskFormat, bool),
    selection: &Selection,
    edits: &mut dyn FnMut(&mut dyn Tree) -> anyhow::Result<Vec<String>>,
) -> anyhow::Result<Renewed> {
    let report = match seal_disk(ctx, (disk, opening(format, linked)), selection, edits) {
        Err(_) if signal::interrupted() => return Err(Problem::stopped().into()),
        Err(error) => match error.downcast_ref::<GuestError>() {
            Some(GuestError::NoSystem { why, .. }) => {
                return Ok(Renewed::NoSystem { why: why.clone() });
            }
            _ => return Err(error),
        },
        Ok(None) => return Ok(Renewed::NoSystem { why: "there is no system in it".to_owned() }),
        Ok(Some(report)) => report,
    };
    for done in &report.done {
        done.notes.iter().for_each(|note| ctx.ui.detail(format!("{}: {note}", done.operation)));
    }
    let changed = report.done.iter().filter(|done| !done.edits.list.is_empty());
    let operations = changed.map(|done| done.operation).filter(|name| *name != "customize");
    Ok(Renewed::Done { operations: operations.collect(), keys_made: false })
}

/// Takes the identity out of the guest on a disk, and gives it its host name.
///
/// # Errors
///
/// The guest cannot be opened or changed. One that is no system that Kiln knows is no error.
pub(crate) fn renew(
    ctx: &Context,
    disk: (&Path, &DiskFormat, bool),
    name: &MachineName,
) -> anyhow::Result<Renewed> {
    let mut selection = Selection::default();
    selection.add_list(&[&IDENTITY.join(","), "customize"].join(","))?;
    let mut keys_made = false;
    let mut edits = |tree: &mut dyn Tree| edit(ctx, tree, name, &mut keys_made);
    let renewed = seal(ctx, disk, &selection, &mut edits)
        .context("the identity of the clone's guest could not be renewed")?;
    Ok(match renewed {
        Renewed::Done { operations, .. } => Renewed::Done { operations, keys_made },
        other => other,
    })
}

/// Gives the guest its name, and SSH host keys if nothing in it makes some.
fn edit(
    ctx: &Context,
    tree: &mut dyn Tree,
    name: &MachineName,
    keys_made: &mut bool,
) -> anyhow::Result<Vec<String>> {
    let mut plan = Plan::default();
    plan.add("hostname", Some(name.as_str()))?;
    let notes = customize::apply(ctx, (Network::None, &[]), &plan, tree)?.notes;
    let has = |tree: &mut dyn Tree, path: &'static str| is_file(tree, &GuestPath::from(path));
    let cloud_init = has(tree, "/usr/bin/cloud-init")?;
    let disabled = has(tree, "/etc/cloud/cloud-init.disabled")?;
    if has(tree, "/etc/ssh/sshd_config")? && (!cloud_init || disabled) {
        host_keys(ctx, tree)?;
        *keys_made = true;
    }
    Ok(notes)
}

/// Makes SSH host keys of every kind: Debian's server makes none by itself.
fn host_keys(ctx: &Context, tree: &mut dyn Tree) -> anyhow::Result<()> {
    let scratch = Scratch::begin(&remains::folder(ctx), "keys")?;
    for kind in KEYS {
        let file = format!("ssh_host_{kind}_key");
        let private = scratch.path().join(&file);
        let cmd = Cmd::new(Tool::SshKeygen).args(["-q", "-t", kind, "-N", "", "-C", "", "-f"]);
        ctx.host.run(&cmd.arg(&private))?;
        let public = private.with_extension("pub");
        for (path, end, mode) in [(&private, "", 0o600), (&public, ".pub", 0o644)] {
            let to = GuestPath::new(format!("/etc/ssh/{file}{end}").as_bytes())?;
            let attrs = Attrs { mode, uid: 0, gid: 0, mtime: image::now() };
            write_bytes(tree, &to, &fs::read(path)?, &attrs)?;
        }
    }
    Ok(())
}
