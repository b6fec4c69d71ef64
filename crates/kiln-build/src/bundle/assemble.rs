// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A bundle to a disk: in a file, or in the store, where it is made once.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use kiln_disk::assemble::{
    self, AssembleError, Assembled, Layout, NewTable, OutputFormat, Progress, disk_for,
};
use kiln_host::Host;
use kiln_spec::image::{self, DiskFormat, Firmware, Made, Manifest};
use kiln_spec::recipe::{ImageName, KernelWords};
use kiln_spec::{Bytes, Digest};
use serde_json::json;

use super::{BundleError, BundleFile};
use crate::digest;
use crate::store::{Image, Store};

/// The size of a disk for a tree of which nothing is known: sparse, so that it costs nothing.
const USUAL_SIZE: Bytes = Bytes::from_gib(8);
/// No larger disk is chosen; one that is asked for may be.
const MOST_CHOSEN: Bytes = Bytes::from_gib(1024);
/// How often a disk that was too small is made anew.
const TRIES: usize = 3;
/// The least memory of a machine of which nothing else is known.
const MEMORY: Bytes = Bytes::from_mib(512);
/// Raised whenever the same bundle gives another disk: then no older one answers.
const FORMAT: u32 = 1;

/// The disk that is wanted of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Its size; `None` for one that fits.
    pub size: Option<Bytes>,
    /// Size of a swap partition.
    pub swap: Option<Bytes>,
    /// The kind of partition table.
    pub table: NewTable,
    /// The firmware that it must boot with; `None` for all that the tree has loaders for.
    pub firmware: Option<Vec<Firmware>>,
    /// The host's name; `None` leaves the tree's.
    pub hostname: Option<String>,
    /// Whether what makes a machine that one stays.
    pub keep_identity: bool,
    /// The kernel's command line, without `root=` and `ro`; `None` for a serial console.
    pub cmdline: Option<KernelWords>,
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            size: None,
            swap: None,
            table: NewTable::Gpt,
            firmware: None,
            hostname: None,
            keep_identity: false,
            cmdline: None,
        }
    }
}

/// How bundles are assembled.
#[derive(Clone, Copy, Debug)]
pub struct Assembly<'a> {
    /// The host that it is done on.
    pub host: &'a dyn Host,
    /// What is wanted.
    pub disk: &'a Disk,
    /// The time now.
    pub now: SystemTime,
    /// Kiln's version, for manifests.
    pub kiln_version: &'a str,
    /// Whether a disk in a file is on the medium before it gets its name; one in the store is in any
    /// case.
    pub sync: bool,
}

/// A bundle's disk in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InStore {
    /// The image.
    pub image: Image,
    /// Whether it was there already.
    pub cached: bool,
}

