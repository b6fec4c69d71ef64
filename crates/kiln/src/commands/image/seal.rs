// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image seal`.

use std::path::Path;

use kiln_disk::fs::identify::ContentKind;
use kiln_guest::guest::{Guest, Place};
use kiln_guest::ops::{Network, NewPassword, Plan, Report};
use kiln_guest::run::RunError;
use kiln_guest::seal::{
    Cause, OPERATIONS, Operation, Options, Origin, SealContext, SealReport, Selection, Subject,
    System, Volume, manual, seal,
};
use kiln_guest::tree::Tree;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{customize, edits, listing, open, report};
use crate::args::image::customize::Listing;
use crate::args::image::seal::Seal;
use crate::args::image::target::{Opening, Target};
use crate::context::Context;
use crate::error::{Class, Problem};

/// Seals an image, or lists the operations.
pub(crate) fn run(ctx: &Context, args: &Seal) -> anyhow::Result<u8> {
    let (Some(target), None) = (args.target.target(), args.list_operations) else {
        list(ctx, args.list_operations.unwrap_or(Listing::Short));
        return Ok(0);
    };
    let selection = selection(args)?;
    let plan = args.edits.plan()?;
    let options = Options {
        remove_users: names(&args.remove_user_accounts)?,
        keep_users: names(&args.keep_user_accounts)?,
        no_labels: plan.settings.no_relabel,
    };
    options.check(&selection)?;
    check(args, &selection)?;
    let keys = customize::prepare(ctx, &plan)?;
    let mut changing = open::guest_editing(ctx, &target)?;
    let mut task = Task { ctx, args, plan, keys, edited: None };
    let report = task.seal(&mut changing.guest, &selection, &options)?;
    show(ctx, args.target.dry_run, &report);
    task.renew_ca_store(&mut changing.guest, &report)?;
    let edited = task.edited.filter(|_| !args.target.dry_run);
    let passwords = edited.map(|edited| edited.passwords).unwrap_or_default();
    let result = as_json(&target.image, args.target.dry_run, &report, &passwords);
    let told = report::tell_passwords(ctx, &passwords, &result)?;
    changing.finish()?;
    if ctx.ui.json() && !told {
        ctx.ui.result(&result);
    } else if args.target.dry_run {
        ctx.ui.say("nothing was changed: this was a dry run");
    }
    Ok(0)
}

/// Refuses what cannot be, or would have no effect.
fn check(args: &Seal, selection: &Selection) -> anyhow::Result<()> {
    if !args.script.is_empty() {
        let what = "`--script` runs a program of the host on a mounted guest, and none is mounted";
        let hint = "`--run` runs a program in the guest";
        return Err(Problem::new(Class::Host, what).hint(hint).into());
    }
    match args.edits.given.first() {
        Some((operation, _)) if !selection.contains("customize") => {
            let name = operation.name;
            let what =
                format!("`--{name}` is for the operation `customize`, which is not selected");
            Err(Problem::new(Class::Usage, what).into())
        }
        _ => Ok(()),
    }
}

fn selection(args: &Seal) -> anyhow::Result<Selection> {
    let mut selection = Selection::default();
    if let Some(list) = &args.enable {
        selection.enable(list)?;
    }
    args.operations.iter().try_for_each(|list| selection.add_list(list))?;
    Ok(selection)
}

fn names(users: &[String]) -> anyhow::Result<std::collections::BTreeSet<String>> {
    if users.iter().any(String::is_empty) {
        return Err(Problem::new(Class::Usage, "a list of accounts has an empty name in it").into());
    }
    Ok(users.iter().cloned().collect())
}

/// A seal with the edits that come with it.
struct Task<'a> {
    ctx: &'a Context,
    args: &'a Seal,
    plan: Plan,
    keys: Vec<String>,
    edited: Option<Report>,
}

impl Task<'_> {
    fn seal(
        &mut self,
        guest: &mut Guest,
        selection: &Selection,
        options: &Options,
    ) -> anyhow::Result<SealReport> {
        // An error of the edits is shown as it is, not as the cause of another.
        let mut failed = None;
        let mut customize = |tree: &mut dyn Tree| match self.edit(tree) {
            Ok(notes) => Ok(notes),
            Err(error) => {
                failed = Some(error);
                Err(Cause::from("the edits failed"))
            }
        };
        let mut seal_ctx = SealContext {
            subject: &mut Opened(guest),
            now: open::now(),
            options,
            customize: Some(&mut customize),
            script: None,
        };
        let sealed = seal(selection, &mut seal_ctx);
        match failed {
            Some(error) => Err(error),
            None => Ok(sealed?),
        }
    }

    fn edit(&mut self, tree: &mut dyn Tree) -> anyhow::Result<Vec<String>> {
        if self.plan.steps.is_empty() {
            return Ok(Vec::new());
        }
        let how = (self.args.programs.network(), self.keys.as_slice());
        let done = customize::apply(self.ctx, how, &self.plan, tree)?;
        let notes = done.notes.clone();
        self.edited = Some(done);
        Ok(notes)
    }

    /// Lets the guest make its store of trusted certificates again if some were removed.
    fn renew_ca_store(&self, guest: &mut Guest, report: &SealReport) -> anyhow::Result<()> {
        if !report.ca_store {
            return Ok(());
        }
        let Some(command) = System::of(guest.tree())?.ca_store_command() else {
            self.ctx.ui.warn("certificates were removed; the guest's store still has them");
            return Ok(());
        };
        let mut plan = Plan::default();
        plan.add("run-command", Some(command))?;
        let Err(error) = customize::apply(self.ctx, (Network::None, &[]), &plan, guest.tree())
        else {
            return Ok(());
        };
        let impossible = |cause: &(dyn std::error::Error + 'static)| {
            matches!(cause.downcast_ref(), Some(RunError::Impossible { .. }))
        };
        if error.chain().any(impossible) {
            self.ctx.ui.warn(format!(
                "certificates were removed; `{command}` in the guest makes its store of them again"
            ));
            return Ok(());
        }
        Err(error.context("the guest's store of certificates could not be made again"))
    }
}

