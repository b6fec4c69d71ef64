// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln dns server add`.

use std::path::Path;

use kiln_dns::TsigKey;
use kiln_dns::claim::try_zone;
use kiln_host::read;

use crate::args::dns::server::add::Add;
use crate::context::Context;
use crate::error::{Class, Problem, unreadable};
use crate::machine::dns::{self, Config};

/// The most that is read of a key's file.
const KEY_MOST: u64 = 1 << 20;

/// Makes a server known.
pub(crate) fn run(ctx: &Context, args: &Add) -> anyhow::Result<u8> {
    let name = args.name.as_str();
    if dns::all(ctx)?.iter().any(|known| known == name) {
        let what = format!("there is a DNS server `{name}` already");
        let hint = format!("choose another name, or `kiln dns server rm {name}` it");
        return Err(Problem::new(Class::Object, what).hint(hint).into());
    }
    let config = Config {
        address: args.address.clone(),
        zone: args.zone.clone(),
        reverse: args.reverse,
        subnets: args.subnet.clone(),
        ttl: args.ttl,
        key: key(&args.tsig_file)?,
    };
    if !args.no_check {
        try_zone(&config.server(), args.zone.as_str()).map_err(|error| {
            let absent = error.is_absence();
            let problem = dns::problem(name, error);
            // It speaks of a server that is known.
            let kept = "`--no-check` keeps it all the same";
            if absent { problem.without_hints().hint(kept) } else { problem }
        })?;
    }
    dns::keep(ctx, &args.name, &config)?;
    if ctx.ui.json() {
        ctx.ui.result(&config.json(name));
        return Ok(0);
    }
    let zone = &config.zone;
    let checked = if args.no_check { "was not asked" } else { "takes updates" };
    ctx.ui.say(format!(
        "`{name}` {checked}; `kiln launch IMAGE web1 --dns {name}` makes web1.{zone}"
    ));
    ctx.ui.out(name);
    Ok(0)
}

/// Reads the key. What is wrong never shows the secret.
fn key(path: &Path) -> anyhow::Result<TsigKey> {
    let shown = path.display();
    let bytes = read::bounded(path, KEY_MOST)
        .map_err(|source| unreadable(&format!("could not read the key `{shown}`"), source))?;
    let wrong = || Problem::new(Class::File, format!("`{shown}` is no file of a TSIG key"));
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong())?;
    let hint = "`tsig-keygen NAME > FILE` writes one, which the server includes";
    TsigKey::parse(text).map_err(|error| wrong().hint(hint).because(error).into())
}
