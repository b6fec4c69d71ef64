// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Images of a Ceph cluster: a real one, on loopback and in memory.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kiln_testkit::{Output, need_program, run};

use crate::support::Lab;

/// A cluster with an image, until this is dropped.
struct Cluster {
    lab: Lab,
    folder: String,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(run(&[&script(), "down", &self.folder]));
    }
}

fn script() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/lab/ceph");
    root.display().to_string()
}

impl Cluster {
    /// Starts a cluster and brings the lab's disk into it as `vms/web`.
    fn new() -> Option<Self> {
        let programs = ["ceph-mon", "ceph-mgr", "ceph-osd", "ceph", "rbd", "ceph-authtool"];
        if !programs.into_iter().all(need_program) {
            return None;
        }
        let lab = Lab::debian()?;
        // Nobody else listens there now.
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("its number").port().to_string();
        drop(free);
        let folder = lab.path("ceph");
        let cluster = Self { lab, folder };
        drop(run(&[&script(), "up", &cluster.folder, &port]).success());
        let raw = cluster.lab.path("disk.raw");
        drop(run(&["qemu-img", "convert", "-O", "raw", &cluster.lab.disk(), &raw]).success());
        drop(cluster.rbd(&["import", &raw, "vms/web"]).success());
        Some(cluster)
    }

    fn conf(&self) -> String {
        format!("{}/ceph.conf", self.folder)
    }

    fn rbd(&self, args: &[&str]) -> Output {
        run(&[&["rbd", "-c", &self.conf()], args].concat())
    }

    /// Returns how the user `libvirt` names an image.
    fn name(&self, image: &str) -> String {
        format!("rbd:vms/{image}:id=libvirt:conf={}", self.conf())
    }

    /// Runs `kiln image VERB` on an image.
    fn image(&self, verb: &str, image: &str, args: &[&str]) -> Output {
        self.lab.kiln(&[&["image", verb, &self.name(image)], args].concat())
    }

    /// Changes the image, which nobody has open; waits until the cluster knows that, since it forgets
    /// a client that went without a word only after half a minute.
    fn change(&self, args: &[&str]) -> Output {
        let began = Instant::now();
        while !self.rbd(&["status", "--format", "json", "vms/web"]).stdout.contains(NOBODY) {
            assert!(began.elapsed() < FORGOTTEN, "somebody has the image open");
            std::thread::yield_now();
        }
        self.image("customize", "web", args).success()
    }

    fn hostname(&self, image: &str) -> String {
        self.image("cat", image, &["/etc/hostname"]).success().stdout
    }

    /// Returns the image's bytes, by Ceph's own program.
    fn bytes(&self) -> Vec<u8> {
        let out = PathBuf::from(self.lab.path("exported"));
        drop(fs::remove_file(&out));
        drop(
            self.rbd(&["export", "--no-progress", "vms/web", &out.display().to_string()]).success(),
        );
        fs::read(out).expect("the image")
    }
}

/// What `rbd status` says when nobody has an image open.
const NOBODY: &str = r#""watchers":[]"#;
/// More than a cluster waits for a client.
const FORGOTTEN: Duration = Duration::from_secs(90);

/// One cluster for all, since it takes seconds to start.
#[test]
fn an_image_of_a_cluster_is_looked_into_and_changed() {
    let Some(cluster) = Cluster::new() else { return };
    looked_into(&cluster);
    changed(&cluster);
    copied(&cluster);
    refused(&cluster);
    in_use(&cluster);
    interrupted(&cluster);
}

fn looked_into(cluster: &Cluster) {
    let before = cluster.bytes();
    assert_eq!(cluster.hostname("web"), "bookworm\n");
    drop(cluster.image("inspect", "web", &[]).success());
    let out = cluster.image("check", "web", &[]);
    assert_eq!(out.code, 0, "{out:?}");
    drop(cluster.image("customize", "web", &["--hostname", "none", "--dry-run"]).success());
    assert!(cluster.bytes() == before, "looking changes nothing");
}

fn changed(cluster: &Cluster) {
    drop(cluster.rbd(&["snap", "create", "vms/web@before"]).success());
    let out = cluster.change(&["--hostname", "new", "--mkdir", "/srv/made"]);
    assert_eq!(out.stderr, "", "nothing to warn of");
    assert_eq!(cluster.hostname("web"), "new\n");
    assert_eq!(cluster.hostname("web@before"), "bookworm\n");
    let raw = cluster.lab.path("exported");
    drop(cluster.bytes());
    let out = run(&["e2fsck", "-fn", &format!("{raw}?offset={}", 18432 * 512)]);
    assert_eq!(out.code, 0, "{}", out.stdout);
    let redo = cluster.lab.path("home/redo");
    assert_eq!(fs::read_dir(redo).expect("the folder").count(), 0, "no journal is left");
}

