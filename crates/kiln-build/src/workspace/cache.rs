// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Layers by digest.
//!
//! ```text
//! layers/<64 digits>/fs          what the step changed: the upper folder of an overlay
//! layers/<64 digits>/layer.json  what is known of it
//! layers/<64 digits>/used        its time is that of the last use
//! layers/<64 digits>/synced      there if the layer is on the medium
//! locks/<64 digits>              held alone by who makes or removes it, shared by who uses it
//! packages/<name>/               what all builds share
//! downloads/sha256-<64 digits>/  an archive that a recipe names by its address
//! work/                          workspaces; what killed builds left is removed
//! ```
//!
//! **Invariant:** a folder in `layers/` is whole, unless the power failed before it was on the
//! medium: one that is not known to be there is used until the host starts again, and no longer.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use kiln_host::lock::Lock;
use kiln_host::namespace::{Exec, WORK, remove_left};
use kiln_host::scratch::{Scratch, sweep};
use kiln_host::signal;
use kiln_spec::{Bytes, Digest};
use serde::{Deserialize, Serialize};

use super::WorkspaceError;

/// How often a build that waits for another's layer looks whether Kiln was told to stop.
const TICK: Duration = Duration::from_millis(50);

/// How programs are run on trees.
#[derive(Clone)]
pub struct Sandbox {
    /// How Kiln starts itself: the program must call `kiln_host::namespace::enter` with
    /// [`super::JOBS`].
    pub exec: Exec,
    /// The host's resolvers, for tasks with network: lines of resolv.conf(5).
    pub resolvers: Vec<u8>,
    /// The variables that name proxies, for tasks with network.
    pub proxies: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Without proxies, which may hold passwords.
impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("exec", &self.exec).finish_non_exhaustive()
    }
}

/// Layers on the disk.
#[derive(Debug)]
pub struct LayerCache {
    folder: PathBuf,
    sandbox: Sandbox,
    boot: String,
}

/// A layer that is there, and stays while this is held.
#[derive(Clone, Debug)]
pub struct Layer {
    digest: Digest,
    _share: Arc<Lock>,
}

impl Layer {
    /// Returns its digest: of the step that made it and all before.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

/// The right to make a layer, which nobody else has meanwhile.
#[derive(Debug)]
pub struct Claim {
    digest: Digest,
    lock: Lock,
}

/// What is known of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerInfo {
    /// Its digest.
    pub digest: Digest,
    /// The step that made it.
    pub name: String,
    /// What it takes on the disk.
    pub bytes: Bytes,
    /// The layer below.
    pub parent: Option<Digest>,
    /// When it was used last.
    pub used: SystemTime,
}

#[derive(Debug, Serialize, Deserialize)]
struct About {
    name: String,
    bytes: Bytes,
    parent: Option<Digest>,
    boot: String,
}

