// SPDX-License-Identifier: Apache-2.0 OR MIT
//! End-to-end tests: the program, a real libvirt, real guests.
//!
//! Two run at a time (a guest without KVM fills a processor). A test whose need is missing is
//! shown as ignored and counted by `make test`; with `CI=true` it fails. The last thing looks for
//! leftovers.

mod build;
mod bundles;
mod faults;
mod hosts;
mod images;
mod lab;
mod launch;
mod networks;
mod pools;
mod terminal;
mod verbs;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// Tests that boot a guest, and so take a minute or more, come first: with two at a time the
/// whole ends sooner.
fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(2));
    let trials: Vec<Trial> = [
        launch::trials(),
        bundles::trials(),
        images::trials(),
        hosts::trials(),
        build::trials(),
        faults::trials(),
        networks::trials(),
        pools::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    let clean = arguments.list || lab::leave_clean();
    if conclusion.has_failed() || !clean { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
