// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An inode as it is on disk, read and changed by its members.
//!
//! Source: `struct ext2_inode_large` in `ext2fs/ext2_fs.h`; the encoding of times is in
//! Documentation/filesystems/ext4/inodes.rst of Linux.

use super::ffi::InodePtr;

/// `EXT4_EXTENTS_FL`.
pub(super) const EXTENTS_FL: u32 = 0x8_0000;
/// `EXT2_INDEX_FL`: a hashed directory.
pub(super) const INDEX_FL: u32 = 0x1000;
/// `EXT4_INLINE_DATA_FL`: the contents stand in the inode.
pub(super) const INLINE_DATA_FL: u32 = 0x1000_0000;
/// `S_IFMT`.
const TYPE_MASK: u32 = 0o170_000;
/// Where the part begins that inodes of 128 bytes lack.
const LARGE: usize = 128;
/// Bytes of the large part that are known here: up to and with `i_projid`.
const EXTRA: u16 = 32;

/// A moment: seconds since 1970, and nanoseconds after that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Seconds; negative before 1970. ext4 can hold 1901 to 2446 and shows others as these.
    pub seconds: i64,
    /// Nanoseconds, below 1,000,000,000.
    pub nanos: u32,
}

/// Owner, permissions and time of change of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attrs {
    /// The twelve bits of permission: 0o4755 for a set-uid program.
    pub mode: u32,
    /// User number of the owner.
    pub uid: u32,
    /// Group number.
    pub gid: u32,
    /// Time of the last change.
    pub mtime: Time,
}

/// What sort of thing an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A file with contents.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl Kind {
    /// Returns the word for it: `file`, `directory`, `symlink`, `char`, `block`, `fifo`, `socket`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Symlink => "symlink",
            Self::Char => "char",
            Self::Block => "block",
            Self::Fifo => "fifo",
            Self::Socket => "socket",
        }
    }

    const ALL: [Self; 7] = [
        Self::File,
        Self::Directory,
        Self::Symlink,
        Self::Char,
        Self::Block,
        Self::Fifo,
        Self::Socket,
    ];

    /// Returns the bits of `st_mode` for this kind.
    pub(super) fn bits(self) -> u32 {
        match self {
            Self::File => 0o100_000,
            Self::Directory => 0o040_000,
            Self::Symlink => 0o120_000,
            Self::Char => 0o020_000,
            Self::Block => 0o060_000,
            Self::Fifo => 0o010_000,
            Self::Socket => 0o140_000,
        }
    }

    /// Returns the kind that a directory entry writes as `EXT2_FT_*`.
    pub(super) fn file_type(self) -> u8 {
        match self {
            Self::File => 1,
            Self::Directory => 2,
            Self::Char => 3,
            Self::Block => 4,
            Self::Fifo => 5,
            Self::Socket => 6,
            Self::Symlink => 7,
        }
    }

    /// Returns the kind that a directory entry writes so.
    pub(super) fn from_file_type(file_type: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.file_type() == file_type)
    }

    pub(crate) fn from_mode(mode: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.bits() == mode & TYPE_MASK)
    }
}

/// One inode, in memory.
#[derive(Clone, Debug)]
pub(super) struct Inode {
    /// The bytes of the inode, as words so that C finds them aligned.
    words: Vec<u32>,
}

impl Inode {
    /// Returns an inode of zeros, `size` bytes long: 128 or more.
    pub(super) fn zeroed(size: usize) -> Self {
        Self { words: vec![0; size / 4] }
    }

    pub(super) fn as_mut_ptr(&mut self) -> InodePtr {
        self.words.as_mut_ptr()
    }

    /// Returns the length in bytes.
    pub(super) fn len(&self) -> usize {
        self.words.len() * 4
    }

    fn get32(&self, at: usize) -> u32 {
        self.words[at / 4]
    }

    fn set32(&mut self, at: usize, value: u32) {
        self.words[at / 4] = value;
    }

    fn get16(&self, at: usize) -> u16 {
        let bytes = self.words[at / 4].to_le_bytes();
        u16::from_le_bytes([bytes[at % 4], bytes[at % 4 + 1]])
    }

    fn set16(&mut self, at: usize, value: u16) {
        let mut bytes = self.words[at / 4].to_le_bytes();
        bytes[at % 4..at % 4 + 2].copy_from_slice(&value.to_le_bytes());
        self.words[at / 4] = u32::from_le_bytes(bytes);
    }

    pub(super) fn mode(&self) -> u32 {
        u32::from(self.get16(0))
    }

    pub(super) fn kind(&self) -> Option<Kind> {
        Kind::from_mode(self.mode())
    }

    pub(super) fn size(&self) -> u64 {
        u64::from(self.get32(0x04)) | u64::from(self.get32(0x6c)) << 32
    }

    pub(super) fn links(&self) -> u16 {
        self.get16(0x1a)
    }

