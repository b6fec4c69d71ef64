// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Machines on LVM. The hosts of tests need not have a device-mapper, so one is made: a machine with
//! LVM and a libvirt in it, reached by SSH as any other host is. Its guests are the boot sector of
//! [`crate::rbd`]. Run by `make test-lvm`.

use std::fs;
use std::time::Duration;

use kiln_testkit::{need_program, run, variable};
use libtest_mimic::Trial;
use serde_json::json;

use crate::lab::{Lab, parsed, project, trial, until};

/// The machine that is the host.
const HOST: &str = "kt-lvm";
/// The pool in it, and its volume group.
const POOL: &str = "disks";
const GROUP: &str = "vg0";
/// How long a guest of a guest may take to say something.
const SAID: Duration = Duration::from_secs(300);

pub(crate) fn trials() -> Vec<Trial> {
    let asked = variable("KILN_LVM").is_some();
    vec![trial("e2e::lvm::machines_live_on_lvm", whole).with_ignored_flag(!asked)]
}

/// The host that was made, and how it is reached.
struct Host<'a> {
    lab: &'a Lab,
    uri: String,
}

impl Host<'_> {
    fn kiln(&self, args: &[&str]) -> kiln_testkit::Output {
        self.lab.kiln(&[&["-c", &self.uri], args].concat())
    }

    /// Runs kiln, which must fail so.
    fn refuses(&self, args: &[&str], code: i32, words: &str) {
        let out = self.kiln(args);
        assert_eq!(out.code, code, "{args:?}: {}", out.stderr);
        assert!(out.stderr.contains(words), "{args:?}: {}", out.stderr);
    }

    /// Runs lines of a shell in it, as root.
    fn sh(&self, lines: &str) -> String {
        self.lab.kiln(&["exec", HOST, "--", "sh", "-ec", lines]).success().stdout
    }

    fn expect_said(&self, name: &str, words: &str) {
        let said = || self.kiln(&["logs", name]).stdout;
        assert!(until(SAID, || said().contains(words)), "{name}: {}", said());
    }
}

fn whole(lab: &Lab) {
    if !need_program("ssh-keygen") {
        return;
    }
    let host = host(lab);
    host.refuses(&["pool", "create", "none", "--lvm", "vg9"], 6, "volume group `vg9`");
    assert_eq!(host.kiln(&["pool", "info", "none"]).code, 4);
    let made = parsed(host.kiln(&["pool", "create", POOL, "--lvm", GROUP, "--json"]));
    assert_eq!((&made["type"], &made["volume_group"]), (&json!("logical"), &json!(GROUP)));
    assert_eq!(made["folder"], json!(null));
    host.refuses(&["pool", "create", "other", "--lvm", GROUP], 4, "that of the pool `disks`");
    drop(
        host.kiln(&[
            "network",
            "create",
            "inner",
            "--mode",
            "isolated",
            "--subnet",
            "10.77.10.0/24",
        ])
        .success(),
    );

    let image = crate::rbd::guest(lab);
    let launch = |name: &str, more: &[&str]| {
        let all = ["launch", &image, name, "--pool", POOL, "--network", "inner", "--no-wait"];
        host.kiln(&[&all[..], &["--memory", "128MiB"], more].concat())
    };
    drop(launch("kt-in", &["-n", "2", "--disk", "64MiB"]).success());
    for name in ["kt-in-1", "kt-in-2"] {
        host.expect_said(name, "starts of this disk: 1");
        let xml = host.kiln(&["info", name, "--xml"]).success().stdout;
        assert!(xml.contains(&format!("<source dev='/dev/{GROUP}/{name}.qcow2'")), "{xml}");
    }
    // Each counts on its own disk, and finds it there again.
    drop(host.kiln(&["stop", "--hard", "kt-in-1"]).success());
    drop(host.kiln(&["start", "kt-in-1"]).success());
    host.expect_said("kt-in-1", "starts of this disk: 2");
    drop(host.kiln(&["stop", "--hard", "kt-in-1", "kt-in-2"]).success());
    for name in ["kt-in-1", "kt-in-2"] {
        let check = host.sh(&format!("qemu-img check -f qcow2 /dev/{GROUP}/{name}.qcow2"));
        assert!(check.contains("No errors"), "{check}");
    }
    guards(&host, &launch);
    set(lab, &host, &image);

    drop(host.kiln(&["rm", "kt-in-1", "kt-in-2"]).success());
    let templates = parsed(host.kiln(&["template", "list", "--pool", POOL, "--json"]));
    let name = templates["templates"][0]["name"].as_str().expect("the image's copy").to_owned();
    drop(host.kiln(&["template", "rm", &name, "--pool", POOL]).success());
    assert_eq!(host.sh(&format!("lvs --noheadings -o lv_name {GROUP}")).trim(), "");
    drop(host.kiln(&["pool", "rm", POOL]).success());
    assert_eq!(host.sh(&format!("vgs --noheadings -o vg_name {GROUP}")).trim(), GROUP);
    drop(lab.kiln(&["rm", HOST]).success());
    assert_eq!(lab.journals(), 0);
}

