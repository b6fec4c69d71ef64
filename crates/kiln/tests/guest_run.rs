// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Programs of a guest (BusyBox) that run on the guest's tree, as whoever runs the tests; and
//! once more as a user without rights, if that is root.
#![expect(clippy::unwrap_used, reason = "a failed test is to panic")]

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kiln_disk::device::RawFile;
use kiln_guest::backend::direct::DirectTree;
use kiln_guest::run::{Job, NamespaceRunner, Program, RunError, RunOutput, Runner};
use kiln_guest::tree::{GuestPath, Kind, Time, Tree};
use kiln_host::namespace::Exec;
use kiln_testkit::{Files, need, need_program, run, run_with, variable};

const NOW: Time = Time { seconds: 1_700_000_000, nanos: 0 };
/// The user without rights.
const USER: &str = "kiln-e2e";

struct Guest {
    folder: tempfile::TempDir,
    log: Vec<u8>,
    deadline: Option<Duration>,
}

/// Returns the files of a small guest whose every program is BusyBox.
fn files() -> Files {
    let busybox = fs::read("/bin/busybox").unwrap();
    let mut files = Files::debian()
        .without("usr/bin/dash")
        .without("usr/bin/sh")
        .file("usr/bin/busybox", busybox)
        .mode(0o755)
        .file("etc/resolv.conf", "nameserver 192.0.2.1\n")
        .file("var/cache/pkg/old.deb", "old")
        .file("srv/keep/a", "a")
        .file("srv/keep/b", "b")
        .file("srv/label", "labelled")
        .xattr("security.selinux", "system_u:object_r:etc_t:s0")
        .xattr("user.mine", "1")
        .file("srv/user", "user's")
        .owner(1000, 1000)
        .mode(0o4711);
    for name in [
        "sh", "cat", "ls", "id", "mkdir", "rm", "mv", "ln", "mknod", "mount", "sleep", "chown",
        "chmod", "dd", "test", "hostname", "stat", "find", "grep", "readlink", "unshare", "chroot",
        "touch", "cp", "mkfifo", "env", "wc", "ip", "kill", "umount", "tail", "sync", "truncate",
        "cmp",
    ] {
        files = files.link(&format!("usr/bin/{name}"), "busybox");
    }
    files
}

impl Guest {
    fn new(files: &Files, size: &str) -> Option<Self> {
        let met = ["mke2fs", "debugfs", "e2fsck", "busybox"].into_iter().all(need_program)
            && need(Path::new("/dev/fuse").exists(), "/dev/fuse");
        if !met {
            return None;
        }
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        files.ext(&folder.path().join("fs.raw"), size, &[]);
        Some(Self { folder, log: Vec::new(), deadline: Some(Duration::from_secs(120)) })
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("fs.raw")
    }

    fn tree(&self) -> DirectTree {
        let file = File::options().read(true).write(true).open(self.image()).unwrap();
        DirectTree::of_ext(Box::new(RawFile::new(file).unwrap()), NOW).unwrap()
    }

    /// Runs a job; the folder for scratch is empty before and after.
    fn job(&mut self, tree: &mut dyn Tree, job: &Job) -> Result<RunOutput, RunError> {
        let scratch = self.folder.path().join("scratch");
        fs::create_dir_all(&scratch).unwrap();
        let mut runner = NamespaceRunner {
            exec: Exec { program: program().into() },
            scratch: scratch.clone(),
            resolvers: b"nameserver 198.51.100.1\n".to_vec(),
            env: vec![(b"GREETING".to_vec(), b"hello".to_vec())],
            deadline: self.deadline,
            log: Box::new(|bytes| self.log.extend_from_slice(bytes)),
        };
        let ran = runner.run(tree, job);
        drop(runner);
        assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0, "something is left");
        ran
    }

    /// Runs a line for the shell and returns what it wrote; it must end well.
    #[track_caller]
    fn shell(&mut self, line: &str) -> String {
        let mut tree = self.tree();
        let out = self.job(&mut tree, &shell(line)).unwrap();
        let text = String::from_utf8_lossy(&out.tail).into_owned();
        assert_eq!(out.code, 0, "{text}");
        tree.finish().unwrap();
        self.check();
        text
    }

    #[track_caller]
    fn check(&self) {
        let out = run(&["e2fsck", "-fn", &self.image().display().to_string()]);
        assert_eq!(out.code, 0, "{}{}", out.stdout, out.stderr);
    }
}

