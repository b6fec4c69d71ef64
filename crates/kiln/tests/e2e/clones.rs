// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Clones of machines. No guest boots here: disks hold a guest's files and no boot loader, and what
//! became of them is read from the files.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use kiln_testkit::{Files, need, need_program, run};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::lab::{Lab, POOL, kill_at, kills, parsed, spawn, trial, virsh};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("e2e::clones::a_clone_is_another_machine", another_machine),
        trial("e2e::clones::machines_of_others_can_be_cloned", of_others),
        trial("e2e::clones::what_cannot_be_cloned_is_refused", refused),
        trial("e2e::clones::a_clone_killed_at_any_moment_leaves_nothing", killed),
    ]
}

/// Returns the path of a volume in the tests' pool.
pub(crate) fn volume(lab: &Lab, name: &str) -> String {
    lab.folder.join("pool").join(name).display().to_string()
}

/// Makes the disk of a Debian that has run.
pub(crate) fn used(lab: &Lab, name: &str) -> String {
    let path = lab.folder.join(name);
    Files::debian()
        .file("etc/ssh/sshd_config", "")
        .file("etc/ssh/ssh_host_ed25519_key", "secret of the source")
        .file("var/lib/systemd/random-seed", "seed of the source")
        .file("var/lib/dhcp/dhclient.eth0.leases", "lease of the source")
        .file("home/debian/work", "kept")
        .ext(&path, "32M", &[]);
    path.display().to_string()
}

/// Launches a machine of a disk, and switches it off.
pub(crate) fn off(lab: &Lab, image: &str, name: &str, more: &[&str]) {
    let less = ["--no-wait", "--memory", "128MiB"];
    drop(lab.launch(image, name, &[&less[..], more].concat()).success());
    drop(lab.kiln(&["stop", "--hard", name]).success());
}

/// Returns a file of a guest.
pub(crate) fn cat(lab: &Lab, disk: &str, path: &str) -> String {
    lab.kiln(&["image", "cat", "--follow-backing", &volume(lab, disk), path]).success().stdout
}

fn ls(lab: &Lab, disk: &str, path: &str) -> String {
    lab.kiln(&["image", "ls", "--follow-backing", &volume(lab, disk), path]).success().stdout
}

fn fact<'a>(clone: &'a Value, what: &str) -> &'a Value {
    let all = clone["identity"].as_array().expect("a report");
    all.iter().find(|fact| fact["what"] == what).unwrap_or_else(|| panic!("{what}: {clone}"))
}

/// Full, linked, several, and what is left of each when its source goes.
fn another_machine(lab: &Lab) {
    if !need_program("mke2fs") || !need_program("debugfs") {
        return;
    }
    let lab = &lab.with_home("clones");
    let (source, full, linked) = ("kt-origin", "kt-full-clone", "kt-linked-clone");
    let image = used(lab, "used.raw");
    off(lab, &image, source, &["--ip", "auto", "--tag", "web"]);
    let disk = fs::read(volume(lab, "kt-origin.qcow2")).expect("its disk");

    let out = lab.kiln(&["clone", source, full, "--dry-run"]).success();
    assert!(out.stdout.contains("<name>kt-full-clone</name>"), "{}", out.stdout);
    assert!(!lab.domains().contains(&full.to_owned()));

    let made = parsed(lab.kiln(&["clone", source, full, "--json"]));
    let clone = &made["machines"][0];
    assert_eq!(clone["clone_of"]["machine"], source, "{made}");
    assert_eq!(fact(clone, "disk vda")["fate"], "copied", "{made}");
    assert_eq!(fact(clone, "ssh host keys")["fate"], "new", "no cloud-init makes them: {made}");
    for what in ["machine-id", "random seed", "dhcp client id"] {
        assert_eq!(fact(clone, what)["fate"], "new at its start", "{made}");
    }
    another(lab, source, full);
    // All of it is its own: nothing lies below it.
    let info = run(&["qemu-img", "info", "--output=json", &volume(lab, "kt-full-clone.qcow2")]);
    assert!(!info.success().stdout.contains("backing"));

    let out = lab.kiln(&["clone", source, linked, "--linked"]).success();
    assert_eq!(out.stdout, "kt-linked-clone\n");
    let line = |start: &str| out.stderr.lines().any(|line| line.starts_with(start));
    assert!(line("WHAT") && line("uuid") && line("accounts, data"), "{}", out.stderr);
    another(lab, source, linked);
    let info = run(&["qemu-img", "info", "--output=json", &volume(lab, "kt-linked-clone.qcow2")]);
    assert!(info.success().stdout.contains("/pool/kiln-used-"));

    let made = parsed(lab.kiln(&["clone", source, "kt-some", "-n", "2", "--json"]));
    let names: Vec<&str> = made["machines"]
        .as_array()
        .expect("two")
        .iter()
        .filter_map(|m| m["name"].as_str())
        .collect();
    assert_eq!(names, ["kt-some-1", "kt-some-2"]);
    assert_ne!(made["machines"][0]["uuid"], made["machines"][1]["uuid"]);

    // The source is as it was, and nobody needs it.
    assert!(fs::read(volume(lab, "kt-origin.qcow2")).expect("its disk") == disk);
    drop(lab.kiln(&["rm", source]).success());
    for clone in [full, linked] {
        drop(run(&["qemu-img", "check", "-q", &volume(lab, &format!("{clone}.qcow2"))]).success());
        drop(lab.kiln(&["start", clone]).success());
    }
    drop(lab.kiln(&["rm", full, linked, "kt-some-1", "kt-some-2"]).success());
    assert!(!lab.volumes().iter().any(|v| v.contains("-clone") || v.contains("kt-some")));
    assert_eq!(lab.journals(), 0);
}

