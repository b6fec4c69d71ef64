// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What was done.

use crate::selinux::Labels;
use crate::tree::Edits;

/// What [`customize`](super::customize) did.
#[derive(Clone, Debug)]
pub struct Report {
    /// The operations, in order.
    pub done: Vec<Done>,
    /// Passwords that were made: to be shown once, and never to be written to a log.
    pub passwords: Vec<NewPassword>,
    /// Whether programs of the guest ran: they may have changed more than is listed.
    pub programs_ran: bool,
    /// What became of the SELinux labels of new files.
    pub labels: Labels,
    /// Things that the user should know.
    pub notes: Vec<String>,
}

/// One operation that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Its name.
    pub operation: &'static str,
    /// Its argument, as far as it may be shown; empty if it has none.
    pub argument: String,
    /// What it changed in the guest's tree.
    pub edits: Edits,
}

/// A password that was made.
#[derive(Clone, PartialEq, Eq)]
pub struct NewPassword {
    /// Whose.
    pub user: String,
    /// The password.
    pub password: String,
}

/// Without the password.
impl std::fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewPassword").field("user", &self.user).finish_non_exhaustive()
    }
}
