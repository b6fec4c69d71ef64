// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image inspect`.

use kiln_guest::guest::{Disk, GuestError, Options, Wanted};
use kiln_guest::inspect::{
    Driver, Inspection, Kernel, MachineId, Password, System, inspect_disk, inspect_system,
};
use kiln_spec::Bytes;
use serde_json::json;

use super::{appliance, open};
use crate::args::image::inspect::Inspect;
use crate::context::Context;
use crate::ui::Table;

/// What is said of a file system that was chosen.
const NO_SYSTEM: &str = "there is no system on this file system";
/// The most systems of one image.
const MOST_SYSTEMS: usize = 16;

/// Shows what is on an image.
pub(crate) fn run(ctx: &Context, args: &Inspect) -> anyhow::Result<u8> {
    let found = inspect(ctx, args)?;
    if ctx.ui.json() {
        ctx.ui.result(&json!(found));
        return Ok(0);
    }
    parts(ctx, &found);
    for system in &found.systems {
        ctx.ui.out("");
        for (name, value) in summary(system) {
            if !value.is_empty() {
                // Words of the guest: nothing in them reaches the terminal.
                ctx.ui.out(format!("{name:<14} {}", printable(&value)));
            }
        }
        if args.packages {
            ctx.ui.out("");
            let mut table = Table::new(&["PACKAGE", "VERSION", "ARCHITECTURE"]);
            for package in &system.packages {
                let row = [&package.name, &package.version, &package.architecture];
                table.row(row.map(|text| printable(text)).to_vec());
            }
            table.lines().iter().for_each(|line| ctx.ui.out(line));
        }
    }
    found.notes.iter().for_each(|note| ctx.ui.warn(printable(note)));
    Ok(0)
}

