// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Recipes: what a wrong one is told, and what a short and a full one mean.
//!
//! `golden/recipe/<case>.yaml` is a wrong recipe, `<case>.error` what its author sees.

use std::fs;
use std::path::{Path, PathBuf};

use kiln_spec::Recipe;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/recipe")
}

#[test]
fn each_wrong_recipe_is_told_what_is_wrong_where() {
    let mut cases = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "yaml") {
            let name = path.file_name().unwrap().to_str().unwrap();
            let error = Recipe::parse(&fs::read_to_string(&path).unwrap(), name).unwrap_err();
            let expected = fs::read_to_string(path.with_extension("error")).unwrap_or_default();
            assert_eq!(format!("{error}\n"), expected, "{name}");
            cases += 1;
        }
    }
    assert_eq!(cases, 89);
}

#[test]
fn a_short_recipe_has_every_default() {
    let recipe = Recipe::parse("kiln: 1\nname: d\nbase: {debian: trixie}\n", "r").unwrap();
    let expected = serde_json::json!({
        "name": "d",
        "base": {
            "debian": "trixie",
            "mirror": "http://deb.debian.org/debian",
            "security": "http://deb.debian.org/debian-security",
            "components": ["main"],
            "variant": "minbase",
        },
        "arch": null,
        "packages": [],
        "disk": {"size": 2_147_483_648_u64, "esp": 67_108_864},
        "user": "debian",
        "memory": 536_870_912,
        "files": [],
        "hostname": "localhost",
        "locale": "C.UTF-8",
        "timezone": "Etc/UTC",
        "kernel_cmdline": null,
    });
    assert_eq!(serde_json::to_value(recipe).unwrap(), expected);
}

#[test]
fn a_full_recipe_keeps_what_it_says() {
    let text = "\
kiln: 1
name: web
base:
  debian: bookworm
  mirror: https://mirror.example/debian
  security: https://mirror.example/security
  components: [non-free-firmware, main, main]
  variant: important
arch: x86_64
packages: [nginx, g++, vim=2:9.0.1378-2]
disk: {size: 10G, esp: 128MiB}
user: ops
memory: 1GiB
files:
  - {path: /etc/motd, content: \"hello\\n\"}
  - path: /usr/local/bin/x
    mode: 0755
    content: |
      #!/bin/sh
      echo $HOME
hostname: web
locale: de_DE.UTF-8
timezone: Europe/Berlin
kernel_cmdline: quiet
";
    let expected = serde_json::json!({
        "name": "web",
        "base": {
            "debian": "bookworm",
            "mirror": "https://mirror.example/debian",
            "security": "https://mirror.example/security",
            "components": ["main", "non-free-firmware"],
            "variant": "important",
        },
        "arch": "amd64",
        "packages": ["nginx", "g++", "vim=2:9.0.1378-2"],
        "disk": {"size": 10_737_418_240_u64, "esp": 134_217_728},
        "user": "ops",
        "memory": 1_073_741_824,
        "files": [
            {"path": "/etc/motd", "content": "hello\n", "mode": "0644"},
            {"path": "/usr/local/bin/x", "content": "#!/bin/sh\necho $HOME\n", "mode": "0755"},
        ],
        "hostname": "web",
        "locale": "de_DE.UTF-8",
        "timezone": "Europe/Berlin",
        "kernel_cmdline": "quiet",
    });
    assert_eq!(serde_json::to_value(Recipe::parse(text, "r").unwrap()).unwrap(), expected);
}

#[test]
fn the_examples_are_recipes() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for name in ["debian-12.yaml", "debian-13.yaml", "ubuntu-24.04.yaml"] {
        let text = fs::read_to_string(examples.join(name)).unwrap();
        let recipe = Recipe::parse(&text, name).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(format!("{}.yaml", recipe.name), name);
    }
}

#[test]
fn an_ubuntu_has_its_own_mirrors_and_account() {
    let json = |base: &str| {
        let text = format!("kiln: 1\nname: u\narch: amd64\nbase: {base}\n");
        let recipe = Recipe::parse(&text, "r").unwrap_or_else(|e| panic!("{e}"));
        let json = serde_json::to_value(recipe).unwrap();
        (json["base"].clone(), json["user"].clone())
    };
    let (base, user) = json("{ubuntu: noble}");
    assert_eq!(user, "ubuntu");
    let expected = serde_json::json!({
        "ubuntu": "noble",
        "mirror": "http://archive.ubuntu.com/ubuntu",
        "security": "http://security.ubuntu.com/ubuntu",
        "components": ["main", "universe"],
        "variant": "minbase",
    });
    assert_eq!(base, expected);
    let (base, _) = json("{ubuntu: jammy, snapshot: 20250301T000000Z, keyring: own.gpg}");
    let then = "https://snapshot.ubuntu.com/ubuntu/20250301T000000Z";
    assert_eq!((&base["mirror"], &base["security"]), (&then.into(), &then.into()));
    assert_eq!(base["keyring"], "own.gpg");
}

#[test]
fn an_archive_is_fetched_only_with_its_digest() {
    let digits = "AB".repeat(32);
    let text = format!("kiln: 1\nname: u\nbase: {{tar: 'https://m/a.tar', sha256: {digits}}}\n");
    let json = serde_json::to_value(Recipe::parse(&text, "r").unwrap()).unwrap();
    let digest = format!("sha256:{}", "ab".repeat(32));
    assert_eq!(
        json["base"]["tar"],
        serde_json::json!({"from": "https://m/a.tar", "sha256": digest})
    );
}
