// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln build --lock`, with a small apt whose mirror has the version that `http_proxy` names.

use std::fs;

use kiln_testkit::{Output, run, run_with};
use serde_json::Value;

use crate::recipes::Home;
use crate::support::{Lab, program};

/// Installs what it is asked for, and one package that all depend on.
const APT_GET: &str = r#"#!/bin/sh -e
case " $* " in *" update "*) exit 0;; esac
mirror=${http_proxy#http://}
for name; do :; done
for name in $name liball; do
  version=$mirror
  # A mirror has the newest version, and old ones when it is told so.
  case $mirror in
    *+old) version=${mirror%+old}
      if [ -n "${APT_CONFIG-}" ]; then
        pins=$(sed -n 's/.*"\(.*\)";/\1/p' "$APT_CONFIG")
        version=$(sed -n "/^Package: $name\$/,/^\$/s/^Pin: version //p" "$pins")
      fi;;
  esac
  grep -q "^Package: $name\$" /var/lib/dpkg/status 2>/dev/null && continue
  printf 'Package: %s\nStatus: install ok installed\nArchitecture: all\nVersion: %s\n\n' \
    "$name" "$version" >> /var/lib/dpkg/status
done
"#;
const DPKG_QUERY: &str = r#"#!/bin/sh -e
sed -n 's/^Package: //p' /var/lib/dpkg/status | while read -r name; do
  version=$(sed -n "/^Package: $name\$/,/^\$/s/^Version: //p" /var/lib/dpkg/status)
  printf '%s=%s ' "$name" "$version"
done
"#;
/// The digest of a file has the digits of its version.
const APT_CACHE: &str = r#"#!/bin/sh -e
shift 2
for word; do
  version=${word#*=}
  digits=$(echo "$version$version" | sed 's/[^0-9]//g')
  printf 'Package: %s\nVersion: %s\nSHA256: %064d\nSize: 1\n\n' "${word%%=*}" "$version" "$digits"
done
"#;

const RECIPE: &str = "\
kiln: 1
name: small
base: {tar: base.tar}
disk: {size: 1GiB}
packages: [vim]
commands: [echo one > /srv/one]
";

/// Packs the tree anew, with a package manager.
fn pack(lab: &Lab) {
    let [tree, tar] = ["tree", "base.tar"].map(|name| lab.text(name));
    for (name, text) in [("apt-get", APT_GET), ("dpkg-query", DPKG_QUERY), ("apt-cache", APT_CACHE)]
    {
        let path = format!("{tree}/usr/bin/{name}");
        fs::write(&path, text).unwrap();
        drop(run(&["chmod", "0755", &path]).success());
    }
    fs::create_dir_all(lab.path("tree/var/lib/dpkg")).unwrap();
    fs::write(lab.path("tree/var/lib/dpkg/status"), "").unwrap();
    let how = ["--owner=0", "--group=0", "--numeric-owner", "--sort=name", "--mtime=@1000000000"];
    drop(run(&[&["tar", "-C", &tree, "-cf", &tar][..], &how, &["."]].concat()).success());
}

struct Mirror<'a> {
    lab: &'a Lab,
    home: &'static str,
}

impl Mirror<'_> {
    /// Builds the recipe while the mirror has a version.
    fn build(&self, version: &str, more: &[&str]) -> Output {
        let (program, recipe) = (program(), self.lab.text("recipe.yaml"));
        let all = [&[program.as_str(), "build", &recipe, "--json"], more].concat();
        let proxy = format!("http://{version}");
        let home = self.lab.text(self.home);
        run_with(&all, &[("KILN_HOME", &home), ("http_proxy", &proxy)])
    }

    #[track_caller]
    fn built(&self, version: &str, more: &[&str]) -> Value {
        let out = self.build(version, more).success();
        serde_json::from_str(&out.stdout).unwrap()
    }

    #[track_caller]
    fn refused(&self, version: &str, words: &[&str]) {
        let out = self.build(version, &[]);
        assert_eq!(out.code, 3, "{}{}", out.stdout, out.stderr);
        for words in words {
            assert!(out.stdout.contains(words), "{words}: {}", out.stdout);
        }
    }
}

