// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Builds that fail, with the real tools: what is told, and that nothing is left.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use kiln_build::catalog::http::{Http, HttpOptions};
use kiln_build::store::Store;
use kiln_build::workspace::{LayerCache, Sandbox};
use kiln_build::{BuildContext, BuildError, Event, Force, Places, Plan, Stage, build};
use kiln_host::RealHost;
use kiln_host::namespace::Exec;
use kiln_host::tools::guestfish::Fish;
use kiln_spec::Recipe;
use kiln_testkit::http::Server;
use kiln_testkit::{need_program, run};

/// Builds a recipe in a folder of its own; returns the error, and the stages that began.
fn fail(text: &str, user: &str, is_root: bool) -> (BuildError, Vec<Stage>) {
    fail_in(&tempfile::tempdir().unwrap(), text, user, is_root)
}

fn fail_in(
    dir: &tempfile::TempDir,
    text: &str,
    user: &str,
    is_root: bool,
) -> (BuildError, Vec<Stage>) {
    let (folder, temp) = (dir.path().join("store"), dir.path().join("temp"));
    fs::create_dir(&temp).unwrap();
    let store = Store::open(&folder).unwrap();
    // None of these builds comes as far as the namespaces, which the program itself makes.
    let sandbox = Sandbox {
        exec: Exec { program: "/bin/false".into() },
        resolvers: Vec::new(),
        proxies: Vec::new(),
    };
    let cache = LayerCache::open(&dir.path().join("cache"), sandbox).unwrap();
    let ctx = BuildContext {
        host: &RealHost,
        store: &store,
        http: &Http::new(HttpOptions::default()),
        cache: &cache,
        now: UNIX_EPOCH,
        is_root,
        user,
        kiln_version: "test",
        temp: Some(&temp),
        fish: &Fish::default(),
        force: Force::Nothing,
        renew_lock: false,
    };
    let stages = Mutex::new(Vec::new());
    let recipe = Recipe::parse(text, "r").unwrap();
    let file = dir.path().join("r.yaml");
    let places = Places { recipe: &file, bundles: dir.path(), store: &folder };
    let mut plan = Plan::of(&recipe, places).unwrap();
    let error = build(&mut plan, &ctx, &|event| {
        if let Event::Stage(stage) = event {
            stages.lock().unwrap().push(stage);
        }
    })
    .unwrap_err();
    assert_eq!(left(&temp), 0, "in the temporary folder");
    assert_eq!(left(&folder.join("tmp")), 0, "in the store's tmp");
    assert_eq!(store.list().unwrap(), []);
    (error, stages.into_inner().unwrap())
}

