// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln element`: one file a verb.

mod info;
mod list;

use crate::args::element::Element;
use crate::context::Context;

/// Runs a verb; returns the exit code.
pub(crate) fn run(ctx: &Context, args: &Element) -> anyhow::Result<u8> {
    match args {
        Element::List(args) => list::run(ctx, args),
        Element::Info(args) => info::run(ctx, args),
    }
}
