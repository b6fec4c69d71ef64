// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln secret list`.

use serde_json::json;

use crate::context::Context;
use crate::machine::{host, secrets};
use crate::ui::Table;

/// Lists the host's secrets.
pub(crate) fn run(ctx: &Context) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let all = secrets::all(&conn)?;
    if ctx.ui.json() {
        let all: Vec<_> = all.iter().map(secrets::Known::json).collect();
        ctx.ui.result(&json!({ "host": conn.uri().to_string(), "secrets": all }));
        return Ok(0);
    }
    if all.is_empty() {
        let how = "`kiln secret create NAME --keyring FILE` makes one";
        ctx.ui.say(format!("no secrets on {}; {how}", conn.uri()));
        return Ok(0);
    }
    let mut table = Table::new(&["NAME", "TYPE", "USER", "UUID"]);
    for one in all {
        let (name, user) = (one.name.unwrap_or_default(), one.user.unwrap_or_default());
        table.row(vec![name, one.kind, user, one.uuid.to_string()]);
    }
    table.lines().iter().for_each(|line| ctx.ui.out(line));
    Ok(0)
}
