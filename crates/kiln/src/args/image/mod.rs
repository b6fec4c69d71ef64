// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image`: one file a verb.

pub(crate) mod cat;
pub(crate) mod check;
pub(crate) mod convert;
pub(crate) mod copy_in;
pub(crate) mod copy_out;
pub(crate) mod customize;
pub(crate) mod df;
pub(crate) mod diff;
pub(crate) mod edit;
pub(crate) mod info;
pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod ls;
pub(crate) mod pull;
pub(crate) mod resize;
pub(crate) mod rm;
pub(crate) mod seal;
pub(crate) mod tar_in;
pub(crate) mod tar_out;
pub(crate) mod target;

use clap::Subcommand;

/// Look into images and change them, without booting; list and remove those of the store
#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    List(list::List),
    Pull(pull::Pull),
    Info(info::Info),
    Rm(rm::Rm),
    Ls(ls::Ls),
    Cat(cat::Cat),
    Df(df::Df),
    Check(check::Check),
    Inspect(inspect::Inspect),
    Edit(edit::Edit),
    CopyIn(copy_in::CopyIn),
    CopyOut(copy_out::CopyOut),
    TarIn(tar_in::TarIn),
    TarOut(tar_out::TarOut),
    Diff(diff::Diff),
    Seal(seal::Seal),
    Convert(convert::Convert),
    Resize(resize::Resize),
    Customize(Box<customize::Customize>),
}
