// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A stream that may be compressed (gzip, xz, zstd, bzip2), decompressed by threads of its own, so that
//! its reader's work and the decompression overlap.
//!
//! Frames of zstd that tell their length are decompressed side by side, one thread each (`frames`);
//! anything else by one thread.
//!
//! **Invariant:** memory is bounded whatever the stream says: [`BUFFERS`] of [`BUFFER`] bytes, or
//! [`FRAMES`] and one for each thread of [`MOST_FRAME`], and what the decompressor may take (zstd
//! windows of 128 MiB, xz dictionaries of 64 MiB).

mod frames;

use std::fmt;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

pub use self::frames::MOST_FRAME;
use self::frames::Next;

/// Bytes that are handed over together.
pub const BUFFER: usize = 1 << 20;
/// How many such buffers wait for their reader at most.
pub const BUFFERS: usize = 8;
/// How many frames wait for their reader at most.
pub const FRAMES: usize = 4;
/// The most threads that decompress frames: together they are faster than any reader here.
const MOST_THREADS: usize = 3;
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

/// Contents in the order of the stream, until the other end goes away.
type Contents = Receiver<io::Result<Vec<u8>>>;

/// A stream that another thread reads ahead.
pub struct ReadAhead {
    /// What follows one another: each is read to its end.
    parts: Receiver<Contents>,
    part: Option<Contents>,
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
    pub fn new(mut from: impl Read + Send + 'static) -> io::Result<Self> {
        Self::begin(move |feed| feed.pump(&mut from))
    }

    /// Begins to do `work` in another thread.
    fn begin(work: impl FnOnce(&Feed) + Send + 'static) -> io::Result<Self> {
        let (to, parts) = sync_channel(FRAMES);
        let (back, empty) = channel();
        let feed = Feed { to, empty: Mutex::new(empty), back: back.clone() };
        thread::Builder::new().name("read-ahead".to_owned()).spawn(move || work(&feed))?;
        Ok(Self { parts, part: None, back, now: Cursor::default(), ended: false })
    }

    /// Returns what comes next, which is waited for; `None` at the end.
    fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        loop {
            if let Some(part) = &self.part
                && let Ok(next) = part.recv()
            {
                return Some(next);
            }
            // The other end is gone: the part has ended, or all.
            self.part = Some(self.parts.recv().ok()?);
        }
    }
}

/// The other end of a [`ReadAhead`].
struct Feed {
    to: SyncSender<Contents>,
    empty: Mutex<Receiver<Vec<u8>>>,
    back: Sender<Vec<u8>>,
}

/// A frame to be decompressed: its bytes, the length of its contents, and where these go.
struct Job {
    packed: Vec<u8>,
    len: usize,
    to: SyncSender<io::Result<Vec<u8>>>,
}

impl Feed {
    /// Returns a buffer that has been read, or a new one.
    fn buffer(&self) -> Vec<u8> {
        let empty = self.empty.lock().unwrap_or_else(PoisonError::into_inner);
        empty.try_recv().unwrap_or_default()
    }

    /// Hands over what `from` gives, until it ends or nobody listens.
    fn pump(&self, from: &mut dyn Read) {
        let (to, contents) = sync_channel(BUFFERS);
        if self.to.send(contents).is_ok() {
            self.fill(from, &to);
        }
    }

