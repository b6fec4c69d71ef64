// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The files that cloud-init's `NoCloud` asks for.
//!
//! Source: `DataSourceNoCloud.py` of cloud-init 22.4 to 26.2: `user-data` and `meta-data` must
//! be there, `vendor-data` and `network-config` may.

use kiln_spec::Datasource;

use super::{Seed, SeedFile, merged};
use crate::yaml::{self, Node, emit};

/// Returns the files of a seed that has been checked.
pub(super) fn files(seed: &Seed) -> Vec<SeedFile> {
    let [meta, user, vendor, network] = Datasource::NoCloud.files();
    let file = |name, text: String| SeedFile { name, bytes: text.into_bytes() };
    let mut files = vec![file(meta, meta_data(seed)), file(user, merged::user_data(seed))];
    let of_vendor = |data| file(vendor, merged::vendor_data(data, &seed.login));
    files.extend(seed.vendor_data.as_ref().map(of_vendor));
    files.extend(seed.network_config.as_ref().map(|text| file(network, network_config(text))));
    files
}

fn meta_data(seed: &Seed) -> String {
    // cloud-init takes the domain off by itself.
    let name = seed.fqdn.as_deref().unwrap_or(seed.hostname.as_str());
    emit(&Node::map([
        ("instance-id", Node::text(&seed.instance_id)),
        ("local-hostname", Node::text(name)),
    ]))
}

/// Returns a network configuration without the `network` around it: `NoCloud` takes that off
/// only since cloud-init 23.
fn network_config(text: &str) -> String {
    let tree = yaml::load(text).ok();
    tree.as_ref().and_then(|tree| tree.get("network")).map_or_else(|| text.to_owned(), emit)
}
