// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a Linux system keeps in its files: which distribution it is, accounts, password hashes,
//! units of systemd, the package manager.
//!
//! **Invariant:** the files are hostile. Each is read up to a bound, and a line that makes no
//! sense is kept as it is.

pub mod accounts;
pub mod crypt;
pub mod packages;
mod release;
pub mod units;

pub use release::{Family, Known};
