// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Kiln's own cloud-config: the account, and its merge into the user's cloud-config.
//!
//! Source: `ug_util.py` of cloud-init 22.4: what `users` and `user` may look like, and which
//! account is the default one.

use super::{Login, Setup};
use crate::yaml::{Node, Type, Value};

/// The name in `users` that stands for the image's own account.
const DEFAULT: &str = "default";

/// The two spellings of a user's keys; cloud-init makes the second of the first.
const USER_KEYS: [&str; 2] = ["ssh-authorized-keys", "ssh_authorized_keys"];

/// Returns Kiln's cloud-config where it cannot be merged into the user's: it asks for the
/// image's account in any case, since the user's part may have `users` without it.
pub(super) fn alone(login: &Login, setup: &Setup) -> Node {
    let users = Node::map([("users", Node::list([Node::text(DEFAULT)]))]);
    merged(setup.added_to(users), login)
}

/// Returns the user's cloud-config, a map, with the login added.
pub(super) fn merged(theirs: Node, login: &Login) -> Node {
    let Value::Map(mut root) = theirs.value else { return theirs };
    // An account whose name is not known is the image's own, whatever it is called.
    let theirs = login.name != DEFAULT && renames_default(&root, &login.name);
    if login.is_default_user && !theirs {
        let users = value_mut(&mut root, "users");
        let placed = users.is_some_and(|users| ensure_default(users, login));
        if !placed && !login.ssh_keys.is_empty() {
            append(&mut root, "ssh_authorized_keys", keys_of(&login.ssh_keys));
        }
    } else {
        match value_mut(&mut root, "users") {
            Some(users) => ensure_account(users, login),
            None => {
                let users = Node::list([Node::text(DEFAULT), account(login)]);
                root.push((Node::text("users"), users));
            }
        }
        if login.name == "root" && value_mut(&mut root, "disable_root").is_none() {
            root.push((Node::text("disable_root"), Node::boolean(false)));
        }
    }
    Value::Map(root).into()
}

/// Returns the vendor's cloud-config with the image's own account among its users, if that is the
/// login: where the user's data name no accounts, the vendor's are all that is made.
pub(super) fn beside_vendors(theirs: Node, login: &Login) -> Node {
    let Value::Map(mut root) = theirs.value else { return theirs };
    if login.is_default_user
        && let Some(users) = value_mut(&mut root, "users")
    {
        ensure_default(users, login);
    }
    Value::Map(root).into()
}

/// Returns whether the old key `user` gives the image's account another name than the login's.
fn renames_default(root: &[(Node, Node)], name: &str) -> bool {
    let user = root.iter().find(|(key, _)| key.as_text() == Some("user"));
    let named = user.and_then(|(_, user)| user.as_text().or_else(|| user.get("name")?.as_text()));
    named.is_some_and(|named| named != name)
}

/// Returns public keys as they stand in a cloud-config.
pub(super) fn keys_of(keys: &[String]) -> Vec<Node> {
    keys.iter().map(|key| Node::text(key.trim())).collect()
}

/// Returns an account as an item of `users`: whether it may use sudo, its shell, and whether no
/// password opens it; `more` of it; its keys.
pub(super) fn account_node(
    name: &str,
    (sudo, shell, locked): (bool, Option<&str>, bool),
    more: Vec<(&str, Node)>,
    keys: Vec<Node>,
) -> Node {
    let mut pairs = vec![("name", Node::text(name))];
    pairs.extend(more);
    if sudo {
        pairs.push(("sudo", Node::text("ALL=(ALL) NOPASSWD:ALL")));
    }
    pairs.push(("shell", Node::text(shell.unwrap_or("/bin/bash"))));
    pairs.push(("lock_passwd", Node::boolean(locked)));
    if !keys.is_empty() {
        pairs.push(("ssh_authorized_keys", Node::list(keys)));
    }
    Node::map(pairs)
}

/// Returns the login as an item of `users`.
fn account(login: &Login) -> Node {
    let keys = keys_of(&login.ssh_keys);
    if login.name != "root" {
        return account_node(&login.name, (true, None, true), Vec::new(), keys);
    }
    let name = ("name", Node::text(&login.name));
    let keys = (!keys.is_empty()).then(|| ("ssh_authorized_keys", Node::list(keys)));
    Node::map([name].into_iter().chain(keys))
}

