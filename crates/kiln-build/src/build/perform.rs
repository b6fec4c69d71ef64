// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The steps of a plan, each carried out once: its layer is found, or made.

use kiln_guest::system::packages::Manager;
use kiln_host::Host;
use kiln_spec::Arch;

use super::plan::{Action, Plan, Step};
use super::{debian, fetched, image, lock, rpm, shell, sources};
use crate::BuildError;
use crate::bundle::BundleFile;
use crate::catalog::http::Http;
use crate::element::ElementError;
use crate::element::dib::run::RunError;
use crate::element::native::{Family, Given, Source};
use crate::stage::{Event, Reporter, Stage};
use crate::workspace::{Edit, Layer, LayerCache, Task, Workspace, WorkspaceError};

/// Bytes of contents that edits hand over at once.
const AT_ONCE: usize = 16 << 20;

/// Logs of the build are none of the machine's, and have the time in them.
const FORGET: &str = "rm -rf /var/log/dpkg.log /var/log/alternatives.log /var/log/apt/* \
                      /var/log/dnf* /var/cache/ldconfig/aux-cache\n";

/// What steps are carried out with.
#[derive(Clone, Copy)]
pub(super) struct Means<'a> {
    pub(super) host: &'a dyn Host,
    pub(super) http: &'a Http,
    pub(super) cache: &'a LayerCache,
    /// Where mmdebstrap works.
    pub(super) temp: &'a std::path::Path,
    pub(super) reporter: &'a Reporter<'a>,
    /// The first step that is carried out even if its layer is there.
    pub(super) from: usize,
    /// Whether packages are taken as the mirrors have them today, and noted.
    pub(super) renew_lock: bool,
}

/// Carries out the steps that have no layers yet, and returns the tree.
pub(super) fn perform<'a>(
    plan: &mut Plan<'_>,
    means: &Means<'a>,
) -> Result<Workspace<'a>, BuildError> {
    let mut workspace = Workspace::open(means.cache, &[])?;
    for n in 0..plan.steps.len() {
        let mut waiting = || means.reporter.tell(Event::Stage(Stage::Waiting));
        if means.renew_lock && plan.steps[n].archive().is_some() {
            plan.lock_step(n, lock::Packages::new());
        } else if means.renew_lock && plan.steps[n].installs() {
            let step = &plan.steps[n];
            means.reporter.tell(Event::Step(step.name.clone()));
            let taken = carry_out(step, plan, &mut workspace, means)?;
            plan.lock_step(n, taken);
            // Which layer it is, is known only now.
            let step = &plan.steps[n];
            match means.cache.find_or_claim(&step.digest, &mut waiting)? {
                Ok(layer) => workspace.push(layer)?,
                Err(claim) => drop(workspace.keep(claim, &step.name)?),
            }
            continue;
        }
        let step = &plan.steps[n];
        if n >= means.from {
            // One that somebody else uses, or makes just now, is as good.
            means.cache.remove(&step.digest)?;
        }
        match means.cache.find_or_claim(&step.digest, &mut waiting)? {
            Ok(layer) => {
                means.reporter.tell(Event::Note(format!("step `{}`: from its layer", step.name)));
                workspace.push(layer)?;
            }
            Err(claim) => {
                means.reporter.tell(Event::Step(step.name.clone()));
                let taken = carry_out(step, plan, &mut workspace, means).inspect_err(|error| {
                    shell::keep(error, step, means.cache, &mut workspace).ok();
                })?;
                shell::forget(step, means.cache)?;
                if plan.is_locked && step.installs() {
                    step.check(&taken)?;
                }
                workspace.keep(claim, &step.name)?;
            }
        }
    }
    Ok(workspace)
}

/// Returns the layers of the first `count` steps; `None` if one is missing.
pub(super) fn layers(
    plan: &Plan<'_>,
    cache: &LayerCache,
    count: usize,
) -> Result<Option<Vec<Layer>>, WorkspaceError> {
    plan.steps[..count].iter().map(|step| cache.find(&step.digest)).collect()
}

