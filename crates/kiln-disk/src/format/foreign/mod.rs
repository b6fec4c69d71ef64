// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Images in formats that QEMU reads for us: what they are, and which other files they need.
//!
//! QEMU would open whatever an image names. So it is told the format and each file here, after a
//! look at the image of our own: what names another file is refused, but for the parts of a VMDK
//! that lie beside it.
//!
//! Source: `block/{vmdk,vpc,vdi,vhdx,qed,qcow,parallels,dmg,bochs,cloop}.c` of QEMU 10.0; for VMDK
//! the Virtual Disk Format 1.1, for VHD the Virtual Hard Disk Image Format Specification.

mod vmdk;

use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use kiln_host::tools::qemu_storage_daemon::{Backing, Node, Source as NodeSource};

use super::FormatError;
use super::qcow2::{self, Encryption};
use super::source::Source;

/// A format that QEMU reads, and Kiln through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForeignFormat {
    /// VMware's: one file, a description with its parts, or a stream of compressed parts.
    Vmdk,
    /// Microsoft's old one, VHD.
    Vpc,
    /// Microsoft's new one.
    Vhdx,
    /// `VirtualBox`'s.
    Vdi,
    /// Parallels'.
    Parallels,
    /// QEMU's, between qcow2 and qcow2.
    Qed,
    /// QEMU's first, version 1 of qcow.
    Qcow,
    /// Apple's.
    Dmg,
    /// Bochs'.
    Bochs,
    /// Compressed loop devices.
    Cloop,
    /// A disk that QEMU or cryptsetup(8) encrypts, in LUKS version 1.
    Luks,
    /// A qcow2 file in which QEMU encrypts the disk, with LUKS.
    EncryptedQcow2,
}

impl ForeignFormat {
    /// Returns the name that QEMU has for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EncryptedQcow2 => "qcow2",
            Self::Luks => "luks",
            Self::Vmdk => "vmdk",
            Self::Vpc => "vpc",
            Self::Vhdx => "vhdx",
            Self::Vdi => "vdi",
            Self::Parallels => "parallels",
            Self::Qed => "qed",
            Self::Qcow => "qcow",
            Self::Dmg => "dmg",
            Self::Bochs => "bochs",
            Self::Cloop => "cloop",
        }
    }

    /// Returns whether QEMU can name a backing file for it, and must be told that there is none.
    fn knows_backing(self) -> bool {
        matches!(self, Self::Vmdk | Self::Qed | Self::Qcow | Self::EncryptedQcow2)
    }

    /// Returns whether it is read with a key: see [`encrypted`].
    #[must_use]
    pub fn needs_key(self) -> bool {
        matches!(self, Self::Luks | Self::EncryptedQcow2)
    }
}

/// An image in a format that QEMU reads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Foreign {
    /// Its format.
    pub format: ForeignFormat,
    /// Files beside it that have parts of the disk: names without a folder.
    pub parts: Vec<String>,
    /// The file, as it names it, that has what this one does not.
    pub parent: Option<String>,
    /// Whether QEMU can write to it.
    pub writable: bool,
}

