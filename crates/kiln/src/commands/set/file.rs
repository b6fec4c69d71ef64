// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A set's file, and what its words lead to on this client: images, keys, user-data.
//!
//! A machine of the file is a launch: it is written down as one, and goes the launch's way from
//! there on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kiln_build::digest;
use kiln_host::beside::folder_of;
use kiln_host::read;
use kiln_libvirt::Connection;
use kiln_spec::Datasource;
use kiln_spec::interface::{Addressing, InterfaceSpec};
use kiln_spec::set::{ImageSource, MachineSpec, Set};

use super::{image, pool, setup};
use crate::args::first_boot::FirstBoot;
use crate::args::launch::{Firmware, Launch, WantedConfig};
use crate::args::up::Up;
use crate::commands::launch;
use crate::context::Context;
use crate::error::{Class, Problem, unreadable};
use crate::machine::dns;
use crate::machine::first_boot::{self, Told};
use crate::machine::image::ImageFile;
use crate::machine::keys::{self, Keys};
use crate::machine::meta::Owner;
use crate::machine::plan::least_memory;
use crate::machine::set::{Entry, Getting, ImageFacts, Wanted, WantedSecret};

/// The most that is read of a set's file.
const MOST: u64 = 4 << 20;
/// How many digits of a digest tell two logins apart.
const DIGITS: usize = 32;

/// What an entry of the file leads to.
pub(in crate::commands) struct Source {
    /// The launch that its machines are.
    pub(in crate::commands) launch: Launch,
    /// The keys that the file names.
    pub(in crate::commands) keys: Keys,
    /// What the guests are told at their first boot.
    pub(in crate::commands) told: Told,
    /// What its machines are known by.
    pub(in crate::commands) owner: Owner,
    /// How its image comes into the store, if it is not there.
    pub(in crate::commands) getting: Option<Getting>,
}

/// What a file names of this client's.
pub(in crate::commands) struct Sources {
    /// Its secrets, with their keys.
    secrets: Vec<WantedSecret>,
    /// What its machines lead to, an entry each.
    pub(in crate::commands) machines: Vec<Source>,
}

/// Reads a set's file.
///
/// # Errors
///
/// Not there (class object); no set (class file), with the place.
pub(in crate::commands) fn read(path: &Path) -> anyhow::Result<Set> {
    let shown = path.display().to_string();
    let bytes = read::bounded(path, MOST).map_err(|source| {
        let missing = source.kind() == std::io::ErrorKind::NotFound;
        let problem = unreadable(&format!("could not read the set `{shown}`"), source);
        match missing {
            true => problem.hint("name its file, or go to its folder: `kiln plan FILE`"),
            false => problem,
        }
    })?;
    let wrong = |_| Problem::new(Class::File, format!("`{shown}` is not text in UTF-8"));
    let text = String::from_utf8(bytes).map_err(wrong)?;
    Set::parse(&text, &shown).map_err(|error| {
        Problem::new(Class::File, format!("`{shown}` is no set")).because(error).into()
    })
}

/// Reads the files that a set's file names: `up` says how its machines are waited for, and without
/// it nothing is made.
///
/// # Errors
///
/// One that cannot be read, or is not what it should be.
pub(in crate::commands) fn sources(
    ctx: &Context,
    set: &Set,
    (file, up): (&Path, Option<&Up>),
) -> anyhow::Result<Sources> {
    let folder = folder_of(file);
    let secrets = pool::secrets(ctx, set, folder)?;
    pool::check(ctx, set, folder)?;
    for server in set.machines.iter().filter_map(|spec| spec.dns.as_ref()) {
        dns::find(ctx, server.as_str())?;
    }
    let one = |spec: &MachineSpec| source(ctx, (set.name.as_str(), spec), (folder, up));
    Ok(Sources { secrets, machines: set.machines.iter().map(one).collect::<Result<_, _>>()? })
}

