// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Trees of guests in file systems and images that the real tools made and look at afterwards.

mod direct;
mod support;
