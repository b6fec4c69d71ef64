// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What lies where: descriptors, path tables, folders, files.
//!
//! | sectors | what |
//! |---|---|
//! | 0-15 | system area, zeros |
//! | 16, 17, 18 | primary and supplementary volume descriptor, terminator |
//! | 19 … | path tables: primary L and M, Joliet L and M |
//! | … | folders: primary, Joliet; then the entries that had no room |
//! | … | the files, which both trees share |

use super::records::{self, Extent, Stamp, both16, both32};
use super::susp::{self, Continuation};
use super::tree::{Flavour, Tree};
use super::{IsoError, SECTOR};

/// The first volume descriptor: ECMA-119, 6.7.1.
const FIRST_DESCRIPTOR: usize = 16;

/// The first sector after the descriptors.
const FIRST_TABLE: usize = 19;

/// The most bytes of a directory record that is even.
const RECORD_LEN: usize = 254;

/// Joliet level 3: UCS-2, big end first.
const JOLIET_ESCAPE: &[u8] = b"%/E";

/// Type and permissions of folders and files, for everyone or for root alone: stat(2).
const MODES: [(u32, u32); 2] = [(0o040_555, 0o100_444), (0o040_500, 0o100_400)];

/// One tree as it lies on the disk.
#[derive(Debug, Default)]
struct Placed {
    /// The folders in the order of the path table.
    folders: Vec<usize>,
    /// Where each node lies, by its number.
    extents: Vec<Extent>,
    /// The first sector of each path table, little and big end first.
    tables: [u32; 2],
}

/// All that decides the bytes.
#[derive(Debug)]
pub(super) struct Layout<'a> {
    /// The volume id.
    pub(super) volume: &'a str,
    /// When everything was made.
    pub(super) stamp: Stamp,
    /// Whether only root may read.
    pub(super) private: bool,
    /// The tree.
    pub(super) tree: &'a Tree<'a>,
}