/// Returns a path that a set's file names: from its folder, or from the user's own.
///
/// # Errors
///
/// Class host, if the user's own is not known.
pub(super) fn beside(ctx: &Context, folder: &Path, path: &str) -> Result<PathBuf, Problem> {
    match (path.strip_prefix("~/"), &ctx.env.home) {
        (Some(inside), Some(home)) => Ok(home.join(inside)),
        (Some(_), None) => {
            let what = format!("`{path}` is in a home folder, and HOME is not set");
            Err(Problem::new(Class::Host, what))
        }
        (None, _) => Ok(folder.join(path)),
    }
}

fn source(
    ctx: &Context,
    (set, spec): (&str, &MachineSpec),
    (folder, up): (&Path, Option<&Up>),
) -> anyhow::Result<Source> {
    let launch = launch_of(ctx, spec, (folder, up))?;
    let keys = keys::given(&launch.ssh_key)?;
    let mut told = first_boot::of_launch(ctx, &launch)?;
    told.setup = setup::read(ctx, spec, folder)?;
    if spec.seed_url.is_some() {
        first_boot::check_served(&told, std::slice::from_ref(&spec.networks))?;
    }
    let mut login = launch.user.clone().unwrap_or_default();
    for key in &keys.public {
        login = [login.as_str(), key].join("\n");
    }
    let owner = Owner {
        set: set.to_owned(),
        entry: spec.name.to_string(),
        login: short(login.as_bytes()),
        user_data: short(&first_boot_bytes(spec, &launch, &told)),
        told: short(own_addresses(spec).as_bytes()),
    };
    let getting = match &spec.image {
        ImageSource::Build(path) => Some(Getting::Build(folder.join(path).display().to_string())),
        ImageSource::Catalog(name) => Some(Getting::Pull(name.clone())),
        ImageSource::Url { url, sha256 } => Some(Getting::Fetch(url.clone(), sha256.clone())),
        ImageSource::Bundle { place, sha256: None } => {
            Some(Getting::Assemble(folder.join(place).display().to_string(), None))
        }
        ImageSource::Bundle { place, sha256 } => {
            Some(Getting::Assemble(place.clone(), sha256.clone()))
        }
        ImageSource::Known(_) | ImageSource::File(_) => None,
    };
    Ok(Source { launch, keys, told, owner, getting })
}

/// Returns what the guests of an entry are told of their interfaces; nothing if DHCP tells them.
fn own_addresses(spec: &MachineSpec) -> String {
    let fixed = |one: &&InterfaceSpec| matches!(one.addressing, Addressing::Static(_));
    let all: Vec<String> = spec.networks.iter().filter(fixed).map(ToString::to_string).collect();
    all.join(" ")
}

/// Returns the bytes that the guests of an entry are told besides their login and their addresses.
fn first_boot_bytes(spec: &MachineSpec, launch: &Launch, told: &Told) -> Vec<u8> {
    let of = |path: &PathBuf| read::bounded(path, MOST).unwrap_or_default();
    let mut all = launch.first_boot.user_data.as_ref().map(of).unwrap_or_default();
    // A machine with user-data alone is known by just these.
    let mut more = |what: &[u8], bytes: Vec<u8>| {
        let length = bytes.len().to_be_bytes();
        all.extend([b"\0", what, b"\0", &length[..], &bytes].concat());
    };
    if let Some(path) = &launch.first_boot.vendor_data {
        more(b"vendor-data", of(path));
    }
    if let Some(WantedConfig::File(path)) = &launch.network_config {
        more(b"network-config", of(path));
    }
    if spec.datasource != Datasource::default() {
        more(b"datasource", spec.datasource.word().into());
    }
    if !told.setup.is_empty() {
        more(b"setup", told.setup.text().into());
    }
    if let Some(url) = &spec.seed_url {
        more(b"seed-url", url.of(&spec.name).into());
    }
    all
}

/// Returns what stands for bytes; nothing for none.
fn short(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return String::new();
    }
    digest::of_bytes(bytes).hex().chars().take(DIGITS).collect()
}

