// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whether a file system is in order, by the judgement of `e2fsck`, and mending it.

use std::path::Path;

use kiln_host::tools::e2fsck::{self, Outcome};
use kiln_host::{Cmd, Host};

use super::scratch::{OnProgress, Progress, Scratch, TendError, used, whole};
use crate::device::{Device, len64};
use crate::le::u32_at;

/// Bytes that are kept of what e2fsck says.
pub(in crate::fs) const MOST_REPORT: usize = 64 << 10;

/// What a tool found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What state the file system is in.
    pub outcome: Outcome,
    /// What the tool said, for people.
    pub report: String,
}

/// Checks the file system that fills `device`, which is not changed.
///
/// # Effects
///
/// A copy of what is in use is made in the folder `scratch` and removed again. A journal that has
/// not been replayed is no damage: the verdict is that of the tree with it.
///
/// # Errors
///
/// [`TendError`]; that the file system is damaged is none.
pub fn check(
    device: Box<dyn Device>,
    host: &dyn Host,
    scratch: &Path,
    on: OnProgress<'_>,
) -> Result<Checked, TendError> {
    let (mut device, used) = used(device)?;
    let copy = Scratch::copy(&mut *device, used.as_ref(), scratch, on)?;
    on(Progress::Tool);
    verdict(host, &copy)
}

/// Returns the verdict on a copy, whose journal is replayed if that has not been done.
pub(super) fn verdict(host: &dyn Host, copy: &Scratch) -> Result<Checked, TendError> {
    // Replaying mends what is in its way, group descriptors say, without asking: it is done where
    // it is needed alone, and only one that had to mend nothing leaves something to be judged.
    if is_unfinished(&mut *copy.device()?)? {
        let replayed = run(host, &e2fsck::replay(copy.path()))?;
        if replayed.outcome != Outcome::Clean {
            return Ok(Checked { outcome: Outcome::Damaged, ..replayed });
        }
    }
    run(host, &e2fsck::check(copy.path()))
}

/// Returns whether the superblock says that the file system was in use when it was left: its
/// journal is to be replayed, or files without a name are to be removed.
///
/// Source: `struct ext2_super_block` in `ext2fs/ext2_fs.h`.
fn is_unfinished(device: &mut dyn Device) -> Result<bool, TendError> {
    const NEEDS_RECOVERY: u32 = 0x4;
    const ORPHANS_PRESENT: u32 = 0x1_0000;
    let mut bytes = [0; 1024];
    if device.size() < 1024 + len64(&bytes) {
        return Ok(false);
    }
    device.read_at(1024, &mut bytes).map_err(|source| TendError::Device { source })?;
    let [last_orphan, incompat, ro_compat] = [0xe8, 0x60, 0x64].map(|at| u32_at(&bytes, at));
    Ok(last_orphan != 0 || incompat & NEEDS_RECOVERY != 0 || ro_compat & ORPHANS_PRESENT != 0)
}

/// Mends the file system that fills `device`: [`Outcome::Mended`] if something was wrong.
///
/// # Effects
///
/// A copy of all of it is made in the folder `scratch`; what e2fsck changed there is written back
/// to the device when it is in order.
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
    let copy = Scratch::copy(&mut *device, None, scratch, on)?;
    on(Progress::Tool);
    let mended = run(host, &e2fsck::mend(copy.path()))?;
    if mended.outcome == Outcome::Clean {
        return Ok(mended);
    }
    // One run may uncover what only another can mend; the last word is that of a check.
    let again = run(host, &e2fsck::mend(copy.path()))?;
    if again.outcome == Outcome::Damaged {
        return Err(TendError::Unmendable { report: again.report });
    }
    let last = run(host, &e2fsck::check(copy.path()))?;
    if last.outcome != Outcome::Clean {
        return Err(TendError::Unmendable { report: last.report });
    }
    let all = whole(device.size());
    copy.write_back(&mut *device, &all, on)?;
    Ok(Checked { outcome: Outcome::Mended, report: mended.report })
}

/// Runs e2fsck.
pub(super) fn run(host: &dyn Host, cmd: &Cmd) -> Result<Checked, TendError> {
    let done = host.run(cmd).map_err(|source| TendError::Tool { source })?;
    let report = &done.stdout[..done.stdout.len().min(MOST_REPORT)];
    let mut report = String::from_utf8_lossy(report).into_owned();
    let outcome = Outcome::of(done.code);
    if outcome == Outcome::Damaged && report.trim().is_empty() {
        // Why it gave up is not on standard output; its first line is its version.
        report = done.stderr.lines().skip(1).collect::<Vec<_>>().join("\n");
    }
    Ok(Checked { outcome, report })
}
