// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `ssh-inject`.

use std::path::PathBuf;

use super::append_line::append;
use super::argument::{action, host_path};
use super::context::{check_file, host_file};
use super::{Action, Operation, Problem, Scene, Shown, Wrong};
use crate::system::accounts::{self, User};
use crate::tree::{Attrs, Change, GuestPath, New, Tree as _, make_dirs};

/// The most that is read of a file of keys.
const KEYS_MOST: u64 = 1 << 20;

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "ssh-inject",
    argument: Some("USER[:SELECTOR]"),
    heading: "Let an SSH key log in",
    documentation: "\
Adds public keys to ~/.ssh/authorized_keys of USER, who must be in the guest. SELECTOR is one of:

  file:FILENAME  the keys in a file of the host
  string:KEY     this key: a line as it stands in authorized_keys

Without it, the keys are your own: those that ssh would use. A key that is there is not added \
again. The directory and the file are made if they are missing, for USER alone; the home directory, \
too. Keys from an address of the network are refused: download and check them first.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| {
        let (user, selector) = match text.split_once(':') {
            Some((user, selector)) => (user, selector),
            None => (text, ""),
        };
        if !accounts::is_name(user) {
            return Err(Wrong::new("this is no name of a user"));
        }
        let source = match selector.split_once(':') {
            None if selector.is_empty() => Source::Own,
            Some(("file", file)) => Source::File(host_path(file)?),
            Some(("string", key)) => Source::Lines(keys(key)?),
            Some(("http" | "https" | "url", _)) => {
                return Err(Wrong::new("keys are not taken from the network: download them first"));
            }
            _ => return Err(Wrong::new("it must be `file:` or `string:`, or nothing")),
        };
        action(SshInject { user: user.to_owned(), source })
    },
};

#[derive(Debug)]
enum Source {
    Own,
    File(PathBuf),
    Lines(Vec<String>),
}

#[derive(Debug)]
struct SshInject {
    user: String,
    source: Source,
}

impl Action for SshInject {
    fn check(&self) -> Result<(), Problem> {
        match &self.source {
            Source::File(path) => check_file(path),
            _ => Ok(()),
        }
    }

    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        let lines = match &self.source {
            Source::Lines(lines) => lines.clone(),
            Source::Own if scene.keys.is_empty() => {
                let why =
                    "you have no SSH key of your own; say which one, with `:file:` or `:string:`";
                return Err(Problem::refused(why));
            }
            Source::Own => scene.keys.to_vec(),
            Source::File(path) => {
                let text = String::from_utf8_lossy(&host_file(path, KEYS_MOST)?).into_owned();
                let shown = path.display();
                keys(&text).map_err(|wrong| Problem::refused(format!("`{shown}`: {wrong}")))?
            }
        };
        let user = accounts::user(&mut scene.tree, &self.user)?;
        let user = user.ok_or_else(|| Problem::NoUser { user: self.user.clone() })?;
        let file = ssh_folder(scene, &user)?.join("authorized_keys");
        let new = scene.tree.stat(&file)?.is_none();
        let mut text = if new { Vec::new() } else { scene.text(&file)? };
        let before = text.len();
        for line in &lines {
            if !has_key(&text, line) {
                append(&mut text, line.as_bytes());
            }
        }
        if text.len() > before || new {
            let attrs = owned(scene, &user, 0o600);
            scene.tree.write(&file, &mut text.as_slice(), &attrs)?;
        }
        Ok(())
    }
}

fn owned(scene: &Scene<'_>, user: &User, mode: u32) -> Attrs {
    Attrs { uid: user.uid, gid: user.gid, ..scene.attrs(mode) }
}

/// Returns the user's `.ssh`, made if it is missing.
fn ssh_folder(scene: &mut Scene<'_>, user: &User) -> Result<GuestPath, Problem> {
    let home = GuestPath::new(&user.home)?;
    let none = user.home.first() != Some(&b'/') || home.names().next() == Some(b"nonexistent");
    if none {
        let name = String::from_utf8_lossy(&user.name).into_owned();
        return Err(Problem::refused(format!("the user `{name}` has no home directory")));
    }
    let attrs = owned(scene, user, 0o700);
    if scene.tree.stat(&home)?.is_none() {
        scene.folders(&home, 0o755)?;
        let change = Change {
            mode: Some(attrs.mode),
            uid: Some(attrs.uid),
            gid: Some(attrs.gid),
            mtime: None,
        };
        scene.tree.change(&home, &change, true)?;
    }
    let folder = home.join(".ssh");
    if scene.tree.lstat(&folder)?.is_none() {
        scene.tree.make(&folder, &New::Directory, &attrs)?;
    } else {
        make_dirs(&mut scene.tree, &folder, &attrs)?;
    }
    Ok(folder)
}

/// The beginnings of the types of keys. Source: sshd(8), "AUTHORIZED_KEYS FILE FORMAT".
const TYPES: [&str; 3] = ["ssh-", "ecdsa-sha2-", "sk-"];

/// Returns type and key of a line of `authorized_keys`, behind its options.
fn key_of(line: &str) -> Option<(&str, &str)> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let at = words.windows(2).position(|two| {
        TYPES.iter().any(|start| two[0].starts_with(start)) && two[1].starts_with("AAAA")
    })?;
    Some((words[at], words[at + 1]))
}

/// Returns the lines of a text that are public keys, with their options.
fn keys(text: &str) -> Result<Vec<String>, Wrong> {
    if text.contains("PRIVATE KEY") {
        return Err(Wrong::new("this is a private key; its public half is in the file `.pub`"));
    }
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let lines: Vec<String> = lines.map(str::to_owned).collect();
    let printable = |line: &String| !line.chars().any(char::is_control);
    match lines.iter().find(|line| key_of(line).is_none() || !printable(line)) {
        Some(_) => Err(Wrong::new("there is a line that is no public SSH key")),
        None if lines.is_empty() => Err(Wrong::new("there is no public SSH key")),
        None => Ok(lines),
    }
}

/// Returns whether a file of keys has this line, or this key without any options.
fn has_key(file: &[u8], line: &str) -> bool {
    let file = String::from_utf8_lossy(file);
    file.lines().map(str::trim).any(|there| {
        let plain = TYPES.iter().any(|start| there.starts_with(start));
        there == line
            || (plain && key_of(there) == key_of(line) && line.starts_with(key_type(line)))
    })
}

/// The type of a line without options; else something that the line does not begin with.
fn key_type(line: &str) -> &str {
    key_of(line).map_or("\n", |(kind, _)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_keys_are_keys() {
        let good = "# c\nssh-ed25519 AAAAC3Nza me@x\n\nfrom=\"10.0.0.0/8\",command=\"a b\" ssh-rsa AAAAB3 x\n";
        assert_eq!(keys(good).unwrap().len(), 2);
        for bad in ["", "# c", "hello", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA", "ssh-rsa"] {
            assert!(keys(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_that_are_there_are_known() {
        let file = b"ssh-ed25519 AAAAC3 old@comment\ncommand=\"x\" ssh-rsa AAAAB3 y\n";
        assert!(has_key(file, "ssh-ed25519 AAAAC3 new@comment"));
        assert!(has_key(file, "command=\"x\" ssh-rsa AAAAB3 y"));
        // With a command it is another permission.
        assert!(!has_key(file, "ssh-rsa AAAAB3 y"));
        assert!(!has_key(file, "no-pty ssh-ed25519 AAAAC3 old@comment"));
        assert!(!has_key(file, "ssh-ed25519 AAAAC4"));
    }
}
