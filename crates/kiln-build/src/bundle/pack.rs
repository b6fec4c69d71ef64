// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A tar stream to a bundle, in one pass: two threads look at it and compress it while it comes.
//!
//! The archive is a row of frames of zstd, each for [`MOST_FRAME`] bytes of the stream and with their
//! number in its header, so that whoever reads it can decompress several at once.
//!
//! **Invariant:** memory is bounded: [`WAITING`] buffers of [`BUFFER`] bytes for each thread, and a
//! frame. The same stream gives the same bytes.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

use kiln_disk::decompress::MOST_FRAME;
use kiln_disk::tar::TarError;
use kiln_host::beside::{beside, folder_of, replace};
use kiln_spec::bundle::{BundleManifest, FORMAT, Origin};
use kiln_spec::{Bytes, Digest};
use ring::digest::{Context, SHA256};
use tempfile::NamedTempFile;
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use super::BundleError;
use super::facts::Facts;
use super::file::manifest_path;

/// Bytes that are handed over together.
const BUFFER: usize = 1 << 20;
/// How many buffers wait for a thread at most.
const WAITING: usize = 8;
/// How hard zstd tries when nobody says: its own default.
pub(super) const LEVEL: i32 = 3;

/// What is told of a bundle besides what its stream tells.
#[derive(Clone, Debug)]
pub struct About {
    /// Its name.
    pub name: String,
    /// What it is made from.
    pub from: Origin,
    /// The patterns that were left out.
    pub left_out: Vec<String>,
    /// The time now.
    pub now: SystemTime,
    /// The program that makes it, with its version.
    pub tool: String,
}

type Buffer = Arc<Vec<u8>>;

/// Takes a tar stream and makes a bundle of it. Dropped before [`Packer::finish`], nothing is left.
#[derive(Debug)]
pub struct Packer {
    path: PathBuf,
    buffer: Vec<u8>,
    bytes: u64,
    outlets: Option<[SyncSender<Buffer>; 2]>,
    looking: Option<JoinHandle<Result<Facts, TarError>>>,
    packing: Option<JoinHandle<io::Result<Packed>>>,
}

/// The compressed file, before it has its name.
#[derive(Debug)]
struct Packed {
    file: NamedTempFile,
    size: u64,
    digest: Digest,
}

impl Packer {
    /// Begins the bundle `path`, which must not exist. `level` is zstd's, from 1 to 19; `None` for
    /// its default.
    ///
    /// # Errors
    ///
    /// [`BundleError::Exists`], [`BundleError::Io`].
    pub fn begin(path: &Path, level: Option<i32>) -> Result<Self, BundleError> {
        let failed = |source| BundleError::io("write", path, source);
        if path.symlink_metadata().is_ok() {
            return Err(BundleError::Exists { path: path.to_owned() });
        }
        // A machine's tree holds secrets (password hashes): it is its owner's.
        let file = beside(folder_of(path)).map_err(failed)?;
        let (to_look, seen) = sync_channel(WAITING);
        let (to_pack, packed) = sync_channel(WAITING);
        let looking = thread::Builder::new().name("look".into()).spawn(move || look(seen));
        let level = level.unwrap_or(LEVEL);
        let packing =
            thread::Builder::new().name("pack".into()).spawn(move || pack(packed, file, level));
        Ok(Self {
            path: path.to_owned(),
            buffer: Vec::with_capacity(BUFFER),
            bytes: 0,
            outlets: Some([to_look, to_pack]),
            looking: Some(looking.map_err(failed)?),
            packing: Some(packing.map_err(failed)?),
        })
    }

    /// Hands over what has gathered.
    fn hand_over(&mut self) -> io::Result<()> {
        let full = std::mem::replace(&mut self.buffer, Vec::with_capacity(BUFFER));
        let full = Arc::new(full);
        for outlet in self.outlets.iter().flatten() {
            // A thread that has ended has an error to tell, which `finish` tells.
            outlet.send(Arc::clone(&full)).map_err(|_| io::ErrorKind::BrokenPipe)?;
        }
        Ok(())
    }

    /// Ends the stream, and gives the bundle and its manifest their names.
    ///
    /// # Errors
    ///
    /// [`BundleError::Stream`] if it is no whole tar archive; [`BundleError::Io`],
    /// [`BundleError::Exists`].
    pub fn finish(mut self, about: &About) -> Result<BundleManifest, BundleError> {
        let handed = if self.buffer.is_empty() { Ok(()) } else { self.hand_over() };
        let path = self.path.clone();
        let failed = |source| BundleError::io("write", &path, source);
        // The threads see the end.
        self.outlets = None;
        let facts = joined(self.looking.take());
        let packed = joined(self.packing.take());
        let packed = packed.map_err(failed)?;
        let facts = facts.map_err(|source| BundleError::Stream { source })?;
        handed.map_err(failed)?;
        let manifest = BundleManifest {
            format: FORMAT,
            name: about.name.clone(),
            arch: facts.arch,
            os: facts.os(),
            kernel: facts.kernel(),
            firmware: facts.firmware(),
            entries: facts.entries,
            tree_bytes: Bytes(facts.bytes),
            tar_bytes: Bytes(self.bytes),
            file_size: Bytes(packed.size),
            digest: packed.digest,
            from: about.from,
            left_out: about.left_out.clone(),
            created: kiln_spec::time::rfc3339(about.now),
            tool: about.tool.clone(),
        };
        // A bundle that is there has its manifest.
        super::sign::forget(&path)?;
        write_manifest(&manifest_path(&path), &manifest)?;
        packed.file.as_file().sync_all().map_err(failed)?;
        packed.file.persist_noclobber(&path).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => BundleError::Exists { path: path.clone() },
            _ => failed(error.error),
        })?;
        Ok(manifest)
    }
}

