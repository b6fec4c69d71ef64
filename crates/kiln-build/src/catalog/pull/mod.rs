// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An image of a catalog into the store.
//!
//! ```text
//! entry ─ checksum ─ in the store? ─ yes ─ given its name
//!                        └ no ─ lock ─ ranges ─ proven ─ unpacked ─ qcow2 ─ store
//! ```
//!
//! **Invariant:** nothing is unpacked, looked at or seen in the store before its checksum was
//! right. What was fetched of a file that is not whole is kept for a week, for the next try.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use kiln_disk::convert::{ConvertError, ConvertOptions, TargetFormat, convert};
use kiln_disk::decompress::Packing;
use kiln_disk::device::RawFile;
use kiln_disk::format::qcow2::Qcow2File;
use kiln_disk::format::{self, Format, FormatError};
use kiln_guest::inspect::{Glance, Processor, glance};
use kiln_host::signal;
use kiln_spec::image::{self, Digest, DiskFormat, Firmware, Made, Manifest, Os};
use kiln_spec::recipe::ImageName;
use kiln_spec::{Arch, Bytes};

use super::checksum::{self, Algorithm, Checksum, Hasher};
use super::entry::{Check, Entry, Proof, Sums, SumsSignature};
use super::http::ProxyRule;
use super::openpgp::{Keys, Signers};
use super::source::Source;
use super::url::Address;
use super::{CatalogError, Reader};
use crate::digest;
use crate::store::{Image, Store};

mod download;
mod unpack;

pub(crate) use download::{Wanted, download};
use unpack::packing_of;

/// The most that a file of checksums may have.
const SUMS_MOST: u64 = 4 << 20;
/// How long a part of a file is kept.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// The least memory of a machine, where nobody knows more.
const LEAST_MEMORY: Bytes = Bytes::from_mib(256);

/// What an image is pulled with.
#[derive(Clone, Copy, Debug)]
pub struct PullContext<'a> {
    /// Fetches files and checks signatures.
    pub reader: Reader<'a>,
    /// The store that the image goes to.
    pub store: &'a Store,
    /// The time, for the manifest, and to tell what is too old to be kept.
    pub now: SystemTime,
    /// Kiln's version, for the manifest.
    pub kiln_version: &'a str,
    /// How many connections are used at most.
    pub connections: usize,
    /// Fetch it even if the store has it.
    pub force: bool,
}

/// What is told while an image is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PullEvent {
    /// Another process pulls the same file.
    Waiting,
    /// The publisher's checksum is fetched and checked.
    Proving,
    /// The file is fetched: how much is there, and of how much, 0 if that is not known.
    Download(Bytes, Bytes),
    /// A file of this host is hashed: how much is done.
    Hash(Bytes),
    /// It is unpacked: how much is written.
    Unpack(Bytes),
    /// It is written as qcow2: how much of the disk is done, and of how much.
    Convert(Bytes, Bytes),
    /// It is moved into the store.
    Store,
}

/// An image, pulled or found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// The image.
    pub image: Image,
    /// Whether it was in the store already.
    pub cached: bool,
    /// The image that had the name before, if it was another.
    pub replaced: Option<Digest>,
    /// The checksum that the publisher gives.
    pub checksum: Checksum,
}

/// Finds out which checksum an entry's file must have.
///
/// # Errors
///
/// [`CatalogError::NoChecksum`], [`CatalogError::Signature`], [`CatalogError::Fetch`].
pub fn checksum(
    reader: &Reader<'_>,
    source: &Source,
    entry: &Entry,
) -> Result<Checksum, CatalogError> {
    let missing = || CatalogError::NoChecksum {
        catalog: entry.catalog.clone(),
        image: entry.url.file_name().to_owned(),
    };
    match &entry.check {
        Check::Known(checksum) => Ok(checksum.clone()),
        Check::Missing => Err(missing()),
        Check::Beside(sums) => {
            let text = sums_text(reader, source, sums)?;
            let file = entry.url.file_name();
            let text = String::from_utf8_lossy(&text);
            let own = sums.url.file_name().starts_with(file);
            let found = checksum::find(&text, file);
            // A file that is this image's alone may call it by another name.
            found.or_else(|| checksum::only(&text).filter(|_| own)).ok_or_else(missing)
        }
    }
}

