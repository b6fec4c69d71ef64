// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which file systems may be written to.

use super::raw::Raw;

/// Says why a file system must not be written to, if so.
pub(super) fn refusal(raw: &Raw) -> Option<String> {
    // ext2fs/ext2_fs.h: s_feature_incompat at 0x60, s_feature_ro_compat at 0x64, s_state at 0x3a.
    const NEEDS_RECOVERY: u32 = 0x4;
    const CANNOT: [(u32, &str); 3] =
        [(0x1_0000, "encrypt"), (0x2_0000, "casefold"), (0x100, "mmp")];
    const ORPHAN_PRESENT: u32 = 0x1_0000;
    const CANNOT_RO: [(u32, &str); 3] = [(0x100, "quota"), (0x200, "bigalloc"), (0x8000, "verity")];
    const VALID: u16 = 1;
    const ERRORS: u16 = 2;
    let (incompat, ro_compat, state) = (raw.super32(0x60), raw.super32(0x64), raw.super16(0x3a));
    if incompat & NEEDS_RECOVERY != 0 || ro_compat & ORPHAN_PRESENT != 0 {
        return Some("its journal has not been replayed; run e2fsck on it first".to_owned());
    }
    if state & VALID == 0 || state & ERRORS != 0 {
        return Some("it was not unmounted cleanly; run e2fsck on it first".to_owned());
    }
    let mut features = CANNOT.iter().filter(|(bit, _)| incompat & bit != 0);
    let mut ro_features = CANNOT_RO.iter().filter(|(bit, _)| ro_compat & bit != 0);
    let (_, name) = features.next().or_else(|| ro_features.next())?;
    Some(format!("it has the feature `{name}`"))
}
