// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What to run.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a tool may take when its caller names no deadline: five minutes.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(300);

/// A program of the host that Kiln relies on. The list is closed: `kiln doctor` checks each,
/// and the manual's table of dependencies is made from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tool {
    /// `mmdebstrap`: a Debian tree from packages.
    Mmdebstrap,
    /// `dnf`: a tree of RPM packages.
    Dnf,
    /// `newuidmap`: lets a user have user ids of their own; `mmdebstrap` calls it.
    Newuidmap,
    /// `newgidmap`: the same for groups.
    Newgidmap,
    /// `guestfish`: an appliance for file systems that Kiln does not know itself.
    Guestfish,
    /// `mke2fs`: an empty ext4 file system.
    Mke2fs,
    /// `mkfs.xfs`: an empty XFS file system.
    MkfsXfs,
    /// `mkfs.btrfs`: an empty btrfs file system.
    MkfsBtrfs,
    /// `e2fsck`: checks and mends an ext4 file system.
    E2fsck,
    /// `fsck.fat`: checks and mends a FAT file system.
    FsckFat,
    /// `resize2fs`: makes an ext4 file system larger or smaller.
    Resize2fs,
    /// `grub-mkimage`: GRUB's core image from its modules.
    GrubMkimage,
    /// `qemu-img`: conversion between disk formats.
    QemuImg,
    /// `qemu-storage-daemon`: images in formats that are not read in process.
    QemuStorageDaemon,
    /// `sqfstar`: a squashfs file system from a tar archive.
    Sqfstar,
    /// `rbd`: images of a Ceph cluster, and who uses them.
    Rbd,
    /// `tar`: a running host's files, or a folder's, as an archive.
    Tar,
    /// `ssh`: a shell in a machine.
    Ssh,
    /// `scp`: copies to and from a machine.
    Scp,
    /// `ssh-keygen`: the key that Kiln makes when the user has none.
    SshKeygen,
    /// `ssh-add`: the keys of the user's SSH agent.
    SshAdd,
    /// `gpgv`: checks OpenPGP signatures.
    Gpgv,
    /// `gpg`: makes OpenPGP signatures, with the user's keys.
    Gpg,
    /// `sensible-editor`: the user's own editor.
    SensibleEditor,
    /// `unshare`: a mount namespace for one program.
    Unshare,
    /// `passt`: networking of a session's machines.
    Passt,
    /// `nft`: the rules of forwards.
    Nft,
    /// `iptables`: what accepts forwards where libvirt writes its rules by it.
    Iptables,
    /// `ip6tables`: the same for IPv6.
    Ip6tables,
    /// `qemu-system-x86_64`: the emulator itself; libvirt starts it, Kiln asks its version.
    QemuSystem,
}

