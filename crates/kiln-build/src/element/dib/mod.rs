// SPDX-License-Identifier: Apache-2.0 OR MIT
//! diskimage-builder's elements, read as they are on disk.
//!
//! An element is a folder. What its files mean is what diskimage-builder 3.43 does with them;
//! where that depends on chance (the order of a Python set), names are taken in order here.
//!
//! | module | what |
//! |---|---|
//! | [`find`] | the folders that elements are in, and reading their files |
//! | [`deps`] | which elements an image is made of: `element-deps`, `element-provides` |
//! | [`hooks`] | all elements' files merged in one folder |
//! | [`phase`] | the phases, and the order of a phase's scripts |
//! | [`environment`] | `environment.d` |
//! | [`package_installs`] | `package-installs.yaml` |
//! | [`pkg_map`], [`svc_map`] | the distributions' names of packages and services |
//! | [`source_repository`] | `source-repository-*` |
//! | [`block_device`] | `block-device-*.yaml` |
//! | [`run`] | all of it run on a tree |
//!
//! **Invariant:** an element's files are foreign: each is bounded, and none leads out of the
//! element's folder.

pub mod block_device;
pub mod deps;
pub mod environment;
pub mod find;
pub mod hooks;
pub mod package_installs;
pub mod phase;
pub mod pkg_map;
pub mod run;
pub mod source_repository;
pub mod svc_map;

pub use deps::{Resolved, resolve, with_block_device};
pub use find::{Element, Shelf};
pub use phase::Phase;
