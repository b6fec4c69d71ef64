// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Distributions with RPM (Fedora, CentOS Stream, AlmaLinux, Rocky Linux): the tree that dnf is to
//! make, and the files that Kiln puts into it.
//!
//! dnf is the host's, and works on an empty tree (`--installroot`): see dnf(8), dnf.conf(5).
//!
//! **Invariant:** no text of a recipe becomes part of a script. Values reach [`INSTALL`] by the
//! environment and by files.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use kiln_spec::Arch;
use kiln_spec::recipe::{Locale, Recipe, RpmBase, RpmRelease};

use super::GuestFile;

/// Makes the tree.
pub const INSTALL: &str = include_str!("install.sh");
/// Where [`INSTALL`] finds [`Tree::config`] and the keys.
pub const FOLDER: &str = "/kiln/dnf";
/// Where dnf keeps what it fetches.
pub const CACHE: &str = "/kiln/dnf-cache";
/// The file of [`FOLDER`] with the settings.
pub const CONFIG: &str = "dnf.conf";
/// The file of [`FOLDER`] with the keys.
pub const KEYS: &str = "keys.asc";
/// Where Debian's package of all distributors' keys has them.
const ALL_KEYS: &str = "/usr/share/distribution-gpg-keys";
/// That package.
pub const ALL_KEYS_PACKAGE: &str = "distribution-gpg-keys";

/// Packages of every image, whatever its architecture.
const PACKAGES: &[&str] = &[
    // Start.
    "systemd",
    "systemd-udev",
    "kernel-core",
    "dracut",
    "e2fsprogs",
    "glibc-minimal-langpack",
    "rootfiles",
    // First boot.
    "cloud-init",
    "cloud-utils-growpart",
    "tzdata",
    // Reach.
    "NetworkManager",
    "iproute",
    "openssh-server",
    "openssh-clients",
    "qemu-guest-agent",
    "sudo",
    // Packages.
    "dnf",
    "ca-certificates",
    // Boot loader.
    "grub2-tools",
];

/// Boot loaders of an architecture.
const fn loaders(arch: Arch) -> &'static [&'static str] {
    match arch {
        Arch::Arm64 => &["grub2-efi-aa64", "grub2-efi-aa64-modules", "shim-aa64"],
        Arch::Amd64 => &["grub2-pc-modules", "grub2-efi-x64", "grub2-efi-x64-modules", "shim-x64"],
    }
}

/// A tree to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// dnf's settings and repositories: dnf.conf(5).
    pub config: String,
    /// Variables of the environment for [`INSTALL`].
    pub env: Vec<(String, String)>,
}

/// Returns the tree that `recipe` asks for.
///
/// # Panics
///
/// Never: text can be written to a text.
#[must_use]
pub fn tree(recipe: &Recipe, base: &RpmBase, (arch, epoch): (Arch, u64)) -> Tree {
    let locale = locale(recipe);
    let mut all: Vec<String> =
        loaders(arch).iter().chain(PACKAGES).map(|&name| name.to_owned()).collect();
    all.push(format!("{}-release", base.release.name()));
    all.extend(recipe.disk.packages().into_iter().map(str::to_owned));
    if let Some(language) = locale.split_once('_').map(|(language, _)| language) {
        all.push(format!("glibc-langpack-{language}"));
    }
    let own: Vec<_> = recipe.packages.iter().map(ToString::to_string).collect();
    let timezone = recipe.timezone.as_ref().map_or("Etc/UTC", |zone| zone.as_str());
    let env = [
        ("KILN_BASE", all.join(" ")),
        ("KILN_PACKAGES", own.join(" ")),
        ("KILN_TIMEZONE", timezone.to_owned()),
        ("KILN_LOCALE", locale.to_owned()),
        ("KILN_DBPATH", database(&base.release).to_owned()),
        ("KILN_RELEASEVER", base.release.version().to_owned()),
        ("SOURCE_DATE_EPOCH", epoch.to_string()),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value)).to_vec();
    Tree { config: config(base, arch), env }
}

fn locale(recipe: &Recipe) -> &str {
    recipe.locale.as_ref().map_or("C.UTF-8", Locale::as_str)
}

/// Returns where the distribution's rpm has its list of packages.
///
/// Source: the macro `_dbpath` of their package `rpm`; changed with Fedora 36, so with CentOS
/// Stream 10, which is made from a later one.
fn database(release: &RpmRelease) -> &'static str {
    match release.major() {
        "9" => "/var/lib/rpm",
        _ => "/usr/lib/sysimage/rpm",
    }
}

