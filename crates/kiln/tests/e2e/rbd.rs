// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Machines on a real Ceph cluster with cephx, of one node on loopback and in memory. The guests
//! are a boot sector: it counts its starts on its disk, says so on the serial console, and answers
//! there with what it is told.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kiln_testkit::{Output, need, need_program, run};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::clones::used;
use crate::lab::{Lab, kills, ours, parsed, project, spawn, trial, until, virsh};
use crate::terminal::answers;

/// The pool of these tests.
const POOL: &str = "kt-rbd";
/// Where the cluster's monitor is: nowhere that somebody else's would be.
const MONITOR: &str = "127.0.67.89:6789";
/// Three monitors, of which only the last answers.
const MONITORS: [&str; 6] = [
    "--monitor",
    "127.0.67.87:6789",
    "--monitor",
    "127.0.67.88:6789",
    "--monitor",
    "127.0.67.89:6789",
];
/// libvirt's driver for it: without it no such pool can be defined.
const DRIVER: &str = "libvirt/storage-backend/libvirt_storage_backend_rbd.so";
/// How long a guest may take to say something.
const SAID: Duration = Duration::from_secs(60);

/// The boot sector, as `as` and `objcopy` make it of `tests/lab/sector.s`.
#[rustfmt::skip]
const SECTOR: &[u8] = &[
    0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0x00, 0x7c, 0x88, 0x16, 0x84, 0x7c, 0xb4,
    0x42, 0xe8, 0x36, 0x00, 0xfe, 0x06, 0x00, 0x80, 0xb8, 0x00, 0x43, 0xe8, 0x2c, 0x00,
    0xfa, 0xbe, 0x68, 0x7c, 0xac, 0x84, 0xc0, 0x74, 0x05, 0xe8, 0x2f, 0x00, 0xeb, 0xf6,
    0xa0, 0x00, 0x80, 0x04, 0x30, 0xe8, 0x25, 0x00, 0xb0, 0x0a, 0xe8, 0x20, 0x00, 0xfb,
    0xf4, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xf6, 0xba, 0xf8, 0x03, 0xec, 0xee,
    0xeb, 0xef, 0xbe, 0x85, 0x7c, 0x8a, 0x16, 0x84, 0x7c, 0xcd, 0x13, 0x72, 0x01, 0xc3,
    0xf4, 0xeb, 0xfd, 0x88, 0xc4, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x20, 0x74, 0xfb, 0x88,
    0xe0, 0xba, 0xf8, 0x03, 0xee, 0xc3, 0x6b, 0x69, 0x6c, 0x6e, 0x3a, 0x20, 0x73, 0x74,
    0x61, 0x72, 0x74, 0x73, 0x20, 0x6f, 0x66, 0x20, 0x74, 0x68, 0x69, 0x73, 0x20, 0x64,
    0x69, 0x73, 0x6b, 0x3a, 0x20, 0x00, 0x00, 0x10, 0x00, 0x01, 0x00, 0x00, 0x80, 0x00,
    0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
];

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("e2e::rbd::machines_live_on_a_ceph_cluster", whole)]
}

/// A cluster until this is dropped.
struct Cluster {
    folder: String,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // After a failure: without the cluster nobody could remove them any more.
        for name in ours("list").into_iter().filter(|name| name.starts_with(POOL)) {
            drop(virsh(&["destroy", &name]));
            drop(virsh(&["undefine", &name]));
        }
        drop(virsh(&["pool-destroy", POOL]));
        drop(virsh(&["pool-undefine", POOL]));
        drop(run(&[&script(), "down", &self.folder]));
    }
}

fn script() -> String {
    project().join("tests/lab/ceph").display().to_string()
}

impl Cluster {
    fn new(lab: &Lab) -> Option<Self> {
        let programs = ["ceph-mon", "ceph-mgr", "ceph-osd", "ceph", "rbd", "ceph-authtool"];
        let libs = ["/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"];
        let driver = libs.iter().any(|lib| Path::new(lib).join(DRIVER).is_file());
        if !programs.into_iter().all(need_program) || !need(driver, "libvirt's driver for RBD") {
            return None;
        }
        let folder = lab.folder.join("ceph").display().to_string();
        let cluster = Self { folder };
        // The port is the one by which clients know what is spoken there.
        drop(run(&[&script(), "up", &cluster.folder, "6789", "127.0.67.89"]).success());
        Some(cluster)
    }

