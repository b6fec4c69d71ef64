// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `cloud-init-installer`: remove what Ubuntu's installer left to cloud-init.

use super::{Operation, Origin, Run};
use crate::seal::work::Work;
use crate::tree::{GuestPath, TreeError};

/// Switches cloud-init off; the installer writes it after the first boot.
const DISABLED: &str = "/etc/cloud/cloud-init.disabled";
/// What it says then.
const BY_INSTALLER: &[u8] = b"Disabled by Ubuntu live installer";
/// The script of the installer for `cloud-init clean`.
const CLEANER: &str = "/etc/cloud/clean.d/99-installer";

pub(super) const OPERATION: Operation = Operation {
    name: "cloud-init-installer",
    origin: Origin::Kiln,
    default: true,
    heading: "Remove what Ubuntu's installer left to cloud-init",
    documentation: "The first user's password hash and the host keys are in it, and it makes \
        cloud-init ignore the seeds of clones. The installer's own script for cloud-init clean \
        removes the same.",
    notes: "",
    paths: &[
        "/etc/cloud/cloud.cfg.d/99-installer.cfg",
        "/etc/cloud/cloud.cfg.d/90-installer-network.cfg",
        "/etc/cloud/cloud.cfg.d/50-curtin-networking.cfg",
        "/etc/cloud/cloud.cfg.d/curtin-preserve-sources.cfg",
        "/etc/cloud/cloud.cfg.d/subiquity-disable-cloudinit-networking.cfg",
        "/etc/cloud/ds-identify.cfg",
        DISABLED,
    ],
    run: Run::Tree(run),
};

fn run(work: &mut Work<'_, '_>) -> Result<(), TreeError> {
    let disabled = GuestPath::from(DISABLED);
    let text = work.text(&disabled)?.unwrap_or_default();
    if text.starts_with(BY_INSTALLER) {
        work.remove_file(&disabled)?;
    }
    // ds-identify.cfg may also be the administrator's.
    let ours = work.exists(CLEANER)? || work.exists(OPERATION.paths[0])?;
    let count = if ours { 6 } else { 5 };
    work.remove_files(&OPERATION.paths[..count]).map(drop)
}

#[cfg(test)]
mod tests {
    use crate::seal::cases::sealed;
    use crate::tree::memory::MemoryTree;

    #[test]
    fn what_an_administrator_wrote_stays() {
        let off = "/etc/cloud/cloud-init.disabled";
        let mut tree = MemoryTree::of(&["/etc/cloud/ds-identify.cfg", off]);
        sealed(&mut tree, "cloud-init-installer");
        assert_eq!(tree.paths(), ["/etc/", "/etc/cloud/", off, "/etc/cloud/ds-identify.cfg"]);
        tree.add("/etc/cloud/cloud-init.disabled=Disabled by Ubuntu live installer after");
        tree.add("/etc/cloud/clean.d/99-installer");
        sealed(&mut tree, "cloud-init-installer");
        let left =
            ["/etc/", "/etc/cloud/", "/etc/cloud/clean.d/", "/etc/cloud/clean.d/99-installer"];
        assert_eq!(tree.paths(), left);
    }
}
