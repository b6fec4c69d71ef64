// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What several entries of a set's file say against each other.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use serde_saphyr::{Location, Spanned};

use super::file::Finding;
use super::{Images, MachineSpec, PoolSource, PoolSpec};
use crate::forward::Protocol;
use crate::interface::{Addressing, InterfaceSpec};
use crate::mac::Mac;
use crate::network::NetworkSpec;
use crate::place::after_scheme;
use crate::yaml::nearest;

/// Checks the name of an image of the store, or of a template with its version.
pub(super) fn image_name(name: &Spanned<String>) -> Result<(), Finding> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
    let text = &name.value;
    if !text.is_empty() && text.len() <= 128 && text.chars().all(plain) {
        return Ok(());
    }
    let why =
        "it has letters, digits, `.`, `_`, `-` and `:`; a file is named in `images`, by `file`";
    Err((name.referenced, format!("`{text}` is no name of an image: {why}")))
}

/// Checks the name of a catalog's image: `NAME` or `CATALOG/NAME`.
pub(super) fn catalog_name(name: &Spanned<String>) -> Result<(), Finding> {
    let plain = |c: char| c.is_ascii_graphic() && c != '/';
    let word = |word: &str| !word.is_empty() && word.chars().all(plain);
    let text = &name.value;
    let (catalog, image) = text.split_once('/').unwrap_or(("-", text));
    if word(catalog) && word(image) {
        return Ok(());
    }
    let why = "`NAME` and `CATALOG/NAME` are; `kiln catalog search` lists them";
    Err((name.referenced, format!("`{}` is no image of a catalog: {why}", text.escape_debug())))
}

/// Checks an address that an image is fetched from.
pub(super) fn web_address(url: &Spanned<String>) -> Result<(), Finding> {
    let text = &url.value;
    let file = after_scheme(text).is_some_and(|rest| rest.contains('/'));
    if file && text.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(());
    }
    let why = "`https://HOST/PATH` and `http://HOST/PATH` are";
    Err((url.referenced, format!("`{}` is no address of a file: {why}", text.escape_debug())))
}

/// Checks an image that the file's own list does not have; one that is nearly there is meant.
pub(super) fn image(name: &Spanned<String>, images: &Images) -> Result<(), Finding> {
    image_name(name)?;
    let text = &name.value;
    match nearest(text, images.keys().map(String::as_str)) {
        // `web2` beside `web` may well be one of the store.
        Some(near) if near.len() == text.len() => {
            let message = format!("`images` has no `{text}`; did you mean `{near}`?");
            Err((name.referenced, message))
        }
        _ => Ok(()),
    }
}

/// Refuses networks whose addresses overlap.
pub(super) fn networks(all: &[(Location, NetworkSpec)]) -> Result<(), Finding> {
    let nets = |spec: &NetworkSpec| {
        [spec.ipv4.map(IpNet::from), spec.ipv6.map(IpNet::from)].into_iter().flatten()
    };
    for (n, (at, spec)) in all.iter().enumerate() {
        for (_, other) in &all[..n] {
            for (own, its) in nets(spec).flat_map(|own| nets(other).map(move |its| (own, its))) {
                if own.contains(&its) || its.contains(&own) {
                    let name = &other.name;
                    let message =
                        format!("the addresses `{own}` overlap `{its}` of the network `{name}`");
                    return Err((*at, message));
                }
            }
        }
    }
    Ok(())
}

/// Refuses pools of one folder.
pub(super) fn pools(all: &[(Location, PoolSpec)]) -> Result<(), Finding> {
    let mut seen = BTreeMap::new();
    for (at, pool) in all {
        let group = match &pool.source {
            PoolSource::Lvm(group) => Some(format!("/dev/{group}")),
            _ => None,
        };
        let Some(folder) = pool.source.folder().map(str::to_owned).or(group) else { continue };
        let parts = std::path::Path::new(&folder).components().as_path().to_owned();
        if let Some(other) = seen.insert(parts, &pool.name) {
            return Err((*at, format!("the pool `{other}` has the folder `{folder}`")));
        }
    }
    Ok(())
}

/// What machines of the file have taken so far.
#[derive(Default)]
struct Taken {
    names: BTreeSet<String>,
    addresses: BTreeSet<(String, IpAddr)>,
    macs: BTreeSet<Mac>,
    ports: BTreeSet<(Protocol, u16)>,
}

/// Refuses names, addresses and ports that are there twice, and addresses that are not of their
/// network.
pub(super) fn machines(
    all: &[(Location, MachineSpec)],
    networks: &[(Location, NetworkSpec)],
) -> Result<(), Finding> {
    let mut taken = Taken::default();
    for (at, machine) in all {
        for number in 1..=machine.machines() {
            one(machine, number, networks, &mut taken).map_err(|message| (*at, message))?;
        }
    }
    Ok(())
}

fn one(
    machine: &MachineSpec,
    number: u32,
    networks: &[(Location, NetworkSpec)],
    taken: &mut Taken,
) -> Result<(), String> {
    let name = machine.nth(number);
    if !taken.names.insert(name.to_string()) {
        return Err(format!("the machine `{name}` is there twice"));
    }
    for forward in &machine.forwards {
        let forward = forward.counted(number).map_err(|error| error.to_string())?;
        if !taken.ports.insert((forward.protocol, forward.port)) {
            let port = format!("{}/{}", forward.port, forward.protocol);
            return Err(format!("the host's port {port} of `{name}` is another forward's, too"));
        }
    }
    for interface in &machine.networks {
        let counted = interface.counted(number).map_err(|error| error.to_string())?;
        if counted.mac.is_some_and(|mac| !taken.macs.insert(mac)) {
            return Err(format!("the hardware address of `{name}` is another machine's, too"));
        }
        let of = networks.iter().find(|(_, spec)| spec.name.as_str() == counted.network);
        for ip in addresses(&counted) {
            if !taken.addresses.insert((counted.network.clone(), ip)) {
                return Err(format!("the address {ip} of `{name}` is another machine's, too"));
            }
            if let Some((_, spec)) = of {
                of_network(spec, ip).map_err(|why| format!("`{name}` cannot have {ip}: {why}"))?;
            }
        }
    }
    Ok(())
}

/// Returns the addresses that an interface is to have.
fn addresses(interface: &InterfaceSpec) -> Vec<IpAddr> {
    match &interface.addressing {
        Addressing::Dhcp | Addressing::Reserved(None) => Vec::new(),
        Addressing::Reserved(Some(ip)) => vec![(*ip).into()],
        Addressing::Static(own) => own.addresses.iter().map(IpNet::addr).collect(),
    }
}

fn of_network(spec: &NetworkSpec, ip: IpAddr) -> Result<(), String> {
    let name = &spec.name;
    let net: Option<IpNet> = match ip {
        IpAddr::V4(_) => spec.ipv4.map(Into::into),
        IpAddr::V6(_) => spec.ipv6.map(Into::into),
    };
    // Of a bridge libvirt knows no addresses, and nobody can say.
    let Some(net) = net else { return Ok(()) };
    if !net.contains(&ip) || ip == net.network() || ip == net.broadcast() && ip.is_ipv4() {
        return Err(format!("it is no address for a machine in `{net}` of the network `{name}`"));
    }
    let host = [spec.gateway().map(IpAddr::from), spec.gateway6().map(IpAddr::from)];
    if host.contains(&Some(ip)) {
        return Err(format!("it is the host's own in the network `{name}`"));
    }
    Ok(())
}
