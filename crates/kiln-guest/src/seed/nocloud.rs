// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The files that cloud-init's `NoCloud` asks for.
//!
//! Source: `DataSourceNoCloud.py` of cloud-init 22.4 to 26.2: `user-data` and `meta-data` must
//! be there, `vendor-data` and `network-config` may.

use kiln_disk::fs::iso9660::{Iso, IsoError};

use super::{Seed, SeedFile, login, mime};
use crate::userdata::{self, Content};
use crate::yaml::{self, Node, emit};

/// The volume id by which cloud-init finds the drive.
pub const VOLUME: &str = "cidata";

/// How cloud-init adds Kiln's part to what it has: lists grow, mappings are joined, and what is
/// there stays.
const MERGE_TYPE: &str = "list(append)+dict(no_replace,recurse_list)+str()";

/// Returns the files of a seed that has been checked.
pub(super) fn files(seed: &Seed) -> Vec<SeedFile> {
    let mut files = vec![
        SeedFile { name: "meta-data", bytes: meta_data(seed).into_bytes() },
        SeedFile { name: "user-data", bytes: user_data(seed).into_bytes() },
    ];
    if let Some(text) = &seed.network_config {
        files.push(SeedFile { name: "network-config", bytes: network_config(text).into_bytes() });
    }
    if let Some(text) = &seed.vendor_data {
        files.push(SeedFile { name: "vendor-data", bytes: text.clone().into_bytes() });
    }
    files
}

/// Returns files as a drive that only root can read in the guest.
pub(super) fn iso(files: Vec<SeedFile>, time_secs: u64) -> Result<Vec<u8>, IsoError> {
    let empty = Iso::new(VOLUME, time_secs).private();
    files.into_iter().fold(empty, |iso, file| iso.file(file.name, file.bytes)).build()
}

fn meta_data(seed: &Seed) -> String {
    // cloud-init takes the domain off by itself.
    let name = seed.fqdn.as_deref().unwrap_or(seed.hostname.as_str());
    emit(&Node::map([
        ("instance-id", Node::text(seed.instance_id.to_string())),
        ("local-hostname", Node::text(name)),
    ]))
}

/// Returns a network configuration without the `network` around it: `NoCloud` takes that off
/// only since cloud-init 23.
fn network_config(text: &str) -> String {
    let tree = yaml::load(text).ok();
    tree.as_ref().and_then(|tree| tree.get("network")).map_or_else(|| text.to_owned(), emit)
}

fn user_data(seed: &Seed) -> String {
    let other = match seed.user_data.as_ref() {
        None => {
            return config_file(&login::merged(Node::map([]), &seed.login));
        }
        Some(data) => match &data.content {
            Content::Config(theirs) => {
                return config_file(&login::merged(theirs.clone(), &seed.login));
            }
            Content::Other(text) => match data.kind().mime_type() {
                Some(mime_type) => mime::Part::encoded(mime_type, text),
                None => mime::Part::message(text),
            },
        },
    };
    // Kiln's comes last, so that nothing of the user's is new to a list that Kiln began.
    let ours = config_text(&login::alone(&seed.login));
    let ours = mime::Part::encoded("text/cloud-config", &ours).header("Merge-Type", MERGE_TYPE);
    mime::multipart(&[other, ours])
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