    fn keyring(&self) -> String {
        format!("{}/client.libvirt.keyring", self.folder)
    }

    /// Returns the key, which nobody must see.
    fn key(&self) -> String {
        let text = fs::read_to_string(self.keyring()).expect("a keyring");
        let (_, key) = text.split_once("key = ").expect("a key");
        key.split_whitespace().next().expect("a key").to_owned()
    }

    fn rbd(&self, args: &[&str]) -> Output {
        run(&[&["rbd", "-c", &format!("{}/ceph.conf", self.folder)], args].concat())
    }

    /// Returns the names of the images in the pool.
    fn images(&self) -> BTreeSet<String> {
        let list = self.rbd(&["ls", "vms"]).success().stdout;
        list.lines().map(str::to_owned).collect()
    }

    /// Returns the bytes of an image or a snapshot.
    fn bytes(&self, image: &str) -> Vec<u8> {
        let to = format!("{}/exported", self.folder);
        drop(fs::remove_file(&to));
        drop(self.rbd(&["export", "--no-progress", &format!("vms/{image}"), &to]).success());
        fs::read(to).expect("the image")
    }
}

/// Watches for a key in any process's arguments, until it is asked.
struct Watch {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<u64>>,
}

impl Watch {
    fn over(key: &str) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (key, end, found) = (key.to_owned(), Arc::clone(&stop), Arc::clone(&seen));
        let thread = std::thread::spawn(move || {
            let mut rounds = 0;
            while !end.load(Ordering::Relaxed) {
                rounds += 1;
                for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
                    let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                    let line = String::from_utf8_lossy(&line);
                    if line.contains(&key) {
                        found.lock().expect("nobody panics with it").push(line.replace('\0', " "));
                    }
                }
                std::thread::park_timeout(Duration::from_millis(20));
            }
            rounds
        });
        Self { stop, seen, thread: Some(thread) }
    }

    fn expect_nothing(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let rounds = self.thread.take().map_or(0, |thread| thread.join().expect("it watches"));
        assert!(rounds > 50, "it has looked {rounds} times only");
        assert_eq!(*self.seen.lock().expect("nobody panics with it"), [""; 0]);
    }
}

fn whole(lab: &Lab) {
    let lab = &lab.with_home("rbd");
    let Some(cluster) = Cluster::new(lab) else { return };
    let (key, image) = (cluster.key(), guest(lab));
    remove_secrets(lab);
    let watch = Watch::over(&key);
    refused(lab, &cluster);
    secrets(lab, &cluster);
    let keyring = cluster.keyring();
    let create = ["pool", "create", POOL, "--rbd", "vms", "--keyring", &keyring, "--json"];
    let made = parsed(lab.kiln(&[&create[..], &MONITORS].concat()));
    assert_eq!((&made["active"], &made["user"]), (&json!(true), &json!("libvirt")), "{made}");
    assert_eq!(made["monitors"].as_array().map(Vec::len), Some(3), "{made}");
    let out = lab.kiln(&[&["pool", "create", "kt-rbd-2"], &create[3..7], &MONITORS].concat());
    assert!(out.code == 4 && out.stderr.contains("is that of the pool `kt-rbd`"), "{}", out.stderr);

    let template = machines(lab, &cluster, &image);
    clones(lab, &cluster, &template);
    sealed(lab, &cluster);
    killed(lab, &cluster, &image);
    hidden(lab, &cluster);

    drop(lab.kiln(&["template", "rm", &template, "--pool", POOL]).success());
    assert_eq!(cluster.images(), BTreeSet::new());
    drop(lab.kiln(&["pool", "rm", POOL]).success());
    let monitors = ["127.0.67.87", "127.0.67.88", MONITOR].map(|at| format!("\"{at}\"")).join(", ");
    crate::set_images::on_ceph(lab, (&monitors, &keyring, &image));
    assert_eq!(cluster.images(), BTreeSet::new());
    let left = parsed(lab.kiln(&["secret", "list", "--json"]));
    assert!(!left.to_string().contains("kiln-pool-kt-rbd"), "{left}");
    assert_eq!(lab.journals(), 0);
    watch.expect_nothing();
}

