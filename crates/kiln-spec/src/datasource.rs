// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who reads a machine's first-boot data, and where that looks for it.
//!
//! Source: `DataSourceNoCloud.py` and `DataSourceConfigDrive.py` of cloud-init 22.4 to 26.2.

use schemars::JsonSchema;
use serde::Deserialize;

/// Who reads a seed, and so what its files and its drive are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Datasource {
    /// cloud-init's own.
    #[default]
    NoCloud,
    /// OpenStack's, version 2, which cloudbase-init of Windows guests reads as well.
    ConfigDrive,
}

impl Datasource {
    /// All of them, the usual one first.
    pub const ALL: &'static [Self] = &[Self::NoCloud, Self::ConfigDrive];

    /// Returns the volume id by which the drive is found.
    #[must_use]
    pub fn volume(self) -> &'static str {
        match self {
            Self::NoCloud => "cidata",
            Self::ConfigDrive => "config-2",
        }
    }

    /// Returns the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NoCloud => "nocloud",
            Self::ConfigDrive => "configdrive",
        }
    }

    /// Returns the paths of the files that it may have: who the machine is, its user-data, those of
    /// whom provides it, its network.
    #[must_use]
    pub fn files(self) -> [&'static str; 4] {
        match self {
            Self::NoCloud => ["meta-data", "user-data", "vendor-data", "network-config"],
            Self::ConfigDrive => [
                "openstack/latest/meta_data.json",
                "openstack/latest/user_data",
                "openstack/latest/vendor_data.json",
                "openstack/latest/network_data.json",
            ],
        }
    }

    /// Returns how many of [`Datasource::files`], the first, must be there.
    #[must_use]
    pub fn needed(self) -> usize {
        match self {
            Self::NoCloud => 2,
            Self::ConfigDrive => 1,
        }
    }
}
