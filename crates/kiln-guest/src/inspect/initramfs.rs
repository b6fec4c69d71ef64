// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which drivers an initramfs has.
//!
//! Source: Linux, `Documentation/driver-api/early-userspace/buffer-format.rst`: cpio archives
//! ("newc") one after the other, each as it is or compressed, zeros between them.
//!
//! **Invariant:** of what is unpacked, names alone are kept, and a bounded number of bytes is
//! looked at, whatever the archive says.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Cursor, Read};

use kiln_disk::decompress::Packing;

/// The most bytes that are unpacked.
const MOST_UNPACKED: u64 = 1 << 30;
/// The most archives in one file.
const MOST_ARCHIVES: usize = 16;
/// The most bytes of a name.
const MOST_NAME: usize = 4096;
/// Bytes of a header of newc.
const HEAD: usize = 110;

/// Returns which of `wanted` (names of modules, `virtio_blk`) an initramfs has; `None` if it is
/// of no known kind, or damaged before any was found.
pub(super) fn modules(file: &[u8], wanted: &[&str]) -> Option<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut rest = file;
    for _ in 0..MOST_ARCHIVES {
        let zeros = rest.iter().position(|&b| b != 0).unwrap_or(rest.len());
        rest = &rest[zeros..];
        if rest.is_empty() || found.len() == wanted.len() {
            return Some(found);
        }
        if rest.starts_with(b"07070") {
            let mut reader = Counted { from: rest, at: 0 };
            let whole = archive(&mut reader, wanted, &mut found).is_ok();
            let used = reader.at;
            if !whole || used == 0 {
                return (!found.is_empty()).then_some(found);
            }
            rest = &rest[used..];
            continue;
        }
        // After a compressed archive nothing is looked for: its end is not known without it.
        let unpacked = unpacked(rest)?;
        let mut reader = BufReader::with_capacity(1 << 16, unpacked.take(MOST_UNPACKED));
        loop {
            match archive(&mut reader, wanted, &mut found) {
                Ok(()) if found.len() < wanted.len() && skip_zeros(&mut reader) => (),
                Ok(()) => return Some(found),
                Err(_) => return (!found.is_empty()).then_some(found),
            }
        }
    }
    Some(found)
}

fn unpacked(bytes: &[u8]) -> Option<Box<dyn Read + '_>> {
    let from = Cursor::new(bytes);
    Some(match Packing::of(bytes) {
        Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(from)),
        Packing::Zstd => Box::new(ruzstd::decoding::StreamingDecoder::new(from).ok()?),
        Packing::Xz => {
            const MEMORY: u64 = 512 << 20;
            let stream = liblzma::stream::Stream::new_auto_decoder(MEMORY, 0).ok()?;
            Box::new(liblzma::read::XzDecoder::new_stream(from, stream))
        }
        Packing::Plain | Packing::Bzip2 => return None,
    })
}

