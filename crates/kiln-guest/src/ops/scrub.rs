// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `scrub`.

use std::io::{self, Read};

use super::argument::{action, path};
use super::context::write_from;
use super::{Action, Operation, Problem, Scene, Shown};
use crate::tree::walk::real_path;
use crate::tree::{GuestPath, Tree as _, TreeError};

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "scrub",
    argument: Some("FILE"),
    heading: "Overwrite and delete a file",
    documentation: "\
Overwrites the contents of a file with random bytes, then deletes it, so that the guest cannot \
bring them back. It works on files only; one with several names is overwritten for all of them.

What a scrub cannot do: in a qcow2 image the overwritten bytes go to new places of the image's \
file, and the old ones stay in the file, where no guest can reach them, until they are used anew; \
`kiln image convert` to a new file leaves them behind. Neither can it reach copies that the guest's \
file system, its journal or the disk below the image have made before.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| action(Scrub { file: path(text)? }),
};

/// Bytes of random data that are used again and again.
const PATTERN: usize = 1 << 16;

#[derive(Debug)]
struct Scrub {
    file: GuestPath,
}

impl Action for Scrub {
    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        let stat = scene.need_file(&self.file)?;
        let file = real_path(&mut scene.tree, &self.file, true)?;
        if file.names().next().is_none() {
            return Err(TreeError::NotAFile { path: file }.into());
        }
        let mut bytes = vec![0; PATTERN];
        (scene.random)(&mut bytes).map_err(|source| Problem::Random { source })?;
        // A run of zeros might become a hole, which overwrites nothing.
        bytes.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = 0x55);
        let mut pattern = Pattern { bytes, at: 0, left: stat.size };
        write_from(scene, &file, &mut pattern, &stat.attrs)?;
        Ok(scene.tree.unlink(&file)?)
    }
}

/// `left` bytes of a pattern.
struct Pattern {
    bytes: Vec<u8>,
    at: usize,
    left: u64,
}

impl Read for Pattern {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let rest = &self.bytes[self.at..];
        let got = buf.len().min(left).min(rest.len());
        buf[..got].copy_from_slice(&rest[..got]);
        self.at = (self.at + got) % self.bytes.len();
        self.left -= u64::try_from(got).map_err(io::Error::other)?;
        Ok(got)
    }
}
