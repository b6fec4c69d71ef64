// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `mmdebstrap`: a Debian tree from packages, as a tar stream.
//!
//! Source: mmdebstrap(1), 1.3.5 to 1.5.7. Exit status 0, or 1 on failure. The tar goes to
//! standard output; with `--verbose` all that apt and dpkg say goes to standard error.
//!
//! Mode `unshare` for root, too: the namespaces take the mounts and the processes with them,
//! however the run ends. Mode `root` leaves `/dev` and `/proc` mounted in the tree when it is
//! killed, and whoever then removed the tree would remove the host's devices.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cmd::{Cmd, Tool, quote};

/// How long a build of a tree may take: a slow mirror and a slow machine need more than an hour.
const DEADLINE: Duration = Duration::from_secs(3 * 3600);

/// A tree to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The release's code name.
    pub suite: String,
    /// Which packages come by themselves: `minbase`.
    pub variant: String,
    /// Packages besides those.
    pub packages: Vec<String>,
    /// Where packages come from: lines of sources.list(5).
    pub sources: Vec<String>,
    /// Settings of apt, which stay in the tree: lines of apt.conf(5).
    pub apt: Vec<String>,
    /// Settings of dpkg, which stay in the tree: options of dpkg(1) without `--`.
    pub dpkg: Vec<String>,
    /// Files of scripts for `sh`, each run before apt looks at anything, with the tree's path as
    /// `$1`.
    pub setups: Vec<PathBuf>,
    /// Files of scripts for `sh`, each run when the essential packages are unpacked and none is
    /// installed, with the tree's path as `$1`; one that fails ends it all.
    pub checks: Vec<PathBuf>,
    /// Files of scripts for `sh`, each run after all packages are there, with the tree's path as
    /// `$1`. Nothing that a user wrote belongs in them: hand it over in `env`.
    pub scripts: Vec<PathBuf>,
    /// Variables of the environment for packages' scripts and for `scripts`.
    pub env: Vec<(String, String)>,
    /// Seconds since 1970: later times of files become this one.
    pub epoch: u64,
}

/// Returns the command that writes `tree` to its standard output. It works in `temp`, where it
/// removes what it made, also when it is ended by SIGTERM.
#[must_use]
pub fn tar(tree: &Tree, temp: &Path) -> Cmd {
    let mut cmd = Cmd::new(Tool::Mmdebstrap)
        .args(["--verbose", "--mode=unshare", "--format=tar", "--skip=output/dev"])
        .arg(format!("--variant={}", tree.variant))
        .arg(format!("--include={}", tree.packages.join(",")))
        .args(tree.apt.iter().map(|line| format!("--aptopt={line}")))
        .args(tree.dpkg.iter().map(|option| format!("--dpkgopt={option}")))
        .args(tree.setups.iter().map(|script| format!("--setup-hook={}", hook(script))))
        .args(tree.checks.iter().map(|script| format!("--extract-hook={}", hook(script))))
        .args(tree.scripts.iter().map(|script| format!("--customize-hook={}", hook(script))))
        .args([&tree.suite, "-"])
        .args(&tree.sources)
        .env("TMPDIR", temp)
        .env("SOURCE_DATE_EPOCH", tree.epoch.to_string())
        .deadline(Some(DEADLINE));
    for (name, value) in &tree.env {
        cmd = cmd.env(name, value);
    }
    cmd
}

/// A hook is a line for a shell: the one place where a path has to be quoted.
fn hook(script: &Path) -> String {
    format!(r#"sh {} "$1""#, quote(&script.to_string_lossy()))
}

/// Returns the command that removes a tree of files that belong to a user's subordinate ids.
#[must_use]
pub fn remove(folder: &Path) -> Cmd {
    Cmd::new(Tool::Mmdebstrap)
        .args(["--unshare-helper", "rm", "-rf", "--one-file-system", "--"])
        .arg(folder)
}

/// Returns the command that prints the version.
#[must_use]
pub fn version() -> Cmd {
    Cmd::new(Tool::Mmdebstrap).arg("--version")
}

/// Reads what [`version`] printed: `mmdebstrap 1.5.5`.
#[must_use]
pub fn parse_version(printed: &str) -> Option<&str> {
    printed.lines().next()?.strip_prefix("mmdebstrap ").map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command() {
        let tree = Tree {
            suite: "bookworm".into(),
            variant: "minbase".into(),
            packages: vec!["udev".into(), "dbus".into()],
            sources: vec!["deb http://m/ bookworm main".into()],
            apt: vec!["Acquire::Languages \"none\"".into()],
            dpkg: vec!["path-exclude=/usr/share/man/*".into()],
            setups: Vec::new(),
            checks: vec!["/t/a b".into()],
            scripts: vec!["/t/c".into()],
            env: vec![("INITRD".into(), "No".into())],
            epoch: 1,
        };
        let cmd = tar(&tree, Path::new("/var/tmp/x"));
        assert_eq!(
            cmd.to_string(),
            "mmdebstrap --verbose --mode=unshare --format=tar --skip=output/dev --variant=minbase \
             --include=udev,dbus '--aptopt=Acquire::Languages \"none\"' \
             '--dpkgopt=path-exclude=/usr/share/man/*' \
             '--extract-hook=sh '\\''/t/a b'\\'' \"$1\"' '--customize-hook=sh /t/c \"$1\"' bookworm - \
             'deb http://m/ bookworm main'"
        );
        let env: Vec<_> =
            cmd.environment().map(|(k, v)| format!("{}={}", k.display(), v.display())).collect();
        assert_eq!(env, ["TMPDIR=/var/tmp/x", "SOURCE_DATE_EPOCH=1", "INITRD=No"]);
    }

    #[test]
    fn the_version_is_read() {
        assert_eq!(parse_version("mmdebstrap 1.5.5\n"), Some("1.5.5"));
        assert_eq!(parse_version("something else"), None);
    }
}
