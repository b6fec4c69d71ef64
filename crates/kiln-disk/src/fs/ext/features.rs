// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which file systems may be written to.

use super::raw::Raw;

/// What the mender of damaged file systems is, in the words of errors.
const MEND: &str = "`kiln image check --repair` mends it";

/// Says why a file system must not be written to, if so.
pub(super) fn refusal(raw: &Raw) -> Option<String> {
    // ext2fs/ext2_fs.h: s_feature_incompat at 0x60, s_feature_ro_compat at 0x64, s_state at 0x3a.
    const CANNOT: [(u32, &str); 3] =
        [(0x1_0000, "encrypt"), (0x2_0000, "casefold"), (0x100, "mmp")];
    const CANNOT_RO: [(u32, &str); 1] = [(0x100, "quota")];
    const VALID: u16 = 1;
    const ERRORS: u16 = 2;
    let (incompat, ro_compat, state) = (raw.super32(0x60), raw.super32(0x64), raw.super16(0x3a));
    if state & ERRORS != 0 {
        return Some(format!("errors are noted in it; {MEND}"));
    }
    if state & VALID == 0 {
        return Some(format!("it has no journal and was not unmounted; {MEND}"));
    }
    let mut features = CANNOT.iter().filter(|(bit, _)| incompat & bit != 0);
    let mut ro_features = CANNOT_RO.iter().filter(|(bit, _)| ro_compat & bit != 0);
    let (_, name) = features.next().or_else(|| ro_features.next())?;
    Some(format!("it has the feature `{name}`"))
}

/// Notes that a file system's journal has been replayed.
pub(super) fn set_recovered(raw: &mut Raw) {
    const INCOMPAT: usize = 0x60;
    const NEEDS_RECOVERY: u32 = 0x4;
    let features = raw.super32(INCOMPAT);
    if features & NEEDS_RECOVERY != 0 {
        raw.set_super32(INCOMPAT, features & !NEEDS_RECOVERY);
        raw.sum_groups();
    }
}