fn copied(cluster: &Cluster) {
    for copy in ["copy.qcow2", "copy.raw"] {
        let copy = cluster.lab.path(copy);
        drop(
            cluster
                .image("customize", "web@before", &["--hostname", "copy", "-o", &copy])
                .success(),
        );
        let out = cluster.lab.kiln(&["image", "cat", &copy, "/etc/hostname"]).success();
        assert_eq!(out.stdout, "copy\n");
    }
    let copy = cluster.lab.path("converted.qcow2");
    drop(cluster.image("convert", "web", &[&copy]).success());
    drop(cluster.lab.kiln(&["image", "diff", &copy, &cluster.name("web")]).success());
}

fn refused(cluster: &Cluster) {
    let hostname = ["--hostname", "none"];
    let out = cluster.image("customize", "web@before", &hostname);
    assert_eq!((out.code, out.stderr.contains("is a snapshot")), (4, true), "{out:?}");
    let out = cluster.image("cat", "none", &["/etc/hostname"]);
    assert!(out.code == 6 && out.stderr.contains("vms/none"), "{out:?}");
    let out = cluster.lab.kiln(&["image", "ls", "rbd:vms/web:key=hunter2"]);
    assert!(out.code == 2 && out.stderr.contains("`key` is not taken"), "{out:?}");
    assert!(!out.stderr.contains("hunter2"), "{out:?}");
    let out = cluster.image("resize", "web", &["+64M"]);
    assert_eq!(out.code, 2, "{out:?}");
}

/// An image that another QEMU has open is not changed.
fn in_use(cluster: &Cluster) {
    let nbd = Nbd::serve(cluster, &[]);
    let before = cluster.bytes();
    let out = cluster.image("customize", "web", &["--hostname", "none"]);
    assert!(out.code == 4 && out.stderr.contains("is in use by"), "{out:?}");
    let out = cluster.image("cat", "web", &["/etc/hostname"]).success();
    assert!(out.stderr.contains("may change while it is read"), "{out:?}");
    assert!(cluster.bytes() == before, "nothing changed");
    drop(nbd);
    // QEMU has it open in the same way when it only reads.
    let nbd = Nbd::serve(cluster, &["--read-only"]);
    let out = cluster.image("customize", "web", &["--hostname", "none"]);
    assert!(out.code == 4 && out.stderr.contains("is in use by"), "{out:?}");
    drop(nbd);
    drop(cluster.change(&["--hostname", "newer"]));
    assert_eq!(cluster.hostname("web"), "newer\n");
}

/// `qemu-nbd` that has the cluster's image open until this is dropped.
struct Nbd {
    pid: String,
}

impl Nbd {
    fn serve(cluster: &Cluster, more: &[&str]) -> Self {
        let (pid, socket) = (cluster.lab.path("nbd.pid"), cluster.lab.path("nbd"));
        let nbd = ["qemu-nbd", "--fork", "--persistent", "-f", "raw", "-k", &socket];
        let image = cluster.name("web");
        let all = [&nbd[..], &["--pid-file", &pid], more, &[image.as_str()]].concat();
        // With --fork it returns when it has the image.
        drop(run(&all).success());
        let pid = fs::read_to_string(&pid).expect("its number").trim().to_owned();
        Self { pid }
    }
}

impl Drop for Nbd {
    fn drop(&mut self) {
        drop(run(&["kill", &self.pid]));
        while Path::new(&format!("/proc/{}", self.pid)).exists() {
            std::thread::yield_now();
        }
    }
}

/// What a kill leaves of a change is finished by the next command, or was never begun.
fn interrupted(cluster: &Cluster) {
    let redo = PathBuf::from(cluster.lab.path("home/redo"));
    drop(cluster.change(&["--hostname", "last"]));
    // A journal without an end has changed nothing.
    fs::write(redo.join(journal(cluster)), b"KILNREDO").expect("written");
    assert_eq!(cluster.hostname("web"), "last\n");
    drop(cluster.change(&["--hostname", "end"]));
    assert_eq!(cluster.hostname("web"), "end\n");
    assert_eq!(fs::read_dir(redo).expect("the folder").count(), 0);
}

/// Returns the name of the journal, as a kill leaves it.
fn journal(cluster: &Cluster) -> String {
    let name = cluster.name("web");
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let word: String = name.chars().map(plain).take(100).collect();
    format!(".{word}-{:08x}.kiln-redo", crc32(name.as_bytes()))
}

/// CRC-32, as zlib has it.
fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 }
        })
    }) ^ !0
}