fn shell(line: &str) -> Job {
    Job {
        name: line.to_owned(),
        program: Program::Shell(line.as_bytes().to_vec()),
        network: false,
        aside: Vec::new(),
    }
}

fn path(text: &str) -> GuestPath {
    GuestPath::new(text).unwrap()
}

fn read(tree: &mut dyn Tree, at: &str) -> String {
    String::from_utf8(tree.read(&path(at), 1 << 20).unwrap()).unwrap()
}

#[test]
fn a_program_that_fills_the_guest_is_ended() {
    let Some(mut guest) = Guest::new(&files(), "24M") else { return };
    let mut tree = guest.tree();
    let line = "for n in 1 2 3 4; do dd if=/dev/zero of=/srv/$n bs=1M count=40; done; sleep 600";
    let error = guest.job(&mut tree, &shell(line)).unwrap_err();
    assert!(matches!(error, RunError::Full { .. }), "{error:?}");
    assert!(tree.lstat(&"/srv/1".into()).unwrap().is_none());
}

#[test]
fn changes_come_into_the_tree_and_nothing_else() {
    let Some(mut guest) = Guest::new(&files(), "64M") else { return };
    let before = {
        let mut tree = guest.tree();
        (tree.xattrs(&path("/srv/label")).unwrap(), tree.lstat(&path("/etc/passwd")).unwrap())
    };
    let out = guest.shell(
        "set -e; id -u; hostname; echo $GREETING; pwd
         echo new > /srv/new; chown 1000:42 /srv/new; chmod 0640 /srv/new
         ln /srv/new /srv/second; ln -s ../etc/passwd /srv/link; mkfifo /srv/pipe
         rm /srv/keep/a; echo more >> /srv/label; mv /srv/user /srv/moved
         mkdir -p /srv/deep/er; touch -d @1600000000 /srv/deep/er/x
         rm -r /home; mkdir /home; echo x > /home/x
         echo tmp > /run/gone; echo x > /dev/shm/x; test -c /dev/null; test -d /proc/1
         sleep 300 &",
    );
    assert_eq!(out, "0\nbookworm\nhello\n/\n");
    let mut tree = guest.tree();
    let stat = tree.lstat(&path("/srv/new")).unwrap().unwrap();
    assert_eq!((stat.attrs.mode, stat.attrs.uid, stat.attrs.gid, stat.links), (0o640, 1000, 42, 2));
    assert_eq!(tree.lstat(&path("/srv/second")).unwrap().unwrap().identity, stat.identity);
    assert_eq!(tree.read_link(&path("/srv/link")).unwrap(), b"../etc/passwd");
    assert_eq!(tree.lstat(&path("/srv/pipe")).unwrap().unwrap().kind, Kind::Fifo);
    assert!(tree.lstat(&path("/srv/keep/a")).unwrap().is_none());
    assert_eq!(read(&mut tree, "/srv/keep/b"), "b");
    assert_eq!(read(&mut tree, "/srv/label"), "labelledmore\n");
    assert_eq!(tree.xattrs(&path("/srv/label")).unwrap(), before.0);
    let moved = tree.lstat(&path("/srv/moved")).unwrap().unwrap();
    assert_eq!((moved.attrs.mode, moved.attrs.uid), (0o4711, 1000));
    assert!(tree.lstat(&path("/srv/user")).unwrap().is_none());
    let x = tree.lstat(&path("/srv/deep/er/x")).unwrap().unwrap();
    assert_eq!(x.attrs.mtime.seconds, 1_600_000_000);
    assert_eq!(tree.list(&path("/home")).unwrap().len(), 1);
    assert_eq!(tree.lstat(&path("/etc/passwd")).unwrap(), before.1);
    for gone in ["/run", "/dev", "/proc", "/usr/sbin/policy-rc.d", "/sys"] {
        assert!(tree.lstat(&path(gone)).unwrap().is_none(), "{gone}");
    }
}

