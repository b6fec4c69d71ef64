// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bringing changes into the file.

use std::fs::File;
use std::io;

use super::base::{Base, Kind};
use super::overlay::Overlay;
use super::{DiskImage, ImageError, foreign, redo};
use crate::device::Device;
use crate::format::medium::Medium;
use crate::format::qcow2::{self, NewDisk, Qcow2File};

/// Brings the changes of `disk` into the file of `image`. Returns whether the file changed.
pub(super) fn commit(image: &DiskImage, disk: &mut Overlay<Base>) -> Result<bool, ImageError> {
    let file = match &disk.base().kind {
        Kind::Raw(file) => file.file(),
        Kind::Qcow2(file) => file.file(),
        Kind::Foreign(_) => return foreign::commit(image, disk),
        Kind::Remote(remote) => {
            remote.check_alone()?;
            let medium = remote.medium();
            return redo::commit(image, disk, &medium);
        }
        Kind::Closed(_) => return Ok(false),
    };
    let file = file.try_clone().map_err(ImageError::io("write", &image.name))?;
    let medium = medium(image, file);
    if matches!(disk.base().kind, Kind::Raw(_)) {
        return redo::commit(image, disk, &medium);
    }
    qcow2::write(&mut Changed { disk }, &medium, &image.name)
        .map_err(ImageError::write(&image.name))
}

/// Returns `file` to be written to, as the image wants it.
pub(super) fn medium(image: &DiskImage, file: File) -> Medium {
    let medium = Medium::new(file, image.durable);
    #[cfg(test)]
    let medium = medium.scripted(image.script.clone());
    medium
}

/// The changes to a qcow2 file.
#[derive(Debug)]
struct Changed<'a> {
    disk: &'a mut Overlay<Base>,
}

impl NewDisk for Changed<'_> {
    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn next_change(&self, from: u64) -> Option<(u64, u64, bool)> {
        let change = self.disk.next_change_within(from, 0)?;
        Some((change.at, change.len, change.zeros))
    }

    fn read(&mut self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        self.disk.read_at(at, buf)
    }

    fn old(&mut self) -> &mut Qcow2File {
        match &mut self.disk.base_mut().kind {
            Kind::Qcow2(file) => file,
            Kind::Raw(_) | Kind::Foreign(_) | Kind::Remote(_) | Kind::Closed(_) => {
                unreachable!("`commit` makes this for a qcow2 file only")
            }
        }
    }
}
