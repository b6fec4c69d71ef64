// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Forwards, on a host of their own for each of libvirt's backends: its packet filter is flushed
//! here. This machine is the outside. Nothing boots: the machine's address is that of a network
//! namespace on the same bridge, in which somebody answers.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kiln_testkit::{Output, need_program, run};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::faults::phony;
use crate::lab::{Lab, kill_at, parsed, project, trial, until};

/// The machine of these tests.
const NAME: &str = "kt-fwd";
/// Its network.
const NETWORK: &str = "kt-fwd-net";
/// How long a path may take to work: a bridge learns, a hook runs.
const SOON: Duration = Duration::from_secs(20);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("e2e::forwards::they_lead_to_machines_by_nftables", by_nftables),
        trial("e2e::forwards::they_lead_to_machines_by_iptables", by_iptables),
    ]
}

/// A host with its own network namespace and libvirt.
struct Host {
    script: String,
    peer: String,
    folder: String,
    home: PathBuf,
    /// Its network namespace, and the start of the names of others.
    net: String,
    /// Its address, as the outside sees it.
    address: String,
    servers: Vec<Child>,
}

impl Host {
    fn start(lab: &Lab, (name, number): (&str, &str), backend: &str) -> Option<Self> {
        let programs = ["sshd", "ip", "nft", "nsenter", "unshare", "ssh-keygen", "python3"];
        if !programs.iter().all(|program| need_program(program)) {
            return None;
        }
        let script = project().join("tests/lab/second-host").display().to_string();
        let peer = project().join("tests/lab/peer").display().to_string();
        let folder = lab.folder.join(name).display().to_string();
        drop(run(&[&script, "start", &folder, name, number, backend]).success());
        let home = lab.folder.join(format!("home-{name}"));
        let (net, address) = (format!("kiln-{name}"), format!("10.99.{number}.2"));
        let host = Self { script, peer, folder, home, net, address, servers: Vec::new() };
        let answers = || host.on(&["virsh", "-c", "qemu:///system", "uri"]).code == 0;
        assert!(until(Duration::from_secs(30), answers), "the host answers");
        Some(host)
    }

    /// Returns this machine's address, as the host sees it.
    fn outside(&self) -> String {
        let network = self.address.strip_suffix('2').expect("the second of its network");
        format!("{network}1")
    }

    /// Returns the words that run a command on the host.
    fn there(&self) -> [&str; 3] {
        [&self.script, "run", &self.folder]
    }

    /// Runs a command on the host.
    fn on(&self, argv: &[&str]) -> Output {
        run(&[&self.there()[..], argv].concat())
    }

