// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is wrong with a cloud-config, and what looks wrong.

use super::error::{Source, UserDataError};
use super::keys::{self, Key};
use super::{Place, Warning};
use crate::yaml::{Node, Spot, Type, Value};

/// Checks the types of all known keys and returns what to warn about, in the order of the file.
pub(super) fn check(root: &Node, source: Source<'_>) -> Result<Vec<Warning>, UserDataError> {
    let mut check = Check { source, warnings: Vec::new() };
    for (key, value) in root.as_map().unwrap_or_default() {
        let name = key_text(key);
        // A key that is no text (`5:`, `yes:`) is never one that cloud-init asks for.
        match keys::find(&name).filter(|_| key.as_text().is_some()) {
            Some(known) => check.types(known, &name, value)?,
            None => check.warnings.push(Warning::UnknownKey {
                place: check.place(key.spot),
                nearest: keys::nearest(&name),
                key: name,
            }),
        }
    }
    check.users(root)?;
    check.secrets(root);
    check.warnings.sort_by_key(|warning| (warning.place().line, warning.place().column));
    Ok(check.warnings)
}

fn key_text(key: &Node) -> String {
    match &key.value {
        Value::Scalar(scalar) => scalar.text.clone(),
        Value::List(_) | Value::Map(_) => String::new(),
    }
}

#[derive(Debug)]
struct Check<'a> {
    source: Source<'a>,
    warnings: Vec<Warning>,
}

impl Check<'_> {
    fn place(&self, spot: Spot) -> Place {
        self.source.place(spot.line, spot.column)
    }

    fn types(&self, key: &Key, path: &str, value: &Node) -> Result<(), UserDataError> {
        let (_, letters, items) = *key;
        self.type_of(path, value, letters)?;
        for (number, item) in value.as_list().unwrap_or_default().iter().enumerate() {
            self.type_of(&format!("{path}.{number}"), item, items)?;
        }
        Ok(())
    }

    fn type_of(
        &self,
        path: &str,
        value: &Node,
        letters: keys::Letters,
    ) -> Result<(), UserDataError> {
        let found = value.type_of();
        if keys::allows(letters, found) {
            return Ok(());
        }
        Err(UserDataError::WrongType {
            place: self.place(value.spot),
            key: path.to_owned(),
            wanted: keys::wanted(letters).into(),
            found: found.name(),
        })
    }

    /// Checks what Kiln may have to add to: the keys of each user.
    fn users(&self, root: &Node) -> Result<(), UserDataError> {
        for (path, user) in each_user(root) {
            for (key, value) in user.as_map().unwrap_or_default() {
                let name = key_text(key);
                if let Some(known) = keys::USER_KEYS.iter().find(|(key, ..)| *key == name) {
                    self.types(known, &format!("{path}.{name}"), value)?;
                }
            }
        }
        Ok(())
    }

    /// Finds passwords that are no hashes.
    fn secrets(&mut self, root: &Node) {
        if let Some(password) = root.get("password") {
            self.secret("password", password);
        }
        for (path, user) in each_user(root) {
            for key in ["plain_text_passwd", "password", "passwd", "hashed_passwd"] {
                if let Some(value) = user.get(key) {
                    self.secret(&format!("{path}.{key}"), value);
                }
            }
        }
        let Some(chpasswd) = root.get("chpasswd") else { return };
        if let Some(list) = chpasswd.get("list") {
            let whole = list.as_text().unwrap_or_default();
            let items = list.as_list().unwrap_or_default().iter().filter_map(Node::as_text);
            let secret = |line: &str| line.split_once(':').is_some_and(|(_, p)| is_secret(p));
            if whole.lines().chain(items).any(secret) {
                self.warn("chpasswd.list", list.spot);
            }
        }
        let users = chpasswd.get("users").and_then(Node::as_list).unwrap_or_default();
        for (number, user) in users.iter().enumerate() {
            let random = user.get("type").and_then(Node::as_text) == Some("RANDOM");
            if let Some(password) = user.get("password").filter(|_| !random) {
                self.secret(&format!("chpasswd.users.{number}.password"), password);
            }
        }
    }

    fn secret(&mut self, path: &str, value: &Node) {
        // A number is a password, too.
        let text = match &value.value {
            Value::Scalar(scalar) if scalar.type_of() != Type::Null => &scalar.text,
            _ => return,
        };
        if is_secret(text) {
            self.warn(path, value.spot);
        }
    }

    fn warn(&mut self, path: &str, spot: Spot) {
        let place = self.place(spot);
        self.warnings.push(Warning::PlainSecret { place, key: path.to_owned() });
    }
}

/// Returns whether a password is one as typed: neither a hash (crypt(5)), nor locked, nor the
/// word that makes cloud-init choose one.
fn is_secret(password: &str) -> bool {
    let password = password.trim();
    let locked = password.is_empty() || password.starts_with(['!', '*']);
    let hash = password.starts_with('$') && password.matches('$').count() >= 3;
    !locked && !hash && !matches!(password, "R" | "RANDOM")
}

