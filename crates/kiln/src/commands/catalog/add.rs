// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln catalog add`.

use kiln_build::catalog::http::ProxyRule;
use kiln_build::catalog::openpgp::{Keys, Signers};
use kiln_build::catalog::url::Address;
use kiln_build::catalog::{KINDS, Source, Trust};
use serde_json::json;

use super::read::{self, Tools};
use crate::args::catalog::add::Add;
use crate::context::Context;
use crate::error::{Class, Problem};

/// Adds a catalog.
pub(crate) fn run(ctx: &Context, args: &Add) -> anyhow::Result<u8> {
    let source = source(args)?;
    let sources = read::sources(ctx);
    let mut count = None;
    if !args.no_check {
        let tools = Tools::new(ctx);
        count = Some(tools.reader(ctx).read(&source)?.len());
    }
    read::warn_of(ctx, &source);
    let file = if args.dry_run { None } else { Some(sources.add(&source)?) };
    if ctx.ui.json() {
        ctx.ui.result(&json!({
            "name": source.name,
            "address": source.uri.as_ref().map(ToString::to_string),
            "trust": source.trust.words(),
            "images": count,
            "file": file,
            "dry_run": args.dry_run,
        }));
        return Ok(0);
    }
    let images = count.map_or_else(String::new, |count| format!(", {count} images"));
    let verb = if args.dry_run { "would be added" } else { "added" };
    ctx.ui.say(format!("{verb}: catalog `{}`, {}{images}", source.name, source.trust.words()));
    Ok(0)
}

fn source(args: &Add) -> anyhow::Result<Source> {
    let wrong = |what: &str, source: anyhow::Error| {
        Problem::new(Class::Usage, format!("`{what}` cannot be used")).because(source)
    };
    // A path is taken as one types it: relative to here.
    let address = if args.address.contains("://") {
        Address::parse(&args.address).map_err(|e| wrong("ADDRESS", e.into()))?
    } else {
        Address::from(read::absolute(args.address.as_ref())?)
    };
    let signers = read::signers(args.key.as_deref(), args.fingerprint.as_deref())?;
    let anybody = Signers { keys: Keys::Keyring, fingerprint: None };
    let trust =
        if args.unsigned { Trust::Unsigned } else { Trust::Signed(signers.unwrap_or(anybody)) };
    let proxy = match args.proxy.as_str() {
        "system" => ProxyRule::System,
        "off" | "no" => ProxyRule::Off,
        other => ProxyRule::Forced(Address::parse(other).map_err(|e| wrong("--proxy", e.into()))?),
    };
    let kind = KINDS.iter().find(|kind| kind.word() == Some(args.kind.as_str()));
    let kind = kind.ok_or_else(|| Problem::new(Class::Usage, "there is no such kind"))?;
    let name = args.name.clone();
    Ok(Source { name, uri: Some(address), kind: *kind, trust, proxy, file: None })
}
