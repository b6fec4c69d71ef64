// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `chmod`.

use super::argument::{action, pair, path};
use super::{Action, Operation, Problem, Scene, Shown, Wrong};
use crate::tree::{Change, GuestPath, Tree as _};

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "chmod",
    argument: Some("PERMISSIONS:FILE"),
    heading: "Change the permissions of a file",
    documentation: "\
Changes the permissions of FILE, behind links, to PERMISSIONS: an octal number that begins with 0, \
such as 0640.

virt-customize takes a number without the 0 as decimal, which nobody means. Kiln refuses it.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| {
        let (mode, file) = pair(text)?;
        action(Chmod { mode: octal(mode)?, file: path(file)? })
    },
};

#[derive(Debug)]
struct Chmod {
    mode: u32,
    file: GuestPath,
}

impl Action for Chmod {
    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        let change = Change { mode: Some(self.mode), ..Change::default() };
        Ok(scene.tree.change(&self.file, &change, true)?)
    }
}

fn octal(text: &str) -> Result<u32, Wrong> {
    let digits = text.strip_prefix("0o").or_else(|| text.strip_prefix('0'));
    let Some(digits) = digits else {
        let why = format!("`{text}` has no leading 0; an octal number is meant: `0{text}`");
        return Err(Wrong::new(why));
    };
    let mode = if digits.is_empty() { Ok(0) } else { u32::from_str_radix(digits, 8) };
    mode.ok()
        .filter(|mode| *mode <= 0o7777 && !digits.starts_with('+'))
        .ok_or_else(|| Wrong::new(format!("`{text}` is no octal number up to 07777")))
}

#[cfg(test)]
mod tests {
    use super::octal;

    #[test]
    fn permissions_are_octal() {
        assert_eq!(octal("0640"), Ok(0o640));
        assert_eq!(octal("0o4755"), Ok(0o4755));
        assert_eq!(octal("0"), Ok(0));
        for bad in ["640", "0999", "010000", "", "0+7", "u+x"] {
            assert!(octal(bad).is_err(), "{bad}");
        }
    }
}
