// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `enable-unit`, `disable-unit`, `mask-unit`, `unmask-unit`.

use super::argument::action;
use super::{Action, Operation, Parsed, Problem, Scene, Shown, Wrong};
use crate::system::units;

/// `enable-unit`.
pub(super) const ENABLE: Operation = Operation {
    name: "enable-unit",
    argument: Some("UNIT"),
    heading: "Start a unit of systemd at boot",
    documentation: "\
Makes the links that `systemctl enable` makes, as the [Install] section of the unit says, also for \
the units that it names with Also. UNIT is a name such as nginx, nginx.service or getty@tty1. A \
unit without such a section is started by others; that is said, and is no error.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| parse(text, Verb::Enable),
};

/// `disable-unit`.
pub(super) const DISABLE: Operation = Operation {
    name: "disable-unit",
    argument: Some("UNIT"),
    heading: "Do not start a unit of systemd at boot",
    documentation: "\
Removes the links that `systemctl disable` removes: all below /etc/systemd/system that lead to the \
unit. Other units may still start it: see mask-unit.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| parse(text, Verb::Disable),
};

/// `mask-unit`.
pub(super) const MASK: Operation = Operation {
    name: "mask-unit",
    argument: Some("UNIT"),
    heading: "Keep a unit of systemd from starting at all",
    documentation: "\
Makes UNIT a link to /dev/null in /etc/systemd/system, so that nothing can start it.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| parse(text, Verb::Mask),
};

/// `unmask-unit`.
pub(super) const UNMASK: Operation = Operation {
    name: "unmask-unit",
    argument: Some("UNIT"),
    heading: "Take the mask off a unit of systemd",
    documentation: "Removes what mask-unit made.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| parse(text, Verb::Unmask),
};

#[derive(Clone, Copy, Debug)]
enum Verb {
    Enable,
    Disable,
    Mask,
    Unmask,
}

#[derive(Debug)]
struct Unit {
    name: String,
    verb: Verb,
}

fn parse(text: &str, verb: Verb) -> Result<Parsed, Wrong> {
    let name = units::full_name(text).ok_or_else(|| Wrong::new("this is no name of a unit"))?;
    action(Unit { name, verb })
}

impl Action for Unit {
    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        let Self { name, verb } = self;
        let now = scene.now;
        let note = match verb {
            Verb::Enable => {
                let possible = units::enable(&mut scene.tree, name, now)?;
                (!possible).then(|| {
                    format!(
                        "`{name}` has no [Install] section: other units start it, or nothing does"
                    )
                })
            }
            Verb::Disable => {
                let removed = units::disable(&mut scene.tree, name)?;
                (!removed).then(|| format!("`{name}` was not enabled"))
            }
            Verb::Mask => {
                let known = units::mask(&mut scene.tree, name, now)?;
                (!known)
                    .then(|| format!("the guest has no unit `{name}`; it is masked all the same"))
            }
            Verb::Unmask => {
                let removed = units::unmask(&mut scene.tree, name)?;
                (!removed).then(|| format!("`{name}` was not masked"))
            }
        };
        note.into_iter().for_each(|note| scene.note(note));
        Ok(())
    }
}
