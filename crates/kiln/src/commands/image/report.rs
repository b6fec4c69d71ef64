// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What edits and seals both tell besides their changes: labels, passwords.

use kiln_guest::ops::NewPassword;
use kiln_guest::selinux::Labels;
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::{Class, Problem};

/// Tells what became of SELinux labels, if the guest uses them.
pub(crate) fn tell_labels(ctx: &Context, labels: &Labels) {
    match labels {
        Labels::NotUsed => {}
        Labels::Given(count) => ctx.ui.detail(format!("{count} new files got SELinux labels")),
        Labels::Scheduled { why } => {
            ctx.ui
                .warn(format!("the guest gives its files SELinux labels at its next boot: {why}"));
        }
    }
}

/// Returns what became of SELinux labels, as `--json` has it.
pub(crate) fn labels(labels: &Labels) -> Value {
    match labels {
        Labels::NotUsed => json!(null),
        Labels::Given(count) => json!({ "given": count }),
        Labels::Scheduled { why } => json!({ "scheduled": why }),
    }
}

/// Tells the passwords that were made, the only time: with `--json` by the whole `result`. They are
/// told before the image is changed, so that none is set that nobody knows. Returns whether there
/// were any.
///
/// # Errors
///
/// They cannot be told (class host); the image is not to be changed then.
pub(crate) fn tell_passwords(
    ctx: &Context,
    passwords: &[NewPassword],
    result: &Value,
) -> anyhow::Result<bool> {
    let line = |new: &NewPassword| format!("the password of `{}` is {}", new.user, new.password);
    let text = match passwords {
        [] => return Ok(false),
        _ if ctx.ui.json() => crate::ui::pretty(result),
        all => all.iter().map(line).collect::<Vec<_>>().join("\n"),
    };
    let told = ctx.ui.deliver(&text);
    told.map_err(|error| {
        let what = "could not tell the new passwords, and the image was not changed";
        Problem::new(Class::Host, what).because(error)
    })?;
    Ok(true)
}

/// Returns a password that was made, as `--json` has it.
pub(crate) fn password(new: &NewPassword) -> Value {
    json!({ "user": new.user, "password": new.password })
}