impl Drop for Packer {
    fn drop(&mut self) {
        // The file that was being made goes with its thread, before the program ends.
        self.outlets = None;
        drop(self.looking.take().map(JoinHandle::join));
        drop(self.packing.take().map(JoinHandle::join));
    }
}

/// Returns what a thread came to, which is waited for once.
fn joined<T>(thread: Option<JoinHandle<T>>) -> T {
    let ended = thread.expect("a thread is waited for once").join();
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

impl Write for Packer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if kiln_host::signal::interrupted() {
            return Err(io::Error::other("kiln was told to stop"));
        }
        let taken = bytes.len().min(BUFFER - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        self.bytes += u64::try_from(taken).expect("a slice is shorter than 2^64 bytes");
        if self.buffer.len() == BUFFER {
            self.hand_over()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a manifest in one step.
pub(super) fn write_manifest(path: &Path, manifest: &BundleManifest) -> Result<(), BundleError> {
    let mut text = serde_json::to_vec_pretty(manifest)
        .map_err(|source| BundleError::Manifest { path: path.to_owned(), source })?;
    text.push(b'\n');
    replace(path, &text).map_err(|source| BundleError::io("write", path, source))
}

fn look(from: Receiver<Buffer>) -> Result<Facts, TarError> {
    Facts::of(Inlet { from, now: Buffer::default(), read: 0 })
}

fn pack(from: Receiver<Buffer>, file: NamedTempFile, level: i32) -> io::Result<Packed> {
    let mut out =
        Hashing { file: file.as_file().try_clone()?, size: 0, hash: Context::new(&SHA256) };
    let mut packer = Compressor::new(level)?;
    packer.set_parameter(CParameter::ChecksumFlag(true))?;
    let mut frame = Vec::with_capacity(MOST_FRAME);
    for buffer in from {
        if frame.len() + buffer.len() > MOST_FRAME {
            out.write_all(&packer.compress(&frame)?)?;
            frame.clear();
        }
        frame.extend_from_slice(&buffer);
    }
    out.write_all(&packer.compress(&frame)?)?;
    let digest = out.hash.finish();
    let digest = digest.as_ref().try_into().expect("SHA-256 has 32 bytes");
    Ok(Packed { file, size: out.size, digest: Digest::from_sha256(digest) })
}

/// The other end of a channel as a stream.
struct Inlet {
    from: Receiver<Buffer>,
    now: Buffer,
    /// How much of it has been read.
    read: usize,
}

impl Read for Inlet {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.read == self.now.len() && !buf.is_empty() {
            match self.from.recv() {
                Ok(next) => (self.now, self.read) = (next, 0),
                // The other end is gone: the stream has ended.
                Err(_) => return Ok(0),
            }
        }
        let left = &self.now[self.read..];
        let len = left.len().min(buf.len());
        buf[..len].copy_from_slice(&left[..len]);
        self.read += len;
        Ok(len)
    }
}

/// A file that is hashed as it is written.
struct Hashing {
    file: File,
    size: u64,
    hash: Context,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += u64::try_from(written).expect("a slice is shorter than 2^64 bytes");
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_a_row_of_frames_that_tell_their_length() {
        let folder = tempfile::tempdir().unwrap();
        let (to, from) = sync_channel(20);
        for number in 0..9 {
            to.send(Arc::new(vec![number; BUFFER])).unwrap();
        }
        to.send(Arc::new(b"the rest".to_vec())).unwrap();
        drop(to);
        let packed = pack(from, beside(folder.path()).unwrap(), LEVEL).unwrap();
        let bytes = std::fs::read(packed.file.path()).unwrap();
        assert_eq!(packed.size, u64::try_from(bytes.len()).unwrap());
        assert_eq!(packed.digest, crate::digest::of_bytes(&bytes));
        let first = zstd::zstd_safe::find_frame_compressed_size(&bytes).unwrap();
        let (first, second) = bytes.split_at(first);
        for (frame, len) in [(first, MOST_FRAME), (second, BUFFER + 8)] {
            assert_eq!(zstd::zstd_safe::find_frame_compressed_size(frame), Ok(frame.len()));
            assert_eq!(zstd::bulk::decompress(frame, MOST_FRAME).unwrap().len(), len);
            let told = zstd::zstd_safe::get_frame_content_size(frame).unwrap();
            assert_eq!(told, u64::try_from(len).ok());
        }
    }
}