/// Removes the secrets of an earlier run that was killed.
fn remove_secrets(lab: &Lab) {
    let list = parsed(lab.kiln(&["secret", "list", "--json"]));
    for one in list["secrets"].as_array().expect("secrets") {
        let name = one["name"].as_str().unwrap_or_default();
        if name.starts_with("kt-") || name.starts_with("kiln-pool-kt-") {
            drop(lab.kiln(&["secret", "rm", name]).success());
        }
    }
}

/// Makes an image of the boot sector, with more of a disk behind it, as qcow2.
pub(crate) fn guest(lab: &Lab) -> String {
    let raw = lab.folder.join("sector.raw");
    let file = File::create(&raw).expect("made");
    file.set_len(40 << 20).expect("its size can be set");
    file.write_all_at(SECTOR, 0).expect("written");
    file.write_all_at(&[0x55, 0xaa], 510).expect("written");
    // Data here and there, and holes between.
    for at in [1_u64 << 20, (4 << 20) - 100, 17 << 20, (40 << 20) - 4096] {
        file.write_all_at(&at.to_le_bytes().repeat(500), at).expect("written");
    }
    let image = lab.folder.join("sector.qcow2").display().to_string();
    let raw = raw.display().to_string();
    drop(run(&["qemu-img", "convert", "-O", "qcow2", "-c", &raw, &image]).success());
    image
}

/// What cannot be a pool or a secret leaves neither.
fn refused(lab: &Lab, cluster: &Cluster) {
    let wrong = lab.folder.join("wrong.keyring").display().to_string();
    drop(run(&["ceph-authtool", "-C", &wrong, "-n", "client.libvirt", "--gen-key"]).success());
    let broken = lab.folder.join("broken.keyring").display().to_string();
    fs::write(&broken, "[client.libvirt]\nkey = hunter2\n").expect("written");
    let rbd = ["--rbd", "vms", "--monitor", MONITOR];
    let keyring = cluster.keyring();
    let table: &[(&[&str], &[&str], i32, &str)] = &[
        (&rbd, &["--keyring", &wrong], 6, "the cluster does not let client.libvirt in"),
        (&["--rbd", "none", "--monitor", MONITOR], &["--keyring", &keyring], 6, "no pool `none`"),
        (&rbd, &["--keyring", &broken], 3, "is no keyring of Ceph's"),
        (&rbd, &["--keyring", "/nowhere"], 4, "could not read the keyring `/nowhere`"),
        (&rbd, &["--keyring", &keyring, "--user", "nova"], 4, "has no such key"),
        (&rbd, &["--keyring", &keyring, "--user", "client.libvirt"], 2, "leave it out"),
        (&rbd, &["--secret", "kt-none"], 4, "the host has no secret `kt-none`"),
        (&rbd, &[], 2, "--secret"),
        (&["--rbd", "vms"], &["--keyring", &keyring], 2, "--monitor"),
        (&["--rbd", "vms/team", "--monitor", "a"], &["--keyring", &keyring], 2, "a namespace"),
        (&["--rbd", "vms", "--monitor", "a,b"], &["--keyring", &keyring], 2, "is no monitor"),
    ];
    for (place, login, code, words) in table {
        let out = lab.kiln(&[&["pool", "create", "kt-bad"], *place, *login].concat());
        assert_eq!(out.code, *code, "{login:?}: {}", out.stderr);
        assert!(out.stderr.contains(words), "{login:?}: {}", out.stderr);
        assert!(!out.stderr.contains("hunter2"), "{}", out.stderr);
    }
    assert!(!ours("pool-list").contains(&"kt-bad".to_owned()) && lab.journals() == 0);
    let secrets = virsh(&["secret-list"]).success().stdout;
    assert!(!secrets.contains("kt-bad"), "{secrets}");
}

