// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From what the user calls an image to an open disk, for looking or for changing.
//!
//! **Invariant:** an image of the store is never changed: it is known by its digest. A copy that
//! is being changed has a name of its own until all is done.

use std::fs::File;
use std::path::{Path, PathBuf};

use kiln_disk::image::{Backing, DiskImage, FormatName, Mode, OpenOptions};
use kiln_guest::guest::{Guest, GuestError, Options};
use kiln_guest::tree::{GuestPath, Time};
use kiln_host::copy;
use kiln_spec::recipe::ImageName;
use tempfile::TempPath;

use super::appliance;
use super::stored::{self, NewImage};
use crate::args::image::target::{Format, Opening, Source, Target};
use crate::context::{Context, unix_secs};
use crate::error::{Class, Problem};
use crate::machine::image::find_in_store;

/// Opens the guest on an image for looking into it.
///
/// # Errors
///
/// As [`reading`]; no system, or one of several that has to be chosen.
pub(crate) fn guest_reading(ctx: &Context, source: &Source) -> anyhow::Result<Guest> {
    let path = file(ctx, &source.image)?;
    let disk = open(ctx, &path, Mode::Read, &source.opening)?;
    guest(ctx, (disk, &path, Mode::Read), &source.opening)
}

/// A guest that is being changed.
#[derive(Debug)]
pub(crate) struct Changing {
    /// The guest.
    pub(crate) guest: Guest,
    copy: Option<Copy>,
    dry_run: bool,
}

/// Opens the guest on an image, or on a copy of it, for changing it.
///
/// # Errors
///
/// As [`editing`]; no system, or one of several that has to be chosen.
pub(crate) fn guest_editing(ctx: &Context, target: &Target) -> anyhow::Result<Changing> {
    let Editing { disk, copy, path, mode, opening } = editing(ctx, target)?;
    let guest = guest(ctx, (disk, &path, mode), &opening)?;
    Ok(Changing { guest, copy, dry_run: target.dry_run })
}

impl Changing {
    /// Keeps the changes, all or none; of a dry run none.
    ///
    /// # Errors
    ///
    /// The guest or the host is full, or fails. The image is as it was then.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        if self.dry_run {
            return Ok(());
        }
        self.guest.commit()?;
        self.copy.map_or(Ok(()), Copy::keep)
    }
}

/// Returns the time of changes: now.
pub(crate) fn now() -> Time {
    Time { seconds: i64::try_from(unix_secs()).unwrap_or(i64::MAX), nanos: 0 }
}

/// Takes a path that the user typed for one of the guest.
///
/// # Errors
///
/// It is none (class usage).
pub(crate) fn path(typed: &str) -> anyhow::Result<GuestPath> {
    Ok(GuestPath::new(typed).map_err(|error| Problem::new(Class::Usage, error.to_string()))?)
}

/// Opens the guest on a disk: in process, or where that cannot be in an appliance.
fn guest(
    ctx: &Context,
    (disk, path, mode): (DiskImage, &Path, Mode),
    opening: &Opening,
) -> anyhow::Result<Guest> {
    let image = options(mode, opening);
    let in_appliance = |why: &str| -> anyhow::Result<Guest> {
        let mut held = appliance::start(ctx, path, (image, opening), why)?;
        held.choose(opening.root)?;
        Ok(Guest::over(Box::new(held)))
    };
    let guest = if opening.appliance {
        drop(disk);
        in_appliance("it was asked for")?
    } else {
        let change = mode != Mode::Read;
        match Guest::open(disk, &Options { change, root: opening.root, now: now() }) {
            Err(GuestError::NeedsAppliance { why }) => in_appliance(&why)?,
            guest => guest?,
        }
    };
    guest.notes().iter().for_each(|note| ctx.ui.warn(note.to_string()));
    let by = guest.held_by();
    ctx.ui.detail(match guest.root() {
        Some(root) => format!("{by}: {} on /dev/{}", root.fs, root.name),
        None => by.to_owned(),
    });
    Ok(guest)
}

/// An image that is being changed.
#[derive(Debug)]
pub(crate) struct Editing {
    /// The disk. Nothing is kept of it unless it is committed and [`Editing::keep`] is called.
    pub(crate) disk: DiskImage,
    copy: Option<Copy>,
    /// The file that is changed, and how it is open.
    path: PathBuf,
    mode: Mode,
    opening: Opening,
}

