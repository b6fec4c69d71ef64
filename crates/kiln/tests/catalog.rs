// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The verbs of catalogs, and `kiln image pull`, against a server that lies.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use kiln_testkit::http::{Lie, Server};
use kiln_testkit::{Files, Output, Rng, need_program, run, run_with};
use serde_json::Value;

/// A folder with a repository that Kiln made, unsigned, and a home of its own.
struct Lab {
    folder: tempfile::TempDir,
    server: Server,
}

impl Lab {
    /// `debian-12`: a small Debian, and 20 MiB that do not pack, so that there are ranges.
    fn new() -> Option<Self> {
        if !["mke2fs", "debugfs", "qemu-img"].into_iter().all(need_program) {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let www = folder.path().join("www");
        fs::create_dir(&www).unwrap();
        let noise: String =
            Rng::new(1).bytes(10 << 20).iter().map(|b| format!("{b:02x}")).collect();
        let files = Files::debian().file("usr/share/noise", &noise);
        files.ext(&www.join("debian-12.raw"), "64M", &["-t", "ext4"]);
        let lab = Self { server: Server::start(&www), folder };
        let shown = www.display().to_string();
        drop(lab.kiln(&["catalog", "sign", "--unsigned", "--level", "0", &shown]).success());
        let uri = lab.server.url("index");
        drop(lab.kiln(&["catalog", "add", "--unsigned", "lab", &uri]).success());
        Some(lab)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn envs(&self) -> [(&'static str, String); 5] {
        let none = self.path("none").display().to_string();
        [
            ("KILN_HOME", self.path("home").display().to_string()),
            ("XDG_CONFIG_HOME", none.clone()),
            ("XDG_CONFIG_DIRS", none.clone()),
            ("VIRT_BUILDER_DIRS", none),
            ("no_proxy", "127.0.0.1".into()),
        ]
    }

    fn kiln(&self, args: &[&str]) -> Output {
        let envs = self.envs();
        let envs: Vec<_> = envs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        run_with(&[&[env!("CARGO_BIN_EXE_kiln")], args].concat(), &envs)
    }

    fn json(&self, args: &[&str]) -> Value {
        let out = self.kiln(&[&["--json"], args].concat()).success();
        serde_json::from_str(&out.stdout).unwrap()
    }

    /// Starts a pull and does not wait for it.
    fn start(&self) -> Child {
        #[expect(clippy::disallowed_methods, reason = "a process that the test kills")]
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_kiln"));
        command.args(["image", "pull", "lab/debian-12", "--connections", "1"]).envs(self.envs());
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn store(&self, name: &str) -> PathBuf {
        self.path("home/store").join(name)
    }

    fn left(&self, folder: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.store(folder));
        entries.map_or_else(|_| Vec::new(), |all| all.map(|e| e.unwrap().path()).collect())
    }

    /// The path of the image's file on the server.
    const FILE: &str = "debian-12.raw.xz";
}

fn wait_for(what: &str, mut met: impl FnMut() -> bool) {
    let began = Instant::now();
    while !met() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn an_image_is_found_pulled_proven_and_kept() {
    let Some(lab) = Lab::new() else { return };
    let list = lab.kiln(&["catalog", "list"]).success().stdout;
    assert!(list.contains("lab "), "{list}");
    assert!(list.contains("UNSIGNED: anybody who can change it is believed"), "{list}");
    let found = lab.json(&["catalog", "search", "--catalog", "lab"]);
    assert_eq!(found["images"][0]["name"], "debian-12");
    assert_eq!(found["images"][0]["proven_by"], "checksum, UNSIGNED");
    let info = lab.kiln(&["catalog", "info", "lab/debian-12"]).success().stdout;
    assert!(info.contains("proven by  checksum, UNSIGNED"), "{info}");

    let plan = lab.kiln(&["image", "pull", "--dry-run", "lab/debian-12"]).success().stdout;
    assert!(plan.starts_with("would pull Debian"), "{plan}");
    drop(lab.server.requests());
    let out = lab.kiln(&["image", "pull", "lab/debian-12"]).success();
    assert_eq!(out.stdout, "debian-12\n");
    assert!(out.stderr.contains("is UNSIGNED"), "{}", out.stderr);
    let ranges = lab.server.requests().iter().filter(|r| r.range().is_some()).count();
    assert!(ranges > 2, "{ranges} ranges");
    assert_eq!(lab.left("downloads"), [""; 0].map(PathBuf::from));

    let image = lab.json(&["image", "info", "debian-12"]);
    assert_eq!(image["made"]["by"], "catalog");
    assert_eq!(image["os"]["id"], "debian");
    let disk = lab
        .store("images/sha256")
        .join(image["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap());
    let disk = disk.join("disk.qcow2").display().to_string();
    let raw = lab.path("www/debian-12.raw").display().to_string();
    drop(run(&["qemu-img", "compare", "-f", "raw", "-F", "qcow2", &raw, &disk]).success());

    // Again: only the index is asked.
    drop(lab.server.requests());
    let again = lab.json(&["image", "pull", "--as", "other", "lab/debian-12"]);
    assert_eq!(again["cached"], true);
    assert!(lab.server.requests().iter().all(|r| r.path == "/index"));

    // A new revision is seen when that is asked for.
    let none = lab.json(&["image", "list", "--updates"]);
    assert_eq!(none["images"][0]["update"], Value::Null);
    Files::debian().ext(&lab.path("www/debian-12.raw"), "32M", &["-t", "ext4"]);
    let shown = lab.path("www").display().to_string();
    drop(lab.kiln(&["catalog", "sign", "--unsigned", "--level", "0", &shown]).success());
    let some = lab.json(&["image", "list", "--updates"]);
    assert_eq!(some["images"][0]["update"], "2");
}

#[test]
fn what_is_wrong_leaves_nothing_and_says_why() {
    let Some(lab) = Lab::new() else { return };
    let pull = |lie: Option<Lie>| {
        lab.server.honest();
        if let Some(lie) = lie {
            lab.server.lie(Lab::FILE, lie);
        }
        lab.kiln(&["image", "pull", "lab/debian-12"])
    };
    let out = pull(Some(Lie::Flip(9 << 20)));
    assert_eq!(out.code, 3, "{}", out.stderr);
    assert!(out.stderr.contains("is not what the catalog says"), "{}", out.stderr);
    let out = pull(Some(Lie::Status(404)));
    assert_eq!(out.code, 6, "{}", out.stderr);
    assert!(out.stderr.contains("there is no such file"), "{}", out.stderr);
    let out = pull(Some(Lie::WrongRange));
    assert_eq!(out.code, 3, "{}", out.stderr);
    for folder in ["images/sha256", "images/names", "tmp"] {
        assert_eq!(lab.left(folder), [""; 0].map(PathBuf::from), "{folder}");
    }
    let out = lab.kiln(&["image", "pull", "lab/debian-13"]);
    assert_eq!(out.code, 4, "{}", out.stderr);
    assert!(out.stderr.contains("did you mean `debian-12`?"), "{}", out.stderr);
    assert_eq!(lab.kiln(&["image", "pull", "lab/debian-12", "--arch", "s390x"]).code, 4);
    assert_eq!(lab.kiln(&["image", "pull", "nowhere/debian-12"]).code, 4);
    drop(pull(None).success());
}

#[test]
fn a_killed_pull_goes_on_where_it_was_and_two_share_one_download() {
    let Some(lab) = Lab::new() else { return };
    lab.server.lie(Lab::FILE, Lie::Slow(6 << 20));
    let mut first = lab.start();
    wait_for("the first chunk", || {
        lab.left("downloads").first().is_some_and(|folder| folder.join("state").exists())
    });
    first.kill().unwrap();
    first.wait().unwrap();
    lab.server.honest();
    lab.server.forget();
    let mut two = [lab.start(), lab.start()];
    for child in &mut two {
        assert!(child.wait().unwrap().success());
    }
    let mut starts: Vec<u64> = lab
        .server
        .requests()
        .iter()
        .filter(|r| r.path == format!("/{}", Lab::FILE))
        .filter_map(|r| r.range())
        .filter(|range| *range != (0, Some(0)))
        .map(|(first, _)| first)
        .collect();
    let all = starts.len();
    starts.sort_unstable();
    starts.dedup();
    assert_eq!(starts.len(), all, "no range is fetched twice");
    assert!(!starts.is_empty() && !starts.contains(&0), "{starts:?}");
    assert_eq!(lab.json(&["image", "list"])["images"].as_array().unwrap().len(), 1);
}

#[test]
fn trust_is_asked_for_and_never_assumed() {
    let Some(lab) = Lab::new() else { return };
    let uri = lab.server.url("index");
    assert_eq!(lab.kiln(&["catalog", "add", "x", &uri]).code, 2);
    assert_eq!(lab.kiln(&["catalog", "add", "x", &uri, "--fingerprint", "DEADBEEF"]).code, 2);
    assert_eq!(lab.kiln(&["catalog", "add", "lab", &uri, "--unsigned"]).code, 4);
    // A definition as virt-builder takes it, which would check nothing.
    let silent = format!("[silent]\nuri={uri}\n");
    let folder = lab.path("none/virt-builder/repos.d");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("silent.conf"), silent).unwrap();
    let list = lab.kiln(&["catalog", "list"]).success().stdout;
    assert!(list.contains("not read: nothing says who may sign it"), "{list}");
    let out = lab.kiln(&["image", "pull", "silent/debian-12"]);
    assert_eq!(out.code, 3, "{}", out.stderr);
    assert!(
        out.stderr.contains("nothing says who may sign the catalog `silent`"),
        "{}",
        out.stderr
    );
    assert_eq!(lab.kiln(&["catalog", "rm", "silent"]).code, 4);
    if need_program("gpg") && need_program("gpgv") {
        let key = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../kiln-build/src/catalog/builtin/keys/ubuntu.asc");
        let key = key.display().to_string();
        let out = lab.kiln(&["catalog", "add", "signed", &uri, "--key", &key]);
        assert_eq!(out.code, 3, "{}", out.stderr);
        assert!(out.stderr.contains("is not signed"), "{}", out.stderr);
    }
    // A password in an address is shown nowhere.
    let secret = uri.replace("http://", "http://me:hunter2@");
    let out = lab.kiln(&["-v", "catalog", "add", "secret", &secret, "--unsigned", "--no-check"]);
    let out = out.success();
    let list = lab.kiln(&["catalog", "list"]).success();
    let search = lab.kiln(&["-v", "catalog", "search", "--catalog", "secret"]);
    for text in [out.stderr, list.stdout, search.stderr, search.stdout] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    drop(lab.kiln(&["catalog", "rm", "secret", "lab"]).success());
    assert_eq!(lab.json(&["catalog", "list"])["catalogs"].as_array().unwrap().len(), 2);
}

/// `openssl s_server` on a port of its own, with a certificate for 127.0.0.1 of an authority of its own.
struct TlsServer {
    child: Child,
    port: String,
    /// It ends if nobody reads what it says.
    _said: Lines<BufReader<ChildStdout>>,
}

impl TlsServer {
    /// Serves a folder; `keys` gets `ca.pem`, among others.
    fn start(folder: &Path, keys: &Path) -> Self {
        let at = |name: &str| keys.join(name).display().to_string();
        let [ca, ca_key, key, cert] = ["ca.pem", "ca.key", "key", "cert"].map(at);
        let new = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-days", "2"];
        let ours = ["-x509", "-subj", "/CN=Kiln test", "-keyout", &ca_key, "-out", &ca];
        drop(run(&[&new[..], &ours].concat()).success());
        let request = at("request");
        let theirs = ["-subj", "/CN=127.0.0.1", "-keyout", &key, "-out", &request];
        drop(run(&[&new[..], &theirs].concat()).success());
        let extensions = at("extensions");
        fs::write(&extensions, "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n").unwrap();
        let sign = ["openssl", "x509", "-req", "-days", "2", "-in", &request, "-out", &cert];
        let by = ["-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial", "-extfile", &extensions];
        drop(run(&[&sign[..], &by].concat()).success());
        #[expect(clippy::disallowed_methods, reason = "a server that the test stops")]
        let mut command = std::process::Command::new("openssl");
        command.args(["s_server", "-WWW", "-accept", "127.0.0.1:0", "-cert", &cert, "-key", &key]);
        command.current_dir(folder).stdin(Stdio::null()).stderr(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = said.by_ref().map_while(Result::ok).find_map(|line| {
            line.strip_prefix("ACCEPT ")?.rsplit_once(':').map(|(_, port)| port.to_owned())
        });
        Self { child, port: port.unwrap(), _said: said }
    }

    fn url(&self, host: &str, file: &str) -> String {
        format!("https://{host}:{}/{file}", self.port)
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_server_with_tls_is_who_its_certificate_says() {
    if !need_program("openssl") {
        return;
    }
    let Some(lab) = Lab::new() else { return };
    fs::write(lab.path("www/x.tar.zst.json"), "no manifest").unwrap();
    let server = TlsServer::start(&lab.path("www"), lab.folder.path());
    let ca = lab.path("ca.pem").display().to_string();
    let kiln = |certificates: &str, args: &[&str]| {
        let envs = lab.envs();
        let envs = envs.iter().map(|(name, value)| (*name, value.as_str()));
        let envs: Vec<_> = envs.chain([("SSL_CERT_FILE", certificates)]).collect();
        run_with(&[&[env!("CARGO_BIN_EXE_kiln")], args].concat(), &envs)
    };
    let add = |certificates: &str, host: &str| {
        let url = server.url(host, "index");
        kiln(certificates, &["catalog", "add", "--unsigned", "tls", &url])
    };
    // Nobody that this host trusts has signed it; and it is not the name that was asked for.
    for (certificates, host) in [("", "127.0.0.1"), (ca.as_str(), "localhost")] {
        let out = add(certificates, host);
        assert_eq!(out.code, 6, "{host}: {}", out.stderr);
        assert!(out.stderr.contains("certificate"), "{host}: {}", out.stderr);
    }
    drop(add(&ca, "127.0.0.1").success());
    drop(kiln(&ca, &["image", "pull", "tls/debian-12", "--connections", "1"]).success());
    assert_eq!(lab.json(&["image", "info", "debian-12"])["os"]["id"], "debian");
    // Bundles, too: with the authority's certificate it is the manifest that is wrong.
    let bundle = server.url("127.0.0.1", "x.tar.zst");
    assert_eq!(kiln("", &["bundle", "pull", "--unsigned", &bundle]).code, 6);
    assert_eq!(kiln(&ca, &["bundle", "pull", "--unsigned", &bundle]).code, 3);
}
