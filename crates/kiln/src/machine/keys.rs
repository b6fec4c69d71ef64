// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The SSH keys that may log in: found as `ssh` finds them, or made by Kiln.
//!
//! Source: ssh(1) `-G` (the identity files in effect, one `identityfile PATH` a line), ssh-add(1)
//! `-L` (public keys of the agent; exit 1 when it has none, 2 when there is no agent),
//! ssh-keygen(1).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use kiln_host::{Cmd, Host, Tool, read};

use crate::context::Context;
use crate::error::{Class, Problem, unreadable};

/// The most that is read of a file of public keys.
const KEYS_MOST: u64 = 1 << 20;

/// The keys of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys {
    /// Public keys, one line each, as in `authorized_keys`.
    pub(crate) public: Vec<String>,
    /// Private key files to offer with `-i`; none when `ssh` finds its keys by itself.
    pub(crate) identities: Vec<PathBuf>,
    /// Where they are from, for people.
    pub(crate) origin: String,
}

/// Finds the keys that `ssh` would use, else makes one and keeps it (not in a dry run, which then
/// has none).
///
/// # Errors
///
/// When a key cannot be made or read.
pub(crate) fn find(ctx: &Context, dry_run: bool) -> anyhow::Result<Keys> {
    let mut public = agent_keys(ctx);
    for file in identity_files(ctx) {
        let of_file = fs::read_to_string(public_file(&file)).unwrap_or_default();
        public.extend(public_lines(&of_file));
    }
    public.dedup();
    if !public.is_empty() {
        return Ok(Keys { public, identities: Vec::new(), origin: "your ssh keys".to_owned() });
    }
    if dry_run {
        let origin = "a key that kiln would make".to_owned();
        return Ok(Keys { public, identities: Vec::new(), origin });
    }
    own_key(ctx)
}

/// Reads the keys of the given files.
///
/// # Errors
///
/// A file that cannot be read or holds no public key (class file).
pub(crate) fn given(given: &[PathBuf]) -> anyhow::Result<Keys> {
    let mut keys =
        Keys { public: Vec::new(), identities: Vec::new(), origin: "--ssh-key".to_owned() };
    for path in given {
        let shown = path.display();
        let bytes = read::bounded(path, KEYS_MOST).map_err(|source| {
            unreadable(&format!("could not read the public key `{shown}`"), source)
        })?;
        let text = String::from_utf8_lossy(&bytes);
        let lines = public_lines(&text);
        if lines.is_empty() {
            let problem = Problem::new(Class::File, format!("`{shown}` holds no public SSH key"));
            return Err(problem.hint("give the file that ends in `.pub`").into());
        }
        keys.public.extend(lines);
        let private = path.with_extension("");
        if path.extension().is_some_and(|e| e == "pub") && private.is_file() {
            keys.identities.push(private);
        }
    }
    Ok(keys)
}

fn agent_keys(ctx: &Context) -> Vec<String> {
    let Some(socket) = &ctx.env.ssh_auth_sock else { return Vec::new() };
    let cmd = Cmd::new(Tool::SshAdd).arg("-L").env("SSH_AUTH_SOCK", socket).also_ok(1).also_ok(2);
    match ctx.host.run(&cmd) {
        Ok(out) if out.code == 0 => public_lines(&String::from_utf8_lossy(&out.stdout)),
        // No agent, an empty one, or no ssh-add: then the files decide.
        _ => Vec::new(),
    }
}

fn identity_files(ctx: &Context) -> Vec<PathBuf> {
    let Some(home) = &ctx.env.home else { return Vec::new() };
    let cmd = Cmd::new(Tool::Ssh).args(["-G", "kiln-machine.invalid"]);
    let Ok(out) = ctx.host.run(&cmd) else { return Vec::new() };
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    text.lines()
        .filter_map(|line| line.strip_prefix("identityfile "))
        .map(|file| match file.strip_prefix("~/") {
            Some(inside) => home.join(inside),
            None => PathBuf::from(file),
        })
        .filter(|file| file.is_file())
        .collect()
}

fn public_file(private: &Path) -> PathBuf {
    let mut name = private.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}

/// Returns the lines that are public keys: a type, then base64.
fn public_lines(text: &str) -> Vec<String> {
    let is_key = |line: &&str| {
        let mut words = line.split_whitespace();
        let kind = words.next().unwrap_or_default();
        let known = ["ssh-", "ecdsa-", "sk-"].iter().any(|start| kind.starts_with(start));
        known && words.next().is_some_and(|data| data.starts_with("AAAA"))
    };
    text.lines().map(str::trim).filter(is_key).map(str::to_owned).collect()
}

/// Returns the key that Kiln keeps, made at the first call.
fn own_key(ctx: &Context) -> anyhow::Result<Keys> {
    let folder = ctx.sub("keys");
    let private = folder.join("id_ed25519");
    let _lock = kiln_host::lock::Lock::wait(&ctx.sub("locks").join("keys"))?;
    if !private.is_file() {
        fs::create_dir_all(&folder)
            .with_context(|| format!("could not make the folder `{}`", folder.display()))?;
        let cmd = Cmd::new(Tool::SshKeygen)
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "kiln", "-f"])
            .arg(&private);
        ctx.host.run(&cmd).context("could not make an SSH key")?;
        ctx.ui.say(format!("no SSH key found; made one: {}", private.display()));
    }
    let path = public_file(&private);
    let public = fs::read_to_string(&path)
        .with_context(|| format!("could not read the key `{}`", path.display()))?;
    let public = public_lines(&public);
    Ok(Keys { public, identities: vec![private], origin: "a key that kiln keeps".to_owned() })
}

/// Returns whether a login with `keys` needs nobody's passphrase: the agent has a key, or one of
/// the private keys is not encrypted.
pub(crate) fn usable_unasked(ctx: &Context, identities: &[PathBuf]) -> bool {
    if !agent_keys(ctx).is_empty() {
        return true;
    }
    let found = identity_files(ctx);
    let files = if identities.is_empty() { &found } else { identities };
    files.iter().any(|file| {
        let cmd = Cmd::new(Tool::SshKeygen).args(["-y", "-P", "", "-f"]).arg(file);
        ctx.host.run(&cmd).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_keys_are_taken() {
        let text = "# comment\nssh-ed25519 AAAAC3Nza me@here\n\nssh-rsa garbage\n-----BEGIN OPENSSH PRIVATE KEY-----\n\
                    sk-ssh-ed25519@openssh.com AAAAGnNr x";
        assert_eq!(
            public_lines(text),
            ["ssh-ed25519 AAAAC3Nza me@here", "sk-ssh-ed25519@openssh.com AAAAGnNr x"]
        );
    }

    #[test]
    fn the_public_file_lies_beside_the_private_one() {
        assert_eq!(public_file(Path::new("/h/.ssh/id.work")), Path::new("/h/.ssh/id.work.pub"));
    }
}