/// Returns each user's own mapping with its path: in `users` as list or mapping, and in `user`.
fn each_user(root: &Node) -> Vec<(String, &Node)> {
    let mut out = Vec::new();
    match root.get("users").map(|users| &users.value) {
        Some(Value::List(items)) => {
            out.extend(items.iter().enumerate().map(|(n, item)| (format!("users.{n}"), item)));
        }
        Some(Value::Map(pairs)) => {
            out.extend(pairs.iter().map(|(key, user)| (format!("users.{}", key_text(key)), user)));
        }
        Some(Value::Scalar(_)) | None => {}
    }
    out.extend(root.get("user").map(|user| ("user".to_owned(), user)));
    out
}

#[cfg(test)]
mod tests {
    use super::super::UserData;

    fn error(body: &str) -> String {
        let text = format!("#cloud-config\n{body}");
        UserData::parse(text.as_bytes(), "u").unwrap_err().to_string()
    }

    fn warnings(body: &str) -> Vec<String> {
        let text = format!("#cloud-config\n{body}");
        let data = UserData::parse(text.as_bytes(), "u").unwrap();
        data.warnings().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn wrong_types_are_refused() {
        for (body, expected) in [
            ("packages: 5", "`u:2:11`: `packages` must be a list, and is a whole number"),
            ("runcmd: x", "`u:2:9`: `runcmd` must be a list, and is a text"),
            ("runcmd:", "`u:2:7`: `runcmd` must be a list, and is nothing"),
            (
                "runcmd:\n- echo a: b",
                "`u:3:3`: `runcmd.0` must be nothing or a list or a text, and is a mapping",
            ),
            ("hostname: 12", "`u:2:11`: `hostname` must be a text, and is a whole number"),
            ("timezone: 2024-01-01", "`u:2:11`: `timezone` must be a text, and is a date"),
            (
                "package_update: 1",
                "`u:2:17`: `package_update` must be a truth value, and is a whole number",
            ),
            ("write_files: [x]", "`u:2:15`: `write_files.0` must be a mapping, and is a text"),
            (
                "users: 5",
                "`u:2:8`: `users` must be a list or a mapping or a text, and is a whole number",
            ),
            (
                "users: [{name: a, ssh_authorized_keys: x}]",
                "`u:2:40`: `users.0.ssh_authorized_keys` must be a list, and is a text",
            ),
            (
                "users: {a: {name: 5}}",
                "`u:2:19`: `users.a.name` must be a text, and is a whole number",
            ),
            ("version: 1.0", "`u:2:10`: `version` must be a text, and is a number"),
        ] {
            assert_eq!(error(body), expected);
        }
    }

    #[test]
    fn a_command_with_a_colon_gets_a_hint() {
        let error = UserData::parse(b"#cloud-config\nruncmd:\n- echo a: b", "u").unwrap_err();
        assert_eq!(error.hint().unwrap(), "put the command in quotes: `: ` makes a mapping of it");
        assert_eq!(error.snippet().unwrap(), "3 | - echo a: b\n  |   ^");
    }

    #[test]
    fn right_types_are_taken() {
        for body in [
            "package_update: yes",
            "users: [default, {name: a}, [b, c]]",
            "users: {a: true, b: {sudo: x}}",
            "users: a,b",
            "user: {name: x}",
            "ntp:",
            "runcmd: [ls, [ls, -l], null]",
            "apt_pipelining: 5",
            "manage_etc_hosts: localhost",
        ] {
            assert_eq!(warnings(body), Vec::<String>::new(), "{body}");
        }
    }

    #[test]
    fn unknown_keys_are_warned_about() {
        assert_eq!(
            warnings("package: [a]\nservices: {}\n5: x"),
            [
                "`u:2:1`: cloud-init knows no key `package`; did you mean `packages`?",
                "`u:3:1`: cloud-init knows no key `services`, and will ignore it",
                "`u:4:1`: cloud-init knows no key `5`, and will ignore it",
            ]
        );
    }

    #[test]
    fn plain_passwords_are_warned_about_and_never_shown() {
        for body in [
            "password: hunter2",
            "users: [{name: a, plain_text_passwd: hunter2}]",
            "users: {a: {passwd: hunter2}}",
            "user: {plain_text_passwd: hunter2}",
            "chpasswd: {list: \"a:$6$salt$hash\\nb:hunter2\"}",
            "chpasswd: {list: ['b:hunter2']}",
            "chpasswd: {users: [{name: a, password: hunter2, type: text}]}",
        ] {
            let warnings = warnings(body);
            assert_eq!(warnings.len(), 1, "{body}");
            assert!(warnings[0].contains("plain text") && !warnings[0].contains("hunter2"));
        }
        for body in [
            "password: $6$salt$hash",
            "users: [{name: a, passwd: $6$s$h}, {name: b, passwd: '!'}]",
            "chpasswd: {list: [\"a:RANDOM\", \"b:$6$s$h\"], expire: false}",
            "chpasswd: {users: [{name: a, type: RANDOM}]}",
        ] {
            assert_eq!(warnings(body), Vec::<String>::new(), "{body}");
        }
    }
}