/// Returns dnf's settings: nothing of the host's, only what is signed, and the first failure is one.
fn config(base: &RpmBase, arch: Arch) -> String {
    let mut text = "\
[main]
gpgcheck=1
assumeyes=1
best=1
skip_if_unavailable=0
install_weak_deps=0
keepcache=1
plugins=0
tsflags=nodocs
retries=3
timeout=60
reposdir=/kiln/dnf/none
varsdir=/kiln/dnf/none
pluginconfpath=/kiln/dnf/none
"
    .to_owned();
    let mirror = base.mirror.as_str().trim_end_matches('/');
    for (name, folder) in base.release.repositories(arch.qemu()) {
        write!(
            text,
            "[kiln-{distribution}-{name}]\nname={name}\nbaseurl={mirror}/{folder}/\n\
             gpgkey=file://{FOLDER}/{KEYS}\ngpgcheck=1\nenabled=1\n",
            distribution = base.release.name(),
        )
        .expect("a text takes all");
    }
    text
}

/// Returns where a host with Debian has the distributor's keys.
#[must_use]
pub fn keys_of(release: &RpmRelease) -> PathBuf {
    let (version, major) = (release.version(), release.major());
    let file = match release {
        RpmRelease::Fedora(_) => format!("fedora/RPM-GPG-KEY-fedora-{version}-primary"),
        RpmRelease::CentosStream(_) if major == "9" => "centos/RPM-GPG-KEY-CentOS-Official".into(),
        RpmRelease::CentosStream(_) => "centos/RPM-GPG-KEY-CentOS-Official-SHA256".into(),
        RpmRelease::Almalinux(_) => format!("alma/RPM-GPG-KEY-AlmaLinux-{major}"),
        _ => format!("rocky/RPM-GPG-KEY-Rocky-{major}"),
    };
    Path::new(ALL_KEYS).join(file)
}

/// Returns Kiln's own files, which go into the tree before the recipe's.
#[must_use]
pub fn files(recipe: &Recipe, base: &RpmBase) -> Vec<GuestFile> {
    let file = |path: &str, content: String| GuestFile { path: path.into(), mode: 0o644, content };
    let hostname = recipe.hostname.as_ref().map_or("localhost", |name| name.as_str());
    let user = recipe.user.as_ref().map_or(base.release.account(), |user| user.as_str());
    vec![
        file("/etc/hostname", format!("{hostname}\n")),
        file(
            "/etc/cloud/cloud.cfg.d/90_kiln.cfg",
            format!(
                "\
# Seeds are local. None comes last: a machine without a seed boots, too.
datasource_list: [ NoCloud, ConfigDrive, None ]
# An RSA key takes long to make on a slow machine, and no client needs one.
ssh_genkeytypes: [ed25519, ecdsa]
ssh: {{emit_keys_to_console: false}}
locale: {locale}
system_info:
  default_user: {{name: \"{user}\"}}
",
                locale = locale(recipe)
            ),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use kiln_spec::recipe::Base;

    use super::*;

    fn tree_of(base: &str, more: &str) -> (Tree, PathBuf) {
        let text = format!("kiln: 1\nname: r\nbase: {base}\n{more}");
        let recipe = Recipe::parse(&text, "r").unwrap_or_else(|e| panic!("{e}"));
        let Base::Rpm(base) = &recipe.base else { panic!("{recipe:?}") };
        (tree(&recipe, base, (Arch::Amd64, 7)), keys_of(&base.release))
    }

    #[test]
    fn settings_name_repositories_and_keys_and_nothing_of_the_host() {
        let (tree, keys) =
            tree_of("{rocky: 9, mirror: 'http://m/r/'}", "packages: [vim-minimal]\n");
        assert!(keys.ends_with("rocky/RPM-GPG-KEY-Rocky-9"));
        let (main, repositories) = tree.config.split_once("[kiln-rocky-baseos]\n").unwrap();
        assert!(main.contains("gpgcheck=1\n") && main.contains("reposdir=/kiln/dnf/none\n"));
        assert_eq!(
            repositories,
            "name=baseos\nbaseurl=http://m/r/9/BaseOS/x86_64/os/\n\
             gpgkey=file:///kiln/dnf/keys.asc\ngpgcheck=1\nenabled=1\n\
             [kiln-rocky-appstream]\nname=appstream\nbaseurl=http://m/r/9/AppStream/x86_64/os/\n\
             gpgkey=file:///kiln/dnf/keys.asc\ngpgcheck=1\nenabled=1\n"
        );
        let value = |name: &str| tree.env.iter().find(|(key, _)| key == name).unwrap().1.clone();
        assert!(value("KILN_BASE").ends_with(" rocky-release"));
        assert_eq!(value("KILN_PACKAGES"), "vim-minimal");
        assert_eq!(value("KILN_DBPATH"), "/var/lib/rpm");
        let (tree, _) = tree_of("{fedora: 43}", "locale: de_DE.UTF-8\n");
        let base = &tree.env[0].1;
        assert!(base.contains(" grub2-efi-x64 ") && base.ends_with(" glibc-langpack-de"), "{base}");
        assert_eq!(tree.env[4].1, "/usr/lib/sysimage/rpm");
    }
}