/// The copy that is being changed, until it has its name.
#[derive(Debug)]
pub(crate) enum Copy {
    /// A file.
    File { under_way: TempPath, output: PathBuf },
    /// An image of the store.
    Stored(Box<NewImage>),
}

/// Opens an image for reading.
///
/// # Errors
///
/// Not there (class object); no image, damaged, or in need of another file (class file).
pub(crate) fn reading(ctx: &Context, source: &Source) -> anyhow::Result<DiskImage> {
    open(ctx, &file(ctx, &source.image)?, Mode::Read, &source.opening)
}

/// Opens an image for reading, several times if that helps: at most `most` times, each a reader of
/// its own. Warnings are shown once.
///
/// # Errors
///
/// As [`reading`].
pub(crate) fn readers(
    ctx: &Context,
    source: &Source,
    most: usize,
) -> anyhow::Result<Vec<DiskImage>> {
    let path = file(ctx, &source.image)?;
    let first = open(ctx, &path, Mode::Read, &source.opening)?;
    // Of other formats each reader would be a process.
    let several = !matches!(first.info().format, FormatName::Foreign(_));
    let options = options(Mode::Read, &source.opening);
    let more = (1..most).filter(|_| several).map(|_| DiskImage::open(&path, &options));
    let more = more.collect::<Result<Vec<_>, _>>()?;
    Ok(std::iter::once(first).chain(more).collect())
}

/// Opens an image, or a copy of it, for changing.
///
/// # Errors
///
/// As [`reading`]; also an image of the store without `--output`, and an output that is there
/// (class object).
pub(crate) fn editing(ctx: &Context, target: &Target) -> anyhow::Result<Editing> {
    let (path, stored) = match find(ctx, &target.image)? {
        Found::File(path) => (path, false),
        Found::Stored(path) => (path, true),
    };
    let Some(output) = &target.output else {
        if stored && !target.dry_run {
            let what =
                format!("`{}` is an image of the store, which is never changed", target.image);
            let hint = "make a changed copy: `--output NAME`";
            return Err(Problem::new(Class::Object, what).hint(hint).into());
        }
        let mode = if target.dry_run { Mode::Scratch } else { Mode::Write };
        let opening = target.opening.clone();
        let disk = open(ctx, &path, mode, &opening)?;
        return Ok(Editing { disk, copy: None, path, mode, opening });
    };
    if let Some(name) = stored::name_of(output)? {
        return editing_for_store(ctx, target, &path, name);
    }
    if output.symlink_metadata().is_ok() {
        let what = format!("`{}` is there already", output.display());
        return Err(Problem::new(Class::Object, what).hint("remove it, or name another").into());
    }
    if target.dry_run {
        let mode = Mode::Scratch;
        let opening = target.opening.clone();
        let disk = open(ctx, &path, mode, &opening)?;
        return Ok(Editing { disk, copy: None, path, mode, opening });
    }
    // Looked at before it is copied: what is refused is refused at once.
    drop(open(ctx, &path, Mode::Read, &target.opening)?);
    let under_way = copied(&path, output)?;
    let (opening, mode) = (target.opening.clone(), Mode::Write);
    let disk = open(ctx, &under_way, mode, &opening)?;
    let path = under_way.to_path_buf();
    let copy = Some(Copy::File { under_way, output: output.clone() });
    Ok(Editing { disk, copy, path, mode, opening })
}

/// Opens a copy of an image that is to become one of the store.
fn editing_for_store(
    ctx: &Context,
    target: &Target,
    path: &Path,
    name: ImageName,
) -> anyhow::Result<Editing> {
    if target.dry_run {
        stored::check_free(ctx, &name)?;
        let (opening, mode) = (target.opening.clone(), Mode::Scratch);
        let disk = open(ctx, path, mode, &opening)?;
        return Ok(Editing { disk, copy: None, path: path.to_owned(), mode, opening });
    }
    let source = (target.image.as_str(), path);
    let how = options(Mode::Read, &target.opening);
    let new = NewImage::begin(ctx, name, source, (&how, target.opening.root))?;
    // The copy is a qcow2 file by itself, whatever the image was.
    let format = Some(Format::Qcow2);
    let opening = Opening { format, follow_backing: false, ..target.opening.clone() };
    let (path, mode) = (new.disk().to_owned(), Mode::Write);
    let disk = open(ctx, &path, mode, &opening)?;
    Ok(Editing { disk, copy: Some(Copy::Stored(Box::new(new))), path, mode, opening })
}

