// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The files that Kiln writes into a tree so that it boots: few, short, the same every time.

use super::inspect::Found;
use super::layout::VolumeKind;
use super::plan::Plan;
use super::{AssembleError, ExtraFile, Layout};
use crate::fs::ext::{ExtError, ExtFs, Kind};

/// The most bytes of a file of the tree that is read to be changed.
const MOST_TEXT: u64 = 64 << 10;
/// File systems of `/etc/fstab` that are not on a disk of the machine.
const ELSEWHERE: &[&str] = &[
    "tmpfs",
    "ramfs",
    "proc",
    "sysfs",
    "devpts",
    "debugfs",
    "tracefs",
    "hugetlbfs",
    "mqueue",
    "securityfs",
    "configfs",
    "fusectl",
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "ceph",
    "glusterfs",
    "9p",
    "virtiofs",
    "overlay",
];

/// What the files are made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a> {
    pub(super) plan: &'a Plan,
    pub(super) found: &'a Found,
    pub(super) esp_uuid: &'a str,
}

/// The files, and what of the tree's `/etc/fstab` is not in the new one.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) files: Vec<ExtraFile>,
    pub(super) left_out: Vec<String>,
}

fn file(path: &str, mode: u32, text: String) -> ExtraFile {
    ExtraFile { path: path.to_owned(), mode, bytes: text.into_bytes() }
}

/// Returns the files.
pub(super) fn files(
    fs: &mut ExtFs,
    layout: &Layout,
    facts: &Facts<'_>,
) -> Result<Config, AssembleError> {
    let read = |source| AssembleError::Ext { doing: "read", source };
    let old = text(fs, "/etc/fstab").map_err(read)?.unwrap_or_default();
    let (kept, left_out) = mounts(&old);
    let grub = facts.found.grub;
    let mut files = vec![
        file("/etc/fstab", 0o644, fstab(facts, &kept)),
        file(&format!("{grub}/grub.cfg"), 0o644, grub_cfg(layout, facts)),
    ];
    if facts.found.grub_d {
        files.push(file("/etc/default/grub.d/50-kiln.cfg", 0o644, grub_defaults(layout)));
    }
    if !layout.keep_identity {
        // machine-id(5), "First Boot Semantics": an empty file is filled at the next boot, and
        // nobody is asked questions on the console; "uninitialized" would have systemd-firstboot
        // ask.
        files.push(file("/etc/machine-id", 0o444, String::new()));
    }
    if let Some(name) = &layout.hostname {
        files.push(file("/etc/hostname", 0o644, format!("{name}\n")));
        let hosts = text(fs, "/etc/hosts").map_err(read)?;
        let hosts = hosts.and_then(|hosts| with_own_name(&hosts, name));
        files.extend(hosts.map(|hosts| file("/etc/hosts", 0o644, hosts)));
    }
    files.extend(boot_entries(fs, layout, facts).map_err(read)?);
    Ok(Config { files, left_out })
}

