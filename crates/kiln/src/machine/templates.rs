// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The templates of a pool: found by name, what is known of each, and what hangs on it.
//!
//! | whose | volume | version |
//! |---|---|---|
//! | made by `kiln launch` of an image | `kiln-NAME-DIGEST.FORMAT` | the digest's first twelve digits |
//! | made by `kiln template create` | `kiln-NAME.NUMBER.FORMAT` | the number |
//!
//! Beside each is its mark; beside one of the second kind its facts, too.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use kiln_guest::inspect::Glance;
use kiln_libvirt::Connection;
use kiln_libvirt::domain::DiskFormat;
use kiln_libvirt::storage::Pool;
use kiln_spec::Bytes;
use kiln_spec::recipe::ImageName;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::ceph::Client;
use super::existing::Machine;
use super::image::ImageFile;
use super::meta::VolumeRef;
use super::{pool, pools, template};
use crate::context::Context;
use crate::error::{Class, Problem};

/// What the names of templates begin with.
const PREFIX: &str = "kiln-";
/// What they are called in the metadata of an image of a Ceph pool.
const FACTS: &str = "kiln.template";
/// The most bytes of a template's facts.
const FACTS_MOST: u64 = 1 << 20;

/// A name of a template, with or without its version: `web`, `web:2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TemplateName {
    /// The name.
    pub(crate) name: String,
    /// The version; the newest without one.
    pub(crate) version: Option<String>,
}

impl FromStr for TemplateName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, version) = match text.split_once(':') {
            Some((name, version)) => (name, Some(version.to_owned())),
            None => (text, None),
        };
        let word = |c: char| c.is_ascii_alphanumeric();
        if version.as_ref().is_some_and(|v| v.is_empty() || !v.chars().all(word)) {
            return Err(format!("`{text}` has no version after its colon; `web:2` is one"));
        }
        let name: ImageName = name.parse().map_err(|error| format!("{error}"))?;
        Ok(Self { name: name.to_string(), version })
    }
}

impl fmt::Display for TemplateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.version.as_ref().map_or(Ok(()), |version| write!(f, ":{version}"))
    }
}

/// What a template was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "of")]
pub(crate) enum MadeOf {
    /// An image.
    Image {
        /// Its name.
        name: String,
        /// Its digest.
        digest: String,
    },
    /// A machine.
    Machine {
        /// Its name then.
        name: String,
        /// Its UUID.
        uuid: Uuid,
        /// The template that its disk hung on.
        template: Option<String>,
    },
}

/// What is known of a template, in the volume beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// What it was made of.
    pub(crate) made: MadeOf,
    /// Seconds since 1970 when it was made.
    pub(crate) made_at: u64,
    /// The version of Kiln that made it.
    pub(crate) made_by: String,
    /// Who logs in to its machines; empty if it is not known.
    pub(crate) user: String,
    /// Whether its machines start by UEFI; `None` if it is not known.
    pub(crate) uefi: Option<bool>,
    /// Whether the guest's identity was taken out.
    pub(crate) sealed: bool,
}

/// A template of a pool.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    /// Its volume.
    pub(crate) volume: VolumeRef,
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// How its bytes are laid out.
    pub(crate) format: String,
    /// The size that a guest sees.
    pub(crate) capacity: Bytes,
    /// The room that it takes.
    pub(crate) allocation: Bytes,
    /// What is known of it; nothing of one that a launch made.
    pub(crate) facts: Option<Facts>,
    /// The volumes of its pool and the machines of the host that hang on it.
    pub(crate) clones: BTreeSet<String>,
}

impl Template {
    /// Returns its name with its version.
    pub(crate) fn full_name(&self) -> String {
        format!("{}:{}", self.name, self.version)
    }

    /// Returns it as JSON.
    pub(crate) fn json(&self) -> Value {
        json!({
            "name": self.name,
            "version": self.version,
            "pool": self.volume.pool,
            "volume": self.volume.name,
            "format": self.format,
            "capacity_bytes": self.capacity.0,
            "allocation_bytes": self.allocation.0,
            "made": self.facts.as_ref().map(|facts| &facts.made),
            "made_at": self.facts.as_ref().map(|facts| facts.made_at),
            "made_by": self.facts.as_ref().map(|facts| &facts.made_by),
            "sealed": self.facts.as_ref().map(|facts| facts.sealed),
            "clones": self.clones,
        })
    }
}

