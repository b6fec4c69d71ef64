// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The database of packages that openSUSE's rpm keeps.
//!
//! Source: rpm, `lib/backend/ndb/rpmpkg.c`: pages of slots that say where each package's header
//! is, in blocks of 16 bytes; all with the low byte first.

const PAGE: usize = 4096;
const SLOT: usize = 16;
/// Slots at the beginning that are the file's own header.
const HEAD: usize = 32;

/// Returns the headers of all packages; `None` if the file is something else.
pub(super) fn blobs(file: &[u8], most: usize) -> Option<Vec<Vec<u8>>> {
    if file.get(..4)? != b"RpmP" {
        return None;
    }
    let pages = usize::try_from(le32(file, 12)?).ok()?;
    let slots = file.get(HEAD..pages.checked_mul(PAGE)?.min(file.len()))?;
    let mut all = Vec::new();
    for slot in slots.chunks_exact(SLOT) {
        if all.len() >= most || &slot[..4] != b"Slot" {
            continue;
        }
        let (package, block) = (le32(slot, 4)?, le32(slot, 8)?);
        if package == 0 || block == 0 {
            continue;
        }
        let at = usize::try_from(block).ok()?.checked_mul(16)?;
        let head = file.get(at..at.checked_add(16)?)?;
        if &head[..4] != b"BlbS" || le32(head, 4)? != package {
            return None;
        }
        let len = usize::try_from(le32(head, 12)?).ok()?;
        all.push(file.get(at + 16..(at + 16).checked_add(len)?)?.to_vec());
    }
    Some(all)
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_lead_to_headers() {
        let mut file = vec![0; 2 * PAGE];
        file[..4].copy_from_slice(b"RpmP");
        file[12..16].copy_from_slice(&1_u32.to_le_bytes());
        let slot =
            [&b"Slot"[..], &7_u32.to_le_bytes(), &256_u32.to_le_bytes(), &2_u32.to_le_bytes()];
        file[HEAD..HEAD + 16].copy_from_slice(&slot.concat());
        let blob = [&b"BlbS"[..], &7_u32.to_le_bytes(), &[0; 4], &5_u32.to_le_bytes(), b"hello"];
        file[PAGE..PAGE + 21].copy_from_slice(&blob.concat());
        assert_eq!(blobs(&file, 10), Some(vec![b"hello".to_vec()]));
        assert_eq!(blobs(&file, 0), Some(vec![]));
        for at in 0..PAGE + 32 {
            let mut bad = file.clone();
            bad[at] = 0xff;
            blobs(&bad, 10);
        }
        assert_eq!(blobs(b"other", 10), None);
    }
}
