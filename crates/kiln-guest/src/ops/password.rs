// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `password`, and setting passwords.

use std::path::PathBuf;

use super::argument::{action, host_path, pair};
use super::context::{PasswordToSet, check_file, host_file};
use super::{Action, NewPassword, Operation, Problem, Scene, Shown, Wrong};
use crate::system::accounts::{self, Records};
use crate::system::crypt::random_password;
use crate::tree::TreeError;

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "password",
    argument: Some("USER:SELECTOR"),
    heading: "Set the password of a user",
    documentation: "\
Sets the password of USER, who must be in the guest. SELECTOR is one of:

  file:FILENAME      the first line of a file of the host
  password:PASSWORD  this password; everyone can see it in the list of processes
  random             a random one, which is shown before the image is changed
  disabled           none: nobody can log in with a password
  locked             locked: no password fits until it is unlocked
  locked:SELECTOR    the one that SELECTOR says, locked

Only the hash is stored, in /etc/shadow, with the day of the change: see password-crypto. \
Passwords are set last, when all other operations are done.",
    runs_programs: false,
    shown: Shown::First,
    parse: |text| {
        let (user, selector) = pair(text)?;
        if !accounts::is_name(user) {
            return Err(Wrong::new("this is no name of a user"));
        }
        action(Password { user: user.to_owned(), selector: Selector::parse(selector)? })
    },
};

/// Where a password comes from. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Selector {
    locked: bool,
    source: Source,
}

#[derive(Clone, PartialEq, Eq)]
enum Source {
    Given(String),
    File(PathBuf),
    Random,
    Disabled,
}

impl std::fmt::Debug for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Selector").field("locked", &self.locked).finish_non_exhaustive()
    }
}

impl Selector {
    /// Reads a selector.
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        let mut locked = false;
        let mut rest = text;
        while let Some(inner) = rest.strip_prefix("locked:").or(rest.strip_prefix("lock:")) {
            (locked, rest) = (true, inner);
        }
        let source = match rest {
            "random" => Source::Random,
            "disabled" | "disable" => Source::Disabled,
            "locked" | "lock" => {
                locked = true;
                Source::Disabled
            }
            rest => match rest.split_once(':') {
                Some(("file", file)) => Source::File(host_path(file)?),
                Some(("password", password)) => Source::Given(password.to_owned()),
                _ => {
                    let why = "it must be `file:`, `password:`, `random`, `disabled` or `locked`";
                    return Err(Wrong::new(why));
                }
            },
        };
        Ok(Self { locked, source })
    }

    /// Fails if the password is to come from a file that cannot be read.
    pub(super) fn check(&self) -> Result<(), Problem> {
        match &self.source {
            Source::File(path) => check_file(path),
            _ => Ok(()),
        }
    }
}

#[derive(Debug)]
pub(super) struct Password {
    pub(super) user: String,
    pub(super) selector: Selector,
}

impl Action for Password {
    fn check(&self) -> Result<(), Problem> {
        self.selector.check()
    }

    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        if scene.to_set.iter().any(|set| set.user == self.user) {
            let why = format!("the password of `{}` is set twice", self.user);
            return Err(Problem::refused(why));
        }
        let selector = self.selector.clone();
        scene.to_set.push(PasswordToSet { user: self.user.clone(), selector });
        Ok(())
    }
}

/// The most that is read of a file that holds a password.
const FILE_MOST: u64 = 64 << 10;
/// Seconds of a day, in which `/etc/shadow` counts.
const DAY: i64 = 86_400;

/// Sets the passwords that operations asked for; on an error also says whose.
pub(super) fn set_passwords(scene: &mut Scene<'_>) -> Result<(), (String, Problem)> {
    let to_set = std::mem::take(&mut scene.to_set);
    let first = to_set.first().map(|set| set.user.clone()).unwrap_or_default();
    let shadow = "/etc/shadow".into();
    let read = Records::read(&mut scene.tree, &shadow);
    let records = read.map_err(|error| (first.clone(), error.into()))?;
    let missing = || Problem::from(TreeError::NotFound { path: shadow.clone() });
    let mut records = records.ok_or_else(|| (first.clone(), missing()))?;
    for PasswordToSet { user, selector } in to_set {
        let set = set_one(scene, &mut records, &user, &selector);
        set.map_err(|problem| (user, problem))?;
    }
    let written = scene.put(&shadow, &records.bytes(), 0o600);
    written.map_err(|error| (first, error.into()))
}

fn set_one(
    scene: &mut Scene<'_>,
    records: &mut Records,
    user: &str,
    selector: &Selector,
) -> Result<(), Problem> {
    let today = scene.now.seconds.max(0) / DAY;
    let record = match records.find(user.as_bytes()) {
        Some(record) => record,
        None if accounts::user(&mut scene.tree, user)?.is_some() => {
            records.push(format!("{user}:!:{today}:0:99999:7:::").as_bytes());
            let added = records.find(user.as_bytes());
            added.ok_or_else(|| Problem::NoUser { user: user.to_owned() })?
        }
        None => return Err(Problem::NoUser { user: user.to_owned() }),
    };
    let hash = hash(scene, user, &selector.source)?;
    let field = if selector.locked { format!("!!{hash}") } else { hash };
    records.set(record, 1, field.as_bytes());
    records.set(record, 2, today.to_string().as_bytes());
    Ok(())
}

fn hash(scene: &mut Scene<'_>, user: &str, source: &Source) -> Result<String, Problem> {
    let password = match source {
        Source::Disabled => return Ok("*".to_owned()),
        Source::Given(password) => password.clone().into_bytes(),
        Source::File(path) => {
            let bytes = host_file(path, FILE_MOST)?;
            let line = bytes.split(|&b| b == b'\n').next().unwrap_or_default();
            line.strip_suffix(b"\r").unwrap_or(line).to_vec()
        }
        Source::Random => {
            let password = random_password(scene.random);
            let password = password.map_err(|source| Problem::Random { source })?;
            let new = NewPassword { user: user.to_owned(), password: password.clone() };
            scene.passwords.push(new);
            password.into_bytes()
        }
    };
    if password.is_empty() {
        return Err(Problem::refused("the password is empty: `disabled` means none"));
    }
    if password.contains(&0) {
        return Err(Problem::refused("the password has a zero byte"));
    }
    let salt = scene.random()?;
    Ok(scene.settings.crypto.hash(&password, &salt)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_read_as_virt_customize_does() {
        let ok = |text: &str| Selector::parse(text).unwrap();
        let given = |p: &str| Source::Given(p.to_owned());
        assert!(ok("random").source == Source::Random && !ok("random").locked);
        assert!(ok("password:a:b").source == given("a:b"));
        assert!(ok("locked:password:x").source == given("x") && ok("locked:random").locked);
        assert!(ok("locked").locked && ok("lock").source == Source::Disabled);
        assert!(ok("disabled").source == Source::Disabled);
        for bad in ["", "x", "password", "file:", "locked:x", "Random"] {
            assert!(Selector::parse(bad).is_err(), "{bad}");
        }
        assert!(!format!("{:?}", ok("password:geheim")).contains("geheim"));
    }
}
