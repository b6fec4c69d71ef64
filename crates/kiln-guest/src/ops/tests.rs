// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Tests of the operations on a tree in memory.

use std::fs;

use super::*;
use crate::run::{Job, Program, RunError, RunOutput, Runner};
use crate::tree::memory::MemoryTree;
use crate::tree::{GuestPath, Kind, Time, Tree};

const NOW: Time = Time { seconds: 1_700_000_000, nanos: 0 };
/// The day of `NOW`.
const TODAY: &str = "19675";

const DEBIAN: &[&str] = &[
    "/etc/os-release=ID=debian\nVERSION_ID=\"12\"\n",
    "/etc/hostname=old\n",
    "/etc/hosts=127.0.0.1\tlocalhost\n127.0.1.1\told\n",
    "/etc/passwd=root:x:0:0:root:/root:/bin/bash\nu:x:1000:1000::/home/u:/bin/sh\n",
    "/etc/shadow=root:*:1:0:99999:7:::\nu:!:1:0:99999:7:::\n",
    "/etc/gshadow=root:*::\nadm:*::\n",
    "/etc/group=root:x:0:\nadm:x:4:\nu:x:1000:\n",
    "/etc/skel/.profile=hello",
    "/usr/share/zoneinfo/Europe/Berlin=TZif2",
    "/etc/localtime -> /usr/share/zoneinfo/Etc/UTC",
    "/etc/timezone=Etc/UTC\n",
    "/etc/systemd/system/",
    "/usr/bin/apt-get=#!",
    "/bin/bash=#!",
    "/root/",
    "/tmp/",
    "/var/log/a.log=1",
    "/var/log/b.log=2",
    "/var/log/sub/c=3",
    "/var/run -> /run",
    "/run/x=1",
];

fn random(buf: &mut [u8]) -> std::io::Result<()> {
    buf.iter_mut().zip((7..=250).cycle()).for_each(|(byte, n)| *byte = n);
    Ok(())
}

fn plan(operations: &[(&str, &str)]) -> Plan {
    let mut plan = Plan::default();
    for (name, argument) in operations {
        let takes = Operation::find(name).unwrap().argument.is_some();
        plan.add(name, takes.then_some(*argument)).unwrap();
    }
    plan
}

fn apply_with(
    tree: &mut MemoryTree,
    operations: &[(&str, &str)],
    runner: Option<&mut dyn Runner>,
) -> Result<Report, EditError> {
    let keys = ["ssh-ed25519 AAAAown me@host".to_owned()];
    let ctx = EditContext {
        tree,
        now: NOW,
        random: &mut random,
        keys: &keys,
        runner: match runner {
            Some(runner) => Some(runner),
            None => None,
        },
        network: Network::Packages,
        progress: &mut |_| {},
    };
    customize(&plan(operations), ctx)
}

fn apply(tree: &mut MemoryTree, operations: &[(&str, &str)]) -> Report {
    apply_with(tree, operations, None).unwrap_or_else(|error| {
        panic!("{error}: {}", error.source);
    })
}

fn problem(tree: &mut MemoryTree, operation: (&str, &str)) -> String {
    apply_with(tree, &[operation], None).unwrap_err().source.to_string()
}

fn debian() -> MemoryTree {
    MemoryTree::of(DEBIAN)
}

#[test]
fn the_list_is_whole_and_in_order() {
    let names: Vec<&str> = OPERATIONS.iter().map(|o| o.name).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(names, sorted);
    // Those of virt-customize 1.56, with its flags.
    let theirs = "append-line chmod chown commands-from-file copy copy-in delete edit firstboot \
        firstboot-command firstboot-install hostname inject-blnsvr inject-qemu-ga \
        inject-virtio-win install link mkdir move no-logfile no-selinux-relabel password \
        password-crypto root-password run run-command scrub selinux-relabel \
        selinux-relabel-exclude ssh-inject tar-in timezone touch truncate truncate-recursive \
        uninstall update upload write";
    for name in theirs.split_whitespace() {
        assert!(names.contains(&name), "{name}");
    }
    for operation in OPERATIONS {
        let name = operation.name;
        assert!(!operation.heading.ends_with('.'), "{name}");
        assert!(operation.heading.len() <= 72, "{name}");
        let end = operation.documentation.lines().last().unwrap();
        assert!(end.ends_with('.') || end.starts_with("  "), "{name}");
        assert!(!operation.documentation.contains('\t'), "{name}");
    }
}

