// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln doctor`.

use clap::Args;

/// Check what Kiln needs on this machine and on the host, and say what mends it
///
/// Exit status 1 when something needed is missing.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Mend what Kiln can mend itself; root's
    ///
    /// What puts forwards back after a restart of the host (a hook of libvirt, a unit of systemd), the
    /// network `default`, and /dev/kvm.
    #[arg(long)]
    pub(crate) fix: bool,
}
