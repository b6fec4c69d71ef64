// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a set's file says of a machine.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

use super::file::{Finding, NotYet, not_yet};
use super::first_boot::{
    FirstCommand, GuestFile, UserFile, check_commands, check_files, check_users,
};
use super::{ImageSource, Images, MOST, MachineSpec, POOL, check};
use crate::forward::ForwardSpec;
use crate::interface::InterfaceSpec;
use crate::ready::ReadyError;
use crate::recipe::PackageName;
use crate::{Bytes, Datasource, DnsServerName, MachineName, PoolName, SeedUrl, Tag};

/// The memory of a machine that names none: as a launch's.
const MEMORY: Bytes = Bytes::from_gib(1);
/// The most processors: as a launch's.
const MOST_CPUS: u32 = 512;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MachineFile {
    /// How many of them there are: NAME-1, NAME-2 and so on.
    #[schemars(with = "Option<u32>", range(min = 1, max = 1000))]
    count: Option<Spanned<u32>>,
    /// Its image: a name of `images`, or one of the store.
    #[schemars(with = "String")]
    image: Spanned<String>,
    /// Whether its disk hangs on the image's template, or is a full copy.
    #[schemars(with = "Option<CloneKind>")]
    clone: Option<Spanned<CloneKind>>,
    /// How many processors it has; 1.
    #[schemars(with = "Option<u32>", range(min = 1, max = 512))]
    cpus: Option<Spanned<u32>>,
    /// Its memory; 1 GiB.
    memory: Option<Size>,
    /// How large its disk is; as the image's.
    disk: Option<Size>,
    /// The pool that its disk is in; `default`.
    pool: Option<PoolName>,
    /// Its network interfaces; one of the network `default`.
    #[serde(default)]
    #[schemars(with = "Vec<InterfaceFile>")]
    networks: Vec<Spanned<InterfaceFile>>,
    /// Ports of the host that lead to it, as in `2201:22` or `53:53/udp`.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    forwards: Vec<Spanned<String>>,
    /// Its accounts; the first is logged in to.
    #[serde(default)]
    #[schemars(with = "Vec<UserFile>")]
    users: Vec<Spanned<UserFile>>,
    /// Packages that its first boot installs.
    #[serde(default)]
    packages: Vec<PackageName>,
    /// Files that its first boot writes.
    #[serde(default)]
    files: Vec<GuestFile>,
    /// Commands that its first boot runs, in this order.
    #[serde(default)]
    #[schemars(with = "Vec<FirstCommand>")]
    commands: Vec<Spanned<FirstCommand>>,
    /// A file of user-data, from this file's folder.
    user_data: Option<String>,
    /// The DNS server that is told its name and addresses: one of `kiln dns server list`.
    dns: Option<DnsServerName>,
    /// A file of vendor-data, from this file's folder.
    vendor_data: Option<String>,
    /// A file of network-config, from this file's folder.
    network_config: Option<String>,
    /// Who reads its seed.
    #[serde(default)]
    datasource: Datasource,
    /// Words to find it by.
    #[serde(default)]
    tags: Vec<Tag>,
    /// What it starts with.
    #[serde(default)]
    firmware: Firmware,
    /// What must be there until it is called ready: `agent`, `cloud-init`, `ssh`, `tcp:PORT`.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    ready: Vec<Spanned<String>>,
    #[schemars(skip)]
    disks: NotYet,
    /// Whether it starts with the host.
    autostart: Option<bool>,
    /// The address below which it finds its seed, instead of on a drive: see `kiln seed serve`.
    seed_url: Option<SeedUrl>,
}