#[test]
fn files_are_written_and_changed() {
    let mut tree = debian();
    apply(
        &mut tree,
        &[
            ("write", "/etc/motd:hello"),
            ("append-line", "/etc/motd:there"),
            ("append-line", "/etc/new:first"),
            ("chmod", "0600:/etc/motd"),
            ("chown", "1000:adm:/etc/motd"),
            ("mkdir", "/srv/a/b"),
            ("copy", "/etc/motd:/srv/a"),
            ("move", "/etc/new:/srv/a/b/newer"),
            ("touch", "/srv/empty"),
            ("truncate", "/var/log/a.log"),
            ("link", "/srv/a/motd:/etc/l1:/srv/a/b"),
            ("write", "/var/run/y:through a link"),
        ],
    );
    assert_eq!(tree.text("/etc/motd"), "hello\nthere\n");
    assert_eq!(tree.text("/srv/a/motd"), "hello\nthere\n");
    assert_eq!(tree.text("/srv/a/b/newer"), "first\n");
    assert_eq!(tree.text("/srv/a/b/motd"), "hello\nthere\n");
    assert_eq!(tree.read_link(&"/srv/a/b/motd".into()).unwrap(), b"/srv/a/motd");
    assert_eq!(tree.text("/run/y"), "through a link");
    assert_eq!(tree.text("/var/log/a.log"), "");
    let stat = tree.stat(&"/srv/a/motd".into()).unwrap().unwrap();
    assert_eq!((stat.attrs.mode, stat.attrs.uid, stat.attrs.gid), (0o600, 1000, 4));
}

#[test]
fn what_is_deleted_is_what_the_pattern_names() {
    let mut tree = debian();
    apply(&mut tree, &[("delete", "/var/log/*.log"), ("delete", "/nothing/here*")]);
    assert_eq!(tree.text("/var/log/sub/c"), "3");
    assert!(tree.stat(&"/var/log/a.log".into()).unwrap().is_none());
    apply(&mut tree, &[("delete", "/var/{run,log}")]);
    assert_eq!(tree.text("/run/x"), "1");
    assert!(!tree.paths().iter().any(|path| path.len() > 5 && path.starts_with("/var/")));
    for path in ["/", "//.", "/./"] {
        assert!(Plan::default().add("delete", Some(path)).is_err(), "{path}");
    }
    assert!(problem(&mut tree, ("delete", "/etc/..")).contains("cannot be deleted"));
    assert!(tree.stat(&"/etc".into()).unwrap().is_some());
}

#[test]
fn all_files_below_a_directory_are_emptied() {
    let mut tree = debian();
    tree.add("/var/log/out -> /etc/hostname");
    apply(&mut tree, &[("truncate-recursive", "/var/log")]);
    assert_eq!(tree.text("/var/log/sub/c"), "");
    assert_eq!(tree.text("/etc/hostname"), "old\n");
}

