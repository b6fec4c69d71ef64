// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What came of each thing of a set, told.

use serde_json::{Value, json};

use crate::context::Context;
use crate::error::report;
use crate::machine::set::Object;

/// What came of one thing.
pub(in crate::commands) struct Outcome {
    /// The thing.
    pub(in crate::commands) object: Object,
    /// What was done, for people: `made`, `changed`; or why not.
    pub(in crate::commands) result: anyhow::Result<Done>,
}

/// What was done.
pub(in crate::commands) enum Done {
    /// Something was made.
    Made,
    /// Something was changed or started.
    Changed,
    /// Something was removed.
    Removed,
}

impl Done {
    const fn word(&self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }
}

/// Tells what came of a set; `more` is what its JSON has besides. Returns the worst exit code.
pub(in crate::commands) fn show(
    ctx: &Context,
    (set, outcomes): (&str, &[Outcome]),
    more: Value,
) -> u8 {
    let (mut code, mut done, mut failed) = (0, Vec::new(), Vec::new());
    for Outcome { object, result } in outcomes {
        let mut shown = json!({ "object": object.kind(), "name": object.name() });
        match result {
            Ok(what) => {
                shown["done"] = what.word().into();
                done.push(shown);
            }
            Err(error) => {
                let report = report(error);
                code = code.max(report.code);
                shown["error"] = report.json();
                failed.push(shown);
                if !ctx.ui.json() {
                    ctx.ui.failure(&report);
                }
            }
        }
    }
    let count = |word: &str| {
        let of = |outcome: &&Outcome| outcome.result.as_ref().is_ok_and(|done| done.word() == word);
        match outcomes.iter().filter(of).count() {
            0 => None,
            count => Some(format!("{count} {word}")),
        }
    };
    let mut parts: Vec<String> =
        ["made", "changed", "removed"].into_iter().filter_map(count).collect();
    if !failed.is_empty() {
        parts.push(format!("{} failed", failed.len()));
    }
    if !parts.is_empty() {
        ctx.ui.say(format!("`{set}`: {}", parts.join(", ")));
    }
    if ctx.ui.json() {
        let mut all = json!({ "set": set, "done": done, "failed": failed });
        if let (Some(all), Value::Object(more)) = (all.as_object_mut(), more) {
            all.extend(more);
        }
        ctx.ui.result(&all);
    }
    code
}
