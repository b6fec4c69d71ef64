// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From what the user calls an image to a file that may become a template.
//!
//! **Invariant:** an image that would make QEMU open other files (a backing file, an external
//! data file) never gets past here: whoever made the image could name any file of the host.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use kiln_build::digest;
use kiln_build::store::{Image, StoreError};
use kiln_disk::device::RawFile;
use kiln_disk::format::qcow2::Qcow2File;
use kiln_disk::format::{self, FormatError};
use kiln_guest::inspect::{self, Glance, Processor};
use kiln_host::signal;
use kiln_spec::Bytes;
use kiln_spec::image::{Digest, Manifest};

use super::meta::VolumeRef;
use crate::args::bundle::trust::Trust;
use crate::commands::bundle;
use crate::context::Context;
use crate::error::{Class, Problem};

/// Hashing a file of more than 256 MiB takes long enough to be said.
const WORTH_SAYING: u64 = 256 << 20;

/// An image, found and looked at.
#[derive(Clone, Debug)]
pub(crate) struct ImageFile {
    /// Its name: the store's, or the file's without its extension.
    pub(crate) name: String,
    /// The file, opened once: what was looked at is what is uploaded, whatever its path leads to
    /// later. None of a template, which is uploaded already.
    pub(crate) file: Option<Arc<File>>,
    /// The template that was named instead of an image.
    pub(crate) template: Option<VolumeRef>,
    /// Who logs in, of a template; of an image its manifest says it.
    pub(crate) user: Option<String>,
    /// Whether it starts by UEFI, of a template that says so.
    pub(crate) uefi: Option<bool>,
    /// `qcow2` or `raw`.
    pub(crate) format: String,
    /// The size that a guest sees.
    pub(crate) virtual_size: Bytes,
    /// The size of the file.
    pub(crate) file_size: Bytes,
    /// `sha256:…` of the file.
    pub(crate) digest: String,
    /// What a look into a file of the user's showed.
    pub(crate) glance: Glance,
    /// What is known of it, if it is of the store.
    pub(crate) manifest: Option<Manifest>,
}

impl ImageFile {
    /// Returns the processor that the image is for: as its manifest says, else as its programs
    /// are; `None` if neither is known.
    pub(crate) fn processor(&self) -> Option<Processor> {
        match &self.manifest {
            Some(manifest) => Some(Processor::Known(manifest.arch)),
            None => self.glance.processor,
        }
    }
}

/// Finds the image: a path if there is a `/` in it, else a name of the store. Of a bundle the disk
/// is made, once.
///
/// # Errors
///
/// Not there (class object); not an image, truncated, with a backing file, encrypted (class
/// file); `trust` for what is no address (class usage).
pub(crate) fn find(
    ctx: &Context,
    wanted: &str,
    (trust, dry_run): (&Trust, bool),
) -> anyhow::Result<ImageFile> {
    if let Some(digest) = bundle::launchable(ctx, wanted, (trust, dry_run))? {
        return of_store(ctx, &digest);
    }
    if wanted.contains('/') {
        return of_path(ctx, Path::new(wanted), dry_run);
    }
    of_store(ctx, wanted)
}

/// Finds an image of the store by its name or digest.
///
/// # Errors
///
/// As [`find`].
pub(crate) fn of_store(ctx: &Context, wanted: &str) -> anyhow::Result<ImageFile> {
    let image = find_in_store(ctx, wanted)?;
    let manifest = image.manifest;
    let (file, format, virtual_size) = look(&image.path)?;
    Ok(ImageFile {
        file: Some(Arc::new(file)),
        template: None,
        user: None,
        uefi: None,
        name: manifest.name.clone(),
        format,
        virtual_size,
        file_size: manifest.file_size,
        digest: manifest.digest.to_string(),
        glance: Glance::default(),
        manifest: Some(manifest),
    })
}

/// Finds an image of the store by its name or the beginning of its digest.
///
/// # Errors
///
/// Not there (class object), with the nearest name.
pub(crate) fn find_in_store(ctx: &Context, wanted: &str) -> anyhow::Result<Image> {
    match ctx.store()?.find(wanted) {
        Err(StoreError::NotFound { near, .. }) => Err(not_found(wanted, &near).into()),
        other => Ok(other?),
    }
}

fn not_found(wanted: &str, near: &[String]) -> Problem {
    let problem = Problem::new(Class::Object, format!("there is no image `{wanted}` in the store"));
    if Path::new(wanted).is_file() {
        if wanted.contains('/') {
            return problem.hint(format!("`kiln image inspect {wanted}` looks into that file"));
        }
        return problem.hint(format!("for the file of that name write `./{wanted}`"));
    }
    match near.first() {
        Some(near) => problem.hint(format!("did you mean `{near}`? `kiln image list` shows all")),
        None => {
            problem.hint("`kiln build RECIPE` makes one; `kiln image list` shows what is there")
        }
    }
}

