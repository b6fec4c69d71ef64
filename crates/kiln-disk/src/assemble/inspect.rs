// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What has come in the stream: distribution, kernel, processor.

use std::cmp::Ordering;

use kiln_spec::Arch;
use kiln_spec::image::Os;

use super::AssembleError;
use crate::fs::ext::{ExtError, ExtFs, Kind, Node};

/// The most bytes of os-release that are read.
const MOST_OS_RELEASE: u64 = 64 << 10;
/// Programs that every tree has one of.
const PROGRAMS: [&[u8]; 4] = [b"/bin/sh", b"/usr/bin/env", b"/sbin/init", b"/bin/busybox"];

/// The kernel that is booted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kernel {
    /// What follows `vmlinuz-` in its name.
    pub(super) version: String,
    /// Name of the initial RAM disk in `/boot`, if there is one.
    pub(super) initrd: Option<String>,
}

/// What has come.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) os: Os,
    pub(super) arch: Arch,
    pub(super) kernel: Kernel,
    /// GRUB's folder.
    pub(super) grub: &'static str,
    /// Whether `/etc/default/grub.d` is read: Debian and its relatives.
    pub(super) grub_d: bool,
    /// The folders of `EFI` in the tree's `/boot/efi`, but for `BOOT`.
    pub(super) vendors: Vec<String>,
}

/// Looks into the tree.
pub(super) fn inspect(fs: &mut ExtFs, want: Option<Arch>) -> Result<Found, AssembleError> {
    let read = |source| AssembleError::Ext { doing: "read", source };
    let os = os_release(fs).map_err(read)?;
    let found = arch(fs).map_err(read)?.ok_or(AssembleError::NoArch)?;
    if let Some(want) = want.filter(|want| *want != found) {
        return Err(AssembleError::WrongArch { want, found });
    }
    let package = match found {
        Arch::Amd64 => "linux-image-amd64",
        Arch::Arm64 => "linux-image-arm64",
    };
    let kernel = kernel(fs).map_err(read)?.ok_or(AssembleError::NoKernel { package })?;
    let mut has = |path: &str| folder(fs, path).map(|found| found.is_some());
    let grub2 = has("/boot/grub2").map_err(read)? && !has("/boot/grub").map_err(read)?;
    let grub_d = !grub2 || has("/etc/default/grub.d").map_err(read)?;
    let grub = if grub2 { "/boot/grub2" } else { "/boot/grub" };
    let vendors = vendors(fs).map_err(read)?;
    Ok(Found { os, arch: found, kernel, grub, grub_d, vendors })
}

