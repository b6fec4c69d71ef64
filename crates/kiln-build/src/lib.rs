// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Recipes to images, and the store that images live in.
//!
//! | module | what |
//! |---|---|
//! | [`mod@build`] | a recipe to an image in the store |
//! | [`bundle`] | machines' trees as archives: packed, looked at, assembled to disks |
//! | [`base`] | what is particular to a distribution |
//! | [`catalog`] | where images come from by name |
//! | [`stage`] | the stages of a build, and what is told while it runs |
//! | [`store`] | images by digest and by name, on disk |
//! | [`element`] | pieces of an image that recipes name |
//! | [`digest`] | SHA-256 of a file |
//! | [`workspace`] | trees under construction: layers, and programs that run on them |

#![forbid(unsafe_code)]

pub mod base;
pub mod build;
pub mod bundle;
pub mod catalog;
pub mod digest;
pub mod element;
pub mod stage;
pub mod store;
pub mod workspace;

mod error;
mod scratch;

pub use build::{BuildContext, Built, Force, Places, Plan, build};
pub use error::BuildError;
pub use stage::{Event, Stage};