/// A swap file must have no holes: swapon(8). What a program left out is not written either.
#[test]
fn zeros_that_a_program_wrote_are_written_and_its_holes_are_holes() {
    let Some(mut guest) = Guest::new(&files(), "48M") else { return };
    guest.shell(
        "set -e; dd if=/dev/zero of=/srv/swap bs=1M count=4; truncate -s 20M /srv/hole
        dd if=/dev/zero of=/srv/part bs=64k count=2 seek=8; truncate -s 4M /srv/part
        busybox fallocate -l 3M /srv/set-aside
        dd if=/dev/zero of=/srv/keep/a bs=64k count=16 conv=notrunc",
    );
    let written = [("swap", 4 << 20), ("hole", 0), ("part", 128 << 10), ("set-aside", 3 << 20)];
    for (name, bytes) in written.into_iter().chain([("keep/a", 1 << 20)]) {
        let got = blocks(&guest.image(), &format!("/srv/{name}"));
        // What lists a file's extents is counted, too.
        assert!((bytes..=bytes + (8 << 10)).contains(&got), "{name}: {got}");
    }
}

/// Adds a program of the host with the libraries that it needs.
fn with_program(files: Files, path: &str) -> Files {
    let listed = run(&["ldd", path]).success().stdout;
    let needed = listed.split_whitespace().filter(|word| word.starts_with('/'));
    needed.chain([path]).fold(files, |files, path| {
        let place = format!("/{}", path.trim_start_matches('/'));
        files.file(place.trim_start_matches('/'), fs::read(path).unwrap()).mode(0o755)
    })
}

/// Programs see the holes of the guest's files, and only those: a swap file stays whole.
#[test]
fn programs_see_the_holes_of_a_file() {
    if !["ldd", "tar", "cp"].into_iter().all(need_program) {
        return;
    }
    let mut sparse = vec![0; 20 << 20];
    sparse[8 << 20..(8 << 20) + 65536].fill(7);
    let files =
        files().without("usr/bin/cp").file("srv/sparse", &sparse).file("srv/small", [0; 9000]);
    let files = with_program(with_program(files, "/usr/bin/tar"), "/usr/bin/cp");
    let Some(mut guest) = Guest::new(&files, "64M") else { return };
    guest.shell("dd if=/dev/zero of=/srv/swap bs=1M count=4; busybox fallocate -l 3M /srv/aside");
    let told = guest.shell(
        "set -e; cd /srv; stat -c '%n %s %b' sparse swap; /usr/bin/cp --sparse=auto sparse copied
        /usr/bin/cp --sparse=auto swap copied-swap; /usr/bin/tar -S -cf sparse.tar sparse
        /usr/bin/tar -xOf sparse.tar >unpacked
        cmp sparse copied; cmp sparse unpacked; chmod 600 sparse swap aside",
    );
    // In blocks of 512 bytes; what lists a file's extents may be counted.
    assert_eq!(told, "sparse 20971520 128\nswap 4194304 8192\n");
    let room = |name: &str| blocks(&guest.image(), &format!("/srv/{name}"));
    for (name, bytes) in [
        // The kernel copies a MiB at a time of what changes its permissions.
        ("sparse", 1 << 20),
        ("copied", 65536),
        ("sparse.tar", 65536),
        ("swap", 4 << 20),
        ("copied-swap", 4 << 20),
        ("aside", 3 << 20),
    ] {
        let got = room(name);
        assert!((bytes..=bytes + (12 << 10)).contains(&got), "{name}: {got}");
    }
}

