// SPDX-License-Identifier: Apache-2.0 OR MIT
//! MIME messages of several parts: RFC 2045 and 2046, as much as cloud-init reads.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The bytes that fill a line of base64, which has 76 characters.
const LINE_BYTES: usize = 57;

/// A part: headers, an empty line, the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part(String);

impl Part {
    /// Returns a part of this type. Its body is base64, so it may hold anything.
    pub(super) fn encoded(mime_type: &str, body: &str) -> Self {
        Self(format!(
            "Content-Type: {mime_type}; charset=\"utf-8\"\nMIME-Version: 1.0\n\
             Content-Transfer-Encoding: base64\n\n{}",
            base64(body.as_bytes())
        ))
    }

    /// Returns a message with headers of its own as a part.
    pub(super) fn message(text: &str) -> Self {
        Self(text.trim_start().to_owned())
    }

    /// Adds a header.
    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.0.insert_str(0, &format!("{name}: {value}\n"));
        self
    }
}

/// Returns a message of these parts, in order.
pub(super) fn multipart(parts: &[Part]) -> String {
    // A boundary must stand in no part; a user's message could hold any.
    let boundary = (0_u64..)
        .map(|n| format!("===kiln-{n}==="))
        .find(|boundary| !parts.iter().any(|part| part.0.contains(boundary.as_str())))
        .expect("a text does not hold all numbers");
    let mut out =
        format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\nMIME-Version: 1.0\n\n");
    for part in parts {
        out.push_str(&format!("--{boundary}\n{}\n", part.0));
    }
    out.push_str(&format!("--{boundary}--\n"));
    out
}

fn base64(bytes: &[u8]) -> String {
    bytes.chunks(LINE_BYTES).map(|line| STANDARD.encode(line) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_base64_have_76_characters() {
        assert_eq!(base64(b"foob"), "Zm9vYg==\n");
        assert_eq!(base64(&[0xff; 58]), format!("{}\n/w==\n", "/".repeat(76)));
        assert_eq!(base64(b""), "");
    }

    #[test]
    fn the_boundary_is_in_no_part() {
        let message = multipart(&[Part::message("A: b\n\n===kiln-0===\n===kiln-1===\n")]);
        assert!(message.starts_with("Content-Type: multipart/mixed; boundary=\"===kiln-2===\"\n"));
    }
}
