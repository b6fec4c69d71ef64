// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln element`: one file a verb.

pub(crate) mod info;
pub(crate) mod list;

use clap::Subcommand;

/// Elements: pieces of an image that recipes name
#[derive(Debug, Subcommand)]
pub(crate) enum Element {
    List(list::List),
    Info(info::Info),
}