/// A size with its unit: `512MiB`, `20GiB`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
struct Size(#[schemars(with = "String")] Bytes);

impl TryFrom<String> for Size {
    type Error = crate::size::SizeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum CloneKind {
    /// Its disk hangs on the template.
    Linked,
    /// Nothing lies below its disk.
    Full,
    #[schemars(skip)]
    Fork,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Firmware {
    /// SeaBIOS.
    #[default]
    Bios,
    /// OVMF.
    Uefi,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct InterfaceFile {
    /// The network: one of `networks`, or one of the host.
    name: String,
    /// Its address from the network's DHCP: `auto`, or one of its net.
    ip: Option<String>,
    /// Addresses without DHCP, as in `10.20.0.5/24`.
    #[serde(default, rename = "static")]
    fixed: Vec<String>,
    /// Where it sends what is not for its net.
    #[serde(default)]
    gateway: Vec<String>,
    /// DNS servers.
    #[serde(default)]
    dns: Vec<String>,
    /// Its MAC address; one is chosen.
    mac: Option<String>,
}

impl InterfaceFile {
    /// Reads it as the command line's word is read: one rule for both.
    fn spec(&self) -> Result<InterfaceSpec, String> {
        let one = |key: &str, value: &String| format!(",{key}={value}");
        let all = |key: &'static str, values: &[String]| {
            values.iter().map(|value| one(key, value)).collect::<String>()
        };
        let mut text = self.name.clone();
        text.extend(self.ip.iter().map(|ip| one("ip", ip)));
        text.push_str(&all("static", &self.fixed));
        text.push_str(&all("gateway", &self.gateway));
        text.push_str(&all("dns", &self.dns));
        text.extend(self.mac.iter().map(|mac| one("mac", mac)));
        text.parse().map_err(|error: crate::interface::InterfaceError| error.to_string())
    }
}

impl MachineFile {
    /// Checks what one value alone cannot tell.
    pub(super) fn check(&self) -> Result<(), Finding> {
        not_yet(&[("disks", &self.disks)], "a machine has the disk of its image")?;
        if let Some(kind) = self.clone.as_ref().filter(|kind| kind.value == CloneKind::Fork) {
            let message = "this kiln cannot do `clone: fork` in a set yet; there are `clone: linked` and `clone: full`";
            return Err((kind.referenced, message.into()));
        }
        within(&self.count, "count", MOST)?;
        within(&self.cpus, "cpus", MOST_CPUS)?;
        check_users(&self.users)?;
        check_files(&self.files)?;
        check_commands(&self.commands)
    }

    /// Returns the machine; `at` is where it stands.
    pub(super) fn into_spec(
        self,
        name: MachineName,
        at: Location,
        images: &Images,
    ) -> Result<MachineSpec, Finding> {
        let count = self.count.map(|count| count.value);
        if let Some(last) = count {
            name.counted(last).map_err(|error| (at, error.to_string()))?;
        }
        let image = match images.get(&self.image.value) {
            Some(source) => source.clone(),
            None => {
                check::image(&self.image, images)?;
                ImageSource::Known(self.image.value)
            }
        };
        let spec = |interface: Spanned<InterfaceFile>| {
            interface.value.spec().map_err(|message| (interface.referenced, message))
        };
        let forward = |text: Spanned<String>| {
            let read = text.value.parse::<ForwardSpec>();
            read.map_err(|error| (text.referenced, error.to_string()))
        };
        let ready = |text: Spanned<String>| {
            text.value.parse().map_err(|error: ReadyError| (text.referenced, error.to_string()))
        };
        Ok(MachineSpec {
            name,
            count,
            image,
            cpus: self.cpus.map_or(1, |cpus| cpus.value),
            memory: self.memory.map_or(MEMORY, |memory| memory.0),
            disk: self.disk.map(|disk| disk.0),
            pool: self.pool.map_or_else(usual_pool, Ok)?,
            networks: self.networks.into_iter().map(spec).collect::<Result<_, _>>()?,
            forwards: self.forwards.into_iter().map(forward).collect::<Result<_, _>>()?,
            users: self.users.into_iter().map(|user| user.value.into_spec()).collect(),
            packages: self.packages,
            files: self.files.into_iter().map(GuestFile::into_entry).collect(),
            commands: self.commands.into_iter().map(|command| command.value).collect(),
            user_data: self.user_data,
            dns: self.dns,
            vendor_data: self.vendor_data,
            network_config: self.network_config,
            seed_url: self.seed_url,
            autostart: self.autostart,
            datasource: self.datasource,
            tags: self.tags,
            full: self.clone.is_some_and(|kind| kind.value == CloneKind::Full),
            uefi: self.firmware == Firmware::Uefi,
            ready: self.ready.into_iter().map(ready).collect::<Result<_, _>>()?,
        })
    }
}

fn usual_pool() -> Result<PoolName, Finding> {
    Ok(POOL.parse().expect("it is the name of a pool"))
}

fn within(value: &Option<Spanned<u32>>, key: &str, most: u32) -> Result<(), Finding> {
    match value {
        Some(number) if !(1..=most).contains(&number.value) => {
            Err((number.referenced, format!("`{key}` is 1 to {most}")))
        }
        _ => Ok(()),
    }
}
