// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Names of machines in a DNS server, which is BIND's. No guest boots here.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Instant;

use kiln_testkit::named::{Named, REVERSE, ZONE};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::faults::phony;
use crate::lab::{Lab, POOL, cut_short, parsed, project, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("e2e::dns::a_name_comes_and_goes_with_its_machine", whole_life),
        trial("e2e::dns::a_server_that_is_away_loses_no_machine_and_no_name", away),
        trial("e2e::dns::what_is_killed_leaves_no_name_that_nobody_knows_of", killed),
        trial("e2e::dns::a_set_names_its_machines", set),
    ]
}

/// A server, and a client that knows it.
struct Names {
    lab: Lab,
    named: Named,
    folder: PathBuf,
    network: String,
    image: String,
    /// What the client calls the server: tests that run beside this one have others.
    server: String,
}

impl Names {
    /// Starts a server, and makes a network of this number.
    fn start(lab: &Lab, name: &str, number: u8) -> Option<Self> {
        let folder = lab.folder.join(format!("{name}-named"));
        fs::create_dir_all(&folder).expect("a folder");
        let named = Named::start(&folder)?;
        let this = Self {
            lab: lab.with_home(name),
            named,
            folder,
            network: format!("kt-{name}"),
            image: phony(lab),
            server: name.to_owned(),
        };
        let key = this.named.key.display().to_string();
        drop(this.add(name, &["--tsig-file", &key, "--reverse"]).success());
        let subnet = (format!("10.94.{number}.0/24"), format!("fd94:{number}::/64"));
        let create = ["network", "create", &this.network];
        let subnets = ["--subnet", &subnet.0, "--subnet6", &subnet.1];
        let range = format!("10.94.{number}.100-10.94.{number}.199");
        drop(this.lab.kiln(&[&create[..], &subnets, &["--dhcp", &range]].concat()).success());
        Some(this)
    }

    fn add(&self, name: &str, more: &[&str]) -> kiln_testkit::Output {
        let address = format!("127.0.0.1:{}", self.named.port);
        let add = ["dns", "server", "add", name, "--zone", ZONE, "--address", &address];
        self.lab.kiln(&[&add[..], more].concat())
    }

    /// The arguments of a launch with an address of each kind.
    fn launch_args<'a>(&'a self, name: &'a str, place: &'a str) -> Vec<&'a str> {
        let less = ["--no-wait", "--memory", "128MiB", "--pool", POOL, "--dns", &self.server];
        let head = ["launch", self.image.as_str(), name, "--network", place];
        [&head[..], &less].concat()
    }

    fn place(&self, number: u8, last: u8) -> String {
        let net = &self.network;
        format!("{net},static=10.94.{number}.{last}/24,static=fd94:{number}::{last}/64")
    }

    /// All that is in the server's zones.
    fn everywhere(&self) -> Vec<String> {
        [&ZONE].into_iter().chain(&REVERSE).flat_map(|zone| self.named.zone(zone)).collect()
    }

    /// What Kiln says of a machine's records.
    fn records(&self, machine: &str) -> Vec<Value> {
        let list = parsed(self.lab.kiln(&["dns", "list", "--json"]));
        let all = list["records"].as_array().expect("records").clone();
        all.into_iter().filter(|one| one["machine"] == machine).collect()
    }

    fn end(self) {
        drop(self.lab.kiln(&["network", "rm", &self.network]).success());
        drop(self.lab.kiln(&["dns", "server", "rm", &self.server]).success());
        assert_eq!(self.everywhere(), Vec::<String>::new());
        drop(self.named);
        fs::remove_dir_all(&self.folder).expect("removed");
    }
}

