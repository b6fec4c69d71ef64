// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A recipe to an image in the store.
//!
//! ```text
//! recipe ─ plan ─ in the store? ──────────────────────────────────────── yes ─ answered
//!            └ no ─ lock ─ steps: layer there? ─ no ─ carried out ─ layer
//!                            └ yes ─ … all layers ─ tar ─ assemble ─ qcow2 ─ sha256 ─ store
//! ```
//!
//! **Invariant:** whatever ends a build, nothing of it is visible in the store before it is whole.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use kiln_disk::assemble::Assembled;
use kiln_host::tools::guestfish::Fish;
use kiln_host::tools::{dnf, mmdebstrap};
use kiln_host::{CmdError, Host, signal};
use kiln_spec::image::{DiskFormat, FORMAT, Made, Manifest};
use kiln_spec::recipe::Base;
use kiln_spec::{Bytes, Lock, Recipe};

use crate::bundle::user_of;
use crate::catalog::http::Http;
use crate::digest;
use crate::stage::Reporter;
use crate::store::{Image, Store, StoreError, Work};
use crate::workspace::{LayerCache, Workspace};

mod bases;
mod debian;
mod disk;
mod fetched;
mod host;
mod image;
mod lock;
mod perform;
mod plan;
mod rpm;
mod shell;
mod sources;

pub use crate::error::BuildError;
pub use crate::stage::{Event, Stage};
use perform::Means;
pub use plan::{Places, Plan, Step};
pub use shell::Kept;

/// Where trees of packages are made when nobody says another place: on disk, and everybody can
/// get there.
const DEFAULT_TEMP: &str = "/var/tmp";
/// Bytes between two reports of the digest.
const STEP: u64 = 32 << 20;

/// What a build is done with.
#[derive(Clone, Debug)]
pub struct BuildContext<'a> {
    /// The host that it runs on.
    pub host: &'a dyn Host,
    /// The store that the image goes to.
    pub store: &'a Store,
    /// Fetches archives.
    pub http: &'a Http,
    /// The layers of steps.
    pub cache: &'a LayerCache,
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
    /// How the appliance is started that fills XFS and btrfs.
    pub fish: &'a Fish,
    /// Build even if the store has the image.
    pub force: Force,
    /// Take what the mirrors have today, and tell what that was: [`Built::lock`].
    pub renew_lock: bool,
}

/// What is done again although it was done before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Force {
    /// Nothing.
    #[default]
    Nothing,
    /// All steps.
    All,
    /// The step of this name, and those after it.
    From(String),
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
    /// What it was built from, if that was to be found out.
    pub lock: Option<Lock>,
}

/// Builds the image of `plan`, or finds it in the store. `progress` is told how it goes, from
/// several threads.
///
/// # Effects
///
/// On success the store has the image, by digest and by the recipe's name. The layers of the steps
/// that were carried out stay in the cache, also on failure, and when Kiln is killed: the next
/// build goes on from there. All else is removed, if need be by the next build.
///
/// # Errors
///
/// See [`BuildError`].
pub fn build(
    plan: &mut Plan<'_>,
    ctx: &BuildContext<'_>,
    progress: &(dyn Fn(Event) + Sync),
) -> Result<Built, BuildError> {
    let from = first_step(plan, &ctx.force)?;
    let fresh = ctx.force == Force::Nothing && !ctx.renew_lock;
    if fresh && let Some(built) = from_store(plan, ctx)? {
        return Ok(built);
    }
    let reporter = Reporter::new(progress);
    let mut waited = false;
    let _lock = ctx.store.lock_recipe(&plan.digest, &mut || {
        waited = true;
        reporter.tell(Event::Stage(Stage::Waiting));
    })?;
    // Whoever was waited for has built it.
    if waited
        && !ctx.renew_lock
        && let Some(mut built) = from_store(plan, ctx)?
    {
        built.stages = reporter.end();
        return Ok(built);
    }
    disk::check(plan)?;
    let temp = ctx.temp.unwrap_or(Path::new(DEFAULT_TEMP));
    let whole = perform::layers(plan, ctx.cache, plan.steps.len().min(from))?.is_some();
    let whole = whole && !ctx.renew_lock;
    let space = host::check(ctx, temp, plan, whole)?;
    let renew_lock = ctx.renew_lock;
    let (host, http, cache, reporter) = (ctx.host, ctx.http, ctx.cache, &reporter);
    let means = Means { host, http, cache, temp, reporter, from, renew_lock };
    let image =
        make(plan, ctx, &means).map_err(|error| space.explain(error, reporter.current()))?;
    let lock = renew_lock.then(|| plan.taken());
    Ok(Built { image, cached: false, stages: reporter.end(), lock })
}

