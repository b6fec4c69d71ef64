// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `package-manager-cache`: remove packages and lists that package managers have fetched.

use super::{Operation, Origin, Run};
use crate::seal::work::Work;
use crate::tree::TreeError;

pub(super) const OPERATION: Operation = Operation {
    name: "package-manager-cache",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove packages that package managers have fetched",
    documentation: "Files at any depth below these directories; the directories stay.",
    notes: "",
    paths: &[
        "/var/cache/apt/archives",
        "/var/cache/dnf",
        "/var/cache/libdnf5",
        "/var/cache/yum",
        "/var/cache/zypp*",
        "/var/cache/pacman/pkg",
        "/var/cache/apk",
    ],
    run: Run::Tree(run),
};

fn run(work: &mut Work<'_, '_>) -> Result<(), TreeError> {
    OPERATION.paths.iter().try_for_each(|dir| work.remove_files_below(dir, b""))
}
