// SPDX-License-Identifier: Apache-2.0 OR MIT
//! ISO 9660 as other programs read it: isoinfo (cdrkit), xorriso (libisofs), blkid, mount.

#![expect(clippy::unwrap_used, reason = "a test fails by panic")]

use std::path::PathBuf;

use kiln_disk::fs::iso9660::Iso;
use kiln_testkit::{need_program, run};

/// When everything in these tests was made: 2023-11-14 22:13:20 UTC.
const TIME: u64 = 1_700_000_000;

struct Written {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Written {
    fn new(iso: &Iso) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it.iso");
        std::fs::write(&path, iso.build().unwrap()).unwrap();
        Self { _folder: folder, path }
    }

    fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// What `isoinfo` finds with these options.
    fn isoinfo(&self, options: &[&str]) -> String {
        let mut argv = vec!["isoinfo", "-i", self.path()];
        argv.extend(options);
        let out = run(&argv).success();
        assert_eq!(out.stderr, "", "{argv:?}");
        out.stdout
    }

    /// All paths below the root, by Rock Ridge as xorriso reads it.
    fn found(&self) -> Vec<String> {
        let out = run(&["xorriso", "-indev", self.path(), "-find", "/"]).success();
        for line in out.stderr.lines() {
            let bad = ["WARNING", "SORRY", "FAILURE", "MISHAP", "FATAL"];
            assert!(!bad.iter().any(|b| line.contains(b)), "{}", out.stderr);
        }
        let unquoted = out.stdout.lines().map(|l| l.trim_matches('\'').to_owned());
        let mut paths: Vec<_> = unquoted.filter(|p| p != "/").collect();
        paths.sort();
        paths
    }

    /// A file's content, by way of xorriso.
    fn extracted(&self, path: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("out");
        let to = to.to_str().unwrap();
        let _ = run(&["xorriso", "-osirrox", "on", "-indev", self.path(), "-extract", path, to])
            .success();
        std::fs::read(to).unwrap()
    }
}

fn tools() -> bool {
    need_program("isoinfo") && need_program("xorriso")
}

#[test]
fn a_seed_is_read_by_all() {
    if !tools() {
        return;
    }
    let seed = Iso::new("cidata", TIME)
        .file("user-data", "#cloud-config\n{}\n")
        .file("meta-data", "instance-id: i-1\n")
        .file("network-config", "")
        .file("openstack/latest/meta_data.json", "{}")
        .file("openstack/content/0000", vec![0xa5; 5000])
        .private();
    let iso = Written::new(&seed);
    let head = iso.isoinfo(&["-d"]);
    assert!(head.contains("Volume id: cidata\n"), "{head}");
    assert!(head.contains("Joliet with UCS level 3 found"), "{head}");
    assert!(head.contains("Rock Ridge signatures version 1 found"), "{head}");
    assert!(!head.contains("NO "), "{head}");

    let paths = [
        "/meta-data",
        "/network-config",
        "/openstack",
        "/openstack/content",
        "/openstack/content/0000",
        "/openstack/latest",
        "/openstack/latest/meta_data.json",
        "/user-data",
    ];
    assert_eq!(iso.found(), paths);
    for tree in ["-R", "-J"] {
        let listed = iso.isoinfo(&[tree, "-f"]);
        let mut listed: Vec<_> = listed.lines().collect();
        listed.sort_unstable();
        assert_eq!(listed, paths, "{tree}");
    }
    let plain = iso.isoinfo(&["-f"]);
    assert!(plain.contains("/OPENSTACK/LATEST/META_DATA.JSON;1\n"), "{plain}");
    assert_eq!(iso.isoinfo(&["-R", "-x", "/user-data"]), "#cloud-config\n{}\n");
    assert_eq!(iso.isoinfo(&["-J", "-x", "/openstack/latest/meta_data.json"]), "{}");
    assert_eq!(iso.extracted("/openstack/content/0000"), vec![0xa5; 5000]);
    assert_eq!(iso.extracted("/network-config"), b"");

    let list =
        run(&["xorriso", "-indev", iso.path(), "-find", "/", "-exec", "lsdl"]).success().stdout;
    assert!(list.contains("-r--------    1 0        0              17 Nov 14  2023"), "{list}");
    assert!(
        list.contains("dr-x------    1 0        0               0 Nov 14  2023 '/openstack'"),
        "{list}"
    );
}

