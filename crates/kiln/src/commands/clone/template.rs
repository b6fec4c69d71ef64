// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A clone of a template: a launch of it that need not start.

use kiln_libvirt::Connection;
use serde_json::Value;

use super::{as_json, tell};
use crate::args::clone::Clone;
use crate::args::launch::{Firmware, Launch};
use crate::commands::launch::{self, Common, Made};
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::first_boot::Told;
use crate::machine::keys::Keys;
use crate::machine::plan::least_memory;
use crate::machine::pool;
use crate::machine::templates::{self, Template, TemplateName};
use crate::machine::timings::Timings;

/// Finds the template that was named, if one was.
pub(super) fn find(ctx: &Context, conn: &Connection, args: &Clone) -> Option<Template> {
    let name = args.source.parse::<TemplateName>().ok()?;
    let pool = conn.pool(args.pool.as_deref().unwrap_or(pool::DEFAULT)).ok()?;
    templates::find(ctx, conn, &pool, &name).ok()
}

/// Makes clones of a template.
///
/// # Errors
///
/// As a launch of it.
pub(super) fn run(
    ctx: &Context,
    args: &Clone,
    conn: Connection,
    (found, keys): (&Template, Keys),
) -> anyhow::Result<u8> {
    if args.as_is {
        let what = format!("`{}` is a template: its guest is as it was made", found.full_name());
        return Err(Problem::new(Class::Usage, what).hint("leave `--as-is` out").into());
    }
    let image = templates::as_image(found);
    let usual = Launch::of(args.source.clone(), args.name.clone());
    let launch = Launch {
        count: args.count,
        memory: usual.memory.max(least_memory(&image)),
        full: !args.linked,
        ip: args.ip,
        pool: found.volume.pool.clone(),
        firmware: if image.uefi == Some(true) { Firmware::Uefi } else { Firmware::Bios },
        user: args.user.clone(),
        ssh_key: args.ssh_key.clone(),
        no_wait: true,
        dry_run: args.dry_run,
        ..usual
    };
    let found = (image, keys, Told::default(), Timings::begin());
    let show = |_: &Common<'_>, made: &Made| -> anyhow::Result<Option<Value>> {
        if ctx.ui.json() {
            return Ok(Some(as_json(args, &made.machine, &[])));
        }
        tell(ctx, args.start, &made.machine);
        Ok(None)
    };
    launch::go(ctx, &launch, conn, found, (args.start, &show))
}
