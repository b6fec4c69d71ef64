// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `chown`.

use super::argument::{action, path};
use super::{Action, Operation, Problem, Scene, Shown, Wrong};
use crate::system::accounts;
use crate::tree::{GuestPath, chown};

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "chown",
    argument: Some("UID:GID:PATH"),
    heading: "Change the owner of a file or directory",
    documentation: "\
Changes user and group of PATH, behind links. Numbers are taken as they are; names are looked up \
in the guest's own /etc/passwd and /etc/group.

  --chown 0:4:/var/log/audit.log --chown www-data:www-data:/srv/www",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| {
        let mut parts = text.splitn(3, ':');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(user), Some(group), Some(file)) if !user.is_empty() && !group.is_empty() => {
                let (user, group) = (user.to_owned(), group.to_owned());
                action(Chown { user, group, path: path(file)? })
            }
            _ => Err(Wrong::new("it needs user, group and path, parted by colons")),
        }
    },
};

#[derive(Debug)]
struct Chown {
    user: String,
    group: String,
    path: GuestPath,
}

impl Action for Chown {
    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        let uid = match self.user.parse() {
            Ok(uid) => uid,
            Err(_) => accounts::user(&mut scene.tree, &self.user)?
                .map(|user| user.uid)
                .ok_or_else(|| Problem::NoUser { user: self.user.clone() })?,
        };
        let gid = match self.group.parse() {
            Ok(gid) => gid,
            Err(_) => {
                let no_group =
                    || Problem::refused(format!("the guest has no group `{}`", self.group));
                accounts::group(&mut scene.tree, &self.group)?.ok_or_else(no_group)?
            }
        };
        Ok(chown(&mut scene.tree, &self.path, Some(uid), Some(gid))?)
    }
}
