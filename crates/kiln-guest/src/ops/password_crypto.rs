// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `password-crypto`.

use super::{Operation, Parsed, Setting, Shown, Wrong};
use crate::system::crypt::Crypto;

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "password-crypto",
    argument: Some("md5|sha256|sha512|yescrypt"),
    heading: "Choose how passwords are hashed",
    documentation: "\
Chooses how the passwords that are set are hashed, all of them. The default is sha512, which every \
Linux since 2008 takes. yescrypt is stronger, takes a few tenths of a second, and needs libxcrypt \
4.3 or newer in the guest (Debian 11, Ubuntu 20.04, Fedora 30, RHEL 9, not Alpine). md5 is for \
older systems than 2008, and not safe any more.

It does not change how the guest hashes passwords itself.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| {
        let found = Crypto::ALL.iter().find(|(word, _)| *word == text);
        let wrong = || Wrong::new(format!("`{text}` is no way of hashing that kiln knows"));
        found.map(|(_, crypto)| Parsed::Setting(Setting::Crypto(*crypto))).ok_or_else(wrong)
    },
};
