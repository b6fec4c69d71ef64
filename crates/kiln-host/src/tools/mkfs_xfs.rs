// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `mkfs.xfs`: an empty XFS file system that fills a file.
//!
//! Source: mkfs.xfs(8), xfsprogs 5.19 to 6.13. It takes no time from outside, so that two of the
//! same differ in the times of the root directory.

use std::path::Path;

use crate::cmd::{Cmd, Tool};

/// Returns the command that makes a file system as large as `file`, with a label of at most 12
/// bytes.
///
/// What xfsprogs has by default grows faster than what GRUB reads. What is on here every kernel
/// since 5.10 and GRUB since 2.06 know; large counts of extents, reverse maps and later features
/// are off.
#[must_use]
pub fn make(file: &Path, label: &str, uuid: &str) -> Cmd {
    Cmd::new(Tool::MkfsXfs)
        .args(["-q", "-f", "-L", label])
        .arg("-m")
        .arg(format!("crc=1,finobt=1,inobtcount=1,bigtime=1,reflink=1,rmapbt=0,uuid={uuid}"))
        .args(["-i", "nrext64=0"])
        .arg(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command() {
        assert_eq!(
            make(Path::new("/x/d"), "root", "u").to_string(),
            "mkfs.xfs -q -f -L root -m crc=1,finobt=1,inobtcount=1,bigtime=1,reflink=1,rmapbt=0,\
             uuid=u -i nrext64=0 /x/d"
        );
    }
}
