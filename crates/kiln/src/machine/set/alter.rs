// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Changes of a machine that is there.
//!
//! Each is one call that libvirt does as a whole, or has an undo of its own: a kill between two of
//! them leaves a machine that the next comparison sees as it is.

use kiln_libvirt::Connection;
use kiln_libvirt::domain::XmlKind;
use kiln_libvirt::xml::Element;
use kiln_spec::Bytes;

use super::What;
use crate::args::stop::How;
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::dns;
use crate::machine::existing::Machine;
use crate::machine::forward::{self, Change, Way};
use crate::machine::meta::Forward;
use crate::machine::undo::{self, Undo};

/// Does one of the changes of a machine that is there; `how` it is stopped, for a restart.
///
/// # Errors
///
/// What libvirt says; a port that somebody has, a machine that is the set's no more (class object).
pub(crate) fn alter(
    ctx: &Context,
    (conn, set): (&Connection, &str),
    (name, what): (&str, &What),
    how: How,
) -> anyhow::Result<()> {
    // As it is now: another change may have been done just before.
    let machine = Machine::find(conn, name)?;
    let owner = machine.meta.as_ref().and_then(|meta| meta.owner.as_ref());
    if owner.is_none_or(|owner| owner.set != set) {
        let what = format!("`{name}` is another machine by now, which `{set}` did not make");
        return Err(Problem::new(Class::Object, what).hint("run it again").into());
    }
    match what {
        What::Cpus(_, to) => cpus(&machine, *to),
        What::Memory(_, to) => memory(&machine, *to),
        What::Disk(_, to) => disk(&machine, *to),
        What::Autostart(on) => Ok(machine.domain.set_autostart(*on)?),
        What::Tags(tags) => {
            let mut meta = machine.meta()?.clone();
            meta.tags.clone_from(tags);
            Ok(machine.domain.set_metadata(Some(&meta.element()))?)
        }
        What::Name(server) => dns::register(ctx, conn, (machine.uuid, server)).map(drop),
        What::Unname(_) => dns::withdraw(ctx, &machine),
        What::TakeForwards(forwards) => take(ctx, &machine, forwards),
        What::AddForwards(forwards) => {
            let way = forward::find_way(&machine)?;
            forward::check_able(ctx, &machine.conn, way)?;
            forward::add(ctx, &machine, (way, forwards)).map(drop)
        }
        What::Start => machine.start(ctx).map(drop),
        What::Restart(_) => {
            machine.stop(ctx, how)?;
            machine.start(ctx).map(drop)
        }
        _ => Err(Problem::new(Class::Bug, format!("`{name}` cannot be changed so")).into()),
    }
}

/// Sets the processors of its next start, and at once if it has room for them.
fn cpus(machine: &Machine, to: u32) -> anyhow::Result<()> {
    let mut xml = machine.domain.xml(XmlKind::InactiveSecure)?.0;
    set_text(&mut xml, "vcpu", to.to_string());
    if let Some(vcpu) = xml.find_mut("vcpu") {
        vcpu.attributes.retain(|(name, _)| name != "current");
    }
    machine.conn.define_domain_xml(&xml)?;
    let now = machine.now()?.and_then(|now| now.vcpus());
    if now.is_some_and(|most| to <= most) {
        // A guest may need those that it was started with: they wait for its restart then.
        machine.domain.set_live_vcpus(to).ok();
    }
    Ok(())
}

/// Sets the memory of its next start, and at once if it has as much.
fn memory(machine: &Machine, to: Bytes) -> anyhow::Result<()> {
    let mut xml = machine.domain.xml(XmlKind::InactiveSecure)?.0;
    for name in ["memory", "currentMemory"] {
        set_text(&mut xml, name, (to.0 / 1024).to_string());
        if let Some(there) = xml.find_mut(name) {
            there.set_attribute("unit", "KiB".to_owned());
        }
    }
    machine.conn.define_domain_xml(&xml)?;
    let now = machine.now()?.and_then(|now| now.memory());
    if now.is_some_and(|most| to <= most) {
        // By its balloon. A guest without one gives nothing back before its restart.
        machine.domain.set_live_memory(to).ok();
    }
    Ok(())
}

/// Sets what an element says, with all of its attributes: those that Kiln does not know, too.
fn set_text(xml: &mut Element, name: &str, text: String) {
    match xml.find_mut(name) {
        Some(there) => there.set_text(text),
        None => xml.push(Element::new(name).text(text)),
    }
}

/// Grows the disk; a guest that runs is told.
fn disk(machine: &Machine, to: Bytes) -> anyhow::Result<()> {
    let pool = &machine.meta()?.disk.pool;
    if machine.conn.pool(pool)?.xml()?.volume_group().is_some() {
        let what = format!("the disk of `{}` does not grow: it is in LVM", machine.name);
        let hint = "make the machine anew, which loses its disk: `kiln up --rebuild`";
        return Err(Problem::new(Class::Object, what).hint(hint).into());
    }
    if machine.domain.state()?.is_active() {
        return Ok(machine.domain.grow_disk("vda", to)?);
    }
    let disk = &machine.meta()?.disk;
    Ok(machine.conn.pool(&disk.pool)?.volume(&disk.name)?.resize(to)?)
}

fn take(ctx: &Context, machine: &Machine, forwards: &[Forward]) -> anyhow::Result<()> {
    // One whose network is gone can still be taken from it.
    let way = forward::find_way(machine).unwrap_or(Way::Host);
    forward::check_able(ctx, &machine.conn, way)?;
    let change = Change {
        uuid: machine.uuid,
        name: machine.name.clone(),
        forwards: forwards.to_vec(),
        reservation: None,
    };
    let uri = machine.conn.uri().to_string();
    undo::remove(ctx, &machine.conn, Undo::Forwards { uri, change })
}
