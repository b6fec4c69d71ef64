// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which libvirt is used, and how it runs guests.

use kiln_libvirt::Connection;
use kiln_libvirt::connect::VirtType;
use kiln_libvirt::domain::Cpu;
use kiln_libvirt::xml::Element;
use kiln_spec::yaml::nearest;

use super::undo;
use crate::context::Context;
use crate::error::{Class, Problem};

/// The system's own daemon.
pub(crate) const SYSTEM: &str = "qemu:///system";
/// The daemon of a user.
pub(crate) const SESSION: &str = "qemu:///session";
/// Where the kernel tells what the processor can do.
const CPUINFO: &str = "/proc/cpuinfo";

/// Returns the URI to connect to: the option, the environment, then libvirt's own rule (root has
/// the system daemon, everybody else a daemon of their own, which libvirt starts).
pub(crate) fn uri(ctx: &Context) -> &str {
    let named = ctx.global.connect.as_deref().or(ctx.env.libvirt_default_uri.as_deref());
    named.unwrap_or(if ctx.root { SYSTEM } else { SESSION })
}

/// Connects, and first of all undoes what killed launches left.
///
/// # Errors
///
/// Class host when libvirt cannot be reached, with what to do.
pub(crate) fn connect(ctx: &Context) -> anyhow::Result<Connection> {
    let uri = uri(ctx);
    let conn = open(uri).map_err(|error| unreachable_host(ctx, uri, error))?;
    ctx.ui.detail(format!("host: {}", conn.uri()));
    undo::recover(ctx, &conn)?;
    Ok(conn)
}

fn open(uri: &str) -> Result<Connection, kiln_libvirt::Error> {
    Connection::open_auth(uri)
}

fn unreachable_host(ctx: &Context, uri: &str, error: kiln_libvirt::Error) -> anyhow::Error {
    let problem = Problem::new(Class::Host, format!("cannot use the host `{uri}`")).because(error);
    let problem = match uri {
        SYSTEM | SESSION if ctx.root => problem
            .hint("start libvirt: `systemctl start libvirtd`, or without systemd `virtlogd -d && libvirtd -d`")
            .hint("root has no session of its own: libvirt leads root's qemu:///session to the system daemon, too"),
        SYSTEM => problem
            .hint("is libvirtd running, and are you in the group libvirt? `-c qemu:///session` needs neither"),
        SESSION => problem.hint("is libvirt installed? `kiln doctor` tells what is missing"),
        _ => problem.hint("see https://libvirt.org/uri.html for how URIs are written"),
    };
    problem.into()
}

/// How guests are run, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Accelerator {
    /// KVM or QEMU's translation.
    pub(crate) virt_type: VirtType,
    /// Why it is not KVM, for people; `None` if it is or was asked for.
    pub(crate) warning: Option<String>,
}

/// Chooses how guests are run: KVM if libvirt offers it *and* the processor has vmx or svm.
///
/// `/dev/kvm` that opens and a KVM in the domain capabilities are no proof: seen on a cloud
/// machine where both were there and every guest hung at its first instruction.
///
/// # Errors
///
/// What libvirt says.
pub(crate) fn accelerator(
    conn: &Connection,
    asked: Option<VirtType>,
) -> anyhow::Result<Accelerator> {
    if let Some(virt_type) = asked {
        return Ok(Accelerator { virt_type, warning: None });
    }
    let capabilities = Element::parse(&conn.capabilities_xml()?)?;
    let cpuinfo = if conn.is_local() { std::fs::read_to_string(CPUINFO).ok() } else { None };
    Ok(choose(&capabilities, cpuinfo.as_deref()))
}

fn choose(capabilities: &Element, cpuinfo: Option<&str>) -> Accelerator {
    let offered = capabilities
        .find_all("guest")
        .iter()
        .flat_map(|guest| guest.find_all("arch"))
        .flat_map(|arch| arch.find_all("domain"))
        .any(|domain| domain.attribute("type") == Some("kvm"));
    let reason = if !offered {
        Some("libvirt offers no KVM on this host")
    } else if !has_virtualisation(capabilities, cpuinfo) {
        Some("the processor shows neither vmx nor svm")
    } else {
        None
    };
    match reason {
        None => Accelerator { virt_type: VirtType::Kvm, warning: None },
        Some(reason) => Accelerator {
            virt_type: VirtType::Qemu,
            warning: Some(format!(
                "{reason}: guests run by translation (TCG), many times slower; `--virt-type kvm` insists"
            )),
        },
    }
}