#[test]
fn a_file_is_edited_and_else_left_alone() {
    let mut tree = debian();
    tree.add("/etc/conf -> ../srv/conf");
    tree.add("/srv/conf=a=1\nb=2\n");
    let label = vec![("security.selinux".to_owned(), b"x:y:z".to_vec())];
    tree.set_xattrs(&"/srv/conf".into(), &label).unwrap();
    let report =
        apply(&mut tree, &[("edit", "/etc/conf:s/^a=.*/a=3/"), ("edit", "/etc/conf:s/no/x/")]);
    assert_eq!(tree.text("/srv/conf"), "a=3\nb=2\n");
    assert_eq!(tree.xattrs(&"/srv/conf".into()).unwrap(), label);
    assert_eq!(tree.lstat(&"/etc/conf".into()).unwrap().unwrap().kind, Kind::Symlink);
    assert_eq!(report.done[0].edits.list.len(), 1);
    assert!(report.done[1].edits.list.is_empty());
    assert_eq!(problem(&mut tree, ("edit", "/no:s/a/b/")), "`/no` is not in the guest");
    assert_eq!(problem(&mut tree, ("write", "/etc/no/dir/x:y")), "`/etc/no` is not in the guest");
    assert_eq!(problem(&mut tree, ("edit", "/etc:s/a/b/")), "`/etc` is no file of the guest");
}

#[test]
fn each_distribution_keeps_its_name_elsewhere() {
    let mut tree = debian();
    apply(&mut tree, &[("hostname", "web.lan")]);
    assert_eq!(tree.text("/etc/hostname"), "web.lan\n");
    assert_eq!(tree.text("/etc/hosts"), "127.0.0.1\tlocalhost\n127.0.1.1\tweb.lan\n");
    let mut tree =
        MemoryTree::of(&["/etc/os-release=ID=fedora\nVERSION_ID=40", "/etc/hosts=1 a\n"]);
    tree.add("/etc/machine-info=DEPLOYMENT=x\nPRETTY_HOSTNAME=old\n");
    apply(&mut tree, &[("hostname", "web")]);
    assert_eq!(tree.text("/etc/hostname"), "web\n");
    assert_eq!(tree.text("/etc/machine-info"), "DEPLOYMENT=x\nPRETTY_HOSTNAME=web\n");
    assert_eq!(tree.text("/etc/hosts"), "1 a\n");
    let mut tree = MemoryTree::of(&["/etc/os-release=ID=\"centos\"\nVERSION_ID=6"]);
    tree.add("/etc/sysconfig/network=NETWORKING=yes\nHOSTNAME=old");
    apply(&mut tree, &[("hostname", "web")]);
    assert_eq!(tree.text("/etc/sysconfig/network"), "NETWORKING=yes\nHOSTNAME=web\n");
    let mut tree = MemoryTree::of(&["/etc/os-release=ID=sles\nVERSION_ID=12", "/etc/HOSTNAME=o"]);
    apply(&mut tree, &[("hostname", "web")]);
    assert_eq!(tree.text("/etc/HOSTNAME"), "web\n");
}

#[test]
fn time_zones_are_those_of_the_guest() {
    let mut tree = debian();
    apply(&mut tree, &[("timezone", "Europe/Berlin")]);
    let target = tree.read_link(&"/etc/localtime".into()).unwrap();
    assert_eq!(target, b"/usr/share/zoneinfo/Europe/Berlin");
    // As virt-customize does: Debian makes it follow the link itself.
    assert_eq!(tree.text("/etc/timezone"), "Etc/UTC\n");
    assert!(problem(&mut tree, ("timezone", "Mars/Base")).contains("no time zone `Mars/Base`"));
    assert!(problem(&mut tree, ("timezone", "Europe")).contains("no time zone `Europe`"));
    assert!(Plan::default().add("timezone", Some("../../etc/passwd")).is_err());
    assert!(problem(&mut MemoryTree::new(), ("timezone", "UTC")).contains("tzdata"));
}

