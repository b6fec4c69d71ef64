// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Catalogs against the real tools: GnuPG, virt-builder and virt-builder-repository, xz.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod peers;
mod signatures;
mod support;