impl Layout<'_> {
    /// Returns the bytes of the whole file system.
    pub(super) fn build(&self) -> Result<Vec<u8>, IsoError> {
        let flavours = [Flavour::Primary, Flavour::Joliet];
        let mut next = FIRST_TABLE;
        let mut placed = [Placed::default(), Placed::default()];
        for (flavour, placed) in flavours.into_iter().zip(&mut placed) {
            placed.folders = self.tree.folders(flavour);
            placed.extents = vec![Extent::default(); self.tree.nodes.len()];
            // The path table has 16-bit numbers of folders: ECMA-119, 9.4.4.
            if u16::try_from(placed.folders.len()).is_err() {
                return Err(self.too_large());
            }
            let sectors = self.path_table(placed, flavour, false).len().div_ceil(SECTOR);
            placed.tables = [self.number(next)?, self.number(next + sectors)?];
            next += 2 * sectors;
        }
        let mut continuation = Continuation::default();
        for (flavour, placed) in flavours.into_iter().zip(&mut placed) {
            for at in 0..placed.folders.len() {
                let folder = placed.folders[at];
                let len = self.folder(folder, flavour, placed, &mut continuation).len();
                placed.extents[folder] =
                    Extent { sector: self.number(next)?, len: self.number(len)? };
                next += len / SECTOR;
            }
        }
        let continuation_at = self.number(next)?;
        next += continuation.bytes.len().div_ceil(SECTOR);
        let data_at = next;
        for (number, node) in self.tree.nodes.iter().enumerate() {
            if let Some(content) = node.content {
                let extent =
                    Extent { sector: self.number(next)?, len: self.number(content.len())? };
                placed.iter_mut().for_each(|p| p.extents[number] = extent);
                next += content.len().div_ceil(SECTOR);
            }
        }
        // An empty file points to a sector that is there.
        let end = if next == data_at { next + 1 } else { next };
        for extent in placed.iter_mut().flat_map(|p| &mut p.extents).filter(|e| e.len == 0) {
            extent.sector = self.number(data_at)?;
        }
        let continuation = Continuation { sector: continuation_at, bytes: Vec::new() };
        Ok(self.write(&placed, continuation, self.number(end)?))
    }

    fn too_large(&self) -> IsoError {
        IsoError::TooLarge { what: self.volume.to_owned() }
    }

    fn number(&self, n: usize) -> Result<u32, IsoError> {
        u32::try_from(n).map_err(|_| self.too_large())
    }

    fn write(&self, placed: &[Placed; 2], mut more: Continuation, sectors: u32) -> Vec<u8> {
        let byte = |sector: u32| index(sector) * SECTOR;
        let mut out = vec![0; byte(sectors)];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        for (number, flavour) in [Flavour::Primary, Flavour::Joliet].into_iter().enumerate() {
            let placed = &placed[number];
            let descriptor = self.descriptor(placed, flavour, sectors);
            put((FIRST_DESCRIPTOR + number) * SECTOR, &descriptor);
            put(byte(placed.tables[0]), &self.path_table(placed, flavour, false));
            put(byte(placed.tables[1]), &self.path_table(placed, flavour, true));
            for &folder in &placed.folders {
                let bytes = self.folder(folder, flavour, placed, &mut more);
                put(byte(placed.extents[folder].sector), &bytes);
            }
        }
        put((FIRST_DESCRIPTOR + 2) * SECTOR, b"\xffCD001\x01");
        put(byte(more.sector), &more.bytes);
        for (node, extent) in self.tree.nodes.iter().zip(&placed[0].extents) {
            if let Some(content) = node.content {
                put(byte(extent.sector), content);
            }
        }
        out
    }

    /// Returns a path table: ECMA-119, 9.4.
    fn path_table(&self, placed: &Placed, flavour: Flavour, big: bool) -> Vec<u8> {
        let mut numbers = vec![1_u16; self.tree.nodes.len()];
        let mut out = Vec::new();
        for (number, &folder) in (1_u16..).zip(&placed.folders) {
            numbers[folder] = number;
            let node = &self.tree.nodes[folder];
            let (sector, parent) = (placed.extents[folder].sector, numbers[node.parent]);
            let id = node.identifier(flavour);
            out.push(u8::try_from(id.len()).expect("identifiers are short"));
            out.push(0);
            out.extend(if big { sector.to_be_bytes() } else { sector.to_le_bytes() });
            out.extend(if big { parent.to_be_bytes() } else { parent.to_le_bytes() });
            out.extend(id);
            if id.len() % 2 == 1 {
                out.push(0);
            }
        }
        out
    }

    /// Returns a folder's records, in whole sectors; no record crosses a sector's end.
    fn folder(
        &self,
        folder: usize,
        flavour: Flavour,
        placed: &Placed,
        more: &mut Continuation,
    ) -> Vec<u8> {
        let parent = self.tree.nodes[folder].parent;
        let mut own = self.attributes(folder);
        if folder == 0 {
            own.insert(0, susp::sharing_protocol());
            own.push(susp::extension_reference());
        }
        let mut entries = vec![(folder, vec![0], own), (parent, vec![1], self.attributes(parent))];
        for child in self.tree.children(folder, flavour) {
            let node = &self.tree.nodes[child];
            let mut attributes = self.attributes(child);
            attributes.extend(susp::name(node.name));
            entries.push((child, node.identifier(flavour).to_vec(), attributes));
        }
        let mut out = Vec::new();
        for (node, id, attributes) in entries {
            let room = RECORD_LEN - records::record_head_len(&id);
            let system_use = match flavour {
                Flavour::Primary => more.fit(&attributes, room),
                Flavour::Joliet => Vec::new(),
            };
            let is_folder = self.tree.nodes[node].content.is_none();
            let extent = placed.extents[node];
            let record = records::record(&id, extent, is_folder, &self.stamp, &system_use);
            if out.len() % SECTOR + record.len() > SECTOR {
                out.resize(out.len().next_multiple_of(SECTOR), 0);
            }
            out.extend(record);
        }
        out.resize(out.len().next_multiple_of(SECTOR), 0);
        out
    }

    fn attributes(&self, node: usize) -> Vec<Vec<u8>> {
        let (folder, file) = MODES[usize::from(self.private)];
        let posix = if self.tree.nodes[node].content.is_some() {
            susp::posix(file, 1)
        } else {
            susp::posix(folder, self.tree.links(node))
        };
        vec![posix, susp::times(&self.stamp)]
    }

    /// Returns a volume descriptor: ECMA-119, 8.4 and 8.5.
    fn descriptor(&self, placed: &Placed, flavour: Flavour, sectors: u32) -> Vec<u8> {
        let table_len = self.path_table(placed, flavour, false).len();
        let table_len = u32::try_from(table_len).expect("65535 folders at most");
        let root = records::record(&[0], placed.extents[0], true, &self.stamp, &[]);
        let mut out = vec![0; SECTOR];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &[if flavour == Flavour::Primary { 1 } else { 2 }]);
        put(1, b"CD001\x01");
        put(8, &text("", 32, flavour));
        put(40, &text(self.volume, 32, flavour));
        put(80, &both32(sectors));
        if flavour == Flavour::Joliet {
            put(88, JOLIET_ESCAPE);
        }
        put(120, &both16(1));
        put(124, &both16(1));
        put(128, &both16(2048));
        put(132, &both32(table_len));
        put(140, &placed.tables[0].to_le_bytes());
        put(148, &placed.tables[1].to_be_bytes());
        put(156, &root);
        // Volume set, publisher, preparer and application, then three names of files.
        put(190, &text("", 384, flavour));
        put(574, &text("KILN", 128, flavour));
        put(702, &text("", 37, flavour));
        put(739, &text("", 37, flavour));
        put(776, &text("", 37, flavour));
        // Made, changed, never too old, good from the start.
        put(813, &self.stamp.long);
        put(830, &self.stamp.long);
        put(847, b"0000000000000000\0");
        put(864, b"0000000000000000\0");
        put(881, &[1]);
        out
    }
}

/// Returns a text in a field of `len` bytes, filled up with spaces; an odd last byte of Joliet
/// is zero.
fn text(text: &str, len: usize, flavour: Flavour) -> Vec<u8> {
    let mut out: Vec<u8> = match flavour {
        Flavour::Primary => text.bytes().chain(std::iter::repeat(b' ')).take(len).collect(),
        Flavour::Joliet => {
            let units = text.encode_utf16().chain(std::iter::repeat(u16::from(b' ')));
            units.take(len / 2).flat_map(u16::to_be_bytes).collect()
        }
    };
    out.resize(len, 0);
    out
}

fn index(sector: u32) -> usize {
    usize::try_from(sector).expect("usize has at least 32 bits")
}
