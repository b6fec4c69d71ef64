// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a guest is to be besides its login, as cloud-config: accounts, packages, files, commands.
//!
//! Source: `cc_users_groups.py`, `cc_write_files.py` and `schema-cloud-config-v1.json` of cloud-init
//! 22.4; `ug_util.py`: of two words about an account the first stands, and what it leaves out is
//! taken from the second.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kiln_spec::recipe::{FileMode, GroupName, GuestPath, Owner, PackageName, UserName};
use kiln_spec::set::FirstCommand;

use super::login::{account_node, add_account, append, keys_of, value_mut};
use super::{SeedError, check_keys};
use crate::yaml::{Node, Value, emit};

/// What a guest is to be at its first boot, besides its login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// Accounts.
    pub accounts: Vec<Account>,
    /// Packages to be installed.
    pub packages: Vec<PackageName>,
    /// Files to be written.
    pub files: Vec<SetupFile>,
    /// What is run at the end of the first boot, in this order.
    pub commands: Vec<FirstCommand>,
}

/// An account of a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: UserName,
    /// The public keys that open it, one line each as in `authorized_keys`.
    pub ssh_keys: Vec<String>,
    /// Whether it may do everything with sudo, without a password.
    pub sudo: bool,
    /// Further groups, which are made if they are not there.
    pub groups: Vec<GroupName>,
    /// Its shell, if it is not the usual one.
    pub shell: Option<GuestPath>,
    /// The hash of its password, crypt(5); without it no password opens it.
    pub password_hash: Option<String>,
}

/// A file of a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupFile {
    /// Where.
    pub path: GuestPath,
    /// What it holds.
    pub content: Vec<u8>,
    /// Its permissions.
    pub mode: FileMode,
    /// Whose it is: of an account that the first boot makes, too.
    pub owner: Owner,
    /// Its group.
    pub group: Owner,
}

impl Setup {
    /// Returns whether it is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns it as text: the same for the same, and another for all that differs.
    #[must_use]
    pub fn text(&self) -> String {
        emit(&self.added_to(Node::map([])))
    }

    pub(super) fn check(&self) -> Result<(), SeedError> {
        self.accounts.iter().try_for_each(|one| check_keys(one.name.as_str(), &one.ssh_keys))
    }

    /// Returns the user's cloud-config, a map, with all of it added: lists grow, and a value that is
    /// there stays.
    pub(super) fn added_to(&self, theirs: Node) -> Node {
        let Value::Map(mut root) = theirs.value else { return theirs };
        for account in &self.accounts {
            add_account(&mut root, account.name.as_str(), account.node());
        }
        if !self.packages.is_empty() {
            let packages = self.packages.iter().map(|package| Node::text(package.as_str()));
            append(&mut root, "packages", packages.collect());
        }
        extend(&mut root, "write_files", self.files.iter().map(SetupFile::node));
        extend(&mut root, "runcmd", self.commands.iter().map(command));
        Value::Map(root).into()
    }
}

impl Account {
    fn node(&self) -> Node {
        let groups: Vec<&str> = self.groups.iter().map(GroupName::as_str).collect();
        let mut pairs = Vec::new();
        if !groups.is_empty() {
            pairs.push(("groups", Node::text(groups.join(", "))));
        }
        if let Some(hash) = &self.password_hash {
            pairs.push(("passwd", Node::text(hash)));
        }
        let shell = self.shell.as_ref().map(GuestPath::as_str);
        let keys = keys_of(&self.ssh_keys);
        let locked = self.password_hash.is_none();
        account_node(self.name.as_str(), (self.sudo, shell, locked), pairs, keys)
    }
}

impl SetupFile {
    fn node(&self) -> Node {
        let mut pairs = vec![("path", Node::text(self.path.as_str()))];
        let plain = |c: char| !c.is_control() || c == '\n' || c == '\t';
        match std::str::from_utf8(&self.content) {
            Ok(text) if text.chars().all(plain) => pairs.push(("content", Node::text(text))),
            _ => {
                pairs.push(("encoding", Node::text("b64")));
                pairs.push(("content", Node::text(STANDARD.encode(&self.content))));
            }
        }
        pairs.push(("permissions", Node::text(self.mode.to_string())));
        if !self.owner.is_root() || !self.group.is_root() {
            pairs.push(("owner", Node::text(format!("{}:{}", self.owner, self.group))));
            // Files are written before accounts are made, unless they may wait for these.
            pairs.push(("defer", Node::boolean(true)));
        }
        Node::map(pairs)
    }
}

