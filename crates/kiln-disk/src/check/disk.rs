// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whether the partition table and the file systems of a disk are in order, and mending them.

use std::io;

use kiln_host::causes::in_line;
use kiln_host::tools::e2fsck::Outcome;
use kiln_spec::Bytes;

use super::{CheckError, Means, Part, State, What};
use crate::device::{Device, SharedDevice, Window};
use crate::fs::ext::check::Checked;
use crate::fs::ext::{self, TendError};
use crate::fs::{ContentKind, fat, identify, length};
use crate::image::DiskImage;
use crate::table::gpt::BIOS_BOOT;
use crate::table::{self, Partition, PartitionKind, PartitionTable};

/// The most partitions that are looked into.
const MOST_PARTITIONS: usize = 256;

/// Checks all that is on a disk, or mends it there. `unread`: what cannot be read is no error but
/// damage, since the format of the file is damaged.
pub(super) fn parts(
    disk: &DiskImage,
    unread: bool,
    mend: bool,
    means: &mut Means<'_>,
) -> Result<Vec<Part>, CheckError> {
    let device = disk.device();
    let mut parts = Vec::new();
    let table = match self::table(&mut device.clone(), mend, &mut parts, means) {
        Ok(table) => table,
        Err(error) if unread => {
            parts.push(Part::with(What::Disk, State::NotChecked, in_line(&error)));
            return Ok(parts);
        }
        Err(error) => return Err(error),
    };
    let Some(table) = table else { return Ok(parts) };
    let whole = table.kind.is_none().then_some(None);
    let partitions = table.partitions.iter().take(MOST_PARTITIONS).map(Some);
    for place in whole.into_iter().chain(partitions) {
        let part = match file_system(&device, place, mend, means) {
            Ok(part) => part,
            Err(error) if unread => {
                let partition = place.map(|place| place.number);
                let what = What::FileSystem { partition, kind: ContentKind::Unknown };
                Some(Part::with(what, State::NotChecked, in_line(&error)))
            }
            Err(error) => return Err(error),
        };
        parts.extend(part);
    }
    Ok(parts)
}

/// Checks or mends the partition table, and returns it; `None` if it cannot be read.
fn table(
    device: &mut SharedDevice,
    mend: bool,
    parts: &mut Vec<Part>,
    means: &mut Means<'_>,
) -> Result<Option<PartitionTable>, CheckError> {
    let mut found = table::check::check(device)?;
    let kind = found.table.as_ref().map(|table| table.kind);
    if kind == Some(None) && found.findings.is_empty() {
        return Ok(found.table);
    }
    // One that cannot be read is a GPT, or a chain of the old kind.
    let what = What::Table(kind.flatten().map_or("unknown", table::TableKind::name));
    (means.on)(&what, None);
    let mut part = Part::clean(what);
    part.findings = found.findings.iter().map(|finding| finding.what.clone()).collect();
    if !found.findings.is_empty() {
        let all = found.findings.iter().all(|finding| finding.mendable);
        part.state = match (all, mend) {
            (false, _) => State::Unmendable,
            (true, false) => State::Damaged,
            (true, true) => {
                table::check::mend(device)?;
                found = table::check::check(device)?;
                let good = found.findings.is_empty();
                if good { State::Mended } else { State::Unmendable }
            }
        };
        if let Some(kind) = found.table.as_ref().and_then(|table| table.kind) {
            part.what = What::Table(kind.name());
        }
    }
    parts.push(part);
    Ok(found.table)
}