/// Compares a clone with its source: every identity differs, and the user's data do not.
fn another(lab: &Lab, source: &str, clone: &str) {
    let [a, b] = [source, clone].map(|name| parsed(lab.kiln(&["info", name, "--json"])));
    assert_eq!(b["state"], "stopped");
    assert_eq!((&b["tags"], &b["image"]), (&a["tags"], &a["image"]));
    for path in ["/uuid", "/instance_id", "/interfaces/0/mac", "/reservations/0/ip"] {
        let (a, b) = (a.pointer(path), b.pointer(path));
        assert!(a.is_some() && b.is_some() && a != b, "{path}: {a:?} {b:?}");
    }
    let disk = format!("{clone}.qcow2");
    assert_eq!(cat(lab, &disk, "/etc/hostname"), format!("{clone}\n"));
    assert_eq!(cat(lab, &disk, "/etc/machine-id"), "");
    assert_eq!(cat(lab, &disk, "/home/debian/work"), "kept");
    let key = cat(lab, &disk, "/etc/ssh/ssh_host_ed25519_key");
    assert!(key.contains("OPENSSH PRIVATE KEY"), "{key}");
    assert_eq!(ls(lab, &disk, "/var/lib/systemd"), "");
    assert_eq!(ls(lab, &disk, "/var/lib/dhcp"), "");
    let seed = cat(lab, &format!("{clone}-seed.iso"), "/meta-data");
    let id = b["instance_id"].as_str().expect("an id");
    assert!(seed.contains(id) && seed.contains(&format!("local-hostname: {clone}\n")), "{seed}");
    let user_data = |name: &str| cat(lab, &format!("{name}-seed.iso"), "/user-data");
    assert_eq!(user_data(source), user_data(clone));
}

/// What libvirt is told of the machine of `of_others`.
const FOREIGN: &str = "<domain type='qemu'><name>kt-theirs</name><memory>65536</memory>\
    <os firmware='efi'><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features>\
    <devices><disk type='file'><driver name='qemu' type='qcow2'/><source file='FOLDER/top.qcow2'/>\
    <target dev='vda' bus='virtio'/></disk>\
    <disk type='file'><driver name='qemu' type='raw'/><source file='FOLDER/guest.raw'/>\
    <target dev='vdb' bus='virtio'/></disk>\
    <disk type='file' device='cdrom'><source file='FOLDER/their-seed.iso'/>\
    <target dev='sda' bus='sata'/><readonly/></disk>\
    <interface type='network'><source network='default'/></interface>\
    <graphics type='vnc' port='5977' autoport='no'/></devices></domain>";

