// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What end-to-end tests run in: a folder, a pool and a store of their own, on the real
//! `qemu:///system`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use kiln_testkit::{Output, need, need_program, run, run_with, variable};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

/// Every machine of these tests has a name that begins so.
pub(crate) const PREFIX: &str = "kt-";
/// The pool of these tests.
pub(crate) const POOL: &str = "kiln-e2e";
/// The image that most tests launch: of `examples/debian-12.yaml`.
pub(crate) const IMAGE: &str = "debian-12";

/// An old processor: without KVM a guest boots with it in three quarters of the time. And one
/// only: on a busy host two wait for each other.
pub(crate) const CPU: [&str; 4] = ["--cpu", "qemu64", "--cpus", "1"];

/// The folder, the pool and the image, made by the first test that asks.
pub(crate) struct Lab {
    /// The folder of these tests.
    pub(crate) folder: PathBuf,
    /// Kiln's own folder in it.
    pub(crate) home: PathBuf,
}

/// Makes a trial of a test that needs the system's libvirt; without it the trial is ignored.
pub(crate) fn trial(name: &str, test: fn(&Lab)) -> Trial {
    let able = system_is_there();
    Trial::test(name.to_owned(), move || {
        test(lab());
        Ok::<(), Failed>(())
    })
    .with_ignored_flag(!able)
}

/// Returns the project's root folder.
pub(crate) fn project() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("the crate is two folders below the project").to_owned()
}

/// Returns whether `qemu:///system` answers; starts its daemons where there is no systemd.
fn system_is_there() -> bool {
    static THERE: OnceLock<bool> = OnceLock::new();
    *THERE.get_or_init(|| {
        let root = need(rustix::process::geteuid().is_root(), "root, for qemu:///system");
        if !root || !need_program("libvirtd") || !need_program("virsh") {
            return false;
        }
        let answers = || virsh(&["uri"]).code == 0;
        if !answers() && !Path::new("/run/systemd/system").exists() {
            // Already running is fine: what counts is asked below.
            drop(run(&["virtlogd", "-d"]));
            drop(run(&["libvirtd", "-d"]));
        }
        need(until(Duration::from_secs(30), answers), "a libvirtd that answers at qemu:///system")
    })
}

/// Asks libvirt's own program about the host of these tests.
pub(crate) fn virsh(args: &[&str]) -> Output {
    run(&[&["virsh", "-q", "-c", "qemu:///system"], args].concat())
}

/// Returns the names of these tests that `virsh` lists when so asked.
pub(crate) fn ours(listing: &str) -> Vec<String> {
    let out = virsh(&[listing, "--all", "--name"]).success().stdout;
    out.split_whitespace().filter(|name| name.starts_with(PREFIX)).map(str::to_owned).collect()
}

/// Returns the JSON that a run that went well has printed.
pub(crate) fn parsed(out: Output) -> Value {
    serde_json::from_str(&out.success().stdout).expect("JSON")
}

/// Waits until `met`, and returns whether it was in time.
pub(crate) fn until(most: Duration, met: impl Fn() -> bool) -> bool {
    let began = Instant::now();
    while began.elapsed() < most {
        if met() {
            return true;
        }
        std::thread::park_timeout(Duration::from_millis(100));
    }
    met()
}

/// Returns the lab.
pub(crate) fn lab() -> &'static Lab {
    static LAB: OnceLock<Lab> = OnceLock::new();
    LAB.get_or_init(|| {
        let folder = PathBuf::from(format!("/var/tmp/kiln-e2e-{}", std::process::id()));
        let pool = folder.join("pool");
        fs::create_dir_all(&pool).expect("the folder of the tests can be made");
        for open in [&folder, &pool] {
            fs::set_permissions(open, fs::Permissions::from_mode(0o755))
                .expect("its mode can be set");
        }
        let home = variable("KILN_TEST_HOME").map_or_else(|| folder.join("home"), PathBuf::from);
        remove_machines();
        remove_pool();
        let target = pool.display().to_string();
        drop(virsh(&["pool-define-as", POOL, "dir", "--target", &target]).success());
        drop(virsh(&["pool-start", POOL]).success());
        // Active already is fine.
        drop(virsh(&["net-start", "default"]));
        remove_reservations();
        crate::networks::remove_all();
        crate::pools::remove_all();
        Lab { folder, home }
    })
}

