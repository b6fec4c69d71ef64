// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln build`.

use std::time::Duration;

use kiln_build::build::{self, BuildContext, Built, Event};
use kiln_host::read;
use kiln_spec::recipe::Recipe;
use serde_json::json;

use crate::args::build::Build;
use crate::context::{Context, now};
use crate::error::{Class, Problem, unreadable};
use crate::ui::{Task, waterfall};

/// The most that is read of a recipe.
const RECIPE_MOST: u64 = 4 << 20;
/// Width of the waterfall.
const WIDTH: usize = 80;

/// Builds the image of a recipe, or finds it in the store.
pub(crate) fn run(ctx: &Context, args: &Build) -> anyhow::Result<u8> {
    let shown = args.recipe.display().to_string();
    let what = format!("could not read the recipe `{shown}`");
    let bytes =
        read::bounded(&args.recipe, RECIPE_MOST).map_err(|source| unreadable(&what, source))?;
    let text = String::from_utf8(bytes)
        .map_err(|source| Problem::new(Class::File, what).because(source))?;
    let recipe = Recipe::parse(&text, &shown).map_err(|error| {
        Problem::new(Class::File, format!("`{shown}` is no recipe")).because(error)
    })?;
    if args.dry_run {
        return dry_run(ctx, &recipe);
    }
    let store = ctx.store()?;
    let user = ctx.env.user.clone().unwrap_or_default();
    let task = ctx.ui.task(recipe.name.as_str());
    let context = BuildContext {
        host: &ctx.host,
        store: &store,
        now: now(),
        is_root: ctx.root,
        user: &user,
        kiln_version: env!("CARGO_PKG_VERSION"),
        temp: None,
        force: args.rebuild,
    };
    let built = build::build(&recipe, &context, &|event| show(ctx, &task, &event))?;
    drop(task);
    report(ctx, args, &built);
    Ok(0)
}

fn show(ctx: &Context, task: &Task, event: &Event) {
    match event {
        Event::Stage(stage) => task.phase(&stage.to_string(), ""),
        Event::Note(text) => ctx.ui.detail(text),
        other => {
            if let Some((stage, detail)) = other.progress() {
                task.phase(&stage.to_string(), &detail);
            }
        }
    }
}

fn dry_run(ctx: &Context, recipe: &Recipe) -> anyhow::Result<u8> {
    let arch = recipe.arch.or_else(kiln_spec::arch::Arch::native).ok_or_else(|| {
        Problem::new(Class::Host, "kiln knows no images for this machine's processor")
    })?;
    ctx.ui.result(&json!({ "would_build": recipe.canonical(arch) }));
    Ok(0)
}

fn report(ctx: &Context, args: &Build, built: &Built) {
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
    ctx.ui.out(&manifest.name);
}