/// Returns the name of the volume with a template's facts.
pub(crate) fn facts_of(volume: &str) -> String {
    format!("{volume}.json")
}

/// Returns the name of the volume that is a template.
pub(crate) fn volume_name(name: &str, version: u32, format: &DiskFormat) -> String {
    format!("{PREFIX}{name}.{version}.{format}")
}

/// Takes the name of a template's volume apart: name, version, format.
fn parts(volume: &str) -> Option<(String, String, String)> {
    let (stem, format) = volume.strip_prefix(PREFIX)?.rsplit_once('.')?;
    if !matches!(format, "qcow2" | "raw") {
        return None;
    }
    let counted = stem.rsplit_once('.').filter(|(_, n)| n.parse::<u32>().is_ok());
    let hex = |digest: &str| digest.len() == 12 && digest.chars().all(|c| c.is_ascii_hexdigit());
    let launched = || stem.rsplit_once('-').filter(|(_, digest)| hex(digest));
    let (name, version) = counted.or_else(launched)?;
    Some((name.to_owned(), version.to_owned(), format.to_owned()))
}

/// Returns whether a volume's name is that of a template with facts.
fn counted(volume: &str) -> bool {
    is_name(volume) && !is_of_launch(volume)
}

/// Returns whether a volume's name is that of a template.
pub(crate) fn is_name(volume: &str) -> bool {
    parts(volume).is_some()
}

/// Returns whether a volume's name is that of a template that a launch made of an image, which it
/// makes again.
pub(crate) fn is_of_launch(volume: &str) -> bool {
    parts(volume).is_some_and(|(_, version, _)| {
        version.len() == 12 && !volume.contains(&format!(".{version}."))
    })
}

/// Returns the templates of a pool in use, by name, the newest version of each first.
///
/// # Effects
///
/// One that lost its mark and has something hanging on it gets it again.
///
/// # Errors
///
/// What libvirt says.
pub(crate) fn all(ctx: &Context, conn: &Connection, pool: &Pool) -> anyhow::Result<Vec<Template>> {
    let machines = Machine::all(conn)?;
    let held = pools::volumes(ctx, pool, &machines)?;
    let names: BTreeSet<&str> = held.iter().map(|held| held.name.as_str()).collect();
    let mut found = Vec::new();
    let rbd = pool.xml()?.rbd().filter(|_| held.iter().any(|one| counted(&one.name)));
    let client = rbd.map(|rbd| Client::open(ctx, conn, &rbd)).transpose()?;
    for one in &held {
        let Some((name, version, format)) = parts(&one.name) else { continue };
        if !names.contains(template::mark_of(&one.name).as_str()) {
            if one.users().is_empty() {
                continue;
            }
            // Somebody took its mark away, and what hangs on it needs it.
            template::mark(pool, &one.name)?;
        }
        let volume = VolumeRef { pool: pool.name().to_owned(), name: one.name.clone() };
        let facts = match &client {
            Some(client) if counted(&one.name) => {
                let text = client.meta(&one.name, FACTS)?;
                text.and_then(|text| serde_json::from_str(&text).ok())
            }
            None if names.contains(facts_of(&one.name).as_str()) => facts_from(pool, &one.name)?,
            _ => None,
        };
        // A volume is called by the machine that it is a disk of.
        let owner = |clone: &String| {
            let of = |held: &&pools::Held| held.name == *clone;
            let machine = held.iter().find(of).and_then(|held| held.machines.first());
            machine.cloned().unwrap_or_else(|| format!("volume {clone}"))
        };
        let clones = one.clones.iter().map(owner).chain(one.machines.iter().cloned()).collect();
        let (capacity, allocation) = (one.capacity, one.allocation);
        found.push(Template { volume, name, version, format, capacity, allocation, facts, clones });
    }
    // Numbers are newer than digests, which a launch makes by itself.
    let number = |one: &Template| one.facts.as_ref().and_then(|_| one.version.parse::<u32>().ok());
    found.sort_by(|a, b| (&a.name, number(b), &b.version).cmp(&(&b.name, number(a), &a.version)));
    Ok(found)
}

fn facts_from(pool: &Pool, volume: &str) -> anyhow::Result<Option<Facts>> {
    let facts = match pool.volume(&facts_of(volume)) {
        Err(error) if error.is_not_found() => return Ok(None),
        other => other?,
    };
    let mut bytes = Vec::new();
    facts.download(&mut bytes, 0, Some(facts.info()?.capacity.0.min(FACTS_MOST)), &mut |_| ())?;
    // A volume may be longer than what was written into it.
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    // Written by a later Kiln, perhaps: the template is one all the same.
    Ok(serde_json::from_slice(text).ok())
}