/// Carries out a step. Returns the packages that it installed, if a lock wants to know.
fn carry_out(
    step: &Step,
    plan: &Plan<'_>,
    workspace: &mut Workspace<'_>,
    means: &Means<'_>,
) -> Result<lock::Packages, BuildError> {
    let mut told = lock::Told::default();
    if !(plan.is_locked || means.renew_lock) || !step.installs() {
        act(step, (plan.arch, None), workspace, means)?;
        return Ok(lock::Packages::new());
    }
    let before = lock::status(workspace, plan.arch)?;
    act(step, (plan.arch, Some(&mut told)), workspace, means)?;
    let after = lock::status(workspace, plan.arch)?;
    told.installed(&before, after)
        .map_err(|package| BuildError::Unlockable { what: format!("the package `{package}`") })
}

/// Does what a step says. `told` hears what apt tells of packages.
fn act(
    step: &Step,
    (arch, mut told): (Arch, Option<&mut lock::Told>),
    workspace: &mut Workspace<'_>,
    means: &Means<'_>,
) -> Result<(), BuildError> {
    let reporter = means.reporter;
    let failed = |source| match source {
        WorkspaceError::Interrupted => BuildError::Interrupted,
        source => BuildError::Step { step: step.name.clone(), source: Box::new(source) },
    };
    let watch = told.is_some().then_some(step);
    let mut on_line = |line: &str| {
        if !told.as_mut().is_some_and(|told| told.line(line)) {
            reporter.tell(Event::Note(line.to_owned()));
        }
    };
    match &step.action {
        Action::Debian(recipe) => debian::make(recipe, (step, arch), (workspace, means), told),
        Action::Rpm(_) if watch.is_some() => {
            Err(BuildError::Unlockable { what: "the packages of a base of RPMs".into() })
        }
        Action::Rpm(wanted) => rpm::make(wanted, step, (workspace, means)),
        Action::Fetched(wanted) => {
            let fetched = fetched::fetch(wanted, means)?;
            reporter.tell(Event::Stage(Stage::Unpack));
            unpack(&fetched.file, workspace).map_err(|error| error.of(&failed))
        }
        Action::Archive(file) => {
            reporter.tell(Event::Stage(Stage::Unpack));
            unpack(file, workspace).map_err(|error| error.of(&failed))
        }
        Action::Image(path) => {
            reporter.tell(Event::Stage(Stage::Unpack));
            image::take(path, step.epoch, workspace).map_err(|error| match error {
                BuildError::Workspace(source) => failed(source),
                error => error,
            })
        }
        Action::Packages(names) => {
            reporter.tell(Event::Stage(Stage::Packages));
            let task = packages(names, watch, workspace).map_err(|error| error.of(&failed))?;
            workspace.run(&task, &mut on_line).map_err(failed)
        }
        Action::Edit(edits) => {
            reporter.tell(Event::Stage(Stage::Edit));
            edit(edits, step.epoch, workspace).map_err(failed)
        }
        Action::Element(source, given) => {
            reporter.tell(Event::Stage(Stage::Elements));
            element((source, given), (step, watch), workspace, &mut on_line)
                .map_err(|error| error.of(&failed))
        }
        Action::Dib(runner, phase) => {
            reporter.tell(Event::Stage(Stage::Elements));
            runner.run(*phase, workspace, means.temp, &mut on_line).map_err(|error| match error {
                RunError::Script { source: WorkspaceError::Interrupted, .. } => {
                    BuildError::Interrupted
                }
                error => BuildError::Dib(error),
            })
        }
        Action::Command { run, network } => {
            reporter.tell(Event::Stage(Stage::Commands));
            let epoch = ("SOURCE_DATE_EPOCH".to_owned(), step.epoch.to_string());
            let task = Task { network: *network, env: vec![epoch], ..Task::shell(&step.name, run) };
            workspace.run(&task, &mut on_line).map_err(failed)
        }
    }
}

