// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Hostile files of a guest, and hostile user-data: each ends in a right answer or a clear error,
//! within 5 s and 512 MiB, without a panic.
//!
//! `make fuzz FUZZ_SECONDS=600` looks for more, that long for each target.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::{Read, Write};
use std::path::Path;

use kiln_guest::inspect::inspect_system;
use kiln_guest::tree::{
    Attrs, Change, Entry, GuestPath, Kind, New, Stat, Tree, TreeError, Usage, Xattrs,
};
use kiln_guest::userdata::UserData;
use kiln_testkit::fuzz::{
    Case, Edit, Outcome, Seed, Target, every_case_ends_well, fuzz_all, serve,
};
use kiln_testkit::{need_program, run};

/// Random cases of each target.
const RANDOM: u64 = 30;

const TARGETS: &[Target] = &[
    Target { name: "user-data", seeds: user_data_seeds, mend: nothing, run: user_data },
    Target { name: "os-release", seeds: os_release_seeds, mend: nothing, run: os_release },
    Target { name: "dpkg", seeds: dpkg_seeds, mend: nothing, run: dpkg },
    Target { name: "rpm-sqlite", seeds: sqlite_seeds, mend: nothing, run: rpm_sqlite },
    Target { name: "rpm-ndb", seeds: ndb_seeds, mend: nothing, run: rpm_ndb },
    Target { name: "initramfs", seeds: initramfs_seeds, mend: nothing, run: initramfs },
    Target { name: "accounts", seeds: accounts_seeds, mend: nothing, run: accounts },
];

fn nothing(_: &mut [u8]) {}

/// A tree with one file in it that is hostile, and some that are not.
struct OneFile<'a> {
    files: Vec<(&'a str, &'a [u8])>,
}

impl OneFile<'_> {
    fn file(&self, path: &GuestPath) -> Option<&[u8]> {
        let found = self.files.iter().find(|(name, _)| name.as_bytes() == path.as_bytes());
        found.map(|(_, bytes)| *bytes)
    }

    /// Names below a folder.
    fn below(&self, dir: &GuestPath) -> Vec<Entry> {
        let mut all: Vec<Entry> = Vec::new();
        for (name, _) in &self.files {
            let above = std::str::from_utf8(dir.as_bytes()).unwrap_or("?").trim_end_matches('/');
            let Some(rest) = name.strip_prefix(above).and_then(|r| r.strip_prefix('/')) else {
                continue;
            };
            let (name, kind) = match rest.split_once('/') {
                Some((name, _)) => (name, Kind::Directory),
                None => (rest, Kind::File),
            };
            if all.iter().all(|entry| entry.name != name.as_bytes()) {
                all.push(Entry { name: name.as_bytes().to_vec(), kind });
            }
        }
        all
    }

    fn no<T>(&self) -> Result<T, TreeError> {
        Err(TreeError::NotFound { path: GuestPath::root() })
    }
}

impl Tree for OneFile<'_> {
    fn stat(&mut self, path: &GuestPath) -> Result<Option<Stat>, TreeError> {
        let size = self.file(path).map(|bytes| u64::try_from(bytes.len()).unwrap());
        let kind = match size {
            Some(_) => Kind::File,
            None if !self.below(path).is_empty() => Kind::Directory,
            None => return Ok(None),
        };
        let attrs = Attrs::default();
        let size = size.unwrap_or(0);
        Ok(Some(Stat { kind, attrs, size, links: 1, device: (0, 0), identity: (0, 1) }))
    }

    fn lstat(&mut self, path: &GuestPath) -> Result<Option<Stat>, TreeError> {
        self.stat(path)
    }

    fn list(&mut self, dir: &GuestPath) -> Result<Vec<Entry>, TreeError> {
        let all = self.below(dir);
        if all.is_empty() { self.no() } else { Ok(all) }
    }

    fn read_link(&mut self, _: &GuestPath) -> Result<Vec<u8>, TreeError> {
        self.no()
    }

    fn copy_out(&mut self, path: &GuestPath, out: &mut dyn Write) -> Result<u64, TreeError> {
        let Some(bytes) = self.file(path) else { return self.no() };
        out.write_all(bytes)
            .map_or_else(|_| self.no(), |()| Ok(u64::try_from(bytes.len()).unwrap()))
    }

    fn write(&mut self, _: &GuestPath, _: &mut dyn Read, _: &Attrs) -> Result<(), TreeError> {
        self.no()
    }

    fn make(&mut self, _: &GuestPath, _: &New, _: &Attrs) -> Result<(), TreeError> {
        self.no()
    }

    fn hard_link(&mut self, _: &GuestPath, _: &GuestPath) -> Result<(), TreeError> {
        self.no()
    }

    fn rename(&mut self, _: &GuestPath, _: &GuestPath) -> Result<(), TreeError> {
        self.no()
    }

    fn unlink(&mut self, _: &GuestPath) -> Result<(), TreeError> {
        self.no()
    }

    fn rmdir(&mut self, _: &GuestPath) -> Result<(), TreeError> {
        self.no()
    }

    fn change(&mut self, _: &GuestPath, _: &Change, _: bool) -> Result<(), TreeError> {
        self.no()
    }

    fn xattrs(&mut self, _: &GuestPath) -> Result<Xattrs, TreeError> {
        self.no()
    }

    fn set_xattrs(&mut self, _: &GuestPath, _: &Xattrs) -> Result<(), TreeError> {
        self.no()
    }

    fn usage(&mut self) -> Result<Vec<Usage>, TreeError> {
        Ok(Vec::new())
    }
}

