// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The files that cloud-init's `ConfigDrive` and cloudbase-init ask for: OpenStack's, version 2.
//!
//! Source: `sources/helpers/openstack.py` of cloud-init 22.4 to 26.2, `ConfigDriveReader.read_v2`
//! and `convert_net_json`; `nova/api/metadata/base.py` of OpenStack, whose names these are.

use ipnet::IpNet;
use kiln_spec::Datasource;
use kiln_spec::interface::{Addressing, StaticAddresses};
use kiln_spec::mac::Mac;
use serde_json::{Value, json};

use super::{Seed, SeedFile, merged};

/// Returns the files of a seed that has been checked.
pub(super) fn files(seed: &Seed) -> Vec<SeedFile> {
    let [meta, user, vendor, network] = Datasource::ConfigDrive.files();
    let file = |name, text: String| SeedFile { name, bytes: text.into_bytes() };
    let mut files = vec![file(meta, meta_data(seed)), file(user, merged::user_data(seed))];
    files.extend(seed.vendor_data.as_ref().map(|data| {
        // `sources.convert_vendordata`: of an object what is under this key.
        file(vendor, written(&json!({ "cloud-init": merged::vendor_data(data, &seed.login) })))
    }));
    files.extend(seed.network_config.clone().map(|text| file(network, text)));
    files
}

fn meta_data(seed: &Seed) -> String {
    let name = seed.fqdn.as_deref().unwrap_or(seed.hostname.as_str());
    let mut all =
        json!({ "uuid": seed.instance_id, "hostname": name, "name": seed.hostname.as_str() });
    // They open the image's own account, and nobody else's. cloudbase-init reads them only here.
    if seed.login.is_default_user && !seed.login.ssh_keys.is_empty() {
        let keys = (1..).zip(&seed.login.ssh_keys);
        let keys = keys.map(|(n, key)| (format!("kiln-{n}"), json!(key.trim())));
        all["public_keys"] = Value::Object(keys.collect());
    }
    written(&all)
}

pub(super) fn written(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("its keys are texts") + "\n"
}

/// Returns `network_data.json` of interfaces, the first being that of the default route. Each gets
/// the name `eth0`, `eth1` and so on, in this order.
#[must_use]
pub fn network_data(interfaces: &[(Mac, &Addressing)]) -> String {
    let names = || (0..).map(|n: usize| format!("eth{n}"));
    let link = |(name, (mac, _)): (String, &(Mac, &Addressing))| json!({ "id": name, "name": name, "type": "phy", "ethernet_mac_address": mac.to_string() });
    let links: Vec<Value> = names().zip(interfaces).map(link).collect();
    let networks = names().zip(interfaces).flat_map(|(name, (_, how))| networks(&name, how));
    let networks: Vec<Value> = networks
        .enumerate()
        .map(|(n, mut network)| {
            network["id"] = json!(format!("network{n}"));
            network
        })
        .collect();
    let dns = interfaces.iter().flat_map(|(_, how)| match how {
        Addressing::Static(own) => own.dns.clone(),
        Addressing::Dhcp | Addressing::Reserved(_) => Vec::new(),
    });
    let service = |address| json!({ "type": "dns", "address": address });
    let services: Vec<Value> = dns.map(service).collect();
    written(&json!({ "links": links, "networks": networks, "services": services }))
}

fn networks(link: &str, how: &Addressing) -> Vec<Value> {
    match how {
        Addressing::Dhcp | Addressing::Reserved(_) => {
            vec![json!({ "link": link, "type": "ipv4_dhcp" })]
        }
        Addressing::Static(own) => {
            own.addresses.iter().map(|net| network(link, *net, own)).collect()
        }
    }
}

fn network(link: &str, net: IpNet, own: &StaticAddresses) -> Value {
    let v4 = net.addr().is_ipv4();
    let mut network = json!({
        "link": link,
        "type": if v4 { "ipv4" } else { "ipv6" },
        "ip_address": net.addr(),
        "netmask": net.netmask(),
    });
    // The gateway is said with the first address that reaches it.
    let gateways = own.gateways.iter().filter(|gateway| {
        let first = own.addresses.iter().find(|other| other.contains(*gateway));
        first == Some(&net)
    });
    let all = if v4 { "0.0.0.0" } else { "::" };
    let route = |gateway| json!({ "network": all, "netmask": all, "gateway": gateway });
    let routes: Vec<Value> = gateways.map(route).collect();
    if !routes.is_empty() {
        network["routes"] = json!(routes);
    }
    network
}
