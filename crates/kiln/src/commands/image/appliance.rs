// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The appliance that holds a guest where Kiln cannot read its file systems itself.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::Context as _;
use kiln_disk::image::OpenOptions;
use kiln_guest::backend::appliance::{Appliance, ApplianceError, Key, Settings};
use kiln_host::tools::guestfish::{Fish, FishError};

use crate::args::image::target::Opening;
use crate::context::Context;
use crate::error::unreadable;
use crate::machine::host::kvm_works;

/// The most bytes of a file that are looked at for a passphrase: what cryptsetup(8) takes.
const MOST_KEY: u64 = 8 << 20;

/// Starts an appliance on an image: `why` is what stands against doing without.
///
/// # Errors
///
/// Class host if libguestfs is not installed; all that [`Appliance::start`] says.
pub(crate) fn start(
    ctx: &Context,
    path: &Path,
    (image, opening): (OpenOptions, &Opening),
    why: &str,
) -> anyhow::Result<Appliance> {
    let keys = opening.key_file.iter().map(|file| key(file)).collect::<anyhow::Result<_>>()?;
    let scratch = ctx.sub("run");
    fs::create_dir_all(&scratch)
        .with_context(|| format!("could not make a folder in `{}`", scratch.display()))?;
    let kvm = kvm_works();
    let speed = if kvm { "some seconds" } else { "up to a minute: there is no KVM" };
    ctx.ui.say(format!("starting an appliance ({why}); that takes {speed}"));
    let settings = Settings { fish: Fish { kvm }, scratch, keys, image };
    Appliance::start(path, &settings).map_err(|error| match error {
        ApplianceError::Fish { source: source @ FishError::Start { .. } } => {
            anyhow::Error::new(source).context(format!("this image needs an appliance: {why}"))
        }
        error => error.into(),
    })
}

/// Returns the passphrase in a file: its first line.
fn key(path: &Path) -> anyhow::Result<Key> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MOST_KEY).read_to_end(&mut bytes));
    read.map_err(|error| unreadable(&format!("could not read `{}`", path.display()), error))?;
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    bytes.truncate(end);
    Ok(Key(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_a_files_first_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for (text, wanted) in [("pass word\nmore\n", "pass word"), ("one", "one"), ("", "")] {
            fs::write(&path, text).unwrap();
            assert_eq!(key(&path).unwrap(), Key(wanted.as_bytes().to_vec()));
        }
        let error = key(&folder.path().join("none")).unwrap_err();
        assert_eq!(crate::error::report(&error).class, crate::error::Class::Object);
    }
}
