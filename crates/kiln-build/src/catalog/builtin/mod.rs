// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The catalog that comes with Kiln: cloud images of distributions, from their own servers.
//!
//! A distribution is a file in `data/`: patterns of addresses, the file of checksums, and how that
//! is signed. Where a distributor's key was at hand it is in `keys/`, and a signature is demanded;
//! else HTTPS and the checksum must do, and every list says so. What an image is, is fetched when
//! it is pulled: this list holds no checksum that could be out of date.

use std::collections::BTreeMap;

use kiln_spec::image::{Firmware, Os};
use kiln_spec::{Arch, yaml};
use serde::Deserialize;

use super::entry::{Check, Entry, Proof, Sums, SumsSignature};
use super::openpgp::Fingerprint;
use super::source::Source;
use super::url::Address;
use super::{CatalogError, Kind, Reader};

/// The catalog's name.
pub const NAME: &str = "distributions";

/// The distributions, in the order in which people see them.
const DISTRIBUTIONS: &[(&str, &str)] = &[
    ("debian.yaml", include_str!("data/debian.yaml")),
    ("ubuntu.yaml", include_str!("data/ubuntu.yaml")),
    ("fedora.yaml", include_str!("data/fedora.yaml")),
    ("centos.yaml", include_str!("data/centos.yaml")),
    ("almalinux.yaml", include_str!("data/almalinux.yaml")),
    ("rocky.yaml", include_str!("data/rocky.yaml")),
    ("opensuse.yaml", include_str!("data/opensuse.yaml")),
    ("tumbleweed.yaml", include_str!("data/tumbleweed.yaml")),
    ("arch.yaml", include_str!("data/arch.yaml")),
    ("alpine.yaml", include_str!("data/alpine.yaml")),
    ("freebsd.yaml", include_str!("data/freebsd.yaml")),
];

/// The keys: name, fingerprint, the key itself.
const KEYS: &[(&str, &str, &str)] = &[
    ("ubuntu", "D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81", include_str!("keys/ubuntu.asc")),
    ("fedora-43", "C6E7F081CF80E13146676E88829B606631645531", include_str!("keys/fedora-43.asc")),
    ("fedora-44", "36F612DCF27F7D1A48A835E4DBFCF71C6D9F90A6", include_str!("keys/fedora-44.asc")),
    (
        "almalinux-9",
        "BF18AC2876178908D6E71267D36CB86CB86B3716",
        include_str!("keys/almalinux-9.asc"),
    ),
    ("arch-boxes", "1B9A16984A4E8CB448712D2AE0B78BF4326C6F8F", include_str!("keys/arch-boxes.asc")),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Distribution {
    /// The name's beginning: `debian` makes `debian-13`.
    name: String,
    title: String,
    /// `ID` of os-release, if it is not the name.
    id: Option<String>,
    /// The account that cloud-init makes.
    user: Option<String>,
    /// The address of the folder, with a `/` at its end.
    folder: String,
    file: String,
    sums: String,
    signature: Option<Signature>,
    /// The words of each processor.
    arches: BTreeMap<String, BTreeMap<String, String>>,
    /// The newest first.
    releases: Vec<Release>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    /// The file of a detached one.
    detached: Option<String>,
    /// Whether the checksums are a clear-signed text.
    #[serde(default)]
    clear: bool,
    key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    version: Option<String>,
    codename: Option<String>,
    compose: Option<String>,
    point: Option<String>,
    prefix: Option<String>,
    /// In place of the distribution's.
    signature: Option<Signature>,
}

/// The kind of the catalog that comes with Kiln.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn;

impl Kind for BuiltIn {
    fn word(&self) -> Option<&'static str> {
        None
    }

    fn about(&self) -> &'static str {
        "cloud images of distributions, from their own servers"
    }

    fn read(&self, source: &Source, _: &Reader<'_>) -> Result<Vec<Entry>, CatalogError> {
        entries(&source.name)
    }
}

