// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Hosts other than `qemu:///system`: a user's session, and a second machine behind ssh.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use kiln_testkit::{Output, need, need_program, run};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::lab::{CPU, IMAGE, Lab, project, spawn, trial, until};

/// The user without rights whom these tests make.
pub(crate) const USER: &str = "kiln-e2e";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("e2e::hosts::what_a_user_installs_is_served_in_a_session_without_an_agent", session),
        trial("e2e::hosts::a_host_behind_ssh_is_used_like_any_other", behind_ssh),
        trial("e2e::hosts::a_host_that_is_not_there_is_named", not_there),
    ]
}

/// Returns whether the user is there, made if it is missing.
pub(crate) fn user_is_there() -> bool {
    if run(&["id", USER]).code != 0 && need_program("useradd") {
        drop(run(&["useradd", "--create-home", USER]));
    }
    need(run(&["id", USER]).code == 0, "a user without rights")
}

/// The program as a user without rights runs it, with a copy of the tests' store.
pub(crate) struct User {
    /// A folder of the user's, with the program and its home.
    pub(crate) folder: PathBuf,
}

impl User {
    /// Makes the folder and the user; nothing if a need is missing.
    pub(crate) fn new(lab: &Lab, name: &str) -> Option<Self> {
        if !need_program("runuser") || !user_is_there() {
            return None;
        }
        lab.image();
        let folder = lab.folder.join(name);
        fs::create_dir_all(folder.join("runtime")).expect("made");
        let shown = folder.display().to_string();
        drop(run(&["cp", "-a", &lab.home.join("store").display().to_string(), &shown]).success());
        drop(run(&["cp", env!("CARGO_BIN_EXE_kiln"), &shown]).success());
        drop(run(&["chown", "-R", &format!("{USER}:"), &shown]).success());
        Some(Self { folder })
    }

    /// Runs kiln as the user.
    pub(crate) fn kiln(&self, args: &[&str]) -> Output {
        let folder = self.folder.display();
        let home = format!("KILN_HOME={folder}");
        let runtime = format!("XDG_RUNTIME_DIR={folder}/runtime");
        let program = format!("{folder}/kiln");
        run(&[&["runuser", "-u", USER, "--", "env", &home, &runtime, &program], args].concat())
    }
}

/// A user without rights changes an image and launches it, all without root. The guest has no
/// agent: what is known of it is known by SSH.
fn session(lab: &Lab) {
    if !need_program("passt") {
        return;
    }
    let Some(user) = User::new(lab, "session") else { return };
    let kiln = |args: &[&str]| user.kiln(args);
    let shown = user.folder.display().to_string();
    let name = "kt-session";
    // Of an earlier run that failed or was killed, or none: a session outlives the tests.
    drop(kiln(&["rm", "--foreign", name]));
    // And its volumes, where the machine itself is gone.
    drop(run(&["find", &format!("/home/{USER}"), "-name", "kt-session*", "-delete"]).success());
    core_files_are_seen_to(&user);
    let image = user.folder.join("web.qcow2").display().to_string();
    web_server(lab, &image, "page of a user", &kiln);
    let launch = ["launch", &image, name, "--user", "debian", "--forward", "18080:80", "--json"];
    let out = kiln(&[&launch[..], &CPU].concat()).success();
    let json: Value = serde_json::from_str(&out.stdout).expect("JSON");
    let machine = &json["machines"][0];
    assert_eq!(machine["host"], "qemu:///session");
    assert_eq!(machine["ssh"]["address"], "127.0.0.1");
    assert_eq!(
        (&machine["ready"]["ssh"], &machine["ready"]["agent"]),
        (&true.into(), &false.into())
    );
    let ssh = |script: &str| kiln(&["ssh", name, script]).success().stdout;
    assert_eq!(ssh("hostname"), "kt-session\n");
    let said = kiln(&["wait", name]).success().stderr;
    assert!(said.contains("no guest agent answers in `kt-session`"), "{said}");
    assert_eq!(kiln(&["exec", name, "--", "true"]).code, 7);
    let get =
        "exec 3<>/dev/tcp/127.0.0.1/80; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; tail -n 1 <&3";
    assert_eq!(ssh(get), "page of a user");
    forwards(&kiln, name);
    // The guest reaches the outside by passt.
    assert_eq!(ssh("ip route show default | wc -l"), "1\n");
    drop(kiln(&["rm", name]).success());
    let left =
        run(&["find", &format!("/home/{USER}"), &shown, "-name", "kt-session*"]).success().stdout;
    assert_eq!(left, "");
}

/// Makes a copy of the tests' image that has a web server with a page, and no guest agent.
fn web_server(lab: &Lab, image: &str, page: &str, kiln: &dyn Fn(&[&str]) -> Output) {
    let page = format!("/var/www/html/index.html:{page}");
    let install = ["--install", "nginx", "--uninstall", "qemu-guest-agent"];
    let enable = ["--run-command", "systemctl enable nginx", "--write", &page];
    let customize = ["image", "customize", "--output", image, lab.image()];
    drop(kiln(&[&customize[..], &install, &enable].concat()).success());
    // Nothing of the visit is left in the image, and what was there is as it was.
    let log = kiln(&["image", "cat", image, "/etc/resolv.conf"]);
    let before = kiln(&["image", "cat", lab.image(), "/etc/resolv.conf"]);
    assert_eq!((log.code, log.stdout), (before.code, before.stdout));
    drop(run(&["qemu-img", "check", "-q", image]).success());
}

