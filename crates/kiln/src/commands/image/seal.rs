// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image seal`.

use kiln_disk::fs::identify::ContentKind;
use kiln_guest::guest::{Guest, Place};
use kiln_guest::seal::{
    Cause, OPERATIONS, Operation, Options, Origin, SealContext, SealReport, Selection, Subject,
    System, Volume, manual, seal,
};
use kiln_guest::selinux::Labels;
use kiln_guest::tree::Tree;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{edits, open};
use crate::args::image::seal::{Listing, Seal};
use crate::context::Context;
use crate::error::{Class, Problem};

/// Seals an image, or lists the operations.
pub(crate) fn run(ctx: &Context, args: &Seal) -> anyhow::Result<u8> {
    let (Some(target), None) = (args.target(), args.list_operations) else {
        list(ctx, args.list_operations.unwrap_or(Listing::Short));
        return Ok(0);
    };
    let selection = selection(args)?;
    let options = Options {
        remove_users: names(&args.remove_user_accounts)?,
        keep_users: names(&args.keep_user_accounts)?,
        ..Options::default()
    };
    options.check(&selection)?;
    if !args.script.is_empty() {
        let what = "`--script` runs a program of the host on a mounted guest, and none is mounted";
        let hint = "edit the image with `kiln image customize`, or run programs in it with `--run`";
        return Err(Problem::new(Class::Host, what).hint(hint).into());
    }
    let mut changing = open::guest_editing(ctx, &target)?;
    let report = seal_guest(&mut changing.guest, &selection, &options)?;
    show(ctx, args.dry_run, &report);
    hint_at_ca_store(ctx, &mut changing.guest, &report)?;
    changing.finish()?;
    if ctx.ui.json() {
        ctx.ui.result(&as_json(&target.image, args.dry_run, &report));
    } else if args.dry_run {
        ctx.ui.say("nothing was changed: this was a dry run");
    }
    Ok(0)
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

fn seal_guest(
    guest: &mut Guest,
    selection: &Selection,
    options: &Options,
) -> anyhow::Result<SealReport> {
    let mut ctx = SealContext {
        subject: &mut Opened(guest),
        now: open::now(),
        options,
        customize: None,
        script: None,
    };
    Ok(seal(selection, &mut ctx)?)
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
    match &report.labels {
        Labels::NotUsed => {}
        Labels::Given(count) => ctx.ui.detail(format!("{count} new files got SELinux labels")),
        Labels::Scheduled { why } => {
            ctx.ui
                .warn(format!("the guest gives its files SELinux labels at its next boot: {why}"));
        }
    }
}

/// Says what is left to do if trusted certificates were removed.
fn hint_at_ca_store(ctx: &Context, guest: &mut Guest, report: &SealReport) -> anyhow::Result<()> {
    if report.ca_store {
        let command = System::of(guest.tree())?.ca_store_command();
        ctx.ui.warn(match command {
            Some(command) => format!(
                "certificates were removed; `{command}` in the guest makes its store of them again"
            ),
            None => String::from("certificates were removed; the guest's store still has them"),
        });
    }
    Ok(())
}

fn list(ctx: &Context, how: Listing) {
    if ctx.ui.json() {
        let all: Vec<_> = OPERATIONS.iter().map(operation_as_json).collect();
        return ctx.ui.result(&json!({ "operations": all }));
    }
    let text = match how {
        Listing::Short => manual::list(),
        Listing::Long => manual::manual(),
        Listing::Markdown => manual::markdown(),
    };
    text.trim_end().lines().for_each(|line| ctx.ui.out(line));
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

fn as_json(image: &str, dry_run: bool, report: &SealReport) -> Value {
    let done = |done: &kiln_guest::seal::Done| {
        json!({
            "name": done.operation,
            "changes": edits::as_json(&done.edits),
            "changes_left_out": done.edits.left_out,
            "notes": done.notes,
        })
    };
    let operations: Vec<_> = report.done.iter().map(done).collect();
    let labels = match &report.labels {
        Labels::NotUsed => json!(null),
        Labels::Given(count) => json!({ "given": count }),
        Labels::Scheduled { why } => json!({ "scheduled": why }),
    };
    json!({
        "image": image,
        "dry_run": dry_run,
        "operations": operations,
        "selinux_labels": labels,
        "ca_store_to_be_made_again": report.ca_store,
    })
}
