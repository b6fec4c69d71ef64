// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A libvirtd of a test's own, with folders of its own.
//!
//! libvirt has no session for root: there the test runs itself again as `nobody`. The daemon
//! reads its folders from the environment, so the body of a test is a child process.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kiln_libvirt::event::{Event, Subscription};
use kiln_testkit::{need_program, run, run_with, variable};

/// Set in the child process: its folder.
const FOLDER: &str = "KILN_TEST_SESSION";

/// Returns the folder, in the child process.
pub(crate) fn folder() -> Option<PathBuf> {
    variable(FOLDER).map(PathBuf::from)
}

/// Runs the test `body` of the calling file in a session; `files` are what it finds in its
/// folder.
#[track_caller]
pub(crate) fn in_session(body: &str, files: &[(&str, Vec<u8>)]) {
    if folder().is_some() {
        return;
    }
    for program in ["libvirtd", "qemu-system-x86_64", "setpriv", "passt"] {
        if !need_program(program) {
            return;
        }
    }
    // Short, and not below a folder that only root may enter: sockets have at most 107
    // characters.
    let folder = tempfile::Builder::new().prefix("kls").tempdir_in("/tmp").unwrap();
    let path = folder.path().to_str().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    for dir in ["r", "c", "k", "d"] {
        fs::create_dir(folder.path().join(dir)).unwrap();
        fs::set_permissions(folder.path().join(dir), Permissions::from_mode(0o700)).unwrap();
    }
    // Where a login's limit of core files is low, libvirt could not raise it (sudo(8) takes it away).
    fs::create_dir(folder.path().join("c/libvirt")).unwrap();
    fs::write(folder.path().join("c/libvirt/qemu.conf"), "max_core = 0\n").unwrap();
    let this = std::env::current_exe().unwrap();
    let copy = folder.path().join("test");
    let mut argv = vec![];
    if rustix::process::geteuid().is_root() {
        // nobody may not enter the folder that the test was built in.
        let _ = run(&["cp", this.to_str().unwrap(), copy.to_str().unwrap()]).success();
        let _ = run(&["chown", "-R", "nobody", path]).success();
        argv.extend(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]);
        argv.push(copy.to_str().unwrap());
    } else {
        argv.push(this.to_str().unwrap());
    }
    argv.extend(["--exact", body, "--nocapture"]);
    let [run_dir, config, cache, data] = ["r", "c", "k", "d"].map(|d| [path, "/", d].concat());
    let envs = [
        (FOLDER, path),
        ("HOME", path),
        ("XDG_RUNTIME_DIR", &run_dir),
        ("XDG_CONFIG_HOME", &config),
        ("XDG_CACHE_HOME", &cache),
        ("XDG_DATA_HOME", &data),
    ];
    let output = run_with(&argv, &envs);
    stop_all(&folder.path().join("r/libvirt"));
    let output = output.success();
    assert!(output.stdout.contains("1 passed"), "{}", output.stdout);
    // libvirt's own errors do not reach the terminal.
    assert!(!output.stderr.contains("libvirt:"), "{}", output.stderr);
}

/// Ends what a failed test left running, and the daemons, which would wait two minutes.
fn stop_all(run_dir: &Path) {
    let mut pids: Vec<_> = ["libvirtd.pid", "virtlogd.pid"].map(|f| run_dir.join(f)).into();
    if let Ok(machines) = fs::read_dir(run_dir.join("qemu/run")) {
        let files = machines.map(|m| m.unwrap().path());
        pids.extend(files.filter(|f| f.extension().is_some_and(|e| e == "pid")));
    }
    for pid in pids {
        if let Ok(pid) = fs::read_to_string(pid) {
            let _ = run(&["kill", pid.trim()]);
        }
    }
}

/// Waits for an event that matches.
pub(crate) fn wait_for(events: &Subscription, wanted: &dyn Fn(&Event) -> bool) -> Event {
    let end = Instant::now() + Duration::from_secs(120);
    loop {
        assert!(Instant::now() < end, "the event did not come");
        match events.next_within(Duration::from_secs(1)) {
            Some(event) if wanted(&event) => return event,
            _ => {}
        }
    }
}