    /// Returns the words that start kiln on the host.
    fn kiln_words(&self) -> Vec<String> {
        let home = format!("KILN_HOME={}", self.home.display());
        let words = [&self.script, "run", &self.folder, "env", &home, env!("CARGO_BIN_EXE_kiln")];
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn kiln(&self, args: &[&str]) -> Output {
        let words = self.kiln_words();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        run(&[words.as_slice(), args].concat())
    }

    fn spawn(&self, args: &[&str]) -> Child {
        let words = self.kiln_words();
        #[expect(
            clippy::disallowed_methods,
            reason = "the program under test is killed as it runs"
        )]
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(args).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started")
    }

    fn json(&self, args: &[&str]) -> Value {
        parsed(self.kiln(&[args, &["--json"]].concat()))
    }

    /// Makes a network namespace that stands for a guest, with these addresses.
    fn guest(&mut self, name: &str, addresses: &[&str]) -> String {
        let guest = format!("{}-{name}", self.net);
        drop(run(&["ip", "netns", "del", &guest]));
        drop(run(&["ip", "netns", "add", &guest]).success());
        let tap = format!("{}{name}", self.net);
        let pair =
            ["ip", "link", "add", &tap, "type", "veth", "peer", "name", "eth0", "netns", &guest];
        drop(run(&pair).success());
        drop(run(&["ip", "link", "set", &tap, "netns", &self.net]).success());
        let inside = |words: &[&str]| drop(run(&[&["ip", "-n", &guest], words].concat()).success());
        for address in addresses {
            let more: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
            inside(&[&["address", "add", address, "dev", "eth0"], more].concat());
        }
        inside(&["link", "set", "lo", "up"]);
        inside(&["link", "set", "eth0", "up"]);
        if !addresses.is_empty() {
            inside(&["route", "add", "default", "via", "10.78.9.1"]);
        }
        guest
    }

    /// Has a guest without addresses take one by DHCP, as the machine would; returns it.
    fn lease(&self, guest: &str) -> String {
        let mac = self.json(&["info", NAME])["interfaces"][0]["mac"].clone();
        let mac = mac.as_str().expect("a hardware address");
        let inside = |words: &[&str]| drop(run(&[&["ip", "-n", guest], words].concat()).success());
        inside(&["link", "set", "eth0", "address", mac]);
        self.connect(&["a"]);
        // It does not set the address by itself.
        let ask = ["busybox", "udhcpc", "-i", "eth0", "-n", "-q", "-t", "10", "-s", "/bin/true"];
        drop(run(&[&["ip", "netns", "exec", guest], &ask[..]].concat()).success());
        let leases = ["virsh", "-q", "-c", "qemu:///system", "net-dhcp-leases", NETWORK];
        let told = || self.on(&leases).success().stdout;
        // dnsmasq's helper writes it down after the answer.
        assert!(until(SOON, || told().contains(mac)), "a lease: {}", told());
        let leases = told();
        let mut words = leases.split_whitespace().skip_while(|word| *word != mac);
        let address = words.nth(2).expect("a lease").to_owned();
        inside(&["address", "add", &address, "dev", "eth0"]);
        inside(&["route", "add", "default", "via", "10.78.9.1"]);
        address.split('/').next().expect("an address").to_owned()
    }

    /// Connects the guests with the network's bridge, which is another one after each restart.
    fn connect(&self, names: &[&str]) {
        let bridge = self.json(&["network", "info", NETWORK])["bridge"].clone();
        let bridge = bridge.as_str().expect("a bridge");
        // A port of a bridge that looks for loops waits four seconds first.
        let quick = ["link", "set", bridge, "type", "bridge", "stp_state", "0"];
        drop(run(&[&["ip", "-n", &self.net], &quick[..]].concat()).success());
        for name in names {
            let tap = format!("{}{name}", self.net);
            let words = ["ip", "-n", &self.net, "link", "set", &tap, "master", bridge, "up"];
            drop(run(&words).success());
        }
    }

    fn serve(&mut self, guest: &str) {
        #[expect(clippy::disallowed_methods, reason = "somebody must answer")]
        let server = Command::new("ip")
            .args(["netns", "exec", guest, &self.peer, "serve", "22"])
            .spawn()
            .expect("started");
        self.servers.push(server);
    }

    /// Asks from somewhere, until the answer is as wanted: the address that the machine sees.
    fn expect(&self, from: &[&str], (kind, address, port): (&str, &str, &str), wanted: &str) {
        let words = [from, &[self.peer.as_str(), "ask", kind, address, port]].concat();
        let ask = || run(&words).success().stdout.trim().to_owned();
        let last = std::cell::RefCell::new(String::new());
        let met = until(SOON, || {
            last.replace(ask());
            *last.borrow() == wanted
        });
        let state = || {
            let of = |words: &[&str]| self.on(words).stdout;
            let links = of(&["ip", "-br", "address"]);
            [links, of(&["iptables", "-S", "FORWARD"]), of(&["nft", "list", "ruleset"])].concat()
        };
        assert!(met, "{words:?}: {} instead of {wanted}\n{}", last.borrow(), state());
    }

    fn expect_outside(&self, port: &str, wanted: &str) {
        self.expect(&[], ("tcp", &self.address, port), wanted);
    }

    /// Restarts the network; its bridge is a new one.
    fn restart_network(&self) {
        let virsh = |verb| self.on(&["virsh", "-q", "-c", "qemu:///system", verb, NETWORK]);
        drop(virsh("net-destroy").success());
        // libvirt does not wait for the end of the dnsmasq that has its address.
        assert!(until(SOON, || virsh("net-start").code == 0), "{}", virsh("net-start").stderr);
        self.connect(&["a", "b"]);
    }

    fn restart_libvirt(&self) {
        let script = |verb| run(&[&self.script, verb, &self.folder]);
        drop(script("kill").success());
        // What it was starting when it was killed has its pid file for a moment more.
        assert!(until(SOON, || script("again").code == 0), "{}", script("again").stderr);
        let answers = || self.on(&["virsh", "-c", "qemu:///system", "uri"]).code == 0;
        assert!(until(SOON, answers), "libvirtd runs again");
    }

    /// Returns all rules of the packet filter that are Kiln's.
    fn rules(&self) -> Vec<String> {
        let all = self.on(&["nft", "list", "ruleset"]).success().stdout;
        let iptables = self.on(&["iptables", "-S"]).stdout;
        let lines = all.lines().chain(iptables.lines()).map(str::trim);
        lines
            .filter(|line| line.contains("kiln") || line.contains(NAME))
            .map(str::to_owned)
            .collect()
    }

    fn states(&self) -> Vec<(u64, String)> {
        let list = self.json(&["forward", "list"]);
        let one = |f: &Value| {
            let state = f["state"].as_str().expect("a state").to_owned();
            (f["port"].as_u64().expect("a port"), state)
        };
        list["forwards"].as_array().expect("forwards").iter().map(one).collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for server in &mut self.servers {
            server.kill().ok();
            server.wait().ok();
        }
        for name in ["a", "b"] {
            drop(run(&["ip", "netns", "del", &format!("{}-{name}", self.net)]));
        }
        drop(run(&[&self.script, "stop", &self.folder]));
    }
}

