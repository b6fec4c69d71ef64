// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The file that an image is written to, with each effect in one place: so that a test can see
//! all of them, and let one fail.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use crate::device::{Device, RawFile, SharedDevice, write_zeros};

/// A file, or what stands for one, with what is done to it.
#[derive(Clone, Debug)]
pub(crate) struct Medium {
    target: Target,
    durable: bool,
    #[cfg(test)]
    script: Option<Script>,
}

#[derive(Clone, Debug)]
enum Target {
    File(Arc<File>),
    /// Its length is given, and where its room is somebody else's matter.
    Device(SharedDevice),
}

impl Medium {
    /// Returns `file`, whose [`Medium::sync`] does nothing unless `durable`.
    pub(crate) fn new(file: File, durable: bool) -> Self {
        Self::over(Target::File(Arc::new(file)), durable)
    }

    /// Returns `device`, which others may have, too.
    pub(crate) fn device(device: SharedDevice) -> Self {
        Self::over(Target::Device(device), true)
    }

    fn over(target: Target, durable: bool) -> Self {
        Self {
            target,
            durable,
            #[cfg(test)]
            script: None,
        }
    }

    /// Returns how many bytes the file has.
    pub(crate) fn len(&self) -> io::Result<u64> {
        match &self.target {
            // A disk of the host has no length for fstat(2).
            Target::File(file) => (&**file).seek(SeekFrom::End(0)),
            Target::Device(device) => Ok(device.size()),
        }
    }

    pub(crate) fn read(&self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        match &self.target {
            Target::File(file) => file.read_exact_at(buf, at),
            Target::Device(device) => device.clone().read_at(at, buf),
        }
    }

    pub(crate) fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        self.note(|| Effect::Write(at, bytes.to_vec()))?;
        match &self.target {
            Target::File(file) => file.write_all_at(bytes, at),
            Target::Device(device) => device.clone().write_at(at, bytes),
        }
    }

    /// Brings all onto the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        self.note(|| Effect::Sync)?;
        match &self.target {
            Target::File(file) if self.durable => file.sync_data(),
            Target::File(_) => Ok(()),
            Target::Device(device) => device.clone().flush(),
        }
    }

    /// Returns whether it is a file, whose length can change.
    pub(crate) fn is_file(&self) -> io::Result<bool> {
        match &self.target {
            Target::File(file) => Ok(file.metadata()?.is_file()),
            Target::Device(_) => Ok(false),
        }
    }

    pub(crate) fn set_len(&self, len: u64) -> io::Result<()> {
        #[cfg(test)]
        self.note(|| Effect::SetLen(len))?;
        match &self.target {
            Target::File(file) => file.set_len(len),
            Target::Device(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Makes bytes of the file zeros, which have `size` in all: without space where the host can.
    pub(crate) fn zero(&self, at: u64, len: u64, size: u64) -> io::Result<()> {
        #[cfg(test)]
        self.note(|| Effect::Zero(at, len))?;
        match &self.target {
            Target::File(file) => RawFile::with_size(file.try_clone()?, size).discard(at, len),
            Target::Device(device) => device.clone().discard(at, len),
        }
    }

    /// Writes zeros over bytes.
    pub(crate) fn blank(&self, at: u64, len: u64) -> io::Result<()> {
        #[cfg(test)]
        self.note(|| Effect::Zero(at, len))?;
        match &self.target {
            Target::File(file) => write_zeros(file, at, len),
            Target::Device(device) => device.clone().discard(at, len),
        }
    }

    /// Makes the host keep room for bytes that are a hole, if it can.
    pub(crate) fn reserve(&self, at: u64, len: u64) -> io::Result<()> {
        #[cfg(test)]
        self.note(|| Effect::Other("reserve"))?;
        let Target::File(file) = &self.target else { return Ok(()) };
        match rustix::fs::fallocate(&**file, FallocateFlags::KEEP_SIZE, at, len) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Says that something happens to another file now.
    #[cfg_attr(not(test), expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "tests"))]
    pub(crate) fn mark(&self, what: &'static str) -> io::Result<()> {
        #[cfg(test)]
        self.note(|| Effect::Other(what))?;
        let _ = what;
        Ok(())
    }

    /// Gives the space of bytes back that nobody reads. Their content is then anything.
    pub(crate) fn punch(&self, at: u64, len: u64) -> io::Result<()> {
        #[cfg(test)]
        self.note(|| Effect::Zero(at, len))?;
        let Target::File(file) = &self.target else { return Ok(()) };
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(rustix::fs::fallocate(&**file, hole, at, len)?)
    }
}

#[cfg(test)]
pub(crate) use script::{Effect, Script};

#[cfg(test)]
mod script {
    use super::{Medium, io};
    use std::sync::{Arc, Mutex};

    /// Something done to a file.
    #[derive(Clone, Debug)]
    pub(crate) enum Effect {
        Write(u64, Vec<u8>),
        Zero(u64, u64),
        SetLen(u64),
        Sync,
        /// Something that changes no byte of it.
        Other(&'static str),
    }

    /// What was done, in order, and how many things more go well.
    #[derive(Clone, Debug)]
    pub(crate) struct Script(Arc<Mutex<(Vec<Effect>, usize)>>);

    impl Script {
        /// Returns a script that lets the effects after the first `good` fail for want of space.
        pub(crate) fn new(good: usize) -> Self {
            Self(Arc::new(Mutex::new((Vec::new(), good))))
        }

        pub(crate) fn effects(&self) -> Vec<Effect> {
            self.0.lock().unwrap().0.clone()
        }

        pub(crate) fn note(&self, effect: Effect) -> io::Result<()> {
            let mut script = self.0.lock().unwrap();
            // Room comes back when something is given back.
            let frees = matches!(effect, Effect::SetLen(_) | Effect::Zero(..));
            if script.0.len() >= script.1 && !frees {
                return Err(io::ErrorKind::StorageFull.into());
            }
            script.0.push(effect);
            Ok(())
        }
    }

    impl Medium {
        /// Makes what is done be noted in `script`.
        pub(crate) fn scripted(self, script: Option<Script>) -> Self {
            Self { script, ..self }
        }

        pub(super) fn note(&self, effect: impl FnOnce() -> Effect) -> io::Result<()> {
            self.script.as_ref().map_or(Ok(()), |script| script.note(effect()))
        }
    }
}
