// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Debian and Ubuntu: the tree that mmdebstrap is to make, and the files that Kiln puts into it.
//!
//! What a machine needs to be reachable: kernel, systemd, cloud-init with the `networkd` renderer
//! (the lightest that cloud-init of Debian 12 and 13 has), DNS by systemd-resolved, guest agent,
//! SSH server, boot loaders for BIOS and UEFI.
//!
//! **Invariant:** no text of a recipe becomes part of a script. Values reach the scripts by the
//! environment, and files by [`files`].

use std::path::{Path, PathBuf};

use kiln_host::read;
use kiln_host::tools::mmdebstrap::Tree;
use kiln_spec::Arch;
use kiln_spec::recipe::{
    Base, Component, Debian, DebianBase, Locale, Recipe, Release, Ubuntu, Variant,
};

use super::GuestFile;
use crate::BuildError;

mod watch;

pub use watch::{Finding, Watch};

/// Files of an image are never newer than this, if nobody says another time: 2025-01-01. Same
/// recipe, same packages, same times.
pub const EPOCH: u64 = 1_735_689_600;

/// A script of a build: the name of its file, and its text.
pub type Script = (&'static str, &'static str);

/// Spares the tree the waiting for the disk.
const UNSYNCED: Script = ("unsynced.sh", include_str!("unsynced.sh"));
/// Looks whether all packages exist, before any is installed.
const PREPARE: Script = ("prepare.sh", include_str!("prepare.sh"));
/// Has apt take the versions of a lock.
const LOCK: Script = ("lock.sh", include_str!("lock.sh"));
/// Makes a tree of packages an image.
const FINISH: Script = ("finish.sh", include_str!("finish.sh"));
/// The scripts that [`tree`] wants to find in its folder.
pub const SCRIPTS: &[Script] = &[UNSYNCED, PREPARE, FINISH, LOCK];

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

/// Returns the kernel's package.
const fn kernel(release: Release, arch: Arch) -> &'static str {
    match (release, arch) {
        (Release::Ubuntu(_), _) => "linux-image-virtual",
        (Release::Debian(_), Arch::Arm64) => "linux-image-cloud-arm64",
        (Release::Debian(_), _) => "linux-image-cloud-amd64",
    }
}

/// Boot loaders of an architecture.
const fn loaders(arch: Arch) -> &'static [&'static str] {
    match arch {
        Arch::Arm64 => &["grub-efi-arm64-bin", "grub-efi-arm64-signed", "shim-signed"],
        _ => &["grub-pc-bin", "grub-efi-amd64-bin", "grub-efi-amd64-signed", "shim-signed"],
    }
}

/// Returns where a distributor keeps the keys of its archive, on the host and in the image, and the
/// package that brings them to a host with Debian.
#[must_use]
pub const fn keyring_of(release: Release) -> (&'static str, &'static str) {
    match release {
        Release::Debian(_) => {
            ("/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring")
        }
        Release::Ubuntu(_) => ("/usr/share/keyrings/ubuntu-archive-keyring.gpg", "ubuntu-keyring"),
    }
}

/// The most bytes of a keyring.
const MOST_KEYRING: u64 = 1 << 20;
/// Where a machine keeps the keys of a mirror of one's own.
const OWN_KEYRINGS: &str = "/etc/apt/keyrings";

/// The keys of a mirror of one's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyring {
    /// Public keys of OpenPGP, armoured or not.
    pub bytes: Vec<u8>,
}

impl Keyring {
    /// Reads a keyring.
    ///
    /// # Errors
    ///
    /// [`BuildError::Io`].
    pub fn read(path: &Path) -> Result<Self, BuildError> {
        let bytes = read::bounded(path, MOST_KEYRING);
        Ok(Self { bytes: bytes.map_err(|e| BuildError::io("read", path, e))? })
    }

    /// Returns the name of its file: apt tells armour by the ending. Source: apt-secure(8),
    /// sources.list(5), `Signed-By`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        if self.bytes.starts_with(b"-----BEGIN") { "kiln-mirror.asc" } else { "kiln-mirror.gpg" }
    }

    /// Returns where a machine has it.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{OWN_KEYRINGS}/{}", self.name())
    }
}

/// Where a build has what mmdebstrap is given.
#[derive(Clone, Copy, Debug)]
pub struct TreePlaces<'a> {
    /// The folder of [`SCRIPTS`], and of the keyring.
    pub scripts: &'a Path,
    /// The keys of the recipe's mirror, if it has its own.
    pub keyring: Option<&'a Keyring>,
}

