// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Making a file system larger or smaller, with `resize2fs`.

use std::path::Path;

use kiln_host::Host;
use kiln_host::tools::e2fsck::{self, Outcome};
use kiln_host::tools::resize2fs;
use kiln_spec::Bytes;

use super::check::{run, verdict};
use super::scratch::{OnProgress, Progress, Scratch, TendError, Used, used, whole};
use super::{Access, ExtFs};
use crate::device::Device;

/// Returns about how small the file system that fills `device` can be made, by the judgement of
/// `resize2fs`.
///
/// # Effects
///
/// A copy of what is in use is made in the folder `scratch` and removed again.
///
/// # Errors
///
/// [`TendError::Damaged`], [`TendError::Read`], and those of the copy.
pub fn minimum_size(
    device: Box<dyn Device>,
    host: &dyn Host,
    scratch: &Path,
    on: OnProgress<'_>,
) -> Result<Bytes, TendError> {
    let (mut device, used) = used(device)?;
    let copy = sound_copy(&mut *device, used.as_ref(), (host, scratch), on)?;
    minimum_of(&copy, host)
}

/// Makes the file system that fills `device` at most `new_len` bytes large: as many whole blocks
/// as that has. Returns the size that it has then.
///
/// # Effects
///
/// The work is done on a copy in the folder `scratch` of what is in use; when that is in order,
/// what has changed is written to the device, of which nothing past the new end is touched.
///
/// # Errors
///
/// [`TendError::TooLarge`] if the device is smaller than that; [`TendError::TooSmall`],
/// [`TendError::Damaged`], and those of the copy and the tools. The device is as it was then,
/// unless writing to it failed.
pub fn resize(
    device: Box<dyn Device>,
    new_len: u64,
    (host, scratch): (&dyn Host, &Path),
    on: OnProgress<'_>,
) -> Result<Bytes, TendError> {
    let (room, wanted) = (Bytes(device.size()), Bytes(new_len));
    if wanted > room {
        return Err(TendError::TooLarge { room, wanted });
    }
    let (mut device, before) = used(device)?;
    let copy = sound_copy(&mut *device, before.as_ref(), (host, scratch), on)?;
    let (block, size) = sizes(&copy)?;
    let blocks = new_len / block;
    if blocks * block == size {
        return Ok(Bytes(size));
    }
    if blocks * block < size {
        let minimum = minimum_of(&copy, host)?;
        if wanted < minimum {
            return Err(TendError::TooSmall { minimum, wanted });
        }
    }
    copy.lengthen(new_len)?;
    on(Progress::Tool);
    let resized = host.run(&resize2fs::resize(copy.path(), blocks));
    resized.map_err(|source| TendError::Tool { source })?;
    let checked = run(host, &e2fsck::check(copy.path()))?;
    if checked.outcome != Outcome::Clean {
        return Err(TendError::Damaged { report: checked.report });
    }
    copy.lengthen(new_len)?;
    // Blocks that are free hold nothing, here or there.
    let (_, after) = used(copy.device()?)?;
    let after = after.unwrap_or_else(|| whole(new_len));
    copy.write_back(&mut *device, &after, on)?;
    Ok(Bytes(sizes(&copy)?.1))
}

/// Returns a copy that e2fsck has found to be in order, its journal replayed.
fn sound_copy(
    device: &mut dyn Device,
    used: Option<&Used>,
    (host, scratch): (&dyn Host, &Path),
    on: OnProgress<'_>,
) -> Result<Scratch, TendError> {
    let copy = Scratch::copy(device, used, scratch, on)?;
    // Says what is no ext file system at all.
    sizes(&copy)?;
    on(Progress::Tool);
    let checked = verdict(host, &copy)?;
    if checked.outcome != Outcome::Clean {
        return Err(TendError::Damaged { report: checked.report });
    }
    // Writes down that it was checked, which resize2fs asks for.
    run(host, &e2fsck::mend(copy.path()))?;
    Ok(copy)
}

/// Returns the size of a block and of the file system, in bytes.
fn sizes(copy: &Scratch) -> Result<(u64, u64), TendError> {
    let fs = ExtFs::open(copy.device()?, Access::Read);
    let usage = fs.map_err(|source| TendError::Read { source })?.usage();
    Ok((usage.block.0, usage.size.0))
}

fn minimum_of(copy: &Scratch, host: &dyn Host) -> Result<Bytes, TendError> {
    let (block, size) = sizes(copy)?;
    let printed = host.run(&resize2fs::minimum(copy.path()));
    let printed = printed.map_err(|source| TendError::Tool { source })?.stdout;
    let blocks = resize2fs::parse_minimum(&String::from_utf8_lossy(&printed));
    // Its present size if resize2fs says nothing that can be read.
    Ok(blocks.and_then(|blocks| blocks.checked_mul(block)).map_or(Bytes(size), Bytes))
}