/// Returns how many bytes debugfs counts as those of a file.
fn blocks(image: &Path, path: &str) -> u64 {
    let stat = run(&["debugfs", "-R", &format!("stat {path}"), &image.display().to_string()]);
    let stat = stat.success().stdout;
    let count = stat.split("Blockcount: ").nth(1).unwrap();
    count.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 512
}

#[test]
fn the_network_comes_only_when_asked_for_and_the_resolver_stays() {
    let Some(mut guest) = Guest::new(&files(), "64M") else { return };
    assert_eq!(
        guest.shell("cat /etc/resolv.conf; ls /sys/class/net 2>/dev/null; grep -c : /proc/net/dev"),
        "nameserver 192.0.2.1\n1\n"
    );
    let mut tree = guest.tree();
    let job = Job {
        network: true,
        ..shell("cat /etc/resolv.conf; /usr/sbin/policy-rc.d; test $? = 101")
    };
    let out = guest.job(&mut tree, &job).unwrap();
    assert_eq!(String::from_utf8_lossy(&out.tail), "nameserver 198.51.100.1\n");
    assert_eq!(out.code, 0);
    assert_eq!(read(&mut tree, "/etc/resolv.conf"), "nameserver 192.0.2.1\n");
    // What the program makes of the resolver itself is its own doing, and stays.
    let job = Job { network: true, ..shell("rm /etc/resolv.conf; ln -s /run/x /etc/resolv.conf") };
    assert_eq!(guest.job(&mut tree, &job).unwrap().code, 0);
    assert_eq!(tree.read_link(&path("/etc/resolv.conf")).unwrap(), b"/run/x");
}

#[test]
fn downloads_are_set_aside() {
    let Some(mut guest) = Guest::new(&files(), "64M") else { return };
    let mut tree = guest.tree();
    let job = Job {
        aside: vec![path("/var/cache/pkg"), path("/not/there"), path("/etc/passwd")],
        ..shell("set -e; ls /var/cache/pkg; echo x > /var/cache/pkg/new; ls /var/cache/pkg")
    };
    let out = guest.job(&mut tree, &job).unwrap();
    assert_eq!((out.code, String::from_utf8_lossy(&out.tail).as_ref()), (0, "new\n"));
    let names: Vec<_> = tree.list(&path("/var/cache/pkg")).unwrap();
    assert_eq!(names.len(), 1);
    assert_eq!(names[0].name, b"old.deb");
}

#[test]
fn a_file_is_run_and_a_failure_changes_nothing() {
    let Some(mut guest) = Guest::new(&files(), "64M") else { return };
    let mut tree = guest.tree();
    let script = b"#!/bin/sh\necho out; echo err >&2; echo x > /srv/x; exit 7\n".to_vec();
    let job = Job { program: Program::File(script), ..shell("script") };
    let out = guest.job(&mut tree, &job).unwrap();
    assert_eq!((out.code, out.tail.as_slice()), (7, &b"out\nerr\n"[..]));
    assert_eq!(guest.log, b"out\nerr\n");
    assert!(tree.lstat(&path("/srv/x")).unwrap().is_none());
    let out = guest.job(&mut tree, &shell("kill -9 $$")).unwrap();
    assert_eq!(out.code, 137);
    // Many runs on one tree see each other's changes, and those made between them.
    guest.job(&mut tree, &shell("echo one > /srv/one")).unwrap();
    let attrs = tree.lstat(&path("/srv/one")).unwrap().unwrap().attrs;
    tree.write(&path("/srv/one"), &mut &b"two\n"[..], &attrs).unwrap();
    let out = guest.job(&mut tree, &shell("cat /srv/one")).unwrap();
    assert_eq!(out.tail, b"two\n");
}

