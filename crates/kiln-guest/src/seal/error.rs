// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why a guest could not be sealed.

use super::Cause;
use crate::tree::TreeError;

/// Why a guest could not be sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// No operation has this name.
    #[error("`{name}` is no seal operation{}", near.map_or_else(String::new, |n| format!("; did you mean `{n}`?")))]
    Unknown {
        /// The name.
        name: String,
        /// The nearest that there is.
        near: Option<&'static str>,
    },
    /// A list of operations has an empty name in it.
    #[error("`{option}` has an empty name of an operation")]
    Empty {
        /// The option.
        option: &'static str,
    },
    /// `--enable` was given after a selection.
    #[error("`--enable` can be given once, and not after `--operations`")]
    EnabledTwice,
    /// An option is for an operation that does not run.
    #[error("`{option}` is for the operation `{operation}`, which is not selected")]
    NotEnabled {
        /// The option.
        option: &'static str,
        /// The operation.
        operation: &'static str,
    },
    /// The guest's system could not be told.
    #[error("cannot tell which system the guest has")]
    System(#[source] TreeError),
    /// An operation failed.
    #[error("the seal operation `{name}` failed")]
    Operation {
        /// Its name.
        name: &'static str,
        /// What failed.
        source: Cause,
    },
    /// New files could not be labelled.
    #[error("cannot give new files their SELinux labels")]
    Labels(#[source] TreeError),
}

impl SealError {
    /// Returns what to do about it, if there is one thing.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let unknown = matches!(self, Self::Unknown { .. });
        unknown.then(|| "`kiln image seal --list-operations` shows all".to_owned())
    }
}
