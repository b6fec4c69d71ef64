// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image`: one file a verb.

mod appliance;
mod apply;
mod cat;
mod check;
mod convert;
mod copy_in;
mod copy_out;
pub(crate) mod customize;
mod df;
mod diff;
mod edit;
mod edits;
mod info;
mod inspect;
mod list;
mod listing;
mod ls;
mod names;
mod open;
pub(crate) mod pull;
mod report;
mod resize;
mod rm;
pub(crate) mod seal;
mod stored;
mod tar_in;
mod tar_out;

pub(crate) use open::{guest_reading, now, readers};

use kiln_build::store;
use serde_json::json;

use crate::args::image::Image;
use crate::context::Context;

/// Runs a verb; returns the exit code.
pub(crate) fn run(ctx: &Context, args: &Image) -> anyhow::Result<u8> {
    match args {
        Image::List(args) => list::run(ctx, args),
        Image::Pull(args) => pull::run(ctx, args),
        Image::Info(args) => info::run(ctx, args),
        Image::Rm(args) => rm::run(ctx, args),
        Image::Ls(args) => ls::run(ctx, args),
        Image::Cat(args) => cat::run(ctx, args),
        Image::Df(args) => df::run(ctx, args),
        Image::Check(args) => check::run(ctx, args),
        Image::Inspect(args) => inspect::run(ctx, args),
        Image::Edit(args) => edit::run(ctx, args),
        Image::CopyIn(args) => copy_in::run(ctx, args),
        Image::TarIn(args) => tar_in::run(ctx, args),
        Image::CopyOut(args) => copy_out::run(ctx, args),
        Image::TarOut(args) => tar_out::run(ctx, args),
        Image::Diff(args) => diff::run(ctx, args),
        Image::Seal(args) => seal::run(ctx, args),
        Image::Convert(args) => convert::run(ctx, args),
        Image::Resize(args) => resize::run(ctx, args),
        Image::Customize(args) => customize::run(ctx, args),
    }
}

/// Returns an image as `--json` has it: its manifest, with the names that it has now in `names`.
/// The manifest's own `name` is the one that it was made under, which another may have by now.
fn as_json(image: &store::Image) -> serde_json::Result<serde_json::Value> {
    let mut value = serde_json::to_value(&image.manifest)?;
    value["names"] = json!(image.names);
    Ok(value)
}
