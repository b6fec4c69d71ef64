// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln pool create`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use kiln_libvirt::domain::RbdHost;
use kiln_spec::PoolName;
use kiln_spec::set::{NfsSource, VolumeGroupName};

/// Make a pool and take it into use, now and with the host
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("kind").required(true).args(["dir", "lvm", "nfs", "rbd"])),
    group(ArgGroup::new("key").args(["secret", "keyring"])),
    after_long_help = "EXAMPLES
  kiln pool create fast --dir /srv/vms
  kiln pool create disks --lvm vg0
  kiln pool create shared --nfs filer:/export/vms --mount /srv/shared
  kiln pool create ceph --rbd vms --monitor 10.0.0.1 --monitor 10.0.0.2 --monitor 10.0.0.3 \\
      --keyring /etc/ceph/ceph.client.libvirt.keyring"
)]
pub(crate) struct Create {
    /// The pool's name
    pub(crate) name: PoolName,
    /// A folder of the host; made if it is not there
    #[arg(long, value_name = "FOLDER")]
    pub(crate) dir: Option<String>,
    /// A volume group of LVM, which is there
    #[arg(long, value_name = "GROUP")]
    pub(crate) lvm: Option<VolumeGroupName>,
    /// A folder of an NFS server: HOST:FOLDER
    #[arg(long, value_name = "HOST:FOLDER", requires = "mount")]
    pub(crate) nfs: Option<NfsSource>,
    /// Where the host mounts it
    #[arg(long, value_name = "FOLDER", requires = "nfs")]
    pub(crate) mount: Option<String>,
    /// A pool of a Ceph cluster
    #[arg(long, value_name = "POOL", requires_all = ["monitor", "key"])]
    pub(crate) rbd: Option<String>,
    /// A monitor of the cluster: HOST or HOST:PORT; name all of them
    #[arg(long, value_name = "HOST", requires = "rbd")]
    pub(crate) monitor: Vec<RbdHost>,
    /// The Ceph user, without `client.`; the one whose key the secret or the keyring has
    #[arg(long, requires = "rbd")]
    pub(crate) user: Option<String>,
    /// The secret with the user's key, by its name or its UUID
    #[arg(long, value_name = "NAME", requires = "rbd")]
    pub(crate) secret: Option<String>,
    /// A keyring with the user's key, of which a secret for this pool is made
    #[arg(long, value_name = "FILE", requires = "rbd")]
    pub(crate) keyring: Option<PathBuf>,
    /// Do not take it into use with the host
    #[arg(long)]
    pub(crate) no_autostart: bool,
    /// Print what would be made, the XML included, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
