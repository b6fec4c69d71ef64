// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `sudoers`.

use super::argument::action;
use super::{Action, Operation, Problem, Scene, Shown, Wrong};
use crate::tree::GuestPath;

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "sudoers",
    argument: Some("LINE"),
    heading: "Add a line to the rules of sudo",
    documentation: "\
Adds LINE to /etc/sudoers.d/kiln, which is made with the permissions 0440. Its syntax is checked \
first, more strictly than visudo does: a wrong line would lock everyone out of sudo. It must be a \
rule WHO WHERE=(AS WHOM) COMMANDS, a Defaults or an alias. A line that is there is not added again.

  --sudoers '%ops ALL=(ALL) NOPASSWD: /usr/bin/systemctl restart nginx'

See also add-user.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| {
        check(text)?;
        action(Sudoers { line: text.to_owned() })
    },
};

#[derive(Debug)]
struct Sudoers {
    line: String,
}

impl Action for Sudoers {
    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        add(scene, "kiln", &self.line)
    }
}

/// Adds a line, which was checked, to a file of `/etc/sudoers.d`.
pub(super) fn add(scene: &mut Scene<'_>, file: &str, line: &str) -> Result<(), Problem> {
    if !scene.is_file(&"/etc/sudoers".into())? {
        scene.note("the guest has no /etc/sudoers: install sudo, or the rule has no effect");
    }
    let folder = GuestPath::from("/etc/sudoers.d");
    scene.folders(&folder, 0o750)?;
    let file = folder.join(file);
    let mut text = if scene.tree_has(&file)? { scene.text(&file)? } else { Vec::new() };
    if text.split(|&b| b == b'\n').any(|there| there == line.as_bytes()) {
        return Ok(());
    }
    super::append_line::append(&mut text, line.as_bytes());
    Ok(scene.put(&file, &text, 0o440)?)
}

/// Checks a line of sudoers(5).
fn check(line: &str) -> Result<(), Wrong> {
    let wrong = |why: &str| Err(Wrong::new(why));
    if line.chars().any(char::is_control) {
        return wrong("it is more than one line, or has control characters");
    }
    if line.ends_with('\\') {
        return wrong("it ends with a backslash");
    }
    if line.matches('"').count() % 2 == 1 {
        return wrong("its quotes are not closed");
    }
    let line = line.trim();
    let first = line.split(|c: char| c.is_whitespace() || "@:!>".contains(c)).next();
    match first.unwrap_or_default() {
        "Defaults" => defaults(line),
        "User_Alias" | "Runas_Alias" | "Host_Alias" | "Cmnd_Alias" | "Cmd_Alias" => alias(line),
        "" => wrong("it is empty"),
        _ => rule(line),
    }
}

fn defaults(line: &str) -> Result<(), Wrong> {
    let good = |c: char| c.is_ascii_alphanumeric() || " _=\"/:.,!@>+-%()*~".contains(c);
    let has_setting = line.split_whitespace().nth(1).is_some();
    if has_setting && line.chars().all(good) && !line.ends_with(['=', ',']) {
        Ok(())
    } else {
        Err(Wrong::new("these are no Defaults that kiln knows"))
    }
}

fn alias(line: &str) -> Result<(), Wrong> {
    let rest = line.split_once(char::is_whitespace).map_or("", |(_, rest)| rest);
    let wrong = || Wrong::new("an alias is `User_Alias NAME = MEMBER, MEMBER`");
    let (name, members) = rest.split_once('=').ok_or_else(wrong)?;
    let name = name.trim();
    let good = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    let members_good = if line.starts_with("Cmnd") || line.starts_with("Cmd") {
        members.split(',').all(|one| is_command(one.trim()))
    } else {
        members.split(',').all(|one| is_who(one.trim()))
    };
    if good && members_good { Ok(()) } else { Err(wrong()) }
}

