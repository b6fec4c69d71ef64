// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Extended attributes and access control lists.

use super::{ExtError, ExtFs, Node};

/// What libext2fs calls the part of a file's contents that stands among the attributes.
pub(super) const INLINE: &str = "system.data";
/// The access control list of a node itself.
const ACCESS: &str = "system.posix_acl_access";
/// `XATTR_SIZE_MAX` of Linux.
const MOST_VALUE: usize = 65_536;
/// `XATTR_NAME_MAX` of Linux.
const MOST_NAME: usize = 255;
/// `EXT4_FEATURE_INCOMPAT_EA_INODE`.
const EA_INODE: u32 = 0x400;

impl ExtFs {
    /// Sets extended attributes by their full names: `user.x`, `security.capability`. Access
    /// control lists are `system.posix_acl_access` and `system.posix_acl_default`, with the value
    /// that getxattr(2) gives. Others stay.
    ///
    /// # Errors
    ///
    /// [`ExtError::XattrsTooLarge`]; [`ExtError::Library`] for a name without a known beginning.
    /// Those before the one that failed are set.
    pub fn set_xattrs(&mut self, node: Node, xattrs: &[(String, Vec<u8>)]) -> Result<(), ExtError> {
        if xattrs.is_empty() {
            return Ok(());
        }
        check(xattrs)?;
        self.raw.set_xattrs(node.0, xattrs)?;
        self.note_change(node)
    }

    /// Makes the extended attributes these and no others.
    ///
    /// # Errors
    ///
    /// As [`ExtFs::set_xattrs`]. Those that were there are put back then.
    pub fn replace_xattrs(
        &mut self,
        node: Node,
        xattrs: &[(String, Vec<u8>)],
    ) -> Result<(), ExtError> {
        check(xattrs)?;
        let before = self.xattrs(node)?;
        let same = before.len() == xattrs.len() && before.iter().all(|one| xattrs.contains(one));
        if same {
            return Ok(());
        }
        self.put_only(node, xattrs).or_else(|error| {
            self.put_only(node, &before)?;
            Err(error)
        })?;
        self.note_change(node)
    }

    fn put_only(&mut self, node: Node, xattrs: &[(String, Vec<u8>)]) -> Result<(), ExtError> {
        let keep = |name: &[u8]| {
            name == INLINE.as_bytes() || xattrs.iter().any(|(wanted, _)| wanted.as_bytes() == name)
        };
        self.raw.remove_xattrs(node.0, keep)?;
        if xattrs.is_empty() { Ok(()) } else { self.raw.set_xattrs(node.0, xattrs) }
    }

    /// Removes extended attributes by their names; one that is not there is no error.
    ///
    /// # Errors
    ///
    /// [`ExtError::Library`], [`ExtError::Io`].
    pub fn remove_xattrs(&mut self, node: Node, names: &[&str]) -> Result<(), ExtError> {
        let goes = |name: &[u8]| names.iter().any(|one| one.as_bytes() == name);
        self.raw.remove_xattrs(node.0, |name| name == INLINE.as_bytes() || !goes(name))?;
        self.note_change(node)
    }

    /// Returns the extended attributes of a node, as [`ExtFs::set_xattrs`] takes them.
    ///
    /// # Errors
    ///
    /// [`ExtError::Library`], [`ExtError::Io`].
    pub fn xattrs(&self, node: Node) -> Result<Vec<(String, Vec<u8>)>, ExtError> {
        let mut all = self.raw.xattrs(node.0)?;
        all.retain(|(name, _)| name != INLINE);
        for (name, value) in &mut all {
            if name.starts_with("system.posix_acl_") {
                *value = acl_from_disk(value);
            }
        }
        Ok(all)
    }

    /// Makes the access control list of a node, if it has one, say what its permissions do.
    pub(super) fn follow_mode(&mut self, node: Node, mode: u32) -> Result<(), ExtError> {
        let xattrs = self.xattrs(node)?;
        let Some((name, value)) = xattrs.into_iter().find(|(name, _)| name == ACCESS) else {
            return Ok(());
        };
        self.raw.set_xattrs(node.0, &[(name, acl_of_mode(value, mode))])
    }

    /// Notes the time of a change that left the contents alone.
    pub(super) fn note_change(&mut self, node: Node) -> Result<(), ExtError> {
        let mut inode = self.raw.read_inode(node.0)?;
        inode.set_changed(self.now());
        self.raw.write_inode(node.0, &mut inode)
    }

    /// Returns whether values of attributes may live in inodes of their own.
    pub(super) fn has_value_inodes(&self) -> bool {
        self.raw.super32(0x60) & EA_INODE != 0
    }
}

/// Returns an access control list after chmod(2): owner and others get their bits; those of the
/// group are the mask, if there is one.
///
/// Source: `__posix_acl_chmod_masq` in Linux, fs/posix_acl.c.
fn acl_of_mode(mut value: Vec<u8>, mode: u32) -> Vec<u8> {
    const OWNER: u16 = 0x01;
    const GROUP: u16 = 0x04;
    const MASK: u16 = 0x10;
    const OTHER: u16 = 0x20;
    let tag = |entry: &[u8]| u16::from_le_bytes([entry[0], entry[1]]);
    let entries = value.get_mut(4..).unwrap_or_default();
    let masked = entries.chunks_exact(8).any(|entry| tag(entry) == MASK);
    for entry in entries.chunks_exact_mut(8) {
        let shift = match tag(entry) {
            OWNER => 6,
            MASK => 3,
            GROUP if !masked => 3,
            OTHER => 0,
            _ => continue,
        };
        let [bits, ..] = (mode >> shift & 7).to_le_bytes();
        entry[2] = bits;
    }
    value
}

/// Returns an error if Linux would not take these.
fn check(xattrs: &[(String, Vec<u8>)]) -> Result<(), ExtError> {
    for (name, value) in xattrs {
        if value.len() > MOST_VALUE {
            return Err(ExtError::XattrsTooLarge);
        }
        if name.len() > MOST_NAME || name == INLINE {
            return Err(ExtError::BadName { name: name.clone().into_bytes() });
        }
    }
    Ok(())
}

/// Returns an access control list as getxattr(2) gives it, from the shorter form on disk, which
/// leaves out numbers that say nothing. libext2fs does this one way only while it lists.
///
/// Source: Linux, `fs/ext4/acl.h` (version 1) and `posix_acl_xattr.h` (version 2).
fn acl_from_disk(disk: &[u8]) -> Vec<u8> {
    const USER: u16 = 0x02;
    const GROUP: u16 = 0x08;
    let mut value = 2_u32.to_le_bytes().to_vec();
    let mut rest = disk.get(4..).unwrap_or_default();
    while let Some((head, after)) = rest.split_first_chunk::<4>() {
        let tag = u16::from_le_bytes([head[0], head[1]]);
        value.extend_from_slice(head);
        rest = after;
        let id = if tag == USER || tag == GROUP { rest.split_first_chunk::<4>() } else { None };
        match id {
            Some((id, after)) => {
                value.extend_from_slice(id);
                rest = after;
            }
            None => value.extend_from_slice(&u32::MAX.to_le_bytes()),
        }
    }
    value
}
