// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What can hold a guest's tree of files.

pub mod appliance;
pub mod direct;
pub mod folder;
pub mod kernel;
