// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `edit`.

use super::argument::{action, pair, path};
use super::perl::Program;
use super::{Action, Operation, Problem, Scene, Shown};
use crate::tree::GuestPath;

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "edit",
    argument: Some("FILE:EXPR"),
    heading: "Edit a file with an expression",
    documentation: "\
Applies EXPR to each line of FILE, which must be there. virt-customize takes any Perl; Kiln runs no \
Perl, and understands these expressions of it, several of them parted by semicolons:

  s/REGEX/REPLACEMENT/FLAGS   replace; flags g i m s x; any delimiter
  tr/abc/xyz/FLAGS, y/../../  replace characters; flags c d s
  $_ = \"text\", $_ .= \"text\"   set the line, or add to it
  undef $_, next              leave the line out

each with a condition behind it, if it is to have one: if /REGEX/, unless /REGEX/, \
if $lineno == 3 (also < > <= >= !=). Regular expressions are Perl's, with look-around and \
back-references; replacements know $1, ${1}, $&, \\n, \\t, \\u, \\U, \\L, \\E. Anything else is an \
error before anything is changed.

A line has its line end, as in Perl. FILE keeps its owner, permissions, extended attributes and \
SELinux label; if nothing changes, it is not written.

  --edit '/etc/default/grub:s/^GRUB_TIMEOUT=.*/GRUB_TIMEOUT=1/'
  --edit '/etc/ssh/sshd_config:s/^#?PermitRootLogin .*/PermitRootLogin no/'",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| {
        let (file, expression) = pair(text)?;
        action(Edit { file: path(file)?, program: Program::parse(expression)? })
    },
};

#[derive(Debug)]
struct Edit {
    file: GuestPath,
    program: Program,
}

impl Action for Edit {
    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        let text = scene.text(&self.file)?;
        let new = self.program.run(&text).map_err(|wrong| Problem::refused(wrong.0))?;
        if new != text {
            scene.put(&self.file, &new, 0o644)?;
        }
        Ok(())
    }
}
