// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who can log in.

use super::find::Finder;
use super::report::{Password, User};

/// The most users.
const MOST_USERS: usize = 10_000;
/// Shells that let nobody in.
const NO_LOGIN: &[&str] = &["nologin", "false", "sync", "shutdown", "halt"];

/// Returns everybody in `/etc/passwd`, in its order.
///
/// Source: passwd(5), shadow(5).
pub(super) fn users(find: &mut Finder<'_>) -> Vec<User> {
    let passwd = find.text("/etc/passwd").unwrap_or_default();
    let shadow = find.text("/etc/shadow");
    let mut all = Vec::new();
    for line in passwd.lines().take(MOST_USERS) {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, word, uid, gid, _, home, shell] = fields.as_slice() else { continue };
        let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse()) else { continue };
        let last = shell.rsplit('/').next().unwrap_or_default();
        let login = !NO_LOGIN.contains(&last);
        let keys = if login { find.text(&format!("{home}/.ssh/authorized_keys")) } else { None };
        let keys = keys.unwrap_or_default();
        let is_key = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
        all.push(User {
            name: (*name).to_owned(),
            uid,
            gid,
            home: (*home).to_owned(),
            shell: (*shell).to_owned(),
            login,
            password: password(name, word, shadow.as_deref()),
            ssh_keys: keys.lines().filter(is_key).count(),
        });
    }
    all
}

fn password(name: &str, word: &str, shadow: Option<&str>) -> Password {
    let hash = match (word, shadow) {
        ("x", None) => return Password::Unknown,
        ("x", Some(shadow)) => {
            let mut lines = shadow.lines();
            let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let Some(rest) = found else { return Password::Locked };
            rest.split(':').next().unwrap_or_default()
        }
        (hash, _) => hash,
    };
    match hash {
        "" => Password::Empty,
        locked if locked.starts_with(['!', '*']) => Password::Locked,
        // crypt(5): no hash has fewer characters.
        short if short.len() < 13 => Password::Locked,
        _ => Password::Set,
    }
}
