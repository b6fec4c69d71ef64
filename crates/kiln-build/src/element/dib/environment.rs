// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `environment.d`: files of shell that are read before each phase.

use super::deps::Resolved;
use super::find::Element;
use super::hooks::Hooks;
use crate::element::ElementError;

/// The folder of these files.
pub const FOLDER: &str = "environment.d";

/// Returns the files of all elements in the order in which they are read: by name, byte by byte.
/// (diskimage-builder sorts their paths, which begin with no number, by number.)
///
/// # Errors
///
/// As [`Hooks::of`].
pub fn files(resolved: &Resolved) -> Result<Vec<(String, Element)>, ElementError> {
    let hooks = Hooks::of(resolved)?;
    Ok(hooks
        .folder(FOLDER)
        .filter(|(name, _)| is_environment(name))
        .map(|(name, hook)| (name.to_owned(), hook.element.clone()))
        .collect())
}

/// Whether a file of this name is read.
fn is_environment(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}
