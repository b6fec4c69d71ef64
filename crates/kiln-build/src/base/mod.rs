// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is particular to a distribution: packages, files, and how its tools report.

pub mod debian;
pub mod rpm;

/// A file that is put into an image; root owns it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct GuestFile {
    /// Where: an absolute path.
    pub path: String,
    /// Its permissions.
    pub mode: u32,
    /// What it holds.
    pub content: String,
}
