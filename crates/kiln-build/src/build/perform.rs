// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The steps of a plan, each carried out once: its layer is found, or made.

use std::fs;
use std::sync::mpsc::channel;
use std::thread;

use kiln_guest::system::packages::Manager;
use kiln_host::Host;
use kiln_host::run::OnLine;
use kiln_host::tools::mmdebstrap;
use kiln_spec::recipe::{Base, Recipe};
use kiln_spec::{Arch, Bytes};

use super::plan::{Action, Plan, Step};
use super::sources;
use crate::BuildError;
use crate::base::debian::{self, Watch};
use crate::bundle::BundleFile;
use crate::element::ElementError;
use crate::element::dib::run::RunError;
use crate::element::native::{Family, Given, Source};
use crate::scratch::Scratch;
use crate::stage::{Event, Reporter, Stage};
use crate::workspace::{Edit, Layer, LayerCache, Task, Workspace, WorkspaceError};

/// Bytes of contents that edits hand over at once.
const AT_ONCE: usize = 16 << 20;
/// How many bytes lie between two reports.
const STEP: u64 = 8 << 20;

/// Logs of the build are none of the machine's, and have the time in them.
const FORGET: &str = "rm -rf /var/log/dpkg.log /var/log/alternatives.log /var/log/apt/* \
                      /var/log/dnf* /var/cache/ldconfig/aux-cache\n";

/// What steps are carried out with.
#[derive(Clone, Copy)]
pub(super) struct Means<'a> {
    pub(super) host: &'a dyn Host,
    pub(super) cache: &'a LayerCache,
    /// Where mmdebstrap works.
    pub(super) temp: &'a std::path::Path,
    pub(super) reporter: &'a Reporter<'a>,
    /// The first step that is carried out even if its layer is there.
    pub(super) from: usize,
}

