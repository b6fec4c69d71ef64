// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The recipes of sets: what is in the store of one, and building it.

use std::path::Path;

use kiln_build::build::{Force, Plan};
use kiln_spec::image::Digest;
use kiln_spec::recipe::{Parameters, Recipe};

use super::{lock_file, planned, read_recipe};
use crate::context::Context;

/// What a recipe makes.
pub(in crate::commands) struct Stored {
    /// The image's name.
    pub(in crate::commands) name: String,
    /// The digest of the image in the store; `None` if it is still to be built.
    pub(in crate::commands) digest: Option<Digest>,
}

/// Finds out what a recipe makes. Builds nothing, fetches nothing, writes nothing.
///
/// # Errors
///
/// Not there (class object); no recipe (class file), with the place.
pub(in crate::commands) fn stored(ctx: &Context, path: &Path) -> anyhow::Result<Stored> {
    with_plan(ctx, path, |recipe, plan| {
        let name = recipe.name.to_string();
        let store = ctx.store_if_there()?;
        let image = store.map(|store| store.find_by_recipe(&plan.digest)).transpose()?.flatten();
        Ok(Stored { name, digest: image.map(|image| image.manifest.digest) })
    })
}

/// Builds what a recipe makes, as `kiln build` does.
///
/// # Errors
///
/// As `kiln build`.
pub(in crate::commands) fn make(ctx: &Context, path: &Path) -> anyhow::Result<()> {
    with_plan(ctx, path, |recipe, plan| {
        super::build(ctx, (recipe, plan), (Force::Nothing, false)).map(drop)
    })
}

fn with_plan<T>(
    ctx: &Context,
    path: &Path,
    work: impl FnOnce(&Recipe, &mut Plan<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let recipe = read_recipe(path, &Parameters::new())?;
    let mut plan = planned(ctx, &recipe, (path, Some(&lock_file(path))))?;
    work(&recipe, &mut plan)
}