/// A machine of other tools: a chain of disks, a raw disk whose guest wrote a header into it,
/// somebody's seed, UEFI.
fn of_others(lab: &Lab) {
    let uefi = "/usr/share/OVMF/OVMF_VARS_4M.fd";
    if !need_program("mke2fs") || !need(fs::metadata(uefi).is_ok(), "UEFI for guests (ovmf)") {
        return;
    }
    let lab = &lab.with_home("clones-others");
    let folder = lab.folder.join("theirs");
    fs::create_dir_all(&folder).expect("made");
    let path = |name: &str| folder.join(name).display().to_string();
    fs::rename(used(lab, "theirs.raw"), path("base.raw")).expect("moved");
    let img = |args: &[&str]| drop(run(&[&["qemu-img"], args].concat()).success());
    img(&["create", "-q", "-f", "qcow2", "-b", &path("base.raw"), "-F", "raw", &path("top.qcow2")]);
    // To QEMU that is raw these are bytes; to all that guess it is an image over the host's file.
    img(&["create", "-q", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", &path("guest.raw")]);
    drop(run(&["truncate", "-s", "1M", &path("guest.raw")]).success());
    let seed = kiln_seed(lab);
    fs::rename(seed, path("their-seed.iso")).expect("moved");
    let file = lab.folder.join("theirs.xml");
    let xml = FOREIGN.replace("FOLDER", &folder.display().to_string());
    fs::write(&file, xml).expect("written");
    drop(virsh(&["define", &file.display().to_string()]).success());
    let _pool = Pool::of("kt-theirs", &folder.display().to_string());
    let (name, clone) = ("kt-theirs", "kt-theirs-too");

    let out = lab.kiln(&["clone", name, clone, "--linked"]);
    assert_eq!(out.code, 4, "{}", out.stderr);
    assert!(out.stderr.contains("hangs on no template"), "{}", out.stderr);
    // As if it had run: its UEFI has remembered something.
    let nvram = PathBuf::from("/var/lib/libvirt/qemu/nvram/kt-theirs_VARS.fd");
    fs::copy(uefi, &nvram).expect("copied");
    let mut file = fs::File::options().append(true).open(&nvram).expect("opened");
    file.write_all(b"remembered").expect("written");

    let made = parsed(lab.kiln(&["clone", name, clone, "--pool", POOL, "--json"]));
    let report = &made["machines"][0];
    assert_eq!(fact(report, "seed in sda")["fate"], "left out", "{made}");
    let copied = fact(report, "uefi variables")["clone"].as_str().expect("a path").to_owned();
    assert!(fs::read(&copied).expect("copied").ends_with(b"remembered"), "{copied}");
    // The chain became one, and the bytes of the guest stayed bytes.
    assert_eq!(cat(lab, "kt-theirs-too.qcow2", "/etc/hostname"), "kt-theirs-too\n");
    let info = run(&["qemu-img", "info", "--output=json", &volume(lab, "kt-theirs-too.qcow2")]);
    assert!(!info.success().stdout.contains("backing"));
    let raw = |path: &str| fs::read(path).expect("read");
    assert!(raw(&volume(lab, "kt-theirs-too-vdb.raw")) == raw(&path("guest.raw")));
    let xml = lab.kiln(&["info", clone, "--xml"]).success().stdout;
    for gone in ["their-seed", "5977", "kt-theirs_VARS", "top.qcow2"] {
        assert!(!xml.contains(gone), "{gone}: {xml}");
    }
    let info = parsed(lab.kiln(&["info", clone, "--json"]));
    assert_eq!(info["clone_of"]["machine"], name, "{info}");
    // It is Kiln's: all of it goes, and nothing of its source.
    drop(lab.kiln(&["rm", clone]).success());
    assert!(fs::metadata(&copied).is_err() && fs::metadata(&nvram).is_ok());
    assert!(!lab.volumes().iter().any(|volume| volume.starts_with(clone)));
    assert_eq!(fs::read_dir(&folder).expect("theirs").count(), 4);
    assert!(!virsh(&["pool-list", "--all", "--name"]).stdout.contains("kiln-nvram"));
    drop(lab.kiln(&["rm", "--foreign", name]).success());
}

/// Returns the path of a seed that Kiln made for some machine.
fn kiln_seed(lab: &Lab) -> PathBuf {
    let image = crate::faults::phony(lab);
    off(lab, &image, "kt-seeded", &[]);
    let seed = lab.folder.join("taken-seed.iso");
    fs::copy(volume(lab, "kt-seeded-seed.iso"), &seed).expect("copied");
    drop(lab.kiln(&["rm", "kt-seeded"]).success());
    seed
}

/// A pool that is there for one test.
struct Pool(&'static str);

impl Pool {
    fn of(name: &'static str, folder: &str) -> Self {
        drop(virsh(&["pool-define-as", name, "dir", "--target", folder]).success());
        drop(virsh(&["pool-start", name]).success());
        Self(name)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        drop(virsh(&["pool-destroy", self.0]));
        drop(virsh(&["pool-undefine", self.0]));
    }
}

fn refused(lab: &Lab) {
    let lab = &lab.with_home("clones-refused");
    let (image, name) = (crate::faults::phony(lab), "kt-uncloned");
    drop(lab.launch(&image, name, &["--no-wait", "--memory", "128MiB"]).success());
    let refuse = |args: &[&str], code: i32, words: &str| {
        let out = lab.kiln(&[&["clone"], args].concat());
        assert_eq!(out.code, code, "{args:?}: {}", out.stderr);
        assert!(out.stderr.contains(words), "{args:?}: {}", out.stderr);
        assert_eq!(out.stdout, "", "{args:?}");
    };
    refuse(&[name, "kt-copy"], 4, "`kiln stop kt-uncloned`");
    drop(lab.kiln(&["stop", "--hard", name]).success());
    refuse(&["kt-uncloneb", "kt-copy"], 4, "did you mean `kt-uncloned`");
    refuse(&[name, name], 4, "there is a machine `kt-uncloned` already");
    refuse(&[name, "no_name"], 2, "`_` may not stand in one");
    refuse(&[name, "kt-copy", "--pool", "nowhere"], 4, "the host has no pool `nowhere`");
    refuse(&[name, "kt-copy", "--ip", "10.1.2.3"], 2, "10.1.2.3 is no address of network");
    refuse(&[name, "kt-copy", "-n", "2", "--ip", "192.168.122.9"], 2, "`--ip auto`");
    // A volume of that name is somebody's.
    let theirs = volume(lab, "kt-copy-seed.iso");
    drop(virsh(&["vol-create-as", POOL, "kt-copy-seed.iso", "1M"]).success());
    refuse(&[name, "kt-copy"], 4, "has a volume `kt-copy-seed.iso` already");
    assert!(fs::metadata(&theirs).is_ok());
    drop(virsh(&["vol-delete", "--pool", POOL, "kt-copy-seed.iso"]).success());
    // A disk that is in no pool, and one that is a device.
    let define = |disk: &str| {
        let xml = format!(
            "<domain type='qemu'><name>kt-odd</name><memory>65536</memory><os><type>hvm</type></os>\
             <devices>{disk}</devices></domain>"
        );
        let file = lab.folder.join("odd.xml").display().to_string();
        fs::write(&file, xml).expect("written");
        // The one before, if there was one.
        drop(virsh(&["undefine", "kt-odd"]));
        drop(virsh(&["define", &file]).success());
    };
    let target = "<target dev='vda' bus='virtio'/>";
    define(&format!("<disk type='file'><source file='/no/such/x.raw'/>{target}</disk>"));
    refuse(&["kt-odd", "kt-copy"], 4, "kiln pool create NAME --dir /no/such");
    define(&format!("<disk type='block'><source dev='/dev/loop7'/>{target}</disk>"));
    refuse(&["kt-odd", "kt-copy"], 4, "libvirt copies volumes of its pools only");
    define(&format!(
        "<disk type='network'><source protocol='nbd'><host name='h'/></source>{target}</disk>"
    ));
    refuse(&["kt-odd", "kt-copy"], 4, "is of the kind `nbd`");
    define("");
    refuse(&["kt-odd", "kt-copy"], 4, "`kt-odd` has no disk that can be cloned");
    drop(lab.kiln(&["rm", "--foreign", "kt-odd"]).success());
    // With --json the same is an object.
    let out = lab.kiln(&["clone", "kt-nobody", "kt-copy", "--json"]);
    let json: Value = serde_json::from_str(&out.stdout).expect("JSON");
    assert_eq!(json["error"]["class"], "object");
    full_pool(lab, name);
    drop(lab.kiln(&["rm", name]).success());
    assert!(!lab.volumes().iter().any(|volume| volume.starts_with("kt-copy")));
    assert_eq!(lab.journals(), 0);
}

/// A pool that is full: seen before, and found out in the middle.
fn full_pool(lab: &Lab, name: &str) {
    let folder = lab.folder.join("full").display().to_string();
    fs::create_dir_all(&folder).expect("made");
    drop(run(&["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", &folder]).success());
    let pool = Pool::of("kt-full", &folder);
    let disk = volume(lab, &format!("{name}.qcow2"));
    // 8 MiB of data that cannot be packed away: it fits the reserve, so the copy begins.
    drop(
        run(&[
            "dd",
            "if=/dev/urandom",
            "bs=1M",
            "count=70",
            "status=none",
            &format!("of={folder}/x"),
        ])
        .success(),
    );
    let out = lab.kiln(&["clone", name, "kt-copy", "--pool", "kt-full"]);
    assert_eq!(out.code, 5, "{}", out.stderr);
    assert!(out.stderr.contains("pool `kt-full` has 10 MiB free"), "{}", out.stderr);
    assert_eq!(fs::read_dir(&folder).expect("the pool").count(), 1);
    assert!(fs::metadata(disk).is_ok() && lab.journals() == 0);
    drop(pool);
    drop(run(&["umount", &folder]).success());
}

/// Kills a clone at moments spread over its whole length, and lets the next command tidy. Two at a
/// time: the other's clone of the same source is whole.
fn killed(lab: &Lab) {
    if !need_program("mke2fs") {
        return;
    }
    let lab = &lab.with_home("clones-killed");
    let (source, name) = ("kt-kept", "kt-cut");
    off(lab, &used(lab, "kept.raw"), source, &["--ip", "auto"]);
    let args = ["clone", source, name];
    let began = Instant::now();
    drop(lab.kiln(&args).success());
    let whole = began.elapsed();
    drop(lab.kiln(&["rm", name]).success());
    let (kills, mut cut, mut n) = (kills(8), 0, 0_u32);
    while cut < kills && n < 10 * kills {
        n += 1;
        let clone = spawn(lab, &args);
        let beside = (n == 1).then(|| spawn(lab, &["clone", source, "kt-beside-it"]));
        cut += u32::from(kill_at(clone, whole, n));
        if let Some(beside) = beside {
            let out = beside.wait_with_output().expect("it ends");
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            assert_eq!(cat(lab, "kt-beside-it.qcow2", "/etc/hostname"), "kt-beside-it\n");
            drop(lab.kiln(&["rm", "kt-beside-it"]).success());
        }
        let list = parsed(lab.kiln(&["list", "--json"]));
        assert_eq!(lab.journals(), 0, "after kill {n}: nothing is left to undo");
        let machines = list["machines"].as_array().expect("machines");
        if machines.iter().any(|machine| machine["name"] == name) {
            assert_eq!(cat(lab, "kt-cut.qcow2", "/etc/hostname"), "kt-cut\n", "after kill {n}");
            drop(lab.kiln(&["rm", name]).success());
        }
        assert!(!lab.domains().contains(&name.to_owned()), "after kill {n}");
        let volumes = lab.volumes();
        assert!(!volumes.iter().any(|v| v.starts_with(name)), "after kill {n}: {volumes:?}");
        let network = virsh(&["net-dumpxml", "default"]).success().stdout;
        assert!(!network.contains("name='kt-cut'"), "after kill {n}: {network}");
    }
    assert_eq!(cut, kills, "of {n}");
    drop(lab.kiln(&["rm", source]).success());
    let left = fs::read_dir(lab.home.join("run"))
        .map_or(0, |all| all.filter(|e| e.as_ref().is_ok_and(|e| e.path().is_dir())).count());
    assert_eq!(left, 0, "no work of a killed clone is left on the client");
}
