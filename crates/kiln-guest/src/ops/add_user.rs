// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `add-user`.

use super::argument::action;
use super::{Action, Operation, Problem, Scene, Shown, Wrong, sudoers};
use crate::system::accounts::{self, Records, User};
use crate::tree::{
    Change, GuestPath, New, Tree as _, TreeError, chown_all, copy, find_all, read_text,
};

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "add-user",
    argument: Some("NAME[:OPTION,OPTION..]"),
    heading: "Add a user",
    documentation: "\
Adds a user with a group of the same name, and a home directory with what /etc/skel has. The \
password is locked: see password and ssh-inject. Options are:

  uid=NUMBER           the user's number; else the next free one
  groups=GROUP+GROUP   further groups, which must be in the guest
  shell=PATH           else /bin/bash, or /bin/sh where that is missing
  home=PATH            else /home/NAME
  sudo                 everything may be done with sudo, without a password

  --add-user deploy:groups=adm+docker,shell=/bin/zsh,sudo",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| action(AddUser::parse(text)?),
};

/// The numbers of ordinary users, where the guest says nothing else: login.defs(5).
const UIDS: (u32, u32) = (1000, 60_000);

#[derive(Debug, Default)]
struct AddUser {
    name: String,
    uid: Option<u32>,
    groups: Vec<String>,
    shell: Option<GuestPath>,
    home: Option<GuestPath>,
    sudo: bool,
}

impl AddUser {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let (name, options) = text.split_once(':').unwrap_or((text, ""));
        if !accounts::is_name(name) {
            return Err(Wrong::new("this is no name of a user"));
        }
        let mut user = Self { name: name.to_owned(), ..Self::default() };
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option.split_once('=').unwrap_or((option, "")) {
                ("sudo", "") => user.sudo = true,
                ("uid", value) => {
                    // The last two mean "none" to the kernel and to old programs.
                    let uid = value.parse().ok().filter(|uid| *uid < u32::MAX && *uid != 65_535);
                    user.uid = Some(uid.ok_or_else(|| Wrong::new("`uid` is no number"))?);
                }
                ("groups", value) if value.split('+').all(accounts::is_name) => {
                    user.groups = value.split('+').map(str::to_owned).collect();
                }
                ("shell", value) => user.shell = Some(field(value)?),
                ("home", value) => user.home = Some(field(value)?),
                _ => return Err(Wrong::new(format!("`{option}` is no option of a user"))),
            }
        }
        Ok(user)
    }
}

/// Reads a path that becomes a field of `/etc/passwd`.
fn field(text: &str) -> Result<GuestPath, Wrong> {
    if text.contains(':') || text.chars().any(char::is_control) {
        return Err(Wrong::new(format!("`{}` cannot stand in /etc/passwd", text.escape_debug())));
    }
    super::argument::path(text)
}

impl Action for AddUser {
    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        let missing = |path: &str| -> Problem {
            let path = GuestPath::new(path).unwrap_or_else(|_| GuestPath::root());
            TreeError::NotFound { path }.into()
        };
        let mut passwd = Records::read(&mut scene.tree, &"/etc/passwd".into())?
            .ok_or_else(|| missing("/etc/passwd"))?;
        let mut group = Records::read(&mut scene.tree, &"/etc/group".into())?
            .ok_or_else(|| missing("/etc/group"))?;
        let name = self.name.as_bytes();
        if passwd.find(name).is_some() {
            return Err(Problem::refused(format!("the guest has a user `{}` already", self.name)));
        }
        let uid = self.number(scene, &passwd, &group)?;
        let gid = match group.find(name) {
            Some(at) => number(group.field(at, 2))
                .ok_or_else(|| Problem::refused("/etc/group has a broken line"))?,
            None => {
                let gid = self.group_number(scene, &group, uid)?;
                group.push(format!("{}:x:{gid}:", self.name).as_bytes());
                gid
            }
        };
        self.join_groups(scene, &mut group)?;
        let home = self.home.clone().unwrap_or_else(|| GuestPath::from("/home").join(name));
        let shell = self.shell(scene)?;
        passwd.push(format!("{}:x:{uid}:{gid}::{home}:{shell}", self.name).as_bytes());
        scene.put(&"/etc/passwd".into(), &passwd.bytes(), 0o644)?;
        scene.put(&"/etc/group".into(), &group.bytes(), 0o644)?;
        self.shadows(scene)?;
        let user = User { name: name.to_vec(), uid, gid, home: home.as_bytes().to_vec() };
        make_home(scene, &user, &home)?;
        if self.sudo {
            let line = format!("{} ALL=(ALL:ALL) NOPASSWD: ALL", self.name);
            // sudo leaves out files with a dot in their names.
            let file = format!("90-{}", self.name.replace('.', "_"));
            sudoers::add(scene, &file, &line)?;
        }
        Ok(())
    }
}

fn number(text: Option<&[u8]>) -> Option<u32> {
    std::str::from_utf8(text?).ok()?.parse().ok()
}

/// Returns the number that login.defs(5) has for a key.
fn login_defs(scene: &mut Scene<'_>, key: &str) -> Result<Option<u32>, Problem> {
    let file = "/etc/login.defs".into();
    if !scene.is_file(&file)? {
        return Ok(None);
    }
    let text = read_text(&mut scene.tree, &file)?.unwrap_or_default();
    let value = text.lines().rev().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(key)).then(|| words.next()).flatten().map(str::to_owned)
    });
    Ok(value.and_then(|value| match value.strip_prefix('0') {
        Some(octal) if !octal.is_empty() => u32::from_str_radix(octal, 8).ok(),
        _ => value.parse().ok(),
    }))
}