/// Adds an account to `users`, which is made if need be, beside the image's own. What is said there
/// of it already stands, and gets what is not said yet.
pub(super) fn add_account(root: &mut Vec<(Node, Node)>, name: &str, account: Node) {
    if value_mut(root, "users").is_none() {
        root.push((Node::text("users"), Node::list([Node::text(DEFAULT)])));
    }
    let Some(users) = value_mut(root, "users") else { return };
    let (Some(own), Value::Map(pairs)) = (own_entry(users, name), &account.value) else {
        return push_account(users, name, account);
    };
    for (key, value) in pairs {
        match (key.as_text(), value.as_list()) {
            (Some(key), Some(keys)) if USER_KEYS.contains(&key) => append_keys(own, keys.to_vec()),
            (Some(key), _) if value_mut(own, key).is_none() => {
                own.push((Node::text(key), value.clone()));
            }
            _ => {}
        }
    }
}

/// Puts an account that is not there yet into `users`, in any of its forms.
fn push_account(users: &mut Node, name: &str, account: Node) {
    match &mut users.value {
        Value::List(items) => items.push(account),
        Value::Map(pairs) => {
            // `name: true` is an account without a word about it.
            pairs.retain(|(key, _)| key.as_text() != Some(name));
            pairs.push((Node::text(name), account));
        }
        Value::Scalar(_) => {
            let items = names(users).into_iter().map(Node::text).chain([account]);
            users.value = Value::List(items.collect());
        }
    }
}

/// Makes sure that `users` holds the image's account. Returns whether the keys have been placed
/// there already, because the user lists the account by its own name.
fn ensure_default(users: &mut Node, login: &Login) -> bool {
    if names(users).iter().any(|name| name == DEFAULT) {
        return false;
    }
    if let Some(pairs) = own_entry(users, &login.name) {
        append_keys(pairs, keys_of(&login.ssh_keys));
        return true;
    }
    match &mut users.value {
        Value::List(items) => items.push(Node::text(DEFAULT)),
        Value::Map(pairs) => pairs.push((Node::text(DEFAULT), Node::boolean(true))),
        Value::Scalar(_) => {
            let items = names(users).into_iter().map(Node::text).chain([Node::text(DEFAULT)]);
            users.value = Value::List(items.collect());
        }
    }
    false
}

/// Makes sure that `users` holds the login with its keys. What the user says of it stays.
fn ensure_account(users: &mut Node, login: &Login) {
    if let Some(pairs) = own_entry(users, &login.name) {
        append_keys(pairs, keys_of(&login.ssh_keys));
        return;
    }
    push_account(users, &login.name, account(login));
}

/// Returns the names of all accounts in `users`, in any of its forms.
fn names(users: &Node) -> Vec<String> {
    let split = |text: &str| -> Vec<String> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    match &users.value {
        Value::Scalar(_) => split(users.as_text().unwrap_or_default()),
        Value::Map(pairs) => {
            let off = |user: &Node| matches!(&user.value, Value::Scalar(s) if is_off(&s.text));
            let on = pairs.iter().filter(|(_, user)| !off(user));
            on.filter_map(|(key, _)| key.as_text().map(str::to_owned)).collect()
        }
        Value::List(items) => items
            .iter()
            .flat_map(|item| match item.type_of() {
                // Without a name the mapping is about the image's account.
                Type::Map => {
                    vec![item.get("name").and_then(Node::as_text).unwrap_or(DEFAULT).to_owned()]
                }
                Type::List => item.as_list().unwrap_or_default().iter().flat_map(names).collect(),
                _ => names(item),
            })
            .collect(),
    }
}

fn is_off(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "" | "0" | "no" | "off" | "false" | "null" | "~")
}

/// Returns the mapping that `users` has about an account, by its own name.
fn own_entry<'a>(users: &'a mut Node, name: &str) -> Option<&'a mut Vec<(Node, Node)>> {
    let entry = match &mut users.value {
        Value::List(items) => {
            items.iter_mut().find(|item| item.get("name").and_then(Node::as_text) == Some(name))?
        }
        Value::Map(pairs) => value_mut(pairs, name)?,
        Value::Scalar(_) => return None,
    };
    match &mut entry.value {
        Value::Map(pairs) => Some(pairs),
        Value::List(_) | Value::Scalar(_) => None,
    }
}

fn append_keys(entry: &mut Vec<(Node, Node)>, keys: Vec<Node>) {
    let there = |key: &&str| entry.iter().any(|(k, _)| k.as_text() == Some(key));
    let spelling = USER_KEYS.into_iter().find(there).unwrap_or(USER_KEYS[1]);
    if !keys.is_empty() {
        append(entry, spelling, keys);
    }
}

/// Adds texts to the list of a key, which is made if need be; one that is there stays one.
pub(super) fn append(map: &mut Vec<(Node, Node)>, key: &str, items: Vec<Node>) {
    if value_mut(map, key).is_none() {
        map.push((Node::text(key), Node::list([])));
    }
    if let Some(Value::List(list)) = value_mut(map, key).map(|node| &mut node.value) {
        for item in items {
            let same = |there: &Node| there.as_text().map(str::trim) == item.as_text();
            if !list.iter().any(same) {
                list.push(item);
            }
        }
    }
}

