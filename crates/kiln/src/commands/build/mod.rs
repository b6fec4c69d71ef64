// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln build`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kiln_build::build::{self, BuildContext, BuildError, Built, Event, Force, Kept, Places, Plan};
use kiln_build::element::dib::run::RunError;
use kiln_build::workspace::WorkspaceError;
use kiln_host::beside::replace;
use kiln_host::read;
use kiln_host::tools::guestfish::Fish;
use kiln_spec::Lock;
use kiln_spec::recipe::{Parameters, Recipe};
use serde_json::json;

use crate::args::build::Build;
use crate::commands::cache;
use crate::commands::catalog::read::Tools;
use crate::context::{Context, now};
use crate::error::{Class, Problem, unreadable};
use crate::machine::host::kvm_works;
use crate::ui::{Task, waterfall};

mod outputs;
pub(super) mod recipe;
mod shell;

/// The most that is read of a recipe.
const RECIPE_MOST: u64 = 4 << 20;
/// How many lines are shown of what a program wrote that failed.
const LINES: usize = 20;
/// Width of the waterfall.
const WIDTH: usize = 80;

/// Builds the image of a recipe, or finds it in the store.
pub(crate) fn run(ctx: &Context, args: &Build) -> anyhow::Result<u8> {
    let recipe = read_recipe(&args.recipe, &args.parameters.iter().cloned().collect())?;
    let lock = lock_file(&args.recipe);
    let mut plan = planned(ctx, &recipe, (&args.recipe, (!args.lock).then_some(&lock)))?;
    if args.dry_run {
        return dry_run(ctx, &recipe, &plan);
    }
    if args.shell {
        return shell::run(ctx, Kept::find(&plan, &cache::open(ctx)?)?);
    }
    let force = match (&args.from, args.rebuild) {
        (Some(step), _) => Force::From(step.clone()),
        (None, true) => Force::All,
        (None, false) => Force::Nothing,
    };
    let built = build(ctx, (&recipe, &mut plan), (force, args.lock))?;
    if let Some(taken) = &built.lock {
        write_lock(&lock, taken)?;
        ctx.ui.say(format!("wrote `{}`", lock.display()));
    }
    let folder = args.output.as_deref().unwrap_or(Path::new("."));
    let files = outputs::make(ctx, &recipe, (&built.image, plan.epoch()), folder)?;
    report(ctx, args, &built, &files);
    Ok(0)
}

/// Plans what a recipe makes; heeds its lock, if there is one.
fn planned<'a>(
    ctx: &Context,
    recipe: &'a Recipe,
    (path, lock): (&Path, Option<&PathBuf>),
) -> anyhow::Result<Plan<'a>> {
    let (bundles, store) = (ctx.sub("bundles"), ctx.sub("store"));
    let mut plan = Plan::of(recipe, Places { recipe: path, bundles: &bundles, store: &store })?;
    if let Some(lock) = lock.map(|lock| read_lock(lock)).transpose()?.flatten() {
        plan.lock(&lock)?;
    }
    Ok(plan)
}

