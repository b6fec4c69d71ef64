// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The list of Kiln's elements: one line each.

use super::Source;

macro_rules! element {
    ($name:literal) => {
        element!($name, None)
    };
    ($name:literal, script) => {
        element!($name, Some(include_str!(concat!("../../../../../elements/", $name, "/apply.sh"))))
    };
    ($name:literal, $script:expr) => {
        Source {
            name: $name,
            yaml: include_str!(concat!("../../../../../elements/", $name, "/element.yaml")),
            readme: include_str!(concat!("../../../../../elements/", $name, "/README.md")),
            script: $script,
        }
    };
}

/// All elements, by name.
pub const ELEMENTS: &[Source] = &[
    element!("acpid"),
    element!("cloud-init"),
    element!("dev-user", script),
    element!("growpart"),
    element!("guest-agent", script),
    element!("hostname", script),
    element!("locale", script),
    element!("mirror", script),
    element!("no-zeroconf", script),
    element!("serial-console", script),
    element!("ssh-keys", script),
    element!("sshd-policy", script),
    element!("swap"),
    element!("timezone", script),
];