/// Returns the directory at `path`, if there is one.
fn folder(fs: &mut ExtFs, path: &str) -> Result<Option<Node>, ExtError> {
    match fs.resolve(path.as_bytes()) {
        Ok(Some(node)) => Ok(fs.is_directory(node)?.then_some(node)),
        Ok(None) | Err(ExtError::NotADirectory { .. } | ExtError::Loop { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn vendors(fs: &mut ExtFs) -> Result<Vec<String>, ExtError> {
    let Some(efi) = folder(fs, "/boot/efi/EFI")? else { return Ok(Vec::new()) };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let mut names = Vec::new();
    for entry in fs.list(efi)? {
        let Ok(name) = String::from_utf8(entry.name) else { continue };
        let good = name.chars().all(plain) && !name.eq_ignore_ascii_case("boot");
        if good && fs.is_directory(entry.node)? {
            names.push(name);
        }
    }
    Ok(names)
}

/// Returns the file at `path`, symbolic links followed inside the tree. A path that leads nowhere
/// is no error.
fn file(fs: &mut ExtFs, path: &[u8]) -> Result<Option<Node>, ExtError> {
    match fs.resolve(path) {
        Ok(Some(node)) => Ok((fs.stat(node)?.kind == Kind::File).then_some(node)),
        Ok(None) | Err(ExtError::NotADirectory { .. } | ExtError::Loop { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn os_release(fs: &mut ExtFs) -> Result<Os, ExtError> {
    for path in [&b"/etc/os-release"[..], b"/usr/lib/os-release"] {
        if let Some(node) = file(fs, path)? {
            let bytes = fs.read_file(node, MOST_OS_RELEASE)?;
            return Ok(Os::from_os_release(&String::from_utf8_lossy(&bytes)));
        }
    }
    Ok(Os::from_os_release(""))
}

fn arch(fs: &mut ExtFs) -> Result<Option<Arch>, ExtError> {
    for path in PROGRAMS {
        let Some(node) = file(fs, path)? else { continue };
        let mut head = [0; 20];
        if fs.read_at(node, 0, &mut head)? < head.len() || &head[..4] != b"\x7fELF" {
            continue;
        }
        return Ok(arch_of_program(&head));
    }
    Ok(None)
}

/// Returns the newest kernel of `/boot`.
fn kernel(fs: &mut ExtFs) -> Result<Option<Kernel>, ExtError> {
    let Some(boot) = fs.resolve(b"/boot")? else { return Ok(None) };
    if !fs.is_directory(boot)? {
        return Ok(None);
    }
    let mut names = Vec::new();
    for entry in fs.list(boot)? {
        let Ok(name) = String::from_utf8(entry.name) else { continue };
        // Versions of packages: anything else could not stand in GRUB's file unquoted.
        let plain = |c: char| c.is_ascii_alphanumeric() || ".+-_~".contains(c);
        if name.chars().all(plain) && fs.stat(entry.node)?.kind == Kind::File {
            names.push(name);
        }
    }
    let Some(version) = newest_kernel(names.iter().map(String::as_str)) else { return Ok(None) };
    let initrd = [
        format!("initrd.img-{version}"),
        format!("initramfs-{version}.img"),
        format!("initrd-{version}"),
        format!("initramfs-{version}"),
    ];
    let initrd = initrd.into_iter().find(|name| names.contains(name));
    Ok(Some(Kernel { version: version.to_owned(), initrd }))
}

/// Returns the newest release among the names of kernels in `/boot`, `vmlinuz-*`: the one that a
/// disk boots.
#[must_use]
pub fn newest_kernel<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let versions = names.filter_map(|name| name.strip_prefix("vmlinuz-"));
    let usable = versions.filter(|v| !v.is_empty() && !v.contains("rescue"));
    usable.max_by(|a, b| compare(a, b))
}

/// Returns the processor that a program is for, by its first bytes: elf(5).
#[must_use]
pub fn arch_of_program(head: &[u8]) -> Option<Arch> {
    let machine = head.get(18..20)?;
    if !head.starts_with(b"\x7fELF") {
        return None;
    }
    // e_machine: EM_X86_64 and EM_AARCH64.
    match u16::from_le_bytes([machine[0], machine[1]]) {
        62 => Some(Arch::Amd64),
        183 => Some(Arch::Arm64),
        _ => None,
    }
}

/// Compares versions: runs of digits as numbers, anything else as text.
fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    while !a.is_empty() && !b.is_empty() {
        let (text_a, rest_a) = cut(a, |c| !c.is_ascii_digit());
        let (text_b, rest_b) = cut(b, |c| !c.is_ascii_digit());
        let (number_a, rest_a) = cut(rest_a, |c| c.is_ascii_digit());
        let (number_b, rest_b) = cut(rest_b, |c| c.is_ascii_digit());
        let (trim_a, trim_b) = (number_a.trim_start_matches('0'), number_b.trim_start_matches('0'));
        let order = text_a
            .cmp(text_b)
            .then(trim_a.len().cmp(&trim_b.len()))
            .then_with(|| trim_a.cmp(trim_b));
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    a.len().cmp(&b.len())
}

fn cut(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_versions_are_greater() {
        let sorted = [
            "5.10.0-9-amd64",
            "5.10.0-28-amd64",
            "6.1.0-9-cloud-amd64",
            "6.1.0-10-amd64",
            "6.1.0-10-cloud-amd64",
            "6.12.1",
            "6.12.1-1",
        ];
        for (index, a) in sorted.iter().enumerate() {
            for (other, b) in sorted.iter().enumerate() {
                assert_eq!(compare(a, b), index.cmp(&other), "{a} {b}");
            }
        }
    }
}
