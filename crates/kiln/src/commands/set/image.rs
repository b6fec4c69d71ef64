// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Images of a set that come into the store: built, pulled from a catalog, fetched.

use std::path::Path;

use kiln_spec::Bytes;
use kiln_spec::image::Made;
use kiln_spec::recipe::ImageName;

use super::file::{Resolved, found};
use super::outcome::{Done, Outcome};
use crate::commands::build::recipe;
use crate::commands::bundle;
use crate::commands::image::pull;
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::image;
use crate::machine::set::{Action, Getting, ImageFacts, What};

/// Finds an image that may have come into the store, without asking anybody but the store.
///
/// # Errors
///
/// A recipe that cannot be read; a name that none can have (class file).
pub(super) fn known(ctx: &Context, getting: &Getting) -> anyhow::Result<Resolved> {
    let store = ctx.store_if_there()?;
    let (name, digest) = match getting {
        Getting::Build(path) => {
            let stored = recipe::stored(ctx, Path::new(path))?;
            (stored.name, stored.digest)
        }
        Getting::Pull(wanted) => {
            let name = name_of(wanted)?;
            let catalog = wanted.split_once('/').map(|(catalog, _)| catalog);
            let image = store.and_then(|store| store.find(name.as_str()).ok());
            let pulled = image.filter(|image| match &image.manifest.made {
                Made::Catalog { catalog: of, .. } => catalog.is_none_or(|catalog| catalog == of),
                _ => false,
            });
            (name.to_string(), pulled.map(|image| image.manifest.digest))
        }
        Getting::Assemble(place, sha256) => {
            let (name, digest) = bundle::stored(ctx, (place, sha256.as_ref()))?;
            (name.to_string(), digest)
        }
        Getting::Fetch(url, sha256) => {
            let found = store.map(|store| store.find_pulled(&sha256.to_string()));
            let image = found.transpose()?.flatten();
            (name_of(url)?.to_string(), image.map(|image| image.manifest.digest))
        }
    };
    if let Some(digest) = digest {
        return Ok(found(image::of_store(ctx, &digest.to_string())?));
    }
    let facts = ImageFacts {
        name,
        digest: String::new(),
        template: None,
        size: Bytes(0),
        least_memory: Bytes(0),
        missing: Some(getting.clone()),
    };
    Ok((facts, None))
}

/// Returns what an image is called in the store: as in the catalog, or as the file of an address
/// without what tells its format.
fn name_of(wanted: &str) -> Result<ImageName, Problem> {
    let plain = wanted.split(['?', '#']).next().unwrap_or_default();
    let last = plain.rsplit('/').next().unwrap_or_default().to_lowercase();
    let mut name = last.as_str();
    let endings = [".xz", ".gz", ".zst", ".bz2", ".qcow2", ".raw", ".img"];
    while plain.contains("://")
        && let Some(short) = endings.iter().find_map(|ending| name.strip_suffix(ending))
    {
        name = short;
    }
    name.parse().map_err(|error| {
        let what = format!("`{wanted}` gives no name for an image");
        Problem::new(Class::File, what).because(anyhow::Error::new(error))
    })
}

/// Gets the images that the actions get, one after the other. Returns what came of each.
///
/// # Errors
///
/// The first that fails: nothing of the set is made then.
pub(in crate::commands) fn get_images(
    ctx: &Context,
    actions: &[Action],
) -> anyhow::Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for action in actions {
        let What::Get { how, .. } = &action.what else { continue };
        let done = match how {
            Getting::Build(recipe) => {
                recipe::make(ctx, Path::new(recipe))?;
                "built"
            }
            Getting::Pull(wanted) => {
                pull::from_catalog(ctx, wanted, &name_of(wanted)?)?;
                "pulled"
            }
            Getting::Assemble(place, sha256) => {
                let name = action.object.name().parse()?;
                bundle::made(ctx, (place, sha256.as_ref()), &name)?;
                "made"
            }
            Getting::Fetch(url, sha256) => {
                pull::from_address(ctx, (url, sha256), &name_of(url)?)?;
                "fetched"
            }
        };
        ctx.ui.say(format!("{done} the image `{}`", action.object.name()));
        outcomes.push(Outcome { object: action.object.clone(), result: Ok(Done::Made) });
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_called_as_in_the_catalog_or_as_its_file() {
        for (wanted, name) in [
            ("debian-13", "debian-13"),
            ("ours/Debian-12.raw", "debian-12.raw"),
            ("https://x.example/a/Web_1.qcow2.xz?token=1", "web_1"),
            ("http://x.example/disk.img", "disk"),
        ] {
            assert_eq!(name_of(wanted).unwrap().as_str(), name, "{wanted}");
        }
        for none in ["https://x.example/", "https://x.example/.qcow2", "ours/"] {
            assert!(name_of(none).is_err(), "{none}");
        }
    }
}
