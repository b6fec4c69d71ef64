// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What cloud-init says of its own run.
//!
//! Source: cloud-init 22.4 to 25, `/run/cloud-init/result.json` (written once, at the very end:
//! `{"v1": {"datasource": …, "errors": […]}}`) and `status.json` (`v1.<stage>.errors`, and from
//! 23.4 on `recoverable_errors` by level). An error is text of the form
//! `('module', ExceptionType('…'))`; the text is shown, and only the module's name is taken out.
//! All of it comes from the guest: hostile, and bounded by the reader.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::console_watch::clean;

/// Where cloud-init leaves its result.
pub(crate) const RESULT: &str = "/run/cloud-init/result.json";
/// Where cloud-init keeps its status.
pub(crate) const STATUS: &str = "/run/cloud-init/status.json";
/// There when cloud-init decided not to run.
pub(crate) const DISABLED: &str = "/run/cloud-init/disabled";
/// The most errors that are kept.
const MOST: usize = 50;

/// How cloud-init ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub(crate) enum CloudInit {
    /// All of it went well.
    Done,
    /// It ended, and these went wrong.
    Failed {
        /// What went wrong, in order.
        errors: Vec<ModuleError>,
    },
    /// The guest has none, or it is switched off.
    Absent,
}

/// One thing that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ModuleError {
    /// cloud-init's stage, such as `modules-final`.
    pub(crate) stage: String,
    /// The module, where cloud-init names one.
    pub(crate) module: Option<String>,
    /// What it said.
    pub(crate) message: String,
}

impl ModuleError {
    /// Returns the error as one line for people.
    pub(crate) fn line(&self) -> String {
        match &self.module {
            Some(module) => format!("module `{module}` ({}): {}", self.stage, self.message),
            None => format!("{}: {}", self.stage, self.message),
        }
    }
}

/// Reads `result.json` and, if it could be had, `status.json`.
///
/// Returns `None` while the result is not there in full.
pub(crate) fn read(result: &[u8], status: Option<&[u8]>) -> Option<CloudInit> {
    let result: Value = serde_json::from_slice(result).ok()?;
    let of_result = result.pointer("/v1/errors").map(|e| errors_in("cloud-init", e));
    let status = status.and_then(|bytes| serde_json::from_slice::<Value>(bytes).ok());
    let mut errors = status.as_ref().map(stage_errors).unwrap_or_default();
    for error in of_result? {
        if !errors.iter().any(|known| known.message == error.message) {
            errors.push(error);
        }
    }
    errors.truncate(MOST);
    Some(if errors.is_empty() { CloudInit::Done } else { CloudInit::Failed { errors } })
}

fn stage_errors(status: &Value) -> Vec<ModuleError> {
    let Some(stages) = status.get("v1").and_then(Value::as_object) else { return Vec::new() };
    let mut all = Vec::new();
    for (stage, facts) in stages {
        if let Some(errors) = facts.get("errors") {
            all.extend(errors_in(stage, errors));
        }
        let levels = facts.get("recoverable_errors").and_then(Value::as_object);
        for (level, errors) in levels.into_iter().flatten() {
            // A deprecated key is no failure; DEPRECATED and below are notes.
            if matches!(level.as_str(), "WARNING" | "ERROR" | "CRITICAL") {
                all.extend(errors_in(stage, errors));
            }
        }
    }
    all
}

fn errors_in(stage: &str, errors: &Value) -> Vec<ModuleError> {
    let texts = errors.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts
        .take(MOST)
        .map(|text| {
            let (module, message) = split(text);
            // The guest's words must not steer the user's terminal.
            let plain = |text: &str| clean(text.as_bytes());
            let (module, message) = (module.as_deref().map(plain), plain(&message));
            ModuleError { stage: plain(stage), module, message }
        })
        .collect()
}

/// `('scripts_user', RuntimeError('…'))` is a Python tuple as text: a module and an exception.
fn split(text: &str) -> (Option<String>, String) {
    let tuple = text.strip_prefix("('").and_then(|rest| rest.strip_suffix(')'));
    match tuple.and_then(|rest| rest.split_once("', ")) {
        Some((module, message)) => (Some(module.to_owned()), message.to_owned()),
        None => (None, text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_run_is_done() {
        let result =
            br#"{"v1": {"datasource": "DataSourceNoCloud [seed=/dev/sr0]", "errors": []}}"#;
        assert_eq!(read(result, None), Some(CloudInit::Done));
    }

    #[test]
    fn half_a_file_is_not_there_yet() {
        assert_eq!(read(br#"{"v1": {"err"#, None), None);
        assert_eq!(read(b"", None), None);
    }

    #[test]
    fn the_module_that_failed_is_named_once() {
        let error = "('scripts_user', RuntimeError('Runparts: 1 failures (runcmd) in 1 attempted commands'))";
        let result = serde_json::json!({"v1": {"errors": [error]}}).to_string();
        let status =
            serde_json::json!({"v1": {"modules-final": {"errors": [error]}, "stage": null}})
                .to_string();
        let Some(CloudInit::Failed { errors }) = read(result.as_bytes(), Some(status.as_bytes()))
        else {
            panic!("not failed")
        };
        assert_eq!(errors.len(), 1);
        assert_eq!(
            errors[0].line(),
            "module `scripts_user` (modules-final): \
             RuntimeError('Runparts: 1 failures (runcmd) in 1 attempted commands')"
        );
    }

    #[test]
    fn deprecations_are_no_failures_and_warnings_are() {
        let result = br#"{"v1": {"errors": []}}"#;
        let status = br#"{"v1": {"init": {"errors": [], "recoverable_errors":
            {"DEPRECATED": ["old key"], "WARNING": ["Failed to x"]}}}}"#;
        let Some(CloudInit::Failed { errors }) = read(result, Some(status)) else { panic!("done") };
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].line(), "init: Failed to x");
    }
}