#[test]
fn passwords_are_set_last_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    fs::write(&file, "s3cret\nrest\n").unwrap();
    let mut tree = debian();
    let report = apply(
        &mut tree,
        &[
            ("root-password", &format!("file:{}", file.display())),
            ("password", "new:locked:random"),
            ("password", "u:disabled"),
            ("add-user", "new"),
        ],
    );
    let shadow = tree.text("/etc/shadow");
    let lines: Vec<&str> = shadow.lines().collect();
    assert!(lines[0].starts_with("root:$6$rounds=5000$"), "{shadow}");
    assert!(lines[0].ends_with(&format!(":{TODAY}:0:99999:7:::")), "{shadow}");
    assert_eq!(lines[1], format!("u:*:{TODAY}:0:99999:7:::"));
    assert!(lines[2].starts_with("new:!!$6$"), "{shadow}");
    assert_eq!(report.passwords.len(), 1);
    assert_eq!(report.passwords[0].user, "new");
    let shown = format!("{report:?}");
    assert!(!shown.contains(&report.passwords[0].password) && !shown.contains("s3cret"));
    let error = problem(&mut tree, ("password", "nobody-here:random"));
    assert_eq!(error, "the guest has no user `nobody-here`");
    let twice = [("root-password", "random"), ("password", "root:disabled")];
    assert!(apply_with(&mut tree, &twice, None).is_err());
    let mut quiet = Plan::default();
    quiet.add("root-password", Some("password:geheim")).unwrap();
    quiet.add("password", Some("u:password:geheim")).unwrap();
    assert!(!format!("{quiet:?}").contains("geheim"));
    let error = quiet.add("password", Some("u:geheim")).unwrap_err().to_string();
    assert!(!error.contains("geheim"), "{error}");
}

#[test]
fn keys_are_put_where_sshd_looks() {
    let mut tree = debian();
    let key = "ssh-ed25519 AAAAkey you@host";
    let string = format!("u:string:{key}");
    apply(&mut tree, &[("ssh-inject", "u"), ("ssh-inject", &string), ("ssh-inject", &string)]);
    assert_eq!(
        tree.text("/home/u/.ssh/authorized_keys"),
        format!("ssh-ed25519 AAAAown me@host\n{key}\n")
    );
    for (path, mode) in [("/home/u", 0o700), ("/home/u/.ssh", 0o700)] {
        let stat = tree.stat(&GuestPath::new(path).unwrap()).unwrap().unwrap();
        assert_eq!((stat.attrs.mode, stat.attrs.uid, stat.attrs.gid), (mode, 1000, 1000), "{path}");
    }
    let stat = tree.stat(&"/home/u/.ssh/authorized_keys".into()).unwrap().unwrap();
    assert_eq!((stat.attrs.mode, stat.attrs.uid), (0o600, 1000));
    assert_eq!(problem(&mut tree, ("ssh-inject", "who")), "the guest has no user `who`");
    for bad in ["u:https://x/keys", "u:string:hello", "u:file:https://x", "u:url:x", ":x"] {
        assert!(Plan::default().add("ssh-inject", Some(bad)).is_err(), "{bad}");
    }
}

#[test]
fn links_of_a_hostile_home_stay_in_the_guest() {
    let mut tree = debian();
    tree.add("/root/.ssh -> /../../../../../etc/evil");
    tree.add("/etc/evil/");
    apply(&mut tree, &[("ssh-inject", "root")]);
    assert_eq!(tree.text("/etc/evil/authorized_keys"), "ssh-ed25519 AAAAown me@host\n");
}

