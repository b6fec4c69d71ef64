// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Work that Kiln itself does on a tree of layers, in the namespaces: with the guest's ids, and
//! with nothing of the host in reach.

use std::fs::File;

/// What does the work: gets what is asked for and the descriptor that was handed over, and
/// returns its answer, or what failed. The process's root is the tree, without `/proc` and `/dev`.
pub type JobFn = fn(&[u8], Option<File>) -> Result<Vec<u8>, String>;

/// Work that a stage can do.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// Its name, as [`super::View::Bare`] has it.
    pub name: &'static str,
    /// What does it.
    pub run: JobFn,
}
