// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln template create`.

use clap::Args;
use kiln_spec::recipe::ImageName;

/// Make a template of a machine that is off, or of an image: sealed, and then written to no more
///
/// The machine is copied and stays as it is. A name that there is gets another version: NAME:1,
/// NAME:2; `kiln launch NAME` takes the newest.
#[derive(Debug, Args)]
#[command(after_long_help = "EXAMPLES
  kiln template create web1 web
  kiln template create ./disk.qcow2 base --pool fast
  kiln launch web shop1")]
pub(crate) struct Create {
    /// A machine that is off; or an image: a name in the store, or a path (with a `/` in it)
    pub(crate) source: String,
    /// The template's name
    #[arg(value_name = "NAME")]
    pub(crate) name: ImageName,
    /// The pool; without it that of the machine's disk, or `default`
    #[arg(long, value_name = "POOL")]
    pub(crate) pool: Option<String>,
    /// Remove the machine when its template is whole
    #[arg(long)]
    pub(crate) convert: bool,
    /// Do not seal: what is in it stays, and every clone has it
    #[arg(long)]
    pub(crate) as_is: bool,
}