#[test]
fn scripts_of_the_first_boot_are_numbered() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("my script.sh");
    fs::write(&script, "echo hi\n").unwrap();
    let mut tree = debian();
    let script = script.display().to_string();
    apply(&mut tree, &[("firstboot", &script), ("firstboot-command", "ls /etc")]);
    apply(&mut tree, &[("firstboot-install", "nginx,curl")]);
    let scripts = "/usr/libexec/kiln-firstboot/scripts";
    let names = tree.list(&GuestPath::new(scripts).unwrap()).unwrap();
    let names: Vec<String> =
        names.iter().map(|e| String::from_utf8_lossy(&e.name).into_owned()).collect();
    assert_eq!(names, ["0001-my-script-sh", "0002-ls--etc", "0003-install-nginx-curl"]);
    assert_eq!(
        tree.text("/usr/libexec/kiln-firstboot/scripts/0002-ls--etc"),
        "#!/bin/sh\nls /etc\n"
    );
    let wants = "/etc/systemd/system/multi-user.target.wants/kiln-firstboot.service";
    let target = tree.read_link(&wants.into()).unwrap();
    assert_eq!(target, b"/etc/systemd/system/kiln-firstboot.service");
    let run = tree.stat(&"/usr/libexec/kiln-firstboot/run".into()).unwrap().unwrap();
    assert_eq!(run.attrs.mode, 0o755);
    let mut bare = MemoryTree::of(&["/etc/os-release=ID=x"]);
    assert!(problem(&mut bare, ("firstboot-command", "true")).contains("no init system"));
    let mut alpine = MemoryTree::of(&["/etc/alpine-release=3", "/etc/runlevels/default/"]);
    alpine.add("/etc/init.d/");
    apply(&mut alpine, &[("firstboot-command", "true")]);
    let link = tree_link(&mut alpine, "/etc/runlevels/default/kiln-firstboot");
    assert_eq!(link, "/etc/init.d/kiln-firstboot");
    let mut old = MemoryTree::of(&["/etc/debian_version=6", "/etc/rc2.d/", "/etc/rc3.d/"]);
    apply(&mut old, &[("firstboot-command", "true")]);
    let link = tree_link(&mut old, "/etc/rc2.d/S99kiln-firstboot");
    assert_eq!(link, "/usr/libexec/kiln-firstboot/run");
}

fn tree_link(tree: &mut MemoryTree, path: &'static str) -> String {
    String::from_utf8(tree.read_link(&path.into()).unwrap()).unwrap()
}

#[test]
fn users_are_added_with_all_that_is_theirs() {
    let mut tree = debian();
    tree.add("/etc/sudoers=x");
    apply(
        &mut tree,
        &[("add-user", "me:groups=adm,sudo"), ("add-user", "two:uid=1500,home=/srv/two")],
    );
    assert_eq!(
        tree.text("/etc/passwd").lines().skip(2).collect::<Vec<_>>(),
        ["me:x:1001:1001::/home/me:/bin/bash", "two:x:1500:1500::/srv/two:/bin/bash"]
    );
    assert_eq!(
        tree.text("/etc/group"),
        "root:x:0:\nadm:x:4:me\nu:x:1000:\nme:x:1001:\ntwo:x:1500:\n"
    );
    assert_eq!(tree.text("/etc/gshadow"), "root:*::\nadm:*::me\nme:!::\ntwo:!::\n");
    assert!(tree.text("/etc/shadow").contains(&format!("me:!:{TODAY}:0:99999:7:::\n")));
    assert_eq!(tree.text("/home/me/.profile"), "hello");
    let profile = tree.stat(&"/home/me/.profile".into()).unwrap().unwrap();
    assert_eq!((profile.attrs.uid, profile.attrs.gid), (1001, 1001));
    assert_eq!(tree.text("/etc/sudoers.d/90-me"), "me ALL=(ALL:ALL) NOPASSWD: ALL\n");
    let rule = tree.stat(&"/etc/sudoers.d/90-me".into()).unwrap().unwrap();
    assert_eq!(rule.attrs.mode, 0o440);
    assert!(problem(&mut tree, ("add-user", "u")).contains("has a user `u` already"));
    assert!(problem(&mut tree, ("add-user", "x:groups=nope")).contains("no group `nope`"));
}

