// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Access control lists: from tar's text to the bytes of an extended attribute.
//!
//! Source: acl(5), "ACL TEXT FORMS"; Linux, `include/uapi/linux/posix_acl_xattr.h`.

/// `POSIX_ACL_XATTR_VERSION`.
const VERSION: u32 = 2;
/// `ACL_UNDEFINED_ID`.
const NO_ID: u32 = u32::MAX;

/// Why the text of an access control list cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AclError {
    /// It is no entry as acl(5) describes it.
    #[error("`{entry}` is no entry of an access control list")]
    Malformed {
        /// The entry.
        entry: String,
    },
    /// It names a user or group, and only the guest knows the number.
    #[error(
        "`{entry}` names its user, and its number is wanted; make the archive with --xattrs and without --acls"
    )]
    Named {
        /// The entry.
        entry: String,
    },
}

/// Bytes of a list with the entries that the permission bits have, too: owner, group, others.
pub(super) const MINIMAL: usize = 4 + 3 * 8;

/// Returns the value of `system.posix_acl_*` for a list in text form.
pub(super) fn to_xattr(text: &str) -> Result<Vec<u8>, AclError> {
    let mut entries = text
        .split([',', '\n'])
        .map(|entry| entry.split('#').next().unwrap_or_default().trim())
        .filter(|entry| !entry.is_empty())
        .map(entry)
        .collect::<Result<Vec<_>, _>>()?;
    // The kernel wants them by tag, then by number.
    entries.sort_unstable_by_key(|&(tag, _, id)| (tag, id));
    let mut value = VERSION.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        value.extend_from_slice(&tag.to_le_bytes());
        value.extend_from_slice(&permissions.to_le_bytes());
        value.extend_from_slice(&id.to_le_bytes());
    }
    Ok(value)
}

/// Reads `user:1000:rw-` (or `user:name:rw-:1000`, as star writes it): tag, permissions, number.
fn entry(text: &str) -> Result<(u16, u16, u32), AclError> {
    let malformed = || AclError::Malformed { entry: text.to_owned() };
    let mut parts = text.split(':');
    let tag = parts.next().ok_or_else(malformed)?;
    let who = parts.next().ok_or_else(malformed)?;
    let letters = parts.next().ok_or_else(malformed)?;
    let number = parts.next();
    let tag = match (tag, who.is_empty()) {
        ("user" | "u", true) => 0x01,
        ("user" | "u", false) => 0x02,
        ("group" | "g", true) => 0x04,
        ("group" | "g", false) => 0x08,
        ("mask" | "m", true) => 0x10,
        ("other" | "o", true) => 0x20,
        _ => return Err(malformed()),
    };
    let permissions = letters.chars().try_fold(0, |bits, letter| match letter {
        'r' => Ok(bits | 4),
        'w' => Ok(bits | 2),
        'x' => Ok(bits | 1),
        '-' => Ok(bits),
        _ => Err(malformed()),
    })?;
    let id = match (who, number) {
        ("", _) => NO_ID,
        ("root", _) => 0,
        (_, Some(number)) => number.parse().map_err(|_| malformed())?,
        (name, None) => name.parse().map_err(|_| AclError::Named { entry: text.to_owned() })?,
    };
    Ok((tag, permissions, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_becomes_what_getxattr_gives() {
        // setfacl -m u:1000:rw,g:4:r f; getfattr -e hex -n system.posix_acl_access f
        let text = "user::rw-\nuser:1000:rw-\t#effective:rw-\ngroup::r--\ngroup:4:r--\nmask::rw-\nother::r--";
        let hex = "0200000001000600ffffffff02000600e803000004000400ffffffff080004000400000010000600ffffffff20000400ffffffff";
        let value = to_xattr(text).unwrap();
        let got: String = value.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(got, hex);
    }

    #[test]
    fn a_list_of_permission_bits_only_is_minimal() {
        assert_eq!(to_xattr("user::rwx,group::r-x,other::r-x").unwrap().len(), MINIMAL);
    }

    #[test]
    fn what_cannot_be_kept_is_named() {
        let error = |text| to_xattr(text).unwrap_err().to_string();
        assert_eq!(
            error("user::rwx,group:adm:r-x"),
            "`group:adm:r-x` names its user, and its number is wanted; make the archive with --xattrs and without --acls"
        );
        assert_eq!(error("user::x:y,who::r"), "`who::r` is no entry of an access control list");
        assert_eq!(error("nobody"), "`nobody` is no entry of an access control list");
    }
}
