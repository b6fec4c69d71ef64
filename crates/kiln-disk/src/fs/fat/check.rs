// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whether a FAT file system is in order, by the judgement of `fsck.fat`, and mending it.

use std::io;
use std::path::Path;

use kiln_host::Host;
use kiln_host::tools::e2fsck::Outcome;
use kiln_host::tools::fsck_fat::{self, FOUND};

use crate::device::Device;
use crate::fs::ext::check::{Checked, MOST_REPORT};
use crate::fs::ext::scratch::{OnProgress, Progress, Scratch, TendError, Used, whole};
use crate::le::{u16_at, u32_at};

/// The most bytes of a table that are given to `fsck.fat`, which needs five times as much memory.
/// With clusters of 32 KiB that is 512 GiB.
const MOST_TABLE: u64 = 64 << 20;

/// Returns whether the file system that begins on `device` has tables of a size that is checked.
///
/// # Errors
///
/// What the device says.
pub fn is_checked(device: &mut dyn Device) -> io::Result<bool> {
    let mut boot = [0; 64];
    device.read_at(0, &mut boot)?;
    let sectors = match u16_at(&boot, 22) {
        0 => u64::from(u32_at(&boot, 36)),
        short => u64::from(short),
    };
    Ok(sectors * u64::from(u16_at(&boot, 11)) <= MOST_TABLE)
}

/// Checks the file system that fills `device`, which is not changed.
///
/// # Effects
///
/// A copy of what is not empty is made in the folder `scratch` and removed again.
///
/// # Errors
///
/// [`TendError`]; that the file system is damaged is none.
pub fn check(
    mut device: Box<dyn Device>,
    host: &dyn Host,
    scratch: &Path,
    on: OnProgress<'_>,
) -> Result<Checked, TendError> {
    let copy = copy(&mut *device, scratch, on)?;
    on(Progress::Tool);
    look(host, &copy)
}

/// Mends the file system that fills `device`: [`Outcome::Mended`] if something was wrong.
///
/// # Effects
///
/// A copy is made in the folder `scratch`; what `fsck.fat` changed there is written back to the
/// device when it is in order.
///
/// # Errors
///
/// [`TendError::Unmendable`]: the device is as it was then.
pub fn repair(
    mut device: Box<dyn Device>,
    host: &dyn Host,
    scratch: &Path,
    on: OnProgress<'_>,
) -> Result<Checked, TendError> {
    let copy = copy(&mut *device, scratch, on)?;
    on(Progress::Tool);
    let before = look(host, &copy)?;
    if before.outcome == Outcome::Clean {
        return Ok(before);
    }
    let mended = host.run(&fsck_fat::mend(copy.path()));
    let report = report(&mended.map_err(|source| TendError::Tool { source })?.stdout);
    let after = look(host, &copy)?;
    if after.outcome != Outcome::Clean {
        return Err(TendError::Unmendable { report: after.report });
    }
    let all = whole(device.size());
    copy.write_back(&mut *device, &all, on)?;
    Ok(Checked { outcome: Outcome::Mended, report })
}

fn look(host: &dyn Host, copy: &Scratch) -> Result<Checked, TendError> {
    let done = host.run(&fsck_fat::check(copy.path()));
    let done = done.map_err(|source| TendError::Tool { source })?;
    let outcome = if done.code == FOUND { Outcome::Damaged } else { Outcome::Clean };
    // Why it gave up is not on standard output.
    let text = [report(&done.stdout), done.stderr].concat();
    Ok(Checked { outcome, report: text })
}

fn report(stdout: &[u8]) -> String {
    String::from_utf8_lossy(&stdout[..stdout.len().min(MOST_REPORT)]).into_owned()
}

/// Copies all that the device does not know to be zeros.
fn copy(device: &mut dyn Device, scratch: &Path, on: OnProgress<'_>) -> Result<Scratch, TendError> {
    let used = data(device).map_err(|source| TendError::Device { source })?;
    Scratch::copy(device, Some(&used), scratch, on)
}

fn data(device: &mut dyn Device) -> io::Result<Used> {
    let (mut used, mut at) = (Used::new(), 0);
    while at < device.size() {
        let extent = device.extent(at)?;
        let end = at + extent.len.max(1);
        match used.last_mut() {
            _ if extent.zeros => {}
            Some(last) if last.end == at => last.end = end,
            _ => used.push(at..end),
        }
        at = end;
    }
    Ok(used)
}