/// Returns the tree of packages that `recipe` asks for, with no file newer than `epoch`.
#[must_use]
pub fn tree(recipe: &Recipe, (arch, epoch): (Arch, u64), places: TreePlaces<'_>) -> Tree {
    let TreePlaces { scripts, keyring } = places;
    let base = base_of(recipe);
    let release = release_of(recipe);
    let locale = locale(recipe);
    let timezone = recipe.timezone.as_ref().map_or("Etc/UTC", |zone| zone.as_str());
    let mut packages = vec![kernel(release, arch).to_owned()];
    packages.extend(loaders(arch).iter().chain(PACKAGES).map(|&name| name.to_owned()));
    // Part of systemd itself before.
    if release != Release::Ubuntu(Ubuntu::Jammy) {
        packages.push("systemd-resolved".to_owned());
    }
    packages.extend(recipe.disk.packages().into_iter().map(str::to_owned));
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
        suite: release.codename().to_owned(),
        variant: base.map_or(Variant::default(), |base| base.variant).as_str().to_owned(),
        packages,
        sources: base.map(|base| fetched_from(base, scripts, keyring)).unwrap_or_default(),
        apt: vec!["Acquire::Languages \"none\"".into()],
        dpkg,
        setups: vec![scripts.join(UNSYNCED.0)],
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
        Base::Packages(base) => Some(base),
        _ => None,
    }
}

fn release_of(recipe: &Recipe) -> Release {
    base_of(recipe).map_or(Release::Debian(Debian::Bookworm), |base| base.release)
}

fn locale(recipe: &Recipe) -> &str {
    recipe.locale.as_ref().map_or("C.UTF-8", Locale::as_str)
}

/// Returns where the packages of an image come from: lines of sources.list(5).
fn fetched_from(base: &DebianBase, scripts: &Path, keyring: Option<&Keyring>) -> Vec<String> {
    // What a mirror said was valid for a week.
    let option = if base.snapshot.is_some() { " check-valid-until=no" } else { "" };
    let own = keyring.map(|keyring| scripts.join(keyring.name()));
    let signed = own.unwrap_or_else(|| PathBuf::from(keyring_of(base.release).0));
    let signed = format!("[signed-by={}{option}]", signed.display());
    sources(base, &signed, [base.mirror.as_str(), base.security.as_str()])
}

/// Returns where a machine gets its packages from: where they are today, not what they were then.
fn updated_from(base: &DebianBase, arch: Arch, keyring: Option<&Keyring>) -> Vec<String> {
    let own = keyring.map(Keyring::place);
    let signed = own.unwrap_or_else(|| keyring_of(base.release).0.to_owned());
    let [mirror, security] = base.today(arch);
    sources(base, &format!("[signed-by={signed}]"), [&mirror, &security])
}

/// The lines of sources.list(5): release, updates, security.
fn sources(base: &DebianBase, signed: &str, [mirror, security]: [&str; 2]) -> Vec<String> {
    let suite = base.release.codename();
    let components: Vec<_> = base.components.iter().map(|c: &Component| c.as_str()).collect();
    let components = components.join(" ");
    vec![
        format!("deb {signed} {mirror} {suite} {components}"),
        format!("deb {signed} {mirror} {suite}-updates {components}"),
        format!("deb {signed} {security} {suite}-security {components}"),
    ]
}

