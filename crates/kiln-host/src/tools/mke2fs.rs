// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `mke2fs`: an empty ext4 file system inside an image file.
//!
//! Source: mke2fs(8), e2fsprogs 1.47.0 to 1.47.2. `-E offset=` makes the file system at an offset
//! of the file, and the block count argument says how big it is. Exit status 0 or 1.

use std::path::Path;

use crate::cmd::{Cmd, Tool};

/// An ext4 file system to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ext4 {
    /// Where it begins in the file, in bytes.
    pub offset: u64,
    /// Its size in bytes; rounded down to whole KiB.
    pub size: u64,
    /// Its label, at most 16 bytes.
    pub label: String,
    /// Its UUID, in the usual hyphenated form.
    pub uuid: String,
    /// Its time of creation, in seconds since 1970.
    pub time: u64,
    /// Seed of the directory hash, in the same form: fixed, so that the same input gives the
    /// same bytes.
    pub hash_seed: String,
}

/// Returns the command that makes `fs` in `file`, which must already be long enough.
///
/// Two features that e2fsprogs 1.47 has by default are left out: GRUB before 2.12 refuses
/// `metadata_csum_seed`, and Linux before 5.15 `orphan_file`.
#[must_use]
pub fn make(file: &Path, fs: &Ext4) -> Cmd {
    Cmd::new(Tool::Mke2fs)
        .args(["-q", "-F", "-t", "ext4", "-b", "4096", "-m", "1"])
        .args(["-O", "^metadata_csum_seed,^orphan_file"])
        .args(["-L", &fs.label, "-U", &fs.uuid])
        .arg("-E")
        .arg(format!(
            "offset={},hash_seed={},lazy_itable_init=1,lazy_journal_init=1,nodiscard",
            fs.offset, fs.hash_seed
        ))
        .arg(file)
        .arg(format!("{}k", fs.size / 1024))
        // The first is what 1.47.0 knows, the second what later ones want.
        .env("E2FSPROGS_FAKE_TIME", fs.time.to_string())
        .env("SOURCE_DATE_EPOCH", fs.time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command() {
        let fs = Ext4 {
            offset: 1 << 20,
            size: 1 << 30,
            label: "root".into(),
            uuid: "u".into(),
            time: 1,
            hash_seed: "h".into(),
        };
        assert_eq!(
            make(Path::new("/x/d.raw"), &fs).to_string(),
            "mke2fs -q -F -t ext4 -b 4096 -m 1 -O '^metadata_csum_seed,^orphan_file' -L root -U u -E offset=1048576,hash_seed=h,\
             lazy_itable_init=1,lazy_journal_init=1,nodiscard /x/d.raw 1048576k"
        );
    }
}