impl LayerCache {
    /// Opens the cache in `folder`, which is made when it is missing.
    ///
    /// # Effects
    ///
    /// Removes what killed builds left.
    ///
    /// # Errors
    ///
    /// [`WorkspaceError::Io`], [`WorkspaceError::Scratch`].
    pub fn open(folder: &Path, sandbox: Sandbox) -> Result<Self, WorkspaceError> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let boot = boot.trim().to_owned();
        let cache = Self { folder: folder.to_owned(), sandbox, boot };
        for name in ["layers", "locks", "packages", "downloads", "work"] {
            let path = folder.join(name);
            let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(&path);
            made.map_err(|e| WorkspaceError::io("make", &path, e))?;
        }
        let exec = &cache.sandbox.exec;
        sweep(&cache.work(), &mut |left| remove_left(exec, left).map_err(io::Error::other))?;
        Ok(cache)
    }

    /// Returns how programs are run.
    #[must_use]
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Returns the folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    fn place(&self, digest: &Digest) -> PathBuf {
        self.folder.join("layers").join(digest.hex())
    }

    fn lock(&self, digest: &Digest) -> PathBuf {
        self.folder.join("locks").join(digest.hex())
    }

    fn about(&self, digest: &Digest) -> Option<About> {
        let bytes = fs::read(self.place(digest).join("layer.json")).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Returns whether a layer is there and can be relied on.
    fn is_good(&self, digest: &Digest) -> bool {
        let synced = || self.place(digest).join("synced").exists();
        self.about(digest).is_some_and(|about| about.boot == self.boot || synced())
    }

    /// Returns whether there is a folder of this digest, perhaps of a layer that is not whole.
    pub(crate) fn has(&self, digest: &Digest) -> bool {
        self.place(digest).symlink_metadata().is_ok()
    }

    /// Finds the layer with this digest.
    ///
    /// # Errors
    ///
    /// [`WorkspaceError::Lock`].
    pub fn find(&self, digest: &Digest) -> Result<Option<Layer>, WorkspaceError> {
        if !self.place(digest).exists() {
            return Ok(None);
        }
        let Some(share) = Lock::share(&self.lock(digest))? else { return Ok(None) };
        if !self.is_good(digest) {
            return Ok(None);
        }
        // Only for whoever clears up: no reason to fail.
        fs::write(self.place(digest).join("used"), b"").ok();
        Ok(Some(Layer { digest: digest.clone(), _share: Arc::new(share) }))
    }

    /// Finds the layer, or returns the right to make it. Waits for whoever makes it now; `waiting`
    /// is called once before that.
    ///
    /// # Errors
    ///
    /// [`WorkspaceError::Lock`]; [`WorkspaceError::Interrupted`].
    pub fn find_or_claim(
        &self,
        digest: &Digest,
        waiting: &mut dyn FnMut(),
    ) -> Result<Result<Layer, Claim>, WorkspaceError> {
        let mut told = false;
        loop {
            if let Some(layer) = self.find(digest)? {
                return Ok(Ok(layer));
            }
            if let Some(claim) = self.claim(digest)? {
                return Ok(Err(claim));
            }
            if !told {
                told = true;
                waiting();
            }
            if signal::interrupted() {
                return Err(WorkspaceError::Interrupted);
            }
            // flock(2) can be waited for, but then no signal is seen.
            thread::sleep(TICK);
        }
    }

    /// Takes the right to make a layer, also anew: one that is there is removed. `None` if
    /// somebody uses it, or makes it.
    ///
    /// # Errors
    ///
    /// [`WorkspaceError::Lock`], [`WorkspaceError::Io`].
    pub fn claim(&self, digest: &Digest) -> Result<Option<Claim>, WorkspaceError> {
        let Some(lock) = Lock::attempt(&self.lock(digest))? else { return Ok(None) };
        if self.is_good(digest) {
            // Made between looking and locking: it is there for all.
            return Ok(None);
        }
        self.throw_away(digest)?;
        Ok(Some(Claim { digest: digest.clone(), lock }))
    }

    /// Removes a layer. Returns whether it could be: somebody may use it.
    ///
    /// # Errors
    ///
    /// [`WorkspaceError::Lock`], [`WorkspaceError::Io`].
    pub fn remove(&self, digest: &Digest) -> Result<bool, WorkspaceError> {
        let Some(_lock) = Lock::attempt(&self.lock(digest))? else { return Ok(false) };
        self.throw_away(digest)?;
        Ok(true)
    }

    fn throw_away(&self, digest: &Digest) -> Result<(), WorkspaceError> {
        let place = self.place(digest);
        if place.symlink_metadata().is_err() {
            return Ok(());
        }
        let scratch = Scratch::begin(&self.work(), "gone")?;
        let to = scratch.path().join(WORK);
        fs::rename(&place, &to).map_err(|e| WorkspaceError::io("remove", &place, e))?;
        remove_left(&self.sandbox.exec, scratch.path())?;
        Ok(())
    }

    /// Gives the folder `done` of a workspace its name.
    pub(super) fn add(
        &self,
        claim: Claim,
        done: &Path,
        (name, parent, bytes): (&str, Option<&Digest>, u64),
    ) -> Result<Layer, WorkspaceError> {
        let about = About {
            name: name.to_owned(),
            bytes: Bytes(bytes),
            parent: parent.cloned(),
            boot: self.boot.clone(),
        };
        let text = serde_json::to_vec(&about).expect("texts and numbers can stand in JSON");
        let file = done.join("layer.json");
        fs::write(&file, text).map_err(|e| WorkspaceError::io("write", &file, e))?;
        fs::write(done.join("used"), b"").map_err(|e| WorkspaceError::io("write", done, e))?;
        let place = self.place(&claim.digest);
        fs::rename(done, &place).map_err(|e| WorkspaceError::io("make", &place, e))?;
        let Claim { digest, lock } = claim;
        drop(lock);
        // Nobody makes it now; whoever looks lets go at once.
        let share = Lock::wait_share(&self.lock(&digest))?;
        Ok(Layer { digest, _share: Arc::new(share) })
    }

    /// Returns what is known of all layers, by digest.
    ///
    /// # Errors
    ///
    /// [`WorkspaceError::Io`].
    pub fn list(&self) -> Result<Vec<LayerInfo>, WorkspaceError> {
        let folder = self.folder.join("layers");
        let failed = |e| WorkspaceError::io("read", &folder, e);
        let mut all = Vec::new();
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(digest) = format!("sha256:{name}").parse::<Digest>() else { continue };
            let Some(about) = self.about(&digest) else { continue };
            let used = fs::metadata(entry.path().join("used")).and_then(|meta| meta.modified());
            let used = used.unwrap_or(SystemTime::UNIX_EPOCH);
            let About { name, bytes, parent, .. } = about;
            all.push(LayerInfo { digest, name, bytes, parent, used });
        }
        all.sort_unstable_by(|a, b| a.digest.hex().cmp(b.digest.hex()));
        Ok(all)
    }

    /// Removes layers until the rest takes no more than `keep`: those that were not used for the
    /// longest time first, but none that another one stands on, and none that is used. Returns
    /// what it removed.
    ///
    /// # Errors
    ///
    /// [`WorkspaceError::Lock`], [`WorkspaceError::Io`].
    pub fn collect(&self, keep: Bytes) -> Result<Vec<LayerInfo>, WorkspaceError> {
        let mut left = self.list()?;
        left.sort_by_key(|layer| layer.used);
        let mut removed = Vec::new();
        let mut stuck = HashSet::new();
        while left.iter().map(|layer| layer.bytes.0).sum::<u64>() > keep.0 {
            let below: HashSet<_> = left.iter().filter_map(|layer| layer.parent.clone()).collect();
            let free = |layer: &LayerInfo| {
                !below.contains(&layer.digest) && !stuck.contains(&layer.digest)
            };
            let Some(at) = left.iter().position(free) else { break };
            if self.remove(&left[at].digest)? {
                removed.push(left.remove(at));
            } else {
                stuck.insert(left[at].digest.clone());
            }
        }
        Ok(removed)
    }

    /// Removes what builds and their programs downloaded and keep for others. Returns whether it could: a
    /// build may use it now.
    ///
    /// # Errors
    ///
    /// [`WorkspaceError::Lock`], [`WorkspaceError::Io`].
    pub fn clear_downloads(&self) -> Result<bool, WorkspaceError> {
        let Some(_lock) = Lock::attempt(&self.downloads_lock())? else { return Ok(false) };
        let folder = self.folder.join("packages");
        let scratch = Scratch::begin(&self.work(), "gone")?;
        // As a whole: what is in it is not ours, and may not be moved.
        fs::rename(&folder, scratch.path().join(WORK))
            .and_then(|()| fs::DirBuilder::new().mode(0o755).create(&folder))
            .map_err(|e| WorkspaceError::io("clear", &folder, e))?;
        remove_left(&self.sandbox.exec, scratch.path())?;
        let archives = self.downloads();
        fs::remove_dir_all(&archives)
            .and_then(|()| fs::DirBuilder::new().mode(0o755).create(&archives))
            .map_err(|e| WorkspaceError::io("clear", &archives, e))?;
        Ok(true)
    }

    fn downloads_lock(&self) -> PathBuf {
        self.folder.join("locks").join("packages")
    }

    /// Returns where archives are kept that recipes name by their address.
    pub(crate) fn downloads(&self) -> PathBuf {
        self.folder.join("downloads")
    }

    /// Returns the lock of a name that downloads share.
    pub(crate) fn lock_of(&self, name: &str) -> PathBuf {
        self.folder.join("locks").join(name)
    }

    /// Keeps the downloads there while the lock is held.
    pub(crate) fn hold_downloads(&self) -> Result<Lock, WorkspaceError> {
        Ok(Lock::wait_share(&self.downloads_lock())?)
    }

    /// Has all layers be on the medium, so that they outlive a failure of the power.
    ///
    /// # Errors
    ///
    /// [`WorkspaceError::Io`].
    pub fn sync(&self) -> Result<(), WorkspaceError> {
        let fresh: Vec<_> = self
            .list()?
            .into_iter()
            .map(|info| self.place(&info.digest))
            .filter(|place| !place.join("synced").exists())
            .collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let failed = |e| WorkspaceError::io("sync", &self.folder, e);
        let folder = File::open(&self.folder).map_err(failed)?;
        rustix::fs::syncfs(&folder).map_err(|e| failed(e.into()))?;
        for place in fresh {
            // One that was removed meanwhile needs no mark.
            fs::write(place.join("synced"), b"").ok();
        }
        Ok(())
    }
}
