// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a build needs of the host, looked at before it begins.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use kiln_host::{CmdError, Tool};
use kiln_spec::Bytes;
use kiln_spec::recipe::{Base, Disk, FileSystem};
use rustix::fs::statvfs;

use crate::BuildError;
use crate::base::debian::keyring_of;
use crate::stage::Stage;

use super::BuildContext;
use super::plan::{Action, Plan};

/// The tree of a small image with its packages and their lists, while it is made: at most 694 MiB
/// measured for Debian 12, variant `apt`.
const NEED_TEMP: Bytes = Bytes::from_mib(650);
/// The layers of a small image, and the image: 2 × 480 MiB measured.
const NEED_STORE: Bytes = Bytes::from_mib(1000);
/// Half of that when the layers are there, or nobody knows how large they get.
const NEED_LITTLE: Bytes = Bytes::from_mib(500);
/// How many subordinate ids mmdebstrap maps.
const IDS: u64 = 65_536;

/// The folders that a build fills, and what was free there when it began.
#[derive(Debug)]
pub(super) struct Space {
    folders: Vec<(PathBuf, Bytes, Bytes)>,
}

/// Looks whether the tools, the ids and the space are there. `whole` says that all layers are.
pub(super) fn check(
    ctx: &BuildContext<'_>,
    temp: &Path,
    plan: &Plan<'_>,
    whole: bool,
) -> Result<Space, BuildError> {
    need(Tool::Mke2fs)?;
    need_for_disk(&plan.recipe.disk)?;
    let of_packages = plan.steps.iter().find_map(|step| match &step.action {
        Action::Debian(debian) => Some(debian),
        _ => None,
    });
    let packages = of_packages.is_some() && !whole;
    if let Some(debian) = of_packages.filter(|_| !whole) {
        need(Tool::Mmdebstrap)?;
        let (recipe, keyring) = &**debian;
        if let (Base::Packages(base), None) = (&recipe.base, keyring) {
            has_keys(keyring_of(base.release))?;
        }
    }
    let of_rpms = plan.steps.iter().any(|step| matches!(step.action, Action::Rpm(_)));
    if of_rpms && !whole {
        need(Tool::Dnf)?;
    }
    if !ctx.is_root {
        need(Tool::Newuidmap)?;
        for file in ["/etc/subuid", "/etc/subgid"] {
            let text = fs::read_to_string(file).unwrap_or_default();
            let uid = rustix::process::getuid().as_raw().to_string();
            if !has_ids(&text, ctx.user, &uid) {
                let user = if ctx.user.is_empty() { uid } else { ctx.user.to_owned() };
                return Err(BuildError::NoSubids { user, file });
            }
        }
    }
    let space = Space::look(temp, ctx.store.folder(), packages)?;
    match space.lacking(Stage::Lists) {
        Some(error) => Err(error),
        None => Ok(space),
    }
}

fn has_keys((path, package): (&'static str, &'static str)) -> Result<(), BuildError> {
    match fs::metadata(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(BuildError::NoKeyring { path: path.into(), package })
        }
        Err(error) => Err(BuildError::io("read", path, error)),
    }
}

fn need_for_disk(disk: &Disk) -> Result<(), BuildError> {
    for (kind, tool) in [(FileSystem::Xfs, Tool::MkfsXfs), (FileSystem::Btrfs, Tool::MkfsBtrfs)] {
        if disk.has(kind) {
            need(tool)?;
            need(Tool::Guestfish)?;
        }
    }
    if disk.lvm.is_some() {
        need(Tool::Guestfish)?;
    }
    Ok(())
}

fn need(tool: Tool) -> Result<(), BuildError> {
    match tool.find() {
        Some(_) => Ok(()),
        None => Err(BuildError::Tool { stage: Stage::Lists, source: CmdError::Missing { tool } }),
    }
}