/// Checks what can be checked of `plan` before anything is built: whether its disk can be divided
/// as it says. [`build`] does so, too.
///
/// # Errors
///
/// [`BuildError::Disk`].
pub fn check(plan: &Plan<'_>) -> Result<(), BuildError> {
    disk::check(plan)
}

/// Returns the number of the first step that is carried out in any case.
fn first_step(plan: &Plan<'_>, force: &Force) -> Result<usize, BuildError> {
    match force {
        Force::Nothing => Ok(usize::MAX),
        Force::All => Ok(0),
        Force::From(name) => {
            plan.steps.iter().position(|step| step.name == *name).ok_or_else(|| {
                let steps = plan.steps.iter().map(|step| step.name.clone()).collect();
                BuildError::NoStep { name: name.clone(), steps }
            })
        }
    }
}

/// Answers from the store, and gives the image its name again if another image took it.
fn from_store(plan: &Plan<'_>, ctx: &BuildContext<'_>) -> Result<Option<Built>, BuildError> {
    let Some(mut image) = ctx.store.find_by_recipe(&plan.digest)? else { return Ok(None) };
    let name = &plan.recipe.name;
    if !image.names.iter().any(|known| known == name.as_str()) {
        ctx.store.name(&image, name)?;
        image = ctx.store.find(name.as_str())?;
    }
    Ok(Some(Built { image, cached: true, stages: Vec::new(), lock: None }))
}

fn make(
    plan: &mut Plan<'_>,
    ctx: &BuildContext<'_>,
    means: &Means<'_>,
) -> Result<Image, BuildError> {
    let reporter = means.reporter;
    let mut workspace = perform::perform(plan, means)?;
    begin(reporter, Stage::Disk)?;
    let work = ctx.store.work()?;
    let qcow2 = work.path().join("disk.qcow2");
    let made = disk::make(plan, &mut workspace, &qcow2, (ctx, reporter))?;
    let packages = count(&mut workspace)?;
    drop(workspace);
    begin(reporter, Stage::Digest)?;
    let manifest = manifest(plan, ctx, (&made, packages), &qcow2, reporter)?;
    begin(reporter, Stage::Store)?;
    let image = keep(ctx.store, &work, &qcow2, &manifest)?;
    ctx.cache.sync()?;
    Ok(image)
}

/// Returns how many packages the tree has, as far as dpkg knows.
fn count(workspace: &mut Workspace<'_>) -> Result<u32, BuildError> {
    let status = workspace.read("/var/lib/dpkg/status")?.unwrap_or_default();
    let lines = status.split(|byte| *byte == b'\n');
    let installed = lines.filter(|line| *line == b"Status: install ok installed");
    Ok(u32::try_from(installed.count()).unwrap_or(u32::MAX))
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
    (assembled, packages): (&Assembled, u32),
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
    Ok(Manifest {
        format: FORMAT,
        name: plan.recipe.name.to_string(),
        arch: plan.arch,
        os: assembled.os.clone(),
        kernel: assembled.kernel.clone(),
        firmware: assembled.firmware.clone(),
        user: plan.user.clone().unwrap_or_else(|| user_of(&assembled.os.id).to_owned()),
        min_memory: plan.recipe.memory,
        virtual_size: plan.disk_size(),
        file_size: Bytes(file_size),
        disk_format: DiskFormat::Qcow2,
        digest,
        recipe_digest: Some(plan.digest.clone()),
        created: kiln_spec::time::rfc3339(ctx.now),
        made: Made::Recipe { packages },
        properties: properties(plan.recipe),
        tools: tools(plan, ctx)?,
    })
}

fn properties(recipe: &Recipe) -> BTreeMap<String, String> {
    let all = recipe.properties.iter();
    all.map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn tools(plan: &Plan<'_>, ctx: &BuildContext<'_>) -> Result<BTreeMap<String, String>, BuildError> {
    let mut tools = BTreeMap::from([("kiln".to_owned(), ctx.kiln_version.to_owned())]);
    if let Base::Packages(_) = plan.recipe.base {
        let printed = run(ctx.host, &mmdebstrap::version(), Stage::Digest)?;
        let version = mmdebstrap::parse_version(&printed).unwrap_or("unknown").to_owned();
        tools.insert("mmdebstrap".to_owned(), version);
    }
    if let Base::Rpm(_) = plan.recipe.base {
        let printed = run(ctx.host, &dnf::version(), Stage::Digest)?;
        let version = dnf::parse_version(&printed).unwrap_or("unknown").to_owned();
        tools.insert("dnf".to_owned(), version);
    }
    Ok(tools)
}