/// Builds what is planned, or finds it in the store.
fn build(
    ctx: &Context,
    (recipe, plan): (&Recipe, &mut Plan<'_>),
    (force, renew_lock): (Force, bool),
) -> anyhow::Result<Built> {
    let (cache, store) = (cache::open(ctx)?, ctx.store()?);
    let user = ctx.env.user.clone().unwrap_or_default();
    let task = ctx.ui.task(recipe.name.as_str());
    let tools = Tools::new(ctx);
    let context = BuildContext {
        host: &ctx.host,
        store: &store,
        http: tools.http(),
        cache: &cache,
        now: now(),
        is_root: ctx.root,
        user: &user,
        kiln_version: env!("CARGO_PKG_VERSION"),
        temp: None,
        fish: &Fish { kvm: kvm_works() },
        force,
        renew_lock,
    };
    build::build(plan, &context, &|event| show(ctx, &task, &event)).map_err(explained)
}

/// Returns where the lock of a recipe is.
fn lock_file(recipe: &Path) -> PathBuf {
    let mut name = recipe.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

fn read_lock(path: &Path) -> anyhow::Result<Option<Lock>> {
    let shown = path.display().to_string();
    let what = format!("could not read the lock `{shown}`");
    let text = match read::bounded(path, RECIPE_MOST) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => text(bytes, &what)?,
    };
    let lock = Lock::parse(&text, &shown).map_err(|error| {
        Problem::new(Class::File, format!("`{shown}` is no lock"))
            .because(error)
            .hint("`kiln build --lock` writes it anew")
    })?;
    Ok(Some(lock))
}

/// Writes the lock in place of an older one, in one piece.
fn write_lock(path: &Path, lock: &Lock) -> anyhow::Result<()> {
    let what = format!("could not write the lock `{}`", path.display());
    replace(path, lock.to_text().as_bytes())
        .map_err(|source| Problem::new(Class::Host, what).because(source).into())
}

/// Returns the text of a file that was read; `what` says what could not be done if it was not, or
/// is none.
fn text(bytes: io::Result<Vec<u8>>, what: &str) -> Result<String, Problem> {
    let bytes = bytes.map_err(|source| unreadable(what, source))?;
    String::from_utf8(bytes).map_err(|source| Problem::new(Class::File, what).because(source))
}

fn read_recipe(path: &Path, given: &Parameters) -> anyhow::Result<Recipe> {
    let shown = path.display().to_string();
    let what = format!("could not read the recipe `{shown}`");
    let text = text(read::bounded(path, RECIPE_MOST), &what)?;
    let recipe = Recipe::parse_with(&text, &shown, given).map_err(|error| {
        Problem::new(Class::File, format!("`{shown}` is no recipe")).because(error)
    })?;
    Ok(recipe)
}

/// A program of the recipe that failed: its last words belong to what is shown.
fn explained(error: BuildError) -> anyhow::Error {
    let failed = match &error {
        BuildError::Step { source, .. } => &**source,
        BuildError::Dib(RunError::Script { source, .. }) => source,
        _ => return error.into(),
    };
    let WorkspaceError::Failed { tail, .. } = failed else { return error.into() };
    let lines: Vec<_> = tail.lines().map(str::to_owned).collect();
    let last = lines[lines.len().saturating_sub(LINES)..].to_vec();
    let hint = "the steps before it are kept: the next build goes on from there. `--shell` looks \
                into the tree as the step left it";
    Problem::new(Class::Guest, "the build failed").excerpt(last).hint(hint).because(error).into()
}

fn show(ctx: &Context, task: &Task, event: &Event) {
    match event {
        Event::Stage(stage) => task.phase(&stage.to_string(), ""),
        Event::Step(step) => task.phase(step, ""),
        Event::Note(text) => ctx.ui.detail(text),
        other => {
            if let Some((stage, detail)) = other.progress() {
                task.phase(&stage.to_string(), &detail);
            }
        }
    }
}

fn dry_run(ctx: &Context, recipe: &Recipe, plan: &Plan<'_>) -> anyhow::Result<u8> {
    let arch = recipe.arch.or_else(kiln_spec::arch::Arch::native).ok_or_else(|| {
        Problem::new(Class::Host, "kiln knows no images for this machine's processor")
    })?;
    build::check(plan)?;
    let cache = cache::existing(ctx)?;
    let mut steps = Vec::new();
    for step in &plan.steps {
        let found = cache.as_ref().map_or(Ok(None), |cache| cache.find(&step.digest))?;
        let cached = found.is_some();
        steps.push(json!({ "step": step.name, "digest": step.digest, "cached": cached }));
    }
    ctx.ui.result(&json!({ "would_build": recipe.canonical(arch), "steps": steps }));
    Ok(0)
}

fn report(ctx: &Context, args: &Build, built: &Built, files: &[PathBuf]) {
    let manifest = &built.image.manifest;
    let mut at = Duration::ZERO;
    let mut phases = Vec::new();
    for (stage, took) in &built.stages {
        phases.push((stage.to_string(), at, at + *took));
        at += *took;
    }
    if ctx.ui.json() {
        let stages: Vec<_> = phases
            .iter()
            .map(|(stage, from, to)| json!({"stage": stage, "took_ms": (*to - *from).as_millis()}))
            .collect();
        ctx.ui.result(&json!({
            "image": manifest,
            "path": built.image.path,
            "cached": built.cached,
            "stages": stages,
            "outputs": files,
        }));
        return;
    }
    if args.timings {
        waterfall(&phases, WIDTH).iter().for_each(|line| ctx.ui.say(line));
    }
    let how = if built.cached {
        "is in the store already".to_owned()
    } else {
        format!("built in {:.1} s", at.as_secs_f64())
    };
    ctx.ui.say(format!(
        "image `{}` {how}: {}, {} on disk, kernel {}",
        manifest.name, manifest.os.pretty_name, manifest.file_size, manifest.kernel
    ));
    files.iter().for_each(|file| ctx.ui.say(format!("wrote `{}`", file.display())));
    ctx.ui.out(&manifest.name);
}
