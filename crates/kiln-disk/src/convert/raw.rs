// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The bytes of a disk as they are, with holes where they are zeros.

use std::os::unix::fs::FileExt;
use std::path::Path;

use super::error::ConvertError;
use super::pump::{Pump, runs};
use super::target::Target;
use super::{ConvertOptions, Converted};
use crate::device::{Device, len64};

pub(super) fn write(
    sources: Vec<Box<dyn Device + '_>>,
    pump: &Pump<'_>,
    target: &Path,
    options: &ConvertOptions,
) -> Result<Converted, ConvertError> {
    let failed = ConvertError::write(target);
    let made = Target::new(target).map_err(&failed)?;
    let file = made.file();
    file.set_len(pump.size).map_err(&failed)?;
    // The place of each byte is known, so the workers write.
    let prepare = |at: u64, bytes: &[u8]| {
        for run in runs(bytes) {
            file.write_all_at(&bytes[run.clone()], at + len64(&bytes[..run.start]))?;
        }
        Ok(())
    };
    pump.run(sources, &prepare, |_, _, ()| Ok(()), &failed)?;
    made.finish(options, pump.size)
}