fn sums_text(reader: &Reader<'_>, source: &Source, sums: &Sums) -> Result<Vec<u8>, CatalogError> {
    let fail = |error| CatalogError::fetch(&source.name, error);
    let client = reader.http.client(&source.proxy).map_err(fail)?;
    let text = client.read(&sums.url, SUMS_MOST).map_err(fail)?;
    let what = sums.url.to_string();
    let signers = |keys: &&'static str, fingerprint: &super::openpgp::Fingerprint| Signers {
        keys: Keys::BuiltIn(keys),
        fingerprint: Some(fingerprint.clone()),
    };
    let checked = match &sums.signature {
        SumsSignature::None => Ok(text),
        SumsSignature::Clear { keys, fingerprint } => {
            let signers = signers(keys, fingerprint);
            reader.openpgp.verify_clear(&text, &signers, &what).map(|(words, _)| words)
        }
        SumsSignature::Detached { url, keys, fingerprint } => {
            let signature = client.read(url, SUMS_MOST).map_err(fail)?;
            let signers = signers(keys, fingerprint);
            reader.openpgp.verify_detached(&text, &signature, &signers, &what).map(|_| text)
        }
    };
    checked.map_err(|error| CatalogError::signature(&source.name, error))
}

/// Pulls an image into the store, under `name`. `progress` is told how it goes.
///
/// # Effects
///
/// On success the store has the image. On failure nothing of it is seen there; what was fetched is
/// kept if it may be right, and removed if it is wrong or there was no space for it.
///
/// # Errors
///
/// See [`CatalogError`].
pub fn pull(
    ctx: &PullContext<'_>,
    source: &Source,
    entry: &Entry,
    name: &ImageName,
    progress: &dyn Fn(PullEvent),
) -> Result<Pulled, CatalogError> {
    progress(PullEvent::Proving);
    let checksum = checksum(&ctx.reader, source, entry)?;
    Job { ctx, proxy: &source.proxy, entry, name, checksum, progress }.pull()
}

/// Fetches an image from an address of its own into the store, under `name`; `checksum` says what it
/// must be. `progress` is told how it goes.
///
/// # Effects
///
/// As [`pull`].
///
/// # Errors
///
/// See [`CatalogError`].
pub fn fetch(
    ctx: &PullContext<'_>,
    (url, checksum): (&Address, &Checksum),
    name: &ImageName,
    progress: &dyn Fn(PullEvent),
) -> Result<Pulled, CatalogError> {
    let entry = Entry {
        // Errors name the server.
        catalog: url.host().unwrap_or_default().to_owned(),
        name: name.as_str().to_owned(),
        aliases: Vec::new(),
        title: url.file_name().to_owned(),
        arch: String::new(),
        os: Os::from_os_release(""),
        url: url.clone(),
        check: Check::Known(checksum.clone()),
        version: String::new(),
        format: None,
        size: None,
        download: None,
        user: None,
        firmware: Vec::new(),
        notes: BTreeMap::new(),
        hidden: false,
        proof: Proof::Given,
    };
    let (checksum, proxy) = (checksum.clone(), &ProxyRule::System);
    Job { ctx, proxy, entry: &entry, name, checksum, progress }.pull()
}

/// Removes parts of files that nobody has asked for in a week.
fn sweep(store: &Store, downloads: &Path, now: SystemTime, but: &str) {
    let Ok(entries) = fs::read_dir(downloads) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let Some(key) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let newest = ["part", "state"]
            .iter()
            .filter_map(|name| fs::metadata(path.join(name)).and_then(|meta| meta.modified()).ok());
        let newest = newest.max().or_else(|| fs::metadata(&path).and_then(|m| m.modified()).ok());
        let old = newest.and_then(|at| now.duration_since(at).ok()).is_some_and(|age| age > KEPT);
        if key != but
            && old
            && let Ok(Some(_lock)) = store.try_lock_pull(key)
        {
            fs::remove_dir_all(&path).ok();
        }
    }
}

