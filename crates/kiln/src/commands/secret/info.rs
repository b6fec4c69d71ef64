// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln secret info`.

use crate::args::secret::info::Info;
use crate::context::Context;
use crate::machine::{host, secrets};

/// Shows a secret.
pub(crate) fn run(ctx: &Context, args: &Info) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let found = secrets::find(&conn, &args.name)?;
    let users = secrets::users(&conn, &found)?;
    if ctx.ui.json() {
        let mut json = found.json();
        json["used_by"] = users.into_iter().collect();
        ctx.ui.result(&json);
        return Ok(0);
    }
    let line = |name: &str, value: String| ctx.ui.out(format!("{name:<10}{value}"));
    line("name", found.shown());
    line("uuid", found.uuid.to_string());
    line("type", found.kind.clone());
    if let Some(user) = &found.user {
        line("user", format!("client.{user}"));
    }
    line("kept", if found.ephemeral { "until libvirt ends" } else { "on the host" }.to_owned());
    let may = "by whoever may define machines";
    line("readable", if found.private { "by the host alone" } else { may }.to_owned());
    users.into_iter().for_each(|user| line("used by", user));
    Ok(0)
}