fn edit(edits: &[Edit], epoch: u64, workspace: &mut Workspace<'_>) -> Result<(), WorkspaceError> {
    let mut rest = edits;
    while !rest.is_empty() {
        let mut bytes = 0;
        let count = rest.iter().position(|edit| {
            if let Edit::File { content, .. } = edit {
                bytes += content.0.len();
            }
            bytes > AT_ONCE
        });
        let (now, later) = rest.split_at(count.unwrap_or(rest.len()).max(1));
        workspace.edit(now, epoch)?;
        rest = later;
    }
    Ok(())
}

enum Unpacked {
    Bundle(crate::bundle::BundleError),
    Workspace(WorkspaceError),
}

impl Unpacked {
    fn of(self, failed: &dyn Fn(WorkspaceError) -> BuildError) -> BuildError {
        match self {
            Self::Bundle(source) => BuildError::Bundle(source),
            Self::Workspace(source) => failed(source),
        }
    }
}

fn unpack(file: &BundleFile, workspace: &mut Workspace<'_>) -> Result<(), Unpacked> {
    let mut archive = file.archive().map_err(Unpacked::Bundle)?;
    workspace.unpack(&mut archive, "/").map_err(|error| {
        // Perhaps the file is not the one that its manifest tells of.
        match file.verify(&mut |_| !kiln_host::signal::interrupted()) {
            Err(wrong) => Unpacked::Bundle(wrong),
            Ok(()) => Unpacked::Workspace(error),
        }
    })
}

/// Why an element of Kiln's could not be applied, or packages not be installed.
enum Applied {
    Element(ElementError),
    NoManager,
    Unlockable(String),
    Workspace(WorkspaceError),
}

impl Applied {
    fn of(self, failed: &dyn Fn(WorkspaceError) -> BuildError) -> BuildError {
        match self {
            Self::Element(source) => BuildError::Element(source),
            Self::NoManager => BuildError::NoManager,
            Self::Unlockable(what) => BuildError::Unlockable { what },
            Self::Workspace(source) => failed(source),
        }
    }
}

impl From<WorkspaceError> for Applied {
    fn from(error: WorkspaceError) -> Self {
        Self::Workspace(error)
    }
}

/// Applies an element: packages, files, its script, units.
fn element(
    (source, given): (&Source, &Given),
    (step, watch): (&Step, Option<&Step>),
    workspace: &mut Workspace<'_>,
    on_line: &mut dyn FnMut(&str),
) -> Result<(), Applied> {
    let mut release = workspace.read("/etc/os-release")?;
    if release.is_none() {
        release = workspace.read("/usr/lib/os-release")?;
    }
    let release = String::from_utf8_lossy(&release.unwrap_or_default()).into_owned();
    let family = Family::of_os_release(&release).ok_or_else(|| {
        Applied::Element(ElementError::NoFamily { element: source.name.to_owned() })
    })?;
    let expansion = source.expand(given, family).map_err(Applied::Element)?;
    if !expansion.packages.is_empty() {
        let task = packages(&expansion.packages, watch, workspace)?;
        workspace.run(&task, on_line)?;
    }
    edit(&expansion.edits(), step.epoch, workspace)?;
    if let Some(script) = expansion.script {
        let task = Task { env: script.env, ..Task::shell(source.name, script.text) };
        workspace.run(&task, on_line)?;
    }
    edit(&sources::unit_edits(&expansion.units), step.epoch, workspace)?;
    Ok(())
}

/// Returns the task that installs packages. It tells what it takes if `watch` is a step, and takes
/// what is locked for that.
fn packages(
    names: &[String],
    watch: Option<&Step>,
    workspace: &mut Workspace<'_>,
) -> Result<Task, Applied> {
    let word = workspace.package_manager()?.unwrap_or_default();
    let manager = Manager::named(&word).ok_or(Applied::NoManager)?;
    let mut task = Task::shell("packages", &manager.install(names));
    if let Some(step) = watch {
        if manager != Manager::Apt {
            return Err(Applied::Unlockable(format!("the package manager `{word}`")));
        }
        lock::watched(&mut task, step.lock.as_ref());
    }
    task.script.iter_mut().for_each(|script| script.extend_from_slice(FORGET.as_bytes()));
    task.network = true;
    task.aside = manager.caches().iter().map(|path| (*path).to_owned()).collect();
    Ok(task)
}
