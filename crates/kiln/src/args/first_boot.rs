// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a guest is told at its first boot: options of `kiln launch` and `kiln seed build`.

use std::path::PathBuf;

use clap::Args;
use kiln_spec::Datasource;

/// What a guest is told at its first boot.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct FirstBoot {
    /// Cloud-init user-data, merged with what Kiln itself needs
    ///
    /// All kinds that cloud-init knows: `#cloud-config`, scripts, `#include`, MIME messages,
    /// `#cloud-config-archive`, templates, boothooks; packed by gzip or not. Checked before
    /// anything is made.
    #[arg(long, value_name = "FILE")]
    pub(crate) user_data: Option<PathBuf>,
    /// Cloud-init vendor-data: of the same kinds, and outweighed by the user-data
    #[arg(long, value_name = "FILE")]
    pub(crate) vendor_data: Option<PathBuf>,
    /// Who reads them in the guest
    #[arg(long, value_enum, default_value_t)]
    pub(crate) datasource: WantedDatasource,
}

/// Who reads a seed in the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum WantedDatasource {
    /// cloud-init: a drive labelled `cidata`
    #[default]
    Nocloud,
    /// cloud-init or cloudbase-init, as on OpenStack: a drive labelled `config-2`
    Configdrive,
}

impl From<WantedDatasource> for Datasource {
    fn from(wanted: WantedDatasource) -> Self {
        match wanted {
            WantedDatasource::Nocloud => Self::NoCloud,
            WantedDatasource::Configdrive => Self::ConfigDrive,
        }
    }
}

impl From<Datasource> for WantedDatasource {
    fn from(datasource: Datasource) -> Self {
        match datasource {
            Datasource::NoCloud => Self::Nocloud,
            Datasource::ConfigDrive => Self::Configdrive,
        }
    }
}