fn rule(line: &str) -> Result<(), Wrong> {
    let wrong =
        || Wrong::new("a rule is `WHO WHERE=(AS WHOM) COMMANDS`, such as `me ALL=(ALL) ALL`");
    let (left, right) = line.split_once('=').ok_or_else(wrong)?;
    let mut words = left.split_whitespace();
    let (Some(who), Some(host), None) = (words.next(), words.next(), words.next()) else {
        return Err(wrong());
    };
    if !who.split(',').all(is_who) || !host.split(',').all(is_who) {
        return Err(wrong());
    }
    let mut right = right.trim();
    if let Some(inner) = right.strip_prefix('(') {
        let (whom, rest) = inner.split_once(')').ok_or_else(wrong)?;
        let mut parts = whom.split(':');
        let users = parts.next().unwrap_or_default();
        let list = |text: &str| text.split(',').all(|one| is_who(one.trim()));
        let users_good = users.trim().is_empty() || list(users);
        if !users_good || !parts.next().is_none_or(list) || parts.next().is_some() {
            return Err(wrong());
        }
        right = rest.trim();
    }
    for command in right.split(',') {
        let mut command = command.trim();
        while let Some(rest) = TAGS.iter().find_map(|tag| command.strip_prefix(tag)) {
            command = rest.trim_start().strip_prefix(':').ok_or_else(wrong)?.trim_start();
        }
        if !is_command(command) {
            return Err(wrong());
        }
    }
    Ok(())
}

/// Tags before a command, the longer of two that begin alike first.
const TAGS: [&str; 16] = [
    "NOPASSWD",
    "PASSWD",
    "NOEXEC",
    "EXEC",
    "NOSETENV",
    "SETENV",
    "NOLOG_INPUT",
    "LOG_INPUT",
    "NOLOG_OUTPUT",
    "LOG_OUTPUT",
    "NOMAIL",
    "MAIL",
    "NOFOLLOW",
    "FOLLOW",
    "NOINTERCEPT",
    "INTERCEPT",
];

/// A user, a %group, a #number, a host, an alias or ALL, with `!` before it or not.
fn is_who(text: &str) -> bool {
    let text = text.strip_prefix('!').unwrap_or(text);
    let text = text.strip_prefix('%').unwrap_or(text);
    let text = text.strip_prefix('#').filter(|rest| rest.parse::<u32>().is_ok()).unwrap_or(text);
    let good = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    !text.is_empty() && !text.starts_with('-') && text.bytes().all(good)
}

/// A command with its arguments, a directory, an alias, `sudoedit` or ALL.
fn is_command(text: &str) -> bool {
    let text = text.strip_prefix('!').unwrap_or(text).trim_start();
    let name = text.split_whitespace().next().unwrap_or_default();
    let alias = !name.is_empty()
        && name == text
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    // What would have to be escaped is refused.
    let plain = !text.contains([':', '=', '#', '(', ')', '!', '\\', '"']);
    alias || ((name.starts_with('/') || name == "sudoedit") && plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_testkit::{need_program, run};

    const GOOD: &[&str] = &[
        "me ALL=(ALL) NOPASSWD:ALL",
        "me ALL=(ALL:ALL) ALL",
        "%ops ALL=(ALL) NOPASSWD: /usr/bin/systemctl restart nginx, /bin/ls",
        "me ALL = NOPASSWD: SETENV: /usr/bin/env",
        "a,b ALL=(root) /sbin/reboot, !/bin/sh",
        "#1000 web1,web2=(:adm) ALL",
        "Defaults:me !requiretty",
        "Defaults env_keep += \"http_proxy\"",
        "Defaults secure_path=\"/usr/sbin:/usr/bin\"",
        "User_Alias OPS = me, you",
        "Cmnd_Alias WEB = /bin/systemctl restart nginx",
        "me ALL = sudoedit /etc/hosts",
    ];
    const BAD: &[&str] = &[
        "",
        "me",
        "me ALL",
        "me ALL=",
        "me ALL=(ALL",
        "me ALL=(ALL) NOPASSWD ALL",
        "me ALL=(ALL) ls",
        "me ALL=(ALL) NOPASSWD:ALL\nevil ALL=(ALL) ALL",
        "me ALL=(ALL) ALL,",
        "User_Alias ops = me",
        "Defaults",
        "me ALL=(ALL) \"",
        "@include /tmp/x",
    ];

    #[test]
    fn lines_are_checked() {
        for line in GOOD {
            assert_eq!(check(line), Ok(()), "{line}");
        }
        for line in BAD {
            assert!(check(line).is_err(), "{line}");
        }
    }

    #[test]
    fn visudo_takes_what_is_taken_here() {
        if !need_program("visudo") {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sudoers").display().to_string();
        for line in GOOD {
            std::fs::write(&file, format!("{line}\n")).unwrap();
            let out = run(&["visudo", "-c", "-f", &file]);
            assert_eq!(out.code, 0, "{line}: {}{}", out.stdout, out.stderr);
        }
    }
}