#[test]
fn archives_cannot_write_outside_of_their_directory() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    fs::create_dir_all(dir.path().join("t/d")).unwrap();
    fs::write(dir.path().join("t/d/f"), "contents").unwrap();
    std::os::unix::fs::symlink("/etc", dir.path().join("t/link")).unwrap();
    let tar = |args: &[&str]| {
        let all = [&["tar", "-C", dir.path().to_str().unwrap()][..], args].concat();
        drop(kiln_testkit::run(&all).success());
    };
    for (flag, name) in [
        ("-cf", "a.tar"),
        ("-czf", "a.gz"),
        ("-cJf", "a.xz"),
        ("-cjf", "a.bz2"),
        ("--zstd", "a.zst"),
    ] {
        let program = match name {
            "a.xz" => "xz",
            "a.bz2" => "bzip2",
            "a.zst" => "zstd",
            _ => "tar",
        };
        if !kiln_testkit::need_program(program) {
            continue;
        }
        let (flag, second) = if flag == "--zstd" { ("--zstd", "-cf") } else { (flag, flag) };
        let mut args = vec![flag];
        if flag != second {
            args.push(second);
        }
        let file = at(name);
        args.extend([file.as_str(), "t"]);
        tar(&args);
        let mut tree = debian();
        apply(&mut tree, &[("tar-in", &format!("{file}:/tmp"))]);
        assert_eq!(tree.text("/tmp/t/d/f"), "contents", "{name}");
        assert_eq!(tree.read_link(&"/tmp/t/link".into()).unwrap(), b"/etc", "{name}");
    }
    // A member behind a link that the archive itself brought.
    tar(&["-cf", &at("evil.tar"), "t/link"]);
    tar(&["-rf", &at("evil.tar"), "--transform=s,t/d/f,t/link/hostname,", "t/d/f"]);
    let mut tree = debian();
    let error = problem(&mut tree, ("tar-in", &format!("{}:/tmp", at("evil.tar"))));
    assert!(error.contains("through a link of its own"), "{error}");
    assert_eq!(tree.text("/etc/hostname"), "old\n");
    tar(&["-cPf", &at("up.tar"), "--transform=s,t/d/f,../up,", "t/d/f"]);
    let error = problem(&mut tree, ("tar-in", &format!("{}:/tmp", at("up.tar"))));
    assert!(error.contains("leads out of its tree"), "{error}");
    // Cut off in a file's contents.
    let whole = fs::read(dir.path().join("a.tar")).unwrap();
    fs::write(dir.path().join("cut.tar"), &whole[..2500]).unwrap();
    assert!(
        apply_with(&mut tree, &[("tar-in", &format!("{}:/tmp", at("cut.tar")))], None).is_err()
    );
}

#[test]
fn links_to_directories_of_the_guest_stay() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("lib/x")).unwrap();
    fs::write(dir.path().join("lib/x/f"), "new").unwrap();
    let file = dir.path().join("a.tar").display().to_string();
    let folder = dir.path().display().to_string();
    drop(kiln_testkit::run(&["tar", "-C", &folder, "-cf", &file, "lib"]).success());
    for operation in [("tar-in", format!("{file}:/")), ("copy-in", format!("{folder}/lib:/"))] {
        let mut tree = MemoryTree::of(&["/lib -> usr/lib", "/usr/lib/old"]);
        apply(&mut tree, &[(operation.0, &operation.1)]);
        assert_eq!(tree.text("/usr/lib/x/f"), "new");
        assert_eq!(tree.read_link(&"/lib".into()).unwrap(), b"usr/lib");
    }
}