/// Returns Kiln's own files, which go into the tree before the recipe's.
#[must_use]
pub fn files(recipe: &Recipe, arch: Arch, keyring: Option<&Keyring>) -> Vec<GuestFile> {
    let file = |path: &str, content: String| GuestFile { path: path.into(), mode: 0o644, content };
    let hostname = recipe.hostname.as_ref().map_or("localhost", |name| name.as_str());
    let sources = base_of(recipe).map(|base| updated_from(base, arch, keyring));
    let sources = sources.unwrap_or_default();
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

/// Ubuntu's cloud-init writes another list of sources beside ours otherwise, which apt then warns of.
const KEEP_SOURCES: &str = "apt: {preserve_sources_list: true}\n";

/// cloud-init's configuration. Text, not a serializer's output: ds-identify, a shell script,
/// reads the line `datasource_list` and wants it just so.
fn cloud_config(recipe: &Recipe) -> String {
    let release = release_of(recipe);
    format!(
        "\
# Seeds are local. None comes last: a machine without a seed boots, too.
datasource_list: [ NoCloud, ConfigDrive, None ]
# An RSA key takes long to make on a slow machine, and no client needs one.
ssh_genkeytypes: [ed25519, ecdsa]
ssh: {{emit_keys_to_console: false}}
# GRUB is not installed by its package, so there is no disk to tell that package.
grub_dpkg: {{enabled: false}}
{apt}locale: {locale}
system_info:
  default_user: {{name: \"{user}\"}}
  network: {{renderers: [networkd]}}
",
        apt = if matches!(release, Release::Ubuntu(_)) { KEEP_SOURCES } else { "" },
        locale = locale(recipe),
        user = recipe.user.as_ref().map_or(release.family(), |user| user.as_str()),
    )
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn tree(recipe: &Recipe, arch: Arch) -> Tree {
        let places = TreePlaces { scripts: Path::new("/t"), keyring: None };
        super::tree(recipe, (arch, EPOCH), places)
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
        let files = |recipe: &Recipe| super::files(recipe, Arch::Amd64, None);
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

    #[test]
    fn an_ubuntu_has_its_own_kernel_keys_and_mirrors() {
        let text = |more: &str| format!("kiln: 1\nname: u\nbase: {{ubuntu: noble{more}}}\n");
        let noble = Recipe::parse(&text(""), "r").unwrap();
        let made = tree(&noble, Arch::Amd64);
        assert_eq!(made.packages[0], "linux-image-virtual");
        assert_eq!(
            made.sources[2],
            "deb [signed-by=/usr/share/keyrings/ubuntu-archive-keyring.gpg] \
             http://security.ubuntu.com/ubuntu noble-security main universe"
        );
        assert!(made.packages.contains(&"systemd-resolved".to_owned()));
        let jammy = Recipe::parse(&text("").replace("noble", "jammy"), "r").unwrap();
        assert!(!tree(&jammy, Arch::Amd64).packages.contains(&"systemd-resolved".to_owned()));
        let then = Recipe::parse(&text(", snapshot: 20250301T000000Z"), "r").unwrap();
        let list = &files(&then, Arch::Arm64, None)[2].content;
        assert!(list.contains("http://ports.ubuntu.com/ubuntu-ports noble-updates "), "{list}");
        assert!(files(&then, Arch::Arm64, None)[3].content.contains("name: \"ubuntu\""));
    }

    #[test]
    fn keys_of_ones_own_are_named_where_they_are() {
        let text = "kiln: 1\nname: u\nbase: {debian: trixie, keyring: k}\n";
        let recipe = Recipe::parse(text, "r").unwrap();
        let keyring = Keyring { bytes: b"-----BEGIN PGP PUBLIC KEY BLOCK-----".to_vec() };
        let places = TreePlaces { scripts: Path::new("/t"), keyring: Some(&keyring) };
        let made = super::tree(&recipe, (Arch::Amd64, EPOCH), places);
        assert!(made.sources[0].starts_with("deb [signed-by=/t/kiln-mirror.asc] "));
        let list = &files(&recipe, Arch::Amd64, Some(&keyring))[2].content;
        assert!(list.starts_with("deb [signed-by=/etc/apt/keyrings/kiln-mirror.asc] "), "{list}");
        assert_eq!(Keyring { bytes: vec![0x98] }.name(), "kiln-mirror.gpg");
    }

    #[test]
    fn a_tree_is_made_where_nothing_waits_for_the_disk() {
        if !kiln_testkit::need_program("unshare") {
            return;
        }
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (root, script) = (path("root"), path(UNSYNCED.0));
        fs::create_dir_all(path("root/tmp/one")).unwrap();
        fs::set_permissions(path("root/tmp"), Permissions::from_mode(0o1777)).unwrap();
        fs::write(&script, UNSYNCED.1).unwrap();
        let made = tree(&recipe(""), Arch::Amd64);
        assert_eq!(made.setups, [Path::new("/t").join(UNSYNCED.0)]);
        let run = |first: &str, look: &str| {
            let look = format!("sh \"$1\" \"$2\"; cd \"$2\"; {look}");
            let mode = ["env", first, "MMDEBSTRAP_MODE=unshare", "sh", "-ec", &look];
            let words = [&["unshare", "--mount", "--map-root-user"][..], &mode];
            kiln_testkit::run(&[&words.concat()[..], &["sh", &script, &root]].concat())
        };
        let look = "grep -c \" $2 overlay .*volatile\" /proc/self/mounts; stat -c '%n %a' * */*; touch new";
        let out = run("LC_ALL=C", look).success();
        assert_eq!(out.stdout, "1\ntmp 1777\ntmp/one 755\n");
        // The mount went with its namespace, and what was written is below.
        let names = || {
            let names = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name());
            let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
            names.sort();
            names
        };
        assert_eq!(names(), [".kiln", "tmp"]);
        assert!(Path::new(&path("root/.kiln/upper/new")).exists());

        // A file system that takes no overlay: all stays as it was. The overlay's own folder is closed
        // to all but root.
        let own = path("root/.kiln");
        drop(kiln_testkit::run(&["chmod", "-R", "u+rwx", &own]).success());
        fs::remove_dir_all(own).unwrap();
        fs::create_dir(path("bin")).unwrap();
        let refuses = "#!/bin/sh\ncase $* in *overlay*) exit 32;; esac\n";
        fs::write(path("bin/mount"), refuses).unwrap();
        fs::set_permissions(path("bin/mount"), Permissions::from_mode(0o755)).unwrap();
        let out = run(&format!("PATH={}:/usr/bin:/bin", path("bin")), "touch new").success();
        assert_eq!((out.stdout.as_str(), names()), ("", vec!["new".to_owned(), "tmp".to_owned()]));
    }
}