/// Returns the launch that an entry is.
fn launch_of(
    ctx: &Context,
    spec: &MachineSpec,
    (folder, up): (&Path, Option<&Up>),
) -> anyhow::Result<Launch> {
    let image = match &spec.image {
        ImageSource::Known(name) | ImageSource::Catalog(name) => name.clone(),
        ImageSource::Url { url: place, .. } | ImageSource::Bundle { place, sha256: Some(_) } => {
            place.clone()
        }
        ImageSource::File(path)
        | ImageSource::Build(path)
        | ImageSource::Bundle { place: path, sha256: None } => {
            folder.join(path).display().to_string()
        }
    };
    let (login, key) = (spec.login(), |path: &String| beside(ctx, folder, path));
    let keys = login.iter().flat_map(|login| &login.ssh_keys);
    let network = spec.network_config.as_ref().map(|path| folder.join(path));
    Ok(Launch {
        count: spec.count,
        cpus: spec.cpus,
        memory: spec.memory,
        disk: spec.disk,
        full: spec.full,
        network: spec.networks.clone(),
        forward: spec.forwards.clone(),
        dns: spec.dns.clone(),
        tag: spec.tags.clone(),
        pool: spec.pool.to_string(),
        firmware: if spec.uefi { Firmware::Uefi } else { Firmware::Bios },
        user: login.map(|login| login.name.to_string()),
        ssh_key: keys.map(key).collect::<Result<_, _>>()?,
        first_boot: FirstBoot {
            user_data: spec.user_data.as_ref().map(|path| folder.join(path)),
            vendor_data: spec.vendor_data.as_ref().map(|path| folder.join(path)),
            datasource: spec.datasource.into(),
        },
        seed_url: spec.seed_url.clone(),
        network_config: network.map(WantedConfig::File),
        autostart: spec.autostart == Some(true),
        start_network: true,
        ready: spec.ready.clone(),
        no_wait: up.is_some_and(|up| up.no_wait),
        timeout: up.map(|up| up.timeout).unwrap_or_default(),
        // Looked at, and nothing kept: what is made is made later.
        dry_run: up.is_none(),
        ..Launch::of(image, spec.name.clone())
    })
}

/// Finds the images, each once, and returns all that the file wants. One that is not in the store yet
/// is `None`.
///
/// # Errors
///
/// An image that is not there (class object), or that cannot be used.
pub(in crate::commands) fn resolve(
    ctx: &Context,
    conn: &Connection,
    set: &Set,
    sources: &Sources,
) -> anyhow::Result<(Wanted, Vec<Option<ImageFile>>)> {
    let mut known: BTreeMap<(String, String), Resolved> = BTreeMap::new();
    let (mut entries, mut images) = (Vec::new(), Vec::new());
    for (spec, source) in set.machines.iter().zip(&sources.machines) {
        let key = (source.launch.image.clone(), source.launch.pool.clone());
        let (facts, image) = match known.get(&key) {
            Some(resolved) => resolved.clone(),
            None => match &source.getting {
                Some(getting) => image::known(ctx, getting)?,
                None => found(launch::find_image(ctx, conn, &source.launch)?),
            },
        };
        known.insert(key, (facts.clone(), image.clone()));
        entries.push(Entry { spec: spec.clone(), image: facts, owner: source.owner.clone() });
        images.push(image);
    }
    let wanted = Wanted {
        name: set.name.to_string(),
        networks: set.networks.clone(),
        secrets: sources.secrets.clone(),
        pools: set.pools.clone(),
        entries,
    };
    Ok((wanted, images))
}

/// What an image leads to.
pub(super) type Resolved = (ImageFacts, Option<ImageFile>);

pub(super) fn found(image: ImageFile) -> Resolved {
    let facts = ImageFacts {
        name: image.name.clone(),
        digest: image.digest.clone(),
        template: image.template.clone(),
        size: image.virtual_size,
        least_memory: least_memory(&image),
        missing: None,
    };
    (facts, Some(image))
}
