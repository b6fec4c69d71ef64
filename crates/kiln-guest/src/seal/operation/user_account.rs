// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `user-account`: remove accounts of people.

use std::collections::BTreeSet;

use super::{Operation, Origin, Run};
use crate::seal::work::{SYSTEM, Work, lines};
use crate::tree::walk::{real_path, remove_all};
use crate::tree::{GuestPath, TreeError};

/// The accounts.
const PASSWD: &str = "/etc/passwd";
/// Files with a line for each account or its group, the name first.
const BY_NAME: [&str; 6] =
    [PASSWD, "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/subuid", "/etc/subgid"];
/// Files that list members of groups in their last field.
const MEMBERS: [&str; 2] = ["/etc/group", "/etc/gshadow"];
/// Where the numbers of people's accounts are said to begin and end.
const LOGIN_DEFS: &str = "/etc/login.defs";
/// What shadow's useradd takes if nothing is said.
const PEOPLE: (u32, u32) = (1000, 60_000);

pub(super) const OPERATION: Operation = Operation {
    name: "user-account",
    origin: Origin::Sysprep,
    default: false,
    heading: "Remove accounts of people, with their homes",
    documentation: "Accounts with numbers from UID_MIN to UID_MAX of /etc/login.defs: the lines \
        of passwd, shadow, group, gshadow, subuid and subgid, membership in groups, mail and home. \
        --keep-user-accounts names those that stay, --remove-user-accounts the only ones that go.",
    notes: "A home that is a directory of the system, or holds the home of an account that stays, \
        is left.",
    paths: &[
        BY_NAME[0],
        BY_NAME[1],
        BY_NAME[2],
        BY_NAME[3],
        BY_NAME[4],
        BY_NAME[5],
        LOGIN_DEFS,
        "/home/*",
        "/var/spool/mail/*",
        "/var/mail/*",
    ],
    run: Run::Tree(run),
};

/// A line of passwd(5).
struct Account {
    name: Vec<u8>,
    number: u32,
    home: Vec<u8>,
}

fn run(work: &mut Work<'_, '_>) -> Result<(), TreeError> {
    let (first, last) = people(work)?;
    let passwd = work.text(&PASSWD.into())?.unwrap_or_default();
    let (gone, stay): (Vec<_>, Vec<_>) = lines(&passwd).filter_map(account).partition(|account| {
        (first..=last).contains(&account.number) && is_unwanted(work, &account.name)
    });
    note_strangers(work, &gone, &stay);
    if gone.is_empty() {
        return Ok(());
    }
    let names: BTreeSet<&[u8]> = gone.iter().map(|account| &account.name[..]).collect();
    for file in BY_NAME {
        let mut unwanted = |line: &[u8]| names.contains(field(line, 0));
        work.drop_lines(&[file], &mut unwanted)?;
    }
    MEMBERS.iter().try_for_each(|&file| leave_groups(work, &file.into(), &names))?;
    for account in &gone {
        for folder in ["/var/spool/mail", "/var/mail"] {
            if !account.name.starts_with(b".") {
                work.remove_file(&GuestPath::from(folder).join(&account.name))?;
            }
        }
        remove_home(work, account, &stay)?;
    }
    Ok(())
}

/// Names the accounts that were named and cannot be meant: those the guest does not have, and
/// those that are to go and are of no people.
fn note_strangers(work: &mut Work<'_, '_>, gone: &[Account], stay: &[Account]) {
    let has = |among: &[Account], name: &str| among.iter().any(|a| a.name == name.as_bytes());
    let options = work.options;
    let named = [("remove", &options.remove_users), ("keep", &options.keep_users)];
    let mut notes = Vec::new();
    for (option, names) in named {
        for name in names.iter().filter(|name| !has(gone, name)) {
            let why = if !has(stay, name) {
                "is not in the guest"
            } else if option == "remove" && !options.keep_users.contains(name) {
                "is no account of a person, and stays"
            } else {
                continue;
            };
            let name = name.escape_debug();
            notes.push(format!("`{name}`, named by `--{option}-user-accounts`, {why}"));
        }
    }
    notes.into_iter().for_each(|note| work.note(note));
}

