// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Debian: the tree that mmdebstrap is to make, and the files that Kiln puts into it.
//!
//! What a machine needs to be reachable: kernel, systemd, cloud-init with the `networkd` renderer
//! (the lightest that cloud-init of Debian 12 and 13 has), DNS by systemd-resolved, guest agent,
//! SSH server, boot loaders for BIOS and UEFI.
//!
//! **Invariant:** no text of a recipe becomes part of a script. Values reach the scripts by the
//! environment, and files by [`files`].

use std::path::Path;

use kiln_host::tools::mmdebstrap::Tree;
use kiln_spec::Arch;
use kiln_spec::recipe::{Base, Component, Debian, DebianBase, Locale, Recipe, Url, Variant};

use super::GuestFile;

mod watch;

pub use watch::{Finding, Watch};

/// Files of an image are never newer than this, if nobody says another time: 2025-01-01. Same
/// recipe, same packages, same times.
pub const EPOCH: u64 = 1_735_689_600;

/// A script of a build: the name of its file, and its text.
pub type Script = (&'static str, &'static str);

/// Looks whether all packages exist, before any is installed.
const PREPARE: Script = ("prepare.sh", include_str!("prepare.sh"));
/// Has apt take the versions of a lock.
const LOCK: Script = ("lock.sh", include_str!("lock.sh"));
/// Makes a tree of packages an image.
const FINISH: Script = ("finish.sh", include_str!("finish.sh"));
/// The scripts that [`tree`] wants to find in its folder.
pub const SCRIPTS: &[Script] = &[PREPARE, FINISH, LOCK];

/// Packages of every image, whatever its architecture.
const PACKAGES: &[&str] = &[
    // Start.
    "systemd-sysv",
    "udev",
    "dbus",
    "libpam-systemd",
    "initramfs-tools",
    "zstd",
    "e2fsprogs",
    // First boot.
    "cloud-init",
    "cloud-guest-utils",
    "locales",
    "tzdata",
    // Reach.
    "systemd-resolved",
    "iproute2",
    "openssh-server",
    "qemu-guest-agent",
    "sudo",
    // Packages.
    "apt",
    "ca-certificates",
    // Boot loader.
    "grub2-common",
];

/// Packages of an architecture: kernel and boot loaders.
const fn packages_of(arch: Arch) -> &'static [&'static str] {
    match arch {
        Arch::Arm64 => &[
            "linux-image-cloud-arm64",
            "grub-efi-arm64-bin",
            "grub-efi-arm64-signed",
            "shim-signed",
        ],
        _ => &[
            "linux-image-cloud-amd64",
            "grub-pc-bin",
            "grub-efi-amd64-bin",
            "grub-efi-amd64-signed",
            "shim-signed",
        ],
    }
}

/// Where Debian keeps the keys of its archive, on the host and in the image.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Returns the tree of packages that `recipe` asks for, with no file newer than `epoch`.
/// [`SCRIPTS`] lie in the folder `scripts`.
#[must_use]
pub fn tree(recipe: &Recipe, (arch, epoch): (Arch, u64), scripts: &Path) -> Tree {
    let base = base_of(recipe);
    let locale = locale(recipe);
    let timezone = recipe.timezone.as_ref().map_or("Etc/UTC", |zone| zone.as_str());
    let mut packages: Vec<String> =
        packages_of(arch).iter().chain(PACKAGES).map(|&name| name.to_owned()).collect();
    packages.extend(recipe.packages.iter().map(ToString::to_string));
    let english = locale == "C.UTF-8";
    let mut dpkg = vec![
        "path-exclude=/usr/share/man/*".to_owned(),
        "path-exclude=/usr/share/doc/*".to_owned(),
        "path-include=/usr/share/doc/*/copyright".to_owned(),
    ];
    if english {
        dpkg.push("path-exclude=/usr/share/locale/*".into());
        dpkg.push("path-include=/usr/share/locale/locale.alias".into());
    }
    let own: Vec<_> = recipe.packages.iter().map(ToString::to_string).collect();
    Tree {
        suite: base.map_or(Debian::Bookworm, |base| base.debian).codename().to_owned(),
        variant: base.map_or(Variant::default(), |base| base.variant).as_str().to_owned(),
        packages,
        sources: base.map(fetched_from).unwrap_or_default(),
        apt: vec!["Acquire::Languages \"none\"".into()],
        dpkg,
        setups: Vec::new(),
        checks: vec![scripts.join(PREPARE.0)],
        scripts: vec![scripts.join(FINISH.0)],
        env: vec![
            // The kernel's package makes no initramfs: FINISH makes one, when all is there.
            ("INITRD".into(), "No".into()),
            ("KILN_PACKAGES".into(), own.join(" ")),
            ("KILN_TIMEZONE".into(), timezone.to_owned()),
            ("KILN_LOCALE".into(), locale.to_owned()),
        ],
        epoch,
    }
}

