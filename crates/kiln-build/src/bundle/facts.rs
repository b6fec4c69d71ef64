// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a tar stream tells of the system in it, as it passes by.

use std::io::{self, Read};

use kiln_disk::assemble::{arch_of_program, newest_kernel};
use kiln_disk::tar::{Entry, EntryKind, Reader, TarError};
use kiln_spec::Arch;
use kiln_spec::image::{Firmware, Os};

/// The most bytes of os-release that are read.
const MOST_OS_RELEASE: u64 = 64 << 10;
/// The most kernels that are remembered.
const MOST_KERNELS: usize = 1000;
/// Programs that tell the processor.
const PROGRAMS: &[&[u8]] = &[
    b"usr/bin/dash",
    b"usr/bin/bash",
    b"usr/bin/env",
    b"bin/dash",
    b"bin/bash",
    b"bin/sh",
    b"bin/busybox",
    b"usr/bin/sh",
    b"usr/bin/busybox",
];

/// What the stream told.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) entries: u64,
    /// Bytes in files, without holes.
    pub(super) bytes: u64,
    pub(super) arch: Option<Arch>,
    os_release: Option<String>,
    kernels: Vec<String>,
    bios: bool,
    modules: bool,
    shim: bool,
    signed: bool,
}

impl Facts {
    /// Reads the archive to its end, and what follows it.
    pub(super) fn of(from: impl Read) -> Result<Self, TarError> {
        let mut facts = Self::default();
        let mut reader = Reader::new(from);
        while let Some(entry) = reader.next_entry()? {
            facts.entries += 1;
            facts.bytes = facts.bytes.saturating_add(reader.stored());
            if entry.kind == EntryKind::File {
                facts.file(&entry, &mut reader).map_err(|source| match source.kind() {
                    io::ErrorKind::UnexpectedEof => {
                        TarError::Truncated { path: entry.path.clone() }
                    }
                    _ => TarError::Read { source },
                })?;
            }
        }
        reader.read_rest(u64::MAX)?;
        Ok(facts)
    }

    fn file(&mut self, entry: &Entry, data: &mut dyn Read) -> io::Result<()> {
        let path = entry.path.as_slice();
        if path == b"etc/os-release" || path == b"usr/lib/os-release" {
            let mut bytes = Vec::new();
            data.take(MOST_OS_RELEASE).read_to_end(&mut bytes)?;
            self.os_release = Some(String::from_utf8_lossy(&bytes).into_owned());
        } else if PROGRAMS.contains(&path) && self.arch.is_none() {
            let mut head = Vec::new();
            data.take(20).read_to_end(&mut head)?;
            self.arch = arch_of_program(&head);
        } else if let Some(name) = path.strip_prefix(b"boot/") {
            let plain = |b: &u8| b.is_ascii_alphanumeric() || b".+-_~".contains(b);
            if self.kernels.len() < MOST_KERNELS && name.iter().all(plain) {
                self.kernels.extend(String::from_utf8(name.to_vec()));
            }
        }
        self.loader(path);
        Ok(())
    }

    /// Notes a file of a boot loader, where [`kiln_disk::assemble`] looks for it.
    fn loader(&mut self, path: &[u8]) {
        let text = String::from_utf8_lossy(path);
        let name = text.rsplit('/').next().unwrap_or_default();
        let grub = text.starts_with("usr/lib/grub/") || text.starts_with("usr/share/grub2/");
        if grub && name == "moddep.lst" {
            self.bios |= text.contains("/i386-pc/");
            self.modules |= text.contains("-efi/");
        }
        let place = text.starts_with("boot/efi/EFI/") || text.starts_with("usr/share/efi/");
        let vendor = place && !text.to_ascii_lowercase().starts_with("boot/efi/efi/boot/");
        self.shim |= text.starts_with("usr/lib/shim/shim") && name.ends_with(".efi.signed")
            || vendor && name.starts_with("shim") && name.ends_with(".efi");
        self.signed |= grub && text.contains("-efi-signed/grub") && name.ends_with(".efi.signed")
            || vendor && name.starts_with("grub") && name.ends_with(".efi");
    }

    pub(super) fn os(&self) -> Os {
        Os::from_os_release(self.os_release.as_deref().unwrap_or_default())
    }

    pub(super) fn kernel(&self) -> Option<String> {
        newest_kernel(self.kernels.iter().map(String::as_str)).map(str::to_owned)
    }

    pub(super) fn firmware(&self) -> Vec<Firmware> {
        let uefi = self.modules || self.shim && self.signed;
        let all = [(self.bios, Firmware::Bios), (uefi, Firmware::Uefi)];
        all.into_iter().filter(|(there, _)| *there).map(|(_, firmware)| firmware).collect()
    }
}
