// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What an image's file is read by.

use std::io;

use kiln_host::image_lock::ImageLock;

use super::foreign::ForeignFile;
use super::remote::Remote;
use crate::device::{Device, Extent, RawFile};
use crate::format::qcow2::Qcow2File;

/// An image's file, locked.
#[derive(Debug)]
pub(super) struct Base {
    /// What it is read by.
    pub(super) kind: Kind,
    /// Given back when the file is closed.
    lock: Option<ImageLock>,
}

/// What an image's file is read by.
#[derive(Debug)]
pub(super) enum Kind {
    /// The bytes of the file.
    Raw(RawFile),
    /// A qcow2 file and its backing files.
    Qcow2(Box<Qcow2File>),
    /// An image that QEMU reads for us.
    Foreign(Box<ForeignFile>),
    /// An image of a cluster.
    Remote(Box<Remote>),
    /// Nothing any more: the changes were committed. It had this size.
    Closed(u64),
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the image was committed")
}

impl Base {
    pub(super) fn new(kind: Kind, lock: Option<ImageLock>) -> Self {
        Self { kind, lock }
    }

    /// Closes the file. The device then only has a size.
    pub(super) fn close(&mut self, size: u64) {
        self.kind = Kind::Closed(size);
        self.lock = None;
    }

    fn device(&mut self) -> io::Result<&mut dyn Device> {
        match &mut self.kind {
            Kind::Raw(file) => Ok(file),
            Kind::Qcow2(file) => Ok(file.as_mut()),
            Kind::Foreign(file) => Ok(file.as_mut()),
            Kind::Remote(image) => Ok(&mut image.served),
            Kind::Closed(_) => Err(closed()),
        }
    }
}

impl Device for Base {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        self.device()?.read_at(at, buf)
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.device()?.write_at(at, bytes)
    }

    fn discard(&mut self, at: u64, len: u64) -> io::Result<()> {
        self.device()?.discard(at, len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.device()?.flush()
    }

    fn size(&self) -> u64 {
        match &self.kind {
            Kind::Raw(file) => file.size(),
            Kind::Qcow2(file) => file.size(),
            Kind::Foreign(file) => file.size(),
            Kind::Remote(image) => image.size(),
            Kind::Closed(size) => *size,
        }
    }

    fn extent(&mut self, at: u64) -> io::Result<Extent> {
        self.device()?.extent(at)
    }
}
