// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A bundle of a running machine over SSH: this one, by a server of the test's own.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use kiln_testkit::{need_program, need_root, run};

use crate::support::Lab;

/// A server that lets root in by a key.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(lab: &Lab) -> Self {
        let (host, key) = (lab.path("host_key"), lab.path("key"));
        for file in [&host, &key] {
            let _ = run(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file]).success();
        }
        fs::create_dir_all("/run/sshd").expect("a folder");
        let port =
            TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it").port();
        let config = lab.path("sshd_config");
        let text = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {host}\nAuthorizedKeysFile {key}.pub\n\
             StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\n"
        );
        fs::write(&config, text).expect("written");
        #[expect(clippy::disallowed_methods, reason = "a server that runs beside the test")]
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", &config])
            .stderr(Stdio::null())
            .spawn()
            .expect("sshd");
        let server = Self { child, port };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn a_running_machine_is_read_by_its_own_tar() {
    let root = need_root("reading a whole machine");
    let Some(lab) = Lab::new() else { return };
    if !root || !["sshd", "ssh-keygen", "ssh", "ssh-keyscan"].into_iter().all(need_program) {
        return;
    }
    let server = Server::start(&lab);
    // ssh trusts what the user's own file says; there is none for a port of a test.
    let place = format!("root@127.0.0.1:{}", server.port);
    let unknown = lab.bundle(&["create", &place, "-i", &lab.path("key"), "-o", &lab.path("no")]);
    assert_eq!(unknown.code, 7, "{}", unknown.stderr);
    assert!(
        unknown.stderr.contains("could not read the files of `127.0.0.1`"),
        "{}",
        unknown.stderr
    );
    assert!(!lab.left().iter().any(|name| name == "no" || name.starts_with(".kiln-")));

    let known = lab.path("known_hosts");
    let scanned = run(&["ssh-keyscan", "-p", &server.port.to_string(), "127.0.0.1"]).success();
    fs::write(&known, scanned.stdout).unwrap();
    let option = format!("UserKnownHostsFile={known}");
    // Of this machine only /etc, and one folder of the test's own.
    let mut args = vec!["create".to_owned(), place];
    args.extend(["-i".to_owned(), lab.path("key"), "--ssh-option".to_owned(), option]);
    args.extend(["-o".to_owned(), lab.path("m.tar.zst"), "--name".to_owned(), "m".to_owned()]);
    for entry in fs::read_dir("/").unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name != "etc" {
            args.extend(["--exclude".to_owned(), format!("/{name}")]);
        }
    }
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let made = lab.json(&words);
    assert_eq!((&made["bundle"]["from"], &made["bundle"]["name"]), (&"ssh".into(), &"m".into()));
    let names = run(&["tar", "--zstd", "-tf", &lab.path("m.tar.zst")]).success().stdout;
    assert!(names.contains("./etc/passwd\n") && !names.contains("./usr"), "{names}");
    let listed =
        run(&["tar", "--zstd", "--numeric-owner", "-tvf", &lab.path("m.tar.zst"), "./etc/shadow"]);
    assert!(listed.success().stdout.starts_with("-rw-r-----"));
}