fn whole_life(lab: &Lab) {
    let Some(names) = Names::start(lab, "dns-life", 1) else { return };
    let (lab, named) = (&names.lab, &names.named);
    let key = fs::read_to_string(&named.key).expect("the key");
    let secret = key.split('"').nth(3).expect("a secret");
    private(&names, secret);
    let place = names.place(1, 10);
    let args = names.launch_args("kt-dn1", &place);
    let dry = lab.kiln(&[&args[..], &["--dry-run"]].concat()).success();
    assert!(dry.stdout.contains("put its name into the DNS server `dns-life`\n"), "{}", dry.stdout);
    assert!(names.everywhere().is_empty());
    let made = parsed(lab.kiln(&[&args[..], &["--json"]].concat()));
    assert_eq!(made["machines"][0]["dns"], json!(["kt-dn1.lab.example"]));
    assert_eq!(named.dig("kt-dn1.lab.example", "A"), ["10.94.1.10"]);
    assert_eq!(named.dig("kt-dn1.lab.example", "AAAA"), ["fd94:1::10"]);
    let six = format!("0.1.0.0.{}1.0.0.0.4.9.d.f.ip6.arpa", "0.0.0.0.".repeat(5));
    for pointer in ["10.1.94.10.in-addr.arpa", &six] {
        assert_eq!(named.dig(pointer, "PTR"), ["kt-dn1.lab.example."]);
    }
    let info = parsed(lab.kiln(&["info", "kt-dn1", "--json"]));
    assert_eq!(info["dns"], json!({ "server": "dns-life", "names": ["kt-dn1.lab.example"] }));
    // A name of another machine or of somebody else is refused before anything is made.
    named.nsupdate(&["update add kt-dn2.lab.example 60 A 10.0.0.9"]);
    let place = names.place(1, 11);
    let refused = lab.kiln(&names.launch_args("kt-dn2", &place));
    assert_eq!(refused.code, 4);
    let said = "error: the name `kt-dn2.lab.example` is somebody else's in DNS\n";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
    assert!(!lab.domains().contains(&"kt-dn2".to_owned()));
    named.nsupdate(&["update delete kt-dn2.lab.example A"]);
    // A subnet of the server's leaves the other addresses out.
    let key = named.key.display().to_string();
    drop(names.add("six", &["--tsig-file", &key, "--subnet", "fd94::/16"]).success());
    let other = lab.kiln(&["dns", "update", "kt-dn1", "--server", "six"]);
    assert_eq!(other.code, 4, "{}", other.stderr);
    drop(lab.kiln(&["dns", "rm", "kt-dn1"]).success());
    assert!(names.everywhere().is_empty());
    drop(lab.kiln(&["dns", "update", "kt-dn1", "--server", "six"]).success());
    let there = names.everywhere();
    assert_eq!(there.len(), 2, "{there:?}");
    assert!(there.contains(&"kt-dn1.lab.example. AAAA fd94:1::10".to_owned()), "{there:?}");
    drop(lab.kiln(&["rm", "kt-dn1"]).success());
    drop(lab.kiln(&["dns", "server", "rm", "six"]).success());
    names.end();
}

/// The key is in one file, for its owner alone, and nowhere else.
fn private(names: &Names, secret: &str) {
    let folder = names.lab.home.join("dns/servers");
    let mode = |path: &PathBuf| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join("dns-life.json"))), (0o700, 0o600));
    for args in [&["dns", "server", "list"][..], &["dns", "server", "list", "--json"]] {
        let out = names.lab.kiln(args).success();
        assert!(!out.stdout.contains(secret) && !out.stderr.contains(secret));
    }
    let wrong = names.named.wrong.display().to_string();
    let out = names.add("wrong", &["--tsig-file", &wrong]);
    assert_eq!(out.code, 3);
    assert!(out.stderr.contains("has another secret for the key `kiln`\n"), "{}", out.stderr);
    let config = names.folder.join("named.conf").display().to_string();
    assert_eq!(names.add("none", &["--tsig-file", &config]).code, 3);
    assert_eq!(names.add("none", &["--tsig-file", "nothing"]).code, 4);
    assert_eq!(names.add("dns-life", &["--tsig-file", &wrong]).code, 4, "the name is taken");
    let lines = names.lab.kiln(&["dns", "server", "list"]).success().stdout;
    assert_eq!(lines.lines().count(), 2, "none of these was kept: {lines}");
}

fn away(lab: &Lab) {
    let Some(mut names) = Names::start(lab, "dns-away", 2) else { return };
    let place = names.place(2, 10);
    names.named.stop();
    let out = names.lab.kiln(&names.launch_args("kt-dn3", &place));
    assert_eq!(out.code, 5, "{}", out.stderr);
    let said = "error: `kt-dn3` was made, but not its name in the DNS server `dns-away`\n";
    assert!(out.stderr.contains(said), "{}", out.stderr);
    let again = "hint: `kiln dns update kt-dn3` does it when that is mended\n";
    assert!(out.stderr.contains(again), "{}", out.stderr);
    let list = parsed(names.lab.kiln(&["dns", "list", "kt-dn3", "--json"]));
    assert_eq!((&list["records"], &list["waiting"]), (&json!([]), &json!(["kt-dn3"])));
    assert_eq!(names.lab.kiln(&["dns", "update", "kt-dn3"]).code, 5);
    names.named.start_again();
    assert!(names.everywhere().is_empty());
    drop(names.lab.kiln(&["dns", "update", "--all"]).success());
    let there = names.everywhere();
    assert_eq!(there.len(), 5, "two addresses, their names, and the mark: {there:?}");
    // The machine goes, its names stay, and Kiln knows of them.
    names.named.stop();
    let out = names.lab.kiln(&["rm", "kt-dn3"]);
    assert_eq!(out.code, 8, "{}", out.stderr);
    assert!(out.stderr.contains("`kt-dn3.lab.example A 10.94.2.10`"), "{}", out.stderr);
    assert!(!names.lab.domains().contains(&"kt-dn3".to_owned()));
    let left = names.records("kt-dn3");
    assert_eq!(left.len(), 4, "{left:?}");
    assert!(left.iter().all(|one| one["state"] == "left"), "{left:?}");
    assert_eq!(names.lab.kiln(&["dns", "server", "rm", &names.server]).code, 4);
    assert_eq!(names.lab.kiln(&["dns", "rm", "kt-dn3"]).code, 5);
    names.named.start_again();
    assert_eq!(names.everywhere(), there);
    // Another machine of that name: what its forerunner has left goes first.
    drop(names.lab.kiln(&names.launch_args("kt-dn3", &place)).success());
    assert_eq!(names.everywhere().len(), 5);
    names.named.stop();
    assert_eq!(names.lab.kiln(&["rm", "kt-dn3"]).code, 8);
    names.named.start_again();
    drop(names.lab.kiln(&["dns", "rm", "kt-dn3"]).success());
    assert_eq!(names.records("kt-dn3"), Vec::<Value>::new());
    names.end();
}