/// A secret's life by itself.
fn secrets(lab: &Lab, cluster: &Cluster) {
    let name = "kt-secret";
    drop(lab.kiln(&["secret", "create", name, "--keyring", &cluster.keyring()]).success());
    let out = lab.kiln(&["secret", "create", name, "--keyring", &cluster.keyring()]);
    assert!(out.code == 4 && out.stderr.contains("already"), "{}", out.stderr);
    let info = parsed(lab.kiln(&["secret", "info", name, "--json"]));
    assert_eq!((&info["user"], &info["type"]), (&json!("libvirt"), &json!("ceph")), "{info}");
    assert_eq!((&info["ephemeral"], &info["used_by"]), (&json!(false), &json!([])), "{info}");
    // The authority: what libvirt hands to QEMU is the key.
    let uuid = info["uuid"].as_str().expect("a UUID").to_owned();
    assert_eq!(virsh(&["secret-get-value", &uuid]).success().stdout.trim(), cluster.key());
    let pool = ["pool", "create", POOL, "--rbd", "vms", "--secret", name, "--monitor", MONITOR];
    drop(lab.kiln(&pool).success());
    let out = lab.kiln(&["secret", "rm", name]);
    assert!(out.code == 4 && out.stderr.contains("used by pool `kt-rbd`"), "{}", out.stderr);
    drop(lab.kiln(&["pool", "rm", POOL]).success());
    drop(lab.kiln(&["secret", "rm", &uuid]).success());
    assert_eq!(lab.kiln(&["secret", "info", name]).code, 4);
    // The key alone, from standard input.
    let stdin = ["secret", "create", name, "--stdin", "--user", "libvirt"];
    assert_eq!(typed(lab, &stdin, &format!("{}\n", cluster.key())), 0);
    drop(lab.kiln(&["secret", "rm", name]).success());
    assert_eq!(typed(lab, &stdin, "hunter2\n"), 3);
}

/// Runs kiln with this at its standard input; returns its exit status.
fn typed(lab: &Lab, args: &[&str], text: &str) -> i32 {
    #[expect(clippy::disallowed_methods, reason = "the program under test reads this")]
    let mut child = Command::new(env!("CARGO_BIN_EXE_kiln"))
        .args(args)
        .env("KILN_HOME", &lab.home)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(text.as_bytes()).expect("written");
    drop(stdin);
    child.wait().expect("it ends").code().unwrap_or(-1)
}

fn launch<'a>(image: &'a str, name: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let all = ["launch", image, name, "--pool", POOL, "--no-wait", "--memory", "128MiB"];
    [&all[..], more].concat()
}

/// Waits until a machine has said it.
fn expect_said(lab: &Lab, name: &str, words: &str) {
    let said = || lab.kiln(&["logs", name]).stdout;
    assert!(until(SAID, || said().contains(words)), "{name}: {}", said());
}

/// Returns a machine's disks as libvirt has them.
fn disks(name: &str) -> Vec<String> {
    let xml = virsh(&["dumpxml", "--inactive", name]).success().stdout;
    let disks = xml.split("<disk ").skip(1).map(|disk| {
        let end = disk.find("</disk>").expect("its end");
        disk[..end].to_owned()
    });
    disks.collect()
}

