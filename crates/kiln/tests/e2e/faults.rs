// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bad input, two at once, and kills at any moment. No guest boots here: the image is a boot sector
//! that halts.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Child;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use kiln_testkit::{Output, need, run};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::lab::{Lab, POOL, cut_short, kills, parsed, spawn, trial, virsh};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("e2e::faults::a_launch_killed_at_any_moment_leaves_nothing", killed),
        trial("e2e::faults::of_two_launches_of_one_name_one_wins", same_name),
        trial("e2e::faults::ten_launches_at_once_all_work", ten),
        trial("e2e::faults::many_machines_of_one_command", several),
        trial("e2e::faults::bad_input_is_refused_before_anything_is_made", refused),
        trial("e2e::faults::a_name_that_is_taken_is_refused", taken),
        trial("e2e::faults::machines_of_others_are_left_alone", foreign),
        trial("e2e::faults::an_interrupted_launch_is_undone", interrupted),
        trial("e2e::faults::a_dry_run_changes_nothing", dry_run),
        trial("e2e::faults::without_a_place_for_the_journal_nothing_begins", no_journal),
        trial("e2e::faults::a_full_pool_is_told_before_the_upload", full_pool),
        trial("e2e::faults::a_network_that_is_off_is_started_when_asked", inactive_network),
        trial("e2e::faults::a_pool_of_the_host_that_hangs_is_left_alone", hanging_pool),
        trial("e2e::faults::doctor_finds_this_host_fit", doctor),
    ]
}

/// Makes a disk image that only halts.
pub(crate) fn phony(lab: &Lab) -> String {
    static MADE: Mutex<()> = Mutex::new(());
    let _one_at_a_time = MADE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let path = lab.folder.join("phony.raw");
    if !path.exists() {
        let file = File::create(lab.folder.join("phony.tmp")).expect("made");
        file.set_len(8 << 20).expect("its size can be set");
        // cli; hlt; jmp back: the guest does nothing, and takes no processor for it.
        file.write_all_at(&[0xfa, 0xf4, 0xeb, 0xfd], 0).expect("written");
        file.write_all_at(&[0x55, 0xaa], 510).expect("written");
        fs::rename(lab.folder.join("phony.tmp"), &path).expect("renamed");
    }
    path.display().to_string()
}

/// Kills a launch at fifty moments spread over its whole length, and lets the next command tidy.
fn killed(lab: &Lab) {
    let lab = &lab.with_home("killed");
    let image = phony(lab);
    let name = "kt-killed";
    // The first makes the template, and wakes a libvirtd that has just begun: the second is measured.
    let whole = [(); 2].map(|()| {
        let began = Instant::now();
        drop(lab.launch(&image, name, &["--no-wait"]).success());
        let whole = began.elapsed();
        drop(lab.kiln(&["rm", name]).success());
        whole
    });
    let whole = whole[1];
    let args = ["launch", &image, name, "--pool", POOL, "--no-wait", "--ip", "auto"];
    let (kills, mut cut) = (kills(50), 0);
    for n in 0..kills {
        cut += u32::from(cut_short(lab, &args, whole.mul_f64(1.6), n));
        let list = parsed(lab.kiln(&["list", "--json"]));
        let machines = list["machines"].as_array().expect("machines");
        let ours = machines.iter().find(|m| m["name"] == name);
        let there = lab.domains().iter().any(|domain| domain == name);
        assert_eq!(ours.is_some(), there, "after kill {n}: `kiln list` is true");
        assert_eq!(lab.journals(), 0, "after kill {n}: nothing is left to undo");
        match ours {
            // Killed after the last step: the machine is whole.
            Some(machine) => {
                assert_eq!(machine["state"], "running", "after kill {n}");
                drop(lab.kiln(&["rm", name]).success());
            }
            None => assert_nothing_of(lab, name, &format!("kill {n}")),
        }
        assert_nothing_of(lab, name, &format!("kill {n} and rm"));
    }
    assert!(cut > kills / 4, "only {cut} of {kills} launches were cut short");
    drop(lab.launch(&image, name, &["--no-wait"]).success());
    drop(lab.kiln(&["rm", name]).success());
}