#[test]
fn what_is_copied_in_keeps_its_kind() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().join("top");
    fs::create_dir(&top).unwrap();
    fs::write(top.join("f"), "one").unwrap();
    fs::set_permissions(top.join("f"), fs::Permissions::from_mode(0o750)).unwrap();
    fs::hard_link(top.join("f"), top.join("again")).unwrap();
    symlink("/etc/passwd", top.join("l")).unwrap();
    let uid = fs::metadata(&top).unwrap().uid();
    let mut tree = debian();
    apply(&mut tree, &[("copy-in", &format!("{}:/root", top.display()))]);
    let stat = tree.lstat(&"/root/top/f".into()).unwrap().unwrap();
    assert_eq!((stat.attrs.mode, stat.attrs.uid, stat.links), (0o750, uid, 2));
    assert_eq!(tree.read_link(&"/root/top/l".into()).unwrap(), b"/etc/passwd");
    apply(&mut tree, &[("upload", &format!("{}/f:/root", top.display()))]);
    apply(&mut tree, &[("upload", &format!("{}/f:/root/g", top.display()))]);
    assert_eq!(tree.stat(&"/root/g".into()).unwrap().unwrap().attrs.mode, 0o750);
    assert_eq!(tree.text("/root/f"), "one");
    let error = problem(&mut tree, ("copy-in", &format!("{}:/nowhere", top.display())));
    assert_eq!(error, "`/nowhere` is not in the guest");
}

/// Keeps what it is to run, and fails if told so.
#[derive(Debug, Default)]
struct FakeRunner {
    jobs: Vec<Job>,
    code: i32,
}

impl Runner for FakeRunner {
    fn run(&mut self, tree: &mut dyn Tree, job: &Job) -> Result<RunOutput, RunError> {
        self.jobs.push(job.clone());
        let attrs = crate::tree::Attrs::default();
        tree.write(&"/tmp/ran".into(), &mut &b"x"[..], &attrs).unwrap();
        Ok(RunOutput { code: self.code, tail: b"line\n\x1b[31mred\n".to_vec() })
    }
}

#[test]
fn programs_of_the_guest_go_through_the_runner() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("s");
    fs::write(&script, "#!/usr/bin/python3\n").unwrap();
    let script = script.display().to_string();
    let mut tree = debian();
    let mut runner = FakeRunner::default();
    let operations = [
        ("install", "nginx"),
        ("uninstall", "vim"),
        ("update", ""),
        ("run-command", "id -u"),
        ("run", &script),
    ];
    let report = apply_with(&mut tree, &operations, Some(&mut runner)).unwrap();
    assert!(report.programs_ran);
    assert_eq!(report.done[0].edits.list.len(), 1);
    let shells: Vec<String> = runner
        .jobs
        .iter()
        .map(|job| match &job.program {
            Program::Shell(text) => String::from_utf8_lossy(text).into_owned(),
            Program::File(bytes) => format!("file of {} bytes", bytes.len()),
        })
        .collect();
    assert!(shells[0].ends_with("apt update\napt install nginx\n"), "{}", shells[0]);
    assert!(shells[1].ends_with("apt remove vim\n"));
    assert!(shells[2].ends_with("apt upgrade\n"));
    assert_eq!(shells[3..], ["id -u\n", "file of 19 bytes"]);
    assert_eq!(runner.jobs[0].aside.len(), 2);
    assert!(runner.jobs[3].aside.is_empty());
    let online: Vec<bool> = runner.jobs.iter().map(|job| job.network).collect();
    assert_eq!(online, [true, true, true, false, false]);
    let mut failing = FakeRunner { code: 3, ..FakeRunner::default() };
    let error = apply_with(&mut tree, &[("run-command", "false")], Some(&mut failing)).unwrap_err();
    assert_eq!(
        error.source.to_string(),
        "`false` failed in the guest with status 3\n  | line\n  | [31mred"
    );
    assert!(problem(&mut tree, ("run-command", "id")).contains("nothing here can run them"));
}

#[test]
fn windows_operations_say_what_they_are() {
    let mut tree = debian();
    for name in ["inject-blnsvr", "inject-qemu-ga", "inject-virtio-win"] {
        let error = problem(&mut tree, (name, "/usr/share/virtio-win"));
        assert_eq!(error, "it is for Windows guests, and this is none");
    }
    let mut windows = MemoryTree::of(&["/Windows/System32/x"]);
    assert!(problem(&mut windows, ("hostname", "a")).contains("Windows"));
}

