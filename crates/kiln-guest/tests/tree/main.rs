// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Trees of guests in file systems and images that the real tools made and look at afterwards.
#![expect(clippy::unwrap_used, reason = "a failed test is to panic")]

mod direct;
mod disks;
mod guest;
mod guestfish;
mod inspect;
mod ops;
mod seal;
mod selinux;
mod support;
mod transfer;
mod walk;