#[test]
fn a_hostile_program_stays_where_it_is() {
    let Some(mut guest) = Guest::new(&files(), "64M") else { return };
    let secret = guest.folder.path().join("secret");
    fs::write(&secret, "what none may read").unwrap();
    let secret = secret.display();
    // Each of these must fail.
    for attempt in [
        format!("cat {secret}"),
        format!("cat /proc/1/root{secret}"),
        "readlink /proc/1/root | grep -v '^/$'".to_owned(),
        format!("cd /proc/self/cwd/../../..; cat .{secret}"),
        "mknod /srv/disk b 254 0".to_owned(),
        "mknod /srv/mem c 1 1".to_owned(),
        "mount -t tmpfs x /srv".to_owned(),
        "mount -t proc x /srv".to_owned(),
        "umount /proc".to_owned(),
        "unshare -U true".to_owned(),
        "unshare -m true".to_owned(),
        "hostname other".to_owned(),
        "echo 1 > /proc/sys/kernel/panic".to_owned(),
        "echo /x > /proc/sys/kernel/core_pattern".to_owned(),
        "echo c > /proc/sysrq-trigger".to_owned(),
        "cat /proc/kcore | dd of=/dev/null bs=1 count=1 2>&1 | grep -q '1+0 in'".to_owned(),
        "grep -E 'var/tmp|/home|scratch' /proc/self/mountinfo".to_owned(),
        "echo > /proc/1/exe".to_owned(),
        "ls /proc/1/fd/0".to_owned(),
        "ip link set lo down".to_owned(),
        "cat < /dev/tty".to_owned(),
        "ls -d /proc/[0-9]* | wc -l | grep -E '^[0-9]{2,}'".to_owned(),
    ] {
        let mut tree = guest.tree();
        let out = guest.job(&mut tree, &shell(&attempt)).unwrap();
        let wrote = String::from_utf8_lossy(&out.tail).into_owned();
        assert_ne!(out.code, 0, "{attempt}: {wrote}");
        assert!(!wrote.contains("none may read"), "{attempt}: {wrote}");
    }
    // A second root is no way out either.
    let out = guest.shell("mkdir /srv/r; cp /usr/bin/busybox /srv/r; chroot /srv/r /busybox ls / ");
    assert_eq!(out, "busybox\n");
}

#[test]
fn links_of_the_guest_lead_writes_nowhere_else() {
    let files = files()
        .link("srv/out", "/../../../../../../../../../var/tmp")
        .link("dev", "/srv/elsewhere")
        .dir("srv/elsewhere")
        .link("run", "../../../../../../tmp");
    let Some(mut guest) = Guest::new(&files, "64M") else { return };
    let name = format!("kiln-planted-{}", std::process::id());
    guest.shell(&format!(
        "set -e; mkdir -p /var/tmp; echo x > /srv/out/{name}; rm /srv/out; mkdir /srv/out; \
         echo y > /srv/out/z; test -c /dev/null"
    ));
    let mut tree = guest.tree();
    assert_eq!(read(&mut tree, &format!("/var/tmp/{name}")), "x\n");
    assert_eq!(read(&mut tree, "/srv/out/z"), "y\n");
    assert!(!Path::new("/var/tmp").join(name).exists());
    assert_eq!(tree.list(&path("/srv/elsewhere")).unwrap(), []);
}

#[test]
fn a_program_that_never_ends_is_ended_with_all_its_children() {
    let Some(mut guest) = Guest::new(&files(), "64M") else { return };
    guest.deadline = Some(Duration::from_secs(2));
    let began = Instant::now();
    let mark = format!("3{:06}", std::process::id());
    let mut tree = guest.tree();
    let line = format!("echo x > /srv/x; (sleep {mark} &) ; sleep {mark}");
    let error = guest.job(&mut tree, &shell(&line)).unwrap_err();
    let chain = format!("{error:?}");
    assert!(chain.contains("Deadline"), "{chain}");
    assert!(began.elapsed() < Duration::from_secs(20));
    assert!(tree.lstat(&path("/srv/x")).unwrap().is_none());
    assert_eq!(run(&["pgrep", "-f", &format!("sleep {mark}")]).stdout, "");
}

