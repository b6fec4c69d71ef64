// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The files that Kiln writes into a tree so that it boots: few, short, the same every time.

use super::inspect::Found;
use super::layout::Plan;
use super::{AssembleError, ExtraFile, Layout};
use crate::fs::ext::{ExtError, ExtFs, Kind, Node};

/// What the files are made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a> {
    pub(super) plan: &'a Plan,
    pub(super) found: &'a Found,
    pub(super) esp_uuid: &'a str,
}

/// Returns the files.
pub(super) fn files(layout: &Layout, facts: &Facts<'_>) -> Vec<ExtraFile> {
    let file = |path: &str, mode, text: String| ExtraFile {
        path: path.to_owned(),
        mode,
        bytes: text.into_bytes(),
    };
    vec![
        file("/etc/fstab", 0o644, fstab(facts)),
        file("/boot/grub/grub.cfg", 0o644, grub_cfg(layout, facts)),
        file("/etc/default/grub.d/50-kiln.cfg", 0o644, grub_defaults(layout)),
        // machine-id(5), "First Boot Semantics": an empty file is filled at the next boot, and
        // nobody is asked questions on the console; "uninitialized" would have systemd-firstboot
        // ask.
        file("/etc/machine-id", 0o444, String::new()),
    ]
}

fn fstab(facts: &Facts<'_>) -> String {
    let Facts { plan, esp_uuid, .. } = facts;
    format!(
        "# Written by kiln. See fstab(5).\n\
         UUID={} / ext4 errors=remount-ro 0 1\n\
         UUID={esp_uuid} /boot/efi vfat umask=0077,nofail 0 2\n",
        plan.root_uuid
    )
}

fn grub_cfg(layout: &Layout, facts: &Facts<'_>) -> String {
    let Facts { plan, found, .. } = facts;
    let kernel = &found.kernel;
    // Without an initial RAM disk only the kernel itself looks for the root: by partition.
    let root = match kernel.initrd {
        Some(_) => format!("UUID={}", plan.root_uuid),
        None => format!("PARTUUID={}", plan.root_partuuid),
    };
    let initrd =
        kernel.initrd.as_ref().map(|name| format!("\tinitrd /boot/{name}\n")).unwrap_or_default();
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
         search --no-floppy --fs-uuid --set=root {root_uuid}\n\
         menuentry '{title}' {{\n\
         \tlinux /boot/vmlinuz-{version} root={root} ro {cmdline}\n\
         {initrd}\
         }}\n\
         menuentry '{title}, recovery' {{\n\
         \tlinux /boot/vmlinuz-{version} root={root} ro single {cmdline}\n\
         {initrd}\
         }}\n",
        root_uuid = plan.root_uuid,
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

/// Removes D-Bus's copy of the machine's id: it takes systemd's, if there is none of its own.
pub(super) fn forget_identity(fs: &mut ExtFs, layout: &Layout) -> Result<(), AssembleError> {
    let path = b"/var/lib/dbus/machine-id";
    let given = layout.files.iter().any(|file| file.path.as_bytes() == path);
    if given { Ok(()) } else { forget(fs, path) }
        .map_err(|source| AssembleError::Tree { path: path.to_vec(), source })
}

fn forget(fs: &mut ExtFs, path: &[u8]) -> Result<(), ExtError> {
    let Some(folder) = fs.resolve(b"/var/lib/dbus")? else { return Ok(()) };
    if !fs.is_directory(folder)? {
        return Ok(());
    }
    let name = path.rsplit(|&b| b == b'/').next().unwrap_or_default();
    match fs.child(folder, name)? {
        Some(node) if kind(fs, node)? == Kind::File => fs.unlink(folder, name),
        _ => Ok(()),
    }
}

fn kind(fs: &ExtFs, node: Node) -> Result<Kind, ExtError> {
    fs.stat(node).map(|stat| stat.kind)
}