/// Returns every image of the list, under the catalog's name `catalog`.
///
/// # Errors
///
/// [`CatalogError::Stream`]; a test shows that there is none.
pub fn entries(catalog: &str) -> Result<Vec<Entry>, CatalogError> {
    let mut all = Vec::new();
    for (file, text) in DISTRIBUTIONS {
        let wrong = |what: String| CatalogError::Stream { file: (*file).to_owned(), what };
        let distribution: Distribution =
            yaml::from_str(text, file).map_err(|error| wrong(error.to_string()))?;
        for (n, release) in distribution.releases.iter().enumerate() {
            for (arch, words) in &distribution.arches {
                let made = Maker { distribution: &distribution, release, words };
                all.push(made.entry(catalog, arch, n == 0).map_err(wrong)?);
            }
        }
    }
    Ok(all)
}

/// Makes one entry.
struct Maker<'a> {
    distribution: &'a Distribution,
    release: &'a Release,
    words: &'a BTreeMap<String, String>,
}

impl Maker<'_> {
    fn entry(&self, catalog: &str, arch: &str, newest: bool) -> Result<Entry, String> {
        let (d, r) = (self.distribution, self.release);
        let name = r.version.as_ref().map_or_else(|| d.name.clone(), |v| format!("{}-{v}", d.name));
        let mut aliases: Vec<String> = Vec::new();
        aliases.extend(r.codename.iter().map(|code| format!("{}-{code}", d.name)));
        if newest && name != d.name {
            aliases.push(d.name.clone());
        }
        let file = self.fill(&d.file)?;
        let url = self.address(&file)?;
        let sums = self.address(&self.fill(&d.sums)?.replace("{file}", &file))?;
        let signature = self.signature(&file)?;
        let title = self.fill(&d.title)?;
        Ok(Entry {
            catalog: catalog.to_owned(),
            name,
            aliases,
            arch: arch.to_owned(),
            os: Os {
                id: d.id.clone().unwrap_or_else(|| d.name.clone()),
                version: r.version.clone().unwrap_or_default(),
                pretty_name: title.clone(),
            },
            title,
            url,
            check: Check::Beside(Sums { url: sums, signature }),
            version: r.point.clone().or_else(|| r.compose.clone()).unwrap_or_default(),
            // What the file shows: nothing of it was written by a guest.
            format: Some("qcow2".into()),
            size: None,
            download: None,
            user: d.user.clone(),
            firmware: self.firmware(arch),
            notes: BTreeMap::new(),
            hidden: false,
            proof: Proof::BuiltIn,
        })
    }

    fn firmware(&self, arch: &str) -> Vec<Firmware> {
        match self.words.get("firmware").map(String::as_str) {
            Some("bios") => vec![Firmware::Bios],
            Some("uefi") => vec![Firmware::Uefi],
            _ if arch == Arch::Amd64.as_str() => vec![Firmware::Bios, Firmware::Uefi],
            _ => vec![Firmware::Uefi],
        }
    }

    fn signature(&self, file: &str) -> Result<SumsSignature, String> {
        let own = self.release.signature.as_ref();
        let Some(signature) = own.or(self.distribution.signature.as_ref()) else {
            return Ok(SumsSignature::None);
        };
        let known = KEYS.iter().find(|(name, ..)| *name == signature.key);
        let (_, fingerprint, keys) =
            known.ok_or_else(|| format!("there is no key `{}`", signature.key))?;
        let fingerprint = Fingerprint::parse(fingerprint).map_err(|error| error.to_string())?;
        match (&signature.detached, signature.clear) {
            (Some(name), false) => {
                let url = self.address(&self.fill(name)?.replace("{file}", file))?;
                Ok(SumsSignature::Detached { url, keys, fingerprint })
            }
            (None, true) => Ok(SumsSignature::Clear { keys, fingerprint }),
            _ => Err("a signature is either `detached` or `clear`".into()),
        }
    }

    fn address(&self, file: &str) -> Result<Address, String> {
        let folder = self.fill(&self.distribution.folder)?;
        Address::parse(&folder).map_err(|error| error.to_string())?.join(file)
    }

    /// Puts the words of the release and of the processor into a pattern; `{file}` stays.
    fn fill(&self, pattern: &str) -> Result<String, String> {
        let r = self.release;
        let mut text = pattern.to_owned();
        let of_release = [
            ("version", &r.version),
            ("codename", &r.codename),
            ("compose", &r.compose),
            ("point", &r.point),
            ("prefix", &r.prefix),
        ];
        for (key, value) in of_release {
            if let Some(value) = value {
                text = text.replace(&format!("{{{key}}}"), value);
            }
        }
        for (key, value) in self.words {
            text = text.replace(&format!("{{{key}}}"), value);
        }
        if text.replace("{file}", "").contains(['{', '}']) {
            return Err(format!("a word is missing: `{text}`"));
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_file_of_the_folder_is_listed_and_read() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/catalog/builtin/data");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let listed: BTreeSet<String> =
            DISTRIBUTIONS.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(files, listed);
        let all = entries(NAME).unwrap();
        let mut seen = BTreeSet::new();
        for entry in &all {
            assert!(entry.url.is_https(), "{}", entry.url);
            assert!(entry.processor().is_some(), "{}", entry.arch);
            for name in entry.aliases.iter().chain([&entry.name]) {
                assert!(seen.insert((name.clone(), entry.arch.clone())), "{name}");
            }
            let Check::Beside(sums) = &entry.check else { panic!("{}", entry.name) };
            assert!(sums.url.is_https());
            if let SumsSignature::Detached { url, .. } = &sums.signature {
                assert!(url.is_https());
            }
        }
        assert!(all.len() > 30);
    }

    #[test]
    fn addresses_are_those_of_the_distributors() {
        let all = entries(NAME).unwrap();
        let of = |name: &str, arch: &str| {
            let entry = all.iter().find(|e| e.is_called(name) && e.arch == arch).unwrap();
            let Check::Beside(sums) = &entry.check else { panic!("{name}") };
            let signature = match &sums.signature {
                SumsSignature::None => "-".to_owned(),
                SumsSignature::Clear { .. } => "clear".into(),
                SumsSignature::Detached { url, .. } => url.file_name().to_owned(),
            };
            format!("{} {} {signature}", entry.url, sums.url.file_name())
        };
        assert_eq!(
            of("debian", "amd64"),
            "https://cloud.debian.org/images/cloud/trixie/latest/debian-13-generic-amd64.qcow2 \
             SHA512SUMS -"
        );
        assert_eq!(
            of("ubuntu-noble", "arm64"),
            "https://cloud-images.ubuntu.com/releases/noble/release/\
             ubuntu-24.04-server-cloudimg-arm64.img SHA256SUMS SHA256SUMS.gpg"
        );
        assert_eq!(
            of("fedora-44", "amd64"),
            "https://download.fedoraproject.org/pub/fedora/linux/releases/44/Cloud/x86_64/images/\
             Fedora-Cloud-Base-Generic-44-1.7.x86_64.qcow2 Fedora-Cloud-44-1.7-x86_64-CHECKSUM clear"
        );
        assert_eq!(
            of("opensuse-leap-16.0", "amd64"),
            "https://download.opensuse.org/distribution/leap/16.0/appliances/\
             Leap-16.0-Minimal-VM.x86_64-Cloud.qcow2 Leap-16.0-Minimal-VM.x86_64-Cloud.qcow2.sha256 -"
        );
        assert_eq!(
            of("freebsd", "arm64"),
            "https://download.freebsd.org/releases/VM-IMAGES/15.1-RELEASE/aarch64/Latest/\
             FreeBSD-15.1-RELEASE-arm64-aarch64-BASIC-CLOUDINIT-ufs.qcow2.xz CHECKSUM.SHA512 -"
        );
    }

    #[test]
    fn keys_have_the_fingerprints_that_are_demanded() {
        if !kiln_testkit::need_program("gpg") {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        for (name, fingerprint, _) in KEYS {
            let file =
                format!("{}/src/catalog/builtin/keys/{name}.asc", env!("CARGO_MANIFEST_DIR"));
            let homedir = home.path().to_str().unwrap();
            let argv = ["gpg", "--homedir", homedir, "--with-colons", "--show-keys", &file];
            let shown = kiln_testkit::run(&argv).success().stdout;
            let first = shown.lines().find(|line| line.starts_with("fpr:")).unwrap();
            assert_eq!(first.split(':').nth(9), Some(*fingerprint), "{name}");
        }
    }
}