/// A forward is there from the start that it was told before, and said to be for the next one after.
fn forwards(kiln: &impl Fn(&[&str]) -> Output, name: &str) {
    let get =
        "exec 3<>/dev/tcp/127.0.0.1/18080; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; tail -n 1 <&3";
    assert_eq!(run(&["bash", "-c", get]).success().stdout, "page of a user");
    let out = kiln(&["forward", "add", name, "18081:80"]).success();
    assert!(out.stderr.contains("change at its next start"), "{}", out.stderr);
    let list = kiln(&["forward", "list"]).success().stdout;
    let state = |port: &str| {
        let line = list.lines().find(|line| line.contains(port)).expect("a line");
        line.ends_with("at next start")
    };
    assert!(!state("18080/tcp") && state("18081/tcp"), "{list}");
    for (port, words) in
        [("18080:81", "leads to port 80"), ("18082:0", "no port"), ("80:80", "only root")]
    {
        let out = kiln(&["forward", "add", name, port]);
        assert!(out.code != 0 && out.stderr.contains(words), "{}", out.stderr);
    }
    drop(kiln(&["forward", "rm", name, "18081"]).success());
    let info = kiln(&["info", name]).success().stdout;
    assert!(info.contains("18080/tcp to port 80") && !info.contains("18081"), "{info}");
}

/// Does what `kiln doctor` says where the hard limit of core files keeps libvirt of a session from
/// starting a machine: so it is under sudo.
fn core_files_are_seen_to(user: &User) {
    let asked = |wanted: &str| -> Option<String> {
        let out = user.kiln(&["-c", "qemu:///session", "doctor", "--json"]);
        let json: Value = serde_json::from_str(&out.stdout).expect("JSON");
        let all = json["findings"].as_array().expect("findings").clone();
        let found = all.into_iter().find(|finding| finding["need"] == "core files")?;
        assert_eq!(found["verdict"], wanted, "{found}");
        found["mend"].as_str().map(str::to_owned)
    };
    let limited = rustix::process::getrlimit(rustix::process::Resource::Core).maximum.is_some();
    let conf = format!("/home/{USER}/.config/libvirt/qemu.conf");
    fs::remove_file(&conf).ok();
    if limited {
        let mend = asked("missing").expect("a command");
        drop(run(&["runuser", "-u", USER, "--", "sh", "-c", &mend]).success());
        assert_eq!(asked("ok"), None);
        // A daemon that runs already does not read it again.
        drop(run(&["pkill", "-u", USER, "libvirtd"]));
        let runs = || run(&["pgrep", "-u", USER, "libvirtd"]).code == 0;
        assert!(until(Duration::from_secs(30), || !runs()), "the session's libvirtd ends");
    } else {
        assert_eq!(asked("ok"), None);
    }
}

/// A second host: its own network namespace, its own /run, /var and libvirtd, and an sshd that is
/// all one reaches of it.
fn behind_ssh(lab: &Lab) {
    let programs = ["sshd", "ip", "unshare", "ssh-keygen"];
    if !programs.iter().all(|program| need_program(program)) {
        return;
    }
    // In a home of its own: journals are counted.
    let lab = &lab.with_store("behind-ssh");
    let script = project().join("tests/lab/second-host").display().to_string();
    let folder = lab.folder.join("second");
    let shown = folder.display().to_string();
    drop(run(&[&script, "start", &shown]).success());
    let _stop = Stop { script: script.clone(), folder: shown.clone() };
    let uri = fs::read_to_string(folder.join("uri")).expect("its URI");
    let uri = uri.trim();
    let answers = || run(&["virsh", "-c", uri, "uri"]).code == 0;
    assert!(until(Duration::from_secs(30), answers), "the second host answers at {uri}");

    let name = "kt-remote";
    let (image, key) = without_cloud_init(lab, name);
    let launch = ["-c", uri, "launch", &image, name, "--start-network", "--json"];
    let whose = ["--user", "debian", "--ssh-key", &key];
    let out = lab.kiln(&[&launch[..], &whose, &CPU].concat()).success();
    let json: Value = serde_json::from_str(&out.stdout).expect("JSON");
    let ready = &json["machines"][0]["ready"];
    let proven = (&ready["ssh"], &ready["cloud_init"]["state"]);
    assert_eq!(proven, (&true.into(), &"absent".into()), "{ready}");
    let kiln = |args: &[&str]| lab.kiln(&[&["-c", uri], args].concat());
    assert_eq!(kiln(&["exec", name, "--", "hostname"]).success().stdout, "kt-remote\n");
    assert_eq!(kiln(&["ssh", name, "hostname"]).stdout, "kt-remote\n");
    assert!(kiln(&["logs", name]).success().stdout.contains("Linux version "));
    // It is there, and not here.
    assert!(!lab.domains().iter().any(|domain| domain == name));
    drop(kiln(&["rm", name]).success());
    assert_eq!(kiln(&["list"]).success().stdout, "");
    let left = run(&["virsh", "-q", "-c", uri, "vol-list", "default"]).success().stdout;
    assert!(!left.contains("kt-remote"), "{left}");
    daemon_stops(lab, &(script, folder), uri);
}