fn network(host: &Host) {
    let subnets = ["--subnet", "10.78.9.0/24", "--subnet6", "fd78:9::/64"];
    let range = ["--dhcp", "10.78.9.100-10.78.9.199"];
    let create = [&["network", "create", NETWORK], &subnets[..], &range].concat();
    drop(host.kiln(&create).success());
}

fn by_nftables(lab: &Lab) {
    let Some(mut host) = Host::start(lab, ("fwn", "88"), "nftables") else { return };
    network(&host);
    let place = format!("{NETWORK},static=10.78.9.10/24,static=fd78:9::10/64");
    let image = phony(lab);
    let launch = ["launch", &image, NAME, "--no-wait", "--network", &place];
    drop(host.kiln(&[&launch[..], &["--forward", "2201:22"]].concat()).success());
    let guest = host.guest("a", &["10.78.9.10/24", "fd78:9::10/64"]);
    host.serve(&guest);
    everywhere(&mut host);
    // By IPv6 as well, where the machine has such an address.
    host.expect(&host.there(), ("tcp", "::1", "2201"), "fd78:9::1");
    comes_back(&host);
    killed(&host);
    gone(&host);
}

fn by_iptables(lab: &Lab) {
    if !need_program("iptables") || !need_program("busybox") {
        return;
    }
    let Some(mut host) = Host::start(lab, ("fwi", "89"), "iptables") else { return };
    network(&host);
    // No address is asked for: the one that the machine has is reserved for the forward.
    let image = phony(lab);
    let launch = ["launch", &image, NAME, "--no-wait", "--network", NETWORK, "--json"];
    drop(host.kiln(&launch).success());
    let guest = host.guest("a", &[]);
    let address = host.lease(&guest);
    let added = host.json(&["forward", "add", NAME, "2201:22"]);
    assert_eq!(added["reserved"], address);
    host.serve(&guest);
    everywhere(&mut host);
    comes_back(&host);
    refused(&host, lab);
    at_once(&host);
    gone(&host);
}

/// From outside, from the host and from another guest.
fn everywhere(host: &mut Host) {
    let other = host.guest("b", &["10.78.9.250/24"]);
    host.connect(&["a", "b"]);
    drop(host.kiln(&["forward", "add", NAME, "5353:22/udp", "--listen", &host.address]).success());
    drop(host.kiln(&["forward", "add", NAME, "5353:22/udp", "--listen", "127.0.0.1"]).success());
    drop(host.kiln(&["forward", "add", NAME, "8022:22", "--listen", "127.0.0.1"]).success());
    let outside = host.outside();
    host.expect_outside("2201", &outside);
    host.expect(&[], ("udp", &host.address, "5353"), &outside);
    let on = host.there();
    for kind in ["tcp", "udp"] {
        let port = if kind == "tcp" { "2201" } else { "5353" };
        host.expect(&on, (kind, &host.address, port), &host.address);
        host.expect(&on, (kind, "127.0.0.1", port), "10.78.9.1");
    }
    let guest = ["ip", "netns", "exec", &other];
    host.expect(&guest, ("tcp", &host.address, "2201"), "10.78.9.1");
    host.expect(&guest, ("tcp", "10.78.9.1", "2201"), "10.78.9.1");
    host.expect(&guest, ("udp", &host.address, "5353"), "10.78.9.1");
    // One on the host's loopback is for the host alone.
    host.expect(&on, ("tcp", "127.0.0.1", "8022"), "10.78.9.1");
    host.expect(&on, ("tcp", &host.address, "8022"), "none");
    host.expect_outside("8022", "none");
    let states = host.states();
    assert!(states.iter().all(|(_, state)| state == "in-place"), "{states:?}");
    assert_eq!(states.len(), 4);
}