/// Has a tree take the versions of a lock. `files` in the folder of [`SCRIPTS`] are preferences of
/// apt, and lines of name, version and digest, sorted.
pub fn lock(tree: &mut Tree, scripts: &Path, files: [&str; 2]) {
    tree.setups.push(scripts.join(LOCK.0));
    for (name, file) in ["KILN_PINS", "KILN_LOCKED"].into_iter().zip(files) {
        tree.env.push((name.into(), scripts.join(file).display().to_string()));
    }
}

fn base_of(recipe: &Recipe) -> Option<&DebianBase> {
    match &recipe.base {
        Base::Debian(base) => Some(base),
        Base::Tree(_) => None,
    }
}

fn locale(recipe: &Recipe) -> &str {
    recipe.locale.as_ref().map_or("C.UTF-8", Locale::as_str)
}

/// Returns where the packages of an image come from: lines of sources.list(5).
fn fetched_from(base: &DebianBase) -> Vec<String> {
    // What a mirror said was valid for a week.
    let option = if base.snapshot.is_some() { " check-valid-until=no" } else { "" };
    sources(base, option, [base.mirror.as_str(), base.security.as_str()])
}

/// Returns where a machine gets its packages from: where they are today, not what they were then.
fn updated_from(base: &DebianBase) -> Vec<String> {
    let today = |url: &'static str, given: &'_ Url| {
        let snapshot = given.as_str().starts_with("http://snapshot.debian.org/");
        if snapshot { url.to_owned() } else { given.to_string() }
    };
    let mirror = today("http://deb.debian.org/debian", &base.mirror);
    let security = today("http://deb.debian.org/debian-security", &base.security);
    sources(base, "", [&mirror, &security])
}

/// The lines of sources.list(5): release, updates, security.
fn sources(base: &DebianBase, option: &str, [mirror, security]: [&str; 2]) -> Vec<String> {
    let suite = base.debian.codename();
    let components: Vec<_> = base.components.iter().map(|c: &Component| c.as_str()).collect();
    let components = components.join(" ");
    let signed = format!("[signed-by={KEYRING}{option}]");
    vec![
        format!("deb {signed} {mirror} {suite} {components}"),
        format!("deb {signed} {mirror} {suite}-updates {components}"),
        format!("deb {signed} {security} {suite}-security {components}"),
    ]
}

/// Returns Kiln's own files, which go into the tree before the recipe's.
#[must_use]
pub fn files(recipe: &Recipe) -> Vec<GuestFile> {
    let file = |path: &str, content: String| GuestFile { path: path.into(), mode: 0o644, content };
    let hostname = recipe.hostname.as_ref().map_or("localhost", |name| name.as_str());
    let sources = base_of(recipe).map(updated_from).unwrap_or_default();
    vec![
        file("/etc/hostname", format!("{hostname}\n")),
        file("/etc/hosts", HOSTS.into()),
        file("/etc/apt/sources.list", sources.join("\n") + "\n"),
        file("/etc/cloud/cloud.cfg.d/90_kiln.cfg", cloud_config(recipe)),
        file(
            "/etc/systemd/system/systemd-networkd-wait-online.service.d/10-kiln.conf",
            WAIT_ONLINE.into(),
        ),
    ]
}

const HOSTS: &str = "\
127.0.0.1 localhost
::1 localhost ip6-localhost ip6-loopback
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
";

