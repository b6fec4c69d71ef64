// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A folder of images made a repository of virt-builder's: packed, listed, signed.
//!
//! ```text
//! debian-12.qcow2        an image that is offered …
//! debian-12.qcow2.xz     … packed in blocks of 16 MiB, which are unpacked side by side
//! index                  what is known of each; what a person writes there is kept
//! index.asc              the same, clear-signed
//! index.gpg              the public key
//! ```
//!
//! As virt-builder-repository does it, without its appliance: what system an image holds is seen
//! by a glance, and what a glance does not show is read from the index that is there. The old
//! index stays beside the new one as `*.bak`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use kiln_disk::device::{Device, RawFile, Window};
use kiln_disk::format::qcow2::Qcow2File;
use kiln_disk::format::{self, Format};
use kiln_disk::table;
use kiln_guest::inspect::{Glance, Processor, glance};
use kiln_host::signal;
use kiln_spec::Bytes;
use kiln_spec::image::Os;
use liblzma::stream::{Check, MtStreamBuilder};
use liblzma::write::XzEncoder;
use tempfile::NamedTempFile;

use super::CatalogError;
use super::checksum::Algorithm;
use super::openpgp::{OpenPgp, strip};
use super::pull::hash_file;
use super::virt_builder::{Template, parse, write};

/// Bytes of a block of xz: virt-builder-repository's.
const BLOCK: u64 = 16 << 20;
/// The most that an index may have.
const INDEX_MOST: u64 = 64 << 20;
/// The ends of names of images: virt-builder-repository's.
const ENDINGS: [&str; 3] = ["qcow2", "raw", "img"];

/// How a repository is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// The key that signs, as `gpg --local-user` takes it; `None` for no signature.
    pub key: Option<String>,
    /// How hard xz tries, from 0 to 9; `None` to offer the images as they are.
    pub level: Option<u32>,
    /// Change nothing.
    pub dry_run: bool,
}

/// What became of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new in the index.
    Added,
    /// Its file changed, and its revision is one higher.
    Updated,
    /// It is as it was.
    Unchanged,
    /// Its file is gone, and its entry with it.
    Removed,
}

