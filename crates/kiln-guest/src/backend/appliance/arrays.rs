// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Arrays of md, Linux's software RAID. The appliance starts those that are whole by itself; of
//! others, such as one disk of a RAID 1, Kiln has it start what can do without the rest.
//!
//! No function of guestfs(3) does that: the appliance's shell does, by `debug sh`. It is told
//! nothing of the guest's, and nothing here depends on its working: without it such an array
//! stays as the appliance left it.
//!
//! Source: `Documentation/admin-guide/md.rst` of Linux (`array_state`), mdadm(8) 4.2.

use kiln_disk::fs::identify::ContentKind;
use kiln_host::tools::guestfish::{FishError, Session, Word};

use super::ApplianceError;
use super::mount::allowed;
use super::names::Names;
use crate::guest::Disk;

/// Starts each array that waits for a member. Then writes the members that are here, one a line,
/// of those that still wait: too much of them is missing.
const START: &str = "waiting() { [ \"$(cat $1/md/array_state 2>/dev/null)\" = inactive ]; }; \
    for md in /sys/block/md*; do waiting $md && mdadm --run /dev/${md##*/} >/dev/null 2>&1; done; \
    for md in /sys/block/md*; do waiting $md && ls $md/slaves; done; true";
/// Has arrays written down as in order: one that is not, and lacks a member, may not start again.
/// mdadm(8), --wait-clean.
const REST: &str = "sync; mdadm --wait-clean --scan >/dev/null 2>&1; sync";

/// Starts the arrays of a disk of which members are missing. Returns our names of the members of
/// those that cannot do without them.
pub(super) fn start(session: &mut Session, disk: &Disk) -> Result<Vec<String>, ApplianceError> {
    if !has_any(disk) {
        return Ok(Vec::new());
    }
    let waiting = allowed(shell(session, START))?.unwrap_or_default();
    // There may be volumes in what was started.
    allowed(session.call("lvm-scan", &[Word::Plain("true")]))?;
    let waiting = String::from_utf8_lossy(&waiting).into_owned();
    let members = waiting.lines().map(str::trim).filter(|member| !member.is_empty());
    Ok(members.map(Names::name).collect())
}

/// Returns the arrays that run, as the appliance calls them.
pub(super) fn list(session: &mut Session, disk: &Disk) -> Result<Vec<String>, ApplianceError> {
    if !has_any(disk) {
        return Ok(Vec::new());
    }
    let listed = allowed(session.call("list-md-devices", &[]))?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&listed).lines().map(str::to_owned).collect())
}

/// Has the arrays of a disk in order before the appliance ends. Nothing is mounted any more.
pub(super) fn rest(session: &mut Session, disk: &Disk) -> Result<(), FishError> {
    if !has_any(disk) {
        return Ok(());
    }
    match shell(session, REST) {
        // They are in order soon after the last change, also without being told to.
        Ok(_) | Err(FishError::Refused { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn has_any(disk: &Disk) -> bool {
    disk.places.iter().any(|place| place.content.kind == ContentKind::Mdraid)
}

fn shell(session: &mut Session, lines: &str) -> Result<Vec<u8>, FishError> {
    session.call("debug", &[Word::Plain("sh"), Word::Bytes(lines.as_bytes())])
}