/// Carries out the steps that have no layers yet, and returns the tree.
pub(super) fn perform<'a>(plan: &Plan<'_>, means: &Means<'a>) -> Result<Workspace<'a>, BuildError> {
    let mut workspace = Workspace::open(means.cache, &[])?;
    for (n, step) in plan.steps.iter().enumerate() {
        if n >= means.from {
            // One that somebody else uses, or makes just now, is as good.
            means.cache.remove(&step.digest)?;
        }
        let mut waiting = || means.reporter.tell(Event::Stage(Stage::Waiting));
        match means.cache.find_or_claim(&step.digest, &mut waiting)? {
            Ok(layer) => {
                means.reporter.tell(Event::Note(format!("step `{}`: from its layer", step.name)));
                workspace.push(layer)?;
            }
            Err(claim) => {
                means.reporter.tell(Event::Step(step.name.clone()));
                carry_out(step, plan.arch, &mut workspace, means)?;
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

fn carry_out(
    step: &Step,
    arch: Arch,
    workspace: &mut Workspace<'_>,
    means: &Means<'_>,
) -> Result<(), BuildError> {
    let reporter = means.reporter;
    let failed = |source| match source {
        WorkspaceError::Interrupted => BuildError::Interrupted,
        source => BuildError::Step { step: step.name.clone(), source: Box::new(source) },
    };
    let mut on_line = |line: &str| reporter.tell(Event::Note(line.to_owned()));
    match &step.action {
        Action::Debian(recipe) => make_debian(recipe, (arch, step.epoch), workspace, means),
        Action::Archive(file) => {
            reporter.tell(Event::Stage(Stage::Unpack));
            unpack(file, workspace).map_err(|error| match error {
                Unpacked::Bundle(source) => BuildError::Bundle(source),
                Unpacked::Workspace(source) => failed(source),
            })
        }
        Action::Packages(names) => {
            reporter.tell(Event::Stage(Stage::Packages));
            let Some(task) = packages(names, workspace).map_err(failed)? else {
                return Err(BuildError::NoManager);
            };
            workspace.run(&task, &mut on_line).map_err(failed)
        }
        Action::Edit(edits) => {
            reporter.tell(Event::Stage(Stage::Edit));
            edit(edits, step.epoch, workspace).map_err(failed)
        }
        Action::Element(source, given) => {
            reporter.tell(Event::Stage(Stage::Elements));
            element(source, given, (workspace, step.epoch), &mut on_line).map_err(|error| {
                match error {
                    Applied::Element(source) => BuildError::Element(source),
                    Applied::NoManager => BuildError::NoManager,
                    Applied::Workspace(source) => failed(source),
                }
            })
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

/// Why an element of Kiln's could not be applied.
enum Applied {
    Element(ElementError),
    NoManager,
    Workspace(WorkspaceError),
}

impl From<WorkspaceError> for Applied {
    fn from(error: WorkspaceError) -> Self {
        Self::Workspace(error)
    }
}

/// Applies an element: packages, files, its script, units.
fn element(
    source: &Source,
    given: &Given,
    (workspace, epoch): (&mut Workspace<'_>, u64),
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
        let task = packages(&expansion.packages, workspace)?.ok_or(Applied::NoManager)?;
        workspace.run(&task, on_line)?;
    }
    edit(&expansion.edits(), epoch, workspace)?;
    if let Some(script) = expansion.script {
        let task = Task { env: script.env, ..Task::shell(source.name, script.text) };
        workspace.run(&task, on_line)?;
    }
    edit(&sources::unit_edits(&expansion.units), epoch, workspace)?;
    Ok(())
}

/// Returns the task that installs packages; `None` if the tree has no package manager that is
/// known.
fn packages(
    names: &[String],
    workspace: &mut Workspace<'_>,
) -> Result<Option<Task>, WorkspaceError> {
    let Some(word) = workspace.package_manager()? else { return Ok(None) };
    let Some(manager) = Manager::named(&word) else { return Ok(None) };
    let lines = format!("{}{FORGET}", manager.install(names));
    let mut task = Task::shell("packages", &lines);
    task.network = true;
    task.aside = manager.caches().iter().map(|path| (*path).to_owned()).collect();
    Ok(Some(task))
}

/// Has mmdebstrap make a tree, which goes straight into the layer.
fn make_debian(
    recipe: &Recipe,
    made_for: (Arch, u64),
    workspace: &mut Workspace<'_>,
    means: &Means<'_>,
) -> Result<(), BuildError> {
    let Means { host, reporter, .. } = *means;
    let scratch = Scratch::begin(means.temp, host)?;
    for (name, text) in debian::SCRIPTS {
        let path = scratch.path().join(name);
        fs::write(&path, text).map_err(|e| BuildError::io("write", path, e))?;
    }
    let tree = debian::tree(recipe, made_for, scratch.path());
    let cmd = mmdebstrap::tar(&tree, scratch.path());
    reporter.tell(Event::Note(cmd.to_string()));
    let (unpacked, ended, watch) = thread::scope(|scope| {
        let (to_watch, lines) = channel::<String>();
        let watching = scope.spawn(move || {
            let mut watch = Watch::default();
            for line in lines {
                watch.line(&line).into_iter().for_each(|event| reporter.tell(event));
                reporter.tell(Event::Note(line));
            }
            watch
        });
        // Nobody listens when the build is being given up.
        let on_line: OnLine = Box::new(move |line| to_watch.send(line.to_owned()).unwrap_or(()));
        let (unpacked, ended) = match host.pipe(&cmd, on_line) {
            Err(error) => (None, Err(error)),
            Ok(pipe) => {
                let mut counted = Counted { from: pipe, done: 0, told: 0, reporter };
                let unpacked = workspace.unpack(&mut counted, "/");
                // The tool knows why a stream breaks off, if it failed.
                (Some(unpacked), counted.from.finish())
            }
        };
        let watch = watching.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (unpacked, ended, watch)
    });
    if let Err(source) = ended {
        let suite = match &recipe.base {
            Base::Debian(base) => base.debian.codename(),
            Base::Tree(_) => "debian",
        };
        let (stage, cause) = (reporter.current(), watch.cause_of_failure());
        return Err(BuildError::of_packages(source, stage, cause, suite));
    }
    unpacked.unwrap_or(Ok(())).map_err(BuildError::from)
}

/// A stream of which it is told how much has come.
struct Counted<'a, R> {
    from: R,
    done: u64,
    told: u64,
    reporter: &'a Reporter<'a>,
}

impl<R: std::io::Read> std::io::Read for Counted<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.from.read(buf)?;
        self.done += u64::try_from(n).unwrap_or(0);
        if self.done >= self.told + STEP {
            self.told = self.done;
            let done = Bytes(self.done);
            self.reporter.tell(Event::Bytes { stage: Stage::Unpack, done, of: None });
        }
        Ok(n)
    }
}
