// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A recipe to an image in the store.
//!
//! ```text
//! recipe ─ digest ─ in the store? ──────────────────────────────── yes ─ answered
//!             └ no ─ lock ─ mmdebstrap ┬ tar ─ assemble ─ raw ─ qcow2 ─ sha256 ─ store
//!                                      └ stderr ─ progress, causes of failure
//! ```
//!
//! **Invariant:** whatever ends a build, nothing of it is visible in the store before it is whole.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use kiln_host::tools::{mmdebstrap, qemu_img};
use kiln_host::{CmdError, Host, signal};
use kiln_spec::image::{self, DiskFormat, Made, Manifest};
use kiln_spec::{Bytes, Recipe};

use crate::digest;
use crate::stage::Reporter;
use crate::store::{Image, Store, StoreError, Work};

mod disk;
mod host;
mod plan;

pub use crate::error::BuildError;
pub use crate::stage::{Event, Stage};
use plan::Plan;

/// Where trees of packages are made when nobody says another place: on disk, and everybody can
/// get there.
const DEFAULT_TEMP: &str = "/var/tmp";
/// Bytes between two reports of the digest.
const STEP: u64 = 32 << 20;

/// What a build is done with.
#[derive(Clone, Copy, Debug)]
pub struct BuildContext<'a> {
    /// The host that it runs on.
    pub host: &'a dyn Host,
    /// The store that the image goes to.
    pub store: &'a Store,
    /// The time, for the manifest.
    pub now: SystemTime,
    /// Whether this process is root; if not, it needs subordinate ids.
    pub is_root: bool,
    /// The user's name, to find the subordinate ids.
    pub user: &'a str,
    /// Kiln's version, for the manifest.
    pub kiln_version: &'a str,
    /// Where the tree of packages is made; `None` for `/var/tmp`. Without root, every folder
    /// above it must let others through.
    pub temp: Option<&'a Path>,
    /// Build even if the store has the image.
    pub force: bool,
}

/// An image, built or found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The image.
    pub image: Image,
    /// Whether it was in the store already.
    pub cached: bool,
    /// How long each stage took, in order; empty if it was in the store.
    pub stages: Vec<(Stage, Duration)>,
}

/// Builds the image of `recipe`, or finds it in the store. `progress` is told how it goes, from
/// several threads.
///
/// # Effects
///
/// On success the store has the image, by digest and by the recipe's name. On failure, and when
/// Kiln is told to stop, nothing is left; when it is killed, the next build removes what was.
///
/// # Errors
///
/// See [`BuildError`].
pub fn build(
    recipe: &Recipe,
    ctx: &BuildContext<'_>,
    progress: &(dyn Fn(Event) + Sync),
) -> Result<Built, BuildError> {
    let plan = Plan::of(recipe)?;
    if !ctx.force
        && let Some(built) = from_store(&plan, ctx)?
    {
        return Ok(built);
    }
    let reporter = Reporter::new(progress);
    let mut waited = false;
    let _lock = ctx.store.lock_recipe(&plan.digest, &mut || {
        waited = true;
        reporter.tell(Event::Stage(Stage::Waiting));
    })?;
    // Whoever was waited for has built it.
    if waited && let Some(mut built) = from_store(&plan, ctx)? {
        built.stages = reporter.end();
        return Ok(built);
    }
    let temp = ctx.temp.unwrap_or(Path::new(DEFAULT_TEMP));
    let space = host::check(ctx, temp)?;
    let image = make(&plan, ctx, temp, &reporter)
        .map_err(|error| space.explain(error, reporter.current()))?;
    Ok(Built { image, cached: false, stages: reporter.end() })
}

/// Answers from the store, and gives the image its name again if another image took it.
fn from_store(plan: &Plan<'_>, ctx: &BuildContext<'_>) -> Result<Option<Built>, BuildError> {
    let Some(mut image) = ctx.store.find_by_recipe(&plan.digest)? else { return Ok(None) };
    let name = &plan.recipe.name;
    if !image.names.iter().any(|known| known == name.as_str()) {
        ctx.store.name(&image, name)?;
        image = ctx.store.find(name.as_str())?;
    }
    Ok(Some(Built { image, cached: true, stages: Vec::new() }))
}