fn has_virtualisation(capabilities: &Element, cpuinfo: Option<&str>) -> bool {
    if let Some(text) = cpuinfo {
        return processor_virtualises(text);
    }
    // A host elsewhere: its CPU as libvirt describes it. AMD's newer models have svm built in.
    let Some(cpu) = capabilities.find("host").and_then(|host| host.find("cpu")) else {
        return false;
    };
    let feature =
        |name: &str| cpu.find_all("feature").iter().any(|f| f.attribute("name") == Some(name));
    let amd = cpu.get("vendor").as_deref() == Some("AMD");
    feature("vmx") || feature("svm") || amd
}

fn processor_virtualises(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"));
    // Other architectures have no such flag, and no such trap.
    flags.is_none_or(|line| line.split_whitespace().any(|f| f == "vmx" || f == "svm"))
}

/// Returns whether a guest that this user starts without libvirt, here, runs with KVM: the same
/// rule as [`accelerator`]'s.
pub(crate) fn kvm_works() -> bool {
    std::fs::File::options().read(true).write(true).open("/dev/kvm").is_ok()
        && std::fs::read_to_string(CPUINFO).is_ok_and(|text| processor_virtualises(&text))
}

/// Returns the processor that was asked for by its name: `host`, `max` or a model.
///
/// # Errors
///
/// Class usage for the host's own without KVM; class object for a model that the host cannot give.
pub(crate) fn cpu(conn: &Connection, virt_type: VirtType, name: &str) -> anyhow::Result<Cpu> {
    match name {
        "host" if virt_type == VirtType::Kvm => return Ok(Cpu::HostPassthrough),
        "host" => {
            let problem = Problem::new(Class::Usage, "only KVM has the host's own processor");
            return Err(problem.hint("`--cpu max` is all that QEMU can do without it").into());
        }
        "max" => return Ok(Cpu::Maximum),
        _ => {}
    }
    let models = conn.domain_capabilities(std::env::consts::ARCH, None, virt_type)?.cpu_models();
    if models.iter().any(|model| model == name) {
        return Ok(Cpu::Named(name.to_owned()));
    }
    let problem = Problem::new(Class::Object, format!("the host has no processor `{name}`"));
    let near = nearest(name, models.iter().map(String::as_str));
    let hint = match near {
        Some(near) => format!("there is `{near}`"),
        None => format!("there are `host`, `max` and: {}", models.join(", ")),
    };
    Err(problem.hint(hint).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capabilities(cpu: &str, kvm: bool) -> Element {
        let kvm = if kvm { "<domain type='kvm'/>" } else { "" };
        let xml = format!(
            "<capabilities><host><cpu>{cpu}</cpu></host><guest><arch name='x86_64'>\
             <domain type='qemu'/>{kvm}</arch></guest></capabilities>"
        );
        Element::parse(&xml).unwrap()
    }

    #[test]
    fn kvm_needs_the_processors_flag() {
        let with = capabilities("<feature name='vmx'/>", true);
        let without = capabilities("", true);
        assert_eq!(choose(&with, None).virt_type, VirtType::Kvm);
        assert_eq!(choose(&without, None).virt_type, VirtType::Qemu);
        assert_eq!(choose(&with, Some("flags\t: fpu sse\n")).virt_type, VirtType::Qemu);
        assert_eq!(choose(&without, Some("flags\t: fpu svm\n")).virt_type, VirtType::Kvm);
    }

    #[test]
    fn without_kvm_in_libvirt_there_is_none() {
        let chosen = choose(&capabilities("<feature name='vmx'/>", false), None);
        assert_eq!(chosen.virt_type, VirtType::Qemu);
        assert!(chosen.warning.unwrap().starts_with("libvirt offers no KVM on this host"));
    }
}