/// What is told while a repository is made: the image, and how much of it is packed or hashed.
pub type Progress<'a> = &'a dyn Fn(&str, &'static str, Bytes);

/// Makes or renews a repository; returns its images, by name, with what became of each.
///
/// # Effects
///
/// Writes packed images, then `index`, then `index.asc` and `index.gpg`. A packed image gets its
/// name when it is whole. Nothing else of the folder is touched.
///
/// # Errors
///
/// [`CatalogError::Syntax`] if the index that is there is wrong; [`CatalogError::Unlike`] if an
/// image has no processor and the index does not say it; [`CatalogError::Image`],
/// [`CatalogError::Io`], [`CatalogError::Sign`].
pub fn make(
    folder: &Path,
    options: &Options,
    openpgp: OpenPgp<'_>,
    progress: Progress<'_>,
) -> Result<Vec<(Template, Change)>, CatalogError> {
    let known = read_index(folder)?;
    let mut all: Vec<(Template, Change)> = Vec::new();
    let maker = Maker { folder, options, progress };
    for image in images(folder)? {
        let (template, change) = maker.image(&image, &known)?;
        let twice = |(t, _): &&(Template, Change)| t.id == template.id && t.arch == template.arch;
        if all.iter().any(|one| twice(&one)) {
            let what = format!("`{}` for {} is another image's name", template.id, template.arch);
            return Err(CatalogError::Unlike { file: image, what });
        }
        all.push((template, change));
    }
    for template in known {
        let listed = |(t, _): &(Template, Change)| t.id == template.id && t.arch == template.arch;
        if !all.iter().any(listed) {
            let there = folder.join(&template.file).is_file();
            let change = if there { Change::Unchanged } else { Change::Removed };
            all.push((template, change));
        }
    }
    all.sort_by(|(a, _), (b, _)| (&a.id, &a.arch).cmp(&(&b.id, &b.arch)));
    if !options.dry_run {
        let kept = all.iter().filter(|(_, change)| *change != Change::Removed);
        let templates: Vec<Template> = kept.map(|(template, _)| template.clone()).collect();
        publish(folder, &write(&templates), options, openpgp)?;
    }
    Ok(all)
}

/// Reads the index that is there: what a person wrote into `index` counts first. It may lack what
/// the image itself shows.
fn read_index(folder: &Path) -> Result<Vec<Template>, CatalogError> {
    for name in ["index", "index.asc"] {
        let path = folder.join(name);
        match kiln_host::read::bounded(&path, INDEX_MOST) {
            Ok(bytes) => return parse(&strip(&bytes), &path.display().to_string()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(CatalogError::io("read", path, e)),
        }
    }
    Ok(Vec::new())
}

/// The names of the images in a folder, sorted.
fn images(folder: &Path) -> Result<Vec<String>, CatalogError> {
    let fail = |e| CatalogError::io("read", folder, e);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let regular = entry.file_type().map_err(fail)?.is_file();
        let Ok(name) = entry.file_name().into_string() else { continue };
        let ending = name.rsplit_once('.').map(|(_, ending)| ending);
        if regular && !name.starts_with('.') && ending.is_some_and(|e| ENDINGS.contains(&e)) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

struct Maker<'a> {
    folder: &'a Path,
    options: &'a Options,
    progress: Progress<'a>,
}

impl Maker<'_> {
    fn image(&self, name: &str, known: &[Template]) -> Result<(Template, Change), CatalogError> {
        let path = self.folder.join(name);
        let packed = self.options.level.map(|_| format!("{name}.xz"));
        let offered = packed.clone().unwrap_or_else(|| name.to_owned());
        let old = known.iter().find(|t| t.file == offered || t.file == name);
        if let Some(old) = old.filter(|old| old.file == offered && self.is_current(&path, old)) {
            return Ok((old.clone(), Change::Unchanged));
        }
        let seen = self.look(&path, name)?;
        let mut template = seen.template(name, &offered, old)?;
        let change = if old.is_some() { Change::Updated } else { Change::Added };
        if self.options.dry_run {
            return Ok((template, change));
        }
        if let (Some(packed), Some(level)) = (&packed, self.options.level) {
            self.pack(&path, &self.folder.join(packed), level, name)?;
        }
        let file = self.folder.join(&offered);
        let hashed = hash_file(&file, Algorithm::Sha512, &|done| {
            (self.progress)(name, "hash", done);
        });
        let (checksum, length) = hashed.map_err(|e| CatalogError::stopped_or("read", &file, e))?;
        // The same bytes under the same name are no new revision.
        if let Some(old) = old.filter(|old| old.checksum.as_ref() == Some(&checksum)) {
            template.revision = old.revision;
        }
        template.checksum = Some(checksum);
        template.compressed_size = Some(length);
        Ok((template, change))
    }

    /// Whether what is offered is newer than the image, and as long as the index says.
    fn is_current(&self, image: &Path, old: &Template) -> bool {
        let file = self.folder.join(&old.file);
        let (Ok(image), Ok(file)) = (fs::metadata(image), fs::metadata(file)) else { return false };
        let newer = match (image.modified(), file.modified()) {
            (Ok(image), Ok(file)) => file >= image,
            _ => false,
        };
        // Offered as it is, only its checksum could tell.
        let packed = self.options.level.is_some();
        packed && newer && old.checksum.is_some() && old.compressed_size == Some(Bytes(file.len()))
    }

    fn look(&self, path: &Path, name: &str) -> Result<Seen, CatalogError> {
        let read = |e| CatalogError::io("read", path, e);
        let mut file = File::open(path).map_err(read)?;
        let info = format::probe_complete(&mut file, name).map_err(|source| {
            CatalogError::Image { file: name.to_owned(), source: Box::new(source) }
        })?;
        let qcow2 = matches!(info.format, Format::Qcow2(_));
        let open = || -> Option<Box<dyn Device>> {
            let file = File::open(path).ok()?;
            if qcow2 {
                return Some(Box::new(Qcow2File::open(file, name).ok()?));
            }
            Some(Box::new(RawFile::new(file).ok()?))
        };
        let (seen, expand) = root_of(&open);
        let format = if qcow2 { "qcow2" } else { "raw" };
        Ok(Seen { glance: seen, expand, format, size: info.virtual_size })
    }

    /// Packs an image beside its name, and moves it there when it is whole.
    fn pack(&self, from: &Path, to: &Path, level: u32, name: &str) -> Result<(), CatalogError> {
        let fail = |e| CatalogError::stopped_or("write", to, e);
        let out = NamedTempFile::new_in(self.folder).map_err(fail)?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
        let mut builder = MtStreamBuilder::new();
        builder.threads(u32::try_from(threads).unwrap_or(1));
        builder.block_size(BLOCK).preset(level).check(Check::Crc64);
        let stream = builder.encoder().map_err(|e| fail(io::Error::other(e)))?;
        let mut packer = XzEncoder::new_stream(out, stream);
        let read = |e| CatalogError::io("read", from, e);
        let mut input = BufReader::new(File::open(from).map_err(read)?);
        let (mut buf, mut done) = (vec![0; 1 << 20], 0);
        loop {
            if signal::interrupted() {
                return Err(CatalogError::Interrupted);
            }
            let n = input.read(&mut buf).map_err(read)?;
            let Some(bytes) = buf.get(..n).filter(|bytes| !bytes.is_empty()) else { break };
            packer.write_all(bytes).map_err(fail)?;
            done += u64::try_from(n).unwrap_or_default();
            (self.progress)(name, "pack", Bytes(done));
        }
        let out = packer.finish().map_err(fail)?;
        keep(out, to)
    }
}

/// What is seen of an image.
struct Seen {
    glance: Glance,
    expand: Option<String>,
    format: &'static str,
    size: Bytes,
}

impl Seen {
    fn template(
        &self,
        name: &str,
        offered: &str,
        old: Option<&Template>,
    ) -> Result<Template, CatalogError> {
        let arch = match (old, self.glance.processor) {
            (Some(old), _) => old.arch.clone(),
            (None, Some(Processor::Known(arch))) => arch.qemu().to_owned(),
            (None, _) => {
                let what = "for which processor it is cannot be seen; write its section into \
                            `index`, with `arch`, `file` and `size`";
                return Err(CatalogError::Unlike { file: name.to_owned(), what: what.into() });
            }
        };
        let kept = |of: fn(&Template) -> &Option<String>| old.and_then(|old| of(old).clone());
        let os = self.glance.os.as_ref();
        Ok(Template {
            id: old.map_or_else(|| id_of(name), |old| old.id.clone()),
            name: kept(|t| &t.name).or_else(|| os.map(|os| os.pretty_name.clone())),
            osinfo: kept(|t| &t.osinfo).or_else(|| os.and_then(short_id)),
            arch,
            file: offered.to_owned(),
            checksum: None,
            revision: old.map_or(1, |old| old.revision.saturating_add(1)),
            format: Some(self.format.to_owned()),
            size: self.size,
            compressed_size: None,
            expand: kept(|t| &t.expand).or_else(|| self.expand.clone()),
            lvexpand: kept(|t| &t.lvexpand),
            notes: old.map_or_else(BTreeMap::new, |old| old.notes.clone()),
            hidden: old.is_some_and(|old| old.hidden),
            aliases: old.map(|old| old.aliases.clone()).unwrap_or_default(),
        })
    }
}

/// The name of a file, without its end, as a section may be called.
fn id_of(name: &str) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let good = |c: char| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '-' };
    stem.chars().map(good).collect()
}

