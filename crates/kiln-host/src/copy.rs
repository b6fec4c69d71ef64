// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Copies of image files that share blocks where the file system can, and skip holes where not.
//!
//! `std::fs::copy` is not used: it writes holes out (a hole of 1 GiB takes 1 GiB).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::SeekFrom;

/// Bytes moved at a time.
const CHUNK: usize = 1 << 20;

/// Makes `to` share all of `from`'s blocks (FICLONE, ioctl_ficlone(2)): instant, and no space.
///
/// # Errors
///
/// What the kernel says; `EOPNOTSUPP`, `EXDEV` and `EINVAL` mean that this pair of files cannot
/// share, and a copy is due.
pub fn reflink(from: &File, to: &File) -> io::Result<()> {
    rustix::fs::ioctl_ficlone(to, from).map_err(io::Error::from)
}

/// One run of data in a sparse file: bytes `start..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// First byte.
    pub start: u64,
    /// The byte after the last.
    pub end: u64,
}

/// Returns the runs of data of `file`, in order, without the holes between them.
///
/// # Errors
///
/// What the kernel says of lseek(2) with `SEEK_DATA` and `SEEK_HOLE`.
pub fn data_runs(file: &File) -> io::Result<Vec<Run>> {
    let len = file.metadata()?.len();
    let mut runs = Vec::new();
    let mut at = 0;
    while at < len {
        let start = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(rustix::io::Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        let end = rustix::fs::seek(file, SeekFrom::Hole(start))?.min(len);
        runs.push(Run { start, end });
        at = end;
    }
    Ok(runs)
}

/// Copies the data of `from` into the empty file `to` and leaves its holes as holes.
///
/// # Errors
///
/// What reading and writing say.
pub fn sparse(from: &File, to: &File) -> io::Result<()> {
    to.set_len(from.metadata()?.len())?;
    let mut buf = vec![0; CHUNK];
    for run in data_runs(from)? {
        let mut at = run.start;
        while at < run.end {
            let want = usize::try_from(run.end - at).map_or(CHUNK, |left| left.min(CHUNK));
            from.read_exact_at(&mut buf[..want], at)?;
            to.write_all_at(&buf[..want], at)?;
            at += want as u64;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn holes_stay_holes() {
        let from = tempfile::tempfile().unwrap();
        from.set_len(64 << 20).unwrap();
        from.write_all_at(b"middle", 32 << 20).unwrap();
        let to = tempfile::tempfile().unwrap();
        sparse(&from, &to).unwrap();
        let mut buf = [0; 6];
        to.read_exact_at(&mut buf, 32 << 20).unwrap();
        assert_eq!(&buf, b"middle");
        assert_eq!(to.metadata().unwrap().len(), 64 << 20);
        assert!(to.metadata().unwrap().blocks() * 512 < 4 << 20);
    }
}