impl Assembly<'_> {
    /// Makes the disk of `bundle` in the file `output`, which must not exist. `progress` is told
    /// how far it has come.
    ///
    /// # Effects
    ///
    /// `output` is there when it is whole, with [`Assembly::sync`] on the medium, and the bundle's
    /// digest was that of its manifest; on any error nothing is left.
    ///
    /// # Errors
    ///
    /// [`BundleError::Assemble`], [`BundleError::Digest`], [`BundleError::Io`],
    /// [`BundleError::Interrupted`].
    pub fn to_file(
        &self,
        bundle: &BundleFile,
        output: &Path,
        format: OutputFormat,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(Assembled, Bytes), BundleError> {
        let mut layout = self.layout(bundle, output, format)?;
        for _ in 0..TRIES {
            match self.once(bundle, &layout, progress) {
                // Said to be enough; then a quarter more, for use.
                Err(AssembleError::TooSmall { need, .. })
                    if self.disk.size.is_none() && need <= MOST_CHOSEN =>
                {
                    let more = Bytes(need.0.saturating_add(need.0 / 4));
                    layout.size = more.round_up(Bytes::from_gib(1)).unwrap_or(need);
                }
                Ok(made) => return Ok((made, layout.size)),
                Err(error) => return Err(self.explain(bundle, error)),
            }
        }
        let (size, need) = (layout.size, layout.size);
        let source = AssembleError::TooSmall { size, need };
        Err(BundleError::Assemble { path: bundle.path.clone(), source })
    }

    /// Makes the disk of `bundle` in the store, or finds it there.
    ///
    /// # Effects
    ///
    /// The store has the image, by digest and by the bundle's name; on any error nothing is left.
    ///
    /// # Errors
    ///
    /// As [`Assembly::to_file`], and [`BundleError::Store`].
    pub fn to_store(
        &self,
        bundle: &BundleFile,
        (store, name): (&Store, &ImageName),
        progress: &mut dyn FnMut(Progress),
    ) -> Result<InStore, BundleError> {
        let key = bundle.digest(&mut |_| !kiln_host::signal::interrupted())?;
        let plan = self.plan(&key);
        let cached = |image| InStore { image, cached: true };
        if let Some(image) = store.find_by_recipe(&plan)? {
            return Ok(cached(image));
        }
        let _lock = store.lock_recipe(&plan, &mut || ())?;
        // Whoever was waited for has made it.
        if let Some(image) = store.find_by_recipe(&plan)? {
            return Ok(cached(image));
        }
        let work = store.work()?;
        let disk = work.path().join("disk.qcow2");
        let (made, size) = self.to_file(bundle, &disk, OutputFormat::Qcow2, progress)?;
        let hashed = digest::of_file(&disk, &mut |_| !kiln_host::signal::interrupted());
        let own = hashed.map_err(|source| BundleError::io("read", &disk, source))?;
        let about = std::fs::metadata(&disk);
        let about = about.map_err(|source| BundleError::io("read", &disk, source))?;
        let manifest = Manifest {
            format: image::FORMAT,
            name: name.to_string(),
            arch: made.arch,
            user: user_of(&made.os.id).to_owned(),
            os: made.os,
            kernel: made.kernel,
            firmware: made.firmware,
            min_memory: MEMORY,
            virtual_size: size,
            file_size: Bytes(about.len()),
            disk_format: DiskFormat::Qcow2,
            digest: own,
            recipe_digest: Some(plan),
            created: kiln_spec::time::rfc3339(self.now),
            made: Made::Bundle { digest: key },
            properties: BTreeMap::new(),
            tools: BTreeMap::from([("kiln".to_owned(), self.kiln_version.to_owned())]),
        };
        let added = store.add(&work, &disk, &manifest)?;
        Ok(InStore { image: added.image, cached: false })
    }

    fn once(
        &self,
        bundle: &BundleFile,
        layout: &Layout,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Assembled, AssembleError> {
        let mut archive = bundle.archive().map_err(|error| AssembleError::Image {
            path: bundle.path.clone(),
            source: std::io::Error::other(error),
        })?;
        assemble::assemble(layout, &mut archive, self.host, progress)
    }

    /// A stream that breaks off or makes no sense: perhaps the file is not the one that it was.
    fn explain(&self, bundle: &BundleFile, source: AssembleError) -> BundleError {
        if matches!(source, AssembleError::Interrupted) {
            return BundleError::Interrupted;
        }
        let path = bundle.path.clone();
        if matches!(source, AssembleError::Tar { .. })
            && let Err(error) = bundle.verify(&mut |_| !kiln_host::signal::interrupted())
        {
            return error;
        }
        BundleError::Assemble { path, source }
    }

    fn layout(
        &self,
        bundle: &BundleFile,
        output: &Path,
        format: OutputFormat,
    ) -> Result<Layout, BundleError> {
        let disk = self.disk;
        let since = self.now.duration_since(SystemTime::UNIX_EPOCH);
        let time = since.map_or(1, |since| since.as_secs());
        let usual = Layout::new(output.to_owned(), USUAL_SIZE, seed(&bundle.key()?), time);
        let mut layout = Layout {
            format,
            durable: self.sync,
            table: disk.table,
            swap: disk.swap,
            hostname: disk.hostname.clone(),
            keep_identity: disk.keep_identity,
            arch: None,
            any_firmware: disk.firmware.is_none(),
            ..usual
        };
        if let Some(cmdline) = &disk.cmdline {
            layout.cmdline = cmdline.clone();
        }
        if let Some(firmware) = &disk.firmware {
            layout.firmware.clone_from(firmware);
        }
        let known = bundle.manifest.as_ref();
        let fits = known.map(|m| disk_for(m.entries, m.tree_bytes.0, &layout).min(MOST_CHOSEN));
        layout.size = disk.size.or(fits).unwrap_or(USUAL_SIZE);
        Ok(layout)
    }

    /// Returns the digest of all that shapes the disk of the bundle with this digest: the store finds the
    /// disk by it, as one that was built.
    #[must_use]
    pub fn plan(&self, bundle: &Digest) -> Digest {
        let Disk { size, swap, table, firmware, hostname, keep_identity, cmdline } = self.disk;
        let whole = json!({
            "format": FORMAT,
            "bundle": bundle,
            "size": size,
            "swap": swap,
            "table": format!("{table:?}"),
            "firmware": firmware,
            "hostname": hostname,
            "keep_identity": keep_identity,
            "cmdline": cmdline.as_ref().map(ToString::to_string),
        });
        digest::of_bytes(whole.to_string().as_bytes())
    }
}

/// Returns what a disk's UUIDs are made from.
fn seed(key: &Digest) -> [u8; 16] {
    let hex = key.hex();
    let byte = |n: usize| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16);
    std::array::from_fn(|n| byte(n).expect("a digest has hexadecimal digits"))
}

/// Returns the account that a distribution's own cloud images have.
pub(crate) fn user_of(os: &str) -> &str {
    const KNOWN: &[&str] =
        &["debian", "ubuntu", "fedora", "centos", "almalinux", "rocky", "arch", "alpine"];
    match os {
        "rhel" | "centos" => "cloud-user",
        "amzn" | "ol" => "ec2-user",
        os if os.starts_with("opensuse") => "opensuse",
        os => KNOWN.iter().find(|known| **known == os).copied().unwrap_or("kiln"),
    }
}
