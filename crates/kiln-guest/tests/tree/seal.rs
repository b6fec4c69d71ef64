// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Seals of trees in ext file systems that mke2fs made.

use std::time::{Duration, Instant};

use crate::support::{Image, NOW, path};
use kiln_guest::seal::{Options, SealContext, SealError, SealReport, Selection, TreeAlone, seal};
use kiln_guest::selinux::Labels;
use kiln_guest::tree::{Tree, find_all};
use kiln_testkit::{Files, run};

fn sealed(tree: &mut dyn Tree, list: &str) -> Result<SealReport, SealError> {
    let mut selection = Selection::default();
    selection.add_list(list)?;
    let options = Options::default();
    let mut ctx = SealContext {
        subject: &mut TreeAlone(tree),
        now: NOW,
        options: &options,
        customize: None,
        script: None,
    };
    seal(&selection, &mut ctx)
}

/// Returns all paths, but for `lost+found`.
fn paths(tree: &mut dyn Tree) -> Vec<String> {
    let all = find_all(tree, &path("/")).unwrap();
    all.iter().map(|found| found.path.to_string()).filter(|p| p != "/lost+found").collect()
}

/// A Debian that has run.
fn used() -> Files {
    Files::debian()
        .file("etc/machine-id", "0123456789abcdef0123456789abcdef\n")
        .link("var/lib/dbus/machine-id", "/etc/machine-id")
        .file("etc/ssh/ssh_host_ed25519_key", "secret")
        .mode(0o600)
        .file("etc/ssh/sshd_config", "Port 22\n")
        .file("root/.bash_history", "ls\n")
        .file("home/ann/.ssh/authorized_keys", "ssh-ed25519 A\n")
        .owner(1000, 1000)
        .file("var/log/wtmp", "x")
        .file("var/log/syslog", "x")
        .file("var/log/journal/0123/system.journal", vec![7; 70_000])
        .file("var/lib/cloud/instances/i-1/user-data.txt", "password: x\n")
        .link("var/lib/cloud/instance", "/var/lib/cloud/instances/i-1")
        .file("var/lib/systemd/random-seed", [9; 512])
        .file("var/lib/dhcp/dhclient.eth0.leases", "lease")
        .file("var/cache/apt/archives/a.deb", vec![1; 30_000])
        .dir("tmp")
        .mode(0o1777)
        .file("tmp/.X0-lock", "1")
        .link("tmp/etc", "/etc")
        .file("etc/passwd-", "old")
}

#[test]
fn a_used_system_is_sealed_and_its_file_system_stays_whole() {
    let Some(image) = Image::new(&used(), "16M", &[]) else { return };
    let mut tree = image.tree();
    let before = paths(&mut tree);
    let report = sealed(&mut tree, "defaults").unwrap();
    tree.finish().unwrap();
    image.check();
    assert_eq!((report.labels, report.ca_store), (Labels::NotUsed, false));

    let mut tree = image.tree();
    let after = paths(&mut tree);
    let gone: Vec<_> = before.iter().filter(|path| !after.contains(path)).collect();
    assert_eq!(
        gone,
        [
            "/etc/passwd-",
            "/etc/ssh/ssh_host_ed25519_key",
            "/home/ann/.ssh",
            "/home/ann/.ssh/authorized_keys",
            "/root/.bash_history",
            "/tmp/.X0-lock",
            "/tmp/etc",
            "/var/cache/apt/archives/a.deb",
            "/var/lib/cloud/instance",
            "/var/lib/cloud/instances",
            "/var/lib/cloud/instances/i-1",
            "/var/lib/cloud/instances/i-1/user-data.txt",
            "/var/lib/dhcp/dhclient.eth0.leases",
            "/var/lib/systemd/random-seed",
            "/var/log/journal/0123",
            "/var/log/journal/0123/system.journal",
            "/var/log/syslog",
            "/var/log/wtmp",
        ]
    );
    assert!(after.iter().all(|path| before.contains(path)));
    assert_eq!(tree.stat(&path("/etc/machine-id")).unwrap().unwrap().size, 0);
    assert!(tree.lstat(&path("/var/lib/dbus/machine-id")).unwrap().is_some());
    // What was noted is what happened.
    let noted: usize = report.done.iter().map(|done| done.edits.list.len()).sum();
    assert_eq!(noted, gone.len() + 1);
    assert!(sealed(&mut tree, "defaults").unwrap().done.iter().all(|d| d.edits.list.is_empty()));
}

#[test]
fn a_directory_that_holds_itself_ends_a_seal_at_once() {
    let files = used().file("tmp/a/b/x", "1").file("var/tmp/y", "1");
    for (place, operation) in [("/tmp/a/b/again", "tmp-files"), ("/var/again", "backup-files")] {
        let Some(image) = Image::new(&files, "16M", &[]) else { return };
        let from = if operation == "tmp-files" { "/tmp/a" } else { "/var" };
        let link = format!("link {from} {place}");
        let file = image.path().display().to_string();
        let _ = run(&["debugfs", "-w", "-R", &link, &file]).success();
        let start = Instant::now();
        let mut tree = image.tree();
        let result = sealed(&mut tree, operation);
        match operation {
            "tmp-files" => {
                let error = result.unwrap_err();
                assert_eq!(error.to_string(), "the seal operation `tmp-files` failed");
            }
            // A walk that only looks enters each directory once.
            _ => drop(result.unwrap()),
        }
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn ten_thousand_files_are_removed_in_no_time() {
    let mut files = Files::new();
    for number in 0..10_000 {
        files = files.file(&format!("tmp/d{}/f{number}", number % 50), "x");
    }
    let Some(image) = Image::new(&files, "64M", &["-t", "ext4", "-N", "20000"]) else { return };
    let start = Instant::now();
    let mut tree = image.tree();
    let report = sealed(&mut tree, "tmp-files").unwrap();
    tree.finish().unwrap();
    assert_eq!(report.done[0].edits.list.len(), 10_050);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    image.check();
}
