// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sealing: taking a machine's identity, secrets and traces out of its tree, so that clones can
//! be made of it.
//!
//! Each operation is one file of `operation/` with its record; [`OPERATIONS`] is the list, from
//! which the help, the manual and the documentation are made. Those of virt-sysprep have its
//! names, defaults and paths; the others are Kiln's own.
//!
//! | module | what |
//! |---|---|
//! | `operation` | the records and what they do |
//! | [`manual`] | what is said of them, made from the records |
//! | `selection` | which operations run: `--operations`, `--enable` |
//! | `work` | what operations are given, and the steps that they share |
//! | `system` | which system it is, as far as operations differ |
//!
//! **Invariant:** the guest is hostile. What is removed is never looked for behind a link at its
//! end, and not where a link on the way leads into the system's own directories; patterns and
//! files read are bounded; nothing that a file of the guest says is taken as a path of the host.

#[cfg(test)]
mod cases;
mod error;
#[cfg(test)]
mod hostile;
pub mod manual;
mod operation;
mod selection;
mod system;
mod work;

use std::collections::BTreeSet;

pub use error::SealError;
pub use operation::{OPERATIONS, Operation, Origin};
pub use selection::Selection;
pub use system::{Family, System};

use self::operation::Run;
use self::work::Work;
use crate::selinux::{self, Labels};
use crate::tree::{Edits, How, Recorder, Time, Tree};

/// What a caller's part of a seal may fail with.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Edits that are made as the operation `customize`.
pub type Customize<'a> = &'a mut dyn FnMut(&mut dyn Tree) -> Result<Vec<String>, Cause>;

/// One file system of the image, for the operation `fs-uuids`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// As the guest would call it: `sda1`.
    pub name: String,
    /// What is in it: `ext4`.
    pub fs: String,
}

/// What is sealed: a guest's tree, and the file systems that hold it.
pub trait Subject {
    /// Returns the guest's files.
    fn tree(&mut self) -> &mut dyn Tree;

    /// Returns the image's file systems, in the order of the disk; none if nothing can be done to
    /// them.
    fn volumes(&mut self) -> Vec<Volume> {
        Vec::new()
    }

    /// Gives one another UUID, at random; `false` if it stays as it is.
    ///
    /// # Errors
    ///
    /// What the file system says.
    fn new_uuid(&mut self, _volume: &Volume) -> Result<bool, Cause> {
        Ok(false)
    }

    /// Gives LVM's physical volumes and volume groups other UUIDs; `None` if there are none,
    /// `Some(false)` if there are and they stay as they are.
    ///
    /// # Errors
    ///
    /// What LVM says.
    fn new_lvm_uuids(&mut self) -> Result<Option<bool>, Cause> {
        Ok(None)
    }
}

/// A tree of which nothing more is known.
#[expect(missing_debug_implementations, reason = "a tree has nothing to show")]
pub struct TreeAlone<'a>(pub &'a mut dyn Tree);

impl Subject for TreeAlone<'_> {
    fn tree(&mut self) -> &mut dyn Tree {
        self.0
    }
}

/// What operations are told by the user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `--remove-user-accounts`: only these are removed, if any is named.
    pub remove_users: BTreeSet<String>,
    /// `--keep-user-accounts`: these are not removed.
    pub keep_users: BTreeSet<String>,
    /// `--no-selinux-relabel`: new files get no labels.
    pub no_labels: bool,
}

impl Options {
    /// Refuses what is said for operations that are not selected.
    ///
    /// # Errors
    ///
    /// [`SealError::NotEnabled`].
    pub fn check(&self, selection: &Selection) -> Result<(), SealError> {
        let users = [
            ("--remove-user-accounts", &self.remove_users),
            ("--keep-user-accounts", &self.keep_users),
        ];
        match users.iter().find(|(_, names)| !names.is_empty()) {
            Some((option, _)) if !selection.contains("user-account") => {
                Err(SealError::NotEnabled { option, operation: "user-account" })
            }
            _ => Ok(()),
        }
    }
}

