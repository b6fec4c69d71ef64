// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `root-password`.

use super::argument::action;
use super::password::{Password, Selector};
use super::{Operation, Shown};

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "root-password",
    argument: Some("SELECTOR"),
    heading: "Set the password of root",
    documentation: "\
Sets the password of root. SELECTOR is as in password.

  --root-password file:/run/secrets/root",
    runs_programs: false,
    shown: Shown::Nothing,
    parse: |text| action(Password { user: "root".to_owned(), selector: Selector::parse(text)? }),
};