pub(super) fn value_mut<'a>(map: &'a mut [(Node, Node)], key: &str) -> Option<&'a mut Node> {
    map.iter_mut().find(|(k, _)| k.as_text() == Some(key)).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    fn login(name: &str, is_default_user: bool) -> Login {
        Login { name: name.to_owned(), is_default_user, ssh_keys: vec!["K1".into(), "K2".into()] }
    }

    fn merge(text: &str, login: &Login) -> String {
        yaml::emit(&merged(yaml::load(text).unwrap(), login))
    }

    #[test]
    fn keys_go_to_the_images_account() {
        let login = login("debian", true);
        assert_eq!(merge("{}", &login), "ssh_authorized_keys:\n- K1\n- K2\n");
        assert_eq!(
            merge("ssh_authorized_keys: [A, K1]\nhostname: x\n", &login),
            "ssh_authorized_keys:\n- A\n- K1\n- K2\nhostname: x\n"
        );
        let no_keys = Login { ssh_keys: vec![], ..login };
        assert_eq!(merge("{}", &no_keys), "{}\n");
    }

    #[test]
    fn the_images_account_is_made_whatever_users_says() {
        let login = login("debian", true);
        let keys = "ssh_authorized_keys:\n- K1\n- K2\n";
        for (theirs, users) in [
            ("users: [default, a]", "users:\n- default\n- a\n"),
            ("users: [{name: a}]", "users:\n- name: a\n- default\n"),
            ("users: [{sudo: x}]", "users:\n- sudo: x\n"),
            ("users: [[a, default]]", "users:\n- - a\n  - default\n"),
            ("users: a, b", "users:\n- a\n- b\n- default\n"),
            ("users: {a: yes}", "users:\n  a: yes\n  default: true\n"),
        ] {
            assert_eq!(merge(theirs, &login), format!("{users}{keys}"), "{theirs}");
        }
        assert_eq!(
            merge("users: [{name: debian, ssh-authorized-keys: [A]}]", &login),
            "users:\n- name: debian\n  ssh-authorized-keys:\n  - A\n  - K1\n  - K2\n"
        );
    }

    #[test]
    fn the_vendors_accounts_do_not_shut_the_images_out() {
        let beside = |text: &str, login: &Login| {
            yaml::emit(&beside_vendors(yaml::load(text).unwrap(), login))
        };
        let default = login("debian", true);
        assert_eq!(beside("users: [{name: a}]", &default), "users:\n- name: a\n- default\n");
        assert_eq!(beside("packages: [a]", &default), "packages:\n- a\n");
        assert_eq!(beside("users: [a]", &login("ann", false)), "users:\n- a\n");
    }

    #[test]
    fn another_account_is_made() {
        let login = login("ann", false);
        let entry = |indent: &str| {
            let lines = [
                "name: ann",
                "sudo: \"ALL=(ALL) NOPASSWD:ALL\"",
                "shell: /bin/bash",
                "lock_passwd: true",
                "ssh_authorized_keys:",
                "- K1",
                "- K2",
            ];
            lines.join(&format!("\n{indent}"))
        };
        for (theirs, expected) in [
            ("{}", format!("users:\n- default\n- {}\n", entry("  "))),
            ("users: [a]", format!("users:\n- a\n- {}\n", entry("  "))),
            ("users: a,b", format!("users:\n- a\n- b\n- {}\n", entry("  "))),
            (
                "users: {a: true, ann: true}",
                format!("users:\n  a: true\n  ann:\n    {}\n", entry("    ")),
            ),
        ] {
            assert_eq!(merge(theirs, &login), expected, "{theirs}");
        }
        // What the user says of the account stands; no right is added.
        assert_eq!(
            merge("users: [{name: ann, sudo: false}]", &login),
            "users:\n- name: ann\n  sudo: false\n  ssh_authorized_keys:\n  - K1\n  - K2\n"
        );
        assert!(
            merge("user: bob", &super::Login { is_default_user: true, ..login })
                .starts_with("user: bob\nusers:\n- default\n- name: ann\n")
        );
    }

    #[test]
    fn root_can_log_in_if_it_is_the_login() {
        assert_eq!(
            merge("{}", &login("root", false)),
            "users:\n- default\n- name: root\n  ssh_authorized_keys:\n  - K1\n  - K2\n\
             disable_root: false\n"
        );
        assert!(merge("disable_root: true", &login("root", false)).contains("disable_root: true"));
    }
}