    fn fill(&self, from: &mut dyn Read, to: &SyncSender<io::Result<Vec<u8>>>) {
        loop {
            let mut buffer = self.buffer();
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

    /// Hands over an error, at the end of all.
    fn fail(&self, error: io::Error) {
        let (to, contents) = sync_channel(1);
        to.send(Err(error)).unwrap_or_default();
        // Nobody listens any more: nobody needs to know.
        self.to.send(contents).unwrap_or_default();
    }

    /// Decompresses the frames of a stream of zstd, side by side, until one cannot be taken by
    /// itself: from there on all is decompressed here.
    fn unpack(&self, mut from: impl Read + Send + 'static) {
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        // Nothing waits here: frames are handed out as there are threads for them.
        let (to, jobs) = sync_channel(0);
        let jobs = Mutex::new(jobs);
        let rest = thread::scope(|scope| {
            let to = to;
            let mut begun = 0;
            loop {
                match frames::next(&mut from, self.buffer()) {
                    Ok(Next::End) => return None,
                    Ok(Next::Other(read)) => return Some(read),
                    Err(error) => {
                        self.fail(error);
                        return None;
                    }
                    Ok(Next::Frame { packed, len }) => {
                        if begun < threads.min(MOST_THREADS) {
                            scope.spawn(|| self.work(&jobs));
                            begun += 1;
                        }
                        let (contents_to, contents) = sync_channel(1);
                        let job = Job { packed, len, to: contents_to };
                        if self.to.send(contents).is_err() || to.send(job).is_err() {
                            return None;
                        }
                    }
                }
            }
        });
        if let Some(read) = rest {
            match zstd_reader(BufReader::new(Cursor::new(read).chain(from))) {
                Ok(mut reader) => self.pump(&mut reader),
                Err(error) => self.fail(error),
            }
        }
    }

    /// Decompresses frames until there are no more.
    fn work(&self, jobs: &Mutex<Receiver<Job>>) {
        let mut decompressor = zstd::bulk::Decompressor::new();
        loop {
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(Job { packed, len, to }) = job else { return };
            let mut contents = self.buffer();
            contents.clear();
            contents.reserve(len);
            let done = match &mut decompressor {
                Ok(decompressor) => decompressor.decompress_to_buffer(&packed, &mut contents),
                Err(error) => Err(io::Error::from(error.kind())),
            };
            // Nobody listens when the reader has gone away.
            self.back.send(packed).unwrap_or_default();
            to.send(done.map(|_| contents)).unwrap_or_default();
        }
    }
}

/// The contents of a stream, read as they are decompressed.
#[derive(Debug)]
pub struct Decompressed {
    from: ReadAhead,
    packing: Packing,
}

impl Decompressed {
    /// Begins to decompress `from`, in other threads, which end with the stream or when this is
    /// dropped.
    ///
    /// # Errors
    ///
    /// What reading the first bytes says.
    pub fn new(from: impl Read + Send + 'static) -> io::Result<Self> {
        let (packing, whole) = told(from)?;
        let from = ReadAhead::begin(move |feed| match packing {
            Packing::Zstd => feed.unpack(whole),
            _ => match reader(whole, packing) {
                Ok(mut reader) => feed.pump(&mut reader),
                Err(error) => feed.fail(error),
            },
        })?;
        Ok(Self { from, packing })
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

/// Returns the first `len` bytes of a stream's contents, or all there are, decompressed here.
///
/// # Errors
///
/// What reading says, and what is wrong with the stream before that.
pub fn beginning(from: impl Read + Send + 'static, len: u64) -> io::Result<Vec<u8>> {
    let (packing, whole) = told(from)?;
    let mut head = Vec::new();
    reader(whole, packing)?.take(len).read_to_end(&mut head)?;
    Ok(head)
}

/// A stream of which the first bytes have been looked at.
type Whole<R> = BufReader<io::Chain<Cursor<Vec<u8>>, R>>;

/// Returns what a stream is compressed with, and all of it again.
fn told<R: Read>(mut from: R) -> io::Result<(Packing, Whole<R>)> {
    let mut head = Vec::new();
    from.by_ref().take(6).read_to_end(&mut head)?;
    let packing = Packing::of(&head);
    Ok((packing, BufReader::with_capacity(INPUT, Cursor::new(head).chain(from))))
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
        Packing::Zstd => Box::new(zstd_reader(from)?),
    })
}

fn zstd_reader<R: BufRead>(from: R) -> io::Result<zstd::stream::read::Decoder<'static, R>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(from)?;
    decoder.window_log_max(MOST_WINDOW)?;
    Ok(decoder)
}

impl Read for ReadAhead {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let got = self.now.read(buf)?;
            if got > 0 || buf.is_empty() || self.ended {
                return Ok(got);
            }
            match self.next() {
                Some(Ok(buffer)) => {
                    let read = std::mem::replace(&mut self.now, Cursor::new(buffer));
                    // A thread that has ended needs no more.
                    self.back.send(read.into_inner()).unwrap_or_default();
                }
                Some(Err(error)) => {
                    self.ended = true;
                    return Err(error);
                }
                None => self.ended = true,
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
    fn frames_side_by_side_come_in_their_order() {
        // The last are shorter, so that they are done first; then one that does not tell its length.
        let plain = contents();
        let frames: Vec<_> = (0..12).map(|n| &plain[..plain.len() >> n]).collect();
        let mut packed: Vec<u8> =
            frames.iter().flat_map(|part| zstd::bulk::compress(part, 1).unwrap()).collect();
        let told = packed.len();
        packed.extend(zstd::stream::encode_all(&b"the end"[..], 1).unwrap());
        packed.extend(zstd::bulk::compress(b", and after it", 1).unwrap());
        let expected = [&frames.concat()[..], b"the end, and after it"].concat();
        assert!(whole(packed.clone()).unwrap().1 == expected);
        assert!(whole(packed[..told].to_vec()).unwrap().1 == frames.concat());
        // What is damaged is told after what came before it, whichever thread is first.
        let first = zstd::bulk::compress(frames[0], 1).unwrap().len();
        packed[first + 9..first + 5000].fill(0xff);
        let mut got = Vec::new();
        let error = Decompressed::new(Cursor::new(packed)).unwrap().read_to_end(&mut got);
        assert!(error.is_err() && got == frames[0]);
    }

    #[test]
    fn a_beginning_is_decompressed_without_the_rest() {
        let packed = zstd::bulk::compress(&contents(), 1).unwrap();
        let cut = packed[..packed.len() / 2].to_vec();
        assert_eq!(beginning(Cursor::new(cut), 1000).unwrap(), contents()[..1000]);
        assert_eq!(beginning(Cursor::new(b"short"), 1000).unwrap(), b"short");
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
