// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A DNS server of one's own: BIND's `named`, on a port of the loopback, with zones in a folder.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::{need_program, run};

/// The zone of names.
pub const ZONE: &str = "lab.example";
/// The zones of private addresses.
pub const REVERSE: [&str; 3] = ["10.in-addr.arpa", "168.192.in-addr.arpa", "d.f.ip6.arpa"];
/// How long it may take to start on a busy machine.
const START: Duration = Duration::from_secs(30);

/// A server that runs until this is dropped.
#[derive(Debug)]
pub struct Named {
    child: Child,
    folder: PathBuf,
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    /// The file of the key that may change its zones.
    pub key: PathBuf,
    /// The file of a key of the same name with another secret.
    pub wrong: PathBuf,
}

impl Named {
    /// Starts a server with its files in `folder`, which is there. `None` if BIND is not installed.
    ///
    /// # Panics
    ///
    /// As [`crate::need`]; if it does not start.
    #[must_use]
    #[track_caller]
    pub fn start(folder: &Path) -> Option<Self> {
        let there = ["named", "tsig-keygen", "dig", "nsupdate"].map(need_program);
        if there.contains(&false) {
            return None;
        }
        let port = free_port();
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).expect("a file of the server can be written");
            path
        };
        let keygen = |file: &str| write(file, &run(&["tsig-keygen", "kiln"]).success().stdout);
        let (key, wrong) = (keygen("kiln.key"), keygen("wrong.key"));
        let shown = folder.display();
        let mut config = format!(
            "include \"{shown}/kiln.key\";\ncontrols {{ }};\noptions {{ directory \"{shown}\"; \
             listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; pid-file none; \
             session-keyfile \"{shown}/session.key\"; recursion no; dnssec-validation no; \
             notify no; }};\n"
        );
        let soa = "$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n";
        for zone in REVERSE.iter().chain([&ZONE]) {
            write(&format!("{zone}.zone"), soa);
            config.push_str(&format!(
                "zone \"{zone}\" {{ type primary; file \"{zone}.zone\"; allow-update {{ key kiln; }}; }};\n"
            ));
        }
        // A zone that the key may not change.
        write("closed.example.zone", soa);
        config
            .push_str("zone \"closed.example\" { type primary; file \"closed.example.zone\"; };\n");
        write("named.conf", &config);
        // AppArmor holds the one in its usual place to its usual folders.
        // Not copied here: what this process starts meanwhile would have the copy open, too, and no
        // program that somebody may write to can be started.
        let program = folder.join("named").display().to_string();
        drop(run(&["sh", "-c", "cp \"$(command -v named)\" \"$1\"", "sh", &program]).success());
        let child = spawn(folder);
        let mut named = Self { child, folder: folder.to_owned(), port, key, wrong };
        named.await_start();
        Some(named)
    }

    /// Ends the server: nobody answers on its port.
    ///
    /// # Panics
    ///
    /// If it cannot be ended.
    pub fn stop(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Starts the server again after [`Named::stop`], with what was in its zones.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn start_again(&mut self) {
        self.child = spawn(&self.folder);
        self.await_start();
    }

    fn await_start(&mut self) {
        let began = Instant::now();
        while self.dig(ZONE, "SOA").is_empty() {
            let gone = self.child.try_wait().expect("it can be asked for").is_some();
            let log = || fs::read_to_string(self.folder.join("named.log")).unwrap_or_default();
            assert!(!gone && began.elapsed() < START, "named did not start:\n{}", log());
            // There is no event for that.
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// Asks BIND's own program what stands behind a name: a line each, in order.
    ///
    /// # Panics
    ///
    /// If `dig` cannot be started.
    #[must_use]
    pub fn dig(&self, name: &str, kind: &str) -> Vec<String> {
        let port = self.port.to_string();
        let asked = ["dig", "@127.0.0.1", "-p", &port, "+short", "+time=2", "+tries=1", name, kind];
        let out = run(&asked);
        // Without an answer it prints why, as comments.
        let lines = out.stdout.lines().filter(|line| !line.starts_with(';'));
        let mut lines: Vec<String> = lines.map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// Returns what a zone has besides its own head: a name, a type and what stands behind it each.
    ///
    /// # Panics
    ///
    /// If it cannot be asked.
    #[must_use]
    pub fn zone(&self, zone: &str) -> Vec<String> {
        let port = self.port.to_string();
        let asked = ["dig", "@127.0.0.1", "-p", &port, "+noall", "+answer", zone, "AXFR"];
        let out = run(&asked).success().stdout;
        let all: Vec<Vec<&str>> =
            out.lines().map(|line| line.split_whitespace().collect()).collect();
        assert!(all.iter().any(|words| words.get(3) == Some(&"SOA")), "no zone: {out}");
        let head = |words: &&Vec<&str>| {
            matches!(words.get(3), Some(&("SOA" | "NS"))) || words[0].starts_with("ns.")
        };
        let own = all.iter().filter(|words| !head(words));
        // Without TTL and class.
        own.map(|words| [&words[..1], &words[3..]].concat().join(" ")).collect()
    }

    /// Changes a zone as somebody else would, by BIND's own program: `add web1.lab.example 60 A 10.0.0.9`.
    ///
    /// # Panics
    ///
    /// If that fails.
    pub fn nsupdate(&self, lines: &[&str]) {
        let script = self.folder.join("nsupdate.txt");
        let text = format!("server 127.0.0.1 {}\n{}\nsend\n", self.port, lines.join("\n"));
        fs::write(&script, text).expect("a script");
        let (key, script) = (self.key.display().to_string(), script.display().to_string());
        drop(run(&["nsupdate", "-k", &key, &script]).success());
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn spawn(folder: &Path) -> Child {
    let log = fs::File::options().create(true).append(true).open(folder.join("named.log"));
    #[expect(clippy::disallowed_methods, reason = "a server that runs beside the test")]
    std::process::Command::new(folder.join("named"))
        .args(["-g", "-n", "1", "-c"])
        .arg(folder.join("named.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log.expect("a log"))
        .spawn()
        .expect("named can be started")
}

/// Returns a port that nobody has now, for UDP and TCP.
fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = tcp.local_addr().expect("its number").port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
