// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What goes into a guest: its tree of files, first-boot seeds.
//!
//! | module | what |
//! |---|---|
//! | [`backend`] | what can hold a guest's tree of files |
//! | [`guest`] | a guest on a disk image: its systems, its mounts, its changes kept or forgotten |
//! | [`inspect`] | a glance into an image: processor and system |
//! | [`ops`] | operations that customize a guest |
//! | [`run`] | running a guest's own programs on its tree |
//! | [`transfer`] | copies and archives out of a guest, differences of two |
//! | [`system`] | accounts, password hashes, units, packages |
//! | [`tree`] | a guest's files, whatever holds them |
//! | [`seal`] | taking a machine's identity, secrets and traces out of its tree |
//! | [`selinux`] | labels of files that an edit has made |
//! | [`seed`] | the drive that tells a guest at its first boot who it is (NoCloud) |
//! | [`userdata`] | the user's own cloud-init data: read, checked, merged |
//!
//! **Invariant:** nothing here touches a disk, the clock or the network: files come in as bytes
//! and go out as bytes.

pub mod backend;
pub mod guest;
pub mod inspect;
pub mod ops;
pub mod run;
pub mod seal;
pub mod seed;
pub mod selinux;
pub mod system;
pub mod transfer;
pub mod tree;
pub mod userdata;
mod yaml;
