// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Partition tables.

pub mod gpt;