/// What is not done there is said before anything is, and what hangs on something keeps it.
fn guards(host: &Host<'_>, launch: &dyn Fn(&str, &[&str]) -> kiln_testkit::Output) {
    let before = host.sh(&format!("lvs --noheadings -o lv_name {GROUP}"));
    let out = launch("kt-full", &["--full"]);
    assert!(out.code == 2 && out.stderr.contains("without `--full`"), "{}", out.stderr);
    let out = launch("kt-big", &["--disk", "100GiB"]);
    assert!(out.code == 5 && out.stderr.contains("100"), "{}", out.stderr);
    host.refuses(&["clone", "kt-in-1", "kt-copy"], 4, "is a qcow2 in a volume of LVM");
    host.refuses(&["flatten", "kt-in-1"], 4, "is in no Ceph pool");
    host.refuses(&["pool", "rm", POOL], 4, "kt-in-1");
    let template = parsed(host.kiln(&["template", "list", "--pool", POOL, "--json"]));
    let name = template["templates"][0]["name"].as_str().expect("a name").to_owned();
    host.refuses(&["template", "rm", &name, "--pool", POOL], 4, "kt-in-1");
    host.refuses(&["template", "create", "kt-in-1", "kt-t"], 4, "is a qcow2 in a volume of LVM");
    assert_eq!(host.sh(&format!("lvs --noheadings -o lv_name {GROUP}")), before);
}

/// A set on the same volume group, as its own pool.
fn set(lab: &Lab, host: &Host<'_>, image: &str) {
    let file = lab.folder.join("lvm-set.yaml");
    let text = format!(
        "kiln: 1\nname: kt-lvm-set\npools: {{more: {{lvm: vg1}}}}\nimages: {{tiny: {{file: {image}}}}}\n\
         machines:\n  kt-of-set:\n    {{image: tiny, pool: more, disk: 64MiB, memory: 128MiB, networks: [{{name: inner}}]}}\n"
    );
    fs::write(&file, &text).expect("written");
    let path = file.display().to_string();
    drop(host.kiln(&["up", "-f", &path, "--no-wait"]).success());
    host.expect_said("kt-of-set", "starts of this disk: 1");
    let again = parsed(host.kiln(&["plan", &path, "--json"]));
    assert_eq!(again["plan"], json!([]), "{again}");
    fs::write(&file, text.replace("disk: 64MiB", "disk: 96MiB")).expect("written");
    host.refuses(&["up", &path, "--no-wait"], 4, "does not grow: it is in LVM");
    fs::write(&file, text).expect("written");
    drop(host.kiln(&["down", &path]).success());
    assert_eq!(host.sh("lvs --noheadings -o lv_name vg1").trim(), "");
    assert_eq!(host.kiln(&["pool", "info", "more"]).code, 4);
}

/// Makes the host: a machine with two volume groups, on files, and a libvirt.
fn host(lab: &Lab) -> Host<'_> {
    let recipe = lab.folder.join("lvm.yaml");
    let text = format!(
        "kiln: 1\nname: kt-lvm\nbase: {{recipe: {}}}\ndisk: {{size: 8GiB}}\npackages: [libvirt-daemon-system, \
         libvirt-clients, qemu-system-x86, qemu-utils, dnsmasq-base, iptables, lvm2]\n",
        project().join("examples/debian-12.yaml").display()
    );
    fs::write(&recipe, text).expect("written");
    drop(lab.kiln(&["build", &recipe.display().to_string()]).success());
    let key = lab.folder.join("lvm-key").display().to_string();
    drop(run(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", &key]).success());
    let key_pub = format!("{key}.pub");
    drop(lab.launch("kt-lvm", HOST, &["--memory", "1GiB", "--ssh-key", &key_pub]).success());
    let info = parsed(lab.kiln(&["info", HOST, "--json"]));
    let address = info["ssh"]["address"].as_str().expect("an address");
    let uri = format!("qemu+ssh://root@{address}/system?keyfile={key}&no_verify=1");
    let host = Host { lab, uri };
    host.sh("install -d -m 700 /root/.ssh
         install -m 600 /home/debian/.ssh/authorized_keys /root/.ssh/authorized_keys
         modprobe loop; modprobe dm-mod
         for n in 0 1; do
           truncate -s 1G /srv/$n
           vgcreate -q vg$n $(losetup --find --show /srv/$n)
         done");
    let answers = || host.kiln(&["list"]).code == 0;
    assert!(until(Duration::from_secs(120), answers), "{}", host.kiln(&["list"]).stderr);
    host
}