/// Reads one archive up to its end.
fn archive(from: &mut impl Read, wanted: &[&str], found: &mut BTreeSet<String>) -> io::Result<()> {
    loop {
        let mut head = [0; HEAD];
        from.read_exact(&mut head)?;
        if !head.starts_with(b"070701") && !head.starts_with(b"070702") {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let size = field(&head, 6)?;
        let name_len = usize::try_from(field(&head, 11)?).unwrap_or(usize::MAX);
        if name_len == 0 || name_len > MOST_NAME {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut name = vec![0; (HEAD + name_len).next_multiple_of(4) - HEAD];
        from.read_exact(&mut name)?;
        name.truncate(name_len - 1);
        if name == b"TRAILER!!!" {
            return Ok(());
        }
        if let Some(module) = module(&name)
            && let Some(wanted) = wanted.iter().find(|wanted| **wanted == module)
        {
            found.insert((*wanted).to_owned());
            if found.len() == wanted.len() {
                return Ok(());
            }
        }
        let data = u64::from(size).next_multiple_of(4);
        if io::copy(&mut from.take(data), &mut io::sink())? < data {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Returns a module's name from its path, with `_` for `-` as the kernel has it.
pub(super) fn module(path: &[u8]) -> Option<String> {
    let name = path.rsplit(|&b| b == b'/').next()?;
    let name = std::str::from_utf8(name).ok()?;
    let (name, rest) = name.split_once(".ko")?;
    matches!(rest, "" | ".xz" | ".zst" | ".gz").then(|| name.replace('-', "_"))
}

/// Returns one of the header's numbers: eight hexadecimal digits each, after six of magic.
fn field(head: &[u8; HEAD], index: usize) -> io::Result<u32> {
    let digits = &head[6 + 8 * index..14 + 8 * index];
    let text = std::str::from_utf8(digits).ok();
    let number = text.and_then(|text| u32::from_str_radix(text, 16).ok());
    number.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Skips zeros; returns whether anything comes after them.
fn skip_zeros(from: &mut impl BufRead) -> bool {
    while let Ok(bytes) = from.fill_buf() {
        if bytes.is_empty() {
            return false;
        }
        let zeros = bytes.iter().position(|&b| b != 0);
        let used = zeros.unwrap_or(bytes.len());
        from.consume(used);
        if zeros.is_some() {
            return true;
        }
    }
    false
}

/// A slice that is read, and how much of it was.
struct Counted<'a> {
    from: &'a [u8],
    at: usize,
}

impl Read for Counted<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = (&self.from[self.at..]).read(buf)?;
        self.at += got;
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const WANTED: &[&str] = &["virtio_blk", "virtio_net"];

    fn cpio(names: &[&str]) -> Vec<u8> {
        let mut all = Vec::new();
        for name in names.iter().chain(&["TRAILER!!!"]) {
            let data = if *name == "TRAILER!!!" { &b""[..] } else { b"data!" };
            let fields = [1, 0o100_644, 0, 0, 1, 0, data.len(), 0, 0, 0, 0, name.len() + 1, 0];
            all.extend_from_slice(b"070701");
            for field in fields {
                all.extend_from_slice(format!("{field:08x}").as_bytes());
            }
            all.extend_from_slice(format!("{name}\0").as_bytes());
            all.resize(all.len().next_multiple_of(4), 0);
            all.extend_from_slice(data);
            all.resize(all.len().next_multiple_of(4), 0);
        }
        all.resize(all.len().next_multiple_of(512), 0);
        all
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    fn names(file: &[u8]) -> Option<Vec<String>> {
        modules(file, WANTED).map(|found| found.into_iter().collect())
    }

    #[test]
    fn drivers_are_found_behind_microcode_and_in_parts() {
        let early = cpio(&["kernel/x86/microcode/GenuineIntel.bin"]);
        let main = cpio(&["usr", "usr/lib/modules/6.1/kernel/drivers/block/virtio_blk.ko.xz"]);
        let more = cpio(&["lib/modules/6.1/kernel/drivers/net/virtio-net.ko"]);
        assert_eq!(names(&main), Some(vec!["virtio_blk".to_owned()]));
        let packed = gzip(&[main.clone(), more.clone()].concat());
        let both = ["virtio_blk", "virtio_net"].map(str::to_owned).to_vec();
        assert_eq!(names(&[early.clone(), packed].concat()), Some(both.clone()));
        assert_eq!(names(&[early, main, more].concat()), Some(both));
        assert_eq!(names(&cpio(&["init"])), Some(vec![]));
    }

    #[test]
    fn damaged_archives_end() {
        let whole = gzip(&cpio(&["a/virtio_blk.ko", "b"]));
        for cut in 0..whole.len() {
            names(&whole[..cut]);
        }
        let plain = cpio(&["a/virtio_blk.ko", "b"]);
        for at in 0..plain.len() {
            let mut bad = plain.clone();
            bad[at] = b'f';
            names(&bad);
        }
        assert_eq!(names(b"something else"), None);
        assert_eq!(names(&[]), Some(vec![]));
    }
}
