// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln info`.

use serde_json::json;

use super::forward::json_of;
use super::list::state_word;
use crate::args::info::Info;
use crate::context::Context;
use crate::machine::existing::Machine;
use crate::machine::host;
use crate::machine::meta::Meta;

/// Shows a machine.
pub(crate) fn run(ctx: &Context, args: &Info) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let machine = Machine::find(&conn, &args.name)?;
    if args.xml {
        ctx.ui.xml(&machine.xml.0);
        return Ok(0);
    }
    let state = machine.domain.state()?;
    let addresses = machine.shown_addresses(state);
    let agent = machine.agent_connected()?;
    let meta = machine.meta.as_ref();
    let route = if meta.is_some() { machine.route(ctx)? } else { None };
    if ctx.ui.json() {
        ctx.ui.result(&json!({
            "name": machine.name,
            "uuid": machine.uuid,
            "host": conn.uri().to_string(),
            "state": state_word(state),
            "agent": agent,
            "cpus": machine.cpus(),
            "memory_bytes": machine.memory().map(|m| m.0),
            "addresses": addresses,
            "virt_type": machine.xml.0.attribute("type"),
            "image": meta.map(|m| &m.image).filter(|image| !image.is_empty()),
            "image_digest": meta.map(|m| &m.digest).filter(|digest| !digest.is_empty()),
            "clone_of": meta.map(|m| &m.origin),
            "set": meta.and_then(|m| m.owner.as_ref()).map(|o| json!({ "name": o.set, "entry": o.entry })),
            "instance_id": meta.map(|m| m.instance_id),
            "template": meta.map(|m| &m.template),
            "volumes": meta.map(|m| m.volumes()),
            "reservations": meta.map(|m| &m.reservations),
            "tags": meta.map(|m| &m.tags),
            "forwards": meta.map(|m| m.forwards.iter().map(|f| json_of(&machine.name, f)).collect::<Vec<_>>()),
            "dns": machine.dns().map(|dns| json!({ "server": dns.server, "names": dns.names() })),
            "interfaces": machine.interfaces_json(),
            "ssh": route.as_ref().map(|r| json!({"user": r.user, "address": r.address, "port": r.port, "command": r.line()})),
            "made_at": meta.map(|m| m.made_at),
            "made_by": meta.map(|m| &m.made_by),
        }));
        return Ok(0);
    }
    let line = |name: &str, value: String| ctx.ui.out(format!("{name:<10}{value}"));
    line("name", machine.name.clone());
    line("uuid", machine.uuid.to_string());
    line("host", conn.uri().to_string());
    line("state", state_word(state).to_owned());
    line("agent", if agent { "connected" } else { "not connected" }.to_owned());
    line("cpus", machine.cpus().map_or_else(String::new, |n| n.to_string()));
    line("memory", machine.memory().map_or_else(String::new, |m| m.to_string()));
    line("runs by", machine.xml.0.attribute("type").unwrap_or("?").to_owned());
    if !addresses.is_empty() {
        line("address", addresses.join(", "));
    }
    match meta {
        None => line("made by", "somebody else than kiln".to_owned()),
        Some(meta) => remembered(meta, &line),
    }
    if let Some(route) = route {
        line("ssh", route.line());
    }
    Ok(0)
}

/// Shows what Kiln remembers of a machine.
fn remembered(meta: &Meta, line: &dyn Fn(&str, String)) {
    if !meta.image.is_empty() {
        let digest = Some(&meta.digest).filter(|digest| !digest.is_empty());
        let digest = digest.map_or_else(String::new, |digest| format!(" ({digest})"));
        line("image", format!("{}{digest}", meta.image));
    }
    if let Some(origin) = &meta.origin {
        line("clone of", format!("{} ({})", origin.machine, origin.uuid));
    }
    if let Some(owner) = &meta.owner {
        line("set", owner.set.clone());
    }
    if let Some(template) = &meta.template {
        line("template", format!("{} in pool {}", template.name, template.pool));
    }
    for volume in meta.volumes() {
        line("volume", format!("{} in pool {}", volume.name, volume.pool));
    }
    line("user", meta.user.clone());
    for forward in &meta.forwards {
        line("forward", format!("{forward} to port {}", forward.to));
    }
    if let Some(dns) = &meta.dns {
        let names = dns.names().join(", ");
        let names = if names.is_empty() { "no name yet".to_owned() } else { names };
        line("dns", format!("{names} (server {})", dns.server));
    }
    if !meta.tags.is_empty() {
        line("tags", meta.tags.join(", "));
    }
}