#[test]
fn operations_come_from_files_too() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("commands");
    let text = "# a comment\n\n  write /etc/motd:a\\\nb\nno-logfile \npassword-crypto sha256\n\
                edit /etc/hostname:\\\n  s/old/new/\nroot-password password:x y\n";
    fs::write(&file, text).unwrap();
    let mut plan = Plan::default();
    plan.add("touch", Some("/first")).unwrap();
    plan.add("commands-from-file", Some(&file.display().to_string())).unwrap();
    plan.add("touch", Some("/last")).unwrap();
    let names: Vec<&str> = plan.steps.iter().map(|step| step.operation.name).collect();
    assert_eq!(names, ["touch", "write", "edit", "root-password", "touch"]);
    assert_eq!(plan.settings.crypto, crate::system::crypt::Crypto::Sha256);
    for (text, chain) in [
        ("a\n", ["line 1 of", "there is no operation `a`"]),
        ("\ntouhc /x\n", ["line 2 of", "there is no operation `touhc`; is it `touch`?"]),
        ("\\\ntouch\n", ["line 1 of", "`touch` needs an argument: FILE"]),
        ("touch x\n", ["line 1 of", "`x` cannot be the argument of `touch` (FILE)"]),
        ("update now\n", ["line 1 of", "`update` takes no argument"]),
        ("commands-from-file /x\n", ["line 1 of", "cannot stand in a file"]),
    ] {
        fs::write(&file, text).unwrap();
        let error = Plan::default().add("commands-from-file", Some(&file.display().to_string()));
        let error = error.unwrap_err();
        assert!(error.to_string().starts_with(chain[0]), "{error}");
        let inner = std::error::Error::source(&error).unwrap().to_string();
        assert!(inner.contains(chain[1]), "{text}: {inner}");
    }
}

#[test]
fn a_scrubbed_file_is_gone() {
    let mut tree = debian();
    tree.add("/etc/key=secret");
    tree.hard_link(&"/etc/key".into(), &"/etc/key2".into()).unwrap();
    apply(&mut tree, &[("scrub", "/etc/key")]);
    assert!(tree.stat(&"/etc/key".into()).unwrap().is_none());
    let left = tree.read(&"/etc/key2".into(), 100).unwrap();
    assert!(left.len() == 6 && left != b"secret");
    assert_eq!(problem(&mut tree, ("scrub", "/etc")), "`/etc` is no file of the guest");
}

#[test]
fn new_files_get_labels_where_the_guest_has_them() {
    const LABEL: &[u8] = b"system_u:object_r:etc_t:s0\0";
    let guest = |more: &[(&str, &str)]| {
        let mut tree = MemoryTree::of(&[
            "/etc/selinux/config=SELINUX=enforcing\nSELINUXTYPE=targeted\n",
            "/etc/selinux/targeted/contexts/files/file_contexts=\
             /etc(/.*)?\tsystem_u:object_r:etc_t:s0\n/srv(/.*)?\tsystem_u:object_r:var_t:s0\n",
            "/srv/moved=1",
        ]);
        let mut all = vec![("write", "/etc/new:x"), ("move", "/srv/moved:/etc/moved")];
        all.extend(more);
        apply(&mut tree, &all);
        ["/etc/new", "/etc/moved"].map(|path| {
            let xattrs = tree.xattrs(&GuestPath::new(path).unwrap()).unwrap();
            xattrs.iter().any(|(name, value)| name == "security.selinux" && value == LABEL)
        })
    };
    assert_eq!(guest(&[]), [true, true]);
    assert_eq!(guest(&[("no-selinux-relabel", "")]), [false, false]);
    assert_eq!(
        guest(&[("selinux-relabel-exclude", "/etc/new"), ("selinux-relabel", "")]),
        [false, true]
    );
}
