// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a set's file says of a machine.

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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MachineFile {
    count: Option<Spanned<u32>>,
    image: Spanned<String>,
    clone: Option<Spanned<CloneKind>>,
    cpus: Option<Spanned<u32>>,
    memory: Option<Size>,
    disk: Option<Size>,
    pool: Option<PoolName>,
    #[serde(default)]
    networks: Vec<Spanned<InterfaceFile>>,
    #[serde(default)]
    forwards: Vec<Spanned<String>>,
    #[serde(default)]
    users: Vec<Spanned<UserFile>>,
    #[serde(default)]
    packages: Vec<PackageName>,
    #[serde(default)]
    files: Vec<GuestFile>,
    #[serde(default)]
    commands: Vec<Spanned<FirstCommand>>,
    user_data: Option<String>,
    dns: Option<DnsServerName>,
    vendor_data: Option<String>,
    network_config: Option<String>,
    #[serde(default)]
    datasource: Datasource,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    firmware: Firmware,
    #[serde(default)]
    ready: Vec<Spanned<String>>,
    disks: NotYet,
    autostart: Option<bool>,
    seed_url: Option<SeedUrl>,
}

/// A size as people write it: with its unit, always.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Size(Bytes);

impl TryFrom<String> for Size {
    type Error = crate::size::SizeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CloneKind {
    Linked,
    Full,
    Fork,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Firmware {
    #[default]
    Bios,
    Uefi,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct InterfaceFile {
    name: String,
    ip: Option<String>,
    #[serde(default, rename = "static")]
    fixed: Vec<String>,
    #[serde(default)]
    gateway: Vec<String>,
    #[serde(default)]
    dns: Vec<String>,
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
