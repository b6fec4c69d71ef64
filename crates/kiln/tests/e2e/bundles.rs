// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From a recipe of elements to a machine, over SSH to a bundle, to a web server, and to machines
//! of both firmwares again, and a clone of one. One story of many things: a boot takes minutes.

use std::fs;
use std::io::Write;
use std::time::Duration;

use kiln_testkit::http::Server;
use kiln_testkit::{need_program, run};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::lab::{Lab, trial, until};
use crate::{build, verbs};

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("e2e::bundles::elements_make_a_machine_a_bundle_and_machines_again", story)]
}

/// Asks which data source cloud-init has read, and what the vendor's script has written.
const READ_BY: &str = "grep -o 'DataSource[A-Za-z]*' /run/cloud-init/result.json; cat /srv/vendor";
/// What is put into the first machine, and asked of the second.
const MARKS: &str = "mkdir -p /srv/s4 && cd /srv/s4 && echo first > name && \
    ln name other && ln -s name link && mkfifo pipe && truncate -s 1G holes && \
    chown 1234:4321 name && chmod 4750 name && setcap cap_net_raw+ep other 2>/dev/null; true";
const ASKED: &str = "cd /srv/s4 && stat -c '%n %a %u:%g %h %s %F' name other link pipe holes && \
    cat name && (getcap other 2>/dev/null; true)";
/// What the bundle has not: a guest without KVM encrypts but some megabytes in a second.
const LESS: [&str; 12] = [
    "/usr/lib/grub/x86_64-efi-signed",
    "/usr/lib/modules/*/kernel/drivers/infiniband",
    "/usr/lib/modules/*/kernel/drivers/md",
    "/usr/lib/modules/*/kernel/drivers/net/ethernet",
    "/usr/lib/modules/*/kernel/fs/btrfs",
    "/usr/lib/modules/*/kernel/fs/nfs",
    "/usr/lib/modules/*/kernel/fs/xfs",
    "/usr/lib/udev/hwdb.d",
    "/usr/lib/x86_64-linux-gnu/gconv",
    "/usr/lib/x86_64-linux-gnu/perl",
    "/usr/share/i18n",
    "/usr/share/perl",
];

fn story(lab: &Lab) {
    if !need_program("curl") {
        return;
    }
    let (first, second) = ("kt-layered", "kt-unbundled");
    build::layered(lab, first);
    let exec = |name: &str, script: &str| {
        lab.kiln(&["exec", name, "--", "sh", "-c", script]).success().stdout
    };
    let _ = exec(first, MARKS);
    let (marks, id) = (exec(first, ASKED), exec(first, "cat /etc/machine-id"));
    let keys = exec(first, "cat /etc/ssh/ssh_host_*_key.pub");

    let json = |args: &[&str]| -> Value {
        let out = lab.kiln(&[args, &["--json"]].concat()).success().stdout;
        serde_json::from_str(&out).expect("JSON")
    };
    let source = format!("machine:{first}");
    let less: Vec<&str> = LESS.iter().flat_map(|path| ["--exclude", path]).collect();
    let made = json(&[&["bundle", "create", &source, "--name", "kt-s4"], &less[..]].concat());
    let manifest = &made["bundle"];
    assert_eq!((&manifest["from"], &manifest["arch"]), (&"ssh".into(), &"amd64".into()));
    assert_eq!(manifest["firmware"], serde_json::json!(["bios", "uefi"]), "{manifest}");

    let served = lab.folder.join("served");
    fs::create_dir_all(&served).expect("a folder");
    let server = Server::start(&served);
    server.allow_put();
    let url = server.url("kt-s4.tar.zst");
    drop(lab.kiln(&["bundle", "push", "kt-s4", &url]).success());
    drop(lab.kiln(&["bundle", "rm", "kt-s4"]).success());
    verbs::removed_without_a_trace(lab, first);

    // Its guest reads OpenStack's drive, and so does its clone's.
    let vendor = lab.folder.join("vendor.sh");
    fs::write(&vendor, "#!/bin/sh\necho vendor > /srv/vendor\n").expect("written");
    let vendor = vendor.display().to_string();
    let seed = ["--datasource", "configdrive", "--vendor-data", &vendor];
    let how = ["--firmware", "uefi", "--timings", "--json"];
    let out = lab.launch(&url, second, &[&seed[..], &how].concat()).success();
    let launched: Value = serde_json::from_str(&out.stdout).expect("JSON");
    let machine = &launched["machines"][0];
    assert_eq!(machine["ready"]["ssh"], true, "{machine}");
    assert_eq!(exec(second, "test -d /sys/firmware/efi && hostname"), format!("{second}\n"));
    assert_eq!(exec(second, ASKED), marks);
    assert_eq!(exec(second, READ_BY), "DataSourceConfigDrive\nvendor\n");
    let shown = lab.kiln(&["seed", "show", second]).success().stdout;
    assert!(shown.contains("\"hostname\": \"kt-unbundled\""), "{shown}");
    assert!(shown.contains("\n==> openstack/latest/vendor_data.json <==\n#!/bin/sh\n"), "{shown}");
    // It is another machine.
    assert_ne!(exec(second, "cat /etc/machine-id"), id);
    assert_ne!(exec(second, "cat /etc/ssh/ssh_host_*_key.pub"), keys);
    show(&made, machine, &out.stderr);
    cloned(lab, second, "kt-cloned", &exec);
    verbs::removed_without_a_trace(lab, second);

    // The same bundle again is there already: its server is not needed.
    drop(server);
    let third = "kt-unbundled-again";
    drop(lab.launch("kt-s4", third, &["--no-wait"]).success());
    // By BIOS, too: GRUB has found its kernel, which tells of no UEFI.
    let speaks = until(Duration::from_secs(300), || {
        let log = lab.kiln(&["logs", third]).success().stdout;
        log.contains("Linux version") && log.contains("Command line:")
    });
    assert!(speaks, "{}", lab.kiln(&["logs", third]).stdout);
    assert!(!lab.kiln(&["logs", third]).success().stdout.contains("efi: EFI v"));
    verbs::removed_without_a_trace(lab, third);
    installed(lab, "kt-s4");
    drop(lab.kiln(&["bundle", "rm", "kt-s4"]).success());
    drop(lab.kiln(&["image", "rm", "kt-s4"]).success());
}