#[test]
fn blkid_and_the_kernel_see_the_label_and_the_files() {
    if !need_program("blkid") {
        return;
    }
    let long = "n".repeat(255);
    let iso = Written::new(
        &Iso::new("cidata", TIME).file("user-data", "hello").file(format!("dir.d/{long}"), "deep"),
    );
    let found = run(&["blkid", "-p", "-o", "export", iso.path()]).success().stdout;
    assert!(found.contains("LABEL=cidata\n") && found.contains("TYPE=iso9660\n"), "{found}");

    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().to_str().unwrap();
    for options in ["ro,loop", "ro,loop,norock", "ro,loop,norock,nojoliet"] {
        let mounted = run(&["mount", "-t", "iso9660", "-o", options, iso.path(), at]);
        if mounted.code != 0 {
            // Not everyone may mount; the other readers saw the same bytes.
            return;
        }
        let name = if options.ends_with("nojoliet") { "user_dat.;1" } else { "user-data" };
        let plain = options.ends_with("nojoliet").then(|| std::fs::read_dir(at).unwrap().count());
        let read = std::fs::read(folder.path().join(name));
        let deep = std::fs::read(folder.path().join("dir.d").join(&long));
        let _ = run(&["umount", at]).success();
        if let Some(entries) = plain {
            assert_eq!(entries, 2);
        } else {
            assert_eq!(read.unwrap(), b"hello", "{options}");
        }
        if options == "ro,loop" {
            assert_eq!(deep.unwrap(), b"deep");
        }
    }
}

#[test]
fn nothing_at_all_is_a_file_system_too() {
    if !tools() {
        return;
    }
    let iso = Written::new(&Iso::new("EMPTY", TIME));
    assert!(iso.found().is_empty());
    assert!(iso.isoinfo(&["-d"]).contains("Volume id: EMPTY\n"));
    assert_eq!(iso.isoinfo(&["-J", "-f"]), "");
}

#[test]
fn long_and_foreign_names_are_kept() {
    if !tools() {
        return;
    }
    let names = [
        "a".repeat(100),
        format!("{}.txt", "b".repeat(251)),
        "größe 日本語 – naïve.txt".to_owned(),
        "ｗｉｄｅ".repeat(20),
        "UPPER and lower".to_owned(),
        "upper AND LOWER".to_owned(),
        ".hidden".to_owned(),
        "a*b:c;d?e".to_owned(),
        "smile😀".to_owned(),
    ];
    let mut iso = Iso::new("names", TIME);
    for name in &names {
        iso = iso.file(name, name.as_bytes()).file(format!("dir/{name}/in"), "x");
    }
    let iso = Written::new(&iso);
    let mut expected: Vec<String> = vec!["/dir".to_owned()];
    for name in &names {
        expected.extend([format!("/{name}"), format!("/dir/{name}"), format!("/dir/{name}/in")]);
    }
    expected.sort();
    assert_eq!(iso.found(), expected);
    for name in &names {
        assert_eq!(iso.extracted(&format!("/{name}")), name.as_bytes());
    }
    let joliet = iso.isoinfo(&["-J", "-f"]);
    assert!(joliet.contains(&format!("/{}\n", "a".repeat(64))), "{joliet}");
    assert!(joliet.contains("/a_b_c_d_e\n"), "{joliet}");
    assert_eq!(joliet.lines().count(), expected.len());
}

#[test]
fn many_files_and_folders_fill_several_sectors() {
    if !tools() {
        return;
    }
    let mut iso = Iso::new("many", TIME);
    let mut expected = Vec::new();
    for n in 0..300 {
        let path = format!("file-number-{n:03}.of-many-with-a-rather-long-name");
        iso = iso.file(&path, vec![b'x'; n * 37]);
        expected.push(format!("/{path}"));
        let folder = format!("folder-{n:03}");
        iso = iso.file(format!("{folder}/inner/leaf"), n.to_string());
        expected.extend([
            format!("/{folder}"),
            format!("/{folder}/inner"),
            format!("/{folder}/inner/leaf"),
        ]);
    }
    let iso = Written::new(&iso);
    expected.sort();
    assert_eq!(iso.found(), expected);
    // The path tables: 601 folders in the order that isoinfo itself follows.
    let table = iso.isoinfo(&["-p"]);
    assert_eq!(table.lines().filter(|l| l.contains("INNER")).count(), 300, "{table}");
    assert_eq!(iso.isoinfo(&["-J", "-f"]).lines().count(), expected.len());
    assert_eq!(iso.isoinfo(&["-R", "-x", "/folder-299/inner/leaf"]), "299");
    let last = iso.extracted("/file-number-299.of-many-with-a-rather-long-name");
    assert_eq!(last.len(), 299 * 37);
}

#[test]
fn large_files_are_whole() {
    if !tools() {
        return;
    }
    let content: Vec<u8> = (0..30_000_000_u32).map(|n| n.to_le_bytes()[(n % 3) as usize]).collect();
    let iso = Written::new(&Iso::new("large", TIME).file("a", "x").file("b", &content[..]));
    assert!(iso.extracted("/b") == content);
    assert_eq!(iso.extracted("/a"), b"x");
}
