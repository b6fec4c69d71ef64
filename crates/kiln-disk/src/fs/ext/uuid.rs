// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The UUID of a file system.

use super::{Access, ExtError, ExtFs};

/// `s_uuid`, ext2fs/ext2_fs.h.
const UUID: usize = 0x68;
/// `s_feature_incompat`, and of it `csum_seed`: checksums have a seed of their own.
const INCOMPAT: (usize, u32) = (0x60, 0x2000);
/// `s_feature_ro_compat`, and of it `metadata_csum`.
const RO_COMPAT: (usize, u32) = (0x64, 0x400);

impl ExtFs {
    /// Returns its UUID.
    #[must_use]
    pub fn uuid(&self) -> [u8; 16] {
        self.raw.super_bytes(UUID)
    }

    /// Gives it another UUID; `false` if that is not possible because all of its checksums are
    /// made of the old one.
    ///
    /// # Errors
    ///
    /// [`ExtError::ReadOnly`] if it is open for reading only.
    pub fn set_uuid(&mut self, uuid: [u8; 16]) -> Result<bool, ExtError> {
        if self.access == Access::Read {
            return Err(ExtError::ReadOnly { why: String::from("it is open for reading only") });
        }
        let has = |(at, bit): (usize, u32)| self.raw.super32(at) & bit != 0;
        if has(RO_COMPAT) && !has(INCOMPAT) {
            return Ok(false);
        }
        for (number, bytes) in uuid.chunks_exact(4).enumerate() {
            let value = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            self.raw.set_super32(UUID + 4 * number, value);
        }
        self.raw.set_group_checksums();
        Ok(true)
    }
}
