// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The calls of libvirt's C library, made safe.
//!
//! **Invariant:** the files of this folder are the only ones of the crate with `unsafe`. Each
//! function here takes and gives Rust values, counts the time inside libvirt (see [`call`]) and
//! turns a failure into a [`crate::error::Cause`].

pub(crate) mod call;
pub(crate) mod connect;
pub(crate) mod domain;
pub(crate) mod event;
pub(crate) mod handle;
pub(crate) mod network;
pub(crate) mod secret;
pub(crate) mod storage;
pub(crate) mod stream;
