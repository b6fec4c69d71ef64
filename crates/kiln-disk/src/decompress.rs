// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A stream that may be compressed (gzip, xz, zstd, bzip2), decompressed by a thread of its own, so that
//! its reader's work and the decompression overlap.
//!
//! **Invariant:** memory is bounded whatever the stream says: [`BUFFERS`] of [`BUFFER`] bytes, and
//! what the decompressor may take (zstd windows of 128 MiB, xz dictionaries of 64 MiB).

use std::fmt;
use std::io::{self, BufReader, Cursor, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

/// Bytes that are handed over together.
pub const BUFFER: usize = 1 << 20;
/// How many such buffers wait for their reader at most.
pub const BUFFERS: usize = 8;
/// Bytes read from the compressed stream at a time.
const INPUT: usize = 1 << 18;
/// The largest window of zstd, as a power of two: what `zstd` itself takes without `--long`.
const MOST_WINDOW: u32 = 27;
/// The most memory of xz: `xz -9` needs 65 MiB.
const MOST_XZ: u64 = 80 << 20;

/// What a stream is compressed with, as its first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// bzip2.
    Bzip2,
    /// gzip, RFC 1952.
    Gzip,
    /// xz.
    Xz,
    /// Zstandard, RFC 8878; skippable frames may come first.
    Zstd,
}

impl Packing {
    /// Returns the packing of a stream that begins with `head`: six bytes are enough.
    #[must_use]
    pub fn of(head: &[u8]) -> Self {
        // Deflate is the only method that gzip has.
        if head.starts_with(&[0x1f, 0x8b, 8]) {
            Self::Gzip
        } else if head.starts_with(b"BZh") {
            Self::Bzip2
        } else if head.starts_with(b"\xfd7zXZ\0") {
            Self::Xz
        } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
            || (head.len() >= 4 && head[0] & 0xf0 == 0x50 && head[1..4] == [0x2a, 0x4d, 0x18])
        {
            Self::Zstd
        } else {
            Self::Plain
        }
    }
}

/// A stream that another thread reads ahead.
pub struct ReadAhead {
    from: Receiver<io::Result<Vec<u8>>>,
    /// Where buffers go that have been read: new ones would have to be made zeros first.
    back: Sender<Vec<u8>>,
    now: Cursor<Vec<u8>>,
    ended: bool,
}

impl fmt::Debug for ReadAhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadAhead").finish_non_exhaustive()
    }
}

impl ReadAhead {
    /// Begins to read `from` in another thread, which ends with the stream or when this is dropped.
    ///
    /// # Errors
    ///
    /// What the system says if it makes no thread.
    pub fn new(from: impl Read + Send + 'static) -> io::Result<Self> {
        Self::begin(move || Ok(Box::new(from)))
    }

    fn begin(
        open: impl FnOnce() -> io::Result<Box<dyn Read>> + Send + 'static,
    ) -> io::Result<Self> {
        let (to, from) = sync_channel(BUFFERS);
        let (back, empty) = channel();
        thread::Builder::new().name("read-ahead".to_owned()).spawn(move || match open() {
            Ok(mut from) => pump(&mut from, &to, &empty),
            // Nobody listens any more: nobody needs to know.
            Err(error) => to.send(Err(error)).unwrap_or_default(),
        })?;
        Ok(Self { from, back, now: Cursor::default(), ended: false })
    }
}

/// The contents of a stream, read as they are decompressed.
#[derive(Debug)]
pub struct Decompressed {
    from: ReadAhead,
    packing: Packing,
}

impl Decompressed {
    /// Begins to decompress `from`, in another thread, which ends with the stream or when this is
    /// dropped.
    ///
    /// # Errors
    ///
    /// What reading the first bytes says.
    pub fn new(mut from: impl Read + Send + 'static) -> io::Result<Self> {
        let mut head = Vec::new();
        from.by_ref().take(6).read_to_end(&mut head)?;
        let packing = Packing::of(&head);
        let whole = BufReader::with_capacity(INPUT, Cursor::new(head).chain(from));
        Ok(Self { from: ReadAhead::begin(move || reader(whole, packing))?, packing })
    }

    /// Returns what the stream is compressed with.
    #[must_use]
    pub fn packing(&self) -> Packing {
        self.packing
    }
}

impl Read for Decompressed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.from.read(buf)
    }
}

fn reader(
    from: BufReader<impl Read + Send + 'static>,
    packing: Packing,
) -> io::Result<Box<dyn Read>> {
    Ok(match packing {
        Packing::Plain => Box::new(from),
        Packing::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(from)),
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(from)),
        Packing::Xz => {
            const CONCATENATED: u32 = liblzma::stream::CONCATENATED;
            let stream = liblzma::stream::Stream::new_stream_decoder(MOST_XZ, CONCATENATED)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(from, stream))
        }
        Packing::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(from)?;
            decoder.window_log_max(MOST_WINDOW)?;
            Box::new(decoder)
        }
    })
}

