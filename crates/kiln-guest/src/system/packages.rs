// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Package managers: which one a guest has, and the command lines that make it work unasked.
//!
//! Source: apt-get(8), dnf(8), yum(8), zypper(8), pacman(8), apk(8), xbps-install(1), urpmi(8);
//! the same choices as guestfs-tools makes, so that both do the same.

use super::{Family, Known};
use crate::tree::{Kind, Tree, TreeError};

/// A package manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    /// Debian and its kin.
    Apt,
    /// Fedora and its kin.
    Dnf,
    /// Fedora's small one, in images for containers.
    Microdnf,
    /// Red Hat Enterprise Linux up to 7, and its kin.
    Yum,
    /// SUSE.
    Zypper,
    /// Alpine.
    Apk,
    /// Arch.
    Pacman,
    /// Void.
    Xbps,
    /// Mageia.
    Urpmi,
    /// Pisi Linux.
    Pisi,
}

/// Every one: word, programs that show that it is there.
const MANAGERS: &[(Manager, &str, &[&str])] = &[
    (Manager::Apt, "apt", &["/usr/bin/apt-get"]),
    (Manager::Dnf, "dnf", &["/usr/bin/dnf", "/usr/bin/dnf5", "/usr/bin/dnf-3"]),
    (Manager::Zypper, "zypper", &["/usr/bin/zypper"]),
    (Manager::Yum, "yum", &["/usr/bin/yum"]),
    (Manager::Microdnf, "microdnf", &["/usr/bin/microdnf"]),
    (Manager::Apk, "apk", &["/sbin/apk", "/usr/bin/apk"]),
    (Manager::Pacman, "pacman", &["/usr/bin/pacman"]),
    (Manager::Xbps, "xbps", &["/usr/bin/xbps-install", "/bin/xbps-install"]),
    (Manager::Urpmi, "urpmi", &["/usr/sbin/urpmi"]),
    (Manager::Pisi, "pisi", &["/usr/bin/pisi"]),
];

/// Options of apt-get that keep it from asking anything, and make it go on with the new files of
/// settings where the old were changed.
const APT: &str = "export DEBIAN_FRONTEND=noninteractive\n\
                   apt() { apt-get -q -y -o Dpkg::Options::=--force-confnew \"$@\"; }\n";

impl Manager {
    /// Finds the package manager of a guest: the one of its family if that is there, else the
    /// first that is; `None` if it has none that is known here.
    ///
    /// # Errors
    ///
    /// [`TreeError::Backend`].
    pub fn of(tree: &mut dyn Tree, known: &Known) -> Result<Option<Self>, TreeError> {
        let first = match known.family {
            Family::Suse => Some(Self::Zypper),
            Family::Arch => Some(Self::Pacman),
            Family::Alpine => Some(Self::Apk),
            Family::RedHat => Some(Self::Dnf),
            Family::Void => Some(Self::Xbps),
            _ => None,
        };
        let mut found = Vec::new();
        for (manager, _, programs) in MANAGERS {
            for program in *programs {
                match tree.stat(&(*program).into()) {
                    Ok(Some(stat)) if stat.kind == Kind::File => found.push(*manager),
                    Err(error @ TreeError::Backend { .. }) => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(first.filter(|f| found.contains(f)).or(found.first().copied()))
    }

    /// Returns the one that a word stands for.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        MANAGERS.iter().find(|(_, known, _)| *known == word).map(|(manager, ..)| *manager)
    }

    /// Returns the word that stands for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        MANAGERS.iter().find(|(manager, ..)| *manager == self).map_or("", |(_, word, _)| word)
    }

    /// Returns the directories where it keeps what it downloads, which an image should not have.
    #[must_use]
    pub fn caches(self) -> &'static [&'static str] {
        match self {
            Self::Apt => &["/var/cache/apt", "/var/lib/apt/lists"],
            Self::Dnf | Self::Microdnf => &["/var/cache/dnf", "/var/cache/libdnf5"],
            Self::Yum => &["/var/cache/yum"],
            Self::Zypper => &["/var/cache/zypp"],
            Self::Apk => &["/var/cache/apk"],
            Self::Pacman => &["/var/cache/pacman/pkg"],
            Self::Xbps => &["/var/cache/xbps"],
            Self::Urpmi => &["/var/cache/urpmi"],
            Self::Pisi => &["/var/cache/pisi"],
        }
    }

    /// Returns lines for `/bin/sh` that install packages.
    #[must_use]
    pub fn install(self, packages: &[String]) -> String {
        let names = quoted(packages);
        match self {
            Self::Apt => format!("set -e\n{APT}apt update\napt install {names}\n"),
            Self::Dnf => format!("dnf -y install {names}\n"),
            Self::Microdnf => format!("microdnf -y install {names}\n"),
            Self::Yum => format!("yum -y install {names}\n"),
            Self::Zypper => format!("zypper -n install -l {names}\n"),
            Self::Apk => format!("set -e\napk update\napk add {names}\n"),
            Self::Pacman => format!("pacman -Sy --noconfirm {names}\n"),
            Self::Xbps => format!("xbps-install -Sy {names}\n"),
            Self::Urpmi => format!("urpmi --auto {names}\n"),
            Self::Pisi => format!("pisi --yes-all install {names}\n"),
        }
    }

