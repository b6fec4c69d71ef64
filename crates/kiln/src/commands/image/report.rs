// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What edits and seals both tell besides their changes: labels, passwords.

use kiln_guest::ops::NewPassword;
use kiln_guest::selinux::Labels;
use serde_json::{Value, json};

use crate::context::Context;

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

/// Tells the passwords that were made, the only time.
pub(crate) fn tell_passwords(ctx: &Context, passwords: &[NewPassword]) {
    for new in passwords {
        ctx.ui.out(format!("the password of `{}` is {}", new.user, new.password));
    }
}

/// Returns a password that was made, as `--json` has it.
pub(crate) fn password(new: &NewPassword) -> Value {
    json!({ "user": new.user, "password": new.password })
}
