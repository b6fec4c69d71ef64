// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A real guest agent: Debian's kernel, busybox and qemu-ga in an initramfs made here.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, too")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kiln_libvirt::agent::{Agent, Exec, ExecStatus, FileMode, MOST_INPUT};
use kiln_libvirt::connect::VirtType;
use kiln_libvirt::domain::{AddressSource, Serial, Shutdown, State, XmlKind};
use kiln_libvirt::event::{Event, Lifecycle, Stop};
use kiln_libvirt::{Connection, DomainSpec};
use kiln_spec::Bytes;
use kiln_testkit::{need, need_program, run};

mod common;

/// What the guest runs first: modules in the order that works out, then the agent.
const INIT: &str = "#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev
for round in 1 2 3 4; do for m in /mods/*.ko; do insmod $m 2>/dev/null; done; done
printf 'NAME=\"Tiny\"\\nID=tiny\\nVERSION_ID=\"1\"\\n' > /etc/os-release
echo 'root:x:0:0::/:/bin/sh' > /etc/passwd
hostname tinyguest; ifconfig lo up
while ! ls /dev/vport*p1; do sleep 0.1; done
qemu-ga -m virtio-serial -p $(ls /dev/vport*p1) &
wait
";

#[test]
fn a_real_agent_answers() {
    if common::folder().is_some() {
        return;
    }
    for program in ["apt-get", "apt-cache", "dpkg-deb", "ldd"] {
        if !need_program(program) {
            return;
        }
    }
    let work = tempfile::tempdir().unwrap();
    let Some((kernel, initrd)) = guest(work.path()) else { return };
    common::in_session("inside::agent", &[("vmlinuz", kernel), ("initrd", initrd)]);
}

/// Makes a kernel and an initramfs from Debian's packages.
fn guest(work: &Path) -> Option<(Vec<u8>, Vec<u8>)> {
    let depends = run(&["apt-cache", "depends", "linux-image-cloud-amd64"]).stdout;
    let kernel = depends.lines().find_map(|l| l.trim().strip_prefix("Depends: "));
    if !need(kernel.is_some(), "Debian's linux-image-cloud-amd64") {
        return None;
    }
    let script =
        "cd \"$0\" && apt-get download \"$@\" && for d in *.deb; do dpkg-deb -x $d x; done";
    let place = work.to_str().unwrap();
    let argv = ["sh", "-c", script, place, kernel?, "busybox-static", "qemu-guest-agent"];
    if !need(run(&argv).code == 0, "Debian's packages") {
        return None;
    }
    let tree = work.join("x");
    let find = |dir: &str| -> Vec<PathBuf> {
        let found = run(&["find", tree.join(dir).to_str().unwrap(), "-type", "f"]).success().stdout;
        found.lines().map(PathBuf::from).collect()
    };
    let boot = find("boot");
    let kernel = boot.iter().find(|f| f.to_str().unwrap().contains("/vmlinuz-"));
    let mut cpio = Cpio::default();
    for dir in ["bin", "dev", "proc", "sys", "etc", "run", "var", "var/run", "tmp", "mods"] {
        cpio.add(dir, 0o40755, &[]);
    }
    cpio.add("init", 0o100_755, INIT.as_bytes());
    let programs = ["bin/busybox", "usr/sbin/qemu-ga"].map(|p| tree.join(p));
    for program in &programs {
        let name = Path::new("bin").join(program.file_name().unwrap());
        cpio.add(name.to_str().unwrap(), 0o100_755, &fs::read(program).unwrap());
    }
    let libraries = run(&["ldd", programs[1].to_str().unwrap()]).success().stdout;
    for library in libraries.split_whitespace().filter(|w| w.starts_with('/')) {
        let name = library.trim_start_matches('/');
        cpio.folders(name);
        cpio.add(name, 0o100_755, &fs::read(library).unwrap());
    }
    for module in find("lib/modules") {
        let path = module.to_str().unwrap();
        if path.contains("/drivers/virtio/") || path.ends_with("/virtio_console.ko") {
            let name = Path::new("mods").join(module.file_name().unwrap());
            cpio.add(name.to_str().unwrap(), 0o100_644, &fs::read(&module).unwrap());
        }
    }
    Some((fs::read(kernel.unwrap()).unwrap(), cpio.finish()))
}

/// An archive as the kernel's initramfs wants it (`newc`).
#[derive(Default)]
struct Cpio {
    bytes: Vec<u8>,
    number: u32,
}

impl Cpio {
    fn folders(&mut self, name: &str) {
        for (at, _) in name.match_indices('/') {
            self.add(&name[..at], 0o40755, &[]);
        }
    }

    fn add(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.number += 1;
        let size = u32::try_from(content.len()).unwrap();
        let name_size = u32::try_from(name.len()).unwrap() + 1;
        let fields = [self.number, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, &[]);
        self.bytes
    }
}

mod inside {
    use super::*;

    #[test]
    fn agent() {
        let Some(folder) = common::folder() else { return };
        let host = Connection::open("qemu:///session").unwrap();
        let events = host.subscribe().unwrap();
        let mut spec = DomainSpec::new("tiny", VirtType::Qemu, Bytes::from_mib(256), 1);
        spec.serial = Serial { log: Some(path(&folder, "log")), firmware: false };
        let mut xml = spec.to_element();
        xml.set("os/kernel", path(&folder, "vmlinuz"));
        xml.set("os/initrd", path(&folder, "initrd"));
        xml.set("os/cmdline", "console=ttyS0");
        let domain = host.define_domain_xml(&xml).unwrap();
        domain.start().unwrap();
        common::wait_for(
            &events,
            &|e| matches!(e, Event::Agent { domain, connected: true } if domain.name == "tiny"),
        );
        let view = domain.xml(XmlKind::Active).unwrap();
        assert_eq!(view.channels()[0].state().as_deref(), Some("connected"));
        let agent = domain.agent(Duration::from_secs(60));
        agent.ping().unwrap();
        answers(&agent);
        programs(&agent);
        files(&agent);
        let lo = domain.interfaces(AddressSource::Agent).unwrap();
        assert!(lo[0].addresses.contains(&("127.0.0.1".parse().unwrap(), 8)), "{lo:?}");
        assert_eq!(agent.interfaces().unwrap()[0].name, "lo");
        silence(&agent);
        domain.shutdown(Shutdown::Acpi).unwrap();
        domain.destroy().unwrap();
        let stopped = Lifecycle::Stopped(Stop::Destroyed);
        common::wait_for(
            &events,
            &|e| matches!(e, Event::Lifecycle { change, .. } if *change == stopped),
        );
        assert_eq!(domain.state().unwrap(), State::Off);
        domain.undefine().unwrap();
    }
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_owned()
}

fn answers(agent: &Agent) {
    let info = agent.info().unwrap();
    assert!(info.has("guest-exec") && info.has("guest-file-open") && !info.has("guest-nothing"));
    assert_eq!(agent.hostname().unwrap(), "tinyguest");
    let os = agent.os_info().unwrap();
    assert_eq!((os.id.as_deref(), os.version_id.as_deref()), (Some("tiny"), Some("1")));
    assert_eq!(os.machine.as_deref(), Some("x86_64"));
    let refused = agent.call::<serde_json::Value>("guest-nothing", serde_json::json!({}));
    let refused = refused.unwrap_err();
    assert!(refused.is_agent_refusal() || refused.is_unsupported(), "{refused:?}");
    assert!(!refused.is_agent_unresponsive());
}

/// Runs a shell script in the guest and waits for its end.
fn shell(agent: &Agent, script: &str, input: Option<&[u8]>) -> ExecStatus {
    let exec = Exec {
        path: "/bin/sh".to_owned(),
        args: vec!["-c".to_owned(), script.to_owned()],
        env: vec!["PATH=/bin".to_owned(), "GREETING=hello there".to_owned()],
        input: input.map(<[u8]>::to_vec),
        capture: true,
    };
    let pid = agent.exec(&exec).unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let status = agent.exec_status(pid).unwrap();
        if status.exited {
            return status;
        }
        assert!(Instant::now() < end, "{script} does not end");
    }
}

fn programs(agent: &Agent) {
    let status = shell(agent, "cat; echo \"$GREETING\" >&2; exit 3", Some(b"\x00\xff in"));
    assert_eq!((status.code, status.signal), (Some(3), None));
    assert_eq!(status.stdout, b"\x00\xff in");
    assert_eq!(status.stderr, b"hello there\n");
    let status = shell(agent, "kill -9 $$", None);
    assert_eq!((status.code, status.signal), (None, Some(9)));
    let big = shell(agent, "head -c 2000000 /dev/zero", None);
    assert_eq!(big.stdout.len(), 2_000_000);
    let much = Exec { input: Some(vec![0; MOST_INPUT + 1]), ..Exec::default() };
    let reason = std::error::Error::source(&agent.exec(&much).unwrap_err()).unwrap().to_string();
    assert_eq!(reason, "98305 bytes are too many; at most 98304 are taken");
    let input = vec![b'x'; MOST_INPUT];
    assert_eq!(shell(agent, "wc -c", Some(&input)).stdout, b"98304\n");
    let missing = Exec { path: "/no/such".to_owned(), capture: true, ..Exec::default() };
    assert!(agent.exec(&missing).unwrap_err().is_agent_refusal());
    assert!(agent.exec_status(999_999).unwrap_err().is_agent_refusal());
}

fn files(agent: &Agent) {
    let content: Vec<u8> = (0..600_000_u32).map(|i| i.to_le_bytes()[0] ^ 0x5a).collect();
    agent.write_file("/tmp/file", &content).unwrap();
    assert!(agent.read_file("/tmp/file", 600_000).unwrap() == content);
    let error = agent.read_file("/tmp/file", 500_000).unwrap_err();
    assert_eq!(error.to_string(), "could not ask the guest agent of `tiny`");
    let reason = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(reason, "524288 bytes are too many; at most 500000 are taken");
    let file = agent.open("/tmp/file", FileMode::Append).unwrap();
    agent.write(file, b"end").unwrap();
    agent.close(file).unwrap();
    assert!(agent.close(file).unwrap_err().is_agent_refusal());
    let status = shell(agent, "tail -c 3 /tmp/file", None);
    assert_eq!(status.stdout, b"end");
    assert!(agent.open("/no/such", FileMode::Read).unwrap_err().is_agent_refusal());
}

/// The agent is stopped without a word: the call ends in the time that was given.
fn silence(agent: &Agent) {
    let exec = Exec {
        path: "/bin/sh".to_owned(),
        args: vec!["-c".to_owned(), "kill -STOP $(pidof qemu-ga)".to_owned()],
        env: vec!["PATH=/bin".to_owned()],
        ..Exec::default()
    };
    agent.exec(&exec).unwrap();
    let quick = agent.within(Duration::from_secs(2));
    let begin = Instant::now();
    let mut result = quick.ping();
    // The signal may come after the first answers.
    while result.is_ok() && begin.elapsed() < Duration::from_secs(20) {
        result = quick.ping();
    }
    let error = result.unwrap_err();
    assert!(error.is_agent_unresponsive(), "{error:?}");
    let begin = Instant::now();
    assert!(quick.ping().unwrap_err().is_agent_unresponsive());
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}