/// Reads where the numbers of people begin and end.
fn people(work: &mut Work<'_, '_>) -> Result<(u32, u32), TreeError> {
    let text = work.text(&LOGIN_DEFS.into())?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let value = |key: &str| {
        let mut found = text.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some(key)).then(|| words.next()?.parse().ok())?
        });
        found.next_back()
    };
    Ok((value("UID_MIN").unwrap_or(PEOPLE.0).max(1), value("UID_MAX").unwrap_or(PEOPLE.1)))
}

fn account(line: &[u8]) -> Option<Account> {
    let line = line.trim_ascii_end();
    let name = field(line, 0);
    let number = str::from_utf8(field(line, 2)).ok()?.parse().ok()?;
    let good = !name.is_empty() && !name.contains(&b'/') && !name.contains(&0);
    good.then(|| Account { name: name.to_vec(), number, home: field(line, 5).to_vec() })
}

/// Returns a field of a line; what is not there is empty.
fn field(line: &[u8], number: usize) -> &[u8] {
    line.split(|&b| b == b':').nth(number).unwrap_or_default()
}

fn is_unwanted(work: &Work<'_, '_>, name: &[u8]) -> bool {
    let among = |names: &BTreeSet<String>| names.iter().any(|n| n.as_bytes() == name);
    let remove = &work.options.remove_users;
    !among(&work.options.keep_users) && (remove.is_empty() || among(remove))
}

/// Takes names out of the lists of members: the last field.
fn leave_groups(
    work: &mut Work<'_, '_>,
    file: &GuestPath,
    names: &BTreeSet<&[u8]>,
) -> Result<(), TreeError> {
    let Some(text) = work.text(file)? else { return Ok(()) };
    let mut new = Vec::with_capacity(text.len());
    for line in lines(&text) {
        let line_end = line.trim_ascii_end().len();
        let members =
            line[..line_end].iter().rposition(|&b| b == b':').map_or(line_end, |at| at + 1);
        new.extend_from_slice(&line[..members]);
        let kept = line[members..line_end].split(|&b| b == b',').filter(|n| !names.contains(n));
        new.extend(kept.collect::<Vec<_>>().join(&b','));
        new.extend_from_slice(&line[line_end..]);
    }
    if new != text {
        work.write(file, &new, 0o644)?;
    }
    Ok(())
}

/// Removes an account's home, unless others need it.
fn remove_home(
    work: &mut Work<'_, '_>,
    account: &Account,
    stay: &[Account],
) -> Result<(), TreeError> {
    let Ok(named) = GuestPath::new(&account.home) else { return Ok(()) };
    if work.lstat(&named)?.is_none() {
        return Ok(());
    }
    let home = real_path(work.tree, &named, true)?;
    let mut needed =
        home.names().count() < 2 || SYSTEM.iter().any(|&folder| home.is_within(&folder.into()));
    for other in stay {
        if let Ok(other) = GuestPath::new(&other.home) {
            needed |= real_path(work.tree, &other, true).is_ok_and(|other| other.is_within(&home));
        }
    }
    if needed {
        let name = String::from_utf8_lossy(&account.name).escape_debug().to_string();
        work.note(format!("`{home}`, the home of `{name}`, is needed by others, and stays"));
        return Ok(());
    }
    remove_all(work.tree, &home).map(drop)
}

#[cfg(test)]
mod tests {
    use crate::seal::Options;
    use crate::seal::cases::{sealed, sealed_with};
    use crate::tree::memory::MemoryTree;

    const PASSWD: &str = "/etc/passwd=root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n\
        bob:x:1001:1001::/home/bob:/bin/sh\nevil:x:1002:1002::/:/bin/sh\n\
        usr:x:1003:1::/srv/../usr/local:/x\ntop:x:1004:1::/srv/all:/x\nnone:x:65534:1::/nonexistent:/x\n\
        broken\n";