/// Removes the machines of an earlier run that was killed, and what they had in the default pool.
fn remove_machines() {
    for name in ours("list") {
        drop(virsh(&["destroy", &name]));
        drop(virsh(&["undefine", "--nvram", "--managed-save", "--snapshots-metadata", &name]));
    }
    drop(virsh(&["pool-refresh", "default"]));
    let volumes = virsh(&["vol-list", "default"]).stdout;
    let names = volumes.lines().filter_map(|line| line.split_whitespace().next());
    for name in names.filter(|name| name.starts_with(PREFIX)) {
        drop(virsh(&["vol-delete", "--pool", "default", name]));
    }
}

fn remove_pool() {
    // A pool of an earlier run that was killed, or none.
    drop(virsh(&["pool-destroy", POOL]));
    drop(virsh(&["pool-undefine", POOL]));
}

/// Removes the reservations of an earlier run that was killed: libvirt keeps them.
fn remove_reservations() {
    let network = virsh(&["net-dumpxml", "default"]).stdout;
    let names = network.split("name='").filter_map(|rest| rest.split('\'').next());
    for name in names.filter(|name| name.starts_with(PREFIX)) {
        let host = format!("<host name='{name}'/>");
        let update = ["net-update", "default", "delete", "ip-dhcp-host", &host];
        drop(virsh(&[&update[..], &["--live", "--config"]].concat()));
    }
}

impl Lab {
    /// Returns the same lab with another folder for Kiln itself: its store, keys and journals.
    pub(crate) fn with_home(&self, name: &str) -> Self {
        Self { folder: self.folder.clone(), home: self.folder.join(name) }
    }

    /// Returns [`Lab::with_home`] with a copy of the image that most tests launch.
    pub(crate) fn with_store(&self, name: &str) -> Self {
        self.image();
        let other = self.with_home(name);
        fs::create_dir_all(&other.home).expect("its home can be made");
        let (from, to) = (self.home.join("store"), other.home.join("store"));
        drop(run(&["cp", "-a", &from.display().to_string(), &to.display().to_string()]).success());
        other
    }

    /// Runs kiln on the system host.
    pub(crate) fn kiln(&self, args: &[&str]) -> Output {
        self.kiln_with(args, &[])
    }

    /// Runs kiln with variables added to its environment.
    pub(crate) fn kiln_with(&self, args: &[&str], envs: &[(&str, &str)]) -> Output {
        let home = self.home.display().to_string();
        let all = [&[("KILN_HOME", home.as_str())], envs].concat();
        run_with(&[&[env!("CARGO_BIN_EXE_kiln")], args].concat(), &all)
    }

    /// Launches a machine in the tests' pool, with more options and with [`CPU`].
    pub(crate) fn launch(&self, image: &str, name: &str, more: &[&str]) -> Output {
        self.launch_as_usual(image, name, &[&CPU, more].concat())
    }

    /// Launches a machine in the tests' pool with the processor that it gets if none is named.
    pub(crate) fn launch_as_usual(&self, image: &str, name: &str, more: &[&str]) -> Output {
        self.kiln(&[&["launch", image, name, "--pool", POOL], more].concat())
    }

