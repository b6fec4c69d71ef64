// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln secret create`.

use kiln_libvirt::keyring::Key;
use kiln_libvirt::secret::secret_element;
use serde_json::json;
use uuid::Uuid;

use crate::args::secret::create::Create;
use crate::context::Context;
use crate::machine::{host, secrets};

/// Makes a secret.
pub(crate) fn run(ctx: &Context, args: &Create) -> anyhow::Result<u8> {
    let (name, user) = (args.name.as_str(), args.user.as_deref());
    secrets::check_user(user)?;
    let (user, key): (Option<String>, Key) = match &args.keyring {
        Some(path) => {
            let entry = secrets::from_keyring(path, user)?;
            (Some(entry.user), entry.key)
        }
        None => secrets::from_stdin(user)?,
    };
    let conn = host::connect(ctx)?;
    secrets::refuse_taken(&conn, name)?;
    let uuid = Uuid::now_v7();
    if args.dry_run {
        let whose = user.as_ref().map_or_else(String::new, |user| format!(" of client.{user}"));
        if ctx.ui.json() {
            let xml = secret_element(name, uuid, "").to_string();
            ctx.ui.result(&json!({ "would": { "create": name, "user": user, "xml": xml } }));
        } else {
            ctx.ui.out(format!("make the secret `{name}` of the key{whose}"));
        }
        return Ok(0);
    }
    secrets::make(ctx, &conn, (name, uuid), (user.as_deref(), &key))?;
    if ctx.ui.json() {
        ctx.ui.result(&secrets::find(&conn, name)?.json());
        return Ok(0);
    }
    ctx.ui.say(format!(
        "`{name}` is kept; `kiln pool create NAME --rbd POOL --monitor HOST --secret {name}` uses it"
    ));
    ctx.ui.out(name);
    Ok(0)
}