/// Seals the guest on a disk by these operations; `edits` are made last, as the operation
/// `customize`. Returns `None` if there is no system on it, and changes nothing then.
///
/// # Errors
///
/// The guest cannot be opened or changed; the disk is as it was.
pub(crate) fn seal_disk(
    ctx: &Context,
    (disk, opening): (&Path, Opening),
    selection: &Selection,
    edits: &mut dyn FnMut(&mut dyn Tree) -> anyhow::Result<Vec<String>>,
) -> anyhow::Result<Option<SealReport>> {
    let image = disk.display().to_string();
    let target = Target { image, output: None, dry_run: false, opening };
    let mut changing = open::guest_editing(ctx, &target)?;
    if changing.guest.root().is_none() {
        return Ok(None);
    }
    // An error of the edits is shown as it is, not as the cause of another.
    let mut failed = None;
    let mut customize = |tree: &mut dyn Tree| match edits(tree) {
        Ok(notes) => Ok(notes),
        Err(error) => {
            failed = Some(error);
            Err(Cause::from("the edits failed"))
        }
    };
    let sealed = seal(
        selection,
        &mut SealContext {
            subject: &mut Opened(&mut changing.guest),
            now: open::now(),
            options: &Options::default(),
            customize: Some(&mut customize),
            script: None,
        },
    );
    if let Some(error) = failed {
        return Err(error);
    }
    let report = sealed?;
    changing.finish()?;
    Ok(Some(report))
}

/// A guest as it is sealed.
struct Opened<'a>(&'a mut Guest);

impl Opened<'_> {
    fn places(&self) -> &[Place] {
        self.0.disk().map(|disk| &disk.places[..]).unwrap_or_default()
    }
}

impl Subject for Opened<'_> {
    fn tree(&mut self) -> &mut dyn Tree {
        self.0.tree()
    }

    fn volumes(&mut self) -> Vec<Volume> {
        let places = self.places().iter().filter(|place| place.content.kind.has_files());
        let volume =
            |place: &Place| Volume { name: place.name.clone(), fs: place.content.kind.to_string() };
        places.map(volume).collect()
    }

    fn new_uuid(&mut self, volume: &Volume) -> Result<bool, Cause> {
        Ok(self.0.set_uuid(&volume.name, Uuid::new_v4().into_bytes())?)
    }

    fn new_lvm_uuids(&mut self) -> Result<Option<bool>, Cause> {
        let lvm = self.places().iter().any(|place| place.content.kind == ContentKind::LvmPv);
        Ok(lvm.then_some(false))
    }
}

/// Shows what each operation changed: in a dry run each place, else how much.
fn show(ctx: &Context, dry_run: bool, report: &SealReport) {
    for done in &report.done {
        for note in &done.notes {
            ctx.ui.warn(format!("{}: {note}", done.operation));
        }
        if done.edits.list.is_empty() {
            ctx.ui.detail(format!("{}: nothing to do", done.operation));
        } else if !ctx.ui.json() {
            ctx.ui.out(format!("{}: {}", done.operation, edits::summary(&done.edits)));
            if dry_run {
                edits::lines(&done.edits).iter().for_each(|line| ctx.ui.out(format!("  {line}")));
            }
        }
    }
    report::tell_labels(ctx, &report.labels);
}

fn list(ctx: &Context, how: Listing) {
    let all = OPERATIONS.iter().map(operation_as_json).collect();
    let manual =
        listing::Manual { short: manual::list, long: manual::manual, markdown: manual::markdown };
    listing::tell(ctx, how, all, &manual);
}

fn operation_as_json(operation: &Operation) -> Value {
    json!({
        "name": operation.name,
        "default": operation.default,
        "origin": match operation.origin {
            Origin::Sysprep => "virt-sysprep",
            Origin::Kiln => "kiln",
        },
        "heading": operation.heading,
        "documentation": operation.documentation,
        "notes": operation.notes,
        "paths": operation.paths,
    })
}

fn as_json(image: &str, dry_run: bool, report: &SealReport, passwords: &[NewPassword]) -> Value {
    let done = |done: &kiln_guest::seal::Done| {
        json!({
            "name": done.operation,
            "changes": edits::as_json(&done.edits),
            "changes_left_out": done.edits.left_out,
            "notes": done.notes,
        })
    };
    let operations: Vec<_> = report.done.iter().map(done).collect();
    json!({
        "image": image,
        "dry_run": dry_run,
        "operations": operations,
        "selinux_labels": report::labels(&report.labels),
        "passwords": passwords.iter().map(report::password).collect::<Vec<_>>(),
    })
}
