// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln inventory`.

use clap::Args;

/// Tell Ansible of the machines: a dynamic inventory
///
/// Machines that Kiln made, in groups by image (`image_debian_12`), by tag (`tag_web`) and by
/// state (`state_running`). Ansible wants a program that it can call with `--list`: a file
/// of two lines, as in the example.
#[derive(Debug, Args)]
#[command(after_long_help = "EXAMPLES
  printf '#!/bin/sh\\nexec kiln inventory \"$@\"\\n' > machines && chmod +x machines
  ansible -i ./machines tag_web -m ping")]
pub(crate) struct Inventory {
    /// All machines and groups; what is done without an option, too
    #[arg(long, conflicts_with = "host")]
    pub(crate) list: bool,
    /// The variables of one machine
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,
}
