// SPDX-License-Identifier: Apache-2.0 OR MIT
//! End-to-end tests: the program, a real libvirt, real guests.
//!
//! Two run at a time (a guest without KVM fills a processor). A test whose need is missing is
//! shown as ignored and counted by `make test`; with `CI=true` it fails. The last thing looks for
//! leftovers.

mod build;
mod bundles;
mod clones;
mod dns;
mod faults;
mod forwards;
mod hosts;
mod lab;
mod launch;
mod lvm;
mod networks;
mod pools;
mod rbd;
mod seeds;
mod set_images;
mod sets;
mod templates;
mod terminal;
mod verbs;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// The first makes the image that most others need. Meanwhile those run that need none; then those
/// that boot a guest, and so take a minute or more, and the short ones last: so two at a time end
/// soonest.
fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(2));
    let mut first = launch::trials();
    let launches = first.split_off(1);
    let trials: Vec<Trial> = [
        first,
        faults::trials(),
        bundles::trials(),
        hosts::trials(),
        launches,
        build::trials(),
        networks::trials(),
        forwards::trials(),
        pools::trials(),
        rbd::trials(),
        sets::trials(),
        set_images::trials(),
        clones::trials(),
        dns::trials(),
        templates::trials(),
        lvm::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    let clean = arguments.list || lab::leave_clean();
    if conclusion.has_failed() || !clean { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
