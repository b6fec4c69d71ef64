// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Elements: pieces of an image that recipes name.
//!
//! | module | what |
//! |---|---|
//! | [`dib`] | diskimage-builder's elements, as they are on disk |
//! | [`native`] | Kiln's own elements |

pub mod dib;
pub mod native;

mod error;

pub use error::ElementError;