fn make(
    plan: &Plan<'_>,
    ctx: &BuildContext<'_>,
    temp: &Path,
    reporter: &Reporter<'_>,
) -> Result<Image, BuildError> {
    let work = ctx.store.work()?;
    let raw = work.path().join("disk.raw");
    let made = disk::make(plan, ctx.host, temp, &raw, reporter)?;

    let qcow2 = work.path().join("disk.qcow2");
    begin(reporter, Stage::Convert)?;
    run(ctx.host, &qemu_img::raw_to_qcow2(&raw, &qcow2), Stage::Convert)?;
    fs::remove_file(&raw).map_err(|e| BuildError::io("remove", &raw, e))?;

    begin(reporter, Stage::Digest)?;
    let manifest = manifest(plan, ctx, &made, &qcow2, reporter)?;
    begin(reporter, Stage::Store)?;
    keep(ctx.store, &work, &qcow2, &manifest)
}

fn begin(reporter: &Reporter<'_>, stage: Stage) -> Result<(), BuildError> {
    if signal::interrupted() {
        return Err(BuildError::Interrupted);
    }
    reporter.tell(Event::Stage(stage));
    Ok(())
}

fn run(host: &dyn Host, cmd: &kiln_host::Cmd, stage: Stage) -> Result<String, BuildError> {
    match host.run(cmd) {
        // Some tools print their version to stderr.
        Ok(out) => Ok(String::from_utf8_lossy(&out.stdout).into_owned() + &out.stderr),
        Err(CmdError::Interrupted { .. }) => Err(BuildError::Interrupted),
        Err(source) => Err(BuildError::Tool { stage, source }),
    }
}

fn keep(
    store: &Store,
    work: &Work,
    qcow2: &Path,
    manifest: &Manifest,
) -> Result<Image, BuildError> {
    match store.add(work, qcow2, manifest) {
        Ok(added) => Ok(added.image),
        Err(StoreError::Interrupted) => Err(BuildError::Interrupted),
        Err(other) => Err(BuildError::Store(other)),
    }
}

fn manifest(
    plan: &Plan<'_>,
    ctx: &BuildContext<'_>,
    made: &disk::Made,
    qcow2: &Path,
    reporter: &Reporter<'_>,
) -> Result<Manifest, BuildError> {
    let file_size = fs::metadata(qcow2).map_err(|e| BuildError::io("read", qcow2, e))?.len();
    let mut told = 0;
    let digest = digest::of_file(qcow2, &mut |done| {
        if done >= told + STEP {
            told = done;
            let (done, of) = (Bytes(done), Some(Bytes(file_size)));
            reporter.tell(Event::Bytes { stage: Stage::Digest, done, of });
        }
        !signal::interrupted()
    });
    let digest = digest.map_err(|error| match error.kind() {
        io::ErrorKind::Interrupted => BuildError::Interrupted,
        _ => BuildError::io("read", qcow2, error),
    })?;
    let assembled = &made.assembled;
    Ok(Manifest {
        format: image::FORMAT,
        name: plan.recipe.name.to_string(),
        arch: plan.arch,
        os: assembled.os.clone(),
        kernel: assembled.kernel.clone(),
        firmware: assembled.firmware.clone(),
        user: plan.recipe.user.to_string(),
        min_memory: plan.recipe.memory,
        virtual_size: plan.recipe.disk.size,
        file_size: Bytes(file_size),
        disk_format: DiskFormat::Qcow2,
        digest,
        recipe_digest: Some(plan.digest.clone()),
        created: kiln_spec::time::rfc3339(ctx.now),
        made: Made::Recipe { packages: made.packages },
        tools: tools(ctx)?,
    })
}

fn tools(ctx: &BuildContext<'_>) -> Result<BTreeMap<String, String>, BuildError> {
    let printed = run(ctx.host, &mmdebstrap::version(), Stage::Digest)?;
    let mmdebstrap = mmdebstrap::parse_version(&printed).unwrap_or("unknown").to_owned();
    let printed = run(ctx.host, &qemu_img::version(), Stage::Digest)?;
    let qemu_img = qemu_img::parse_version(&printed).unwrap_or("unknown").to_owned();
    Ok(BTreeMap::from([
        ("kiln".to_owned(), ctx.kiln_version.to_owned()),
        ("mmdebstrap".to_owned(), mmdebstrap),
        ("qemu-img".to_owned(), qemu_img),
    ]))
}
