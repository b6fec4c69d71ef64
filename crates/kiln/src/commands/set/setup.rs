// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a set's file says of its guests' first boot, with the files that it names, read.

use std::path::Path;

use kiln_guest::seed::{Account, Setup, SetupFile};
use kiln_host::read;
use kiln_spec::recipe::{FileEntry, FileSource};
use kiln_spec::set::{MachineSpec, UserSpec};

use super::file::beside;
use crate::context::Context;
use crate::error::{Class, Problem, unreadable};
use crate::machine::first_boot::MOST;
use crate::machine::keys;

/// The most that is read of a file with a password's hash.
const HASH_MOST: u64 = 4096;

/// Reads what the guests of an entry are to be; `folder` is that of the set's file.
///
/// # Errors
///
/// A file that cannot be read, or is not what it should be.
pub(super) fn read(ctx: &Context, spec: &MachineSpec, folder: &Path) -> anyhow::Result<Setup> {
    // A login that is nothing else is made as every launch makes it.
    let plain = usize::from(spec.login().is_some_and(UserSpec::is_login));
    let accounts = spec.users.iter().skip(plain).map(|user| account(ctx, user, folder));
    Ok(Setup {
        accounts: accounts.collect::<Result<_, _>>()?,
        packages: spec.packages.clone(),
        files: spec.files.iter().map(|one| file(ctx, one, folder)).collect::<Result<_, _>>()?,
        commands: spec.commands.clone(),
    })
}

fn account(ctx: &Context, user: &UserSpec, folder: &Path) -> anyhow::Result<Account> {
    let path = |path: &String| beside(ctx, folder, path);
    let keys = user.ssh_keys.iter().map(path).collect::<Result<Vec<_>, _>>()?;
    let hash = user.password_hash.as_ref().map(|file| password_hash(&path(file)?)).transpose()?;
    Ok(Account {
        name: user.name.clone(),
        ssh_keys: keys::given(&keys)?.public,
        sudo: user.sudo,
        groups: user.groups.clone(),
        shell: user.shell.clone(),
        password_hash: hash,
    })
}

/// Reads the hash of a password, crypt(5). Nothing of the file is ever shown: it may be the password.
fn password_hash(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let bytes = read::bounded(path, HASH_MOST).map_err(|source| {
        unreadable(&format!("could not read the password's hash `{shown}`"), source)
    })?;
    let text = String::from_utf8_lossy(&bytes);
    let hash = text.trim();
    // `$y$…$…$…`; a field of shadow(5) has no colon.
    let is_hash = hash.starts_with('$')
        && hash.matches('$').count() >= 3
        && hash.chars().all(|c| c.is_ascii_graphic() && !":!*\\;".contains(c));
    if is_hash {
        return Ok(hash.to_owned());
    }
    let what = format!("`{shown}` holds no hash of a password");
    Err(Problem::new(Class::File, what).hint("make one: `mkpasswd > FILE`").into())
}

fn file(ctx: &Context, entry: &FileEntry, folder: &Path) -> anyhow::Result<SetupFile> {
    let content = match &entry.what {
        FileSource::Content(text) => text.clone().into_bytes(),
        FileSource::Source(path) | FileSource::Template(path) => {
            let path = beside(ctx, folder, path)?;
            read::bounded(&path, MOST).map_err(|source| {
                unreadable(&format!("could not read the file `{}`", path.display()), source)
            })?
        }
    };
    Ok(SetupFile {
        path: entry.path.clone(),
        content,
        mode: entry.mode.unwrap_or_default(),
        owner: entry.owner.clone(),
        group: entry.group.clone(),
    })
}