/// After a restart of libvirt and of its network, and after the packet filter was flushed: by a
/// command, then by the hooks.
fn comes_back(host: &Host) {
    let outside = host.outside();
    let rules = host.rules();
    host.restart_libvirt();
    host.restart_network();
    host.expect_outside("2201", &outside);
    assert_eq!(host.rules(), rules);
    drop(host.on(&["nft", "flush", "ruleset"]).success());
    assert!(host.states().iter().all(|(_, state)| state == "missing"));
    host.expect_outside("2201", "none");
    // libvirt's rules come back first, and refuse. (Its networks do not start before that.)
    host.restart_libvirt();
    assert_eq!(host.rules(), Vec::<String>::new());
    host.expect_outside("2201", "none");
    drop(host.kiln(&["forward", "restore"]).success());
    host.expect_outside("2201", &outside);
    assert_eq!(host.rules().len(), rules.len());

    let doctor = |args: &[&str]| {
        let all = host.kiln(&[&["doctor", "--json"], args].concat()).stdout;
        let all: Value = serde_json::from_str(&all).expect("JSON");
        let all = all["findings"].as_array().expect("findings").clone();
        let found = all.into_iter().find(|f| f["need"] == "forwards").expect("a finding");
        found["verdict"].as_str().expect("a verdict").to_owned()
    };
    assert_eq!(doctor(&[]), "warning");
    assert_eq!(doctor(&["--fix"]), "ok");
    // Hooks are looked for at the start of libvirt, and that one is heeded already.
    drop(host.on(&["nft", "flush", "ruleset"]).success());
    host.restart_libvirt();
    host.expect_outside("2201", &outside);
    drop(host.on(&["nft", "delete", "table", "inet", "kiln"]).success());
    host.restart_network();
    host.expect_outside("2201", &outside);
    let whole = || host.rules().len() == rules.len();
    assert!(until(SOON, whole), "{:?}", host.rules());
}

/// Each bad forward: what is asked, the exit code, and words of the message.
fn refused(host: &Host, lab: &Lab) {
    let other = "kt-fwd-2";
    let image = phony(lab);
    let launch = ["launch", &image, other, "--no-wait", "--network", NETWORK];
    drop(host.kiln(&[&launch[..], &["--forward", "8080:80"]].concat()).success());
    let isolated =
        ["network", "create", "kt-fwd-iso", "--mode", "isolated", "--subnet", "10.78.8.0/24"];
    drop(host.kiln(&isolated).success());
    let listener =
        host.on(&["sh", "-c", "nc -l 127.0.0.1 8081 >/dev/null 2>&1 & echo $!"]).success();
    let taken = || host.on(&["ss", "-Hlnt", "sport = :8081"]).stdout.contains("8081");
    assert!(until(SOON, taken), "somebody listens");
    let bad = ["launch", image.as_str(), "kt-fwd-bad", "--no-wait", "--network"];
    let table: &[(&[&str], i32, &str)] = &[
        (&["forward", "add", NAME, "8080:80"], 4, "leads to port 80 of `kt-fwd-2` already"),
        (&["forward", "add", NAME, "2201:80"], 4, "leads to port 22 of `kt-fwd` already"),
        (&["forward", "add", NAME, "8081:80"], 4, "a program of the host listens on 127.0.0.1"),
        (&["forward", "add", NAME, "53:53/udp"], 4, "listens on 10.78."),
        (&["forward", "add", NAME, "0:80"], 2, "`0` is no port"),
        (&["forward", "add", NAME, "80"], 2, "`80` is no forward"),
        (&["forward", "add", NAME, "9000:1", "9000:2"], 2, "is asked for twice"),
        (
            &["forward", "add", NAME, "9000:1", "--listen", "192.0.2.1"],
            2,
            "no address of this host",
        ),
        (&["forward", "add", "kt-fwb", "9000:1"], 4, "did you mean `kt-fwd`?"),
        (&["forward", "rm", NAME, "9000"], 4, "no forward of the host's port 9000/tcp"),
        (&["forward", "rm", NAME, "5353/udp"], 2, "say which by `--listen ADDRESS`"),
        (&[&bad[..], &["kt-fwd-iso", "--forward", "9000:1"]].concat(), 4, "is isolated"),
        (&[&bad[..], &[NETWORK, "--forward", "8080:1"]].concat(), 4, "`kt-fwd-2` already"),
        (&[&bad[..], &[NETWORK, "-n", "2", "--forward", "65535:1"]].concat(), 2, "ports end at"),
    ];
    let before = host.rules();
    for (args, code, words) in table {
        let out = host.kiln(args);
        assert_eq!(out.code, *code, "{args:?}: {}", out.stderr);
        assert!(out.stderr.contains(words), "{args:?}: {}", out.stderr);
    }
    assert_eq!(host.rules(), before);
    // Several machines have their ports one after the other.
    let would = ["-n", "2", "--forward", "9000:1", "--dry-run"];
    let would = host.kiln(&[&bad[..], &[NETWORK], &would].concat()).success().stdout;
    for line in ["forward the host's port 9000/tcp", "forward the host's port 9001/tcp"] {
        assert!(would.contains(line), "{would}");
    }
    // Without rights, and from elsewhere.
    let kiln = env!("CARGO_BIN_EXE_kiln");
    let home = format!("KILN_HOME={}", host.home.display());
    let bare = ["capsh", "--drop=cap_net_admin", "--", "-c"];
    let line = format!("{home} {kiln} forward add {NAME} 9000:1");
    if need_program("capsh") {
        let out = host.on(&[&bare[..], &[&line]].concat());
        assert!(out.code == 5 && out.stderr.contains("only root may"), "{}", out.stderr);
    }
    let uri = fs::read_to_string(format!("{}/uri", host.folder)).expect("its URI");
    let out = lab.kiln(&["-c", uri.trim(), "forward", "add", NAME, "9000:1"]);
    assert!(out.code == 5 && out.stderr.contains("run it on the host itself"), "{}", out.stderr);
    drop(run(&["kill", listener.stdout.trim()]));
    drop(host.kiln(&["rm", other]).success());
    assert_eq!(host.states().len(), 4);
}