/// One interface that is up is enough to go on, and a machine without a network still boots: the
/// default waits for all, for two minutes.
const WAIT_ONLINE: &str = "\
[Service]
ExecStart=
ExecStart=/lib/systemd/systemd-networkd-wait-online --any --timeout=30
";

/// cloud-init's configuration. Text, not a serializer's output: ds-identify, a shell script,
/// reads the line `datasource_list` and wants it just so.
fn cloud_config(recipe: &Recipe) -> String {
    format!(
        "\
# Seeds are local. None comes last: a machine without a seed boots, too.
datasource_list: [ NoCloud, ConfigDrive, None ]
# An RSA key takes long to make on a slow machine, and no client needs one.
ssh_genkeytypes: [ed25519, ecdsa]
ssh: {{emit_keys_to_console: false}}
# GRUB is not installed by its package, so there is no disk to tell that package.
grub_dpkg: {{enabled: false}}
locale: {locale}
system_info:
  default_user: {{name: \"{user}\"}}
  network: {{renderers: [networkd]}}
",
        locale = locale(recipe),
        user = recipe.user.as_ref().map_or("debian", |user| user.as_str()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(recipe: &Recipe, arch: Arch) -> Tree {
        super::tree(recipe, (arch, EPOCH), Path::new("/t"))
    }

    fn recipe(more: &str) -> Recipe {
        let text = format!("kiln: 1\nname: d\nbase: {{debian: bookworm}}\n{more}");
        Recipe::parse(&text, "r").unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn packages_are_of_the_architecture_and_the_recipes_come_last() {
        let amd64 = tree(&recipe("packages: [nginx]\n"), Arch::Amd64).packages;
        assert_eq!(amd64.first().unwrap(), "linux-image-cloud-amd64");
        assert_eq!(amd64.last().unwrap(), "nginx");
        let arm64 = tree(&recipe(""), Arch::Arm64).packages;
        assert!(arm64.iter().all(|name| !name.contains("amd64") && name != "grub-pc-bin"));
    }

    #[test]
    fn sources_name_release_updates_and_security() {
        let recipe = recipe("");
        assert_eq!(
            tree(&recipe, Arch::Amd64).sources,
            [
                "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] \
                 http://deb.debian.org/debian bookworm main",
                "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] \
                 http://deb.debian.org/debian bookworm-updates main",
                "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] \
                 http://deb.debian.org/debian-security bookworm-security main",
            ]
        );
    }

    #[test]
    fn a_snapshot_is_fetched_from_and_a_machine_is_updated_from_today() {
        let text = "kiln: 1\nname: d\nbase: {debian: bookworm, snapshot: 20250301T000000Z}\n";
        let recipe = Recipe::parse(text, "r").unwrap();
        assert_eq!(recipe.epoch(), Some(1_740_787_200));
        let lines = tree(&recipe, Arch::Amd64).sources;
        assert_eq!(
            lines[2],
            "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg check-valid-until=no] \
             http://snapshot.debian.org/archive/debian-security/20250301T000000Z bookworm-security \
             main"
        );
        let list = files(&recipe).into_iter().find(|file| file.path.ends_with("sources.list"));
        let list = list.unwrap().content;
        assert!(list.contains("gpg] http://deb.debian.org/debian bookworm main\n"), "{list}");
        assert!(!list.contains("snapshot"), "{list}");
        let own = text.replace("Z}", "Z, mirror: 'http://m/debian'}\nsource_date_epoch: 7");
        let own = Recipe::parse(&own, "r").unwrap();
        assert_eq!(own.epoch(), Some(7));
        assert!(
            tree(&own, Arch::Amd64).sources[0].contains("check-valid-until=no] http://m/debian ")
        );
        assert!(files(&own)[2].content.contains("gpg] http://m/debian bookworm main\n"));
    }

    #[test]
    fn translations_are_kept_when_there_is_a_language() {
        let excluded = |recipe: &Recipe| {
            tree(recipe, Arch::Amd64).dpkg.iter().any(|option| option.contains("/locale/"))
        };
        assert!(excluded(&recipe("")));
        assert!(!excluded(&recipe("locale: de_DE.UTF-8\n")));
    }
}
