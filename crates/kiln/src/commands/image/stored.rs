// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `-o NAME`: a changed copy that becomes an image of the store.
//!
//! The copy lies in a folder of the store's own while it is changed; a kill leaves nothing that the
//! next `kiln` does not remove. It gets there with its name in one step.

use std::fs::File;
use std::path::{Path, PathBuf};

use kiln_build::digest;
use kiln_build::store::{Image, Store, StoreError, Work};
use kiln_disk::convert::{ConvertOptions, TargetFormat, convert};
use kiln_disk::image::{DiskImage, FormatName, Location, Mode, OpenOptions};
use kiln_guest::guest::{Disk, Guest, Options, Wanted};
use kiln_guest::inspect::{System, inspect_system};
use kiln_host::{copy, signal};
use kiln_spec::image::{self, DiskFormat, Firmware, Made, Manifest, Os};
use kiln_spec::recipe::ImageName;
use kiln_spec::{Arch, Bytes};

use super::open;
use crate::context::{Context, now};
use crate::error::{Class, Problem};
use crate::machine::image::find_in_store;

/// A copy on its way into the store.
#[derive(Debug)]
pub(super) struct NewImage {
    store: Store,
    work: Work,
    name: ImageName,
    disk: PathBuf,
    /// The image that it was copied from, if that is of the store.
    from: Option<Image>,
    root: Option<Wanted>,
    created: String,
    /// What system is in it, if that was looked at.
    system: Option<System>,
}

/// Returns the name in the store that an output stands for: a word without `/` and `.`. Anything
/// else is a file.
///
/// # Errors
///
/// It is no name (class usage).
pub(super) fn name_of(output: &Path) -> anyhow::Result<Option<ImageName>> {
    let Some(word) = output.to_str().filter(|word| !word.contains(['/', '.'])) else {
        return Ok(None);
    };
    let name = word.parse::<ImageName>().map_err(|error| {
        let hint = format!("for a file of that name write `./{word}`");
        let what = format!("`{word}` cannot be the name of an image");
        Problem::new(Class::Usage, what).because(error).hint(hint)
    })?;
    Ok(Some(name))
}

/// Refuses a name that an image of the store has.
///
/// # Errors
///
/// It has one (class object); the store cannot be read.
pub(super) fn check_free(ctx: &Context, name: &ImageName) -> anyhow::Result<()> {
    let names = ctx.store()?.list()?.into_iter().flat_map(|image| image.names);
    if names.into_iter().any(|taken| taken == name.as_str()) {
        return Err(taken(name).into());
    }
    Ok(())
}

fn taken(name: &ImageName) -> Problem {
    let what = format!("there is an image `{name}` in the store already");
    Problem::new(Class::Object, what).hint(format!("name another, or `kiln image rm {name}`"))
}

impl NewImage {
    /// Copies the image `wanted`, which is at `place`, into a folder of the store: a qcow2 file
    /// that needs no other, whatever it was.
    ///
    /// # Errors
    ///
    /// The name is taken (class object); the image cannot be opened; the host is full.
    pub(super) fn begin(
        ctx: &Context,
        name: ImageName,
        (wanted, place): (&str, &Location),
        (options, root): (&OpenOptions, Option<&Wanted>),
    ) -> anyhow::Result<Self> {
        check_free(ctx, &name)?;
        let store = ctx.store()?;
        let work = store.work()?;
        let disk = work.path().join("disk.qcow2");
        let source =
            DiskImage::open_at(place, &OpenOptions { mode: Mode::Read, ..options.clone() })?;
        open::check_whole(&source)?;
        let info = source.info();
        if let Location::File(path) = place
            && info.format == FormatName::Qcow2
            && info.layers.len() == 1
        {
            let failed = |source: std::io::Error| {
                let what = format!("could not copy `{}` into the store", path.display());
                Problem::new(Class::Host, what).because(source)
            };
            let (from, to) = (File::open(path), File::create_new(&disk));
            let (from, to) = (from.map_err(failed)?, to.map_err(failed)?);
            if copy::reflink(&from, &to).is_err() {
                copy::sparse(&from, &to).map_err(failed)?;
            }
        } else {
            let task = ctx.ui.task("copy");
            let progress = |done: u64, all: u64| {
                let percent = (u128::from(done) * 100).checked_div(u128::from(all)).unwrap_or(100);
                task.phase("copying", &format!("{percent}%"));
            };
            let options = ConvertOptions::new(TargetFormat::Qcow2);
            convert(&mut source.device(), &disk, &options, &progress)?;
        }
        let from = find_in_store(ctx, wanted)
            .ok()
            .filter(|image| matches!(place, Location::File(path) if image.path == *path));
        let created = kiln_spec::time::rfc3339(now());
        let root = root.cloned();
        Ok(Self { store, work, name, disk, from, root, created, system: None })
    }