#[test]
fn a_guest_without_room_says_so() {
    let Some(mut guest) = Guest::new(&files(), "24M") else { return };
    let mut tree = guest.tree();
    let line = "dd if=/dev/urandom of=/srv/big bs=1M count=40 2>/dev/null";
    let error = guest.job(&mut tree, &shell(line)).unwrap_err();
    let chain = format!("{error:?}");
    // The second, if it was still at it when its changes were looked at.
    assert!(chain.contains("NoSpace") || chain.contains("Full"), "{chain}");
    // One larger than the guest's disk is refused before it is read.
    let mut tree = guest.tree();
    let error = guest.job(&mut tree, &shell("truncate -s 1000000000000 /srv/z")).unwrap_err();
    assert!(format!("{error:?}").contains("NoSpace"), "{error:?}");
}

#[test]
fn a_deep_tree_is_taken_in_or_refused_and_removed() {
    let Some(mut guest) = Guest::new(&files(), "64M") else { return };
    let mut tree = guest.tree();
    let line = "set -e; cd /srv; mkdir ddddddddd; i=0
        while [ $i -lt 450 ]; do mkdir x; mv ddddddddd x; mv x ddddddddd; i=$((i+1)); done";
    let error = guest.job(&mut tree, &shell(line)).unwrap_err();
    assert!(format!("{error:?}").contains("System"), "{error:?}");
}

#[test]
fn other_processors_programs_are_refused() {
    let mut elf = vec![0; 4096];
    elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
    elf[18] = 183;
    let files = Files::debian().file("usr/bin/dash", &elf).mode(0o755);
    let Some(mut guest) = Guest::new(&files, "16M") else { return };
    let mut tree = guest.tree();
    let error = guest.job(&mut tree, &shell("true")).unwrap_err().to_string();
    assert!(error.contains("aarch64") && error.contains("x86_64"), "{error}");
}

/// `kiln image customize` on a guest, running a program that never ends by itself.
struct Endless<'a> {
    guest: &'a Guest,
    kiln: Child,
    mark: String,
}

/// Returns the program under test.
fn program() -> String {
    variable("KILN_TEST_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_kiln").to_owned())
}