fn assert_nothing_of(lab: &Lab, name: &str, after: &str) {
    let volumes = lab.volumes();
    assert!(!volumes.iter().any(|v| v.starts_with(name)), "after {after}: {volumes:?}");
    let network = virsh(&["net-dumpxml", "default"]).success().stdout;
    assert!(!network.contains(&format!("name='{name}'")), "after {after}: {network}");
    assert!(!lab.domains().iter().any(|domain| domain == name), "after {after}");
}

fn same_name(lab: &Lab) {
    let image = phony(lab);
    let name = "kt-twice";
    for _ in 0..5 {
        let args = ["launch", &image, name, "--pool", POOL, "--no-wait"];
        let both = [spawn(lab, &args), spawn(lab, &args)];
        let mut codes: Vec<i32> = both
            .into_iter()
            .map(|child| child.wait_with_output().expect("it ends").status.code().unwrap_or(-1))
            .collect();
        codes.sort_unstable();
        assert_eq!(codes, [0, 4]);
        // The winner's machine is whole.
        let info = lab.kiln(&["info", name, "--json"]).success().stdout;
        let info: Value = serde_json::from_str(&info).expect("JSON");
        assert_eq!(info["state"], "running");
        assert_eq!(lab.volumes().iter().filter(|v| v.starts_with(name)).count(), 3);
        drop(lab.kiln(&["rm", name]).success());
    }
}

fn ten(lab: &Lab) {
    let image = phony(lab);
    let names: Vec<String> = (0..10).map(|n| format!("kt-ten{n}")).collect();
    let all: Vec<Child> = names
        .iter()
        .map(|name| {
            spawn(
                lab,
                &[
                    "launch",
                    &image,
                    name,
                    "--pool",
                    POOL,
                    "--no-wait",
                    "--memory",
                    "128MiB",
                    "--ip",
                    "auto",
                ],
            )
        })
        .collect();
    for child in all {
        let out = child.wait_with_output().expect("it ends");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
    let list: Value =
        serde_json::from_str(&lab.kiln(&["list", "--json"]).success().stdout).expect("JSON");
    let machines = list["machines"].as_array().expect("machines");
    let mut addresses: Vec<&str> = machines
        .iter()
        .filter(|m| names.iter().any(|name| m["name"] == name.as_str()))
        .filter_map(|m| m["addresses"][0].as_str())
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), 10, "ten addresses, all different");
    let rm: Vec<&str> = std::iter::once("rm").chain(names.iter().map(String::as_str)).collect();
    drop(lab.kiln(&rm).success());
    names.iter().for_each(|name| assert_nothing_of(lab, name, "rm"));
}

fn several(lab: &Lab) {
    let image = phony(lab);
    let out = lab.launch(&image, "kt-n", &["-n", "3", "--no-wait", "--memory", "128MiB"]).success();
    let mut names: Vec<&str> = out.stdout.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["kt-n-1", "kt-n-2", "kt-n-3"]);
    drop(lab.kiln(&["rm", "kt-n-1", "kt-n-2", "kt-n-3"]).success());
}

