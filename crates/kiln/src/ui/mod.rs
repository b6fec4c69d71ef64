// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The only place that writes to the terminal.
//!
//! Results go to stdout, everything else to stderr. On a terminal there are bars, in a pipe plain
//! lines, with `-q` nothing but errors, with `--json` one object on stdout. Colour adds nothing
//! that the words do not say.

mod printer;
mod progress;
mod table;
mod waterfall;

pub(crate) use printer::{Ui, UiOptions, pretty};
pub(crate) use progress::Task;
pub(crate) use table::Table;
pub(crate) use waterfall::waterfall;
