// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Passphrases of encrypted disks, and how QEMU is told one.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

/// A passphrase for an encrypted disk.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub Vec<u8>);

/// Without the passphrase.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

/// A passphrase in a file that only this user can read, until this is dropped: QEMU takes it from
/// there when it starts.
#[derive(Debug)]
pub(super) struct KeyFile(NamedTempFile);

impl KeyFile {
    pub(super) fn new(key: &Key) -> io::Result<Self> {
        let mut file = tempfile::Builder::new().prefix("kiln-key-").tempfile()?;
        file.write_all(&key.0)?;
        Ok(Self(file))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}
