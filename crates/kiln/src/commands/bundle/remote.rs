// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln bundle push` and `pull`, and bundles that are named by their address.

use kiln_build::bundle::{self, BundleFile, Checked};
use kiln_build::catalog::http::ProxyRule;
use kiln_build::catalog::url::Address;
use kiln_spec::Digest;
use kiln_spec::place::after_scheme;
use kiln_spec::recipe::ImageName;
use serde_json::json;

use crate::args::bundle::pull::Pull;
use crate::args::bundle::push::Push;
use crate::args::bundle::trust::Trust;
use crate::commands::catalog::read::{self, Tools};
use crate::context::Context;
use crate::error::{Class, Problem};

/// Puts a bundle onto a server.
pub(super) fn push(ctx: &Context, args: &Push) -> anyhow::Result<u8> {
    let bundle = super::find(ctx, &args.bundle, &Trust::default())?;
    let tools = Tools::new(ctx);
    if let Some(key) = &args.sign {
        bundle::sign(&bundle, &tools.openpgp(ctx), key)?;
    }
    let client = tools.http().client(&ProxyRule::System).map_err(unreachable_proxy)?;
    let task = ctx.ui.task(&bundle.name());
    task.phase("push", "");
    let at = bundle::push(&client, &bundle, &address(&args.url)?)?;
    drop(task);
    if ctx.ui.json() {
        ctx.ui.result(&json!({ "url": at.to_string(), "manifest": bundle.manifest }));
    } else {
        ctx.ui.out(at.to_string());
    }
    Ok(0)
}

/// Fetches a bundle.
pub(super) fn pull(ctx: &Context, args: &Pull) -> anyhow::Result<u8> {
    let bundle = fetched(ctx, &args.url, args.name.as_ref(), (&args.trust, None))?;
    if ctx.ui.json() {
        ctx.ui.result(&json!({
            "name": bundle.name(),
            "path": bundle.path,
            "manifest": bundle.manifest,
        }));
    } else {
        ctx.ui.out(bundle.name());
    }
    Ok(0)
}

/// Returns whether a bundle is named by its address.
pub(super) fn is_address(wanted: &str) -> bool {
    after_scheme(wanted).is_some()
}

/// Fetches the bundle at an address, unless it is here; its digest must be `sha256`, if that is given. Its signature is looked at in any case, if
/// somebody must have signed it.
///
/// # Errors
///
/// As [`bundle::pull`].
pub(super) fn fetched(
    ctx: &Context,
    url: &str,
    name: Option<&ImageName>,
    (trust, sha256): (&Trust, Option<&Digest>),
) -> anyhow::Result<BundleFile> {
    let signers = read::signers(trust.key.as_deref(), trust.fingerprint.as_deref())?;
    if signers.is_none() && sha256.is_none() && !trust.unsigned {
        ctx.ui.warn("nothing says who may sign the bundle: its server is believed");
    }
    let tools = Tools::new(ctx);
    let checked = signers.as_ref();
    let checked = checked.map(|signers| Checked { openpgp: tools.openpgp(ctx), signers });
    let shelf = super::shelf(ctx)?;
    let client = tools.http().client(&ProxyRule::System).map_err(unreachable_proxy)?;
    let url = address(url)?;
    let task = ctx.ui.task(url.file_name());
    let pulled = bundle::pull(&client, &url, (&shelf, name), (checked, sha256), &mut |done, of| {
        task.phase("fetch", &format!("{done} of {of}"));
    });
    Ok(pulled?)
}

/// Says so if somebody must have signed what comes from no server: nothing would be checked.
///
/// # Errors
///
/// Class usage.
pub(super) fn no_server(wanted: &str, trust: &Trust) -> Result<(), Problem> {
    if !trust.is_given() {
        return Ok(());
    }
    let what =
        format!("`{wanted}` is no address, and only what is fetched is checked for signatures");
    Err(Problem::new(Class::Usage, what)
        .hint("leave out `--key`, `--fingerprint` and `--unsigned`, or name the bundle's address"))
}

fn address(text: &str) -> Result<Address, Problem> {
    let parsed = Address::parse(text);
    let parsed = parsed.map_err(|error| Problem::new(Class::Usage, error.to_string()))?;
    if is_address(text) {
        return Ok(parsed);
    }
    let what = format!("`{parsed}` is no address of a web server");
    Err(Problem::new(Class::Usage, what).hint("it begins with `https://` or `http://`"))
}

fn unreachable_proxy(error: impl Into<anyhow::Error>) -> Problem {
    Problem::new(Class::Usage, "the environment names no proxy that can be used").because(error)
}