    /// Returns the copy's file, which is a qcow2 file.
    pub(super) fn disk(&self) -> &Path {
        &self.disk
    }

    /// Gives the changed copy its manifest, and puts it into the store with its name.
    ///
    /// # Errors
    ///
    /// Another took the name meanwhile (class object); it is for a processor that Kiln does not
    /// know (class file); the host fails.
    pub(super) fn keep(self) -> anyhow::Result<()> {
        let manifest = self.manifest()?;
        match self.store.add_new(&self.work, &self.disk, &manifest) {
            Err(StoreError::Taken { .. }) => Err(taken(&self.name).into()),
            added => Ok(added.map(drop)?),
        }
    }

    fn manifest(&self) -> anyhow::Result<Manifest> {
        let (system, virtual_size) = self.system()?;
        let name = &self.name;
        let arch = system.architecture.as_deref().and_then(|word| word.parse::<Arch>().ok());
        let arch = arch.or(self.from.as_ref().map(|image| image.manifest.arch));
        let Some(arch) = arch else {
            let what = format!("cannot tell which processor the image `{name}` is for");
            let hint = format!("the store wants to know; `-o {name}.qcow2` makes a file");
            return Err(Problem::new(Class::File, what).hint(hint).into());
        };
        let before = self.from.as_ref().map(|image| &image.manifest);
        let text = |text: &Option<String>, default: &str| {
            text.clone().unwrap_or_else(|| default.to_owned())
        };
        let read = |source| StoreError::Io { doing: "read", path: self.disk.clone(), source };
        let file_size = std::fs::metadata(&self.disk).map_err(read)?.len();
        let digest = digest::of_file(&self.disk, &mut |_| !signal::interrupted());
        let packages = u32::try_from(system.packages.len()).unwrap_or(u32::MAX);
        Ok(Manifest {
            format: image::FORMAT,
            name: name.to_string(),
            arch,
            os: Os {
                id: text(&system.os.id, "linux"),
                version: text(&system.os.version, ""),
                pretty_name: text(&system.os.name, "Linux"),
            },
            kernel: system.kernels.last().map(|kernel| kernel.version.clone()).unwrap_or_default(),
            firmware: firmware(&system, before),
            user: before.map(|manifest| manifest.user.clone()).unwrap_or_default(),
            min_memory: before.map(|manifest| manifest.min_memory).unwrap_or_default(),
            virtual_size,
            file_size: Bytes(file_size),
            disk_format: DiskFormat::Qcow2,
            digest: digest.map_err(read)?,
            recipe_digest: None,
            created: self.created.clone(),
            made: Made::Edited { from: before.map(|manifest| manifest.digest.clone()), packages },
            properties: std::collections::BTreeMap::new(),
            tools: [("kiln".to_owned(), env!("CARGO_PKG_VERSION").to_owned())].into(),
        })
    }

    /// Looks what system is in the copy, whose guest is open: before the changes are committed,
    /// since what holds it may not do so again.
    ///
    /// # Errors
    ///
    /// The disk cannot be read.
    pub(super) fn look(&mut self, guest: &mut Guest) -> anyhow::Result<()> {
        let start = guest.disk().map_or(Ok(Vec::new()), |disk| disk.start(512))?;
        let root = guest.root().map(|root| root.name.clone()).unwrap_or_default();
        self.system = Some(inspect_system(guest.tree(), &root, &start).0);
        Ok(())
    }

    /// Returns what system is in the copy; nothing is known of one that cannot be read here. With
    /// the size of its disk.
    fn system(&self) -> anyhow::Result<(System, Bytes)> {
        let options = OpenOptions { format: Some(FormatName::Qcow2), ..OpenOptions::default() };
        let disk = DiskImage::open(&self.disk, &options)?;
        let size = disk.info().virtual_size;
        if let Some(system) = &self.system {
            return Ok((system.clone(), size));
        }
        let start = Disk::read(disk.device())?.start(512)?;
        let options = Options { change: false, root: self.root.clone(), now: open::now() };
        let Ok(mut guest) = Guest::open(disk, &options) else {
            return Ok((System::default(), size));
        };
        let root = guest.root().map(|root| root.name.clone()).unwrap_or_default();
        Ok((inspect_system(guest.tree(), &root, &start).0, size))
    }
}

/// Returns what can boot the image: as it was known before, else what is found; where nothing is
/// found, each may be tried.
fn firmware(system: &System, before: Option<&Manifest>) -> Vec<Firmware> {
    if let Some(before) = before {
        return before.firmware.clone();
    }
    let all = [(Firmware::Bios, system.boot.bios), (Firmware::Uefi, system.boot.uefi)];
    let found: Vec<Firmware> = all.iter().filter(|(_, there)| *there).map(|(f, _)| *f).collect();
    if found.is_empty() { all.map(|(firmware, _)| firmware).to_vec() } else { found }
}
