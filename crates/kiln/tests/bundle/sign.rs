// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bundles that are signed by a real gpg, and what a pull that wants a signature refuses.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use kiln_testkit::http::Server;
use kiln_testkit::{Output, need_program, run, run_with};

use crate::support::Lab;

/// A lab with a keyring of its own and a server.
struct Signing {
    lab: Lab,
    server: Server,
}

impl Signing {
    fn new() -> Option<Self> {
        if !["gpg", "gpgv", "gpgconf"].into_iter().all(need_program) {
            return None;
        }
        let lab = Lab::new()?;
        for name in ["served", "gnupg"] {
            fs::create_dir(lab.path(name)).expect("a folder");
        }
        let private = fs::Permissions::from_mode(0o700);
        fs::set_permissions(lab.path("gnupg"), private).expect("permissions");
        let server = Server::start(Path::new(&lab.path("served")));
        server.allow_put();
        Some(Self { lab, server })
    }

    fn gpg(&self, args: &[&str]) -> String {
        let home = self.lab.path("gnupg");
        let all = ["gpg", "--homedir", &home, "--batch", "--yes", "--passphrase", ""];
        let all = [&all[..], &["--pinentry-mode", "loopback"], args].concat();
        run(&all).success().stdout
    }

    /// Makes a key that signs, and a file of its public half; returns its fingerprint.
    fn key(&self, name: &str) -> String {
        let _ = self.gpg(&["--quick-gen-key", name, "ed25519", "sign", "never"]);
        let _ = self.gpg(&["--output", &self.lab.path(name), "--export", name]);
        let list = self.gpg(&["--with-colons", "--list-keys", name]);
        let line = list.lines().find(|line| line.starts_with("fpr:")).expect("a fingerprint");
        line.split(':').nth(9).expect("a fingerprint").to_owned()
    }

    fn bundle(&self, args: &[&str]) -> Output {
        let all = [&[env!("CARGO_BIN_EXE_kiln"), "bundle"], args].concat();
        let (home, keys) = (self.lab.path("home"), self.lab.path("gnupg"));
        run_with(&all, &[("KILN_HOME", &home), ("GNUPGHOME", &keys)])
    }

    /// Asks for the bundle `web`; it must be refused before its archive is asked for.
    #[track_caller]
    fn refused(&self, options: &[&str], why: &str) {
        drop(self.server.requests());
        let url = self.server.url("web.tar.zst");
        let out = self.bundle(&[&["pull", &url, "--name", "got"], options].concat());
        assert_eq!(out.code, 3, "{}", out.stderr);
        assert!(out.stderr.contains(why), "{}", out.stderr);
        // The manifest and its signature.
        assert_eq!(self.server.requests().len(), 2);
        assert_eq!(self.bundle(&["info", "got"]).code, 4);
    }
}

impl Drop for Signing {
    fn drop(&mut self) {
        drop(run(&["gpgconf", "--homedir", &self.lab.path("gnupg"), "--kill", "gpg-agent"]));
    }
}

#[test]
fn a_bundle_is_taken_from_whom_one_trusts_only() {
    let Some(signing) = Signing::new() else { return };
    let lab = &signing.lab;
    let (ours, other) = (signing.key("ours"), signing.key("other"));
    let (key, stranger) = (lab.path("ours"), lab.path("other"));
    let url = signing.server.url("");
    let tree = lab.path("tree/");
    let _ = signing.bundle(&["create", &tree, "--name", "web"]).success();

    let _ = signing.bundle(&["push", "web", &url]).success();
    signing.refused(&["--key", &key], "is not signed");

    let _ = signing.bundle(&["push", "web", &url, "--sign", &ours]).success();
    signing.refused(&["--key", &stranger], "which is not trusted for it");
    signing.refused(&["--key", &key, "--fingerprint", &other], "which is not trusted for it");
    let web = signing.server.url("web.tar.zst");
    let taken = ["--name", "taken", "--key", &key, "--fingerprint", &ours];
    let out = signing.bundle(&[&["pull", &web][..], &taken].concat()).success();
    assert!(!out.stderr.contains("nothing says"), "{}", out.stderr);
    let by_keyring = ["pull", &web, "--name", "again", "--fingerprint", &ours];
    let _ = signing.bundle(&by_keyring).success();
    let believed = signing.bundle(&["pull", &web, "--name", "believed"]).success();
    assert!(believed.stderr.contains("nothing says who may sign"), "{}", believed.stderr);

    // A disk is made under the same conditions; of what is here nothing is checked any more.
    let disk = lab.path("disk.raw");
    let assemble = |from: &str, options: &[&str]| {
        signing.bundle(&[&["assemble", from, "-o", &disk], options].concat())
    };
    let out = assemble(&web, &["--key", &stranger]);
    assert_eq!((out.code, Path::new(&disk).exists()), (3, false), "{}", out.stderr);
    let out = assemble("taken", &["--key", &key]);
    assert_eq!(out.code, 2, "{}", out.stderr);
    let out = assemble(&web, &[]);
    assert!(out.stderr.contains("nothing says who may sign"), "{}", out.stderr);

    // Another bundle's manifest with the signature of this one.
    let manifest = lab.path("served/web.tar.zst.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("\"web\"", "\"wab\"")).unwrap();
    signing.refused(&["--key", &key], "the signature of `");
}

#[test]
fn a_signature_goes_with_its_bundle() {
    let Some(signing) = Signing::new() else { return };
    let lab = &signing.lab;
    let ours = signing.key("ours");
    let tree = lab.path("tree/");
    let _ = signing.bundle(&["create", &tree, "--name", "web", "--sign", &ours]).success();
    let signature = lab.path("home/bundles/web.tar.zst.json.asc");
    let (home, manifest) = (lab.path("gnupg"), lab.path("home/bundles/web.tar.zst.json"));
    let _ =
        run(&["gpg", "--homedir", &home, "--batch", "--verify", &signature, &manifest]).success();
    let _ = signing.bundle(&["push", "web", &signing.server.url("")]).success();
    let served = fs::read(lab.path("served/web.tar.zst.json.asc")).unwrap();
    assert_eq!(served, fs::read(&signature).unwrap());
    let _ = signing.bundle(&["rm", "web"]).success();
    assert!(!Path::new(&signature).exists());
    // Without the key there is no signature, and that is said.
    let refused = signing.bundle(&["create", &tree, "--name", "web", "--sign", "nobody"]);
    assert_eq!(refused.code, 6, "{}", refused.stderr);
}
