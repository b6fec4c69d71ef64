// SPDX-License-Identifier: Apache-2.0 OR MIT
//! QEMU's overlay over an image: what the appliance changed, and how that comes into the image.

use std::io;
use std::path::{Path, PathBuf};

use kiln_disk::device::Device;
use kiln_disk::image::{DiskImage, FormatName, Location, OpenOptions};
use kiln_host::Host;
use kiln_host::tools::qemu_img::{self, Mapped};

use super::ApplianceError;

/// The overlay's name in the appliance's folder.
const NAME: &str = "changes.qcow2";
/// Bytes that are copied at once.
const CHUNK: usize = 1 << 20;

/// What an overlay holds.
#[derive(Debug)]
pub(in crate::backend) struct Changes {
    overlay: DiskImage,
    parts: Vec<Mapped>,
}

impl Changes {
    /// Forgets what is outside of these parts of the disk: first byte and length of each.
    pub(in crate::backend) fn keep_within(&mut self, ranges: &[(u64, u64)]) {
        let cut = |part: &Mapped, (start, len): (u64, u64)| {
            let end = part.start.saturating_add(part.length).min(start.saturating_add(len));
            let start = part.start.max(start);
            (start < end).then(|| Mapped { start, length: end - start, ..*part })
        };
        let cut_all = |part: &Mapped| -> Vec<Mapped> {
            ranges.iter().filter_map(|range| cut(part, *range)).collect()
        };
        self.parts = self.parts.iter().flat_map(cut_all).collect();
    }
}

/// Makes an empty overlay over an image, which the caller keeps open and locked.
pub(in crate::backend) fn create(
    qemu: &dyn Host,
    (place, image): (&Location, &DiskImage),
    folder: &Path,
) -> Result<PathBuf, ApplianceError> {
    let overlay = folder.join(NAME);
    let cmd = match (image.served(), place) {
        (Some(socket), _) => qemu_img::overlay_served(&overlay, &socket),
        (None, Location::File(path)) => {
            let info = image.info();
            let (format, chain) = (info.format.to_string(), info.layers.len() > 1);
            qemu_img::overlay(&overlay, path, &format, chain)
        }
        (None, Location::Rbd(_)) => unreachable!("QEMU serves each image of a cluster"),
    };
    qemu.run(&cmd.ok_or_else(|| ApplianceError::Name { path: place.to_string() })?)?;
    Ok(overlay)
}

/// Looks what an overlay holds. It has no image below it afterwards.
pub(in crate::backend) fn read(qemu: &dyn Host, folder: &Path) -> Result<Changes, ApplianceError> {
    let overlay = folder.join(NAME);
    let failed = |source| ApplianceError::Io { what: "read the changes", source };
    let printed = qemu.run(&qemu_img::map(&overlay))?.stdout;
    let mut parts = qemu_img::parse_map(&printed).map_err(failed)?;
    parts.retain(|part| part.depth == 0);
    qemu.run(&qemu_img::detach(&overlay))?;
    let options = OpenOptions { format: Some(FormatName::Qcow2), ..OpenOptions::default() };
    Ok(Changes { overlay: DiskImage::open(&overlay, &options)?, parts })
}

/// Writes what an overlay holds to an image, which is not committed yet.
pub(in crate::backend) fn pour(
    changes: Changes,
    image: &mut DiskImage,
) -> Result<(), ApplianceError> {
    let (mut from, mut to) = (changes.overlay.device(), image.device());
    let mut copy = || -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        for part in &changes.parts {
            let end = part.start.saturating_add(part.length).min(to.size());
            if part.zero {
                to.discard(part.start, end.saturating_sub(part.start))?;
                continue;
            }
            let mut at = part.start;
            while at < end {
                let length = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
                from.read_at(at, &mut buffer[..length])?;
                to.write_at(at, &buffer[..length])?;
                at += u64::try_from(length).map_err(io::Error::other)?;
            }
        }
        to.flush()
    };
    copy().map_err(|source| ApplianceError::Io { what: "bring the changes into the image", source })
}