/// Beginnings: offset, bytes, format.
const BEGINNINGS: &[(usize, &[u8], ForeignFormat)] = &[
    (0, b"KDMV", ForeignFormat::Vmdk),
    (0, b"COWD", ForeignFormat::Vmdk),
    (0, b"# Disk DescriptorFile", ForeignFormat::Vmdk),
    (0, b"conectix", ForeignFormat::Vpc),
    (0, b"vhdxfile", ForeignFormat::Vhdx),
    (64, b"\x7f\x10\xda\xbe", ForeignFormat::Vdi),
    (0, b"WithoutFreeSpace", ForeignFormat::Parallels),
    (0, b"WithouFreSpacExt", ForeignFormat::Parallels),
    (0, b"QED\0", ForeignFormat::Qed),
    (0, b"QFI\xfb\0\0\0\x01", ForeignFormat::Qcow),
    (0, b"Bochs Virtual HD Image", ForeignFormat::Bochs),
    (0, b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop", ForeignFormat::Cloop),
];

/// Finds out whether a file is an image in a format that QEMU reads for us, and looks at what it
/// needs. `None` if it is anything else: see [`super::probe`]. `name` is what errors call it.
///
/// # Errors
///
/// - [`FormatError::Io`] if it cannot be read.
/// - [`FormatError::Header`] if it is damaged, or names a file that it must not.
/// - [`FormatError::Truncated`] if its header is not all there.
pub fn probe<F: Read + Seek>(file: &mut F, name: &str) -> Result<Option<Foreign>, FormatError> {
    let mut source = Source::new(file, name)?;
    let head = source.head()?;
    let starts = |at: usize, bytes: &[u8]| head.get(at..).is_some_and(|h| h.starts_with(bytes));
    let found = BEGINNINGS.iter().find(|(at, bytes, _)| starts(*at, bytes));
    let format = match found {
        Some((.., format)) => *format,
        None => match tail(&mut source)? {
            Some(format) => format,
            None => return Ok(None),
        },
    };
    let plain = Foreign { format, parts: Vec::new(), parent: None, writable: true };
    let be32 = |at: usize| field(&head, at).map_or(0, u32::from_be_bytes);
    let parent = |there: bool| there.then(String::new);
    Ok(Some(match format {
        ForeignFormat::Vmdk => vmdk::probe(&mut source, &head)?,
        ForeignFormat::Vpc => vpc(&mut source, &head, plain)?,
        // Bit 0 of its features: it has a backing file.
        ForeignFormat::Qed => {
            Foreign { parent: parent(head.get(16).is_some_and(|b| b & 1 != 0)), ..plain }
        }
        ForeignFormat::Qcow if be32(36) != 0 => {
            return Err(FormatError::Encrypted { name: name.to_owned() });
        }
        ForeignFormat::Qcow => Foreign { parent: parent(be32(8) | be32(12) != 0), ..plain },
        ForeignFormat::Dmg | ForeignFormat::Bochs | ForeignFormat::Cloop => {
            Foreign { writable: false, ..plain }
        }
        ForeignFormat::Vdi => {
            vdi(&source, &head)?;
            plain
        }
        ForeignFormat::Vhdx | ForeignFormat::Parallels => plain,
        // Not among the beginnings: see `encrypted`.
        ForeignFormat::Luks | ForeignFormat::EncryptedQcow2 => plain,
    }))
}

/// What a LUKS header of version 1 begins with; of version 2 QEMU knows nothing.
const LUKS: &[u8] = b"LUKS\xba\xbe\0\x01";

/// Finds out whether a file is an image that QEMU reads with a key. `None` if it is anything else,
/// encrypted in another way among that. `name` is what errors call it.
///
/// # Errors
///
/// As [`super::probe`].
pub fn encrypted<F: Read + Seek>(file: &mut F, name: &str) -> Result<Option<Foreign>, FormatError> {
    let mut source = Source::new(file, name)?;
    let head = source.head()?;
    let found = |format| Foreign { format, parts: Vec::new(), parent: None, writable: true };
    if head.starts_with(LUKS) {
        return Ok(Some(found(ForeignFormat::Luks)));
    }
    match qcow2::header::parse(&mut source, &head)? {
        Some(info) if info.encryption == Encryption::Luks => {
            if let Some(data) = info.data_file {
                return Err(FormatError::DataFile { name: name.to_owned(), data });
            }
            let parent = info.backing_file.filter(|name| !name.is_empty());
            let format = ForeignFormat::EncryptedQcow2;
            Ok(Some(Foreign { parent, writable: !info.corrupt, ..found(format) }))
        }
        _ => Ok(None),
    }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// A fixed VHD and a DMG have their mark in the last 512 bytes.
fn tail<F: Read + Seek>(source: &mut Source<'_, F>) -> Result<Option<ForeignFormat>, FormatError> {
    let Some(at) = source.size.checked_sub(512).filter(|at| *at > 0) else { return Ok(None) };
    let tail = source.read(at, 512)?;
    Ok(match tail.first_chunk() {
        Some(b"conectix") => Some(ForeignFormat::Vpc),
        Some([b'k', b'o', b'l', b'y', ..]) => Some(ForeignFormat::Dmg),
        _ => None,
    })
}

/// The footer of a VHD, and its copy at the beginning if there is one, say which kind it is.
fn vpc<F: Read + Seek>(
    source: &mut Source<'_, F>,
    head: &[u8],
    plain: Foreign,
) -> Result<Foreign, FormatError> {
    const DIFFERENCING: u32 = 4;
    let last = source.size.saturating_sub(512);
    let footer = source.read(last, source.size - last)?;
    for footer in [head, &footer] {
        let kind = field(footer, 60).map_or(0, u32::from_be_bytes);
        if !footer.starts_with(b"conectix") {
            continue;
        }
        if kind == DIFFERENCING {
            return Ok(Foreign { parent: Some(String::new()), ..plain });
        }
        if !(2..=3).contains(&kind) {
            let what = format!("a VHD of kind {kind}");
            return Err(FormatError::Foreign { name: source.name.to_owned(), what });
        }
    }
    Ok(plain)
}

/// QEMU reads what is missing at the end of a VDI as zeros. Its header says where the data begins,
/// how long a block is and how many there are: at 0x158, 0x178 and 0x184.
fn vdi<F: Read + Seek>(source: &Source<'_, F>, head: &[u8]) -> Result<(), FormatError> {
    let le32 = |at: usize| field(head, at).map_or(0, |bytes| u64::from(u32::from_le_bytes(bytes)));
    source.within(le32(0x158), le32(0x178).saturating_mul(le32(0x184)))
}

impl Foreign {
    /// Checks the files that the image needs, and returns how QEMU is told to open it.
    ///
    /// With `follow` the parent of a VMDK is opened, too, and its parent, and so on; each is
    /// looked at as this one.
    ///
    /// # Errors
    ///
    /// - [`FormatError::BackingFile`] if it has a parent that is not followed.
    /// - [`FormatError::Foreign`] if a part is missing, is no plain file or is no part.
    pub fn node(&self, path: &Path, follow: bool) -> Result<Node, FormatError> {
        self.node_within(path, follow, MOST_PARENTS)
    }

    fn node_within(&self, path: &Path, follow: bool, left: usize) -> Result<Node, FormatError> {
        let name = path.display().to_string();
        let path = std::path::absolute(path)
            .map_err(|source| FormatError::Io { name: name.clone(), source })?;
        vmdk::check_parts(&self.parts, &path, &name)?;
        let backing = match &self.parent {
            Some(parent) if follow && self.format == ForeignFormat::Vmdk => {
                Backing::Disk(Box::new(parent_node(parent, &path, &name, left)?))
            }
            Some(parent) => {
                // It may have been made to be shown on a terminal.
                let backing = parent.escape_debug().to_string();
                return Err(FormatError::BackingFile { name, backing });
            }
            None if self.format.knows_backing() => Backing::None,
            None => Backing::Unknown,
        };
        let driver = self.format.name().to_owned();
        Ok(Node { driver, source: NodeSource::File(path), backing, key: None })
    }
}

/// The most parents that are followed.
const MOST_PARENTS: usize = 32;

fn parent_node(parent: &str, child: &Path, name: &str, left: usize) -> Result<Node, FormatError> {
    let bad = |what: String| FormatError::Foreign { name: name.to_owned(), what };
    let Some(left) = left.checked_sub(1) else {
        return Err(bad(format!("more than {MOST_PARENTS} parents")));
    };
    let path: PathBuf = child.parent().unwrap_or(Path::new("/")).join(parent);
    let shown = path.display().to_string();
    let mut file =
        File::open(&path).map_err(|source| FormatError::Io { name: shown.clone(), source })?;
    let found = probe(&mut file, &shown)?;
    match found.filter(|found| found.format == ForeignFormat::Vmdk) {
        Some(found) => found.node_within(&path, true, left),
        None => Err(bad(format!("its parent `{}` is no VMDK image", parent.escape_debug()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_beginning_is_known_and_cut_off_ones_are_no_panic() {
        for (at, bytes, format) in BEGINNINGS {
            let mut file = vec![0; *at];
            file.extend_from_slice(bytes);
            for len in [0, 1, 60, 200, 511, 512, 513, 2048] {
                let mut cut = file.clone();
                cut.resize(file.len().max(len), 0);
                if let Ok(Some(found)) = probe(&mut std::io::Cursor::new(cut), "x") {
                    assert_eq!(found.format, *format);
                }
            }
        }
        assert_eq!(probe(&mut std::io::Cursor::new(vec![0; 4096]), "x").unwrap(), None);
    }
}