fn of_path(ctx: &Context, path: &Path, dry_run: bool) -> anyhow::Result<ImageFile> {
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(source) => {
            let what = format!("there is no image `{}`", path.display());
            let class = match source.kind() {
                std::io::ErrorKind::PermissionDenied => Class::Host,
                _ => Class::Object,
            };
            return Err(Problem::new(class, what).because(source).into());
        }
    };
    if !meta.is_file() {
        let what = format!("`{}` is no regular file", path.display());
        return Err(Problem::new(Class::File, what).into());
    }
    let (file, format, virtual_size) = look(path)?;
    let name = path.file_stem().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    Ok(ImageFile {
        name: safe_name(&name),
        glance: look_inside(&file, &format, &path.display().to_string()),
        format,
        virtual_size,
        file_size: Bytes(meta.len()),
        digest: digest_of(ctx, path, &file, dry_run)?,
        file: Some(Arc::new(file)),
        template: None,
        user: None,
        uefi: None,
        manifest: None,
    })
}

/// Looks at an image without obeying it. Returns the open file, its format and virtual size.
fn look(path: &Path) -> anyhow::Result<(File, String, Bytes)> {
    let shown = path.display().to_string();
    let mut file = File::open(path).map_err(|source| {
        Problem::new(Class::Host, format!("could not open the image `{shown}`")).because(source)
    })?;
    let refused = |error: FormatError| {
        let hint = error.hint();
        let what = format!("cannot use the image `{shown}`");
        Problem::new(Class::File, what).because(error).maybe_hint(hint)
    };
    let info = format::probe_complete(&mut file, &shown).map_err(refused)?;
    Ok((file, info.format.name().to_owned(), info.virtual_size))
}

/// Looks for the processor and the system of an image, as far as they can be had without booting.
fn look_inside(file: &File, format: &str, name: &str) -> Glance {
    if format == "qcow2" {
        inspect::glance(|| Qcow2File::open(file.try_clone().ok()?, name).ok())
    } else {
        inspect::glance(|| RawFile::new(file.try_clone().ok()?).ok())
    }
}

/// Returns `name` with every character that a volume's name should not have made a hyphen.
fn safe_name(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = name.chars().map(safe).take(64).collect();
    let name = name.trim_start_matches(['.', '-']).to_ascii_lowercase();
    if name.is_empty() { "image".to_owned() } else { name }
}

/// Returns the digest of a file. Hashed once: the answer is kept under the file's device, inode,
/// size and times.
fn digest_of(ctx: &Context, path: &Path, file: &File, dry_run: bool) -> anyhow::Result<String> {
    let meta = file.metadata()?;
    let key = format!(
        "{}-{}-{}-{}.{}-{}.{}",
        meta.dev(),
        meta.ino(),
        meta.len(),
        meta.mtime(),
        meta.mtime_nsec(),
        meta.ctime(),
        meta.ctime_nsec()
    );
    let known = ctx.sub("digests").join(key);
    if let Some(digest) = noted(&known) {
        return Ok(digest.to_string());
    }
    let task = ctx.ui.task("image");
    if meta.len() > WORTH_SAYING {
        task.phase("hashing", &path.display().to_string());
    }
    let mut from_start = file;
    from_start.seek(SeekFrom::Start(0))?;
    let digest = digest::of_open_file(file, &mut |_| !signal::interrupted());
    let digest = digest.map_err(|error| match error.kind() {
        std::io::ErrorKind::Interrupted => anyhow::Error::new(Problem::stopped()),
        _ => error.into(),
    })?;
    if dry_run {
        return Ok(digest.to_string());
    }
    if let Err(error) = note(&known, &digest) {
        // Then it is hashed again the next time, and that is all.
        let shown = known.display();
        ctx.ui.detail(format!("could not note the image's digest in `{shown}`: {error}"));
    }
    Ok(digest.to_string())
}

/// Returns the digest that was noted; one that was cut short, by a kill or a full disk, is none.
fn noted(path: &Path) -> Option<Digest> {
    fs::read_to_string(path).ok()?.parse().ok()
}

fn note(path: &Path, digest: &Digest) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(path, digest.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_that_was_cut_short_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("digests/1-2-3");
        assert_eq!(noted(&path), None);
        let digest = Digest::from_sha256(&[7; 32]);
        note(&path, &digest).unwrap();
        assert_eq!(noted(&path), Some(digest));
        let whole = fs::read(&path).unwrap();
        for end in 0..whole.len() {
            fs::write(&path, &whole[..end]).unwrap();
            assert_eq!(noted(&path), None, "{end}");
        }
    }

    #[test]
    fn volume_names_are_safe() {
        assert_eq!(safe_name("Fedora Cloud (x86)"), "fedora-cloud--x86-");
        assert_eq!(safe_name("..hidden"), "hidden");
        assert_eq!(safe_name("ä"), "image");
        assert_eq!(safe_name(""), "image");
    }
}