/// Whether subuid(5) has a range for the user that is large enough.
fn has_ids(text: &str, user: &str, uid: &str) -> bool {
    text.lines().any(|line| {
        let mut fields = line.split(':');
        let owner = fields.next().unwrap_or_default();
        let count = fields.nth(1).and_then(|n| n.trim().parse::<u64>().ok()).unwrap_or(0);
        !owner.is_empty() && (owner == user || owner == uid) && count >= IDS
    })
}

impl Space {
    fn look(temp: &Path, store: &Path, packages: bool) -> Result<Self, BuildError> {
        let stat = |path: &Path| {
            let stat = statvfs(path).map_err(|e| BuildError::io("look at", path, e.into()))?;
            Ok::<_, BuildError>((stat.f_fsid, Bytes(stat.f_bavail.saturating_mul(stat.f_frsize))))
        };
        let ((temp_id, temp_free), (store_id, store_free)) = (stat(temp)?, stat(store)?);
        let folders = if !packages {
            vec![(store.to_owned(), store_free, NEED_LITTLE)]
        } else if temp_id == store_id {
            vec![(store.to_owned(), store_free, Bytes(NEED_TEMP.0 + NEED_STORE.0))]
        } else {
            vec![
                (temp.to_owned(), temp_free, NEED_TEMP),
                (store.to_owned(), store_free, NEED_STORE),
            ]
        };
        Ok(Self { folders })
    }

    /// Returns the error for the folder that has less than a small image needs.
    fn lacking(&self, stage: Stage) -> Option<BuildError> {
        let (folder, free, need) = self.folders.iter().find(|(_, free, need)| free < need)?;
        Some(BuildError::NoSpace { folder: folder.clone(), stage, free: *free, need: *need })
    }

    /// Makes any error that means a full file system the one that says where.
    pub(super) fn explain(&self, error: BuildError, stage: Stage) -> BuildError {
        if !error.is_no_space() {
            return error;
        }
        let in_temp = stage < Stage::Disk;
        let at = if in_temp { self.folders.first() } else { self.folders.last() };
        match at {
            Some((folder, free, need)) => {
                BuildError::NoSpace { folder: folder.clone(), stage, free: *free, need: *need }
            }
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_ids_is_the_users_and_large_enough() {
        let text = "root:1:65536\nkim:100000:65536\n1001:200000:65536\nsmall:300000:1000\n";
        assert!(has_ids(text, "kim", "1000"));
        assert!(has_ids(text, "lee", "1001"));
        assert!(!has_ids(text, "small", "1002"));
        assert!(!has_ids(text, "lee", "1003"));
        assert!(!has_ids("", "kim", "1000"));
        assert!(!has_ids("garbage\n:::\n", "", ""));
    }

    #[test]
    fn a_full_file_system_is_named() {
        let space = Space {
            folders: vec![
                ("/t".into(), Bytes::from_gib(9), NEED_TEMP),
                ("/s".into(), Bytes::from_mib(1), NEED_STORE),
            ],
        };
        assert_eq!(
            space.lacking(Stage::Lists).unwrap().to_string(),
            "there is no space left in `/s`: 1 MiB were free before stage `package lists`, and a \
             build needs at least 1000 MiB"
        );
        let full = || {
            let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
            BuildError::io("write", "/s/x", source)
        };
        assert_eq!(
            space.explain(full(), Stage::Digest).to_string(),
            "there is no space left in `/s`: 1 MiB were free before stage `digest`, and a build \
             needs at least 1000 MiB"
        );
        let told = BuildError::Tool {
            stage: Stage::Install,
            source: CmdError::Failed {
                cmd: "mmdebstrap".into(),
                status: "status 1".into(),
                stderr: "tar: x: Cannot write: No space left on device".into(),
            },
        };
        assert_eq!(
            space.explain(told, Stage::Install).to_string(),
            "there is no space left in `/t`: 9 GiB were free before stage `install`, and this one \
             takes more"
        );
        let other = BuildError::Interrupted;
        assert!(matches!(space.explain(other, Stage::Disk), BuildError::Interrupted));
    }
}
