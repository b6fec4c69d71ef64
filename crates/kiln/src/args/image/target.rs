// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which image a verb works on: the same words for each.

use std::convert::Infallible;
use std::path::PathBuf;

use clap::Args;
use kiln_guest::guest::Wanted;

/// An image that is looked into.
#[derive(Clone, Debug, Args)]
pub(crate) struct Source {
    /// The image: a file, `rbd:POOL/IMAGE`, or a name of the store
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    #[command(flatten)]
    pub(crate) opening: Opening,
}

/// An image that is changed.
#[derive(Clone, Debug, Args)]
pub(crate) struct Target {
    /// The image: a file, or `rbd:POOL/IMAGE`; with `--output` also a name of the store
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// Leave the image as it is and make a changed copy: a file, or a new name of the store
    ///
    /// A word without `/` and `.` is a name of the store.
    #[arg(short, long, value_name = "FILE|NAME")]
    pub(crate) output: Option<PathBuf>,
    /// Do it all, show what would change, and keep nothing of it
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) opening: Opening,
}

/// An image that is changed, by a verb that may list its operations instead.
#[derive(Clone, Debug, Args)]
pub(crate) struct TargetOrList {
    /// The image: a file, or `rbd:POOL/IMAGE`; with `--output` also a name of the store
    #[arg(value_name = "IMAGE", required_unless_present = "list_operations")]
    image: Option<String>,
    /// Leave the image as it is and make a changed copy: a file, or a new name of the store
    ///
    /// A word without `/` and `.` is a name of the store.
    #[arg(short, long, value_name = "FILE|NAME")]
    output: Option<PathBuf>,
    /// Do it all, show what would change, and keep nothing of it
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    opening: Opening,
}

impl TargetOrList {
    /// Returns the image that is changed; `None` if none was named.
    pub(crate) fn target(&self) -> Option<Target> {
        Some(Target {
            image: self.image.clone()?,
            output: self.output.clone(),
            dry_run: self.dry_run,
            opening: self.opening.clone(),
        })
    }
}

/// Over its options. Not `next_help_heading`, which would stand over those of the verb, too.
const OPENED: &str = "How the image is opened";

/// How an image is opened.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Opening {
    /// Its format, for a raw disk that begins like something else; else it is found out
    #[arg(long, help_heading = OPENED, value_name = "FORMAT", value_enum)]
    pub(crate) format: Option<Format>,
    /// Read the backing files that the image names; only for images that you trust
    #[arg(long, help_heading = OPENED)]
    pub(crate) follow_backing: bool,
    /// Which system, if there are several, by its number; or which file system, by its name
    ///
    /// `kiln image inspect` lists both. A file system such as `sda2` is shown by itself, whatever
    /// is on it; of one that is a system's root the system is.
    #[arg(long, help_heading = OPENED, value_name = "NUMBER|NAME", value_parser = wanted)]
    pub(crate) root: Option<Wanted>,
    /// Hold the guest in a libguestfs appliance, also where Kiln could do without
    #[arg(long, help_heading = OPENED)]
    pub(crate) appliance: bool,
    /// Let this host's kernel mount what Kiln cannot read itself, instead of an appliance: only for
    /// images that you trust, and only as root
    #[arg(long, help_heading = OPENED, conflicts_with = "appliance")]
    pub(crate) trust: bool,
    /// A file whose first line is the passphrase of the guest's encrypted disks; can be given
    /// several times
    #[arg(long, help_heading = OPENED, value_name = "FILE")]
    pub(crate) key_file: Vec<PathBuf>,
    /// It is under way, made by Kiln, and may be read-only already: no option
    #[arg(skip)]
    pub(crate) under_way: bool,
}

fn wanted(text: &str) -> Result<Wanted, Infallible> {
    Ok(Wanted::from(text))
}

/// Formats that are read in process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// The bytes of the disk
    Raw,
    /// QEMU's own
    Qcow2,
}
