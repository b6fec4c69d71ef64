// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A compressed file to a sparse one.
//!
//! The compression is told by the first bytes, as file(1) does: publishers' names end in anything.
//! xz in several blocks, which virt-builder-repository and `xz -T` write, is unpacked by as many
//! threads as there are processors.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use kiln_disk::decompress::Packing;
use kiln_host::signal;
use liblzma::bufread::XzDecoder;
use liblzma::stream::MtStreamBuilder;

/// Bytes that are looked at for zeros: a file system's block or more.
const BLOCK: usize = 64 << 10;
/// Bytes read at a time.
const STEP: usize = 1 << 20;
/// What unpacking xz may take at most, with one thread and with several.
const XZ_MEMORY: (u64, u64) = (256 << 20, 512 << 20);
/// The most that unpacked bytes may be, where nobody says: a disk of 16 TiB.
pub(super) const MOST: u64 = 16 << 40;

/// Tells how a file is compressed.
pub(super) fn packing_of(path: &Path) -> io::Result<Packing> {
    let mut head = Vec::new();
    File::open(path)?.take(8).read_to_end(&mut head)?;
    Ok(Packing::of(&head))
}

/// Unpacks `from` into the new file `to`, of at most `most` bytes; returns how many there are.
/// `progress` gets how many are written.
///
/// # Errors
///
/// What reading and writing say; [`io::ErrorKind::FileTooLarge`]; [`io::ErrorKind::Interrupted`]
/// if Kiln was told to stop.
pub(super) fn unpack(
    from: &Path,
    packing: Packing,
    to: &Path,
    most: u64,
    progress: &dyn Fn(u64),
) -> io::Result<u64> {
    let input = BufReader::with_capacity(STEP, File::open(from)?);
    let mut out = Sparse { file: File::create_new(to)?, at: 0, most, progress };
    match packing {
        Packing::Plain => out.copy(input)?,
        Packing::Xz => out.copy_xz(input)?,
        Packing::Zstd => out.copy(zstd::stream::read::Decoder::with_buffer(input)?)?,
        Packing::Gzip => out.copy(MultiGzDecoder::new(input))?,
        Packing::Bzip2 => out.copy(bzip2::bufread::MultiBzDecoder::new(input))?,
    }
    out.file.set_len(out.at)?;
    Ok(out.at)
}

struct Sparse<'a> {
    file: File,
    at: u64,
    most: u64,
    progress: &'a dyn Fn(u64),
}

impl Sparse<'_> {
    /// One stream after the other, as xz(1) reads them; zeros may lie between.
    fn copy_xz(&mut self, mut input: impl BufRead) -> io::Result<()> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
        let mut builder = MtStreamBuilder::new();
        builder.threads(u32::try_from(threads).unwrap_or(1));
        builder.memlimit_stop(XZ_MEMORY.0).memlimit_threading(XZ_MEMORY.1);
        while !input.fill_buf()?.is_empty() {
            let stream = builder.decoder().map_err(io::Error::other)?;
            let mut decoder = XzDecoder::new_stream(input, stream);
            self.copy(&mut decoder)?;
            input = decoder.into_inner();
            skip_zeros(&mut input)?;
        }
        Ok(())
    }

    fn copy(&mut self, mut input: impl Read) -> io::Result<()> {
        let mut buf = vec![0; STEP];
        loop {
            if signal::interrupted() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let n = fill(&mut input, &mut buf)?;
            let Some(bytes) = buf.get(..n).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
            for block in bytes.chunks(BLOCK) {
                let length = u64::try_from(block.len()).unwrap_or(u64::MAX);
                if length > self.most.saturating_sub(self.at) {
                    let what = format!("it has more than {} bytes", self.most);
                    return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
                }
                if block.iter().any(|byte| *byte != 0) {
                    self.file.write_all_at(block, self.at)?;
                }
                self.at += length;
            }
            (self.progress)(self.at);
        }
    }
}

fn skip_zeros(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let bytes = input.fill_buf()?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let more = zeros == bytes.len() && zeros > 0;
        input.consume(zeros);
        if !more {
            return Ok(());
        }
    }
}

/// Reads until the buffer is full or the input ends.
fn fill(input: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while let Some(rest) = buf.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted && !signal::interrupted() => {}
            Err(e) => return Err(e),
        }
    }
    Ok(got)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_testkit::{need_program, run};
    use std::os::unix::fs::MetadataExt;

    /// 3 MiB with a hole in the middle, as compressed by `command`.
    fn packed(folder: &Path, command: &str) -> (Vec<u8>, std::path::PathBuf) {
        let mut bytes = kiln_testkit::Rng::new(1).bytes(1 << 20);
        bytes.resize(2 << 20, 0);
        bytes.extend(kiln_testkit::Rng::new(2).bytes((1 << 20) - 7));
        let (plain, to) = (folder.join("plain"), folder.join("packed"));
        std::fs::write(&plain, &bytes).unwrap();
        let script = format!("{command} < {} > {}", plain.display(), to.display());
        drop(run(&["sh", "-c", &script]).success());
        (bytes, to)
    }

    #[test]
    fn what_the_tools_pack_is_unpacked_with_its_holes() {
        for (command, packing) in [
            ("cat", Packing::Plain),
            ("xz -1 --block-size=300000", Packing::Xz),
            ("zstd -q -1", Packing::Zstd),
            ("gzip -1", Packing::Gzip),
            ("bzip2 -1", Packing::Bzip2),
        ] {
            if !need_program(command.split(' ').next().unwrap()) {
                continue;
            }
            let folder = tempfile::tempdir().unwrap();
            let (bytes, from) = packed(folder.path(), command);
            assert_eq!(packing_of(&from).unwrap(), packing);
            let to = folder.path().join("to");
            let length = u64::try_from(bytes.len()).unwrap();
            assert_eq!(unpack(&from, packing, &to, length, &|_| {}).unwrap(), length);
            assert!(std::fs::read(&to).unwrap() == bytes, "{command}");
            let blocks = std::fs::metadata(&to).unwrap().blocks() * 512;
            assert!(blocks < (5 << 20) / 2, "{command}: {blocks} bytes on the disk");

            let again = folder.path().join("again");
            let error = unpack(&from, packing, &again, length - 1, &|_| {}).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
            // Cut off, and changed in the middle.
            let good = std::fs::read(&from).unwrap();
            if packing != Packing::Plain {
                std::fs::write(&from, &good[..good.len() / 2]).unwrap();
                let cut = unpack(&from, packing, &folder.path().join("cut"), MOST, &|_| {});
                assert!(cut.is_err(), "{command}");
            }
        }
    }

    #[test]
    fn streams_of_xz_may_follow_each_other() {
        if !need_program("xz") {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("two.xz");
        let script =
            format!("(printf a | xz; head -c 8 /dev/zero; printf b | xz) > {}", from.display());
        drop(run(&["sh", "-c", &script]).success());
        let to = folder.path().join("to");
        assert_eq!(unpack(&from, Packing::Xz, &to, 10, &|_| {}).unwrap(), 2);
        assert_eq!(std::fs::read(&to).unwrap(), b"ab");
        std::fs::write(&from, [std::fs::read(&from).unwrap(), b"x".to_vec()].concat()).unwrap();
        assert!(unpack(&from, Packing::Xz, &folder.path().join("c"), 10, &|_| {}).is_err());
    }
}