fn killed(lab: &Lab) {
    let Some(names) = Names::start(lab, "dns-kill", 3) else { return };
    let (lab, place) = (&names.lab, names.place(3, 10));
    let args = names.launch_args("kt-dn4", &place);
    let began = Instant::now();
    drop(lab.kiln(&args).success());
    let launch = began.elapsed();
    let began = Instant::now();
    drop(lab.kiln(&["rm", "kt-dn4"]).success());
    let rm = began.elapsed();
    let (mut cut, mut n) = (0, 0);
    while cut < 8 && n < 60 {
        n += 1;
        let removal = n % 2 == 0;
        if removal {
            drop(lab.kiln(&args).success());
        }
        let (args, whole) = if removal { (&["rm", "kt-dn4"][..], rm) } else { (&args[..], launch) };
        cut += u32::from(cut_short(lab, args, whole, n));
        // The next command finishes what was begun.
        let list = names.records("kt-dn4");
        let known = |name: &str| {
            list.iter().any(|one| name.starts_with(one["name"].as_str().expect("a name")))
        };
        let there = names.everywhere();
        let unknown: Vec<_> = there.iter().filter(|record| !known(record)).collect();
        assert!(unknown.is_empty(), "after kill {n}: {unknown:?}, {list:?}");
        if lab.domains().contains(&"kt-dn4".to_owned()) {
            drop(lab.kiln(&["rm", "kt-dn4"]).success());
        } else if !there.is_empty() {
            drop(lab.kiln(&["dns", "rm", "kt-dn4"]).success());
        }
        assert_eq!(names.everywhere(), Vec::<String>::new(), "after kill {n}");
        if !names.records("kt-dn4").is_empty() {
            // Killed when the server had done it: it is asked once more than needed.
            drop(lab.kiln(&["dns", "rm", "kt-dn4"]).success());
        }
        assert!(names.records("kt-dn4").is_empty(), "after kill {n}");
    }
    assert_eq!(cut, 8, "of {n}");
    names.end();
}

fn set(lab: &Lab) {
    let Some(names) = Names::start(lab, "dns-set", 4) else { return };
    let (lab, image, network) = (&names.lab, &names.image, &names.network);
    let file = names.folder.join("kiln.yaml").display().to_string();
    let mut example = fs::read_to_string(project().join("examples/names/kiln.yaml")).expect("read");
    for (from, to) in [
        ("name: names\n", "name: kt-dns\n"),
        ("{catalog: debian-12}", &format!("{{file: {image}}}")),
        (
            "\n  db:\n    count: 2\n",
            &format!("\n  kt-dn5:\n    count: 2\n    pool: {POOL}\n    memory: 128MiB\n"),
        ),
        ("name: lan,", &format!("name: {network},")),
        ("dns: lab\n", "dns: dns-set\n"),
    ] {
        assert!(example.contains(from), "the example has `{from}`");
        example = example.replace(from, to);
    }
    let write = |text: &str| fs::write(&file, text).expect("written");
    write(&example);
    drop(lab.kiln(&["up", "--no-wait", &file]).success());
    for number in [1, 2] {
        let there = names.named.dig(&format!("kt-dn5-{number}.lab.example"), "A");
        assert_eq!(there, [format!("10.94.4.{}", 9 + number)]);
    }
    let plan = || parsed(lab.kiln(&["plan", &file, "--json"]));
    assert_eq!(plan()["plan"], json!([]), "nothing is left to do");
    write(&example.replace("    dns: dns-set\n", ""));
    let details: Vec<Value> =
        plan()["plan"].as_array().expect("actions").iter().map(|a| a["detail"].clone()).collect();
    assert_eq!(details, vec![json!("take its name from the DNS server dns-set"); 2]);
    drop(lab.kiln(&["up", "--no-wait", &file]).success());
    assert!(names.everywhere().is_empty());
    write(&example);
    drop(lab.kiln(&["up", "--no-wait", &file]).success());
    assert_eq!(names.named.dig("kt-dn5-2.lab.example", "A"), ["10.94.4.11"]);
    drop(lab.kiln(&["down", &file]).success());
    names.end();
}
