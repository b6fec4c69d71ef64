// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln seed serve`: cloud-init's own code fetches, and strangers get nothing.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};

use kiln_testkit::{Output, need, run, run_with};
use serde_json::{Value, json};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA a@b";

/// A folder with a seed `web1`, as a folder, and `db1`, as a drive.
struct Lab {
    folder: tempfile::TempDir,
}

/// A server, and what it says. Ended when it is dropped.
struct Server {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Lab {
    fn new() -> Self {
        let lab = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(lab.folder.path().join("key.pub"), KEY).unwrap();
        let secret = "#cloud-config\npackages: [vim]\n";
        fs::write(lab.folder.path().join("u.yaml"), secret).unwrap();
        let (key, data) = (lab.path("key.pub"), lab.path("u.yaml"));
        let more = ["--ssh-key", &key, "--user-data", &data];
        for (output, name, kind) in [
            ("web1", "web1", &["--folder"][..]),
            ("db1.iso", "db1", &[]),
            ("os.iso", "os", &OPENSTACK),
        ] {
            let output = lab.path(output);
            let args = ["seed", "build", &output, "--hostname", name];
            drop(lab.kiln(&[&args[..], &more, kind].concat()).success());
        }
        lab
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn kiln(&self, args: &[&str]) -> Output {
        let home = self.path("home");
        run_with(&[&[env!("CARGO_BIN_EXE_kiln")], args].concat(), &[("KILN_HOME", &home)])
    }

    #[expect(clippy::disallowed_methods, reason = "the server is a child that ends with the test")]
    fn serve(&self, more: &[&str]) -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kiln"))
            .env("KILN_HOME", self.path("home"))
            .args(["seed", "serve", "--listen", "127.0.0.1:0"])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let url = match serde_json::from_str::<Value>(&first) {
            Ok(json) => json["listening"].as_str().unwrap().to_owned(),
            Err(_) => first,
        };
        let address = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Server { child, lines, address }
    }
}

const OPENSTACK: [&str; 2] = ["--datasource", "configdrive"];

impl Server {
    /// Sends these bytes and returns what is answered.
    fn asked(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn get(&self, path: &str) -> String {
        self.asked(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"))
    }

    fn line(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }
}

#[test]
fn cloud_init_fetches_its_seed_by_the_serial_number() {
    let python = ["/usr/bin/python3", "-c", "import cloudinit"];
    if !need(run(&python).code == 0, "Python's cloudinit") {
        return;
    }
    let lab = Lab::new();
    let mut server = lab.serve(&[&lab.path("web1"), &lab.path("db1.iso")]);
    for name in ["web1", "db1"] {
        let serial = format!("ds=nocloud;dsmode=net;s=http://{}/{name}/", server.address);
        let question = json!({ "ask": "seed_net", "about": serial }).to_string();
        fs::write(lab.path("question.json"), question).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../kiln-guest/tests/guest.py");
        let seen = run_with(
            &["/usr/bin/python3", script, &lab.path("question.json")],
            &[("no_proxy", "127.0.0.1")],
        );
        let seen: Value = serde_json::from_str(&seen.success().stdout).unwrap();
        assert_eq!(seen["found"], json!([false, true]), "{seen}");
        // In the mode `local` nothing would be done with it once there is a network.
        assert_eq!(seen["mode"], "net", "{seen}");
        assert_eq!(seen["metadata"]["local-hostname"], name, "{seen}");
        assert_eq!(seen["user"]["config"]["packages"], json!(["vim"]));
        assert_eq!(seen["user"]["keys"], json!({ "debian": [KEY] }));
        // In what order they are asked for is cloud-init's affair.
        let mut lines = [server.line(), server.line(), server.line()];
        lines.sort();
        let begins = ["meta-data 200 ", "user-data 200 ", "vendor-data 200 0"];
        for (line, begin) in lines.iter().zip(begins) {
            assert!(line.starts_with(&format!("127.0.0.1 GET /{name}/{begin}")), "{line}");
        }
    }
    // It ends in good order.
    let pid = rustix::process::Pid::from_child(&server.child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[test]
fn nothing_else_is_handed_out() {
    let lab = Lab::new();
    let mut server = lab.serve(&[&lab.path("web1"), "--json"]);
    let whole = server.get("/web1/meta-data");
    assert!(whole.starts_with("HTTP/1.1 200 OK\r\n"), "{whole}");
    assert!(whole.ends_with("\nlocal-hostname: web1\n"), "{whole}");
    let line: Value = serde_json::from_str(&server.line()).unwrap();
    assert_eq!((&line["path"], &line["status"]), (&json!("/web1/meta-data"), &json!(200)));
    // The same with what cloud-init may put behind it, and without a body.
    assert_eq!(server.get("/web1/meta-data?x=1"), whole);
    let head = server.asked("HEAD /web1/meta-data HTTP/1.1\r\n\r\n");
    assert_eq!(head, whole.split_inclusive("\r\n\r\n").next().unwrap());
    for path in [
        "/",
        "/web1",
        "/web1/",
        "/web1/key.pub",
        "/web1/../key.pub",
        "/../../etc/passwd",
        "/web1//meta-data",
        "/web1/meta-data/",
        "/%77eb1/meta-data",
        "/key.pub/meta-data",
        "//web1/meta-data",
        "http://a/web1/meta-data",
        "/kt-no-such/user-data",
    ] {
        let answer = server.get(path);
        assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{path}: {answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{path}: {answer}");
    }
    let status = |request: &str| server.asked(request).split(' ').nth(1).unwrap_or("").to_owned();
    assert_eq!(status("POST /web1/meta-data HTTP/1.1\r\n\r\n"), "405");
    assert_eq!(status("\u{1}\u{2} hello\r\n\r\n"), "400");
    assert_eq!(status(&format!("GET /{} HTTP/1.1\r\n", "a".repeat(9000))), "431");
    // One that says nothing does not keep the others from being answered.
    let silent = TcpStream::connect(&server.address).unwrap();
    assert_eq!(server.get("/web1/meta-data"), whole);
    silent.shutdown(Shutdown::Both).unwrap();
}

#[test]
fn what_cannot_be_served_is_refused_at_the_beginning() {
    let lab = Lab::new();
    let taken = lab.serve(&[&lab.path("web1")]);
    let (web1, openstack) = (lab.path("web1"), lab.path("os.iso"));
    for (args, code, said) in [
        (vec!["127.0.0.1:0", &openstack], 4, "is a drive of the kind `configdrive`"),
        (vec!["127.0.0.1:0", "/no/such.iso"], 4, "/no/such.iso"),
        (vec!["127.0.0.1:0", &web1, &web1], 2, "two of the seeds would be served as `web1`"),
        (vec![&taken.address, &web1], 5, "could not listen on"),
        (vec!["eth0:80"], 2, "is no address to listen on"),
    ] {
        let out = lab.kiln(&[&["seed", "serve", "--listen"], args.as_slice()].concat());
        assert_eq!(out.code, code, "{args:?}: {}", out.stderr);
        assert!(out.stderr.contains(said), "{args:?}: {}", out.stderr);
    }
}