impl Editing {
    /// Splits the disk from the copy that it may be in. The copy is removed unless
    /// [`Copy::keep`] is called.
    pub(crate) fn split(self) -> (DiskImage, Option<Copy>) {
        (self.disk, self.copy)
    }
}

impl Copy {
    /// Gives the changed copy its name.
    ///
    /// # Errors
    ///
    /// Somebody has made one of that name meanwhile (class object).
    pub(crate) fn keep(self) -> anyhow::Result<()> {
        let (under_way, path) = match self {
            Self::File { under_way, output } => (under_way, output),
            Self::Stored(new) => return new.keep(),
        };
        let output = path.display().to_string();
        under_way.persist_noclobber(&path).map_err(|error| {
            let class = match error.error.kind() {
                std::io::ErrorKind::AlreadyExists => Class::Object,
                _ => Class::Host,
            };
            Problem::new(class, format!("could not make `{output}`")).because(error.error)
        })?;
        Ok(())
    }
}

/// Returns the file of an image.
///
/// # Errors
///
/// There is no such name in the store, and no such file here (class object).
pub(crate) fn file(ctx: &Context, image: &str) -> anyhow::Result<PathBuf> {
    match find(ctx, image)? {
        Found::File(path) | Found::Stored(path) => Ok(path),
    }
}

/// Returns the file of an image that is to be changed in place.
///
/// # Errors
///
/// As [`file`]; an image of the store (class object).
pub(crate) fn own_file(ctx: &Context, image: &str) -> anyhow::Result<PathBuf> {
    match find(ctx, image)? {
        Found::File(path) => Ok(path),
        Found::Stored(_) => {
            let what = format!("`{image}` is an image of the store, which is never changed");
            let hint = "copy it first: `kiln image convert`";
            Err(Problem::new(Class::Object, what).hint(hint).into())
        }
    }
}

/// Returns how the user wants an image opened.
pub(crate) fn options_of(source: &Source) -> OpenOptions {
    options(Mode::Read, &source.opening)
}

enum Found {
    File(PathBuf),
    Stored(PathBuf),
}

/// Finds an image: a path if there is a `/` in it; else a name of the store; else a file here.
fn find(ctx: &Context, wanted: &str) -> anyhow::Result<Found> {
    let path = Path::new(wanted);
    if !wanted.contains('/') {
        let stored = find_in_store(ctx, wanted);
        if stored.is_ok() || !path.exists() {
            return Ok(Found::Stored(stored?.path));
        }
    }
    Ok(Found::File(path.to_owned()))
}

fn open(ctx: &Context, path: &Path, mode: Mode, opening: &Opening) -> anyhow::Result<DiskImage> {
    let disk = DiskImage::open(path, &options(mode, opening))?;
    disk.warnings().iter().for_each(|warning| ctx.ui.warn(warning.to_string()));
    Ok(disk)
}

fn options(mode: Mode, opening: &Opening) -> OpenOptions {
    OpenOptions {
        mode,
        format: opening.format.map(|format| match format {
            Format::Raw => FormatName::Raw,
            Format::Qcow2 => FormatName::Qcow2,
        }),
        backing: if opening.follow_backing { Backing::Follow } else { Backing::Refuse },
        ..OpenOptions::default()
    }
}

/// Copies an image to a file of no name yet, in the folder of `output`.
fn copied(from: &Path, output: &Path) -> anyhow::Result<TempPath> {
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    let shown = output.display();
    let failed = |source: std::io::Error| {
        Problem::new(Class::Host, format!("could not make `{shown}`")).because(source)
    };
    let file = tempfile::Builder::new()
        .prefix(".kiln-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .map_err(failed)?;
    let source = File::open(from).map_err(failed)?;
    if copy::reflink(&source, file.as_file()).is_err() {
        copy::sparse(&source, file.as_file()).map_err(failed)?;
    }
    Ok(file.into_temp_path())
}
