// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Clones of machines that are off, Kiln's or not.
//!
//! | module | what |
//! |---|---|
//! | `source` | what is cloned, looked at before anything is made |
//! | `plan` | all that will be done, as a value: pure |
//! | `domain` | the clone's definition: pure |
//! | `make` | the plan's steps, each with its undo in the journal first |
//! | `copy`, `nvram` | disks and UEFI variables, copied on the host |
//! | `guest` | what in the guest tells it from others |
//! | `report` | what is new, and what is kept |
//!
//! **Invariant:** a clone never lies over a disk that a machine may write to: only over a template, or
//! over a snapshot in a Ceph cluster, which nobody writes to.

pub(crate) mod copy;
mod domain;
pub(crate) mod guest;
mod make;
mod nvram;
mod plan;
pub(crate) mod report;
pub(crate) mod source;

pub(crate) use make::{With, make};
pub(crate) use plan::{Plan, Wanted};
