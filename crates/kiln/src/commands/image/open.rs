// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From what the user calls an image to an open disk, for looking or for changing.
//!
//! **Invariant:** an image of the store is never changed: it is known by its digest. A copy that
//! is being changed has a name of its own until all is done.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use kiln_disk::check::CheckError;
use kiln_disk::convert::{ConvertOptions, TargetFormat, convert};
use kiln_disk::format::FormatError;
use kiln_disk::image::{
    Backing, DiskImage, FormatName, ImageError, Key, Location, Mode, OpenOptions, RbdName, Warning,
};
use kiln_guest::backend::kernel::Kernel;
use kiln_guest::guest::{Guest, GuestError, Options};
use kiln_guest::tree::{GuestPath, Time};
use kiln_host::beside::{beside, folder_of, locked};
use kiln_host::copy;
use kiln_spec::recipe::ImageName;
use tempfile::NamedTempFile;

use super::appliance;
use super::stored::{self, NewImage};
use crate::args::image::target::{Format, Opening, Source, Target};
use crate::context::{Context, unix_secs};
use crate::error::{Class, Problem, unreadable, unwritable};
use crate::machine::image::find_in_store;
use crate::remains;

/// Opens the guest on an image for looking into it.
///
/// # Errors
///
/// As [`reading`]; no system, or one of several that has to be chosen.
pub(crate) fn guest_reading(ctx: &Context, source: &Source) -> anyhow::Result<Guest> {
    let place = location(ctx, &source.image)?;
    let disk = open(ctx, &place, Mode::Read, &source.opening)?;
    guest(ctx, (disk, &place, Mode::Read), &source.opening)
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
    let Editing { disk, copy, place, mode, opening } = editing(ctx, target)?;
    let guest = guest(ctx, (disk, &place, mode), &opening)?;
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
        let Self { mut guest, mut copy, .. } = self;
        if let Some(Copy::Stored(new)) = &mut copy {
            new.look(&mut guest)?;
        }
        guest.commit()?;
        copy.map_or(Ok(()), Copy::keep)
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
pub(crate) fn path(typed: impl AsRef<OsStr>) -> anyhow::Result<GuestPath> {
    let typed = typed.as_ref().as_bytes();
    Ok(GuestPath::new(typed).map_err(|error| Problem::new(Class::Usage, error.to_string()))?)
}

/// Opens the guest on a disk: in process, or where that cannot be in an appliance.
fn guest(
    ctx: &Context,
    (disk, place, mode): (DiskImage, &Location, Mode),
    opening: &Opening,
) -> anyhow::Result<Guest> {
    let in_appliance = |why: &str| -> anyhow::Result<Guest> {
        let mut held = appliance::start(ctx, place, options(ctx, place, mode, opening)?, why)?;
        held.choose(opening.root.as_ref())?;
        Ok(Guest::over(Box::new(held)))
    };
    let guest = if opening.appliance {
        drop(disk);
        in_appliance("it was asked for")?
    } else {
        let (change, root) = (mode != Mode::Read, opening.root.clone());
        let options = Options { change, root, now: now() };
        match here(ctx, (disk, place), opening, &options) {
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

/// Opens the guest on a disk in process, or where that cannot be and the user trusts the image by
/// this host's kernel.
///
/// # Errors
///
/// As [`Guest::open`]; [`GuestError::Backend`] if the kernel is not to be had.
pub(crate) fn here(
    ctx: &Context,
    (disk, place): (DiskImage, &Location),
    opening: &Opening,
    options: &Options,
) -> Result<Guest, GuestError> {
    if !opening.trust {
        return Guest::open(disk, options);
    }
    let kernel = Kernel::start(place, &disk, &remains::folder(ctx));
    let failed = |source| GuestError::Backend { backend: "kernel", source };
    let kernel = kernel.map_err(|error| failed(Box::new(error)))?;
    Guest::open_trusting(disk, options, Some(kernel))
}

/// An image that is being changed.
#[derive(Debug)]
pub(crate) struct Editing {
    /// The disk. Nothing is kept of it unless it is committed and [`Editing::keep`] is called.
    pub(crate) disk: DiskImage,
    copy: Option<Copy>,
    /// What is changed, and how it is open.
    place: Location,
    mode: Mode,
    opening: Opening,
}

/// The copy that is being changed, until it has its name.
#[derive(Debug)]
pub(crate) enum Copy {
    /// A file.
    File { under_way: NamedTempFile, output: PathBuf },
    /// An image of the store.
    Stored(Box<NewImage>),
}

/// Opens an image for reading.
///
/// # Errors
///
/// Not there (class object); no image, damaged, or in need of another file (class file).
pub(crate) fn reading(ctx: &Context, source: &Source) -> anyhow::Result<DiskImage> {
    open(ctx, &location(ctx, &source.image)?, Mode::Read, &source.opening)
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
    let place = location(ctx, &source.image)?;
    let first = open(ctx, &place, Mode::Read, &source.opening)?;
    // Of what QEMU reads for us each reader would be a process.
    let several = first.served().is_none();
    let options = options(ctx, &place, Mode::Read, &source.opening)?;
    let more = (1..most).filter(|_| several).map(|_| DiskImage::open_at(&place, &options));
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
    let Found { place, stored } = find(ctx, &target.image)?;
    let Some(output) = &target.output else {
        if stored && !target.dry_run {
            let what =
                format!("`{}` is an image of the store, which is never changed", target.image);
            let hint = "make a changed copy: `--output NAME`";
            return Err(Problem::new(Class::Object, what).hint(hint).into());
        }
        if !target.opening.under_way {
            refuse_read_only(&place)?;
        }
        let mode = if target.dry_run { Mode::Scratch } else { Mode::Write };
        return in_place(ctx, target, place, mode);
    };
    if output.to_str().is_some_and(RbdName::is_meant) {
        let what = "a changed copy is a file, or an image of the store";
        let hint = "make a file, and bring it into the cluster by `rbd import`";
        return Err(Problem::new(Class::Usage, what).hint(hint).into());
    }
    if let Some(name) = stored::name_of(output)? {
        return editing_for_store(ctx, target, &place, name);
    }
    if output.symlink_metadata().is_ok() {
        let what = format!("`{}` is there already", output.display());
        return Err(Problem::new(Class::Object, what).hint("remove it, or name another").into());
    }
    if target.dry_run {
        return in_place(ctx, target, place, Mode::Scratch);
    }
    // Looked at before it is copied: what is refused is refused at once.
    let source = open(ctx, &place, Mode::Read, &target.opening)?;
    check_whole(&source)?;
    let (under_way, format) = copied(&place, source, output)?;
    let format = format.or(target.opening.format);
    let (opening, mode) = (Opening { format, ..target.opening.clone() }, Mode::Write);
    let place = Location::File(under_way.path().to_owned());
    // The copy has a name that its user does not know.
    let shown = Some(target.image.clone());
    let disk =
        open_as(ctx, &place, OpenOptions { shown, ..options(ctx, &place, mode, &opening)? })?;
    let copy = Some(Copy::File { under_way, output: output.clone() });
    Ok(Editing { disk, copy, place, mode, opening })
}

/// Refuses a file to which nobody may write, such as a template, whose clones would break: root, too.
fn refuse_read_only(place: &Location) -> anyhow::Result<()> {
    let Location::File(path) = place else { return Ok(()) };
    let meta = path.metadata().ok().filter(fs::Metadata::is_file);
    if meta.is_none_or(|meta| meta.permissions().mode() & 0o222 != 0) {
        return Ok(());
    }
    let what = format!("`{}` is read-only, as a template of machines is", path.display());
    let hint = "change a copy: `--output FILE`, or `kiln image convert`; or `chmod u+w` it first";
    Err(Problem::new(Class::Object, what).hint(hint).into())
}

/// Opens an image itself for changing, or for trying to.
fn in_place(
    ctx: &Context,
    target: &Target,
    place: Location,
    mode: Mode,
) -> anyhow::Result<Editing> {
    let opening = target.opening.clone();
    let disk = open(ctx, &place, mode, &opening)?;
    Ok(Editing { disk, copy: None, place, mode, opening })
}

/// Opens a copy of an image that is to become one of the store.
fn editing_for_store(
    ctx: &Context,
    target: &Target,
    place: &Location,
    name: ImageName,
) -> anyhow::Result<Editing> {
    if target.dry_run {
        stored::check_free(ctx, &name)?;
        return in_place(ctx, target, place.clone(), Mode::Scratch);
    }
    let source = (target.image.as_str(), place);
    let how = options(ctx, place, Mode::Read, &target.opening)?;
    let new = NewImage::begin(ctx, name, source, (&how, target.opening.root.as_ref()))?;
    // The copy is a qcow2 file by itself, whatever the image was.
    let format = Some(Format::Qcow2);
    let opening = Opening { format, follow_backing: false, ..target.opening.clone() };
    let (place, mode) = (Location::File(new.disk().to_owned()), Mode::Write);
    let disk = open(ctx, &place, mode, &opening)?;
    Ok(Editing { disk, copy: Some(Copy::Stored(Box::new(new))), place, mode, opening })
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
        let made = under_way.persist_noclobber(&path);
        made.map_err(|error| unwritable(&format!("could not make `{output}`"), error.error))?;
        Ok(())
    }
}

/// Returns where an image is.
///
/// # Errors
///
/// There is no such name in the store, and no such file here (class object).
pub(crate) fn location(ctx: &Context, image: &str) -> anyhow::Result<Location> {
    Ok(find(ctx, image)?.place)
}

/// Returns where an image is that is to be changed in place.
///
/// # Errors
///
/// As [`location`]; an image of the store (class object).
pub(crate) fn own_location(ctx: &Context, image: &str) -> anyhow::Result<Location> {
    let Found { place, stored } = find(ctx, image)?;
    if stored {
        let what = format!("`{image}` is an image of the store, which is never changed");
        let hint = "copy it first: `kiln image convert`";
        return Err(Problem::new(Class::Object, what).hint(hint).into());
    }
    refuse_read_only(&place)?;
    Ok(place)
}

/// Returns how the user wants an image opened for reading.
///
/// # Errors
///
/// A file with a key cannot be read.
pub(crate) fn options_of(
    ctx: &Context,
    place: &Location,
    source: &Source,
) -> anyhow::Result<OpenOptions> {
    options(ctx, place, Mode::Read, &source.opening)
}

/// What an image's name stands for.
struct Found {
    place: Location,
    /// Whether it is an image of the store.
    stored: bool,
}

/// Finds an image: one of a cluster if it begins with `rbd:`; a path if there is a `/` in it; else
/// a name of the store; else a file here.
fn find(ctx: &Context, wanted: &str) -> anyhow::Result<Found> {
    if RbdName::is_meant(wanted) {
        let name = wanted.parse::<RbdName>().map_err(|error| {
            // Not as it is: there may be a key in it.
            let hint = "`rbd:POOL/[NAMESPACE/]IMAGE[@SNAPSHOT][:id=USER][:conf=FILE]`; \
                        a file of that name is `./rbd:…`";
            let what = "this is no name of an image in a Ceph cluster";
            Problem::new(Class::Usage, what).because(error).hint(hint)
        })?;
        return Ok(Found { place: Location::Rbd(name), stored: false });
    }
    let path = Path::new(wanted);
    if !wanted.contains('/') {
        let stored = find_in_store(ctx, wanted);
        // Names of the store seldom end like files.
        if stored.is_err() && !path.exists() && path.extension().is_some() {
            let what = format!("there is no file `{wanted}` here, and no such image in the store");
            return Err(Problem::new(Class::Object, what).into());
        }
        if stored.is_ok() || !path.exists() {
            return Ok(Found { place: Location::File(stored?.path), stored: true });
        }
    }
    Ok(Found { place: Location::File(path.to_owned()), stored: false })
}

fn open(
    ctx: &Context,
    place: &Location,
    mode: Mode,
    opening: &Opening,
) -> anyhow::Result<DiskImage> {
    open_as(ctx, place, options(ctx, place, mode, opening)?)
}

/// Says how an image is read that needs another file.
pub(super) fn follow_hint(error: impl Into<anyhow::Error>) -> anyhow::Error {
    let error = error.into();
    let needs = |cause: &(dyn std::error::Error + 'static)| {
        let image = match cause.downcast_ref::<CheckError>() {
            Some(CheckError::Image(error)) => Some(error),
            _ => cause.downcast_ref::<ImageError>(),
        };
        matches!(image, Some(ImageError::Format(FormatError::BackingFile { .. })))
    };
    if !error.chain().any(needs) {
        return error;
    }
    let hint = "if you trust it, `--follow-backing` reads that, too";
    Problem::new(Class::File, error.to_string()).hint(hint).because(error).into()
}

/// Checks that no file of an image is cut off: nothing is made of such a one, only looked into.
///
/// # Errors
///
/// One is (class file).
pub(super) fn check_whole(disk: &DiskImage) -> anyhow::Result<()> {
    let cut_off = disk.warnings().iter().find_map(|warning| match warning {
        Warning::CutOff { name, missing } => Some((name.clone(), *missing)),
        _ => None,
    });
    let Some((name, missing)) = cut_off else { return Ok(()) };
    Err(ImageError::from(FormatError::Truncated { name, missing }).into())
}

fn open_as(ctx: &Context, place: &Location, options: OpenOptions) -> anyhow::Result<DiskImage> {
    let disk = DiskImage::open_at(place, &options).map_err(follow_hint)?;
    if options.mode != Mode::Read {
        check_whole(&disk)?;
    }
    disk.warnings().iter().for_each(|warning| ctx.ui.warn(warning.to_string()));
    Ok(disk)
}

fn options(
    ctx: &Context,
    place: &Location,
    mode: Mode,
    opening: &Opening,
) -> anyhow::Result<OpenOptions> {
    let keys = opening.key_file.iter().map(|file| key(file)).collect::<anyhow::Result<_>>()?;
    // Beside a file is where another `kiln` finds it; beside a device there is no place for it.
    let is_file = matches!(place, Location::File(path) if !is_device(path));
    let journal_folder = if is_file { None } else { Some(journals(ctx)?) };
    Ok(OpenOptions {
        mode,
        format: opening.format.map(|format| match format {
            Format::Raw => FormatName::Raw,
            Format::Qcow2 => FormatName::Qcow2,
        }),
        backing: if opening.follow_backing { Backing::Follow } else { Backing::Refuse },
        keys,
        journal_folder,
        ..OpenOptions::default()
    })
}

fn is_device(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.file_type().is_block_device())
}

/// Returns the folder for journals of what is no file, which only this user can change.
fn journals(ctx: &Context) -> anyhow::Result<PathBuf> {
    let folder = ctx.sub("redo");
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .with_context(|| format!("could not make the folder `{}`", folder.display()))?;
    Ok(folder)
}

/// The most bytes of a file that are looked at for a passphrase: what cryptsetup(8) takes.
const MOST_KEY: u64 = 8 << 20;

/// Returns the passphrase in a file: its first line.
fn key(path: &Path) -> anyhow::Result<Key> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MOST_KEY).read_to_end(&mut bytes));
    read.map_err(|error| unreadable(&format!("could not read `{}`", path.display()), error))?;
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    bytes.truncate(end);
    Ok(Key(bytes))
}

