// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `link`.

use super::argument::{action, path};
use super::{Action, Operation, Problem, Scene, Shown, Wrong};
use crate::tree::GuestPath;

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "link",
    argument: Some("TARGET:LINK[:LINK..]"),
    heading: "Make symbolic links",
    documentation: "\
Makes each LINK a symbolic link to TARGET, as `ln -sf` does: a file or link of that name is \
replaced; in a directory of that name a link with TARGET's last name is made. TARGET is taken as it \
is written, and need not be there.

  --link /opt/app/bin/app:/usr/local/bin/app",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| {
        let mut parts = text.split(':');
        let target = parts.next().unwrap_or_default();
        let links: Result<Vec<_>, _> = parts.map(path).collect();
        let links = links?;
        if target.is_empty() || links.is_empty() {
            return Err(Wrong::new("it needs a target and a link, parted by a colon"));
        }
        if target.contains('\0') || target.len() >= 4096 {
            return Err(Wrong::new("the target is no path"));
        }
        action(Link { target: target.to_owned(), links })
    },
};

#[derive(Debug)]
struct Link {
    target: String,
    links: Vec<GuestPath>,
}

impl Action for Link {
    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        for link in &self.links {
            let name = self.target.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            let link = match scene.is_folder(link)? {
                true if name.is_empty() || name == "." || name == ".." => {
                    let why = format!("`{link}` is a directory, and the target has no name in it");
                    return Err(Problem::refused(why));
                }
                true => link.join(name),
                false => link.clone(),
            };
            scene.link(&link, self.target.as_bytes())?;
        }
        Ok(())
    }
}