/// Two at once: both are done, or one is told that the other has the port.
fn at_once(host: &Host) {
    let ended = |children: Vec<Child>| -> Vec<Option<i32>> {
        let codes =
            children.into_iter().map(|c| c.wait_with_output().expect("it ends").status.code());
        let mut codes: Vec<_> = codes.collect();
        codes.sort_unstable();
        codes
    };
    let ports = ["9001:1", "9002:1", "9003:1", "9004:1"];
    let all = ports.map(|port| host.spawn(&["forward", "add", NAME, port])).into();
    assert_eq!(ended(all), [Some(0); 4]);
    let states = host.states();
    assert_eq!(states.len(), 8, "{states:?}");
    assert!(states.iter().all(|(_, state)| state == "in-place"), "{states:?}");
    let same = ["1", "2"].map(|to| host.spawn(&["forward", "add", NAME, &format!("9005:{to}")]));
    assert_eq!(ended(same.into()), [Some(0), Some(4)]);
}

/// Kills an add at moments spread over its whole length: the next command makes it right.
fn killed(host: &Host) {
    let add = ["forward", "add", NAME, "9000:1"];
    let began = Instant::now();
    drop(host.kiln(&add).success());
    let whole = began.elapsed();
    drop(host.kiln(&["forward", "rm", NAME, "9000"]).success());
    let rules = host.rules();
    for n in 0..12_u32 {
        let whole = !kill_at(host.spawn(&add), whole, n);
        let states = host.states();
        let there = states.iter().any(|(port, _)| *port == 9000);
        assert!(there || !whole, "after kill {n}: {states:?}");
        assert!(states.iter().all(|(_, state)| state == "in-place"), "after kill {n}: {states:?}");
        if there {
            drop(host.kiln(&["forward", "rm", NAME, "9000"]).success());
        }
        assert_eq!(host.rules(), rules, "after kill {n}");
    }
}

/// A machine's forwards go with it.
fn gone(host: &Host) {
    let removed = host.json(&["rm", NAME]);
    let what = removed["removed"][0]["what"].as_array().expect("what").clone();
    assert!(what.contains(&json!("forward of the host's port 2201/tcp")), "{what:?}");
    assert_eq!(host.rules(), Vec::<String>::new());
    assert_eq!(host.states(), []);
    let journals = fs::read_dir(host.home.join("journal")).map_or(0, Iterator::count);
    assert_eq!(journals, 0);
}
