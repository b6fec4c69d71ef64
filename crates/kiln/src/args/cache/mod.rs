// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln cache`: one file a verb.

pub(crate) mod gc;
pub(crate) mod list;

use clap::Subcommand;

/// See and clear up the layers that builds keep
#[derive(Debug, Subcommand)]
pub(crate) enum Cache {
    List(list::List),
    Gc(gc::Gc),
}