/// Three machines of an image: they boot, count their starts on their own disks, and answer. Returns
/// the template's name.
fn machines(lab: &Lab, cluster: &Cluster, image: &str) -> String {
    let names = ["kt-rbd-m-1", "kt-rbd-m-2", "kt-rbd-m-3"];
    drop(lab.kiln(&launch(image, "kt-rbd-m", &["-n", "3", "--disk", "64MiB"])).success());
    for name in names {
        expect_said(lab, name, "starts of this disk: 1");
        answers(lab, name, b"ping", "ping");
        let disks = disks(name);
        assert_eq!(disks.len(), 2, "{disks:?}");
        for disk in disks {
            assert_eq!(disk.matches("<host name='127.0.67.8").count(), 3, "{disk}");
            assert!(disk.contains("<auth username='libvirt'>"), "{disk}");
            assert!(disk.contains("<secret type='ceph' uuid="), "{disk}");
            assert!(disk.contains("protocol='rbd' name='vms/kt-rbd-m-"), "{disk}");
        }
    }
    drop(lab.kiln(&["stop", "--hard", names[0]]).success());
    drop(lab.kiln(&["start", names[0]]).success());
    expect_said(lab, names[0], "starts of this disk: 2");

    let list = parsed(lab.kiln(&["template", "list", "--pool", POOL, "--json"]));
    let one = &list["templates"][0];
    assert_eq!(one["clones"], json!(names), "{list}");
    let word = |key: &str| one[key].as_str().expect("a word");
    let template = format!("{}:{}", word("name"), word("version"));
    let volume = one["volume"].as_str().expect("a volume").to_owned();
    // All of the image is in the template, and no machine has changed it.
    let raw = fs::read(lab.folder.join("sector.raw")).expect("the image");
    assert!(cluster.bytes(&volume) == raw, "the template has the image's bytes");
    let snapshots = cluster.rbd(&["snap", "ls", "--format", "json", &format!("vms/{volume}")]);
    let snapshots = parsed(snapshots);
    assert_eq!(snapshots.as_array().map(Vec::len), Some(1), "one for all machines: {snapshots}");
    assert_eq!(snapshots[0]["protected"], "true");
    let out = lab.kiln(&["template", "rm", &template, "--pool", POOL]);
    let said = "hang `kt-rbd-m-1`, `kt-rbd-m-2`, `kt-rbd-m-3`";
    assert!(out.code == 4 && out.stderr.contains(said), "{}", out.stderr);
    // libvirt itself is no way around it.
    assert!(virsh(&["vol-delete", "--pool", POOL, &volume]).code != 0);
    let info = parsed(lab.kiln(&["pool", "info", POOL, "--json"]));
    let volumes = info["volumes"].as_array().expect("volumes");
    let held = volumes.iter().find(|one| one["name"] == volume.as_str()).expect("the template");
    assert_eq!(held["clones"].as_array().map(Vec::len), Some(3), "{held}");
    let out = lab.kiln(&["pool", "rm", POOL]);
    assert!(out.code == 4 && out.stderr.contains("`kt-rbd-m-1`"), "{}", out.stderr);
    drop(lab.kiln(&["rm", names[1], names[2]]).success());
    assert_eq!(lab.kiln(&["info", names[1]]).code, 4);
    // The disk has grown, and the guest's data are its own.
    let disk = info["volumes"].as_array().expect("volumes");
    let is = |one: &&Value| {
        let name = one["name"].as_str().unwrap_or_default();
        name.starts_with(names[0]) && name.ends_with(".raw")
    };
    let disk = disk.iter().find(is).expect("its disk");
    assert_eq!(disk["capacity_bytes"], json!(64 << 20), "{disk}");
    full(lab, cluster, (image, names[0], &template));
    template
}

/// A machine with a copy of its own: nothing lies below its disk, and the template has one clone.
fn full(lab: &Lab, cluster: &Cluster, (image, linked, template): (&str, &str, &str)) {
    let name = "kt-rbd-whole";
    let before = cluster.images();
    drop(lab.kiln(&launch(image, name, &["--full", "--disk", "64MiB"])).success());
    expect_said(lab, name, "starts of this disk: 1");
    assert!(disks(name).iter().all(|disk| disk.contains("<auth username='libvirt'>")));
    let info = parsed(lab.kiln(&["info", name, "--json"]));
    assert_eq!(info["template"], json!(null));
    let disk = format!("vms/{}", info["volumes"][0]["name"].as_str().expect("a disk"));
    let disk = parsed(cluster.rbd(&["info", "--format", "json", &disk]));
    assert_eq!((&disk["parent"], &disk["size"]), (&json!(null), &json!(64 << 20)), "{disk}");
    let of = parsed(lab.kiln(&["template", "info", template, "--pool", POOL, "--json"]));
    assert_eq!(of["clones"], json!([linked]));
    drop(lab.kiln(&["rm", name]).success());
    assert_eq!(cluster.images(), before);
}

