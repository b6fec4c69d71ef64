// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Names of machines in a DNS server of somebody else's.
//!
//! | module | what |
//! |---|---|
//! | `config` | the servers that this client knows, with their keys |
//! | `files` | files that are for their owner alone |
//! | `memory` | what a machine remembers of its names |
//! | `wish` | machines to be: checked before anything is made |
//! | `register` | a machine's names put there, and taken back |
//! | `left` | names of machines that are gone, which could not be taken back |
//! | `problem` | what went wrong, as the program says it |
//!
//! **Invariant:** what may be in a zone is in a machine's memory, or in a file of `left`, before the
//! server is asked: a kill at any moment leaves no name that nobody knows of.

mod config;
mod files;
mod left;
mod memory;
mod problem;
mod register;
mod wish;

pub(crate) use config::{Config, all, find, keep, remove};
pub(crate) use left::{Left, all as all_left, forget, of_machine as left_of};
pub(crate) use memory::{Dns, record_json};
pub(crate) use problem::{Silent, problem};
pub(crate) use register::{forget_of, leave, register, withdraw, withdraw_left};
pub(crate) use wish::{at_launch, check, early, late};