/// Looks at the disk, and at each system on it unless one was chosen.
fn inspect(ctx: &Context, args: &Inspect) -> anyhow::Result<Inspection> {
    let disk = Disk::read(open::reading(ctx, &args.source)?.device())?;
    let mut found = Inspection { disk: inspect_disk(&disk, true), ..Inspection::default() };
    let start = disk.start(512)?;
    drop(disk);
    if args.source.opening.appliance {
        in_appliance(ctx, args, ("it was asked for", &start), &mut found)?;
        return Ok(found);
    }
    let place = open::location(ctx, &args.source.image)?;
    let chosen = args.source.opening.root.as_ref();
    for (index, wanted) in wanted(chosen, MOST_SYSTEMS).into_iter().enumerate() {
        let image = open::reading(ctx, &args.source)?;
        let options = Options { change: false, root: Some(wanted), now: open::now() };
        match open::here(ctx, (image, &place), &args.source.opening, &options) {
            Ok(mut guest) => {
                found.notes.extend(guest.notes().iter().map(ToString::to_string));
                let Some(root) = guest.root().map(|root| root.name.clone()) else {
                    found.notes.push(NO_SYSTEM.to_owned());
                    break;
                };
                let more = guest.roots().len() > index + 1;
                let (system, notes) = inspect_system(guest.tree(), &root, &start);
                found.systems.push(system);
                found.notes.extend(notes);
                if !more {
                    break;
                }
            }
            Err(GuestError::NeedsAppliance { why }) => {
                in_appliance(ctx, args, (&why, &start), &mut found)?;
                break;
            }
            Err(GuestError::NoSuchRoot { count: 0, .. }) if chosen.is_none() => {
                found.notes.push("there is no system in the image".to_owned());
                break;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

/// Looks at each system, or the one that was chosen, in one appliance.
fn in_appliance(
    ctx: &Context,
    args: &Inspect,
    (why, start): (&str, &[u8]),
    found: &mut Inspection,
) -> anyhow::Result<()> {
    let opening = &args.source.opening;
    let place = open::location(ctx, &args.source.image)?;
    let image = open::options_of(ctx, &place, &args.source)?;
    let mut held = match appliance::start(ctx, &place, image, why) {
        Ok(held) => held,
        // A disk without a system that can be read here is still a disk.
        Err(error) => {
            let report = crate::error::report(&error);
            found.notes.push([report.chain, report.hints].concat().join(": "));
            return Ok(());
        }
    };
    if held.roots().is_empty() {
        found.notes.extend(held.notes().iter().map(ToString::to_string));
        found.notes.push("there is no system in the image".to_owned());
    }
    let most = held.roots().len().min(MOST_SYSTEMS);
    for wanted in wanted(opening.root.as_ref(), most) {
        held.choose(Some(&wanted))?;
        for note in held.notes().iter().map(ToString::to_string) {
            if !found.notes.contains(&note) {
                found.notes.push(note);
            }
        }
        let Some(root) = held.root().map(|root| root.name.clone()) else {
            found.notes.push(NO_SYSTEM.to_owned());
            break;
        };
        let (system, notes) = inspect_system(held.tree(), &root, start);
        found.systems.push(system);
        found.notes.extend(notes);
    }
    Ok(())
}

/// Returns what is looked at: the one that was chosen, or each system.
fn wanted(chosen: Option<&Wanted>, most: usize) -> Vec<Wanted> {
    match chosen {
        Some(wanted) => vec![wanted.clone()],
        None => (1..=most).map(Wanted::System).collect(),
    }
}

fn parts(ctx: &Context, found: &Inspection) {
    let disk = &found.disk;
    let kind = disk.table.as_deref().unwrap_or("no partition table");
    ctx.ui.out(format!("disk of {}, {kind}", Bytes(disk.size)));
    let mut table =
        Table::new(&["PART", "START", "SIZE", "USED", "CONTENT", "LABEL", "UUID", "PURPOSE"]);
    for part in &disk.parts {
        let text = |text: &Option<String>| printable(text.as_deref().unwrap_or(""));
        table.row(vec![
            part.device.clone(),
            Bytes(part.start).to_string(),
            Bytes(part.size).to_string(),
            part.used.map(|used| Bytes(used).to_string()).unwrap_or_default(),
            part.content.clone(),
            text(&part.label),
            text(&part.uuid),
            text(&part.purpose),
        ]);
    }
    table.lines().iter().for_each(|line| ctx.ui.out(line));
}

fn summary(system: &System) -> Vec<(&'static str, String)> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let machine_id = match &system.machine_id {
        MachineId::Absent => "absent".to_owned(),
        MachineId::Empty => "empty".to_owned(),
        MachineId::Uninitialized => "uninitialized".to_owned(),
        MachineId::Set(id) => format!("{id} (clones take themselves for one machine)"),
        MachineId::Other => "not valid".to_owned(),
    };
    let firmware =
        [("BIOS", system.boot.bios), ("UEFI", system.boot.uefi), ("shim", system.boot.shim)];
    let firmware = firmware.into_iter().filter(|(_, there)| *there).map(|(name, _)| name);
    let firmware: Vec<&str> = firmware.collect();
    let users = system.users.iter().filter(|user| user.login);
    let users = users.map(|user| {
        let password = match user.password {
            Password::Unknown => "password unknown",
            Password::Set => "password set",
            Password::Locked => "password locked",
            Password::Empty => "NO password: logs in without",
        };
        let keys = match user.ssh_keys {
            0 => String::new(),
            1 => ", 1 key".to_owned(),
            several => format!(", {several} keys"),
        };
        format!("{} ({password}{keys})", user.name)
    });
    let cloud = &system.cloud_init;
    let cloud = match (cloud.installed, cloud.ran) {
        (false, _) => String::new(),
        (true, ran) => {
            let version = cloud.version.clone().unwrap_or_else(|| "installed".to_owned());
            format!("{version}{}", if ran { ", has run" } else { ", has not run" })
        }
    };
    let packages = match &system.package_format {
        Some(format) => format!("{} ({format})", system.packages.len()),
        None => String::new(),
    };
    vec![
        ("system", text(&system.os.name)),
        ("root", system.root.clone()),
        ("architecture", text(&system.architecture)),
        ("host name", text(&system.hostname)),
        ("machine-id", machine_id),
        ("init", text(&system.init)),
        ("packages", packages),
        ("kernels", system.kernels.iter().map(kernel).collect::<Vec<_>>().join("; ")),
        ("boot loaders", system.boot.loaders.join(", ")),
        ("boots with", firmware.join(", ")),
        ("users", users.collect::<Vec<_>>().join(", ")),
        ("cloud-init", cloud),
        ("agents", system.agents.join(", ")),
        ("network", system.network.join(", ")),
        ("SELinux", text(&system.selinux)),
        ("time zone", text(&system.timezone)),
        ("locale", text(&system.locale)),
        ("host keys", system.ssh_host_keys.join(", ")),
        ("enabled", system.services.enabled.join(", ")),
    ]
}

/// Returns a kernel with what it lacks for a disk of virtio.
fn kernel(kernel: &Kernel) -> String {
    let early = |driver: &str| {
        matches!(kernel.drivers.get(driver), Some(Driver::BuiltIn | Driver::Initramfs))
    };
    let virtio = if early("virtio_blk") && early("virtio_pci") { "" } else { ", no virtio_blk" };
    let initramfs = if kernel.initramfs.is_some() { "" } else { ", no initramfs" };
    format!("{}{initramfs}{virtio}", kernel.version)
}

/// Returns a text of the guest without what a terminal would obey.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
