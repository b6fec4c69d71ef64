// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Several machines of one command: made some at a time, and told one by one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use kiln_libvirt::xml::Element;
use kiln_spec::MachineName;
use serde_json::{Value, json};

use crate::error::report;
use crate::ui::Ui;

/// What one machine came to.
pub(super) struct Made<T> {
    name: MachineName,
    outcome: anyhow::Result<T>,
}

/// Makes all the machines, `at_once` at the same time; one that fails does not stop the others.
/// `make` gets the number of each, from 0.
pub(super) fn make_all<T: Send>(
    names: &[MachineName],
    at_once: usize,
    make: impl Fn(usize, &MachineName) -> anyhow::Result<T> + Sync,
) -> Vec<Made<T>> {
    let numbered: Vec<(usize, &MachineName)> = names.iter().enumerate().collect();
    each(&numbered, at_once, |(number, name)| Made {
        name: (*name).clone(),
        outcome: make(*number, name),
    })
}

/// Does `work` for each of `all`, `at_once` at the same time. Returns what came of each, in their
/// order.
pub(super) fn each<I: Sync, T: Send>(
    all: &[I],
    at_once: usize,
    work: impl Fn(&I) -> T + Sync,
) -> Vec<T> {
    // Who is done takes the next: a slow one holds nobody up.
    let (next, work) = (AtomicUsize::new(0), &work);
    let one_after_another = || {
        let mut done = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = all.get(place) else { return done };
            done.push((place, work(item)));
        }
    };
    let mut done: Vec<(usize, T)> = thread::scope(|scope| {
        let workers = at_once.min(all.len());
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(one_after_another)).collect();
        let ended = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        ended.flatten().collect()
    });
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, made)| made).collect()
}

/// Says what a dry run would make: of each machine the steps and the definition that `plan` returns,
/// which gets the number of each, from 0. Returns the exit code.
///
/// # Errors
///
/// Those of `plan`.
pub(super) fn would(
    ui: &Ui,
    names: &[MachineName],
    plan: impl Fn(usize, &MachineName) -> anyhow::Result<(Vec<String>, Element)>,
) -> anyhow::Result<u8> {
    let mut plans = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let (steps, xml) = plan(number, name)?;
        if ui.json() {
            plans.push(json!({ "name": name, "steps": steps, "xml": xml.to_string() }));
        } else {
            steps.iter().for_each(|step| ui.out(step));
            ui.out(xml.to_string().trim_end());
        }
    }
    if ui.json() {
        ui.result(&json!({ "would": plans }));
    }
    Ok(0)
}

/// Tells what became of each, `one` that of those that were made: to people, or as the JSON that it
/// returns. Returns the worst exit code.
///
/// # Errors
///
/// The failure of a single machine.
pub(super) fn show<T>(
    ui: &Ui,
    made: Vec<Made<T>>,
    mut one: impl FnMut(T) -> anyhow::Result<Option<Value>>,
) -> anyhow::Result<u8> {
    let many = made.len() > 1;
    let mut worst = None;
    let mut code = 0;
    let mut machines = Vec::new();
    for Made { name, outcome } in made {
        match outcome {
            Ok(made) => machines.extend(one(made)?),
            Err(error) if many => {
                let report = report(&error);
                code = code.max(report.code);
                machines.push(json!({ "name": name, "error": report.json() }));
                if !ui.json() {
                    ui.failure(&report);
                }
            }
            Err(error) => worst = Some(error),
        }
    }
    if let Some(error) = worst {
        return Err(error);
    }
    if ui.json() {
        ui.result(&json!({ "machines": machines }));
    }
    Ok(code)
}
