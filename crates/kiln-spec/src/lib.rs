// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is wanted: sizes, names, recipes, manifests.
//!
//! Pure data and its validation. **Invariant:** nothing here reads a file, the environment or
//! the clock.

pub mod arch;
pub mod bundle;
pub mod datasource;
pub mod dns;
pub mod forward;
pub mod image;
pub mod interface;
pub mod lock;
pub mod mac;
pub mod name;
pub mod network;
pub mod place;
pub mod ready;
pub mod recipe;
pub mod schema;
pub mod seed_url;
pub mod set;
pub mod size;
pub mod time;
pub mod word;
pub mod yaml;

pub use arch::Arch;
pub use datasource::Datasource;
pub use dns::{DnsAddress, DnsServerName};
pub use image::{Digest, Manifest};
pub use lock::Lock;
pub use name::{MachineName, PoolName, Tag};
pub use recipe::Recipe;
pub use seed_url::SeedUrl;
pub use set::Set;
pub use size::Bytes;
