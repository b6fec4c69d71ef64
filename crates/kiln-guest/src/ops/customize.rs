// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Carrying out a plan.

use super::password::set_passwords;
use super::{Done, EditContext, EditError, Plan, Problem, Report, Scene};
use crate::selinux::{self, Labels};
use crate::system::Known;
use crate::tree::{GuestPath, How, Recorder, Tree, TreeError};

/// Does what a plan says, in order; passwords are set last of all, so that accounts which other
/// operations make can get one.
///
/// # Effects
///
/// Changes `ctx.tree`, and reads the files of the host that the plan names. At the first error
/// all ends, and the tree holds a part of the changes: the caller then throws them away.
///
/// # Errors
///
/// The operation that failed, and why.
pub fn customize(plan: &Plan, ctx: EditContext<'_>) -> Result<Report, EditError> {
    let EditContext { tree, now, random, keys, runner, network, progress } = ctx;
    let failed = |operation, argument: &str, source| EditError {
        operation,
        argument: argument.to_owned(),
        source,
    };
    let mut tree = Recorder::new(tree);
    let known =
        Known::of(&mut tree).map_err(|error| failed("inspect", "", Problem::Tree(error)))?;
    let mut scene = Scene {
        tree,
        known,
        now,
        random,
        keys,
        runner,
        network,
        settings: plan.settings.clone(),
        to_set: Vec::new(),
        passwords: Vec::new(),
        notes: Vec::new(),
        programs_ran: false,
    };
    let mut done = Vec::new();
    for step in &plan.steps {
        let operation = step.operation.name;
        progress(step);
        let applied = step.action.apply(&mut scene);
        applied.map_err(|problem| {
            failed(operation, &step.argument, first_missing(problem, &mut scene.tree))
        })?;
        let edits = scene.tree.take();
        done.push(Done { operation, argument: step.argument.clone(), edits });
    }
    if !scene.to_set.is_empty() {
        set_passwords(&mut scene).map_err(|(user, problem)| failed("password", &user, problem))?;
        let edits = scene.tree.take();
        // The passwords belong to the last operation that asked for one.
        let asked = |done: &&mut Done| matches!(done.operation, "password" | "root-password");
        if let Some(done) = done.iter_mut().rev().find(asked) {
            done.edits = edits;
        }
    }
    let labels = label(&mut scene, &done)
        .map_err(|error| failed("selinux-relabel", "", Problem::Tree(error)))?;
    let Scene { passwords, notes, programs_ran, .. } = scene;
    Ok(Report { done, passwords, programs_ran, labels, notes })
}

/// Names the first folder that is missing on the way to what is not there.
fn first_missing(problem: Problem, tree: &mut dyn Tree) -> Problem {
    let Problem::Tree(TreeError::NotFound { mut path }) = problem else { return problem };
    while let Some(folder) = path.parent()
        && matches!(tree.stat(&folder), Ok(None))
    {
        path = folder;
    }
    TreeError::NotFound { path }.into()
}

/// Gives files that are new, or have new names, the labels of their places.
fn label(scene: &mut Scene<'_>, done: &[Done]) -> Result<Labels, TreeError> {
    if scene.settings.no_relabel {
        return Ok(Labels::NotUsed);
    }
    let edits = done.iter().flat_map(|done| &done.edits.list);
    let new = edits.filter_map(|edit| match &edit.how {
        How::Made { .. } => Some(&edit.path),
        How::Moved { to } => Some(to),
        _ => None,
    });
    let excluded = &scene.settings.relabel_exclude;
    let wanted = |path: &&GuestPath| !excluded.iter().any(|folder| path.is_within(folder));
    let made: Vec<GuestPath> = new.filter(wanted).cloned().collect();
    selinux::label(&mut scene.tree, &made, scene.now)
}
