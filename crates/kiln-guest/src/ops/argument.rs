// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Taking arguments apart, as virt-customize does: at the first colons, and only there.

use super::{Action, Parsed, Wrong};
use crate::tree::GuestPath;

/// Returns an action.
pub(super) fn action(action: impl Action + 'static) -> Result<Parsed, Wrong> {
    Ok(Parsed::Action(Box::new(action)))
}

/// Takes `a:b` apart at the first colon; neither may be missing, `b` may be empty.
pub(super) fn pair(text: &str) -> Result<(&str, &str), Wrong> {
    match text.split_once(':') {
        Some((first, rest)) if !first.is_empty() => Ok((first, rest)),
        Some(_) => Err(Wrong::new("nothing stands before the colon")),
        None => Err(Wrong::new("it has no colon")),
    }
}

/// Reads an absolute path in the guest.
pub(super) fn path(text: &str) -> Result<GuestPath, Wrong> {
    if !text.starts_with('/') {
        return Err(Wrong::new(format!("`{text}` is no absolute path: it must begin with `/`")));
    }
    GuestPath::new(text).map_err(|error| Wrong::new(error.to_string()))
}

/// Reads a path of the host.
pub(super) fn host_path(text: &str) -> Result<std::path::PathBuf, Wrong> {
    if text.is_empty() {
        return Err(Wrong::new("the file of the host is missing"));
    }
    if ["http://", "https://", "ftp://"].iter().any(|scheme| text.starts_with(scheme)) {
        let why = format!("`{text}` is an address of the network: download and check it first");
        return Err(Wrong::new(why));
    }
    Ok(text.into())
}
