// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A text of a seed as it may be shown: without passwords, their hashes, tokens and private keys.

use crate::yaml::{self, Node, Scalar, Type, Value};

/// What stands for a secret.
const HIDDEN: &str = "***";
/// What is in the names of keys whose values are secrets.
const SECRET_NAMES: [&str; 7] =
    ["passw", "passphrase", "secret", "token", "_private", "private_key", "admin_pass"];
/// Names like these whose values are none.
const OPEN_NAMES: [&str; 3] = ["lock_passwd", "lock-passwd", "ssh_pwauth"];
/// Where a private key begins and ends: RFC 7468, and OpenSSH's own.
const KEY: (&str, &str) = ("-----BEGIN ", "-----END ");

/// Returns a file of a seed, or a part of its user-data, with `***` for its secrets.
///
/// A mapping (a cloud-config, meta-data, a network configuration, JSON) is written anew without its
/// comments if something is hidden: the values of keys that are about passwords, secrets and tokens,
/// private keys, and the contents of files that not everybody may read. Of all else private keys are
/// hidden, and lines that look like such a key with its value: nobody can tell what a script does.
#[must_use]
pub fn hidden(text: &str) -> String {
    let Some(tree) = yaml::load(text).ok().filter(|tree| tree.type_of() == Type::Map) else {
        // A template perhaps, or a script that writes such a file.
        return without_keys(text).split_inclusive('\n').map(without_value).collect();
    };
    let shown = node(&tree, "");
    if shown == tree {
        return text.to_owned();
    }
    let first = text.lines().next().filter(|line| line.starts_with('#')).unwrap_or_default();
    let gap = if first.is_empty() { "" } else { "\n" };
    format!("{first}{gap}{}", yaml::emit(&shown))
}

/// Returns a line of the form `key: value` without the value, if the key is a secret's.
fn without_value(line: &str) -> String {
    let Some((name, value)) = line.split_once(':') else { return line.to_owned() };
    let word = name.rsplit([' ', '{', ',', '-']).next().unwrap_or(name);
    if is_secret(word.trim_matches(['"', '\''])) && !value.trim().is_empty() {
        return format!("{name}: {HIDDEN}\n");
    }
    line.to_owned()
}

/// Returns whether a key by its name holds a secret.
fn is_secret(key: &str) -> bool {
    let name = key.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|secret| name.contains(secret)) && !OPEN_NAMES.contains(&&*name)
}

/// Returns a value without what is secret in it; `path` is the name of the key that it belongs to.
fn node(value: &Node, key: &str) -> Node {
    if is_secret(key) {
        return masked(value);
    }
    match &value.value {
        Value::Scalar(scalar) => match value.as_text() {
            Some(text) if text.contains(KEY.0) => Node::text(without_keys(text)),
            _ => Value::Scalar(scalar.clone()).into(),
        },
        Value::List(items) => Node::list(items.iter().map(|item| node(item, key))),
        Value::Map(pairs) => {
            let private = value.get("permissions").is_some_and(is_private);
            let one = |(name, inner): &(Node, Node)| {
                let key_of = name.as_text().unwrap_or_default();
                let shown = match key_of {
                    "content" if private => masked(inner),
                    // `chpasswd`: names with passwords behind them.
                    "list" if key == "chpasswd" => masked(inner),
                    _ => node(inner, key_of),
                };
                (name.clone(), shown)
            };
            Value::Map(pairs.iter().map(one).collect()).into()
        }
    }
}

/// Returns `***` for every text and number in a value.
fn masked(value: &Node) -> Node {
    match &value.value {
        Value::Scalar(Scalar { .. }) => match value.type_of() {
            Type::Null | Type::Bool => value.clone(),
            _ => Node::text(HIDDEN),
        },
        Value::List(items) => Node::list(items.iter().map(masked)),
        Value::Map(pairs) => {
            let one = |(name, inner): &(Node, Node)| {
                // Whose password it is is no secret.
                let open = matches!(name.as_text(), Some("name" | "type" | "expire"));
                (name.clone(), if open { inner.clone() } else { masked(inner) })
            };
            Value::Map(pairs.iter().map(one).collect()).into()
        }
    }
}

/// Returns whether a file with this mode, octal, cannot be read by everybody.
fn is_private(mode: &Node) -> bool {
    let Value::Scalar(scalar) = &mode.value else { return false };
    let digits = scalar.text.trim_start_matches("0o");
    u32::from_str_radix(digits, 8).is_ok_and(|mode| mode & 0o004 == 0)
}

fn without_keys(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for line in text.split_inclusive('\n') {
        let begins = line.contains(KEY.0) && line.contains("PRIVATE KEY");
        if begins {
            let (before, _) = line.split_once(KEY.0).unwrap_or_default();
            out.push_str(before);
            out.push_str(HIDDEN);
            out.push('\n');
        } else if !inside {
            out.push_str(line);
        }
        let ends = line.rsplit(KEY.0).next().unwrap_or(line).contains(KEY.1);
        inside = (inside || begins) && !ends;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_the_rest_stays() {
        let text = "#cloud-config\nhostname: a # mine\nusers:\n- name: ann\n  lock_passwd: false\n  \
                    passwd: $6$abc\nchpasswd:\n  expire: false\n  list: |\n    ann:hunter2\n\
                    write_files:\n- path: /etc/open\n  content: seen\n- path: /etc/shut\n  \
                    permissions: '0600'\n  content: hunter3\nssh_keys: {rsa_private: hunter4}\n\
                    password: 12\n";
        let shown = hidden(text);
        for secret in ["$6$", "hunter", "12"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        for open in ["#cloud-config\n", "hostname: a\n", "name: ann", "seen", "lock_passwd: false"]
        {
            assert!(shown.contains(open), "{open}: {shown}");
        }
        let open = "#cloud-config\nhostname: a # mine\nlock_passwd: x\n";
        assert_eq!(hidden(open), open);
    }

    #[test]
    fn passwords_of_users_and_of_json_are_hidden() {
        let users = "chpasswd:\n  users:\n  - {name: a, password: hunter2, type: text}\n";
        assert!(!hidden(users).contains("hunter2"), "{}", hidden(users));
        assert!(hidden(users).contains("type: text"), "{}", hidden(users));
        assert!(!hidden("{\"uuid\": \"a\", \"admin_pass\": \"hunter2\"}").contains("hunter2"));
    }

    #[test]
    fn a_template_of_a_config_hides_them_by_the_line() {
        let text = "## template: jinja\n#cloud-config\nhostname: {{ a }}\n- passwd: 'x y'\nssh_pwauth: x\n";
        let shown =
            "## template: jinja\n#cloud-config\nhostname: {{ a }}\n- passwd: ***\nssh_pwauth: x\n";
        assert_eq!(hidden(text), shown);
    }

    #[test]
    fn private_keys_are_hidden_wherever_they_are() {
        let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----";
        let script = format!("#!/bin/sh\ncat > k <<E\n{key}\nE\necho\n");
        assert_eq!(hidden(&script), "#!/bin/sh\ncat > k <<E\n***\nE\necho\n");
        let block = key.replace('\n', "\n    ");
        let config =
            format!("#cloud-config\nwrite_files:\n- content: |\n    {block}\n  path: /k\n");
        assert!(!hidden(&config).contains("abc"), "{}", hidden(&config));
        assert!(hidden(&config).contains("path: /k"));
        let open = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n";
        assert_eq!(hidden(open), open);
    }
}
