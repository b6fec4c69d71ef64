// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image convert`.

use std::path::PathBuf;

use clap::Args;
use kiln_disk::convert::{Compression, TargetFormat};

use super::target::Source;

/// Copy an image in another format
///
/// The copy is sparse: what is zeros takes no room. It gets its name when all of it is written, so
/// nothing is left of a copy that fails or is killed.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Convert {
    #[command(flatten)]
    pub(crate) source: Source,
    /// The file to make
    #[arg(value_name = "TARGET")]
    pub(crate) target: PathBuf,
    /// The format of the copy; else what the end of TARGET says (.qcow2, .raw, .img, .vmdk, .vhdx,
    /// .vhd, .vdi), else qcow2
    #[arg(short = 'O', long = "output-format", value_name = "FORMAT", value_enum)]
    pub(crate) to: Option<To>,
    /// Compress a qcow2 copy
    #[arg(long, value_name = "HOW", value_enum)]
    pub(crate) compress: Option<Compress>,
    /// Replace TARGET if it is there
    #[arg(long)]
    pub(crate) force: bool,
    /// Wait until all of the copy is on the disk, as is done when TARGET is replaced
    #[arg(long)]
    pub(crate) sync: bool,
    /// Show what would be made, and make nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

const EXAMPLES: &str = "EXAMPLES
    kiln image convert appliance.vmdk appliance.qcow2
    kiln image convert --compress zstd debian-12 /srv/share/debian-12.qcow2
    kiln image convert -O vmdk-stream web.qcow2 web.vmdk";

/// Formats of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum To {
    /// QEMU's own
    Qcow2,
    /// The bytes of the disk
    Raw,
    /// VMware's, in one sparse file
    Vmdk,
    /// VMware's, in one compressed file: what goes into an OVA
    VmdkStream,
    /// Microsoft's
    Vhdx,
    /// Microsoft's old one, VHD
    Vpc,
    /// VirtualBox's
    Vdi,
}

impl From<To> for TargetFormat {
    fn from(to: To) -> Self {
        match to {
            To::Qcow2 => Self::Qcow2,
            To::Raw => Self::Raw,
            To::Vmdk => Self::Vmdk,
            To::VmdkStream => Self::VmdkStream,
            To::Vhdx => Self::Vhdx,
            To::Vpc => Self::Vpc,
            To::Vdi => Self::Vdi,
        }
    }
}

/// How a copy is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Compress {
    /// Small and fast; QEMU 5.1 or newer
    Zstd,
    /// For every QEMU
    Zlib,
}

impl From<Compress> for Compression {
    fn from(compress: Compress) -> Self {
        match compress {
            Compress::Zstd => Self::Zstd,
            Compress::Zlib => Self::Zlib,
        }
    }
}