/// Makes a copy of the tests' image that has no use for cloud-init, which is more than half of a
/// boot: its name, an account and its network are there before. Returns it and the account's key.
fn without_cloud_init(lab: &Lab, name: &str) -> (String, String) {
    let path = |name: &str| lab.folder.join(name).display().to_string();
    let (image, key) = (path("plain.qcow2"), path("plain-key"));
    drop(run(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", &key]).success());
    let inject = format!("debian:file:{key}.pub");
    let dhcp = "/etc/systemd/network/all.network:[Match]\nName=e*\n[Network]\nDHCP=yes\n";
    let account = ["--add-user", "debian:sudo", "--ssh-inject", &inject];
    let host = ["--hostname", name, "--run-command", "ssh-keygen -A"];
    let network = ["--write", dhcp, "--enable-unit", "systemd-networkd"];
    let off = ["--write", "/etc/cloud/cloud-init.disabled:"];
    let customize = ["image", "customize", "--output", &image, lab.image()];
    drop(lab.kiln(&[&customize[..], &account, &host, &network, &off].concat()).success());
    (image, format!("{key}.pub"))
}

/// Kills the second host's libvirtd in the middle of a launch: while the template is uploaded,
/// and while the guest is waited for.
fn daemon_stops(lab: &Lab, (script, folder): &(String, PathBuf), uri: &str) {
    let second = |verb: &str| {
        drop(run(&[script, verb, &folder.display().to_string()]).success());
    };
    let again = || {
        second("again");
        let answers = || run(&["virsh", "-c", uri, "uri"]).code == 0;
        assert!(until(Duration::from_secs(30), answers), "libvirtd runs again");
    };
    let images = folder.join("fs/var/lib/libvirt/images");
    let kiln = |args: &[&str]| lab.kiln(&[&["-c", uri], args].concat());
    let launch = |image: &str| spawn(lab, &["-c", uri, "launch", image, "kt-midway"]);

    let large = lab.folder.join("large.raw").display().to_string();
    // Nothing of it can be left out on the way, and it begins like a disk.
    drop(run(&["openssl", "rand", "-out", &large, &(1_u32 << 29).to_string()]).success());
    let file = File::options().write(true).open(&large).expect("opened");
    file.write_all_at(&[0xfa, 0xf4, 0xeb, 0xfd], 0).expect("written");
    file.write_all_at(&[0; 64], 446).expect("written");
    file.write_all_at(&[0x55, 0xaa], 510).expect("written");
    let mut child = launch(&large);
    let begun = || {
        let files = fs::read_dir(&images).expect("the pool's folder").flatten();
        files.filter(|f| f.file_name().to_string_lossy().contains("large")).count() > 0
    };
    assert!(until(Duration::from_secs(60), begun), "the upload has begun");
    second("kill");
    assert_eq!(child.wait().expect("it ends").code(), Some(5));
    again();
    let out = kiln(&["list"]);
    assert_eq!(out.success().stdout, "");
    assert!(!begun(), "the template that was begun is gone");
    assert_eq!(lab.journals(), 0);

    // A machine that was made stays, and is found again.
    let mut child = launch(IMAGE);
    let running = || run(&["virsh", "-c", uri, "domstate", "kt-midway"]).stdout.trim() == "running";
    assert!(until(Duration::from_secs(120), running), "the guest runs");
    second("kill");
    assert_eq!(child.wait().expect("it ends").code(), Some(5));
    again();
    assert!(kiln(&["list"]).success().stdout.contains("kt-midway"));
    drop(kiln(&["rm", "kt-midway"]).success());
    assert_eq!(lab.journals(), 0);
    fs::remove_file(large).expect("removed");
}

/// Stops the second host, whatever became of the test.
struct Stop {
    script: String,
    folder: String,
}

impl Drop for Stop {
    fn drop(&mut self) {
        drop(run(&[&self.script, "stop", &self.folder]));
    }
}

fn not_there(lab: &Lab) {
    let socket = lab.folder.join("no-such-socket");
    let uri = format!("qemu+unix:///system?socket={}", socket.display());
    let out = lab.kiln(&["-c", &uri, "list"]);
    assert_eq!(out.code, 5, "{}", out.stderr);
    assert!(
        out.stderr.starts_with(&format!("error: cannot use the host `{uri}`")),
        "{}",
        out.stderr
    );
    let out = lab.kiln(&["-c", "nonsense", "list"]);
    assert_eq!(out.code, 5, "{}", out.stderr);
}