/// Adds items to the list of a key, which is made if need be: the same command twice is two.
fn extend(root: &mut Vec<(Node, Node)>, key: &str, items: impl ExactSizeIterator<Item = Node>) {
    match value_mut(root, key).map(|node| &mut node.value) {
        Some(Value::List(list)) => list.extend(items),
        None if items.len() > 0 => root.push((Node::text(key), Node::list(items))),
        _ => {}
    }
}

fn command(command: &FirstCommand) -> Node {
    match command {
        FirstCommand::Shell(lines) => Node::text(lines),
        FirstCommand::Words(words) => Node::list(words.iter().map(Node::text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    fn setup() -> Setup {
        let owner = |name: &str| name.parse::<Owner>().unwrap();
        let file = |path: &str, content: &[u8], who: &str| SetupFile {
            path: path.parse().unwrap(),
            content: content.to_vec(),
            mode: FileMode(0o640),
            owner: owner(who),
            group: owner("root"),
        };
        Setup {
            accounts: vec![Account {
                name: "ann".parse().unwrap(),
                ssh_keys: vec!["K1".into()],
                sudo: false,
                groups: vec!["adm".parse().unwrap(), "www-data".parse().unwrap()],
                shell: Some("/bin/sh".parse().unwrap()),
                password_hash: Some("$6$s$h".into()),
            }],
            packages: vec!["nginx".parse().unwrap()],
            files: vec![file("/etc/a", b"x: y\n", "root"), file("/etc/b", b"\0", "ann")],
            commands: vec![
                FirstCommand::Shell("echo a\n".into()),
                FirstCommand::Words(vec!["touch".into(), "/a b".into()]),
            ],
        }
    }

    fn added(text: &str) -> String {
        yaml::emit(&setup().added_to(yaml::load(text).unwrap()))
    }

    const FILES: &str = "- path: /etc/a\n  content: \"x: y\\n\"\n  permissions: \"0640\"\n\
        - path: /etc/b\n  encoding: b64\n  content: AA==\n  permissions: \"0640\"\n  owner: \"ann:root\"\n  defer: true\n";

    #[test]
    fn all_of_it_is_cloud_config() {
        assert_eq!(
            setup().text(),
            format!(
                "users:\n- default\n- name: ann\n  groups: adm, www-data\n  \
                 passwd: \"$6$s$h\"\n  shell: /bin/sh\n  lock_passwd: false\n  ssh_authorized_keys:\n  - K1\n\
                 packages:\n- nginx\nwrite_files:\n{FILES}runcmd:\n- \"echo a\\n\"\n- - touch\n  - /a b\n"
            )
        );
        assert!(Setup::default().is_empty() && !setup().is_empty());
        assert_eq!(Setup::default().text(), "{}\n");
    }

    #[test]
    fn lists_grow_and_what_is_there_stays() {
        let all = added(
            "packages: [vim, nginx]\nruncmd: [[ls]]\nusers: [{name: ann, shell: /bin/zsh, ssh_authorized_keys: [A]}]\n",
        );
        assert_eq!(
            all,
            format!(
                "packages:\n- vim\n- nginx\nruncmd:\n- - ls\n- \"echo a\\n\"\n- - touch\n  - /a b\n\
                 users:\n- name: ann\n  shell: /bin/zsh\n  ssh_authorized_keys:\n  - A\n  - K1\n  \
                 groups: adm, www-data\n  passwd: \"$6$s$h\"\n  lock_passwd: false\nwrite_files:\n{FILES}"
            )
        );
        assert!(added("users: bob").starts_with("users:\n- bob\n- name: ann\n"));
        assert!(added("users: {bob: true}").starts_with("users:\n  bob: true\n  ann:\n"));
    }
}