/// Hands over what `from` gives, until it ends or nobody listens.
fn pump(from: &mut dyn Read, to: &SyncSender<io::Result<Vec<u8>>>, empty: &Receiver<Vec<u8>>) {
    loop {
        let mut buffer = empty.try_recv().unwrap_or_default();
        buffer.resize(BUFFER, 0);
        let mut filled = 0;
        while filled < BUFFER {
            match from.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(more) => filled += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    // What came before it is handed over first.
                    buffer.truncate(filled);
                    if filled == 0 || to.send(Ok(buffer)).is_ok() {
                        to.send(Err(error)).unwrap_or_default();
                    }
                    return;
                }
            }
        }
        buffer.truncate(filled);
        if filled == 0 || to.send(Ok(buffer)).is_err() {
            return;
        }
    }
}

impl Read for ReadAhead {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let got = self.now.read(buf)?;
            if got > 0 || buf.is_empty() || self.ended {
                return Ok(got);
            }
            match self.from.recv() {
                Ok(Ok(buffer)) => {
                    let read = std::mem::replace(&mut self.now, Cursor::new(buffer));
                    // A thread that has ended needs no more.
                    self.back.send(read.into_inner()).unwrap_or_default();
                }
                Ok(Err(error)) => {
                    self.ended = true;
                    return Err(error);
                }
                // The other end is gone: the stream has ended.
                Err(_) => self.ended = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn contents() -> Vec<u8> {
        (0..5_000_000_u32).flat_map(|n| (n / 7).to_le_bytes()).take(5_000_000).collect()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        to.write_all(bytes).unwrap();
        to.finish().unwrap()
    }

    fn bzip2(bytes: &[u8]) -> Vec<u8> {
        let mut to = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        to.write_all(bytes).unwrap();
        to.finish().unwrap()
    }

    fn xz(bytes: &[u8]) -> Vec<u8> {
        let mut to = liblzma::write::XzEncoder::new(Vec::new(), 0);
        to.write_all(bytes).unwrap();
        to.finish().unwrap()
    }

    fn whole(bytes: Vec<u8>) -> io::Result<(Packing, Vec<u8>)> {
        let mut from = Decompressed::new(Cursor::new(bytes))?;
        let mut got = Vec::new();
        from.read_to_end(&mut got)?;
        Ok((from.packing(), got))
    }

    #[test]
    fn every_packing_is_told_and_undone() {
        let plain = contents();
        let zstd = zstd::bulk::compress(&plain, 1).unwrap();
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3][..], &zstd].concat();
        let twice = [gzip(b"one"), gzip(b"two")].concat();
        for (packed, packing) in [
            (plain.clone(), Packing::Plain),
            (gzip(&plain), Packing::Gzip),
            (bzip2(&plain), Packing::Bzip2),
            (xz(&plain), Packing::Xz),
            (zstd, Packing::Zstd),
            (skippable, Packing::Zstd),
        ] {
            let (told, got) = whole(packed).unwrap();
            assert_eq!(told, packing);
            assert!(got == plain, "{packing:?}");
        }
        assert_eq!(whole(twice).unwrap().1, b"onetwo");
        assert_eq!(whole(Vec::new()).unwrap(), (Packing::Plain, Vec::new()));
    }

    #[test]
    fn what_is_cut_off_or_damaged_is_an_error_after_what_came() {
        let plain = contents();
        for packed in [gzip(&plain), xz(&plain), zstd::bulk::compress(&plain, 1).unwrap()] {
            let half = packed[..packed.len() / 2].to_vec();
            let error = whole(half).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
        }
        // zstd has no checksum here.
        for mut damaged in [gzip(&plain), xz(&plain)] {
            let middle = damaged.len() / 2;
            damaged[middle..middle + 64].fill(0xff);
            assert!(whole(damaged).is_err());
        }
    }

    #[test]
    fn a_reader_that_goes_away_ends_the_thread() {
        // The thread owns the stream: when that is dropped, the thread has ended.
        struct Endless(std::sync::mpsc::Sender<()>);
        impl Read for Endless {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                buf.fill(b'x');
                Ok(buf.len())
            }
        }
        impl Drop for Endless {
            fn drop(&mut self) {
                self.0.send(()).unwrap();
            }
        }
        let (dropped, seen) = std::sync::mpsc::channel();
        let mut from = Decompressed::new(Endless(dropped)).unwrap();
        from.read_exact(&mut [0; 100]).unwrap();
        drop(from);
        assert_eq!(seen.recv(), Ok(()));
    }

    #[test]
    fn a_window_larger_than_the_limit_is_refused() {
        // Magic; descriptor: no size, no checksum; window of 2^(10+20) bytes.
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0, 20 << 3, 0x01, 0, 0];
        assert!(whole(frame.to_vec()).is_err());
    }
}
