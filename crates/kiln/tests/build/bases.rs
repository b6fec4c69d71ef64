// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bases that are fetched: from a server of the test, which also lies.

use std::fs;
use std::path::Path;

use kiln_testkit::http::{Lie, Server};
use kiln_testkit::{Output, run_with};

use crate::support::{Lab, program};

fn kiln(lab: &Lab, args: &[&str]) -> Output {
    let program = program();
    let all = [&[program.as_str()], args].concat();
    run_with(&all, &[("KILN_HOME", &lab.text("home")), ("no_proxy", "127.0.0.1")])
}

fn sha256(path: &Path) -> String {
    kiln_build::digest::of_file(path, &mut |_| true).unwrap().hex().to_owned()
}

#[test]
fn an_archive_by_its_address_is_proven_kept_and_shared() {
    let Some(lab) = Lab::new() else { return };
    fs::create_dir(lab.path("www")).unwrap();
    fs::copy(lab.path("base.tar"), lab.path("www/base.tar")).unwrap();
    let server = Server::start(&lab.path("www"));
    let digits = sha256(&lab.path("base.tar"));
    let recipe = |name: &str, digits: &str| {
        let text = format!(
            "kiln: 1\nname: {name}\nbase: {{tar: '{}', sha256: {digits}}}\ndisk: {{size: 1GiB}}\n",
            server.url("base.tar")
        );
        fs::write(lab.path("recipe.yaml"), text).unwrap();
        lab.text("recipe.yaml")
    };
    // What is not what the recipe says is refused, and not kept.
    let file = recipe("small", &digits);
    server.lie("base.tar", Lie::Flip(5000));
    let out = kiln(&lab, &["build", &file]);
    assert_eq!(out.code, 3, "{}", out.stderr);
    assert!(out.stderr.contains("and must have sha256:"), "{}", out.stderr);
    let kept = lab.path("home/cache/downloads").join(format!("sha256-{digits}"));
    assert!(!kept.join("whole").exists() && !kept.join("part").exists());
    server.lie("base.tar", Lie::Status(404));
    let out = kiln(&lab, &["build", &file]);
    assert_eq!(out.code, 4, "{}", out.stderr);
    assert!(out.stderr.contains("the server answered 404"), "{}", out.stderr);
    server.honest();
    drop(kiln(&lab, &["build", &file]).success());
    let motd = kiln(&lab, &["image", "cat", "small", "/srv/old"]).success().stdout;
    assert_eq!(motd, "old\n");
    // Again, and by another recipe: from what was kept. One that was changed is fetched anew.
    server.forget();
    drop(kiln(&lab, &["build", &file, "--rebuild"]).success());
    assert_eq!(server.requests(), []);
    fs::write(kept.join("whole"), "something else").unwrap();
    drop(kiln(&lab, &["build", &recipe("other", &digits), "--rebuild"]).success());
    assert!(!server.requests().is_empty());
    assert_eq!(sha256(&kept.join("whole")), digits);
    // The same archive as a file is the same step, and has to be the same archive.
    let text =
        |digits: &str| format!("kiln: 1\nname: small\nbase: {{tar: base.tar, sha256: {digits}}}\n");
    fs::write(lab.path("file.yaml"), text(&digits)).unwrap();
    let plan = kiln(&lab, &["build", &lab.text("file.yaml"), "--dry-run", "--json"]).success();
    assert!(plan.stdout.contains("\"cached\": true"), "{}", plan.stdout);
    fs::write(lab.path("file.yaml"), text(&"0".repeat(64))).unwrap();
    let out = kiln(&lab, &["build", &lab.text("file.yaml"), "--dry-run"]);
    assert_eq!(out.code, 3, "{}", out.stderr);
    assert!(out.stderr.contains("`base.tar` has the digest"), "{}", out.stderr);
    drop(kiln(&lab, &["cache", "gc", "--downloads"]).success());
    assert!(!kept.exists());
}

#[test]
fn the_keys_of_a_mirror_are_of_the_recipes_folder() {
    let Some(lab) = Lab::new() else { return };
    let text = |file: &str| format!("kiln: 1\nname: u\nbase: {{ubuntu: noble, keyring: {file}}}\n");
    let file = lab.text("recipe.yaml");
    fs::write(&file, text("none.gpg")).unwrap();
    let out = kiln(&lab, &["build", &file, "--dry-run"]);
    assert_eq!(out.code, 4, "{}", out.stderr);
    fs::write(&file, text("own.gpg")).unwrap();
    let steps = |keys: &str| {
        fs::write(lab.path("own.gpg"), keys).unwrap();
        kiln(&lab, &["build", &file, "--dry-run", "--json"]).success().stdout
    };
    // Other keys are another step.
    assert_ne!(steps("a"), steps("b"));
}
