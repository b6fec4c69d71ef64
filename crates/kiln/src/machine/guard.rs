// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What puts forwards back without being asked: a hook of libvirt and a unit of systemd, which
//! `kiln doctor --fix` installs.
//!
//! libvirt calls hooks when a network was started or changed, and when a daemon of its starts; it
//! looks for them only when it is started itself. A hook must not wait for libvirt, which waits
//! for it: so the work is done by a process of its own.
//!
//! Source: <https://libvirt.org/hooks.html>, libvirt 6.5 and newer for the folders `*.d`;
//! systemd.unit(5).

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use kiln_host::cmd::quote;

use super::host::SYSTEM;

/// libvirt's hooks: the folder, and when it is to be heeded. A network was started or changed; a
/// daemon starts.
const HOOKS: [(&str, &str); 2] = [
    ("/etc/libvirt/hooks/network.d", "started | updated"),
    ("/etc/libvirt/hooks/daemon.d", "start"),
];
/// The name of the hooks.
const HOOK: &str = "kiln-forward";
/// Where systemd says that it runs this machine: sd_booted(3).
const SYSTEMD: &str = "/run/systemd/system";
/// The unit, and the link that has it started with the machine.
const UNIT: [&str; 2] = [
    "/etc/systemd/system/kiln-forward.service",
    "/etc/systemd/system/multi-user.target.wants/kiln-forward.service",
];
/// What a hook's line with the program begins with.
const PROGRAM: &str = "kiln=";

/// Returns a hook.
fn hook(program: &str, when: &str) -> String {
    let restore = format!("setsid \"$kiln\" -q -c {SYSTEM} forward restore");
    [
        "#!/bin/sh",
        "# Installed by `kiln doctor --fix`: puts the forwards of machines back after libvirt has",
        "# made its rules. libvirt waits for this script, so the work goes on without it.",
        &format!("{PROGRAM}{}", quote(program)),
        "case \"$2\" in",
        &format!("{when}) {restore} </dev/null >/dev/null 2>&1 & ;;"),
        "esac",
        "exit 0",
        "",
    ]
    .join("\n")
}

/// Returns the unit.
fn unit(program: &str) -> String {
    // systemd.service(5): the words of a command may be quoted, and `%` and `$` mean something.
    let quoted = program.replace('\\', "\\\\").replace('"', "\\\"");
    let quoted = quoted.replace('%', "%%").replace('$', "$$");
    let restore = format!("\"{quoted}\" -q -c {SYSTEM} forward restore");
    let firewalls = "nftables.service firewalld.service";
    let daemons = "libvirtd.service virtnetworkd.service virtqemud.service";
    [
        "# Installed by `kiln doctor --fix`: puts the forwards of machines back.",
        "[Unit]",
        "Description=Forwards of Kiln's machines",
        &format!("After=network.target {firewalls} {daemons}"),
        &format!("PartOf={firewalls}"),
        &format!("ReloadPropagatedFrom={firewalls} {daemons}"),
        "",
        "[Service]",
        "Type=oneshot",
        "RemainAfterExit=yes",
        &format!("ExecStart={restore}"),
        &format!("ExecReload={restore}"),
        "",
        "[Install]",
        "WantedBy=multi-user.target",
        "",
    ]
    .join("\n")
}

/// Whether all of it is installed, as this Kiln would, and leads to a program that is there.
pub(crate) fn is_whole() -> bool {
    let hooks = HOOKS.iter().all(|(folder, when)| {
        let text = fs::read_to_string(Path::new(folder).join(HOOK)).unwrap_or_default();
        program_of(&text)
            .is_some_and(|program| text == hook(&program, when) && Path::new(&program).is_file())
    });
    hooks && (!Path::new(SYSTEMD).is_dir() || UNIT.iter().all(|path| Path::new(path).exists()))
}

/// Returns the program that a hook starts.
fn program_of(hook: &str) -> Option<String> {
    let line = hook.lines().find_map(|line| line.strip_prefix(PROGRAM))?;
    // As `quote` has written it.
    let inner = line.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    Some(inner.map_or_else(|| line.to_owned(), |inner| inner.replace(r"'\''", "'")))
}

/// Installs the hooks, and the unit where systemd runs. Returns what was written.
///
/// # Errors
///
/// When a file cannot be written.
pub(crate) fn install(program: &str) -> io::Result<Vec<String>> {
    let mut written = Vec::new();
    for (folder, when) in HOOKS {
        fs::create_dir_all(folder)?;
        let path = Path::new(folder).join(HOOK);
        write(&path, &hook(program, when), 0o755)?;
        written.push(path.display().to_string());
    }
    if Path::new(SYSTEMD).is_dir() {
        let [path, link] = UNIT.map(Path::new);
        write(path, &unit(program), 0o644)?;
        written.push(path.display().to_string());
        if let Some(folder) = link.parent() {
            fs::create_dir_all(folder)?;
        }
        match symlink(path, link) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
    }
    Ok(written)
}

/// Writes a file whole or not at all: libvirt may call a hook at any moment.
fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_names_its_program_as_it_was_given() {
        for program in ["/usr/bin/kiln", "/opt/a b/it's/kiln"] {
            assert_eq!(program_of(&hook(program, "start")).as_deref(), Some(program));
        }
        assert_eq!(program_of("#!/bin/sh\n"), None);
    }

    #[test]
    fn the_unit_starts_the_program() {
        let text = unit("/usr/bin/kiln");
        let line = "ExecStart=\"/usr/bin/kiln\" -q -c qemu:///system forward restore";
        assert!(text.lines().any(|l| l == line), "{text}");
        assert!(unit("/opt/50%/kiln").contains("\"/opt/50%%/kiln\""));
    }
}