/// Reads a file of the tree; `None` if it is not there, no file or no short text.
fn text(fs: &mut ExtFs, path: &str) -> Result<Option<String>, ExtError> {
    let node = match fs.resolve(path.as_bytes()) {
        Ok(Some(node)) => node,
        Ok(None) | Err(ExtError::NotADirectory { .. } | ExtError::Loop { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let stat = fs.stat(node)?;
    if stat.kind != Kind::File || stat.size > MOST_TEXT {
        return Ok(None);
    }
    Ok(String::from_utf8(fs.read_file(node, MOST_TEXT)?).ok())
}

/// Returns the lines of an fstab that hold on another disk, too, and those that do not.
fn mounts(old: &str) -> (Vec<String>, Vec<String>) {
    let (mut kept, mut left_out) = (Vec::new(), Vec::new());
    for line in old.lines().map(str::trim) {
        if line.starts_with('#') {
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, target, kind, rest @ ..] = words.as_slice() else { continue };
        let options = rest.first().copied().unwrap_or_default();
        let bound = options.split(',').any(|option| option == "bind" || option == "rbind");
        if bound || ELSEWHERE.contains(kind) || kind.starts_with("fuse.") {
            kept.push(line.to_owned());
        } else if !matches!(*target, "/" | "/boot/efi" | "/boot") && *kind != "swap" {
            left_out.push(line.to_owned());
        }
    }
    (kept, left_out)
}

fn fstab(facts: &Facts<'_>, kept: &[String]) -> String {
    let Facts { plan, esp_uuid, .. } = facts;
    let mut text = format!(
        "# Written by kiln. See fstab(5).\nUUID={} / {} {}\n",
        plan.root_uuid,
        plan.root_kind.name(),
        // XFS and btrfs mend themselves when they are mounted: nothing is to check them.
        if plan.root_kind == VolumeKind::Ext4 { "errors=remount-ro 0 1" } else { "defaults 0 0" }
    );
    for placed in &plan.volumes {
        let kind = placed.volume.kind;
        let (kind, pass) = (kind.name(), if kind.is_foreign() { 0 } else { 2 });
        let options = placed.volume.options.as_deref().unwrap_or("defaults");
        let (uuid, mount) = (placed.uuid(), &placed.volume.mount);
        text += &format!("UUID={uuid} {mount} {kind} {options} 0 {pass}\n");
    }
    if plan.esp.is_some() {
        text += &format!("UUID={esp_uuid} /boot/efi vfat umask=0077,nofail 0 2\n");
    }
    if let Some((_, uuid)) = plan.swap {
        text += &format!("UUID={uuid} none swap sw 0 0\n");
    }
    kept.iter().fold(text, |text, line| text + line + "\n")
}

/// Returns `/etc/hosts` with a new name for 127.0.1.1; `None` if that has no line.
fn with_own_name(hosts: &str, name: &str) -> Option<String> {
    let own = |line: &&str| line.split_whitespace().next() == Some("127.0.1.1");
    hosts.lines().find(own)?;
    let short = name.split('.').next().unwrap_or(name);
    let names = if short == name { name.to_owned() } else { format!("{name} {short}") };
    let lines = hosts
        .lines()
        .map(|line| if own(&line) { format!("127.0.1.1\t{names}\n") } else { format!("{line}\n") });
    Some(lines.collect())
}

/// Returns what tells the kernel its root file system.
fn root_word(facts: &Facts<'_>) -> String {
    if let Some(group) = &facts.plan.lvm {
        // Initial RAM disks know by this name that LVM is needed.
        return format!("root=/dev/mapper/{group}-root");
    }
    // Without an initial RAM disk only the kernel itself looks for the root: by partition.
    match facts.found.kernel.initrd {
        Some(_) => format!("root=UUID={}", facts.plan.root_uuid),
        None => format!("root=PARTUUID={}", facts.plan.root_partuuid),
    }
}

fn grub_cfg(layout: &Layout, facts: &Facts<'_>) -> String {
    let Facts { plan, found, .. } = facts;
    let kernel = &found.kernel;
    let root = root_word(facts);
    // As GRUB sees the file system that has them.
    let boot = if plan.boot().is_some() { "" } else { "/boot" };
    let initrd = kernel.initrd.as_ref();
    let initrd = initrd.map(|name| format!("\tinitrd {boot}/{name}\n")).unwrap_or_default();
    let name = &found.os.pretty_name;
    let title: String = name.chars().filter(|&c| c != '\'').collect();
    format!(
        "# Written by kiln. update-grub replaces it; /etc/default/grub.d/50-kiln.cfg keeps the\n\
         # console's settings.\n\
         if [ \"$grub_platform\" = pc ]; then\n\
         \tserial --unit=0 --speed=115200\n\
         \tterminal_input console serial\n\
         \tterminal_output console serial\n\
         fi\n\
         # Escape, pressed before this is read, shows the menu.\n\
         set timeout=-1\n\
         if sleep --interruptible 0; then\n\
         \tset timeout=0\n\
         fi\n\
         set default=0\n\
         search --no-floppy --fs-uuid --set=root {boot_uuid}\n\
         menuentry '{title}' {{\n\
         \tlinux {boot}/vmlinuz-{version} {root} ro {cmdline}\n\
         {initrd}\
         }}\n\
         menuentry '{title}, recovery' {{\n\
         \tlinux {boot}/vmlinuz-{version} {root} ro single {cmdline}\n\
         {initrd}\
         }}\n",
        boot_uuid = plan.boot_uuid(),
        version = kernel.version,
        cmdline = layout.cmdline,
    )
}

fn grub_defaults(layout: &Layout) -> String {
    format!(
        "# Written by kiln: keeps the console's settings when update-grub runs.\n\
         GRUB_CMDLINE_LINUX=\"{}\"\n\
         GRUB_CMDLINE_LINUX_DEFAULT=\"\"\n\
         GRUB_TIMEOUT=0\n\
         GRUB_TIMEOUT_STYLE=hidden\n\
         GRUB_TERMINAL=\"console serial\"\n\
         GRUB_SERIAL_COMMAND=\"serial --unit=0 --speed=115200\"\n\
         GRUB_DISABLE_OS_PROBER=true\n",
        layout.cmdline
    )
}

/// Returns the tree's own boot entries (Boot Loader Specification, type 1) and the command line
/// for those of later kernels, with the new root: what Fedora and its relatives have.
fn boot_entries(
    fs: &mut ExtFs,
    layout: &Layout,
    facts: &Facts<'_>,
) -> Result<Vec<ExtraFile>, ExtError> {
    let mut files = Vec::new();
    let options = format!("{} ro {}", root_word(facts), layout.cmdline);
    if text(fs, "/etc/kernel/cmdline")?.is_some() {
        files.push(file("/etc/kernel/cmdline", 0o644, format!("{options}\n")));
    }
    let folder = "/boot/loader/entries";
    let Ok(Some(entries)) = fs.resolve(folder.as_bytes()) else { return Ok(files) };
    if !fs.is_directory(entries)? {
        return Ok(files);
    }
    for entry in fs.list(entries)? {
        let Ok(name) = String::from_utf8(entry.name) else { continue };
        let path = format!("{folder}/{name}");
        if !name.ends_with(".conf") {
            continue;
        }
        let Some(old) = text(fs, &path)? else { continue };
        let line = |line: &str| match line.split_whitespace().next() {
            Some("options") => format!("options {options}\n"),
            _ => format!("{line}\n"),
        };
        files.push(file(&path, 0o644, old.lines().map(line).collect()));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_of_the_network_stay_and_other_disks_are_named() {
        let old = "# comment\nUUID=1 / ext4 defaults 0 1\nUUID=2 none swap sw 0 0\n\
                   tmpfs /tmp tmpfs size=1g 0 0\nnas:/x /x nfs4 _netdev 0 0\n\
                   /srv/a /b none bind 0 0\nUUID=3 /home ext4 defaults 0 2\nshort line\n";
        let (kept, left_out) = mounts(old);
        assert_eq!(
            kept,
            [
                "tmpfs /tmp tmpfs size=1g 0 0",
                "nas:/x /x nfs4 _netdev 0 0",
                "/srv/a /b none bind 0 0"
            ]
        );
        assert_eq!(left_out, ["UUID=3 /home ext4 defaults 0 2"]);
    }

    #[test]
    fn the_machines_own_line_of_hosts_is_written_anew() {
        let hosts = "127.0.0.1 localhost\n127.0.1.1 old.example old\n::1 localhost\n";
        assert_eq!(
            with_own_name(hosts, "web1.example.org").unwrap(),
            "127.0.0.1 localhost\n127.0.1.1\tweb1.example.org web1\n::1 localhost\n"
        );
        assert_eq!(with_own_name("127.0.0.1 localhost\n", "x"), None);
    }
}
