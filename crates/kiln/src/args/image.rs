// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image`.

use clap::{Args, Subcommand};

/// List, show and remove the images of the store
#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    List(ImageList),
    Info(ImageInfo),
    Rm(ImageRm),
}

/// List the images of the store
#[derive(Debug, Args)]
#[command(visible_alias = "ls")]
pub(crate) struct ImageList {}

/// Show an image's manifest
#[derive(Debug, Args)]
pub(crate) struct ImageInfo {
    /// The image's name
    pub(crate) image: String,
}

/// Remove images from the store; templates made of them stay in their pools
#[derive(Debug, Args)]
pub(crate) struct ImageRm {
    /// The images' names
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<String>,
}
