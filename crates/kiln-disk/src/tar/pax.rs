// SPDX-License-Identifier: Apache-2.0 OR MIT
//! PAX records: `length key=value\n`, where the value may hold any bytes.

use std::collections::BTreeMap;

use super::acl::{self, AclError};

/// The beginning of the keys of extended attributes.
const XATTR: &str = "SCHILY.xattr.";
/// Beginnings of the attributes' names that a Linux file system keeps. Others describe the host
/// that the archive was made on (`btrfs.compression`, `system.nfs4_acl`).
const KEPT: [&str; 5] =
    ["user.", "security.", "trusted.", "system.posix_acl_access", "system.posix_acl_default"];
/// Where overlayfs keeps its own: nothing of the tree.
const OVERLAY: [&str; 2] = ["trusted.overlay.", "user.overlay."];

/// The records that hold for a member, by key. A later one replaces an earlier one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Records(BTreeMap<String, Vec<u8>>);

impl Records {
    /// Returns these records with those of `bytes` over them; `None` if a length is wrong.
    pub(super) fn with(mut self, mut bytes: &[u8]) -> Option<Self> {
        while !bytes.is_empty() {
            let space = bytes.iter().take(20).position(|&b| b == b' ')?;
            let len: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
            let record = bytes.get(space + 1..len)?;
            let record = record.strip_suffix(b"\n")?;
            let equals = record.iter().position(|&b| b == b'=')?;
            // A key that is no text is none of those that are known here.
            if let Ok(key) = std::str::from_utf8(&record[..equals]) {
                self.0.insert(key.to_owned(), record[equals + 1..].to_vec());
            }
            bytes = &bytes[len..];
        }
        Some(self)
    }

    /// Lays `others` over these.
    pub(super) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Returns the value of a key. POSIX: an empty value takes an earlier one back.
    pub(super) fn get(&self, key: &str) -> Option<&[u8]> {
        self.0.get(key).map(Vec::as_slice).filter(|value| !value.is_empty())
    }

    /// Returns whether the holes were cut out of the member.
    pub(super) fn is_sparse(&self) -> bool {
        self.0.keys().any(|key| key.starts_with("GNU.sparse."))
    }

    /// Returns a whole number of the records, or the header's; `None` if it is no number.
    pub(super) fn number(&self, key: &str, header: u64) -> Option<u64> {
        match self.get(key) {
            None => Some(header),
            Some(value) => std::str::from_utf8(value).ok()?.parse().ok(),
        }
    }

    /// Returns a time of the records, or the header's: seconds and nanoseconds.
    pub(super) fn time(&self, key: &str, header: i64) -> Option<(i64, u32)> {
        let Some(value) = self.get(key) else { return Some((header, 0)) };
        let text = std::str::from_utf8(value).ok()?;
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let seconds: i64 = whole.parse().ok()?;
        if !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
        let nanos = digits.fold(0, |n, b| n * 10 + u32::from(b - b'0'));
        // -1.5 is one and a half seconds before 1970: -2 and half a second.
        if whole.starts_with('-') && nanos > 0 {
            return Some((seconds.checked_sub(1)?, 1_000_000_000 - nanos));
        }
        Some((seconds, nanos))
    }

    /// Returns the extended attributes, sorted by name, with access control lists among them.
    pub(super) fn xattrs(&self) -> Result<Vec<(String, Vec<u8>)>, AclError> {
        let named =
            self.0.iter().filter_map(|(key, value)| Some((key.strip_prefix(XATTR)?, value)));
        let mut all: BTreeMap<String, Vec<u8>> = named
            .filter(|(name, _)| KEPT.iter().any(|kept| name.starts_with(kept)))
            .filter(|(name, _)| !OVERLAY.iter().any(|other| name.starts_with(other)))
            .filter(|(name, _)| !name.contains('\0'))
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .collect();
        for (key, name) in [
            ("SCHILY.acl.access", "system.posix_acl_access"),
            ("SCHILY.acl.default", "system.posix_acl_default"),
        ] {
            // `tar --xattrs` has it as it was, by number.
            if all.contains_key(name) {
                continue;
            }
            let Some(text) = self.get(key).map(String::from_utf8_lossy) else { continue };
            let value = acl::to_xattr(&text)?;
            // A default list always says something; an access list may repeat the mode.
            if key.ends_with("default") || value.len() > acl::MINIMAL {
                all.insert(name.to_owned(), value);
            }
        }
        Ok(all.into_iter().collect())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn record(key: &str, value: &[u8]) -> Vec<u8> {
        let body = key.len() + value.len() + 3;
        let len = (body + 1..).find(|len| body + len.to_string().len() == *len).unwrap();
        [format!("{len} {key}=").as_bytes(), value, b"\n"].concat()
    }

    #[test]
    fn values_may_hold_any_bytes() {
        let value = b"a\nb=c\0\xff\n13 path=evil\n";
        let bytes = [record("SCHILY.xattr.user.x", value), record("path", b"p")].concat();
        let records = Records::default().with(&bytes).unwrap();
        assert_eq!(records.xattrs().unwrap(), [("user.x".to_owned(), value.to_vec())]);
        assert_eq!(records.get("path"), Some(&b"p"[..]));
    }

    #[test]
    fn wrong_lengths_are_refused() {
        for bytes in [
            "8 path=x\n",
            "11 path=x\n",
            "path=x\n",
            "0 \n",
            "3 =",
            "99999999999999999999 a=b\n",
            "5 ab\n",
        ] {
            assert_eq!(Records::default().with(bytes.as_bytes()), None, "{bytes:?}");
        }
    }

    #[test]
    fn times_have_nanoseconds() {
        for (text, time) in [
            ("1.5", Some((1, 500_000_000))),
            ("1700000000.123456789123", Some((1_700_000_000, 123_456_789))),
            ("-1.25", Some((-2, 750_000_000))),
            ("-3", Some((-3, 0))),
            ("x", None),
            ("1.x", None),
        ] {
            let records = Records::default().with(&record("mtime", text.as_bytes())).unwrap();
            assert_eq!(records.time("mtime", 7), time, "{text}");
        }
        assert_eq!(Records::default().time("mtime", 7), Some((7, 0)));
    }

    #[test]
    fn a_list_by_number_counts_more_than_one_by_name() {
        let named = record("SCHILY.acl.access", b"user::rwx,group:adm:r-x,group::r--,other::-");
        let raw = record("SCHILY.xattr.system.posix_acl_access", b"as it was");
        let alone = Records::default().with(&named).unwrap();
        assert!(matches!(alone.xattrs(), Err(AclError::Named { .. })));
        let both = Records::default().with(&[named, raw].concat()).unwrap();
        let kept = vec![("system.posix_acl_access".to_owned(), b"as it was".to_vec())];
        assert_eq!(both.xattrs().unwrap(), kept);
    }

    #[test]
    fn attributes_of_the_host_are_left_out() {
        let bytes: Vec<u8> =
            ["btrfs.compression", "trusted.overlay.opaque", "system.nfs4_acl", "user.mine"]
                .iter()
                .flat_map(|name| record(&format!("{XATTR}{name}"), b"y"))
                .collect();
        let records = Records::default().with(&bytes).unwrap();
        assert_eq!(records.xattrs().unwrap(), [("user.mine".to_owned(), b"y".to_vec())]);
    }
}
