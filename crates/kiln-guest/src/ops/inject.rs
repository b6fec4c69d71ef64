// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `inject-blnsvr`, `inject-qemu-ga`, `inject-virtio-win`: for Windows guests.

use super::argument::action;
use super::{Action, Operation, Parsed, Problem, Scene, Shown, Wrong};
use crate::system::Family;

/// What an operation for Windows guests is called, and what it would put there.
const fn operation(name: &'static str, heading: &'static str) -> Operation {
    Operation {
        name,
        argument: Some("ISO|DIR"),
        heading,
        documentation: "\
This operation of virt-customize is for Windows guests, which Kiln cannot edit yet. It is refused, \
for a Linux guest too: Linux has these drivers in its kernel, and the guest agent in its packages.

  --install qemu-guest-agent",
        runs_programs: false,
        shown: Shown::Whole,
        parse,
    }
}

/// The balloon server.
pub(super) const BLNSVR: Operation =
    operation("inject-blnsvr", "Put the balloon server into a Windows guest (refused)");
/// The guest agent.
pub(super) const QEMU_GA: Operation =
    operation("inject-qemu-ga", "Put the QEMU guest agent into a Windows guest (refused)");
/// The drivers.
pub(super) const VIRTIO_WIN: Operation =
    operation("inject-virtio-win", "Put the virtio drivers into a Windows guest (refused)");

fn parse(_: &str) -> Result<Parsed, Wrong> {
    action(Inject)
}

#[derive(Debug)]
struct Inject;

impl Action for Inject {
    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        Err(Problem::refused(match scene.known.family {
            Family::Windows => "kiln cannot edit Windows guests yet",
            _ => "it is for Windows guests, and this is none",
        }))
    }
}