/// libosinfo's short name of a system, where it is the id and the version.
fn short_id(os: &Os) -> Option<String> {
    let known = ["debian", "ubuntu", "fedora", "rocky", "almalinux", "rhel"];
    let known = known.contains(&os.id.as_str()) && !os.version.is_empty();
    known.then(|| format!("{}{}", os.id, os.version))
}

/// Looks for the partition that holds the system: what it is, and its name in virt-builder.
fn root_of(open: &dyn Fn() -> Option<Box<dyn Device>>) -> (Glance, Option<String>) {
    let table = open().and_then(|mut device| table::read(&mut *device).ok());
    for partition in table.iter().flat_map(|table| &table.partitions) {
        let window = || Window::new(open()?, partition.start, partition.len).ok();
        let seen = glance(window);
        if seen.os.is_some() {
            return (seen, Some(format!("/dev/sda{}", partition.number)));
        }
    }
    (glance(open), None)
}

/// Writes the index and signs it. The signed one comes last: who reads it finds all that it names.
fn publish(
    folder: &Path,
    text: &str,
    options: &Options,
    openpgp: OpenPgp<'_>,
) -> Result<(), CatalogError> {
    let signed = match &options.key {
        None => None,
        Some(key) => {
            let path = folder.join("index.asc");
            let fail = |source| CatalogError::Sign { path: path.clone(), source: Box::new(source) };
            let public = openpgp.export(key).map_err(fail)?;
            Some((openpgp.sign_clear(text.as_bytes(), key).map_err(fail)?, public))
        }
    };
    for name in ["index", "index.asc"] {
        let path = folder.join(name);
        match fs::rename(&path, path.with_file_name(format!("{name}.bak"))) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(CatalogError::io("move", path, e));
            }
            _ => {}
        }
    }
    put(folder, "index", text.as_bytes())?;
    if let Some((signed, public)) = signed {
        put(folder, "index.gpg", &public)?;
        put(folder, "index.asc", &signed)?;
    }
    Ok(())
}

fn put(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), CatalogError> {
    let path = folder.join(name);
    let fail = |e| CatalogError::io("write", &path, e);
    let mut file = NamedTempFile::new_in(folder).map_err(fail)?;
    file.write_all(bytes).map_err(fail)?;
    keep(file, &path)
}

/// Gives a finished file its name. A web server reads it: everybody may.
fn keep(file: NamedTempFile, to: &Path) -> Result<(), CatalogError> {
    use std::os::unix::fs::PermissionsExt;
    let fail = |e| CatalogError::io("write", to, e);
    file.as_file().set_permissions(fs::Permissions::from_mode(0o644)).map_err(fail)?;
    file.as_file().sync_all().map_err(fail)?;
    file.persist(to).map_err(|e| fail(e.error))?;
    Ok(())
}

/// Returns the files that a repository is made of, for whoever copies it to a server.
#[must_use]
pub fn files(folder: &Path, templates: &[Template]) -> Vec<PathBuf> {
    let own = ["index", "index.asc", "index.gpg"].iter().map(|name| folder.join(name));
    own.filter(|path| path.is_file())
        .chain(templates.iter().map(|t| folder.join(&t.file)))
        .collect()
}
