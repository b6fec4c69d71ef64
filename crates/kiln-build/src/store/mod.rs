// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The store: images by digest, and names for them.
//!
//! ```text
//! images/sha256/<64 digits>/disk.qcow2      read-only
//! images/sha256/<64 digits>/manifest.json   kiln_spec::image
//! images/names/<name>                       {"digest": "sha256:…"}
//! downloads/<checksum>/                     parts of images that are pulled
//! tmp/                                      things under way
//! locks/
//! ```
//!
//! **Invariant:** whatever is below `images/` is whole. A folder of an image gets there by one
//! rename(2), and leaves by one; so does a name. A process that is killed leaves its things in
//! `tmp/`, from where the next one that opens the store removes them.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use kiln_host::lock::Lock;
use kiln_host::signal;
use kiln_spec::image::{self, Digest, Made, Manifest};
use kiln_spec::recipe::ImageName;
use kiln_spec::{Bytes, yaml};
use serde::{Deserialize, Serialize};

use crate::digest;

mod error;
mod work;

pub use error::{Mismatch, StoreError};
pub use work::Work;

/// How often a build that waits for another's looks whether Kiln was told to stop.
const TICK: Duration = Duration::from_millis(50);

/// Images on disk.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

/// An image in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// What is known of it.
    pub manifest: Manifest,
    /// Its disk: a qcow2 file that nobody may write.
    pub path: PathBuf,
    /// Its names, sorted; none if another image took its name.
    pub names: Vec<String>,
}

/// What [`Store::add`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// The image.
    pub image: Image,
    /// The image that had the name before, if it was another.
    pub replaced: Option<Digest>,
}

/// What [`Store::remove`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The names that are gone.
    pub names: Vec<String>,
    /// The image that is gone and how long its file was; `None` if it has other names.
    pub image: Option<(Digest, Bytes)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Name {
    digest: Digest,
}