#[test]
fn a_lock_has_all_that_was_taken_and_a_later_build_keeps_to_it() {
    let Some(lab) = Lab::new() else { return };
    pack(&lab);
    fs::write(lab.path("recipe.yaml"), RECIPE).unwrap();
    let lock = || fs::read_to_string(lab.path("recipe.yaml.lock")).unwrap();
    let (here, there) = (Mirror { lab: &lab, home: "home" }, Mirror { lab: &lab, home: "other" });
    // Not locked: what the mirror has.
    here.built("1.0", &[]);
    assert!(!lab.path("recipe.yaml.lock").exists());
    let first = here.built("1.0", &["--lock"]);
    let text = lock();
    for words in
        ["  - step: \"base\"\n    archive: \"sha256:", "\"liball\": {version: \"1.0\"", "\"vim\": "]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(here.built("1.0", &[])["cached"], true);
    // The same bytes elsewhere, with a newer version beside the old one.
    let second = there.built("2.0+old", &[]);
    assert_eq!(second["cached"], false);
    assert_eq!(second["image"]["digest"], first["image"]["digest"]);
    // When there is nothing left of what was built, and the mirror has other versions.
    for home in [&here, &there] {
        let kiln = Home { lab: &lab, home: home.home };
        let _ = kiln.kiln(&["cache", "gc", "--keep", "0"]).success();
        let _ = kiln.kiln(&["image", "rm", "small"]);
    }
    there.refused(
        "2.0",
        &["`liball` is locked to 1.0, and the mirror has 2.0, and 1 more differ", "--lock"],
    );
    let third = there.built("2.0", &["--lock"]);
    assert_ne!(third["image"]["digest"], first["image"]["digest"]);
    assert!(lock().contains("\"vim\": {version: \"2.0\""), "{}", lock());
    assert_eq!(lock(), {
        there.built("2.0", &["--lock"]);
        lock()
    });
}

#[test]
fn a_lock_that_does_not_fit_is_refused() {
    let Some(lab) = Lab::new() else { return };
    pack(&lab);
    fs::write(lab.path("recipe.yaml"), RECIPE).unwrap();
    let mirror = Mirror { lab: &lab, home: "home" };
    mirror.built("1.0", &["--lock"]);
    let lock = fs::read_to_string(lab.path("recipe.yaml.lock")).unwrap();
    // Another package of the recipe is in no lock.
    fs::write(lab.path("recipe.yaml"), RECIPE.replace("vim", "nano")).unwrap();
    mirror.refused("1.0", &["`vim` is locked to 1.0", "does not have it", "1 more differ"]);
    fs::write(lab.path("recipe.yaml"), RECIPE.replace("packages: [vim]\n", "")).unwrap();
    mirror.refused("1.0", &["the recipe has no step `packages` there", "--lock"]);
    fs::write(lab.path("recipe.yaml"), RECIPE).unwrap();
    for (good, bad, words) in [
        ("arch: amd64", "arch: arm64", "it is for arm64"),
        ("kiln_lock: 1", "kiln_lock: 7", "format 1"),
        ("\"vim\"", "\"-v\"", "is no package"),
    ] {
        let changed = lock.replace(good, bad);
        if changed != lock {
            fs::write(lab.path("recipe.yaml.lock"), changed).unwrap();
            mirror.refused("1.0", &[words]);
        }
    }
    // Another archive.
    fs::write(lab.path("recipe.yaml.lock"), &lock).unwrap();
    fs::write(lab.path("tree/srv/old"), "new\n").unwrap();
    pack(&lab);
    mirror.refused("1.0", &["base.tar", "is locked to sha256:"]);
    mirror.built("1.0", &["--lock"]);
    mirror.built("1.0", &[]);
}
