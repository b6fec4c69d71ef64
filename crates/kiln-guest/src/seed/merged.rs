// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The user-data of a seed: the user's, with Kiln's in it or behind it.

use super::{Login, Seed, login, mime};
use crate::userdata::{self, UserData};
use crate::yaml::{Node, emit};

/// How cloud-init adds Kiln's part to what it has: lists grow, mappings are joined, and what is
/// there stays.
const MERGE_TYPE: &str = "list(append)+dict(no_replace,recurse_list)+str()";

/// Returns the user-data of a seed that has been checked.
pub(super) fn user_data(seed: &Seed) -> String {
    let Some(data) = &seed.user_data else {
        return config_file(&login::merged(seed.setup.added_to(Node::map([])), &seed.login));
    };
    if let Some(theirs) = data.config() {
        return config_file(&login::merged(seed.setup.added_to(theirs.clone()), &seed.login));
    }
    let other = part(data);
    // Kiln's comes last, so that nothing of the user's is new to a list that Kiln began.
    let ours = config_text(&login::alone(&seed.login, &seed.setup));
    let ours = mime::Part::encoded("text/cloud-config", &ours).header("Merge-Type", MERGE_TYPE);
    mime::multipart(&[other, ours])
}

/// Returns the vendor-data as they were written, but for the image's own account: nobody could log
/// in without it.
pub(super) fn vendor_data(data: &UserData, login: &Login) -> String {
    if let Some(theirs) = data.config() {
        let ours = login::beside_vendors(theirs.clone(), login);
        if ours != *theirs {
            return config_file(&ours);
        }
    }
    let text = data.text();
    if data.config().is_some() && userdata::is_mime(text) {
        mime::multipart(&[part(data)])
    } else {
        text.to_owned()
    }
}

fn part(data: &UserData) -> mime::Part {
    match data.kind().mime_type() {
        Some(mime_type) => mime::Part::encoded(mime_type, data.text()),
        None => mime::Part::message(data.text()),
    }
}

fn config_text(tree: &Node) -> String {
    format!("#cloud-config\n{}", emit(tree))
}

/// Returns a cloud-config as a file of its own. One that cloud-init would take for a MIME
/// message (it holds a mail, perhaps) is put into one.
fn config_file(tree: &Node) -> String {
    let text = config_text(tree);
    if userdata::is_mime(&text) {
        mime::multipart(&[mime::Part::encoded("text/cloud-config", &text)])
    } else {
        text
    }
}