/// Inspects a Debian system or another in which one file is this.
fn inspected(path: &str, bytes: &[u8]) -> Outcome {
    let known: [(&str, &[u8]); 3] = [
        ("/etc/os-release", b"ID=debian\nVERSION_ID=12\n"),
        ("/boot/vmlinuz-6.1.0", b"kernel"),
        ("/usr/bin/bash", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0"),
    ];
    let mut files = vec![(path, bytes)];
    files.extend(known.into_iter().filter(|(name, _)| *name != path));
    let (system, notes) = inspect_system(&mut OneFile { files }, "sda1", &[]);
    Ok(format!(
        "{} packages, {} users, {} notes",
        system.packages.len(),
        system.users.len(),
        notes.len()
    ))
}

fn os_release(bytes: &[u8], _: &Path) -> Outcome {
    inspected("/etc/os-release", bytes)
}

fn dpkg(bytes: &[u8], _: &Path) -> Outcome {
    inspected("/var/lib/dpkg/status", bytes)
}

fn rpm_sqlite(bytes: &[u8], _: &Path) -> Outcome {
    inspected("/usr/lib/sysimage/rpm/rpmdb.sqlite", bytes)
}

fn rpm_ndb(bytes: &[u8], _: &Path) -> Outcome {
    inspected("/usr/lib/sysimage/rpm/Packages.db", bytes)
}

fn initramfs(bytes: &[u8], _: &Path) -> Outcome {
    inspected("/boot/initrd.img-6.1.0", bytes)
}

fn accounts(bytes: &[u8], _: &Path) -> Outcome {
    inspected("/etc/passwd", bytes)
}

fn user_data(bytes: &[u8], _: &Path) -> Outcome {
    let data = UserData::parse(bytes, "user-data")?;
    Ok(format!("{:?}, {} warnings", data.kind(), data.warnings().len()))
}

fn seed(name: &'static str, bytes: Vec<u8>) -> Seed {
    let hot = (0..bytes.len()).step_by(64).map(|at| at..(at + 64).min(bytes.len())).collect();
    Seed { name, bytes, hot, big_endian: false }
}

fn user_data_seeds(_: &Path) -> Vec<Seed> {
    let config = "#cloud-config\nhostname: web\nusers:\n  - default\n  - {name: a, groups: [x, y]}\n\
        write_files: &anchor\n  - path: /etc/x\n    content: |\n      a\n      b\n    permissions: \"0644\"\n\
        runcmd:\n- [ls, -l]\n- 'echo \"x\"'\nagain: *anchor\nfolded: >-\n  a\n\n  b\nmerge: {<<: {a: 1}, b: 0x10}\n";
    let mime = "Content-Type: multipart/mixed; boundary=\"x\"\nMIME-Version: 1.0\n\n--x\n\
        Content-Type: text/cloud-config\n\n#cloud-config\na: 1\n--x\nContent-Type: text/x-shellscript\n\n\
        #!/bin/sh\necho\n--x--\n";
    vec![
        seed("config", config.into()),
        seed("mime", mime.into()),
        seed("script", "#!/bin/sh\necho hello\n".into()),
        seed("jinja", "## template: jinja\n#cloud-config\nhostname: {{ v1.region }}\n".into()),
    ]
}

fn os_release_seeds(_: &Path) -> Vec<Seed> {
    let text = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME='Debian'\nVERSION_ID=\"12\"\n\
        ID=debian\nID_LIKE=\"a b\"\n# comment\nX=\"a\\\"b\\$c\\`\"\n";
    vec![seed("debian", text.into())]
}

fn dpkg_seeds(_: &Path) -> Vec<Seed> {
    let stanza = |n: u32| {
        format!(
            "Package: name-{n}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {n}.1-1\nDescription: x\n more\n .\n\n"
        )
    };
    vec![seed("status", (0..20).map(stanza).collect::<String>().into())]
}

fn accounts_seeds(_: &Path) -> Vec<Seed> {
    let text = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/usr/sbin/nologin\nuser:x:1000:1000:A,,:/home/user:/bin/sh\n+::::::\n";
    vec![seed("passwd", text.into())]
}

/// The header of an RPM package: counts, entries of tag, type, offset and count, data.
fn rpm_header() -> Vec<u8> {
    let (mut index, mut data) = (Vec::new(), Vec::new());
    for (tag, text) in [(1000_u32, "bash"), (1001, "5.2"), (1002, "3.fc40"), (1022, "x86_64")] {
        let at = u32::try_from(data.len()).unwrap();
        index.extend([tag, 6, at, 1].map(u32::to_be_bytes).concat());
        data.extend_from_slice(text.as_bytes());
        data.push(0);
    }
    let counts = [index.len() / 16, data.len()].map(|n| u32::try_from(n).unwrap().to_be_bytes());
    [counts.concat(), index, data].concat()
}

fn ndb_seeds(_: &Path) -> Vec<Seed> {
    let header = rpm_header();
    let mut file = vec![0; 4096];
    file[..4].copy_from_slice(b"RpmP");
    file[12..16].copy_from_slice(&1_u32.to_le_bytes());
    let slot = [&b"Slot"[..], &7_u32.to_le_bytes(), &256_u32.to_le_bytes(), &9_u32.to_le_bytes()];
    file[32..48].copy_from_slice(&slot.concat());
    let len = u32::try_from(header.len()).unwrap().to_le_bytes();
    file.extend([&b"BlbS"[..], &7_u32.to_le_bytes(), &[0; 4], &len, &header].concat());
    let end = file.len();
    vec![Seed { name: "ndb", bytes: file, hot: vec![0..64, 4096..end], big_endian: false }]
}

fn sqlite_seeds(folder: &Path) -> Vec<Seed> {
    let path = folder.join("db");
    let hex: String = rpm_header().iter().map(|b| format!("{b:02x}")).collect();
    let script = format!(
        "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.execute('pragma page_size=1024');\n\
         c.execute('CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)')\n\
         [c.execute('INSERT INTO Packages (blob) VALUES (?)', (bytes.fromhex('{hex}') + bytes(n * 90),)) for n in range(40)]\n\
         c.commit()"
    );
    let _ = run(&["python3", "-c", &script, path.to_str().unwrap()]).success();
    let bytes = std::fs::read(&path).unwrap();
    let hot = (0..bytes.len()).step_by(1024).map(|at| at..at + 64).chain([0..200, 16..108]);
    vec![Seed { name: "sqlite", hot: hot.collect(), bytes, big_endian: true }]
}

fn initramfs_seeds(folder: &Path) -> Vec<Seed> {
    let mut archive = Vec::new();
    for name in ["usr/lib/modules/6.1.0/kernel/drivers/block/virtio_blk.ko", "init", "TRAILER!!!"] {
        let size = if name == "init" { 300 } else { 0 };
        let mut head = b"070701".to_vec();
        for (n, field) in [(1, 1), (6, size), (11, name.len() + 1)].iter().zip(0..).map(|(f, _)| *f)
        {
            head.resize(6 + 8 * n, b'0');
            head.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        head.resize(110, b'0');
        archive.extend_from_slice(&head);
        archive.extend_from_slice(name.as_bytes());
        archive.push(0);
        archive.resize(archive.len().next_multiple_of(4) + size, b'x');
        archive.resize(archive.len().next_multiple_of(4), 0);
    }
    let mut seeds = vec![seed("cpio", archive.clone())];
    let plain = folder.join("plain");
    std::fs::write(&plain, &archive).unwrap();
    for (name, program) in
        [("gzip", "gzip -9c"), ("xz", "xz --check=crc32 -c"), ("zstd", "zstd -qc")]
    {
        let out = folder.join(name);
        let command = format!("{program} < {} > {}", plain.display(), out.display());
        let _ = run(&["sh", "-c", &command]).success();
        seeds.push(seed(name, std::fs::read(&out).unwrap()));
        // A long run of zeros in few bytes.
        let command = format!("head -c 64M /dev/zero | {program} > {}", out.display());
        let _ = run(&["sh", "-c", &command]).success();
        let bomb = match name {
            "gzip" => "gzip-bomb",
            "xz" => "xz-bomb",
            _ => "zstd-bomb",
        };
        seeds.push(seed(bomb, std::fs::read(&out).unwrap()));
    }
    seeds
}

/// Not a test: what the child processes of the tests below run.
#[test]
fn child() {
    serve(TARGETS);
}

/// Cases on purpose.
fn purpose() -> Vec<Case> {
    let whole = |target: &str, seed: &str, text: &[u8]| {
        Case::new(target, seed, &[Edit::Len(0), Edit::Put(0, text.to_vec())])
    };
    let yaml =
        |text: &str| whole("user-data", "config", format!("#cloud-config\n{text}").as_bytes());
    let laughs: String = (1..30)
        .map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(",")))
        .collect();
    let mut cases = vec![
        yaml(&"[".repeat(100_000)),
        yaml(&"{a: ".repeat(50_000)),
        yaml(&"- ".repeat(50_000)),
        yaml(&"a:\n ".repeat(5_000)),
        yaml(&format!("a0: &a0 x\n{laughs}")),
        yaml("a: &a [*a]"),
        yaml("*x"),
        yaml("a: !!python/object/apply:os.system [x]"),
        yaml("? [a]\n: b"),
        yaml("a: 1\na: 2"),
        yaml("\t"),
        yaml("a: \u{1b}[2J"),
        yaml("a: \0"),
        yaml("\u{feff}a: 1"),
        yaml("--- a\n--- b"),
        yaml("%YAML 9.9\n---\na"),
        yaml("a: |9999999999\n x"),
        yaml("a: 99999999999999999999999999999999"),
        yaml("a: .inf\nb: 0o777777777777777777777777"),
        yaml("<<: [1]"),
        yaml("a: \"\\x"),
        yaml("a: 'x"),
        yaml(&"a".repeat(1 << 20)),
        yaml(&format!("{}: 1", "k".repeat(2000))),
        whole("user-data", "config", &[0xff; 4096]),
        whole("user-data", "mime", &b"--x\n".repeat(10_000)),
        whole("os-release", "debian", &b"ID=\"".repeat(10_000)),
        whole("os-release", "debian", b"ID=\"\x1b[2J\n"),
        whole("os-release", "debian", &[b'A'; 1 << 20]),
        whole("dpkg", "status", &b"\n\n".repeat(500_000)),
        whole("dpkg", "status", &b"Package: x\n".repeat(200_000)),
        whole("dpkg", "status", &[0xff; 100_000]),
        whole("accounts", "passwd", &b":".repeat(1 << 20)),
        whole("accounts", "passwd", b"a:x:-1:99999999999999999999::\n"),
    ];
    for seed in ["gzip", "xz", "zstd", "cpio"] {
        cases.extend([0, 1, 6, 20, 109].map(|len| Case::new("initramfs", seed, &[Edit::Len(len)])));
    }
    cases
}

#[test]
fn every_hostile_file_of_a_guest_ends_well() {
    if !["python3", "xz", "zstd", "gzip"].into_iter().all(need_program) {
        return;
    }
    every_case_ends_well(TARGETS, purpose(), FINDINGS, RANDOM);
}

/// What random changes found once.
const FINDINGS: &str = "";

/// Not run by `make test` but by `make fuzz`: random changes for `KILN_FUZZ_SECONDS` for each target, or only for
/// `KILN_FUZZ_TARGET`.
#[test]
fn fuzz() {
    fuzz_all(TARGETS, "FINDINGS");
}
