// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln bundle`: one file a verb.

mod assemble;
mod create;
mod info;
mod list;
mod remote;
mod rm;
mod source;

use std::path::Path;

use kiln_build::bundle::{BundleFile, Shelf};

use crate::args::bundle::Bundle;
use crate::args::bundle::trust::Trust;
use crate::context::Context;

pub(crate) use assemble::{launchable, made, stored};

/// Runs a verb; returns the exit code.
pub(crate) fn run(ctx: &Context, args: &Bundle) -> anyhow::Result<u8> {
    match args {
        Bundle::Create(args) => create::run(ctx, args),
        Bundle::Assemble(args) => assemble::run(ctx, args),
        Bundle::Push(args) => remote::push(ctx, args),
        Bundle::Pull(args) => remote::pull(ctx, args),
        Bundle::Info(args) => info::run(ctx, args),
        Bundle::List(_) => list::run(ctx),
        Bundle::Rm(args) => rm::run(ctx, args),
    }
}

/// Opens the bundles that are kept under a name.
pub(crate) fn shelf(ctx: &Context) -> anyhow::Result<Shelf> {
    Ok(Shelf::open(&ctx.sub("bundles"))?)
}

/// Finds a bundle: fetched if it is an address; a path if there is a `/` in it; else a name; else
/// a file here.
fn find(ctx: &Context, wanted: &str, trust: &Trust) -> anyhow::Result<BundleFile> {
    if remote::is_address(wanted) {
        return remote::fetched(ctx, wanted, None, (trust, None));
    }
    remote::no_server(wanted, trust)?;
    let path = Path::new(wanted);
    if !wanted.contains('/') {
        let kept = shelf(ctx)?.find(wanted);
        if kept.is_ok() || !path.exists() {
            return Ok(kept?);
        }
    }
    Ok(BundleFile::open(path)?)
}
