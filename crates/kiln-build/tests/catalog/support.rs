// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A GnuPG of our own, with keys without passphrases.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use kiln_build::catalog::http::{Http, HttpOptions, ProxyRule};
use kiln_build::catalog::openpgp::{Fingerprint, Keys, OpenPgp, Signers};
use kiln_build::catalog::url::Address;
use kiln_build::catalog::{KINDS, Reader, Source, Trust};
use kiln_host::RealHost;
use kiln_testkit::{need_program, run};

/// A folder with a GnuPG of its own. Dropped, its agent ends.
pub(crate) struct Lab {
    folder: tempfile::TempDir,
    environment: Vec<(OsString, OsString)>,
    pub(crate) http: Http,
}

impl Lab {
    /// Makes a lab; `None` if GnuPG is not here.
    pub(crate) fn new() -> Option<Self> {
        if !need_program("gpg") || !need_program("gpgv") {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("gnupg");
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        let environment = vec![
            ("HOME".into(), folder.path().into()),
            ("GNUPGHOME".into(), home.into_os_string()),
        ];
        Some(Self { folder, environment, http: Http::new(HttpOptions::default()) })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn home(&self) -> String {
        self.path("gnupg").display().to_string()
    }

    /// Runs gpg at `when`; returns what it writes.
    pub(crate) fn gpg(&self, when: &str, args: &[&str]) -> String {
        let home = self.home();
        let mut argv = vec!["gpg", "--homedir", &home, "--batch", "--yes", "--passphrase", ""];
        argv.extend(["--pinentry-mode", "loopback", "--faked-system-time", when]);
        argv.extend(args);
        run(&argv).success().stdout
    }

    /// Makes a key that signs; returns its fingerprint.
    pub(crate) fn key(&self, name: &str) -> Fingerprint {
        self.key_at(name, "20200101T000000", "never")
    }

    /// Makes a key at a time, for some time.
    pub(crate) fn key_at(&self, name: &str, when: &str, expires: &str) -> Fingerprint {
        self.gpg(when, &["--quick-gen-key", name, "ed25519", "sign", expires]);
        let list = self.gpg(when, &["--with-colons", "--list-keys", name]);
        let line = list.lines().find(|line| line.starts_with("fpr:")).unwrap();
        Fingerprint::parse(line.split(':').nth(9).unwrap()).unwrap()
    }

    /// Writes a public key into a file, armoured or not.
    pub(crate) fn export(&self, key: &Fingerprint, file: &str, armour: bool) -> PathBuf {
        let path = self.path(file);
        let shown = path.display().to_string();
        let mut args = vec!["--output", &shown];
        if armour {
            args.push("--armor");
        }
        args.extend(["--export", key.as_str()]);
        self.gpg("20200101T000000", &args);
        path
    }

    pub(crate) fn openpgp(&self) -> OpenPgp<'_> {
        OpenPgp { host: &RealHost, environment: &self.environment }
    }

    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader { http: &self.http, openpgp: self.openpgp() }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(run(&["gpgconf", "--homedir", &self.home(), "--kill", "gpg-agent"]));
    }
}

/// Returns a catalog of virt-builder's kind.
pub(crate) fn source(uri: &str, trust: Trust) -> Source {
    Source {
        name: "lab".into(),
        uri: Some(Address::parse(uri).unwrap()),
        kind: KINDS[0],
        trust,
        proxy: ProxyRule::Off,
        file: None,
    }
}

/// Returns the trust in the keys of a file.
pub(crate) fn by_file(path: &Path) -> Trust {
    Trust::Signed(Signers { keys: Keys::File(path.to_owned()), fingerprint: None })
}