impl Tool {
    /// Every tool, in the order that `kiln doctor` shows them.
    pub const ALL: &'static [Self] = &[
        Self::QemuSystem,
        Self::QemuImg,
        Self::QemuStorageDaemon,
        Self::Rbd,
        Self::Passt,
        Self::Nft,
        Self::Iptables,
        Self::Ip6tables,
        Self::Tar,
        Self::Ssh,
        Self::Scp,
        Self::SshKeygen,
        Self::SshAdd,
        Self::Mmdebstrap,
        Self::Dnf,
        Self::Newuidmap,
        Self::Newgidmap,
        Self::Guestfish,
        Self::Mke2fs,
        Self::MkfsXfs,
        Self::MkfsBtrfs,
        Self::E2fsck,
        Self::FsckFat,
        Self::Resize2fs,
        Self::GrubMkimage,
        Self::Sqfstar,
        Self::Gpgv,
        Self::Gpg,
        Self::SensibleEditor,
        Self::Unshare,
    ];

    /// Returns the program's name, looked up in a fixed list of folders.
    #[must_use]
    pub const fn program(self) -> &'static str {
        match self {
            Self::Mmdebstrap => "mmdebstrap",
            Self::Dnf => "dnf",
            Self::Newuidmap => "newuidmap",
            Self::Newgidmap => "newgidmap",
            Self::Guestfish => "guestfish",
            Self::Mke2fs => "mke2fs",
            Self::MkfsXfs => "mkfs.xfs",
            Self::MkfsBtrfs => "mkfs.btrfs",
            Self::E2fsck => "e2fsck",
            Self::FsckFat => "fsck.fat",
            Self::Resize2fs => "resize2fs",
            Self::GrubMkimage => "grub-mkimage",
            Self::QemuImg => "qemu-img",
            Self::QemuStorageDaemon => "qemu-storage-daemon",
            Self::Sqfstar => "sqfstar",
            Self::Rbd => "rbd",
            Self::Tar => "tar",
            Self::Ssh => "ssh",
            Self::Scp => "scp",
            Self::SshKeygen => "ssh-keygen",
            Self::SshAdd => "ssh-add",
            Self::Gpgv => "gpgv",
            Self::Gpg => "gpg",
            Self::SensibleEditor => "sensible-editor",
            Self::Unshare => "unshare",
            Self::Passt => "passt",
            Self::Nft => "nft",
            Self::Iptables => "iptables",
            Self::Ip6tables => "ip6tables",
            Self::QemuSystem => "qemu-system-x86_64",
        }
    }

    /// Returns the Debian package that has the program.
    #[must_use]
    pub const fn package(self) -> &'static str {
        match self {
            Self::Mmdebstrap => "mmdebstrap",
            Self::Dnf => "dnf",
            Self::Newuidmap | Self::Newgidmap => "uidmap",
            Self::Guestfish => "guestfish",
            Self::Mke2fs | Self::E2fsck | Self::Resize2fs => "e2fsprogs",
            Self::MkfsXfs => "xfsprogs",
            Self::MkfsBtrfs => "btrfs-progs",
            Self::FsckFat => "dosfstools",
            Self::GrubMkimage => "grub-common",
            Self::QemuImg | Self::QemuStorageDaemon => "qemu-utils",
            Self::Sqfstar => "squashfs-tools",
            Self::Rbd => "ceph-common",
            Self::Tar => "tar",
            Self::Ssh | Self::Scp | Self::SshKeygen | Self::SshAdd => "openssh-client",
            Self::Gpgv => "gpgv",
            Self::Gpg => "gpg",
            Self::SensibleEditor => "sensible-utils",
            Self::Unshare => "util-linux",
            Self::Passt => "passt",
            Self::Nft => "nftables",
            Self::Iptables | Self::Ip6tables => "iptables",
            Self::QemuSystem => "qemu-system-x86",
        }
    }

    /// Returns what needs the program, in a word or two.
    #[must_use]
    pub const fn needed_for(self) -> &'static str {
        match self {
            Self::Mmdebstrap | Self::Mke2fs | Self::GrubMkimage => "kiln build",
            Self::Dnf => "kiln build of Fedora and its kin",
            Self::Newuidmap | Self::Newgidmap => "kiln build and customize, without root",
            Self::MkfsXfs | Self::MkfsBtrfs => "kiln build with XFS, btrfs",
            Self::Guestfish => "images with XFS, btrfs, LVM, LUKS",
            Self::QemuImg => "images",
            Self::QemuStorageDaemon => "VMDK, VHDX and other images",
            Self::Sqfstar => "outputs of kiln build as squashfs",
            Self::Rbd => "images of a Ceph cluster",
            Self::E2fsck | Self::FsckFat => "kiln image check",
            Self::Resize2fs => "kiln image resize",
            Self::Tar => "kiln bundle create",
            Self::Ssh | Self::SshKeygen | Self::SshAdd => "kiln ssh, kiln launch",
            Self::Scp => "kiln cp",
            Self::Gpgv => "kiln image pull, signed catalogs",
            Self::Gpg => "kiln catalog sign",
            Self::SensibleEditor => "kiln image edit",
            Self::Unshare => "kiln image --trust",
            Self::Passt => "machines of a session",
            Self::Nft | Self::Iptables | Self::Ip6tables => "kiln forward",
            Self::QemuSystem => "every machine",
        }
    }

    /// Returns the program's path in the fixed list of folders, if it is installed.
    #[must_use]
    pub fn find(self) -> Option<std::path::PathBuf> {
        crate::run::FOLDERS
            .iter()
            .map(|folder| std::path::Path::new(folder).join(self.program()))
            .find(|path| path.is_file())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Arg {
    Plain(OsString),
    Secret(OsString),
}

/// One run of a [`Tool`], not started yet.
///
/// Its `Display` is what to paste into a shell to do the same by hand; secrets are shown as
/// `***`, and the environment is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cmd {
    tool: Tool,
    args: Vec<Arg>,
    envs: Vec<(OsString, OsString)>,
    ok: Vec<i32>,
    deadline: Option<Duration>,
    input: Option<PathBuf>,
}