    pub(super) fn set_links(&mut self, links: u16) {
        self.set16(0x1a, links);
    }

    pub(super) fn flags(&self) -> u32 {
        self.get32(0x20)
    }

    pub(super) fn set_flags(&mut self, flags: u32) {
        self.set32(0x20, flags);
    }

    /// Returns whether the 60 bytes of the inode lead to blocks.
    ///
    /// Source: `ext2fs_inode_has_valid_blocks2`, `ext2fs_is_fast_symlink` of libext2fs.
    pub(super) fn has_blocks(&self) -> bool {
        match self.kind() {
            _ if self.flags() & INLINE_DATA_FL != 0 => false,
            Some(Kind::File | Kind::Directory) => true,
            Some(Kind::Symlink) => self.size() >= 60 || self.flags() & EXTENTS_FL != 0,
            _ => false,
        }
    }

    /// Returns the block of extended attributes; 0 for none.
    pub(super) fn acl_block(&self) -> u64 {
        u64::from(self.get32(0x68)) | u64::from(self.get16(0x76)) << 32
    }

    /// Returns the 60 bytes that hold block numbers, extents or a short link's target.
    pub(super) fn block_area(&self) -> Vec<u8> {
        self.words[10..25].iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Puts a short link's target in the place of block numbers. At most 59 bytes.
    pub(super) fn set_block_area(&mut self, bytes: &[u8]) {
        let mut area = [0; 60];
        area[..bytes.len()].copy_from_slice(bytes);
        for (word, four) in self.words[10..25].iter_mut().zip(area.chunks_exact(4)) {
            *word = u32::from_le_bytes(four.try_into().expect("chunks of four"));
        }
    }

    /// Sets the device number.
    pub(super) fn set_device(&mut self, major: u32, minor: u32) {
        // Linux, include/linux/kdev_t.h: old_encode_dev and new_encode_dev.
        if major < 256 && minor < 256 {
            self.set32(0x28, major << 8 | minor);
        } else {
            self.set32(0x2c, (minor & 0xff) | major << 8 | (minor & !0xff) << 12);
        }
    }

    /// Returns the device number: major, minor.
    pub(super) fn device(&self) -> (u32, u32) {
        match self.get32(0x28) {
            0 => {
                let both = self.get32(0x2c);
                ((both >> 8) & 0xfff, (both & 0xff) | ((both >> 12) & 0xf_ff00))
            }
            old => (old >> 8 & 0xff, old & 0xff),
        }
    }

    fn is_large(&self) -> bool {
        self.len() > LARGE
    }

    /// Returns whether the inode has the member at `at` of the large part: what comes after
    /// `i_extra_isize` bytes is extended attributes.
    fn has(&self, at: usize) -> bool {
        self.is_large() && at + 4 <= LARGE + usize::from(self.get16(LARGE)).min(self.len() - LARGE)
    }

    /// Sets what differs of type, owner, permissions and the time of change.
    pub(super) fn change_attrs(&mut self, kind: Kind, attrs: &Attrs) {
        let accessed = (self.get32(0x08), self.has(0x8c).then(|| self.get32(0x8c)));
        let same_time = self.attrs().mtime == attrs.mtime;
        self.set_attrs(kind, attrs);
        if let (true, (seconds, extra)) = (same_time, accessed) {
            self.set32(0x08, seconds);
            if let Some(extra) = extra {
                self.set32(0x8c, extra);
            }
        }
    }

    /// Sets the time of the inode's change.
    pub(super) fn set_changed(&mut self, now: Time) {
        self.set_time(0x0c, 0x84, now);
    }

    /// Sets the times of the change of the contents and of the inode.
    pub(super) fn set_modified(&mut self, now: Time) {
        self.set_time(0x10, 0x88, now);
        self.set_changed(now);
    }

    /// Sets type, owner, permissions and the times of change and access.
    pub(super) fn set_attrs(&mut self, kind: Kind, attrs: &Attrs) {
        let mode = kind.bits() | attrs.mode & 0o7777;
        self.set16(0, u16::try_from(mode).expect("16 bits by its masks"));
        let low = |id: u32| u16::try_from(id & 0xffff).expect("masked");
        let high = |id: u32| u16::try_from(id >> 16).expect("16 bits are left");
        self.set16(0x02, low(attrs.uid));
        self.set16(0x78, high(attrs.uid));
        self.set16(0x18, low(attrs.gid));
        self.set16(0x7a, high(attrs.gid));
        self.set_time(0x10, 0x88, attrs.mtime);
        self.set_time(0x08, 0x8c, attrs.mtime);
    }

    /// Makes all members known here part of a new inode, and sets the times of its change and
    /// creation.
    pub(super) fn set_made(&mut self, now: Time) {
        if self.is_large() {
            self.set16(LARGE, EXTRA);
            self.set_time(0x90, 0x94, now);
        }
        self.set_time(0x0c, 0x84, now);
    }

    /// Sets every time of an inode that is in use.
    pub(super) fn set_times(&mut self, now: Time) {
        let attrs = Attrs { mtime: now, ..self.attrs() };
        if let Some(kind) = self.kind() {
            self.set_attrs(kind, &attrs);
        }
        self.set_time(0x0c, 0x84, now);
        if self.has(0x94) {
            self.set_time(0x90, 0x94, now);
        }
    }

    /// Returns the time of deletion, which is the next inode in a list of orphans.
    pub(super) fn deleted(&self) -> u32 {
        self.get32(0x14)
    }

    pub(super) fn clear_deleted(&mut self) {
        self.set32(0x14, 0);
    }

    /// Returns the number that changes when the inode is used anew.
    pub(super) fn generation(&self) -> u32 {
        self.get32(0x64)
    }

    /// Sets the time of deletion, which marks a free inode.
    pub(super) fn set_deleted(&mut self, now: Time) {
        let seconds = now.seconds.clamp(1, i64::from(u32::MAX));
        self.set32(0x14, u32::try_from(seconds).expect("clamped"));
    }

    fn set_time(&mut self, at: usize, extra_at: usize, time: Time) {
        // 32 signed bits, and two more that count how often these have wrapped since 1970.
        let (least, most) = (i64::from(i32::MIN), i64::from(i32::MAX) + (3 << 32));
        let most = if self.has(extra_at) { most } else { i64::from(i32::MAX) };
        let seconds = time.seconds.clamp(least, most);
        let low = u32::try_from(seconds & 0xffff_ffff).expect("masked");
        self.set32(at, low);
        if self.has(extra_at) {
            let epoch = (seconds - i64::from(low.cast_signed())) >> 32;
            let epoch = u32::try_from(epoch & 3).expect("masked");
            self.set32(extra_at, time.nanos.min(999_999_999) << 2 | epoch);
        }
    }

    /// Returns owner, permissions and time.
    pub(super) fn attrs(&self) -> Attrs {
        let extra = if self.has(0x88) { self.get32(0x88) } else { 0 };
        let seconds = i64::from(self.get32(0x10).cast_signed()) + (i64::from(extra & 3) << 32);
        Attrs {
            mode: self.mode() & 0o7777,
            uid: u32::from(self.get16(0x02)) | u32::from(self.get16(0x78)) << 16,
            gid: u32::from(self.get16(0x18)) | u32::from(self.get16(0x7a)) << 16,
            mtime: Time { seconds, nanos: extra >> 2 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_survive() {
        for seconds in [0, -1, 1 << 31, (1 << 31) - 1, 1 << 33, i64::from(i32::MIN)] {
            let mtime = Time { seconds, nanos: 123_456_789 };
            let attrs = Attrs { mode: 0o4755, uid: 0xdead_beef, gid: 70_000, mtime };
            let mut inode = Inode::zeroed(256);
            inode.set_made(mtime);
            inode.set_attrs(Kind::File, &attrs);
            assert_eq!(inode.attrs(), attrs);
            assert_eq!(inode.kind(), Some(Kind::File));
        }
    }

    #[test]
    fn small_inodes_hold_what_they_can() {
        let mtime = Time { seconds: 1 << 40, nanos: 5 };
        let mut inode = Inode::zeroed(128);
        inode.set_attrs(Kind::Directory, &Attrs { mode: 0o755, uid: 1, gid: 2, mtime });
        inode.set_made(mtime);
        let got = inode.attrs().mtime;
        assert_eq!(got, Time { seconds: i64::from(i32::MAX), nanos: 0 });
    }

    #[test]
    fn attributes_of_old_inodes_are_left_alone() {
        // Inodes of 256 bytes whose large part is unused, or has four members.
        for extra in [0, 16] {
            let mut inode = Inode::zeroed(256);
            inode.set16(LARGE, extra);
            let start = LARGE + usize::from(extra);
            (start.max(132)..256).step_by(4).for_each(|at| inode.set32(at, 0xea02_0000));
            let mtime = Time { seconds: 1 << 33, nanos: 7 };
            inode.set_attrs(Kind::File, &Attrs { mtime, ..Attrs::default() });
            inode.set_times(mtime);
            inode.set_modified(mtime);
            assert!((start.max(132)..256).step_by(4).all(|at| inode.get32(at) == 0xea02_0000));
            let whole = extra == 16;
            assert_eq!(inode.attrs().mtime == mtime, whole);
        }
    }

    #[test]
    fn device_numbers_survive() {
        for (major, minor) in [(1, 3), (8, 255), (8, 256), (0xfff, 0xf_ffff), (259, 1)] {
            let mut inode = Inode::zeroed(256);
            inode.set_device(major, minor);
            assert_eq!(inode.device(), (major, minor));
        }
    }
}
