// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The appliance that holds a guest where Kiln cannot read its file systems itself.

use std::fs;

use anyhow::Context as _;
use kiln_disk::image::{Location, OpenOptions};
use kiln_guest::backend::appliance::{Appliance, ApplianceError, Settings};
use kiln_host::tools::guestfish::{Fish, FishError};

use crate::context::Context;
use crate::machine::host::kvm_works;

/// Starts an appliance on an image: `why` is what stands against doing without.
///
/// # Errors
///
/// Class host if libguestfs is not installed; all that [`Appliance::start`] says.
pub(crate) fn start(
    ctx: &Context,
    place: &Location,
    image: OpenOptions,
    why: &str,
) -> anyhow::Result<Appliance> {
    let scratch = ctx.sub("run");
    fs::create_dir_all(&scratch)
        .with_context(|| format!("could not make a folder in `{}`", scratch.display()))?;
    let kvm = kvm_works();
    let speed = if kvm { "some seconds" } else { "up to a minute: there is no KVM" };
    let mut say = || ctx.ui.say(format!("starting an appliance ({why}); that takes {speed}"));
    let settings = Settings { fish: Fish { kvm }, scratch, image };
    Appliance::start(place, &settings, &mut say).map_err(|error| match error {
        ApplianceError::Fish { source: source @ FishError::Start { .. } } => {
            anyhow::Error::new(source).context(format!("this image needs an appliance: {why}"))
        }
        error => error.into(),
    })
}