/// Checks or mends what a partition holds, or the whole disk; `None` if that is nothing to be
/// checked.
fn file_system(
    device: &SharedDevice,
    place: Option<&Partition>,
    mend: bool,
    means: &mut Means<'_>,
) -> Result<Option<Part>, CheckError> {
    if place.is_some_and(|partition| partition.kind.is_extended() || is_boot_code(partition.kind)) {
        return Ok(None);
    }
    let (start, len) = place.map_or((0, device.size()), |place| (place.start, place.len));
    let number = place.map(|partition| partition.number);
    let open = || Window::new(device.clone(), start, len);
    let read = |source| CheckError::Read { source };
    let kind = identify(&mut open().map_err(read)?).map_err(read)?.kind;
    let what = What::FileSystem { partition: number, kind };
    if let Some(missing) = missing(&mut open().map_err(read)?, kind, place).map_err(read)? {
        let why = format!("it is cut off: {missing} are missing at its end");
        return Ok(Some(Part::with(what, State::Unmendable, why)));
    }
    let checker: Checker = match kind {
        kind if kind.is_ext() => Checker::Ext,
        ContentKind::Vfat { .. } => {
            let checked = fat::check::is_checked(&mut open().map_err(read)?).map_err(read)?;
            if !checked {
                return Ok(Some(Part::with(what, State::NotChecked, "it is too large")));
            }
            Checker::Fat
        }
        ContentKind::Empty | ContentKind::Swap | ContentKind::ExtJournal => return Ok(None),
        ContentKind::Unknown => {
            let why = "nothing that is known here is in it";
            return Ok(Some(Part::with(what, State::NotChecked, why)));
        }
        _ => {
            return Ok(Some(Part::with(what, State::NotChecked, "there is no check for it here")));
        }
    };
    let device = || -> Result<Box<dyn Device>, TendError> {
        Ok(Box::new(open().map_err(|source| TendError::Device { source })?))
    };
    let looked = checker.run(&device, mend, (&what, means));
    let failed = |source| CheckError::FileSystem { what: what.to_string(), source };
    looked.map(Some).map_err(failed)
}

/// Returns how much of a file system lies behind the end of what holds it.
fn missing(
    device: &mut dyn Device,
    kind: ContentKind,
    place: Option<&Partition>,
) -> io::Result<Option<Bytes>> {
    // A partition of a hybrid disk begins behind the beginning of its ISO 9660.
    if kind == ContentKind::Iso9660 && place.is_some() {
        return Ok(None);
    }
    let length = length(device, kind)?.unwrap_or_default();
    Ok(length.checked_sub(device.size()).filter(|missing| *missing > 0).map(Bytes))
}

/// Returns whether a partition holds a boot loader's code and no file system.
fn is_boot_code(kind: PartitionKind) -> bool {
    matches!(kind, PartitionKind::Gpt(id) if id == BIOS_BOOT)
}

/// What checks a kind of file system.
#[derive(Clone, Copy, Debug)]
enum Checker {
    Ext,
    Fat,
}

impl Checker {
    fn run(
        self,
        device: &dyn Fn() -> Result<Box<dyn Device>, TendError>,
        mend: bool,
        (what, means): (&What, &mut Means<'_>),
    ) -> Result<Part, TendError> {
        let (host, scratch) = (means.host, means.scratch);
        let on = &mut |progress| (means.on)(what, Some(progress));
        let looked = match self {
            Self::Ext => ext::check::check(device()?, host, scratch, on)?,
            Self::Fat => fat::check::check(device()?, host, scratch, on)?,
        };
        if looked.outcome == Outcome::Clean {
            return Ok(Part::clean(what.clone()));
        }
        let mended = match (self, mend) {
            (_, false) => Ok(looked),
            (Self::Ext, true) => ext::check::repair(device()?, host, scratch, on),
            (Self::Fat, true) => fat::check::repair(device()?, host, scratch, on),
        };
        let (state, report) = match mended {
            Ok(Checked { outcome: Outcome::Damaged, report }) => (State::Damaged, report),
            Ok(Checked { report, .. }) => (State::Mended, report),
            Err(TendError::Unmendable { report }) => (State::Unmendable, report),
            Err(error) => return Err(error),
        };
        let what = what.clone();
        Ok(Part { what, state, findings: vec!["it is damaged".to_owned()], report })
    }
}