/// Clones of a machine that is off: a linked one and a full one.
fn clones(lab: &Lab, cluster: &Cluster, template: &str) {
    let (source, linked, full) = ("kt-rbd-m-1", "kt-rbd-linked", "kt-rbd-full");
    drop(lab.kiln(&["stop", "--hard", source]).success());
    let clone = |name: &str, more: &[&str]| {
        let made = parsed(lab.kiln(&[&["clone", source, name, "--json"], more].concat()));
        made["machines"][0]["volumes"][0]["name"].as_str().expect("a disk").to_owned()
    };
    let (linked_disk, full_disk) = (clone(linked, &["--linked"]), clone(full, &[]));
    let parent = |image: &str| {
        let info = parsed(cluster.rbd(&["info", "--format", "json", &format!("vms/{image}")]));
        info["parent"]["image"].as_str().map(str::to_owned)
    };
    let source_disk = parsed(lab.kiln(&["info", source, "--json"]))["volumes"][0]["name"].clone();
    assert_eq!(parent(&linked_disk).as_deref(), source_disk.as_str());
    assert_eq!(parent(&full_disk), None);
    for name in [linked, full] {
        drop(lab.kiln(&["start", name]).success());
        // The source has started twice.
        expect_said(lab, name, "starts of this disk: 3");
        assert!(disks(name).iter().all(|disk| disk.contains("<auth username='libvirt'>")));
    }
    // What something lies over stays.
    let out = lab.kiln(&["rm", source]);
    assert!(out.code == 4 && out.stderr.contains(&format!("`{linked}`")), "{}", out.stderr);
    let out = lab.kiln(&["template", "rm", template, "--pool", POOL]);
    assert_eq!(out.code, 4, "{}", out.stderr);
    // Flattened while it runs, the clone stands alone.
    let would = lab.kiln(&["flatten", linked, "--dry-run"]).success().stdout;
    assert!(would.contains(&linked_disk), "{would}");
    drop(lab.kiln(&["flatten", linked]).success());
    assert_eq!(parent(&linked_disk), None);
    assert_eq!(parsed(lab.kiln(&["info", linked, "--json"]))["template"], json!(null));
    drop(lab.kiln(&["rm", source]).success());
    drop(lab.kiln(&["stop", "--hard", linked]).success());
    drop(lab.kiln(&["start", linked]).success());
    expect_said(lab, linked, "starts of this disk: 4");
    drop(lab.kiln(&["rm", linked, full]).success());
    assert_eq!(cluster.images().len(), 2, "the template and its mark: {:?}", cluster.images());
}

/// A guest with a file system: its clone has its own identity, and templates are made of it and of
/// its image.
fn sealed(lab: &Lab, cluster: &Cluster) {
    if !need_program("mke2fs") || !need_program("debugfs") {
        return;
    }
    let before = cluster.images();
    let image = used(lab, "rbd-used.raw");
    let (source, clone, mould) = ("kt-rbd-used", "kt-rbd-other", "kt-rbd-mould");
    drop(lab.kiln(&launch(&image, source, &[])).success());
    drop(lab.kiln(&["stop", "--hard", source]).success());
    let disk = |name: &str| {
        let info = parsed(lab.kiln(&["info", name, "--json"]));
        info["volumes"][0]["name"].as_str().expect("a disk").to_owned()
    };
    let cat = |image: &str, path: &str| {
        let name = format!("rbd:vms/{image}:id=libvirt:conf={}/ceph.conf", cluster.folder);
        lab.kiln(&["image", "cat", &name, path]).success().stdout
    };
    drop(lab.kiln(&["clone", source, clone, "--linked"]).success());
    assert_eq!(cat(&disk(clone), "/etc/hostname"), format!("{clone}\n"));
    assert_eq!(cat(&disk(clone), "/home/debian/work"), "kept");
    assert_ne!(cat(&disk(source), "/etc/hostname"), format!("{clone}\n"));
    drop(lab.kiln(&["rm", clone]).success());

    let create = ["template", "create", source, mould, "--json"];
    let made = parsed(lab.kiln(&create));
    assert_eq!((&made["version"], &made["sealed"]), (&json!("1"), &json!(true)), "{made}");
    let volume = made["volume"].as_str().expect("a volume").to_owned();
    assert_eq!(cat(&volume, "/etc/machine-id"), "");
    drop(lab.kiln(&launch(mould, clone, &[])).success());
    let info = parsed(lab.kiln(&["template", "info", mould, "--pool", POOL, "--json"]));
    assert_eq!(
        (&info["clones"], &info["made"]["name"]),
        (&json!([clone]), &json!(source)),
        "{info}"
    );
    drop(lab.kiln(&["rm", clone, source]).success());
    let made = ["template", "create", &image, mould, "--pool", POOL, "--as-is"];
    assert_eq!(lab.kiln(&made).success().stdout, format!("{mould}:2\n"));
    for name in [format!("{mould}:1"), mould.to_owned()] {
        drop(lab.kiln(&["template", "rm", &name, "--pool", POOL]).success());
    }
    let list = parsed(lab.kiln(&["template", "list", "--pool", POOL, "--json"]));
    let names = list["templates"].as_array().expect("templates").iter();
    let names: Vec<&str> = names.filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, ["rbd-used", "sector"]);
    drop(lab.kiln(&["template", "rm", "rbd-used", "--pool", POOL]).success());
    assert_eq!((cluster.images(), lab.journals()), (before, 0));
    let redo = fs::read_dir(lab.home.join("redo")).map_or(0, Iterator::count);
    assert_eq!(redo, 0, "no journal of a change is left");
}

