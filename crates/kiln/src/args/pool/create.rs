// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln pool create`.

use clap::{ArgGroup, Args};
use kiln_spec::PoolName;

/// Make a pool and take it into use, now and with the host
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("kind").required(true).args(["dir", "nfs"])), after_long_help = "EXAMPLES
  kiln pool create fast --dir /srv/vms
  kiln pool create shared --nfs filer:/export/vms --mount /srv/shared")]
pub(crate) struct Create {
    /// The pool's name
    pub(crate) name: PoolName,
    /// A folder of the host; made if it is not there
    #[arg(long, value_name = "FOLDER")]
    pub(crate) dir: Option<String>,
    /// A folder of an NFS server: HOST:FOLDER
    #[arg(long, value_name = "HOST:FOLDER", requires = "mount")]
    pub(crate) nfs: Option<String>,
    /// Where the host mounts it
    #[arg(long, value_name = "FOLDER", requires = "nfs")]
    pub(crate) mount: Option<String>,
    /// Do not take it into use with the host
    #[arg(long)]
    pub(crate) no_autostart: bool,
    /// Print what would be made, the XML included, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
