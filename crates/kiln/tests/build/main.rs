// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Trees under construction and builds of small trees (BusyBox), as whoever runs the tests; and
//! once more as a user without rights, if that is root.
#![expect(clippy::unwrap_used, reason = "a failed test is to panic")]

mod bases;
mod elements;
mod locks;
mod outputs;
pub(crate) mod recipes;
mod rpm;
mod shell;
mod support;
mod unprivileged;
mod workspace;
