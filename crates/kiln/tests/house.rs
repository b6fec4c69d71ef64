// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The house keeps its own rules: crate edges, file sizes, licence lines, generated files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use kiln_testkit::run;

/// Which crates of ours a crate may use, besides dev-dependencies.
const EDGES: &[(&str, &[&str])] = &[
    ("kiln-spec", &[]),
    ("kiln-host", &["kiln-spec"]),
    ("kiln-disk", &["kiln-spec", "kiln-host"]),
    ("kiln-guest", &["kiln-spec", "kiln-host", "kiln-disk"]),
    ("kiln-libvirt", &["kiln-spec", "kiln-host"]),
    ("kiln-build", &["kiln-spec", "kiln-host", "kiln-disk", "kiln-guest"]),
    ("kiln-dns", &["kiln-spec"]),
    (
        "kiln",
        &[
            "kiln-spec",
            "kiln-host",
            "kiln-disk",
            "kiln-guest",
            "kiln-libvirt",
            "kiln-build",
            "kiln-dns",
        ],
    ),
    ("kiln-testkit", &["kiln-spec", "kiln-host"]),
];

/// The most lines of a file: STYLE.md.
const MOST_LINES: usize = 600;

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("the crate is two folders below the project").to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the project") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(&root().join("crates"), "rs", &mut found);
    assert!(found.len() > 50);
    found
}

#[test]
fn crates_use_only_what_lies_below_them() {
    let folders: BTreeSet<String> = fs::read_dir(root().join("crates"))
        .expect("crates")
        .map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    let listed: BTreeSet<String> = EDGES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(folders, listed, "each crate's edges are listed");
    for (name, allowed) in EDGES {
        let manifest = read(&root().join("crates").join(name).join("Cargo.toml"));
        let mut section = "";
        for line in manifest.lines() {
            if line.starts_with('[') {
                section = line;
            }
            let used = line.split(['.', ' ', '=']).next().unwrap_or_default();
            if section == "[dependencies]" && used.starts_with("kiln-") {
                assert!(allowed.contains(&used), "{name} may not use {used}");
            }
        }
    }
}

#[test]
fn files_are_short_and_begin_with_licence_and_purpose() {
    for path in sources() {
        let text = read(&path);
        let shown = path.display();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("// SPDX-License-Identifier: Apache-2.0 OR MIT"), "{shown}");
        assert!(lines.next().is_some_and(|line| line.starts_with("//! ")), "{shown}");
        assert!(text.lines().count() <= MOST_LINES, "{shown} has {} lines", text.lines().count());
    }
}

#[test]
fn only_the_file_level_crates_hold_unsafe_code() {
    let allowed = [
        "kiln-host/src/run.rs",
        "kiln-host/src/kernel_mount.rs",
        "kiln-host/src/namespace/",
        "kiln-libvirt/src/ffi/",
        "kiln-disk/src/fs/ext/",
    ];
    for path in sources() {
        let shown = path.display().to_string();
        let block = ["unsafe", " {"].concat();
        if read(&path).lines().any(|line| line.trim_start().contains(&block)) {
            assert!(allowed.iter().any(|place| shown.contains(place)), "{shown} holds unsafe code");
        }
    }
}

#[test]
fn names_that_say_nothing_are_not_used() {
    for path in sources() {
        let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
        for banned in ["utils", "util", "helpers", "misc", "types", "imp"] {
            assert_ne!(stem, banned, "{}", path.display());
        }
    }
}

#[test]
fn manual_pages_and_completions_are_up_to_date() {
    let folder = std::env::temp_dir().join(format!("kiln-house-{}", std::process::id()));
    let shown = folder.display().to_string();
    let kiln = env!("CARGO_BIN_EXE_kiln");
    drop(run(&[kiln, "man", &shown]).success());
    let pages = |folder: &Path| -> BTreeSet<String> {
        let entries = fs::read_dir(folder).expect("pages");
        entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    };
    let (made, kept) = (pages(&folder), pages(&root().join("man")));
    assert_eq!(made, kept, "run `make gen`");
    for page in &made {
        let (new, old) = (read(&folder.join(page)), read(&root().join("man").join(page)));
        assert!(new == old, "man/{page} is out of date: run `make gen`");
    }
    fs::remove_dir_all(&folder).expect("removed");
    for (shell, file) in [("bash", "kiln.bash"), ("zsh", "_kiln"), ("fish", "kiln.fish")] {
        let new = run(&[kiln, "completions", shell]).success().stdout;
        let old = read(&root().join("completions").join(file));
        assert!(new == old, "completions/{file} is out of date: run `make gen`");
    }
}

#[test]
fn every_verb_is_in_the_documentation() {
    let help = run(&[env!("CARGO_BIN_EXE_kiln"), "--help"]).success().stdout;
    let verbs = help
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        // A long text goes on in the next line, further in.
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help");
    let mut docs = Vec::new();
    files(&root().join("docs"), "md", &mut docs);
    let docs: String = docs.iter().map(|path| read(path)).collect();
    let mut seen = 0;
    for verb in verbs {
        assert!(docs.contains(&format!("kiln {verb}")), "`kiln {verb}` is in no chapter of docs/");
        seen += 1;
    }
    assert!(seen >= 15, "{seen} verbs");
}

#[test]
fn exit_codes_are_documented() {
    let text = read(&root().join("docs/exit-codes.md"));
    for code in ["0", "1", "2", "3", "4", "5", "6", "7", "8", "70"] {
        assert!(text.contains(&format!("| {code} |")), "exit code {code}");
    }
}

#[test]
fn every_example_is_a_recipe_or_a_set() {
    let mut examples = Vec::new();
    files(&root().join("examples"), "yaml", &mut examples);
    assert!(!examples.is_empty());
    for path in examples {
        let shown = path.display().to_string();
        if path.ends_with("kiln.yaml") {
            drop(kiln_spec::Set::parse(&read(&path), &shown).unwrap_or_else(|e| panic!("{e}")));
            continue;
        }
        let out = run(&[env!("CARGO_BIN_EXE_kiln"), "build", "--dry-run", &shown]);
        // Distributors' keys are a package of their own, which a host may not have.
        if out.code == 5 && out.stderr.contains("distribution-gpg-keys") {
            continue;
        }
        assert_eq!(out.code, 0, "{shown}: {}", out.stderr);
    }
}

#[test]
fn the_project_speaks_of_itself_alone() {
    let mut texts = sources();
    for ending in ["md", "yaml", "toml"] {
        files(&root().join("docs"), ending, &mut texts);
        files(&root().join("examples"), ending, &mut texts);
    }
    // In two pieces, so that this file does not hold them.
    let banned = [["/work", "/"].concat(), ["/tmp", "/w/"].concat()];
    for path in texts {
        let text = read(&path);
        for word in &banned {
            assert!(!text.contains(word.as_str()), "{} holds `{word}`", path.display());
        }
    }
}