/// Kills launches at a few moments, and lets the next command tidy.
fn killed(lab: &Lab, cluster: &Cluster, image: &str) {
    let name = "kt-rbd-killed";
    let args = launch(image, name, &[]);
    let began = Instant::now();
    drop(lab.kiln(&args).success());
    let whole = began.elapsed();
    drop(lab.kiln(&["rm", name]).success());
    let before = cluster.images();
    let (kills, mut cut, mut n) = (kills(4), 0, 0_u32);
    while cut < kills && n < 10 * kills {
        n += 1;
        cut += u32::from(crate::lab::kill_at(spawn(lab, &args), whole, n));
        let out = lab.kiln(&["list", "--json"]);
        let told = out.stderr.clone();
        let list: Value = parsed(out);
        let machines = list["machines"].as_array().expect("machines");
        if machines.iter().any(|machine| machine["name"] == name) {
            drop(lab.kiln(&["rm", name]).success());
        }
        assert_eq!(lab.journals(), 0, "after kill {n}: nothing is left to undo: {told}");
        assert_eq!(cluster.images(), before, "after kill {n}");
    }
    assert_eq!(cut, kills, "of {n}");
    // In the middle of the import of another image.
    let other = lab.folder.join("another.raw");
    fs::copy(lab.folder.join("sector.raw"), &other).expect("copied");
    File::options().write(true).open(&other).expect("opened").write_all_at(b"2", 1000).expect("2");
    let other = other.display().to_string();
    let child = spawn(lab, &launch(&other, name, &[]));
    let begun = || cluster.images().iter().any(|one| one.starts_with("kiln-another"));
    assert!(until(SAID, begun), "the import begins");
    assert!(crate::lab::kill_at(child, Duration::ZERO, 1));
    drop(lab.kiln(&["list"]).success());
    assert_eq!((lab.journals(), cluster.images()), (0, before));
}

/// The key is in no file that Kiln keeps, and in none of these tests' that others may read. Among
/// them are whole disks, so `grep` looks, which knows of holes.
fn hidden(lab: &Lab, cluster: &Cluster) {
    let mut looked = Vec::new();
    let mut folders = vec![lab.home.clone(), lab.folder.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, kind) = (entry.path(), entry.file_type().expect("its kind"));
            if kind.is_dir() {
                folders.push(path);
                continue;
            }
            let open = entry.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0);
            let ours = path.starts_with(&lab.home);
            // Ceph's own keyrings are where its tools put them.
            let theirs = path.starts_with(lab.folder.join("ceph"));
            if kind.is_file() && !theirs && (open || ours) {
                looked.push(path.display().to_string());
            }
        }
    }
    let logs = ["kt-rbd-m-1", "kt-rbd-linked", "kt-rbd-full"];
    looked.extend(logs.map(|name| format!("/var/log/libvirt/qemu/{name}.log")));
    let pattern = tempfile::NamedTempFile::new().expect("a file for its owner alone");
    fs::write(&pattern, cluster.key()).expect("written");
    let pattern = pattern.path().display().to_string();
    let grep = ["grep", "--files-with-matches", "--text", "--fixed-strings", "--file", &pattern];
    let looked: Vec<&str> = looked.iter().map(String::as_str).collect();
    let keyring = cluster.keyring();
    for some in looked.chunks(500) {
        // It finds it where it is.
        let found = run(&[&grep[..], &[&keyring], some].concat());
        assert_eq!(found.stdout, format!("{keyring}\n"), "{}", found.stderr);
    }
}