fn left(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

fn is_root() -> bool {
    run(&["id", "-u"]).success().stdout.trim() == "0"
}

fn user() -> String {
    run(&["id", "-un"]).success().stdout.trim().to_owned()
}

#[test]
fn a_mirror_that_does_not_answer_is_named() {
    if !need_program("mmdebstrap") || !need_program("qemu-img") {
        return;
    }
    let text = "kiln: 1\nname: d\nbase:\n  debian: bookworm\n  mirror: http://127.0.0.1:1/d\n  \
                security: http://127.0.0.1:1/s\n";
    let (error, stages) = fail(text, &user(), is_root());
    let BuildError::Mirror { url, why } = &error else { panic!("{error}") };
    assert_eq!(url, "http://127.0.0.1:1/d/dists/bookworm/InRelease");
    assert!(why.contains("Connection refused"), "{why}");
    assert!(error.hint().unwrap().contains("`mirror`"));
    assert_eq!(stages, [Stage::Lists]);
}

#[test]
fn a_disk_that_cannot_be_is_told_before_anything_is_built() {
    let text = |disk: &str| format!("kiln: 1\nname: d\nbase: {{debian: bookworm}}\ndisk: {disk}\n");
    for (disk, why) in [
        ("{size: 1GiB, swap: 990MiB}", "the partitions do not fit a disk of 1 GiB"),
        ("{size: 1GiB, swap: 700MiB, filesystem: xfs}", "xfs for `/` needs at least 300 MiB"),
        ("{size: 1GiB, partitions: [{mount: /etc, size: 64MiB}]}", "`/etc` cannot be a partition"),
    ] {
        let (error, stages) = fail(&text(disk), &user(), is_root());
        let BuildError::Disk(source) = &error else { panic!("{disk}: {error}") };
        assert!(source.to_string().contains(why), "{disk}: {source}");
        assert_eq!(stages, []);
    }
}

#[test]
fn a_user_without_subordinate_ids_is_told_how_to_get_them() {
    if !need_program("mmdebstrap") || !need_program("newuidmap") || !need_program("qemu-img") {
        return;
    }
    let text = "kiln: 1\nname: d\nbase: {debian: bookworm}\n";
    let (error, stages) = fail(text, "nobody-of-that-name", false);
    assert_eq!(
        error.to_string(),
        "the user `nobody-of-that-name` has fewer than 65536 subordinate ids in `/etc/subuid`"
    );
    assert_eq!(
        error.hint().unwrap(),
        "as root: usermod --add-subuids 1000000-1065535 --add-subgids 1000000-1065535 \
         nobody-of-that-name"
    );
    assert_eq!(stages, []);
}

/// Makes an archive of Ubuntu's shape without a package, signed by a key of its own, which goes to
/// `own.gpg` of the folder; `other.gpg` is another key.
fn archive(dir: &Path) {
    let home = dir.join("gnupg");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
    let home = home.display().to_string();
    let gpg = |args: &[&str]| {
        let fixed = ["gpg", "--homedir", &home, "--batch", "--yes", "--passphrase", ""];
        drop(run(&[&fixed[..], args].concat()).success());
    };
    for key in ["own", "other"] {
        gpg(&["--quick-gen-key", key, "ed25519", "sign", "never"]);
        gpg(&["--output", &dir.join(format!("{key}.gpg")).display().to_string(), "--export", key]);
    }
    for suite in ["noble", "noble-updates", "noble-security"] {
        let folder = dir.join("www/ubuntu/dists").join(suite);
        fs::create_dir_all(folder.join("main/binary-amd64")).unwrap();
        let release = format!(
            "Origin: Ubuntu\nLabel: Ubuntu\nSuite: {suite}\nCodename: noble\n\
             Date: Thu, 25 Apr 2024 15:10:33 UTC\nArchitectures: amd64 arm64\n\
             Components: main universe\nSHA256:\n"
        );
        let path = folder.join("Release").display().to_string();
        fs::write(&path, release).unwrap();
        let signed = folder.join("InRelease").display().to_string();
        gpg(&["--local-user", "own", "--output", &signed, "--clearsign", &path]);
    }
    drop(run(&["gpgconf", "--homedir", &home, "--kill", "all"]).success());
}

#[test]
fn only_a_key_that_the_recipe_names_makes_a_mirror_trusted() {
    if !["mmdebstrap", "qemu-img", "gpg", "gpgconf"].into_iter().all(need_program) {
        return;
    }
    let tell = |keyring: &str| {
        let dir = tempfile::tempdir().unwrap();
        // The ids of the namespace have to get through.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
        archive(dir.path());
        let server = Server::start(&dir.path().join("www"));
        let url = server.url("ubuntu");
        let text = format!(
            "kiln: 1\nname: u\nbase: {{ubuntu: noble, mirror: '{url}', security: '{url}'{keyring}}}\n"
        );
        fail_in(&dir, &text, &user(), is_root()).0
    };
    if Path::new("/usr/share/keyrings/ubuntu-archive-keyring.gpg").exists() {
        assert!(matches!(tell(""), BuildError::Untrusted { .. }));
    }
    let error = tell(", keyring: other.gpg");
    assert!(matches!(error, BuildError::Untrusted { .. }), "{error:?}");
    // Trusted, but there is no package in it.
    let error = tell(", keyring: own.gpg");
    assert!(!matches!(error, BuildError::Untrusted { .. }), "{error:?}");
    assert!(matches!(error, BuildError::Tool { .. } | BuildError::Unmet { .. }), "{error:?}");
}