/// Copies an image to a file of no name yet, in the folder of `output`: a file as it is, one of a
/// cluster as qcow2, or raw if `output` is called so. Returns also the format if it is another.
fn copied(
    place: &Location,
    disk: DiskImage,
    output: &Path,
) -> anyhow::Result<(NamedTempFile, Option<Format>)> {
    let shown = output.display();
    let failed = |source| unwritable(&format!("could not make `{shown}`"), source);
    let file = beside(folder_of(output)).map_err(failed)?;
    let readable = fs::Permissions::from_mode(0o644);
    file.as_file().set_permissions(readable).map_err(failed)?;
    let Location::File(from) = place else {
        let raw = output.extension().is_some_and(|end| end == "raw" || end == "img");
        let format = if raw { TargetFormat::Raw } else { TargetFormat::Qcow2 };
        let options = ConvertOptions { overwrite: true, ..ConvertOptions::new(format) };
        convert(&mut disk.device(), file.path(), &options, &|_, _| ())?;
        // It is another file now.
        let path = file.into_temp_path();
        let file = File::open(&path).map_err(failed)?;
        locked(&file).map_err(failed)?;
        let format = Some(if raw { Format::Raw } else { Format::Qcow2 });
        return Ok((NamedTempFile::from_parts(file, path), format));
    };
    drop(disk);
    let source = File::open(from).map_err(failed)?;
    if copy::reflink(&source, file.as_file()).is_err() {
        copy::sparse(&source, file.as_file()).map_err(failed)?;
    }
    Ok((file, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_a_files_first_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for (text, wanted) in [("pass word\nmore\n", "pass word"), ("one", "one"), ("", "")] {
            fs::write(&path, text).unwrap();
            assert_eq!(key(&path).unwrap(), Key(wanted.as_bytes().to_vec()));
        }
        let error = key(&folder.path().join("none")).unwrap_err();
        assert_eq!(crate::error::report(&error).class, Class::Object);
    }
}
