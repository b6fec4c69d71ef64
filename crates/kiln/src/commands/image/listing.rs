// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The operations of a verb, listed.

use serde_json::{Value, json};

use crate::args::image::customize::Listing;
use crate::context::Context;

/// A family's operations, as text.
#[derive(Debug)]
pub(super) struct Manual {
    /// A line each.
    pub(super) short: fn() -> String,
    /// All that there is to say.
    pub(super) long: fn() -> String,
    /// The same, as Markdown.
    pub(super) markdown: fn() -> String,
}

/// Says what operations there are; as objects if results are JSON.
pub(super) fn tell(ctx: &Context, how: Listing, operations: Vec<Value>, manual: &Manual) {
    if ctx.ui.json() {
        return ctx.ui.result(&json!({ "operations": operations }));
    }
    let text = match how {
        Listing::Short => (manual.short)(),
        Listing::Long => (manual.long)(),
        Listing::Markdown => (manual.markdown)(),
    };
    text.trim_end().lines().for_each(|line| ctx.ui.out(line));
}
