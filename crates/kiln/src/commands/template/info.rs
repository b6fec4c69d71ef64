// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln template info`.

use super::list::made_of;
use crate::args::template::info::Info;
use crate::context::Context;
use crate::machine::templates::MadeOf;
use crate::machine::{host, pools, templates};

/// Shows a template.
pub(crate) fn run(ctx: &Context, args: &Info) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let pool = pools::find(&conn, &args.pool)?;
    let found = templates::find(ctx, &conn, &pool, &args.name)?;
    if ctx.ui.json() {
        ctx.ui.result(&found.json());
        return Ok(0);
    }
    let line = |name: &str, value: String| ctx.ui.out(format!("{name:<10}{value}"));
    line("name", found.full_name());
    line("pool", found.volume.pool.clone());
    line("volume", found.volume.name.clone());
    line("size", found.capacity.to_string());
    line("takes", found.allocation.to_string());
    line("made of", made_of(&found));
    if let Some(facts) = &found.facts {
        if let MadeOf::Machine { template: Some(template), .. } = &facts.made {
            line("which is", format!("a clone of {template}"));
        }
        line("sealed", if facts.sealed { "yes" } else { "no" }.to_owned());
        line("made by", format!("kiln {}", facts.made_by));
    }
    for clone in &found.clones {
        line("clone", clone.clone());
    }
    Ok(0)
}
