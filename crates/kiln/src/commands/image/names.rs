// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Paths of a guest and targets of its links in `--json`, which need not be text.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// Puts bytes into an object as `key`: as they are if they are UTF-8. If not, `key` has U+FFFD for
/// what is none, and `key_base64` has the bytes.
pub(super) fn put(object: &mut Value, key: &str, bytes: &[u8]) {
    object[key] = json!(String::from_utf8_lossy(bytes));
    if str::from_utf8(bytes).is_err() {
        object[format!("{key}_base64")] = json!(BASE64_STANDARD.encode(bytes));
    }
}

/// Returns an object with nothing but a path.
pub(super) fn path(bytes: &[u8]) -> Value {
    let mut object = json!({});
    put(&mut object, "path", bytes);
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_be_told_apart_and_turned_back() {
        assert_eq!(path(b"/a\\xe9\x1b"), json!({ "path": "/a\\xe9\u{1b}" }));
        let other = json!({ "path": "/a\u{fffd}", "path_base64": "L2Hp" });
        assert_eq!(path(b"/a\xe9"), other);
        // A name that has U+FFFD itself is text.
        assert_eq!(path("/a\u{fffd}".as_bytes()), json!({ "path": "/a\u{fffd}" }));
    }
}
