// SPDX-License-Identifier: Apache-2.0 OR MIT
//! libvirt's XML as a tree that keeps everything, and typed views upon it.
//!
//! **Invariant:** what Kiln does not know, it keeps. A view reads and writes its own paths only,
//! so an edit never drops what someone else put in. XML is never made by `format!`.

mod parse;
mod tree;
mod view;
mod write;

pub use parse::ParseError;
pub use tree::{Element, Node};

pub(crate) use view::{words, xml_view};
