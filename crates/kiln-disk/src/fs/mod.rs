// SPDX-License-Identifier: Apache-2.0 OR MIT
//! File systems.

pub mod ext;
pub mod fat;
pub mod identify;
pub mod iso9660;
mod length;
pub mod swap;

pub use identify::{Content, ContentKind, identify};
pub use length::length;
