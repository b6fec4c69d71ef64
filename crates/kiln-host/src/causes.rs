// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An error with its causes.

use std::error::Error;

/// Returns an error with its causes, outermost first, in one line.
#[must_use]
pub fn in_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