    /// Returns the image that most tests launch, built by the first that asks.
    pub(crate) fn image(&self) -> &'static str {
        static BUILT: OnceLock<()> = OnceLock::new();
        BUILT.get_or_init(|| {
            let recipe = project().join("examples/debian-12.yaml").display().to_string();
            drop(self.kiln(&["build", &recipe]).success());
        });
        IMAGE
    }

    /// Returns the image as a raw file of its own, to be changed by a test.
    pub(crate) fn raw_image(&self, name: &str) -> PathBuf {
        self.image();
        let info = self.kiln(&["image", "info", IMAGE, "--json"]).success();
        let manifest: Value = serde_json::from_str(&info.stdout).expect("JSON");
        let digest = manifest["digest"].as_str().expect("a digest").trim_start_matches("sha256:");
        let disk = self.home.join("store/images/sha256").join(digest).join("disk.qcow2");
        let raw = self.folder.join(name);
        let (from, to) = (disk.display().to_string(), raw.display().to_string());
        drop(run(&["qemu-img", "convert", "-O", "raw", &from, &to]).success());
        raw
    }

    /// Returns the names of the volumes in the tests' pool, without templates.
    pub(crate) fn volumes(&self) -> Vec<String> {
        // The files themselves: what libvirt has forgotten would be left over all the same.
        let entries = fs::read_dir(self.folder.join("pool")).expect("the pool's folder");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .filter(|name| !name.starts_with("kiln-"))
            .collect();
        names.sort();
        names
    }

    /// Returns the names of all domains of these tests.
    pub(crate) fn domains(&self) -> Vec<String> {
        ours("list")
    }

    /// Returns what a killed kiln would have left to undo.
    pub(crate) fn journals(&self) -> usize {
        fs::read_dir(self.home.join("journal")).map_or(0, Iterator::count)
    }
}

/// Removes what the tests made, and says what was left over.
pub(crate) fn leave_clean() -> bool {
    if !system_is_there() {
        return true;
    }
    let lab = lab();
    let left: Vec<String> = lab
        .domains()
        .into_iter()
        .chain(lab.volumes())
        .map(|name| format!("left over: {name}"))
        .collect();
    for name in lab.domains() {
        drop(lab.kiln(&["rm", "--foreign", &name]));
    }
    remove_pool();
    fs::remove_dir_all(&lab.folder).expect("the folder of the tests can be removed");
    let report = left.join("\n");
    assert!(std::io::Write::write_all(&mut std::io::stderr(), report.as_bytes()).is_ok());
    left.is_empty()
}

/// Starts the program, in a process group of its own, without waiting for its end.
pub(crate) fn spawn(lab: &Lab, args: &[&str]) -> Child {
    #[expect(clippy::disallowed_methods, reason = "the program under test is killed while it runs")]
    Command::new(env!("CARGO_BIN_EXE_kiln"))
        .args(args)
        .env("KILN_HOME", &lab.home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("started")
}

/// Starts the program for the `n`th time, and kills it as [`kill_at`] does.
pub(crate) fn cut_short(lab: &Lab, args: &[&str], whole: Duration, n: u32) -> bool {
    kill_at(spawn(lab, args), whole, n)
}

/// Returns how many times a test kills: `usual`, or more if `KILN_KILLS` says so (`make test-kills`).
pub(crate) fn kills(usual: u32) -> u32 {
    let asked = variable("KILN_KILLS").map(|text| text.parse().expect("KILN_KILLS is a number"));
    asked.map_or(usual, |asked: u32| asked.max(usual))
}

/// Kills what was just started for the `n`th time at a moment that is one of many, spread over this
/// long; returns whether it was cut short.
pub(crate) fn kill_at(mut child: Child, whole: Duration, n: u32) -> bool {
    // A moment is what is tested, so a moment is waited for: the golden ratio spreads any number
    // of them evenly, in an order of no pattern, and the same in each run.
    let deadline = Instant::now() + whole.mul_f64((f64::from(n) * 0.618_034).fract());
    while Instant::now() < deadline {
        std::thread::park_timeout(deadline.saturating_duration_since(Instant::now()));
    }
    child.kill().expect("killed");
    !child.wait().expect("it ends").success()
}
