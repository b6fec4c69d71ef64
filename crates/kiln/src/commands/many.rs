// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Several machines of one command: some at a time, and told one by one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use kiln_host::signal;

use kiln_libvirt::xml::Element;
use kiln_spec::MachineName;
use serde_json::{Value, json};

use crate::error::{Problem, report};
use crate::machine::existing::Machine;
use crate::ui::Ui;

/// How many machines that are there are worked on at the same time: what libvirt takes of one
/// connection (`max_client_requests`, 5), and some that wait for their guests.
pub(in crate::commands) const AT_ONCE: usize = 16;

/// So many machines at most are told of one by one while they are made; of more it is said how many
/// are made, too.
const A_FEW: usize = 8;

/// What one machine came to.
pub(super) struct Made<T> {
    name: String,
    outcome: anyhow::Result<T>,
}

/// Makes all the machines, `at_once` at the same time; one that fails does not stop the others.
/// `make` gets the number of each, from 0.
pub(super) fn make_all<T: Send>(
    ui: &Ui,
    names: &[MachineName],
    at_once: usize,
    make: impl Fn(usize, &MachineName) -> anyhow::Result<T> + Sync,
) -> Vec<Made<T>> {
    let numbered: Vec<(usize, &MachineName)> = names.iter().enumerate().collect();
    let all = names.len();
    let (whole, ended) = ((all > A_FEW).then(|| ui.task("machines")), AtomicUsize::new(0));
    each(&numbered, at_once, |(number, name)| {
        let outcome = begin().and_then(|()| make(*number, name));
        let ended = ended.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(whole) = &whole {
            whole.phase("made", &format!("{ended} of {all}"));
        }
        Made { name: name.to_string(), outcome }
    })
}

/// Does `work` with each of the machines, some at a time; one that fails does not stop the others.
/// After a signal no other is begun. Returns what came of those that did not fail, the failures as
/// JSON, and the worst exit code.
///
/// # Errors
///
/// The failure of a single machine.
pub(super) fn of_each<T: Send>(
    ui: &Ui,
    machines: &[Machine],
    work: impl Fn(&Machine) -> anyhow::Result<T> + Sync,
) -> anyhow::Result<(Vec<T>, Vec<Value>, u8)> {
    let worked = each(machines, AT_ONCE, |machine| Made {
        name: machine.name.clone(),
        outcome: begin().and_then(|()| work(machine)),
    });
    let mut done = Vec::new();
    let told = tell(ui, worked, |one| {
        done.push(one);
        Ok(None)
    })?;
    Ok((done, told.failed, told.code))
}

/// Refuses to begin after a signal.
fn begin() -> anyhow::Result<()> {
    if signal::interrupted() { Err(Problem::stopped().into()) } else { Ok(()) }
}

/// Does `work` for each of `all`, `at_once` at the same time. Returns what came of each, in their
/// order.
pub(in crate::commands) fn each<I: Sync, T: Send>(
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
    one: impl FnMut(T) -> anyhow::Result<Option<Value>>,
) -> anyhow::Result<u8> {
    let all = made.len();
    let told = tell(ui, made, one)?;
    if ui.json() {
        let machines: Vec<Value> = told.made.into_iter().chain(told.failed).collect();
        ui.result(&json!({ "machines": machines }));
    } else if all > 1 {
        let failed = told.failed.len();
        ui.say(match failed {
            0 => format!("made {all} machines"),
            _ => format!("made {} of {all} machines; {failed} failed", all - failed),
        });
    }
    Ok(told.code)
}

/// What became of several machines.
#[derive(Default)]
struct Told {
    made: Vec<Value>,
    failed: Vec<Value>,
    code: u8,
}

fn tell<T>(
    ui: &Ui,
    made: Vec<Made<T>>,
    mut one: impl FnMut(T) -> anyhow::Result<Option<Value>>,
) -> anyhow::Result<Told> {
    let many = made.len() > 1;
    let (mut told, mut stopped) = (Told::default(), Vec::new());
    for Made { name, outcome } in made {
        let error = match outcome {
            Ok(made) => {
                told.made.extend(one(made)?);
                continue;
            }
            Err(error) if many => error,
            Err(error) => return Err(error),
        };
        let report = report(&error);
        told.code = told.code.max(report.code);
        told.failed.push(json!({ "name": name, "error": report.json() }));
        if report.code > 128 {
            stopped.push(name);
        } else if !ui.json() {
            ui.failure(&report);
        }
    }
    if !stopped.is_empty() {
        // One line: a signal stops all of them for the same reason.
        ui.warn(format!("stopped by a signal before the end: {}", stopped.join(", ")));
    }
    Ok(told)
}
