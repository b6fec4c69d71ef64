// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is wanted: sizes, names, recipes, manifests.
//!
//! Pure data and its validation. **Invariant:** nothing here reads a file, the environment or
//! the clock.

pub mod name;
pub mod size;

pub use name::MachineName;
pub use size::Bytes;