    fn tree() -> MemoryTree {
        MemoryTree::of(&[
            PASSWD,
            "/etc/shadow=root:*:1\nann:h:1\nbob:h:1\n",
            "/etc/group=root:x:0:\nsudo:x:27:ann,bob\nann:x:1000:\nbob:x:1001:ann\n",
            "/etc/subuid=ann:100000:65536\n",
            "/root/x",
            "/home/ann/x",
            "/home/bob/x",
            "/usr/local/x",
            "/srv/all/x",
            "/var/mail/ann",
        ])
    }

    #[test]
    fn people_go_and_the_system_stays() {
        let mut tree = tree();
        let report = sealed(&mut tree, "user-account");
        let kept = "root:x:0:0::/root:/bin/sh\nnone:x:65534:1::/nonexistent:/x\nbroken\n";
        assert_eq!(tree.text("/etc/passwd"), kept);
        assert_eq!(tree.text("/etc/shadow"), "root:*:1\n");
        assert_eq!(tree.text("/etc/group"), "root:x:0:\nsudo:x:27:\n");
        assert_eq!(tree.text("/etc/subuid"), "");
        let left = tree.paths().join(" ");
        assert!(!left.contains("ann") && !left.contains("bob") && !left.contains("/srv/all"));
        assert!(left.contains("/root/x") && left.contains("/usr/local/x"));
        assert_eq!(report.done[0].notes.len(), 2);
    }

    #[test]
    fn accounts_are_chosen_by_name() {
        let mut tree = tree();
        let keep = ["ann", "evil", "usr", "top"].map(String::from).into();
        let options = Options { keep_users: keep, ..Options::default() };
        sealed_with(&mut tree, "user-account", &options);
        assert!(tree.text("/etc/passwd").contains("ann"));
        assert_eq!(tree.text("/etc/group"), "root:x:0:\nsudo:x:27:ann\nann:x:1000:\n");
        let options = Options { remove_users: [String::from("top")].into(), ..Options::default() };
        sealed_with(&mut tree, "user-account", &options);
        assert!(tree.text("/etc/passwd").contains("ann"));
        assert!(!tree.text("/etc/passwd").contains("top"));
    }

    /// A name with a typing mistake would leave the account in all copies of the image.
    #[test]
    fn names_that_are_no_accounts_are_named() {
        let mut tree = tree();
        let options = Options {
            remove_users: ["bob", "bop", "root"].map(String::from).into(),
            keep_users: ["ann", "amm"].map(String::from).into(),
            ..Options::default()
        };
        let report = sealed_with(&mut tree, "user-account", &options);
        assert_eq!(
            report.done[0].notes,
            [
                "`bop`, named by `--remove-user-accounts`, is not in the guest",
                "`root`, named by `--remove-user-accounts`, is no account of a person, and stays",
                "`amm`, named by `--keep-user-accounts`, is not in the guest",
            ]
        );
        assert!(!tree.text("/etc/passwd").contains("bob"));
    }

    #[test]
    fn a_home_that_holds_another_stays() {
        let mut tree = MemoryTree::of(&[
            "/etc/login.defs=# UID_MIN 5\nUID_MIN\t500\nUID_MAX 600\n",
            "/etc/passwd=a:x:500:1::/srv/a:/x\nb:x:601:1::/srv/a/b:/x\nc:x:499:1::/srv/c:/x\n",
            "/srv/a/b/x",
        ]);
        let report = sealed(&mut tree, "user-account");
        let kept = "b:x:601:1::/srv/a/b:/x\nc:x:499:1::/srv/c:/x\n";
        assert_eq!(tree.text("/etc/passwd"), kept);
        assert!(tree.paths().contains(&String::from("/srv/a/b/x")));
        assert_eq!(report.done[0].notes.len(), 1);
    }
}