/// Returns the number after the highest in a range, or the lowest free one, as useradd(8) does.
fn free(used: &[u32], (low, high): (u32, u32)) -> Option<u32> {
    let top = used.iter().filter(|n| (low..=high).contains(*n)).max();
    match top {
        None => Some(low),
        Some(top) if *top < high => Some(top + 1),
        Some(_) => (low..=high).find(|n| !used.contains(n)),
    }
}

impl AddUser {
    fn number(
        &self,
        scene: &mut Scene<'_>,
        passwd: &Records,
        group: &Records,
    ) -> Result<u32, Problem> {
        let mut used: Vec<u32> = passwd.numbers(2).collect();
        if let Some(uid) = self.uid {
            if used.contains(&uid) {
                return Err(Problem::refused(format!("the guest has a user {uid} already")));
            }
            return Ok(uid);
        }
        let low = login_defs(scene, "UID_MIN")?.unwrap_or(UIDS.0);
        let high = login_defs(scene, "UID_MAX")?.unwrap_or(UIDS.1).min(1 << 24);
        // The group is to have the same number.
        if group.find(self.name.as_bytes()).is_none() {
            used.extend(group.numbers(2));
        }
        free(&used, (low, high)).ok_or_else(|| Problem::refused("no user number is left"))
    }

    fn group_number(
        &self,
        scene: &mut Scene<'_>,
        group: &Records,
        uid: u32,
    ) -> Result<u32, Problem> {
        let used: Vec<u32> = group.numbers(2).collect();
        if !used.contains(&uid) {
            return Ok(uid);
        }
        let low = login_defs(scene, "GID_MIN")?.unwrap_or(UIDS.0);
        let high = login_defs(scene, "GID_MAX")?.unwrap_or(UIDS.1).min(1 << 24);
        free(&used, (low, high)).ok_or_else(|| Problem::refused("no group number is left"))
    }

    fn join_groups(&self, scene: &mut Scene<'_>, group: &mut Records) -> Result<(), Problem> {
        for name in &self.groups {
            let at = group.find(name.as_bytes());
            let no_group = || Problem::refused(format!("the guest has no group `{name}`"));
            group.add_member(at.ok_or_else(no_group)?, 3, self.name.as_bytes());
        }
        let gshadow = "/etc/gshadow".into();
        let Some(mut records) = Records::read(&mut scene.tree, &gshadow)? else { return Ok(()) };
        if records.find(self.name.as_bytes()).is_none() {
            records.push(format!("{}:!::", self.name).as_bytes());
        }
        for name in &self.groups {
            if let Some(at) = records.find(name.as_bytes()) {
                records.add_member(at, 3, self.name.as_bytes());
            }
        }
        Ok(scene.put(&gshadow, &records.bytes(), 0o600)?)
    }

    fn shell(&self, scene: &mut Scene<'_>) -> Result<GuestPath, Problem> {
        if let Some(shell) = &self.shell {
            if !scene.is_file(shell)? {
                scene.note(format!("the guest has no `{shell}`, the shell of `{}`", self.name));
            }
            return Ok(shell.clone());
        }
        let bash = GuestPath::from("/bin/bash");
        Ok(if scene.is_file(&bash)? { bash } else { "/bin/sh".into() })
    }

    fn shadows(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        let shadow = "/etc/shadow".into();
        let Some(mut records) = Records::read(&mut scene.tree, &shadow)? else { return Ok(()) };
        let today = scene.now.seconds.max(0) / 86_400;
        if records.find(self.name.as_bytes()).is_none() {
            records.push(format!("{}:!:{today}:0:99999:7:::", self.name).as_bytes());
        }
        Ok(scene.put(&shadow, &records.bytes(), 0o600)?)
    }
}

fn make_home(scene: &mut Scene<'_>, user: &User, home: &GuestPath) -> Result<(), Problem> {
    if scene.tree.lstat(home)?.is_some() {
        scene.note(format!("`{home}` is in the guest already, and left as it is"));
        return Ok(());
    }
    let mode = match login_defs(scene, "HOME_MODE")? {
        Some(mode) => mode & 0o777,
        None => 0o777 & !login_defs(scene, "UMASK")?.unwrap_or(0o022),
    };
    if let Some(above) = home.parent() {
        scene.folders(&above, 0o755)?;
    }
    let skel = GuestPath::from("/etc/skel");
    let attrs = scene.attrs(mode);
    scene.tree.make(home, &New::Directory, &attrs)?;
    if scene.is_folder(&skel)? {
        copy(&mut scene.tree, &skel, home)?;
    }
    chown_all(&mut scene.tree, home, Some(user.uid), Some(user.gid))?;
    let now = Some(scene.now);
    for found in find_all(&mut scene.tree, home)? {
        scene.tree.change(&found.path, &Change { mtime: now, ..Change::default() }, false)?;
    }
    Ok(scene.tree.change(home, &Change { mode: Some(mode), ..Change::default() }, true)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let user = AddUser::parse("me:uid=1234,groups=adm+sudo,shell=/bin/sh,home=/srv/me,sudo");
        let user = user.unwrap();
        assert_eq!((user.uid, user.sudo), (Some(1234), true));
        assert_eq!(user.groups, ["adm", "sudo"]);
        for bad in [
            "",
            "a b",
            "me:x",
            "me:uid=x",
            "me:shell=sh",
            "me:home=/a:b",
            "me:groups=",
            "me:sudo=1",
            "me:uid=4294967295",
        ] {
            assert!(AddUser::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_are_chosen_as_useradd_does() {
        assert_eq!(free(&[0, 100], (1000, 60_000)), Some(1000));
        assert_eq!(free(&[1000, 1005, 65_534], (1000, 60_000)), Some(1006));
        assert_eq!(free(&[1000, 1002], (1000, 1002)), Some(1001));
        assert_eq!(free(&[1, 2], (1, 2)), None);
    }
}
