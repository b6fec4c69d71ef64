// SPDX-License-Identifier: Apache-2.0 OR MIT
//! GNU `tar`: the files of a running machine as an archive, here or at the other end of SSH.
//!
//! Source: GNU tar manual, 1.34 and 1.35. Exit status 0; 1 if a file changed while it was read,
//! which files of a running machine do; 2 on failure.

use std::path::Path;

use crate::cmd::{Cmd, Tool, quote};

/// Owners as numbers, holes, extended attributes, SELinux labels; names in order. Access control
/// lists are among the attributes, by number: with `--acls` tar 1.34 names users and groups, which
/// only the guest knows, whatever `--numeric-owner` says. (Before a file with holes tar writes its own process's number.)
const HOW: &[&str] = &[
    "--create",
    "--file=-",
    "--format=posix",
    "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime",
    "--sort=name",
    "--numeric-owner",
    "--sparse",
    "--xattrs",
    "--xattrs-include=*",
    "--selinux",
    "--one-file-system",
    "--warning=no-file-ignored",
    "--warning=no-file-changed",
    "--warning=no-file-removed",
    "--warning=no-xdev",
    "--anchored",
    "--wildcards",
    "--no-wildcards-match-slash",
];
/// File systems that belong to a system's root although they are often others.
const WITH_ROOT: &[(&str, &str)] = &[("boot", ""), ("boot/efi", "boot"), ("efi", "")];

/// Returns the option that leaves out the paths of a pattern, which begins with `/`.
fn exclude(pattern: &str) -> String {
    let special = |c: char| if "?[\\".contains(c) { format!("\\{c}") } else { c.to_string() };
    format!("--exclude=.{}", pattern.chars().map(special).collect::<String>())
}

/// Returns the command that archives the folder `dir` of this machine, with `also`, other file
/// systems below it.
#[must_use]
pub fn create(dir: &Path, also: &[&str], excludes: &[&str]) -> Cmd {
    let below: Vec<String> = also.iter().map(|path| format!("./{path}")).collect();
    Cmd::new(Tool::Tar)
        .args(HOW)
        .args(excludes.iter().map(|pattern| exclude(pattern)))
        .arg("--directory")
        .arg(dir)
        .arg(".")
        .args(below)
        .also_ok(1)
        .deadline(None)
}

/// Returns which of `boot`, `boot/efi` and `efi` below `dir` are file systems of their own, so
/// that [`create`] takes them along.
#[must_use]
pub fn with_root(dir: &Path) -> Vec<&'static str> {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &str| std::fs::metadata(dir.join(path)).ok().map(|about| about.dev());
    let other = |(path, above): &&(&'static str, &'static str)| {
        device(path).is_some_and(|own| Some(own) != device(above))
    };
    WITH_ROOT.iter().filter(other).map(|(path, _)| *path).collect()
}

/// Returns a script for a POSIX shell that archives the root of the machine that it runs on, to
/// its standard output; by `sudo` if it is not run by root. Nothing is written there.
#[must_use]
pub fn remote_script(excludes: &[&str]) -> String {
    let options: Vec<String> = HOW
        .iter()
        .map(|option| quote(option))
        .chain(excludes.iter().map(|pattern| quote(&exclude(pattern))))
        .collect();
    let mounts: String = WITH_ROOT
        .iter()
        .map(|(path, above)| {
            format!(
                "a=$(d /{path}); b=$(d /{above}); \
                 [ -z \"$a\" ] || [ \"$a\" = \"$b\" ] || set -- \"$@\" ./{path}\n"
            )
        })
        .collect();
    format!(
        "s=; [ \"$(id -u)\" = 0 ] || s='sudo -n'\n\
         d() {{ $s stat -L -c %d \"$1\" 2>/dev/null; }}\n\
         set -- .\n\
         {mounts}\
         exec $s tar {} --directory=/ \"$@\"\n",
        options.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_anchored_and_only_stars_are_special() {
        assert_eq!(exclude("/proc/*"), "--exclude=./proc/*");
        assert_eq!(exclude("/a[1]?"), "--exclude=./a\\[1]\\?");
        let cmd = create(Path::new("/srv/t"), &["boot"], &["/tmp/*"]).to_string();
        assert!(cmd.ends_with("'--exclude=./tmp/*' --directory /srv/t . ./boot"), "{cmd}");
    }

    #[test]
    fn the_script_quotes_what_it_is_given() {
        let script = remote_script(&["/a'; rm -rf /; '"]);
        assert!(script.contains(r"'--exclude=./a'\''; rm -rf /; '\'''"), "{script}");
    }
}