/// Each bad launch: what is asked, the exit code, and words of the message.
fn refused(lab: &Lab) {
    let lab = &lab.with_home("refused");
    let image = phony(lab);
    let file = |name: &str, bytes: &[u8]| -> String {
        let path: PathBuf = lab.folder.join(name);
        fs::write(&path, bytes).expect("written");
        path.display().to_string()
    };
    let made = |args: &[&str]| drop(run(&[&["qemu-img"], args].concat()).success());
    let path = |name: &str| lab.folder.join(name).display().to_string();
    made(&["create", "-q", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", &path("backed.qcow2")]);
    made(&["create", "-q", "-f", "qcow2", "-o", "preallocation=full", &path("whole.qcow2"), "8M"]);
    let whole = fs::read(path("whole.qcow2")).expect("read");
    let short = file("short.qcow2", &whole[..whole.len() / 2]);
    let html = file("page.qcow2", b"<!DOCTYPE html><html><body>404</body></html>");
    let empty = file("empty.raw", b"");
    let broken = file("broken.yaml", b"#cloud-config\nusers:\n  - name: x\n   bad: indent\n");
    let wrong = file("wrong.yaml", b"#cloud-config\npackages: 5\n");
    let headless = file("headless.yaml", b"packages: [vim]\n");
    let long = "a".repeat(64);
    let name = "kt-bad";
    let table: Vec<(Vec<&str>, i32, &str)> = vec![
        (vec![&image, "not_a_host"], 2, "`_` may not stand in one"),
        (vec![&image, &long], 2, "has 64 characters"),
        (vec!["no-such-image", name], 4, "there is no image `no-such-image`"),
        (vec!["no-such-image", name], 4, "nor is there a template of that name"),
        (vec!["no-such", name, "--pool", "nowhere"], 4, "the host has no pool `nowhere`"),
        (vec!["/no/such/file.qcow2", name], 4, "there is no image `/no/such/file.qcow2`"),
        (vec![&short, name], 3, "short.qcow2"),
        (vec![&html, name], 3, "page.qcow2"),
        (vec![&empty, name], 3, "empty.raw"),
        (vec![&image, name, "--disk", "4MiB"], 2, "has a disk of 8 MiB"),
        (vec![&image, name, "--disk", "10"], 2, "`10` has no unit"),
        (vec![&image, name, "--memory", "16MiB"], 2, "needs 128 MiB of memory"),
        (vec![&image, name, "--network", "nowhere"], 4, "the host has no network `nowhere`"),
        (vec![&image, name, "--pool", "nowhere"], 4, "the host has no pool `nowhere`"),
        (vec![&image, name, "--ip", "10.1.2.3"], 2, "10.1.2.3 is no address of network `default`"),
        (
            vec![&image, name, "--ip", "192.168.122.255"],
            2,
            "192.168.122.255 is no address of network",
        ),
        (vec![&image, name, "--user", "a b"], 2, "`a b`"),
        (vec![&image, name, "--user-data", "/no/such.yaml"], 4, "/no/such.yaml"),
        (vec![&image, name, "--user-data", "/dev/zero"], 3, "/dev/zero"),
        (vec![&image, name, "--user-data", &broken], 3, "broken.yaml:4:"),
        (vec![&image, name, "--user-data", &wrong], 3, "wrong.yaml:2:"),
        (vec![&image, name, "--user-data", &headless], 3, "#cloud-config"),
        (vec![&image, name, "--ssh-key", &image], 3, "phony.raw"),
        (vec![&image, name, "--cpu", "qemu46"], 4, "the host has no processor `qemu46`"),
        (vec![&image, name, "--no-such-option"], 2, "--no-such-option"),
    ];
    for (args, code, words) in table {
        let pool: &[&str] = if args.contains(&"--pool") { &[] } else { &["--pool", POOL] };
        let out = lab.kiln(&[&["launch"], args.as_slice(), pool, &["--no-wait"]].concat());
        assert_eq!(out.code, code, "{args:?}: {}", out.stderr);
        assert!(out.stderr.contains(words), "{args:?}: {}", out.stderr);
        let errors = out.stderr.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(errors, 1, "{args:?}: {}", out.stderr);
        assert_eq!(out.stdout, "", "{args:?}");
    }
    let backed = path("backed.qcow2");
    let out = lab.launch(&backed, name, &["--no-wait"]);
    assert_eq!(out.code, 3, "{}", out.stderr);
    assert!(out.stderr.contains("/etc/passwd"), "{}", out.stderr);
    // With --json the same is an object.
    let out = lab.launch("no-such-image", name, &["--json"]);
    let json: Value = serde_json::from_str(&out.stdout).expect("JSON");
    assert_eq!(
        (json["error"]["code"].as_i64(), json["error"]["class"].as_str()),
        (Some(4), Some("object"))
    );
    assert_nothing_of(lab, name, "bad launches");
    assert_eq!(lab.journals(), 0);
}

/// Taken by a machine, then by a volume alone.
fn taken(lab: &Lab) {
    let lab = &lab.with_home("taken");
    let (image, name) = (phony(lab), "kt-taken");
    drop(lab.launch(&image, name, &["--no-wait"]).success());
    let out = lab.launch(&image, name, &["--no-wait"]);
    assert_eq!(
        (out.code, out.stderr.lines().find(|l| l.starts_with("error")).unwrap_or("")),
        (4, "error: there is a machine `kt-taken` already")
    );
    drop(lab.kiln(&["rm", name]).success());
    drop(virsh(&["vol-create-as", POOL, "kt-taken.qcow2", "1M"]).success());
    let out = lab.launch(&image, name, &["--no-wait"]);
    assert_eq!(out.code, 4, "{}", out.stderr);
    assert!(lab.volumes().contains(&"kt-taken.qcow2".to_owned()), "a volume of others stays");
    drop(virsh(&["vol-delete", "--pool", POOL, "kt-taken.qcow2"]).success());
    // A reservation of a machine that is gone, or somebody's own.
    let update = |verb: &str, host: &str| {
        let words = ["net-update", "default", verb, "ip-dhcp-host", host, "--live", "--config"];
        drop(virsh(&words).success());
    };
    update("add", "<host mac='52:54:00:00:00:07' name='kt-taken' ip='192.168.122.7'/>");
    let out = lab.launch(&image, name, &["--no-wait", "--ip", "auto"]);
    assert_eq!(out.code, 4, "{}", out.stderr);
    assert!(
        out.stderr.contains("the name `kt-taken` has the address 192.168.122.7"),
        "{}",
        out.stderr
    );
    update("delete", "<host name='kt-taken'/>");
    assert_nothing_of(lab, name, "a name with an address");
}

fn foreign(lab: &Lab) {
    let name = "kt-foreign";
    let xml = lab.folder.join("foreign.xml");
    fs::write(
        &xml,
        format!("<domain type='qemu'><name>{name}</name><memory>65536</memory><os><type>hvm</type></os></domain>"),
    )
    .expect("written");
    drop(virsh(&["define", &xml.display().to_string()]).success());
    let list = lab.kiln(&["list"]).success().stdout;
    assert!(!list.contains(name), "{list}");
    let list = lab.kiln(&["list", "--all"]).success().stdout;
    assert!(list.contains(name), "{list}");
    let out = lab.kiln(&["rm", name]);
    assert_eq!(out.code, 4, "{}", out.stderr);
    assert!(out.stderr.contains("kiln did not make `kt-foreign`"), "{}", out.stderr);
    drop(lab.kiln(&["rm", "--foreign", name]).success());
    assert!(!lab.domains().iter().any(|domain| domain == name));
    let out = lab.kiln(&["rm", "kt-foreigm"]);
    assert_eq!(out.code, 4, "{}", out.stderr);
}

fn interrupted(lab: &Lab) {
    let lab = &lab.with_home("interrupted");
    let image = phony(lab);
    let name = "kt-ctrlc";
    let child =
        spawn(lab, &["launch", &image, name, "--pool", POOL, "--rm-on-failure", "--timeout", "5m"]);
    // It waits for a guest that never comes: then Ctrl-C.
    let booting = || lab.domains().iter().any(|domain| domain == name);
    assert!(crate::lab::until(Duration::from_secs(30), booting));
    let pid = child.id().to_string();
    drop(run(&["kill", "-INT", &pid]).success());
    let out = child.wait_with_output().expect("it ends");
    assert_eq!(out.status.code(), Some(130), "{}", String::from_utf8_lossy(&out.stderr));
    assert_nothing_of(lab, name, "Ctrl-C");
    assert_eq!(lab.journals(), 0);
}

fn dry_run(lab: &Lab) {
    let image = phony(lab);
    let lab = &lab.with_home("dry");
    let out = lab.launch(&image, "kt-dry", &["--dry-run"]).success();
    assert!(out.stdout.contains("define domain `kt-dry`"), "{}", out.stdout);
    assert!(out.stdout.contains("<name>kt-dry</name>"), "{}", out.stdout);
    let out = lab.launch(&image, "kt-dry", &["--dry-run", "--json"]).success();
    let json: Value = serde_json::from_str(&out.stdout).expect("JSON");
    assert_eq!(json["would"][0]["name"], "kt-dry");
    assert_nothing_of(lab, "kt-dry", "a dry run");
    // Not even a key or a note of the image's digest: only the store's own empty folders may be.
    let files = run(&["find", &lab.home.display().to_string(), "-type", "f"]).stdout;
    assert_eq!(files, "");
}

/// Where nothing can be kept that would undo what a kill leaves, not even a pool is started.
fn no_journal(lab: &Lab) {
    let (image, source, pool) = (phony(lab), "kt-homed", "kt-idle");
    crate::clones::off(lab, &image, source, &[]);
    let folder = lab.folder.join("idle").display().to_string();
    fs::create_dir_all(&folder).expect("made");
    let _tidy = Tidy(vec![by_virsh(&["pool-destroy", pool]), by_virsh(&["pool-undefine", pool])]);
    drop(virsh(&["pool-define-as", pool, "dir", "--target", &folder]).success());
    // Not even root can make a folder there.
    let lost = Lab { folder: lab.folder.clone(), home: PathBuf::from("/sys/kiln") };
    let begin: [&[&str]; 3] = [
        &["launch", &image, "kt-unbegun", "--no-wait"],
        &["clone", source, "kt-unbegun"],
        &["template", "create", source, "kt-unbegun"],
    ];
    for args in begin {
        let out = lost.kiln(&[args, &["--pool", pool]].concat());
        assert_eq!(out.code, 5, "{args:?}: {}", out.stderr);
        assert!(out.stderr.contains("KILN_HOME names the folder"), "{args:?}: {}", out.stderr);
        let active = virsh(&["pool-list", "--name"]).success().stdout;
        assert!(!active.contains(pool), "{args:?}: {active}");
    }
    drop(lab.kiln(&["rm", source]).success());
}

/// Undoes with virsh and umount what a test set up, whatever became of it.
struct Tidy(Vec<Vec<String>>);

impl Drop for Tidy {
    fn drop(&mut self) {
        for command in &self.0 {
            // What was not set up cannot be undone.
            drop(called(command));
        }
    }
}

fn by_virsh(args: &[&str]) -> Vec<String> {
    ["virsh", "-q", "-c", "qemu:///system"].iter().chain(args).map(|s| (*s).to_owned()).collect()
}

fn called(command: &[String]) -> Output {
    run(&command.iter().map(String::as_str).collect::<Vec<_>>())
}

fn done(command: &[String]) {
    drop(called(command).success());
}

fn full_pool(lab: &Lab) {
    let folder = lab.folder.join("small").display().to_string();
    let pool = "kiln-e2e-small";
    fs::create_dir_all(&folder).expect("made");
    let mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", &folder];
    drop(run(&mount).success());
    let _tidy = Tidy(vec![
        by_virsh(&["pool-destroy", pool]),
        by_virsh(&["pool-undefine", pool]),
        vec!["umount".to_owned(), folder.clone()],
    ]);
    done(&by_virsh(&["pool-define-as", pool, "dir", "--target", &folder]));
    done(&by_virsh(&["pool-start", pool]));
    let out = lab.kiln(&["launch", &phony(lab), "kt-full", "--pool", pool, "--no-wait"]);
    assert_eq!(out.code, 5, "{}", out.stderr);
    let said = "pool `kiln-e2e-small` has 40 MiB free, and image `phony` needs 8 MiB";
    assert!(out.stderr.contains(said), "{}", out.stderr);
    assert_eq!(fs::read_dir(&folder).expect("the pool").count(), 0);
}

fn inactive_network(lab: &Lab) {
    let name = "kt-net";
    let file = lab.folder.join("net.xml").display().to_string();
    let xml = "<network><name>kt-net</name><bridge name='ktbr0'/><ip address='10.98.76.1' netmask='255.255.255.0'>\
               <dhcp><range start='10.98.76.10' end='10.98.76.20'/></dhcp></ip></network>";
    fs::write(&file, xml).expect("written");
    let _tidy = Tidy(vec![by_virsh(&["net-destroy", name]), by_virsh(&["net-undefine", name])]);
    done(&by_virsh(&["net-define", &file]));
    let image = phony(lab);
    let out = lab.launch(&image, "kt-netless", &["--no-wait", "--network", name]);
    assert_eq!(out.code, 4, "{}", out.stderr);
    assert!(out.stderr.contains("the network `kt-net` is not active"), "{}", out.stderr);
    assert!(out.stderr.contains("--start-network"), "{}", out.stderr);
    let more = ["--no-wait", "--network", name, "--start-network", "--ip", "10.98.76.15", "--json"];
    let out = lab.launch(&image, "kt-netless", &more).success();
    let json: Value = serde_json::from_str(&out.stdout).expect("JSON");
    assert_eq!(json["machines"][0]["addresses"][0], "10.98.76.15");
    // The address is reserved now: nobody else gets it.
    let out = lab.launch(&image, "kt-netless2", &more);
    assert_eq!(out.code, 4, "{}", out.stderr);
    assert!(out.stderr.contains("10.98.76.15"), "{}", out.stderr);
    // A machine of a network that is off says so.
    drop(lab.kiln(&["stop", "--hard", "kt-netless"]).success());
    done(&by_virsh(&["net-destroy", name]));
    let out = lab.kiln(&["start", "kt-netless"]);
    assert!(out.code == 4 && out.stderr.contains("`kiln network start kt-net`"), "{}", out.stderr);
    drop(lab.kiln(&["network", "start", name]).success());
    drop(lab.kiln(&["rm", "kt-netless"]).success());
    let network = virsh(&["net-dumpxml", name]).success().stdout;
    assert!(!network.contains("10.98.76.15"), "{network}");
}

/// A Ceph pool whose monitor takes connections and never says a word: libvirt waits for it, Kiln
/// does not.
fn hanging_pool(lab: &Lab) {
    let monitor = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = monitor.local_addr().expect("its number").port();
    let name = "kt-hangs";
    let file = lab.folder.join("hangs.xml").display().to_string();
    let xml = format!(
        "<pool type='rbd'><name>{name}</name><source><name>x</name>\
         <host name='127.0.0.1' port='{port}'/></source></pool>"
    );
    fs::write(&file, xml).expect("written");
    let _tidy = Tidy(vec![by_virsh(&["pool-undefine", name])]);
    if !need(
        called(&by_virsh(&["pool-define", &file])).code == 0,
        "libvirt's storage driver for RBD",
    ) {
        return;
    }
    let image = phony(lab);
    thread::scope(|scope| {
        let start = scope.spawn(|| called(&by_virsh(&["pool-start", name])));
        let (_kept, _) = monitor.accept().expect("libvirt asks the monitor");
        for verb in [&["list"][..], &["doctor"]] {
            assert_eq!(lab.kiln(verb).code, 0, "{verb:?}");
        }
        drop(lab.launch(&image, "kt-beside", &["--no-wait"]).success());
        drop(lab.kiln(&["rm", "kt-beside"]).success());
        assert!(!start.is_finished(), "libvirt waits for the monitor all the time");
        assert_ne!(start.join().expect("virsh ends").code, 0);
    });
}

fn doctor(lab: &Lab) {
    let out = lab.kiln(&["doctor", "--json"]);
    let json: Value = serde_json::from_str(&out.stdout).expect("JSON");
    let findings = json["findings"].as_array().expect("findings");
    let missing: Vec<&Value> = findings.iter().filter(|f| f["verdict"] == "missing").collect();
    assert_eq!((missing.len(), out.code), (0, 0), "{missing:?}");
    for finding in findings.iter().filter(|f| f["verdict"] != "ok") {
        assert!(finding["mend"].as_str().is_some_and(|mend| !mend.is_empty()), "{finding}");
    }
    // A host that is not there: missing, with what mends it, and status 1.
    let uri = "qemu+unix:///system?socket=/no/such/socket";
    let out = lab.kiln(&["-c", uri, "doctor"]);
    assert_eq!(out.code, 1, "{}", out.stdout);
}
