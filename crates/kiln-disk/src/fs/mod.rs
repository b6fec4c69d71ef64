// SPDX-License-Identifier: Apache-2.0 OR MIT
//! File systems.

pub mod ext;
pub mod fat;
pub mod identify;
pub mod iso9660;
pub mod swap;

pub use identify::{Content, ContentKind, identify};