/// What a seal works on.
#[expect(missing_debug_implementations, reason = "trees and closures have nothing to show")]
pub struct SealContext<'a> {
    /// What is sealed.
    pub subject: &'a mut dyn Subject,
    /// The time that is noted for what is changed.
    pub now: Time,
    /// What the user said.
    pub options: &'a Options,
    /// Edits of the operation `customize`: they run last on the tree.
    pub customize: Option<Customize<'a>>,
    /// Scripts of the operation `script`, where the tree is mounted and they can run.
    pub script: Option<Customize<'a>>,
}

/// What one operation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The operation's name.
    pub operation: &'static str,
    /// What it changed in the tree.
    pub edits: Edits,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// What a seal did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealReport {
    /// Each operation that ran, in order.
    pub done: Vec<Done>,
    /// What became of the SELinux labels of new files.
    pub labels: Labels,
    /// Certificates were removed: the guest's store of them must be made again, by the command
    /// [`System::ca_store_command`].
    pub ca_store: bool,
}

/// Seals a guest: runs the operations of `selection` in the order of their names; those that
/// change file systems as a whole come after the others, and `customize` is the last of these.
/// New files get SELinux labels where the guest has a policy.
///
/// # Effects
///
/// The tree is changed, and with `fs-uuids` file systems. Neither is written out here.
///
/// # Errors
///
/// - [`SealError::NotEnabled`] if the options are for an operation that is not selected.
/// - [`SealError::Operation`] if one fails; those before it have been done.
pub fn seal(selection: &Selection, ctx: &mut SealContext<'_>) -> Result<SealReport, SealError> {
    ctx.options.check(selection)?;
    let mut operations = selection.operations();
    operations.sort_by_key(|operation| (operation.run.stage(), operation.name));
    let mut report = seal_tree(&operations, ctx)?;
    for operation in operations {
        if let Run::Volumes(run) = operation.run {
            let mut notes = Vec::new();
            let done = run(ctx.subject, &mut notes);
            done.map_err(|source| SealError::Operation { name: operation.name, source })?;
            report.done.push(Done { operation: operation.name, edits: Edits::default(), notes });
        }
    }
    Ok(report)
}

/// Runs the operations that change the tree, and labels what they made.
fn seal_tree(
    operations: &[&'static Operation],
    ctx: &mut SealContext<'_>,
) -> Result<SealReport, SealError> {
    let tree = ctx.subject.tree();
    let system = System::of(tree).map_err(SealError::System)?;
    let mut report = SealReport { done: Vec::new(), labels: Labels::NotUsed, ca_store: false };
    let mut recorder = Recorder::new(tree);
    let mut work = Work {
        tree: &mut recorder,
        now: ctx.now,
        system: &system,
        options: ctx.options,
        notes: Vec::new(),
        ca_store: false,
    };
    for operation in operations {
        let failed = |source| SealError::Operation { name: operation.name, source };
        match operation.run {
            Run::Customize => hand_on(&mut work, ctx.customize.as_mut()).map_err(failed)?,
            Run::Script => hand_on(&mut work, ctx.script.as_mut()).map_err(failed)?,
            Run::Volumes(_) => continue,
            _ => operation.run_on(&mut work).map_err(|source| failed(source.into()))?,
        }
        let notes = std::mem::take(&mut work.notes);
        let edits = work.tree.take();
        report.done.push(Done { operation: operation.name, edits, notes });
    }
    report.ca_store = work.ca_store;
    if !ctx.options.no_labels {
        let made = made(&report.done);
        report.labels = selinux::label(tree, &made, ctx.now).map_err(SealError::Labels)?;
    }
    Ok(report)
}

/// Lets the caller do an operation's part.
fn hand_on(work: &mut Work<'_, '_>, part: Option<&mut Customize<'_>>) -> Result<(), Cause> {
    if let Some(part) = part {
        work.notes = part(work.tree)?;
    }
    Ok(())
}

/// Returns the paths of what is new.
fn made(done: &[Done]) -> Vec<crate::tree::GuestPath> {
    let edits = done.iter().flat_map(|done| &done.edits.list);
    let new = edits.filter_map(|edit| match &edit.how {
        How::Made { .. } | How::Linked { .. } => Some(edit.path.clone()),
        How::Moved { to } => Some(to.clone()),
        _ => None,
    });
    new.collect::<BTreeSet<_>>().into_iter().collect()
}
