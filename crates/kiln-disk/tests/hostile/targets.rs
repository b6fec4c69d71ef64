// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The parsers of foreign bytes, each used as a verb would use it: read all there is, change
//! something, look again.

use std::error::Error;
use std::io::{Cursor, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;

use kiln_disk::device::Device;
use kiln_disk::format::nbd::NbdDevice;
use kiln_disk::fs::identify::identify;
use kiln_disk::image::{Backing, DiskImage, Mode, OpenOptions};
use kiln_disk::{format, table, tar};
use kiln_testkit::fuzz::{Outcome, Target};

use crate::{seeds, trees};

/// What stands in the files of the host that cases name: it must be found in no answer.
pub(crate) const CANARY: &[u8] = b"only the host may read this";

/// All targets.
pub(crate) const ALL: &[Target] = &[
    Target { name: "probe", seeds: seeds::probe, mend: nothing, run: probe },
    Target { name: "qcow2", seeds: seeds::qcow2, mend: nothing, run: qcow2 },
    Target { name: "backing", seeds: seeds::backing, mend: nothing, run: backing },
    Target { name: "table", seeds: seeds::table, mend: seeds::mend_table, run: table },
    Target { name: "identify", seeds: seeds::identify, mend: nothing, run: identified },
    Target { name: "ext", seeds: seeds::ext, mend: nothing, run: trees::ext },
    Target { name: "fat", seeds: seeds::fat, mend: nothing, run: trees::fat },
    Target { name: "iso", seeds: seeds::iso, mend: nothing, run: trees::iso },
    Target { name: "tar", seeds: seeds::tar, mend: seeds::mend_tar, run: tar_stream },
    Target { name: "nbd", seeds: seeds::nbd, mend: nothing, run: nbd },
];

fn nothing(_: &mut [u8]) {}

/// A device in memory.
#[derive(Debug)]
pub(crate) struct Memory(pub(crate) std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl Memory {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(std::sync::Arc::new(std::sync::Mutex::new(bytes.to_vec())))
    }

    pub(crate) fn again(&self) -> Box<Self> {
        Box::new(Self(self.0.clone()))
    }

    fn part(&mut self, at: u64, len: usize, act: impl FnOnce(&mut [u8])) -> std::io::Result<()> {
        let mut bytes = self.0.lock().expect("nobody panics with it");
        let start = usize::try_from(at).ok();
        let range = start.and_then(|start| Some(start..start.checked_add(len)?));
        let part = range.and_then(|range| bytes.get_mut(range));
        part.map(act).ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
    }
}

impl Device for Memory {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> std::io::Result<()> {
        self.part(at, buf.len(), |part| buf.copy_from_slice(part))
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> std::io::Result<()> {
        self.part(at, bytes.len(), |part| part.copy_from_slice(bytes))
    }

    fn discard(&mut self, at: u64, len: u64) -> std::io::Result<()> {
        let len = usize::try_from(len).map_err(|_| std::io::ErrorKind::UnexpectedEof)?;
        self.part(at, len, |part| part.fill(0))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    fn size(&self) -> u64 {
        let bytes = self.0.lock().expect("nobody panics with it");
        u64::try_from(bytes.len()).expect("a slice is shorter than 2^64 bytes")
    }
}

fn probe(bytes: &[u8], _: &Path) -> Outcome {
    if let Some(found) = format::foreign::encrypted(&mut Cursor::new(bytes), "image")? {
        assert!(found.format.needs_key() && found.parts.is_empty(), "{found:?}");
    }
    let info = format::probe_complete(&mut Cursor::new(bytes), "image")?;
    Ok(format!("{} of {}", info.format.name(), info.virtual_size))
}

/// Reads pieces of a disk all over, and all of a small one.
fn read_all_over(device: &mut dyn Device) -> Result<u64, Box<dyn Error>> {
    let size = device.size();
    let mut buf = vec![0; 64 << 10];
    let step = (size / 64).max(64 << 10);
    let (mut at, mut read, mut failed) = (0, 0, None);
    while at < size {
        let len = usize::try_from(size - at).map_or(buf.len(), |left| left.min(buf.len()));
        match device.read_at(at, &mut buf[..len]) {
            Ok(()) => read += 1,
            Err(error) => failed = Some(error),
        }
        assert!(
            !buf.chunks(512).any(|part| part.starts_with(CANARY)),
            "a file of the host was read"
        );
        let extent = device.extent(at)?;
        assert!(extent.len > 0 && extent.len <= size - at, "{extent:?} at {at} of {size}");
        at += step;
    }
    failed.map_or(Ok(read), |error| Err(error.into()))
}

fn open(path: &Path, mode: Mode) -> Result<DiskImage, Box<dyn Error>> {
    Ok(DiskImage::open(path, &OpenOptions { mode, ..OpenOptions::default() })?)
}

fn qcow2(bytes: &[u8], folder: &Path) -> Outcome {
    static PATTERN: [u8; 70_000] = [0xa5; 70_000];
    let path = folder.join("image.qcow2");
    std::fs::write(&path, bytes)?;
    let image = open(&path, Mode::Read)?;
    let size = image.info().virtual_size.0;
    let read = read_all_over(&mut image.device());
    drop(image);
    let image = open(&path, Mode::Write)?;
    let mut device = image.device();
    let len = u64::try_from(PATTERN.len()).expect("a constant");
    let places: Vec<u64> = [0, size / 3, size.saturating_sub(len)]
        .into_iter()
        .filter(|at| at.checked_add(len).is_some_and(|end| end <= size))
        .collect();
    let written = places.iter().try_for_each(|at| device.write_at(*at, &PATTERN));
    drop(device);
    let done = written.map_err(Box::from).and_then(|()| image.commit().map_err(Box::from));
    if let Err(error) = done {
        assert!(std::fs::read(&path)? == bytes, "an edit that failed changed the file: {error}");
        return Err(error);
    }
    let mut device = open(&path, Mode::Read)?.device();
    let mut back = vec![0; PATTERN.len()];
    for at in &places {
        device.read_at(*at, &mut back)?;
        assert!(back == PATTERN, "what was written at {at} is not there");
    }
    Ok(format!("{size} bytes, {} pieces read, {} written", read?, places.len()))
}

/// An image whose backing files may be followed: a chain must end.
fn backing(bytes: &[u8], folder: &Path) -> Outcome {
    let path = folder.join("image.qcow2");
    std::fs::write(&path, bytes)?;
    let options = OpenOptions { backing: Backing::Follow, ..OpenOptions::default() };
    let image = DiskImage::open(&path, &options)?;
    let read = read_all_over(&mut image.device())?;
    Ok(format!("{} layers, {read} pieces read", image.info().layers.len()))
}

fn table(bytes: &[u8], _: &Path) -> Outcome {
    let mut device = Memory::new(bytes);
    let found = table::read::read(&mut device)?;
    for partition in &found.partitions {
        let end = partition.start.checked_add(partition.len);
        assert!(end.is_some_and(|end| end <= device.size()), "{partition:?}");
        let name = &partition.name;
        assert!(name.chars().count() <= 36, "{name:?}");
    }
    let first = found.partitions.first().map(|partition| partition.number);
    if let Some(number) = first {
        let len = found.partitions[0].len;
        // Made a little smaller, the table is still one, and the others stay.
        if len > 1 << 20
            && table::edit::resize_partition(&mut device, number, len - (512 << 10)).is_ok()
        {
            let after = table::read::read(&mut device)?;
            assert_eq!(after.partitions.len(), found.partitions.len());
        }
    }
    Ok(format!("{:?}, {} partitions", found.kind, found.partitions.len()))
}

fn identified(bytes: &[u8], _: &Path) -> Outcome {
    let content = identify(&mut Memory::new(bytes))?;
    Ok(format!("{content:?}"))
}

fn tar_stream(bytes: &[u8], _: &Path) -> Outcome {
    let mut reader = tar::Reader::new(bytes);
    let (mut members, mut contents) = (0, 0);
    let mut buf = vec![0; 64 << 10];
    while let Some(entry) = reader.next_entry()? {
        let names: Vec<&[u8]> = entry.path.split(|&b| b == b'/').collect();
        let out = entry.path.starts_with(b"/") || names.iter().any(|name| *name == b"..");
        assert!(!out && !entry.path.contains(&0), "{:?}", entry.path);
        if let tar::EntryKind::HardLink(target) = &entry.kind {
            let up = target.split(|&b| b == b'/').any(|name| name == b"..");
            assert!(!target.starts_with(b"/") && !up, "{target:?}");
        }
        members += 1;
        loop {
            match reader.read(&mut buf)? {
                0 => break,
                len => contents += len,
            }
        }
    }
    Ok(format!("{members} members, {contents} bytes"))
}

/// A server that says these bytes, whatever it is asked.
fn nbd(bytes: &[u8], folder: &Path) -> Outcome {
    let path = folder.join("nbd");
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    let said = bytes.to_vec();
    let server = std::thread::spawn(move || {
        let Ok((mut stream, _)) = listener.accept() else { return };
        // A client that hangs up is no failure of the server.
        let _ = stream.write_all(&said);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    let outcome = asked(&path);
    server.join().expect("the server does not panic");
    outcome
}

fn asked(path: &Path) -> Outcome {
    let mut device = NbdDevice::connect(path, "disk")?;
    let size = device.size();
    let mut buf = [0; 512];
    if size >= 512 {
        device.read_at(0, &mut buf)?;
        let extent = device.extent(0)?;
        assert!(extent.len > 0 && extent.len <= size, "{extent:?} of {size}");
        device.write_at(0, &buf)?;
        device.discard(0, 512)?;
        device.flush()?;
    }
    Ok(format!("{size} bytes"))
}