impl<'a> Endless<'a> {
    fn start(guest: &'a Guest, n: u32) -> Self {
        let mark = format!("4{n}{:07}", std::process::id());
        let line = format!("echo x > /srv/x; mkdir -p /srv/d/e; sleep {mark}");
        #[expect(clippy::disallowed_methods, reason = "the program under test is stopped")]
        let kiln = Command::new(program())
            .args(["image", "customize", &guest.image().display().to_string()])
            .args(["--touch", "/srv/touched", "--run-command", &line])
            .env("KILN_HOME", guest.folder.path().join("home"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let all = Self { guest, kiln, mark };
        assert!(until(30, || all.is_running()), "the program does not begin");
        all
    }

    /// Whether the program, `sleep`, is there.
    fn is_running(&self) -> bool {
        run(&["pgrep", "-x", "-f", &format!("sleep {}", self.mark)]).code == 0
    }

    /// Returns the process numbers of kiln and of the outer, middle and inner stage.
    fn stages(&self) -> Vec<String> {
        let mut all = vec![self.kiln.id().to_string()];
        for _ in 0..3 {
            let child = run(&["pgrep", "-P", all.last().unwrap()]).success().stdout;
            all.push(child.trim().to_owned());
        }
        all
    }

    /// Checks that after its end and one further command nothing is left but the old image.
    #[track_caller]
    fn assert_gone(self, before: &[u8]) {
        assert!(until(10, || !self.is_running()), "the program lives on");
        let (image, home) = (self.guest.image(), self.guest.folder.path().join("home"));
        let home = home.display().to_string();
        let look = [&program(), "image", "ls", &image.display().to_string(), "/srv"];
        let out = run_with(&look, &[("KILN_HOME", &home)]).success();
        assert!(!out.stdout.contains("touched") && out.stderr.is_empty(), "{out:?}");
        let left = run(&["find", &format!("{home}/run"), "-mindepth", "1"]).success().stdout;
        assert_eq!(left, format!("{home}/run/.lock\n"));
        assert!(fs::read(image).unwrap() == before);
        let names = fs::read_dir(self.guest.folder.path()).unwrap().count();
        assert_eq!(names, 2, "the image, and Kiln's folder");
    }
}

fn until(seconds: u64, mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        if done() {
            return true;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    done()
}

#[test]
fn whatever_is_killed_nothing_is_left() {
    let Some(guest) = Guest::new(&files(), "64M") else { return };
    let before = fs::read(guest.image()).unwrap();
    // 0 is kiln itself, then the stages from the outside in.
    for (n, killed) in
        (0..).zip([&[0][..], &[1], &[2], &[3], &[0, 1], &[1, 0], &[0, 1, 2], &[3, 2, 1, 0]])
    {
        let mut endless = Endless::start(&guest, n);
        let stages = endless.stages();
        let numbers = killed.iter().map(|n| stages[*n].as_str());
        // The first one's end may be the end of the others: these are killed already then.
        drop(run(&[&["kill", "-KILL"], &numbers.collect::<Vec<_>>()[..]].concat()));
        let ended = endless.kiln.wait().unwrap();
        assert!(!ended.success(), "{killed:?}");
        endless.assert_gone(&before);
    }
}

#[test]
fn an_interrupt_ends_the_program_at_once_and_leaves_the_image() {
    let Some(guest) = Guest::new(&files(), "64M") else { return };
    let before = fs::read(guest.image()).unwrap();
    for (n, signal, code) in [(8, "-INT", 130), (9, "-TERM", 143)] {
        let mut endless = Endless::start(&guest, n);
        let pid = endless.kiln.id().to_string();
        let asked = Instant::now();
        drop(run(&["kill", signal, &pid]).success());
        let ended = endless.kiln.wait().unwrap();
        let took = asked.elapsed();
        assert_eq!(ended.code(), Some(code));
        assert!(took < Duration::from_secs(5), "{took:?}");
        assert!(!endless.is_running());
        let home = guest.folder.path().join("home/run");
        assert_eq!(fs::read_dir(home).unwrap().count(), 1, "only the lock");
        endless.assert_gone(&before);
    }
}

/// All of this once more without root's rights.
#[test]
fn without_root_it_is_the_same() {
    if run(&["id", "-u"]).success().stdout.trim() != "0" {
        return;
    }
    if !need_program("runuser") || !need_program("newuidmap") {
        return;
    }
    if run(&["id", USER]).code != 0 {
        drop(run(&["useradd", "--create-home", USER]));
    }
    if !need(run(&["id", USER]).code == 0, "a user without rights") {
        return;
    }
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let shown = folder.path().display().to_string();
    let own = std::env::current_exe().unwrap().display().to_string();
    drop(run(&["cp", &own, &format!("{shown}/tests")]).success());
    drop(run(&["cp", env!("CARGO_BIN_EXE_kiln"), &format!("{shown}/kiln")]).success());
    drop(run(&["chmod", "-R", "a+rx", &shown]).success());
    // As a umask of 077 would leave it: only its owner may start it.
    drop(run(&["chown", USER, &format!("{shown}/kiln")]).success());
    drop(run(&["chmod", "0700", &format!("{shown}/kiln")]).success());
    let program = format!("KILN_TEST_PROGRAM={shown}/kiln");
    let tests = format!("{shown}/tests");
    let out = run(&["runuser", "-u", USER, "--", "env", "-C", "/", &program, &tests]);
    assert_eq!(out.code, 0, "{}{}", out.stdout, out.stderr);
    assert!(out.stdout.contains("test result: ok"), "{}", out.stdout);
}
