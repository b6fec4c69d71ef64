// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A glance into an image: which processor it is for, and which system it holds.
//!
//! Only what can be had without booting and without a kernel's driver: ext2/3/4 on a GPT, an MBR
//! or the whole disk. Anything else is no error, it is just not known.
//!
//! **Invariant:** the image is hostile. Nothing in it is believed further than its words are
//! shown or compared; tables are bounded, links are followed inside the tree only.

use kiln_disk::device::{Device, Window};
use kiln_disk::fs::ext::{Access, ExtFs};
use kiln_spec::arch::Arch;
use kiln_spec::image::Os;

/// Programs that every system has, one of which tells the processor.
const PROGRAMS: &[&[u8]] = &[b"bin/sh", b"usr/bin/env", b"sbin/init", b"bin/busybox"];
/// The most that is read of a program: the head is all that counts, a whole one is bounded.
const PROGRAM_HEAD: usize = 64;
/// The most that is read of `os-release`.
const RELEASE_MOST: u64 = 64 << 10;

/// What a glance shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Glance {
    /// The processor that its programs are for.
    pub processor: Option<Processor>,
    /// Its `os-release`.
    pub os: Option<Os>,
}

/// A processor, as ELF tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processor {
    /// One that machines can have.
    Known(Arch),
    /// Another: ELF's `e_machine`.
    Other(u16),
}

/// Looks into the image on `device`. `open` gives the device anew for each file system that is
/// tried.
///
/// # Effects
///
/// Reads a few hundred KiB. Nothing is written.
pub fn glance<D: Device + 'static>(mut open: impl FnMut() -> Option<D>) -> Glance {
    let Some(mut device) = open() else { return Glance::default() };
    for (start, length) in super::partitions::candidates(&mut device) {
        let window = open().and_then(|device| Window::new(device, start, length).ok());
        let Some(window) = window else { continue };
        if let Some(glance) = of_file_system(Box::new(window)) {
            return glance;
        }
    }
    Glance::default()
}

/// Looks into one file system; `None` if it is not ext or holds no system.
fn of_file_system(device: Box<dyn Device>) -> Option<Glance> {
    let mut fs = ExtFs::open(device, Access::Read).ok()?;
    let processor = PROGRAMS.iter().find_map(|path| processor_of(&mut fs, path));
    let os = [&b"etc/os-release"[..], b"usr/lib/os-release"].iter().find_map(|path| {
        let node = fs.resolve(path).ok()??;
        let bytes = fs.read_file(node, RELEASE_MOST).ok()?;
        Some(Os::from_os_release(&String::from_utf8_lossy(&bytes)))
    });
    (processor.is_some() || os.is_some()).then_some(Glance { processor, os })
}

fn processor_of(fs: &mut ExtFs, path: &[u8]) -> Option<Processor> {
    let node = fs.resolve(path).ok()??;
    let mut head = [0; PROGRAM_HEAD];
    let got = fs.read_at(node, 0, &mut head).ok()?;
    of_elf(head.get(..got)?)
}

/// Reads the processor off an ELF header. Source: elf(5); `e_machine` is at byte 18, in the byte
/// order that byte 5 names.
pub(super) fn of_elf(head: &[u8]) -> Option<Processor> {
    const X86_64: u16 = 62;
    const AARCH64: u16 = 183;
    if !head.starts_with(b"\x7fELF") {
        return None;
    }
    let bytes: [u8; 2] = head.get(18..20)?.try_into().ok()?;
    let machine = match head.get(5)? {
        1 => u16::from_le_bytes(bytes),
        2 => u16::from_be_bytes(bytes),
        _ => return None,
    };
    Some(match machine {
        X86_64 => Processor::Known(Arch::Amd64),
        AARCH64 => Processor::Known(Arch::Arm64),
        other => Processor::Other(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elf_headers_tell_the_processor() {
        let mut head = [0; 64];
        head[..6].copy_from_slice(b"\x7fELF\x02\x01");
        head[18] = 62;
        assert_eq!(of_elf(&head), Some(Processor::Known(Arch::Amd64)));
        head[18] = 183;
        assert_eq!(of_elf(&head), Some(Processor::Known(Arch::Arm64)));
        head[5] = 2;
        head[18..20].copy_from_slice(&[0, 22]);
        assert_eq!(of_elf(&head), Some(Processor::Other(22)));
        assert_eq!(of_elf(b"#!/bin/sh"), None);
        assert_eq!(of_elf(b"\x7fELF"), None);
    }
}