impl Store {
    /// Opens the store in `folder`, which is made when it is missing.
    ///
    /// # Effects
    ///
    /// Removes what killed processes left in `tmp/`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] and [`StoreError::Lock`] if the folder cannot be used.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let store = Self { folder: folder.to_owned() };
        for path in [store.images(), store.names(), store.tmp(), store.locks()] {
            fs::create_dir_all(&path).map_err(|e| StoreError::io("make", path.clone(), e))?;
        }
        work::sweep(&store.tmp(), &store.gate())?;
        Ok(store)
    }

    /// Returns the store's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns every image, by name; those without a name come last, by digest.
    ///
    /// # Errors
    ///
    /// Any but [`StoreError::NotFound`] and [`StoreError::Ambiguous`].
    pub fn list(&self) -> Result<Vec<Image>, StoreError> {
        let names = self.all_names()?;
        let mut images = Vec::new();
        for digest in self.digests()? {
            // An image that is removed meanwhile is not there: no error.
            images.extend(self.load_if_there(&digest, &names)?);
        }
        images.sort_by_cached_key(|image| {
            (image.names.is_empty(), image.names.clone(), image.manifest.digest.clone())
        });
        Ok(images)
    }

    /// Finds an image by its name, or by the beginning of its digest, with or without `sha256:`,
    /// of at least 6 digits. A name comes first.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], with the nearest name; [`StoreError::Ambiguous`];
    /// [`StoreError::Damaged`] if its file is not as long as it was; those of reading.
    pub fn find(&self, wanted: &str) -> Result<Image, StoreError> {
        let names = self.all_names()?;
        let digest = self.resolve(wanted, &names)?;
        self.load_if_there(&digest, &names)?.ok_or_else(|| not_found(wanted, &names))
    }

    /// Finds an image that was built from the recipe with this digest. Images that are damaged
    /// or cannot be read are passed over: the recipe can be built again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] if the store's folders cannot be read.
    pub fn find_by_recipe(&self, recipe: &Digest) -> Result<Option<Image>, StoreError> {
        self.newest(|manifest| manifest.recipe_digest.as_ref() == Some(recipe))
    }

    /// Finds an image that was pulled from a file with this checksum: `sha256:…`. Images that are
    /// damaged or cannot be read are passed over: they can be pulled again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] if the store's folders cannot be read.
    pub fn find_pulled(&self, wanted: &str) -> Result<Option<Image>, StoreError> {
        self.newest(|manifest| {
            matches!(&manifest.made, Made::Catalog { checksum, .. } if checksum == wanted)
        })
    }

    fn newest(&self, wanted: impl Fn(&Manifest) -> bool) -> Result<Option<Image>, StoreError> {
        let names = self.all_names()?;
        let built = self
            .digests()?
            .into_iter()
            .filter_map(|digest| self.load_if_there(&digest, &names).ok().flatten())
            .filter(|image| wanted(&image.manifest))
            // Built again by force: the newest. RFC 3339 times in UTC sort as text.
            .max_by(|a, b| a.manifest.created.cmp(&b.manifest.created));
        Ok(built)
    }

    /// Makes a folder for things under way, on the same file system as the images.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] and [`StoreError::Lock`].
    pub fn work(&self) -> Result<Work, StoreError> {
        Work::begin(&self.tmp(), &self.gate())
    }

    /// Waits until no other process builds this recipe, and keeps others from it. `waiting` is
    /// called once if somebody else does.
    ///
    /// # Errors
    ///
    /// [`StoreError::Lock`]; [`StoreError::Interrupted`] if Kiln is told to stop meanwhile.
    pub fn lock_recipe(
        &self,
        recipe: &Digest,
        waiting: &mut dyn FnMut(),
    ) -> Result<Lock, StoreError> {
        self.lock_when_free(&format!("recipe-{}", recipe.hex()), waiting)
    }

    /// Waits until no other process pulls this file, and keeps others from it. `waiting` is called
    /// once if somebody else does.
    ///
    /// # Errors
    ///
    /// As [`Store::lock_recipe`].
    pub fn lock_pull(&self, key: &str, waiting: &mut dyn FnMut()) -> Result<Lock, StoreError> {
        self.lock_when_free(&format!("pull-{key}"), waiting)
    }

    /// Keeps others from pulling this file; `None` if one does.
    ///
    /// # Errors
    ///
    /// [`StoreError::Lock`].
    pub fn try_lock_pull(&self, key: &str) -> Result<Option<Lock>, StoreError> {
        Ok(Lock::attempt(&self.locks().join(format!("pull-{key}")))?)
    }

    fn lock_when_free(&self, name: &str, waiting: &mut dyn FnMut()) -> Result<Lock, StoreError> {
        let path = self.locks().join(name);
        let mut told = false;
        loop {
            if let Some(lock) = Lock::attempt(&path)? {
                return Ok(lock);
            }
            if signal::interrupted() {
                return Err(StoreError::Interrupted);
            }
            if !told {
                waiting();
                told = true;
            }
            // flock(2) has no time-out, and a wait in it would not see the signal.
            thread::park_timeout(TICK);
        }
    }

    /// Moves a finished disk into the store and gives it its manifest's name.
    ///
    /// `disk` is in the folder `work`, and `manifest` has its digest and length. Another image
    /// that has the name loses it, and stays. If the very same file is in the store already, that
    /// one is kept, with its manifest.
    ///
    /// # Effects
    ///
    /// All or nothing; the file reaches the disk before the name does.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] and [`StoreError::Lock`].
    pub fn add(&self, work: &Work, disk: &Path, manifest: &Manifest) -> Result<Added, StoreError> {
        self.put(work, disk, manifest, true)
    }

    /// Moves a finished disk into the store as [`Store::add`] does, unless an image has the name.
    ///
    /// # Errors
    ///
    /// [`StoreError::Taken`]; those of [`Store::add`].
    pub fn add_new(
        &self,
        work: &Work,
        disk: &Path,
        manifest: &Manifest,
    ) -> Result<Added, StoreError> {
        self.put(work, disk, manifest, false)
    }

    fn put(
        &self,
        work: &Work,
        disk: &Path,
        manifest: &Manifest,
        replace: bool,
    ) -> Result<Added, StoreError> {
        let ready = work.path().join("image");
        fs::create_dir(&ready).map_err(|e| StoreError::io("make", &ready, e))?;
        open_folder(&ready)?;
        let path = ready.join(DISK);
        fs::rename(disk, &path).map_err(|e| StoreError::io("move", disk, e))?;
        settle(&path, 0o444)?;
        write_json(&ready.join(MANIFEST), manifest)?;

        let _lock = self.lock_names()?;
        let before = self.all_names()?.into_iter().find(|(name, _)| *name == manifest.name);
        if before.is_some() && !replace {
            return Err(StoreError::Taken { name: manifest.name.clone() });
        }
        let home = self.home(&manifest.digest);
        match fs::rename(&ready, &home) {
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            other => other.map_err(|e| StoreError::io("move", &ready, e))?,
        }
        self.write_name(work, &manifest.name, &manifest.digest)?;
        let names = self.all_names()?;
        let image = self
            .load_if_there(&manifest.digest, &names)?
            .ok_or_else(|| not_found(&manifest.name, &names))?;
        let replaced = before.map(|(_, digest)| digest).filter(|d| *d != manifest.digest);
        Ok(Added { image, replaced })
    }

    /// Gives `image` one more name, which another image then loses.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] and [`StoreError::Lock`].
    pub fn name(&self, image: &Image, name: &ImageName) -> Result<(), StoreError> {
        let work = self.work()?;
        let _lock = self.lock_names()?;
        self.write_name(&work, name.as_str(), &image.manifest.digest)
    }

    /// Removes a name, and its image with the last of its names; or, asked with a digest, an
    /// image with all its names.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], [`StoreError::Ambiguous`], and those of writing.
    pub fn remove(&self, wanted: &str) -> Result<Removed, StoreError> {
        let work = self.work()?;
        let _lock = self.lock_names()?;
        let names = self.all_names()?;
        let digest = self.resolve(wanted, &names)?;
        let mut of_image: Vec<String> =
            names.into_iter().filter(|(_, d)| *d == digest).map(|(name, _)| name).collect();
        let by_name = of_image.iter().any(|name| name == wanted);
        let last = !by_name || of_image.len() == 1;
        if by_name {
            of_image.retain(|name| name == wanted);
        }
        for name in &of_image {
            let path = self.names().join(name);
            fs::remove_file(&path).map_err(|e| StoreError::io("remove", path, e))?;
        }
        if !last {
            return Ok(Removed { names: of_image, image: None });
        }
        let home = self.home(&digest);
        let length = fs::metadata(home.join(DISK)).map_or(0, |m| m.len());
        // Out of sight in one step; its removal with `work` may take its time.
        fs::rename(&home, work.path().join("removed"))
            .map_err(|e| StoreError::io("remove", home, e))?;
        Ok(Removed { names: of_image, image: Some((digest, Bytes(length))) })
    }

    /// Reads an image's file whole and compares it with its manifest. `read` gets the number of
    /// bytes read so far, and says whether to go on.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] if the file cannot be read, or `read` said to stop.
    pub fn verify(
        &self,
        image: &Image,
        read: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Result<(), Mismatch>, StoreError> {
        let fail = |source| StoreError::io("read", &image.path, source);
        let found = Bytes(fs::metadata(&image.path).map_err(fail)?.len());
        let expected = image.manifest.file_size;
        if found != expected {
            return Ok(Err(Mismatch::Length { found, expected }));
        }
        let found = digest::of_file(&image.path, read).map_err(fail)?;
        if found == image.manifest.digest {
            Ok(Ok(()))
        } else {
            Ok(Err(Mismatch::Content { found }))
        }
    }

    fn resolve(&self, wanted: &str, names: &[(String, Digest)]) -> Result<Digest, StoreError> {
        if let Some((_, digest)) = names.iter().find(|(name, _)| name == wanted) {
            return Ok(digest.clone());
        }
        let hex = wanted.strip_prefix("sha256:").unwrap_or(wanted);
        let mut matching = self.digests()?;
        matching.retain(|digest| hex.len() >= LEAST_DIGITS && digest.hex().starts_with(hex));
        match (matching.pop(), matching.is_empty()) {
            (Some(digest), true) => Ok(digest),
            (Some(digest), false) => {
                matching.push(digest);
                matching.sort_unstable();
                Err(StoreError::Ambiguous { wanted: wanted.to_owned(), digests: matching })
            }
            (None, _) => Err(not_found(wanted, names)),
        }
    }

    fn load_if_there(
        &self,
        digest: &Digest,
        names: &[(String, Digest)],
    ) -> Result<Option<Image>, StoreError> {
        let home = self.home(digest);
        let Some(manifest) = read_json::<Manifest>(&home.join(MANIFEST))? else {
            return Ok(None);
        };
        if manifest.format > image::FORMAT {
            let path = home.join(MANIFEST);
            return Err(StoreError::Later { path, format: manifest.format });
        }
        let path = home.join(DISK);
        let length = match fs::metadata(&path) {
            Ok(metadata) => Bytes(metadata.len()),
            Err(e) if e.kind() == io::ErrorKind::NotFound && !home.exists() => return Ok(None),
            Err(e) => return Err(StoreError::io("read", path, e)),
        };
        if length != manifest.file_size {
            let expected = manifest.file_size;
            let what = Mismatch::Length { found: length, expected }.to_string();
            return Err(StoreError::Damaged { path, what });
        }
        let names = names.iter().filter(|(_, d)| d == digest).map(|(n, _)| n.clone()).collect();
        Ok(Some(Image { manifest, path, names }))
    }

    fn digests(&self) -> Result<Vec<Digest>, StoreError> {
        let folder = self.images();
        let hexes = file_names(&folder)?;
        Ok(hexes.iter().filter_map(|hex| format!("sha256:{hex}").parse().ok()).collect())
    }

    /// Every name and the digest that it stands for, sorted by name.
    fn all_names(&self) -> Result<Vec<(String, Digest)>, StoreError> {
        let folder = self.names();
        let mut names = Vec::new();
        for name in file_names(&folder)? {
            if name.parse::<ImageName>().is_ok()
                && let Some(read) = read_json::<Name>(&folder.join(&name))?
            {
                names.push((name, read.digest));
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn write_name(&self, work: &Work, name: &str, digest: &Digest) -> Result<(), StoreError> {
        let new = work.path().join("name");
        write_json(&new, &Name { digest: digest.clone() })?;
        let path = self.names().join(name);
        fs::rename(&new, &path).map_err(|e| StoreError::io("write", path, e))
    }

    fn lock_names(&self) -> Result<Lock, StoreError> {
        Ok(Lock::wait(&self.locks().join("names"))?)
    }

    fn home(&self, digest: &Digest) -> PathBuf {
        self.images().join(digest.hex())
    }

    fn images(&self) -> PathBuf {
        self.folder.join("images/sha256")
    }

    fn names(&self) -> PathBuf {
        self.folder.join("images/names")
    }

    fn tmp(&self) -> PathBuf {
        self.folder.join("tmp")
    }

    fn locks(&self) -> PathBuf {
        self.folder.join("locks")
    }

    fn gate(&self) -> PathBuf {
        self.locks().join("tmp")
    }
}

const DISK: &str = "disk.qcow2";
const MANIFEST: &str = "manifest.json";
/// The fewest digits that a digest is found by: fewer could be a name that was mistyped.
const LEAST_DIGITS: usize = 6;

fn not_found(wanted: &str, names: &[(String, Digest)]) -> StoreError {
    let near = yaml::nearest(wanted, names.iter().map(|(name, _)| name.as_str()));
    StoreError::NotFound {
        wanted: wanted.to_owned(),
        near: near.map(str::to_owned).into_iter().collect(),
    }
}

fn file_names(folder: &Path) -> Result<Vec<String>, StoreError> {
    let fail = |source| StoreError::io("read", folder, source);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        names.extend(entry.map_err(fail)?.file_name().into_string().ok());
    }
    Ok(names)
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| StoreError::Malformed { path: path.to_owned(), source }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StoreError::io("read", path, source)),
    }
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), StoreError> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|source| StoreError::Malformed { path: path.to_owned(), source })?;
    text.push(b'\n');
    fs::write(path, text).map_err(|e| StoreError::io("write", path, e))?;
    settle(path, 0o644)
}

/// Sets a file's permissions, whatever the umask is, and waits until it is on the disk.
fn settle(path: &Path, mode: u32) -> Result<(), StoreError> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .and_then(|()| File::open(path)?.sync_all())
        .map_err(|e| StoreError::io("write", path, e))
}

/// Lets everybody read a folder: QEMU runs as a user of its own.
fn open_folder(path: &Path) -> Result<(), StoreError> {
    fs::set_permissions(path, Permissions::from_mode(0o755))
        .map_err(|e| StoreError::io("write", path, e))
}
