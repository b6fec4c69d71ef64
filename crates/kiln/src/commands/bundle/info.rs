// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln bundle info`.

use kiln_spec::Bytes;
use serde_json::json;

use crate::args::bundle::info::Info;
use crate::args::bundle::trust::Trust;
use crate::context::Context;

/// Shows what is known of a bundle.
pub(crate) fn run(ctx: &Context, args: &Info) -> anyhow::Result<u8> {
    let bundle = super::find(ctx, &args.bundle, &Trust::default())?;
    if args.verify {
        let task = ctx.ui.task(&bundle.name());
        bundle.verify(&mut |done| {
            task.phase("verify", &Bytes(done).to_string());
            !kiln_host::signal::interrupted()
        })?;
    }
    if ctx.ui.json() {
        ctx.ui.result(&json!({
            "name": bundle.name(),
            "path": bundle.path,
            "manifest": bundle.manifest,
            "verified": args.verify && bundle.manifest.is_some(),
        }));
        return Ok(0);
    }
    let Some(manifest) = &bundle.manifest else {
        ctx.ui.say("it has no manifest: nothing is known of it before it is assembled");
        ctx.ui.out(format!("path      {}", bundle.path.display()));
        return Ok(0);
    };
    let firmware: Vec<String> = manifest.firmware.iter().map(ToString::to_string).collect();
    let arch = manifest.arch.map_or("unknown", |arch| arch.as_str());
    for (key, value) in [
        ("name", manifest.name.clone()),
        ("path", bundle.path.display().to_string()),
        ("os", manifest.os.pretty_name.clone()),
        ("arch", arch.to_owned()),
        ("kernel", manifest.kernel.clone().unwrap_or_else(|| "none".to_owned())),
        ("boots by", if firmware.is_empty() { "nothing".to_owned() } else { firmware.join(", ") }),
        ("files", format!("{}, {}", manifest.entries, manifest.tree_bytes)),
        ("archive", format!("{}, {} compressed", manifest.tar_bytes, manifest.file_size)),
        ("made from", manifest.from.to_string()),
        ("created", manifest.created.clone()),
        ("tool", manifest.tool.clone()),
        ("digest", manifest.digest.to_string()),
    ] {
        ctx.ui.out(format!("{key:<9} {}", value.escape_debug()));
    }
    Ok(0)
}