struct Job<'a> {
    ctx: &'a PullContext<'a>,
    proxy: &'a ProxyRule,
    entry: &'a Entry,
    name: &'a ImageName,
    checksum: Checksum,
    progress: &'a dyn Fn(PullEvent),
}

impl Job<'_> {
    fn pull(&self) -> Result<Pulled, CatalogError> {
        if let Some(pulled) = self.in_store()? {
            return Ok(pulled);
        }
        let lock =
            self.ctx.store.lock_pull(&self.key(), &mut || (self.progress)(PullEvent::Waiting))?;
        // Whoever was waited for has pulled it.
        if let Some(pulled) = self.in_store()? {
            return Ok(pulled);
        }
        let downloads = self.ctx.store.folder().join("downloads");
        sweep(self.ctx.store, &downloads, self.ctx.now, &self.key());
        let folder = downloads.join(self.key());
        fs::create_dir_all(&folder).map_err(|e| CatalogError::io("make", &folder, e))?;
        let result = self.run(&folder);
        // What is whole is in the store; what has no space is in the way.
        if result.as_ref().map_or_else(CatalogError::is_no_space, |_| true) {
            fs::remove_dir_all(&folder).ok();
        }
        drop(lock);
        result
    }

    fn key(&self) -> String {
        format!("{}-{}", self.checksum.algorithm().name(), self.checksum.hex())
    }

    /// What errors call the file.
    fn file(&self) -> String {
        self.entry.url.to_string()
    }

    fn in_store(&self) -> Result<Option<Pulled>, CatalogError> {
        let store = self.ctx.store;
        let Some(mut image) = store.find_pulled(&self.checksum.to_string())? else {
            return Ok(None);
        };
        if self.ctx.force {
            return Ok(None);
        }
        let name = self.name.as_str();
        let mut replaced = None;
        if !image.names.iter().any(|known| known == name) {
            replaced = store.find(name).ok().map(|before| before.manifest.digest);
            store.name(&image, self.name)?;
            image = store.find(name)?;
        }
        Ok(Some(Pulled { image, cached: true, replaced, checksum: self.checksum.clone() }))
    }

    fn run(&self, folder: &Path) -> Result<Pulled, CatalogError> {
        let fetched = self.fetch(folder)?;
        let work = self.ctx.store.work()?;
        let (disk, virtual_size) = self.disk(&fetched, work.path())?;
        (self.progress)(PullEvent::Store);
        let manifest = self.manifest(&disk, virtual_size)?;
        let added = self.ctx.store.add(&work, &disk, &manifest)?;
        let (image, replaced) = (added.image, added.replaced);
        Ok(Pulled { image, cached: false, replaced, checksum: self.checksum.clone() })
    }

    /// Returns the file, whole and proven.
    fn fetch(&self, folder: &Path) -> Result<PathBuf, CatalogError> {
        if let Some(path) = self.entry.url.path() {
            return self.local(path).map(|()| path.to_owned());
        }
        let fail = |error| CatalogError::fetch(&self.entry.catalog, error);
        let client = self.ctx.reader.http.client(self.proxy).map_err(fail)?;
        let wanted = Wanted {
            catalog: &self.entry.catalog,
            url: &self.entry.url,
            checksum: &self.checksum,
            length: self.entry.download,
            connections: self.ctx.connections,
        };
        download::download(&client, &wanted, folder, &|done, of| {
            (self.progress)(PullEvent::Download(Bytes(done), Bytes(of)));
        })
    }

    /// Checks a file of this host.
    fn local(&self, path: &Path) -> Result<(), CatalogError> {
        let algorithm = self.checksum.algorithm();
        let hashed = hash_file(path, algorithm, &|done| (self.progress)(PullEvent::Hash(done)));
        let (found, length) = hashed.map_err(|e| CatalogError::stopped_or("read", path, e))?;
        let (url, expected) = (self.entry.url.clone(), self.checksum.clone());
        match self.entry.download {
            Some(said) if said != length => {
                Err(CatalogError::Length { url, found: length, expected: said })
            }
            _ if found == expected => Ok(()),
            _ => Err(CatalogError::Content { url, found, expected }),
        }
    }

    /// Makes a qcow2 of the file in `work`; returns it and the size of its disk.
    fn disk(&self, fetched: &Path, work: &Path) -> Result<(PathBuf, Bytes), CatalogError> {
        let plain = work.join("plain");
        self.plain(fetched, &plain)?;
        let size = if self.is_qcow2(&plain)? {
            let mut file = File::open(&plain).map_err(|e| CatalogError::io("read", &plain, e))?;
            let found = format::probe_complete(&mut file, &self.file());
            let size = found.map_err(|source| self.no_image(source))?.virtual_size;
            self.check_size(size)?;
            return Ok((plain, size));
        } else {
            Bytes(fs::metadata(&plain).map_err(|e| CatalogError::io("read", &plain, e))?.len())
        };
        self.check_size(size)?;
        let disk = work.join("disk");
        self.convert(&plain, &disk)?;
        fs::remove_file(&plain).map_err(|e| CatalogError::io("remove", &plain, e))?;
        Ok((disk, size))
    }

    /// Makes `plain` of what was fetched: unpacked, or moved.
    fn plain(&self, fetched: &Path, plain: &Path) -> Result<(), CatalogError> {
        let packing = packing_of(fetched).map_err(|e| CatalogError::io("read", fetched, e))?;
        if packing == Packing::Plain && self.entry.url.path().is_none() {
            return fs::rename(fetched, plain).map_err(|e| CatalogError::io("move", fetched, e));
        }
        let raw = self.entry.format.as_deref() == Some("raw");
        let most = self.entry.size.filter(|_| raw).map_or(unpack::MOST, |size| size.0);
        let unpacked = unpack::unpack(fetched, packing, plain, most, &|done| {
            (self.progress)(PullEvent::Unpack(Bytes(done)));
        });
        unpacked.map(|_| ()).map_err(|source| match source.kind() {
            io::ErrorKind::Interrupted if signal::interrupted() => CatalogError::Interrupted,
            _ => CatalogError::Unpack { file: self.file(), source },
        })
    }

    fn no_image(&self, source: FormatError) -> CatalogError {
        CatalogError::Image { file: self.file(), source: Box::new(source) }
    }

    fn unlike(&self, what: String) -> CatalogError {
        CatalogError::Unlike { file: self.file(), what }
    }

    /// Returns whether the file is a qcow2. What the catalog says decides: a guest can write a
    /// qcow2's header to the beginning of its raw disk.
    fn is_qcow2(&self, plain: &Path) -> Result<bool, CatalogError> {
        let mut file = File::open(plain).map_err(|e| CatalogError::io("read", plain, e))?;
        match self.entry.format.as_deref() {
            Some("raw") => Ok(false),
            Some("qcow2") | None => {
                let found = format::probe(&mut file, &self.file()).map_err(|e| self.no_image(e))?;
                let qcow2 = matches!(found.format, Format::Qcow2(_));
                if self.entry.format.is_some() && !qcow2 {
                    return Err(self.unlike("it is no qcow2".into()));
                }
                Ok(qcow2)
            }
            Some(other) => {
                let shown = other.escape_debug();
                Err(self.unlike(format!("its format is `{shown}`, which is not raw or qcow2")))
            }
        }
    }

    fn check_size(&self, found: Bytes) -> Result<(), CatalogError> {
        match self.entry.size {
            Some(size) if size != found => {
                Err(self.unlike(format!("it has a disk of {found}, and not of {size}")))
            }
            _ => Ok(()),
        }
    }

    fn convert(&self, plain: &Path, disk: &Path) -> Result<(), CatalogError> {
        let read = |e| CatalogError::io("read", plain, e);
        let mut device = File::open(plain).and_then(RawFile::new).map_err(read)?;
        let options = ConvertOptions::new(TargetFormat::Qcow2);
        let done = convert(&mut device, disk, &options, &|done, of| {
            (self.progress)(PullEvent::Convert(Bytes(done), Bytes(of)));
        });
        match done {
            Ok(_) => Ok(()),
            Err(ConvertError::Interrupted) => Err(CatalogError::Interrupted),
            Err(source) => {
                Err(CatalogError::Convert { file: self.file(), source: Box::new(source) })
            }
        }
    }

    fn manifest(&self, disk: &Path, virtual_size: Bytes) -> Result<Manifest, CatalogError> {
        let fail = |e| CatalogError::io("read", disk, e);
        let file_size = Bytes(fs::metadata(disk).map_err(fail)?.len());
        let digest = digest::of_file(disk, &mut |_| !signal::interrupted());
        let digest = digest.map_err(|e| CatalogError::stopped_or("read", disk, e))?;
        let seen = glance(|| Qcow2File::open(File::open(disk).ok()?, "disk").ok());
        let entry = self.entry;
        let tools = BTreeMap::from([("kiln".to_owned(), self.ctx.kiln_version.to_owned())]);
        Ok(Manifest {
            format: image::FORMAT,
            name: self.name.as_str().to_owned(),
            arch: self.arch(&seen)?,
            os: seen.os.unwrap_or_else(|| entry.os.clone()),
            kernel: String::new(),
            firmware: match entry.firmware.as_slice() {
                // Nobody knows: nothing is refused.
                [] => vec![Firmware::Bios, Firmware::Uefi],
                known => known.to_vec(),
            },
            user: entry.user.clone().unwrap_or_default(),
            min_memory: LEAST_MEMORY,
            virtual_size,
            file_size,
            disk_format: DiskFormat::Qcow2,
            digest,
            recipe_digest: None,
            created: kiln_spec::time::rfc3339(self.ctx.now),
            made: Made::Catalog {
                catalog: entry.catalog.clone(),
                image: entry.name.clone(),
                arch: entry.arch.clone(),
                url: entry.url.to_string(),
                version: entry.version.clone(),
                checksum: self.checksum.to_string(),
                proven: entry.proven_by(),
            },
            properties: BTreeMap::new(),
            tools,
        })
    }

    fn arch(&self, seen: &Glance) -> Result<Arch, CatalogError> {
        let said = self.entry.processor();
        match (said, seen.processor) {
            (Some(said), Some(Processor::Known(found))) if said != found => {
                Err(self.unlike(format!("its programs are for {found}, and not for {said}")))
            }
            (Some(said), _) => Ok(said),
            (None, Some(Processor::Known(found))) if self.entry.arch.is_empty() => Ok(found),
            (None, _) => {
                let shown = self.entry.arch.escape_debug();
                Err(self.unlike(format!("it is for `{shown}`, of which kiln makes no machines")))
            }
        }
    }
}

/// Returns the checksum of a file of this host and its length. `progress` gets how much is done.
pub(super) fn hash_file(
    path: &Path,
    algorithm: Algorithm,
    progress: &dyn Fn(Bytes),
) -> io::Result<(Checksum, Bytes)> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher::new(algorithm);
    let (mut buf, mut length) = (vec![0; 1 << 20], Bytes(0));
    loop {
        if signal::interrupted() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let n = io::Read::read(&mut file, &mut buf)?;
        let Some(bytes) = buf.get(..n).filter(|bytes| !bytes.is_empty()) else { break };
        hasher.update(bytes);
        length.0 += u64::try_from(n).unwrap_or_default();
        progress(length);
    }
    Ok((hasher.finish(), length))
}
