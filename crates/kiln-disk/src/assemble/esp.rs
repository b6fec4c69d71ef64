// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a tree has in `/boot/efi`: it goes to the EFI system partition, which is mounted there.

use super::AssembleError;
use crate::fs::ext::{ExtError, ExtFs, Kind, Node};

/// The most files and folders of an EFI system partition.
const MOST: usize = 10_000;
/// The most folders within each other.
const DEEPEST: usize = 20;

/// Files: path and contents.
pub(super) type Files = Vec<(String, Vec<u8>)>;

/// Takes the files out of the tree, up to `most` bytes. Names that are no text stay out.
pub(super) fn take(fs: &mut ExtFs, most: u64) -> Result<Files, AssembleError> {
    let failed = |source| AssembleError::Tree { path: b"/boot/efi".to_vec(), source };
    let Ok(Some(top)) = fs.lookup(b"/boot/efi") else { return Ok(Vec::new()) };
    if !fs.is_directory(top).map_err(failed)? {
        return Ok(Vec::new());
    }
    let mut walk = Walk { files: Vec::new(), left: most, seen: 0 };
    walk.folder(fs, (top, ""), 0).map_err(failed)?;
    Ok(walk.files)
}

struct Walk {
    files: Files,
    left: u64,
    seen: usize,
}

impl Walk {
    /// Takes what is in a folder, and empties it.
    fn folder(
        &mut self,
        fs: &mut ExtFs,
        (folder, path): (Node, &str),
        depth: usize,
    ) -> Result<(), ExtError> {
        for entry in fs.list(folder)? {
            self.seen += 1;
            if self.seen > MOST || depth > DEEPEST {
                return Err(ExtError::NoBlocks);
            }
            let name = String::from_utf8(entry.name.clone()).ok();
            let own = name.map(|name| format!("{path}{name}"));
            let stat = fs.stat(entry.node)?;
            match (stat.kind, own) {
                (Kind::Directory, own) => {
                    let below = own.unwrap_or_default() + "/";
                    self.folder(fs, (entry.node, &below), depth + 1)?;
                }
                (Kind::File, Some(own)) => {
                    self.left = self.left.checked_sub(stat.size).ok_or(ExtError::NoBlocks)?;
                    self.files.push((own, fs.read_file(entry.node, stat.size)?));
                }
                _ => {}
            }
            fs.remove(folder, &entry.name)?;
        }
        Ok(())
    }
}