impl Cmd {
    /// Returns a run of `tool` with no arguments, of which only exit status 0 is good, and
    /// which may take five minutes.
    #[must_use]
    pub fn new(tool: Tool) -> Self {
        Self {
            tool,
            args: Vec::new(),
            envs: Vec::new(),
            ok: vec![0],
            deadline: Some(DEFAULT_DEADLINE),
            input: None,
        }
    }

    /// Adds one argument. Never split, never seen by a shell.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(Arg::Plain(arg.as_ref().to_owned()));
        self
    }

    /// Adds several arguments, in order.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(self, args: impl IntoIterator<Item = A>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    /// Adds an argument that must not be shown.
    #[must_use]
    pub fn secret(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(Arg::Secret(arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the environment, which is otherwise `PATH` and `LC_ALL` only.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.envs.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Counts exit status `code` as good, too.
    #[must_use]
    pub fn also_ok(mut self, code: i32) -> Self {
        self.ok.push(code);
        self
    }

    /// Sets how long the run may take; `None` for as long as it likes.
    #[must_use]
    pub fn deadline(mut self, deadline: Option<Duration>) -> Self {
        self.deadline = deadline;
        self
    }

    /// Has the run read a file at its standard input.
    #[must_use]
    pub fn input(mut self, file: impl Into<PathBuf>) -> Self {
        self.input = Some(file.into());
        self
    }

    pub(crate) fn reads(&self) -> Option<&Path> {
        self.input.as_deref()
    }

    /// Returns which tool is run.
    #[must_use]
    pub fn tool(&self) -> Tool {
        self.tool
    }

    pub(crate) fn arguments(&self) -> impl Iterator<Item = &OsStr> {
        self.args.iter().map(|a| match a {
            Arg::Plain(s) | Arg::Secret(s) => s.as_os_str(),
        })
    }

    pub(crate) fn environment(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.envs.iter().map(|(k, v)| (k.as_os_str(), v.as_os_str()))
    }

    pub(crate) fn is_ok(&self, code: i32) -> bool {
        self.ok.contains(&code)
    }

    pub(crate) fn allowed(&self) -> Option<Duration> {
        self.deadline
    }
}

impl fmt::Display for Cmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tool.program())?;
        for arg in &self.args {
            match arg {
                Arg::Plain(s) => write!(f, " {}", quote(&s.to_string_lossy()))?,
                Arg::Secret(_) => f.write_str(" ***")?,
            }
        }
        if let Some(input) = &self.input {
            write!(f, " < {}", quote(&input.to_string_lossy()))?;
        }
        Ok(())
    }
}

/// Returns the folders that programs are looked for in, in order.
#[must_use]
pub const fn folders() -> &'static [&'static str] {
    crate::run::FOLDERS
}

/// Returns `s` as a POSIX shell reads it back: unchanged if nothing in it is special, in single
/// quotes otherwise.
#[must_use]
pub fn quote(s: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !s.is_empty() && s.chars().all(plain) {
        s.to_owned()
    } else {
        format!("'{}'", s.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_can_be_pasted_and_hides_secrets() {
        let cmd = Cmd::new(Tool::Mke2fs).arg("-L").arg("it's here").secret("hunter2");
        assert_eq!(cmd.to_string(), r"mke2fs -L 'it'\''s here' ***");
    }

    #[test]
    fn every_tool_is_listed_once() {
        let mut names: Vec<_> = Tool::ALL.iter().map(|t| t.program()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Tool::ALL.len());
    }
}
