// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image seal`.

use std::path::PathBuf;

use clap::Args;
use kiln_guest::seal::manual;

use super::customize::{Listing, Operations, Programs};
use super::target::TargetOrList;

/// What the long help ends with.
fn operations() -> String {
    format!(
        "EXAMPLES\n  \
         kiln image seal web.qcow2\n  \
         kiln image seal --dry-run web.qcow2\n  \
         kiln image seal --operations defaults,-ssh-userdir,user-account web.qcow2\n  \
         kiln image seal -o template.qcow2 web.qcow2\n\n\
         OPERATIONS (those with * run by default)\n\n{}",
        manual::manual()
    )
}

/// Take a machine's identity, secrets and traces out of an image, so that it can be a template
///
/// What virt-sysprep does, in process: SSH host keys, the machine id, logs, leases, histories and
/// more go. Nothing is booted. Edits of `kiln image customize` can be made in the same go: they
/// come after the rest.
#[derive(Debug, Args)]
#[command(after_long_help = operations())]
pub(crate) struct Seal {
    #[command(flatten)]
    pub(crate) target: TargetOrList,
    /// Which operations: names, `-` before those that are not to run, `defaults`, `all`
    ///
    /// The words are taken one after the other, from none on: `defaults,-logfiles` runs all that
    /// run by default but `logfiles`. `virt-sysprep` stands for those that that tool runs by
    /// default. The order says nothing about which runs first. Can be given several times.
    #[arg(
        long,
        visible_alias = "operation",
        value_name = "LIST",
        allow_hyphen_values = true,
        conflicts_with = "enable"
    )]
    pub(crate) operations: Vec<String>,
    /// Run exactly these operations
    #[arg(long, value_name = "LIST")]
    pub(crate) enable: Option<String>,
    /// List the operations; `=long` says all about them, `=markdown` for a document
    #[arg(
        long,
        value_name = "HOW",
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "short"
    )]
    pub(crate) list_operations: Option<Listing>,
    /// With `user-account`: remove only these accounts
    #[arg(long, value_name = "USERS", value_delimiter = ',')]
    pub(crate) remove_user_accounts: Vec<String>,
    /// With `user-account`: keep these accounts
    #[arg(long, value_name = "USERS", value_delimiter = ',')]
    pub(crate) keep_user_accounts: Vec<String>,
    /// Refused: a program of the host would need the guest mounted; see `--run` of `customize`
    #[arg(long, value_name = "PROGRAM", hide_short_help = true)]
    pub(crate) script: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) programs: Programs,
    #[command(flatten)]
    pub(crate) edits: Operations,
}
