// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bundles that are damaged or mean harm: nothing of them is visible, and nothing leaves the tree.

use std::fs;
use std::os::unix::fs::symlink;

use kiln_testkit::run;

use crate::support::{Lab, debugfs};

#[track_caller]
fn refused(lab: &Lab, bundle: &str, code: i32, why: &str) {
    let before = lab.left();
    let out = lab.bundle(&["assemble", bundle, "-o", &lab.path("no.qcow2")]);
    assert_eq!(out.code, code, "{}", out.stderr);
    assert!(out.stderr.contains(why), "{}", out.stderr);
    assert_eq!(lab.left(), before);
    let stored = lab.bundle(&["assemble", bundle, "--name", "no"]);
    assert_eq!(stored.code, code, "{}", stored.stderr);
    let images = lab.kiln(&["image", "list"]).success();
    assert!(!images.stdout.contains("no "), "{}", images.stdout);
}

#[test]
fn what_is_not_what_its_manifest_says_gives_no_disk() {
    let Some(lab) = Lab::new() else { return };
    let bundle = lab.packed();
    let whole = fs::read(&bundle).unwrap();
    // One more frame of zstd at the end: the tree is the same.
    let skippable = [&whole[..], &[0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 7]].concat();
    fs::write(&bundle, skippable).unwrap();
    refused(&lab, &bundle, 3, "and its manifest says sha256:");
    let verified = lab.bundle(&["info", &bundle, "--verify"]);
    assert_eq!(verified.code, 3, "{}", verified.stderr);
    fs::write(&bundle, &whole[..whole.len() / 2]).unwrap();
    refused(&lab, &bundle, 3, "and its manifest says sha256:");
    fs::write(format!("{bundle}.json"), b"{\"format\": 9}").unwrap();
    refused(&lab, &bundle, 3, "is no manifest of a bundle");
    fs::remove_file(format!("{bundle}.json")).unwrap();
    refused(&lab, &bundle, 3, "could not make a disk of");
}

#[test]
fn paths_that_lead_out_are_refused_and_links_stay_inside() {
    let Some(lab) = Lab::new() else { return };
    let secret = lab.path("secret");
    fs::write(&secret, "of the host").unwrap();
    let out = |name: &str, options: &[&str]| {
        let tar = lab.path(name);
        let tree = lab.path("tree");
        let fixed = ["tar", "-cf", &tar, "--exclude=./srv/sparse", "-C", &tree];
        let _ = run(&[&fixed[..], options, &["."]].concat()).success();
        tar
    };
    let up = out("up.tar", &["-P", "--transform=s,^\\./srv/data$,../../evil,"]);
    refused(&lab, &up, 3, "leads out of its tree");
    // A hard link to a file of the host.
    let link = out("link.tar", &["-P", &format!("--transform=flags=h;s,^\\./srv/data$,{secret},")]);
    refused(&lab, &link, 3, "could not put `srv/same`");
    // Symbolic links to the host's files are links of the tree: what is written goes to the tree.
    symlink(&secret, lab.tree("etc/hostname")).unwrap();
    fs::remove_file(lab.tree("etc/hosts")).unwrap();
    fs::remove_dir_all(lab.tree("etc/ssh")).unwrap();
    symlink(lab.path(""), lab.tree("etc/ssh")).unwrap();
    let links = out("links.tar", &[]);
    let raw = lab.path("links.raw");
    let _ = lab.bundle(&["assemble", &links, "-o", &raw, "--hostname", "inside"]).success();
    assert_eq!(fs::read_to_string(&secret).unwrap(), "of the host");
    assert_eq!(debugfs(&raw, "cat /etc/hostname"), "inside\n");
}

#[test]
fn usage_is_told_apart_from_files() {
    let Some(lab) = Lab::new() else { return };
    let bundle = lab.packed();
    let cases: [(&[&str], i32, &str); 7] = [
        (&["assemble", &bundle, "-o", &lab.path("x.vmdk")], 2, "does not tell the disk's format"),
        (&["assemble", &bundle, "-o", &bundle], 4, "is there already"),
        (&["assemble", &lab.path("none.tar"), "-o", &lab.path("x.raw")], 4, "could not read"),
        (&["assemble", "nothing"], 4, "there is no bundle `nothing`"),
        (
            &["assemble", &bundle, "-o", &lab.path("x.raw"), "--firmware", "bios"],
            3,
            "no GRUB for BIOS",
        ),
        (&["create", &lab.path("tree/"), "-o", &bundle], 4, "exists already"),
        (&["create", &lab.path("tree/"), "--exclude", "tmp"], 2, "does not begin with `/`"),
    ];
    for (args, code, why) in cases {
        let out = lab.bundle(args);
        assert_eq!(out.code, code, "{args:?}: {}", out.stderr);
        assert!(out.stderr.contains(why), "{args:?}: {}", out.stderr);
    }
    assert_eq!(lab.left(), ["t.tar.zst", "t.tar.zst.json"]);
}
