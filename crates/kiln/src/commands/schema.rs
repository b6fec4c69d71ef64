// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln schema`.

use kiln_spec::schema;

use crate::args::schema::{Of, Schema};
use crate::context::Context;

/// Prints the schema of a kind of file.
pub(crate) fn run(ctx: &Context, args: &Schema) -> anyhow::Result<u8> {
    let schema = match args.of {
        Of::Recipe => schema::recipe(),
        Of::Set => schema::set(),
    };
    ctx.ui.out(serde_json::to_string_pretty(&schema)?);
    Ok(0)
}
