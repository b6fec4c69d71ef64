// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `snapd`: remove the identity of the device at the snap store, and users' logins.

use serde_json::Value;

use super::{Operation, Origin, Run};
use crate::seal::work::Work;
use crate::tree::{GuestPath, TreeError};

/// What snapd knows.
const STATE: &str = "/var/lib/snapd/state.json";
/// What of the device is its identity; brand and model stay. Source: `DeviceState` of snapd,
/// overlord/auth.
const DEVICE: [&str; 3] = ["serial", "key-id", "session-macaroon"];
/// What is users' own. Source: `AuthState` there.
const USERS: [&str; 2] = ["users", "macaroon-key"];

pub(super) const OPERATION: Operation = Operation {
    name: "snapd",
    origin: Origin::Kiln,
    default: true,
    heading: "Remove the identity at the snap store, and users' logins",
    documentation: "The device's key, serial number and session, and the tokens of users who are \
        logged in. snapd registers each clone anew; snaps stay installed.",
    notes: "",
    paths: &[
        STATE,
        "/var/lib/snapd/device/private-keys-v1/*",
        "/var/lib/snapd/assertions/asserts-v0/serial/*",
        "/root/.snap/auth.json",
        "/home/*/.snap/auth.json",
    ],
    run: Run::Tree(run),
};

fn run(work: &mut Work<'_, '_>) -> Result<(), TreeError> {
    let state = GuestPath::from(STATE);
    if let Some(text) = work.text(&state)? {
        match forget(&text) {
            Some(Some(new)) => work.write(&state, &new, 0o600)?,
            Some(None) => {}
            None => {
                work.note(format!("`{STATE}` is not as snapd writes it, and was left"));
                return Ok(());
            }
        }
    }
    work.remove_trees(&OPERATION.paths[1..])
}

/// Takes the identity out of the state; `None` inside if there was none, outside if it is no
/// state.
fn forget(text: &[u8]) -> Option<Option<Vec<u8>>> {
    let mut state: Value = serde_json::from_slice(text).ok()?;
    let data = state.get_mut("data")?.as_object_mut()?;
    let Some(auth) = data.get_mut("auth").and_then(Value::as_object_mut) else {
        return Some(None);
    };
    let mut changed = false;
    for key in USERS {
        changed |= auth.shift_remove(key).is_some_and(|value| !value.is_null());
    }
    if let Some(device) = auth.get_mut("device").and_then(Value::as_object_mut) {
        for key in DEVICE {
            changed |= device.shift_remove(key).is_some();
        }
    }
    Some(if changed { serde_json::to_vec(&state).ok() } else { None })
}

#[cfg(test)]
mod tests {
    use crate::seal::cases::sealed;
    use crate::tree::memory::MemoryTree;

    #[test]
    fn the_identity_goes_and_the_snaps_stay() {
        let state = r#"{"data":{"auth":{"last-id":1,"users":[{"id":1,"macaroon":"m"}],"device":{"brand":"generic","model":"generic-classic","serial":"s","key-id":"k","session-macaroon":"q"},"macaroon-key":"a"},"snaps":{"core":{"n":18446744073709551615}}},"changes":{}}"#;
        let mut tree = MemoryTree::of(&[&format!("/var/lib/snapd/state.json={state}")]);
        sealed(&mut tree, "snapd");
        let kept = r#"{"data":{"auth":{"last-id":1,"device":{"brand":"generic","model":"generic-classic"}},"snaps":{"core":{"n":18446744073709551615}}},"changes":{}}"#;
        assert_eq!(tree.text("/var/lib/snapd/state.json"), kept);
        assert_eq!(sealed(&mut tree, "snapd").done[0].edits.list, []);
    }

    #[test]
    fn what_is_no_state_is_left() {
        for text in ["{", "[]", "{\"data\":3}"] {
            let mut tree = MemoryTree::of(&[
                &format!("/var/lib/snapd/state.json={text}"),
                "/var/lib/snapd/device/private-keys-v1/k",
            ]);
            let report = sealed(&mut tree, "snapd");
            assert_eq!((report.done[0].edits.list.len(), report.done[0].notes.len()), (0, 1));
        }
    }
}