/// Writes a template's facts beside it; in a Ceph pool into the image's own metadata.
///
/// # Errors
///
/// What libvirt says.
pub(crate) fn write_facts(
    ctx: &Context,
    pool: &Pool,
    volume: &str,
    facts: &Facts,
) -> anyhow::Result<()> {
    let text = serde_json::to_string(facts)?;
    match pool.xml()?.rbd() {
        Some(rbd) => Client::open(ctx, pool.connection(), &rbd)?.set_meta(volume, FACTS, &text),
        None => pool::write(ctx, pool, &facts_of(volume), text.as_bytes()),
    }
}

/// Finds a template of a pool; of several versions the newest, if none is named.
///
/// # Errors
///
/// Not there (class object), with the nearest name.
pub(crate) fn find(
    ctx: &Context,
    conn: &Connection,
    pool: &Pool,
    wanted: &TemplateName,
) -> anyhow::Result<Template> {
    let all = all(ctx, conn, pool)?;
    let named = |one: &&Template| one.name == wanted.name;
    let asked = |one: &&Template| wanted.version.as_ref().is_none_or(|v| *v == one.version);
    if let Some(found) = all.iter().filter(named).find(asked) {
        return Ok(found.clone());
    }
    let what = format!("the pool `{}` has no template `{wanted}`", pool.name());
    let problem = Problem::new(Class::Object, what);
    let versions: Vec<String> = all.iter().filter(named).map(Template::full_name).collect();
    Err(if versions.is_empty() {
        let names = all.iter().map(|one| one.name.as_str());
        problem.did_you_mean(&wanted.name, names, "`kiln template list` shows what there is").into()
    } else {
        problem.hint(format!("there is: {}", versions.join(", "))).into()
    })
}

/// Takes a template for an image that is on the host already.
pub(crate) fn as_image(template: &Template) -> ImageFile {
    let facts = template.facts.as_ref();
    let user = facts.map(|facts| facts.user.clone()).filter(|user| !user.is_empty());
    ImageFile {
        name: template.full_name(),
        file: None,
        template: Some(template.volume.clone()),
        user,
        uefi: facts.and_then(|facts| facts.uefi),
        format: template.format.clone(),
        virtual_size: template.capacity,
        file_size: template.allocation,
        digest: String::new(),
        glance: Glance::default(),
        manifest: None,
    }
}

/// Returns the number of the next version of a name.
///
/// # Errors
///
/// What libvirt says.
pub(crate) fn next_version(pool: &Pool, name: &str) -> anyhow::Result<u32> {
    let volumes = pool.volumes()?;
    // Also one without a mark: it is under way.
    let of = |volume: &str| parts(volume).filter(|(of, ..)| of == name)?.1.parse::<u32>().ok();
    let most = volumes.iter().filter_map(|volume| of(volume.name())).max();
    Ok(most.unwrap_or(0).saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_volumes_are_taken_apart() {
        let of = |volume: &str| parts(volume).map(|(name, version, _)| format!("{name}:{version}"));
        assert_eq!(of("kiln-web.2.qcow2").as_deref(), Some("web:2"));
        assert_eq!(
            of("kiln-debian-12-0123456789ab.raw").as_deref(),
            Some("debian-12:0123456789ab")
        );
        assert!(is_of_launch("kiln-debian-12-0123456789ab.raw"));
        for own in ["kiln-web.2.qcow2", "kiln-web.012345678901.qcow2", "web", "kiln-web.qcow2"] {
            assert!(!is_of_launch(own), "{own}");
        }
        let made = volume_name("a.b-c", 7, &DiskFormat::Raw);
        assert_eq!(of(&made).as_deref(), Some("a.b-c:7"));
        for other in
            ["web.2.qcow2", "kiln-web.2.qcow2.complete", "kiln-web.2.qcow2.json", "kiln-web.qcow2"]
        {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn names_have_versions_or_none() {
        let name = |text: &str| text.parse::<TemplateName>();
        assert_eq!(name("web:2").unwrap().version.as_deref(), Some("2"));
        assert_eq!(name("web").unwrap().to_string(), "web");
        assert!(name("web:").is_err() && name("a/b").is_err() && name("web:../x").is_err());
    }
}