/// Clones a machine and boots the clone, by UEFI as its source does: it gets ready as another
/// machine, with the source's files.
fn cloned(lab: &Lab, source: &str, clone: &str, exec: &impl Fn(&str, &str) -> String) {
    let ids = "for file in /etc/machine-id /var/lib/cloud/data/instance-id \
        /sys/class/net/e*/address; do echo $(cat $file); done";
    let keys = "cut -d ' ' -f 2 /etc/ssh/ssh_host_*_key.pub";
    let theirs = (exec(source, ids), exec(source, keys));
    drop(lab.kiln(&["stop", source]).success());
    drop(lab.kiln(&["clone", source, clone, "--linked"]).success());
    drop(lab.kiln(&["start", clone]).success());
    drop(lab.kiln(&["wait", clone]).success());
    assert_eq!(exec(clone, "test -d /sys/firmware/efi && hostname"), format!("{clone}\n"));
    assert_eq!(exec(clone, "cat /srv/s4/other"), "first\n");
    assert_eq!(exec(clone, READ_BY), "DataSourceConfigDrive\nvendor\n");
    let ours = (exec(clone, ids), exec(clone, keys));
    for (ours, theirs) in [(ours.0, theirs.0), (ours.1, theirs.1)] {
        let mut pairs = ours.lines().zip(theirs.lines());
        assert!(ours.lines().count() >= 2 && pairs.all(|(ours, theirs)| ours != theirs), "{ours}");
    }
    verbs::removed_without_a_trace(lab, clone);
}

/// Installs something into a copy of the image, as root. That such a copy boots is shown by
/// [`crate::hosts`].
fn installed(lab: &Lab, image: &str) {
    let copy = lab.folder.join("changed.qcow2").display().to_string();
    let install = ["--install", "hello", "--write", "/etc/kiln-test:written"];
    let customize = [&["image", "customize", "--output", &copy, image], &install[..]].concat();
    drop(lab.kiln(&customize).success());
    drop(run(&["qemu-img", "check", "-q", &copy]).success());
    let asked = lab.kiln(&["image", "cat", &copy, "/etc/kiln-test"]).success().stdout;
    assert_eq!(asked, "written");
    drop(lab.kiln(&["image", "ls", &copy, "/usr/bin/hello"]).success());
}

/// Prints the table of timings: what a reader of the story wants to know.
fn show(made: &Value, machine: &Value, stderr: &str) {
    let text = format!(
        "bundle over SSH: {} ms, {} bytes of {}\nlaunch: {}\n{stderr}\n",
        made["took_ms"],
        made["bundle"]["file_size"],
        made["bundle"]["tar_bytes"],
        machine["timings"],
    );
    std::io::stderr().write_all(text.as_bytes()).expect("written");
}