    /// Returns lines for `/bin/sh` that remove packages.
    #[must_use]
    pub fn uninstall(self, packages: &[String]) -> String {
        let names = quoted(packages);
        match self {
            Self::Apt => format!("set -e\n{APT}apt remove {names}\n"),
            // The plug-in asks Red Hat's servers, which a removal does not need.
            Self::Dnf => format!("dnf -y --disableplugin=subscription-manager remove {names}\n"),
            Self::Microdnf => format!("microdnf -y remove {names}\n"),
            Self::Yum => format!("yum -y remove {names}\n"),
            Self::Zypper => format!("zypper -n remove {names}\n"),
            Self::Apk => format!("apk del {names}\n"),
            Self::Pacman => format!("pacman -R --noconfirm {names}\n"),
            Self::Xbps => format!("xbps-remove -y {names}\n"),
            Self::Urpmi => format!("urpme --auto {names}\n"),
            Self::Pisi => format!("pisi --yes-all remove {names}\n"),
        }
    }

    /// Returns lines for `/bin/sh` that bring all packages up to date.
    #[must_use]
    pub fn update(self) -> String {
        match self {
            Self::Apt => format!("set -e\n{APT}apt update\napt upgrade\n"),
            Self::Dnf => "dnf -y --best upgrade\n".to_owned(),
            Self::Microdnf => "microdnf -y upgrade\n".to_owned(),
            Self::Yum => "yum -y update\n".to_owned(),
            Self::Zypper => "zypper -n dist-upgrade -l\n".to_owned(),
            Self::Apk => "set -e\napk update\napk upgrade\n".to_owned(),
            Self::Pacman => "pacman -Syu --noconfirm\n".to_owned(),
            Self::Xbps => "xbps-install -Suy\n".to_owned(),
            Self::Urpmi => "urpmi --auto --auto-update\n".to_owned(),
            Self::Pisi => "pisi --yes-all upgrade\n".to_owned(),
        }
    }
}

/// Returns the words of a shell's command line that stand for these texts.
fn quoted(packages: &[String]) -> String {
    let words: Vec<String> = packages.iter().map(|name| quote(name)).collect();
    words.join(" ")
}

/// Returns one word of a shell's command line that stands for `text`.
#[must_use]
pub fn quote(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._+:/=@%,".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Reads a list of packages, parted by commas; `None` if a name is empty or would be taken for
/// an option.
#[must_use]
pub fn list(text: &str) -> Option<Vec<String>> {
    let names: Vec<String> = text.split(',').map(str::to_owned).collect();
    let good = |name: &String| !name.is_empty() && !name.starts_with('-') && !name.contains('\0');
    names.iter().all(good).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_testkit::{need_program, run};

    #[test]
    fn names_stand_as_words_of_a_shell() {
        let names = ["nginx".to_owned(), "g++=4:12.2.0-3".to_owned(), "a'b; rm -rf /".to_owned()];
        let line = Manager::Dnf.install(&names);
        assert_eq!(line, "dnf -y install nginx g++=4:12.2.0-3 'a'\\''b; rm -rf /'\n");
        let out = run(&["sh", "-c", &line.replace("dnf -y install", "printf '<%s>'")]).success();
        assert_eq!(out.stdout, "<nginx><g++=4:12.2.0-3><a'b; rm -rf />");
    }

    #[test]
    fn lists_have_no_empty_names_and_no_options() {
        assert_eq!(list("a,b"), Some(vec!["a".to_owned(), "b".to_owned()]));
        for bad in ["", "a,,b", "a,", "--allow-unauthenticated,a", "-y"] {
            assert_eq!(list(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_manager_has_lines_that_a_shell_takes() {
        for (manager, word, _) in MANAGERS {
            assert_eq!(manager.word(), *word);
            let names = ["x".to_owned()];
            for line in [manager.install(&names), manager.uninstall(&names), manager.update()] {
                drop(run(&["sh", "-n", "-c", &line]).success());
            }
        }
    }

    #[test]
    fn apt_is_called_as_the_real_one_takes_it() {
        if !need_program("apt-get") {
            return;
        }
        // `-s` only says what would be done.
        let line = Manager::Apt.uninstall(&["dpkg-no-such-package".to_owned()]);
        let out = run(&["sh", "-c", &line.replace("apt-get -q", "apt-get -s -q")]);
        assert_eq!(out.code, 100, "{}", out.stderr);
        let line = Manager::Apt.update().replace("apt update\n", "");
        let out = run(&["sh", "-c", &line.replace("apt-get -q", "apt-get -s -q")]);
        assert_eq!(out.code, 0, "{}", out.stderr);
    }
}
