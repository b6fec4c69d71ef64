// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Layers, and programs that run on them.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::TcpListener;

use kiln_build::workspace::{
    Content, Edit, Layer, LayerCache, Mount, Owned, Task, Workspace, WorkspaceError,
};
use kiln_testkit::run;

use crate::support::{Lab, digest, shell};

/// Makes the layer with the archive.
fn base(lab: &Lab, cache: &LayerCache) -> Layer {
    let claim = match cache.find_or_claim(&digest('0'), &mut || ()).unwrap() {
        Ok(layer) => return layer,
        Err(claim) => claim,
    };
    let mut workspace = Workspace::open(cache, &[]).unwrap();
    workspace.unpack(&mut File::open(lab.path("base.tar")).unwrap(), "/").unwrap();
    workspace.keep(claim, "base").unwrap()
}

/// Runs a task and returns what it wrote; it must end well.
#[track_caller]
fn out(workspace: &mut Workspace<'_>, task: &Task) -> String {
    let mut text = String::new();
    let ran = workspace.run(task, &mut |line| text.push_str(&format!("{line}\n")));
    ran.unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    text
}

/// Returns the tree as GNU tar lists it.
fn listed(workspace: &mut Workspace<'_>, lab: &Lab) -> String {
    let to = lab.path("out.tar");
    let mut file = File::create(&to).unwrap();
    workspace.tar(1_000_000_000, |from| io::copy(from, &mut file).unwrap()).unwrap();
    let list = ["tar", "--numeric-owner", "--full-time", "--utc", "-tvf"];
    run(&[&list[..], &[&to.display().to_string()]].concat()).success().stdout
}

#[test]
fn an_archive_becomes_a_layer_and_comes_out_as_it_was() {
    let Some(lab) = Lab::new() else { return };
    let cache = lab.cache();
    let layer = base(&lab, &cache);
    assert_eq!(cache.list().unwrap()[0].name, "base");
    let mut workspace = Workspace::open(&cache, &[layer]).unwrap();
    let list = ["tar", "--numeric-owner", "--full-time", "--utc", "-tvf"];
    let wanted = run(&[&list[..], &[&lab.text("base.tar")]].concat()).success().stdout;
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&listed(&mut workspace, &lab)), sorted(&wanted));
    let first = fs::read(lab.path("out.tar")).unwrap();
    listed(&mut workspace, &lab);
    assert!(first == fs::read(lab.path("out.tar")).unwrap(), "the same tree, the same bytes");
}

#[test]
fn layers_lie_on_one_another_and_what_is_not_kept_is_gone() {
    let Some(lab) = Lab::new() else { return };
    let cache = lab.cache();
    let layer = base(&lab, &cache);
    let mut workspace = Workspace::open(&cache, std::slice::from_ref(&layer)).unwrap();
    let text = out(
        &mut workspace,
        &shell(
            "id -u; echo new > /srv/new; rm /srv/old; rm -r /srv/keep; mkdir /srv/keep
             echo b > /srv/keep/b; chown 1000:42 /srv/new; echo x > /run/gone; test -c /dev/null",
        ),
    );
    assert_eq!(text, "0\n");
    // The next program of the same workspace goes on from there.
    out(&mut workspace, &shell("cat /srv/new; echo more >> /srv/new"));
    let Ok(Err(claim)) = cache.find_or_claim(&digest('1'), &mut || ()) else { panic!() };
    assert!(cache.claim(&digest('1')).unwrap().is_none(), "somebody else makes it");
    let second = workspace.keep(claim, "second").unwrap();
    out(&mut workspace, &shell("echo lost > /srv/lost"));
    drop(workspace);
    let mut workspace = Workspace::open(&cache, &[layer.clone(), second]).unwrap();
    let list = listed(&mut workspace, &lab);
    let srv: Vec<_> = list.lines().filter(|line| line.contains("./srv")).collect();
    assert_eq!(
        srv,
        [
            "drwxr-xr-x 0/0               0 2001-09-09 01:46:40 ./srv/",
            "drwxr-xr-x 0/0               0 2001-09-09 01:46:40 ./srv/keep/",
            "-rw-r--r-- 0/0               2 2001-09-09 01:46:40 ./srv/keep/b",
            "-rw-r--r-- 1000/42           9 2001-09-09 01:46:40 ./srv/new",
        ]
    );
    assert_eq!(workspace.read("/srv/new").unwrap().unwrap(), b"new\nmore\n");
    assert_eq!(workspace.read("/srv/old").unwrap(), None);
    drop(workspace);
    // The one below has not changed.
    let mut workspace = Workspace::open(&cache, &[layer]).unwrap();
    assert_eq!(workspace.read("/srv/old").unwrap().unwrap(), b"old\n");
    drop(workspace);
    let left: Vec<_> = fs::read_dir(lab.path("cache/work")).unwrap().flatten().collect();
    assert!(left.iter().all(|entry| entry.file_name() == ".lock"), "{left:?}");
}

#[test]
fn a_program_that_fails_says_what_it_said() {
    let Some(lab) = Lab::new() else { return };
    let cache = lab.cache();
    let mut workspace = Workspace::open(&cache, &[base(&lab, &cache)]).unwrap();
    let error = workspace.run(&shell("echo one; echo two >&2; exit 7"), &mut |_| ()).unwrap_err();
    let WorkspaceError::Failed { name, code, tail } = error else { panic!("{error:?}") };
    assert_eq!((name.as_str(), code, tail.as_str()), ("lines", 7, "one\ntwo"));
    let task = Task::new("nothing", ["/no/such/program"]);
    let error = workspace.run(&task, &mut |_| ()).unwrap_err();
    assert!(matches!(error, WorkspaceError::Failed { code: 127, .. }), "{error:?}");
}

#[test]
fn a_hostile_program_gets_nowhere() {
    let Some(lab) = Lab::new() else { return };
    let cache = lab.cache();
    let secret = lab.path("secret");
    fs::write(&secret, "s").unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = port.local_addr().unwrap().port();
    let mut workspace = Workspace::open(&cache, &[base(&lab, &cache)]).unwrap();
    let secret = secret.display();
    let text = out(
        &mut workspace,
        &shell(&format!(
            "test ! -e {secret} || echo sees the host
             test ! -e /tmp/.X11-unix || echo sees /tmp
             mount -t tmpfs none /srv 2>/dev/null && echo mounts
             mknod /srv/sda b 8 0 2>/dev/null && echo makes devices
             unshare -U true 2>/dev/null && echo makes namespaces
             (echo 1 > /proc/sys/kernel/sysrq) 2>/dev/null && echo writes to the kernel
             (echo b > /proc/sysrq-trigger) 2>/dev/null && echo restarts the host
             nc -w 2 127.0.0.1 {port} </dev/null 2>/dev/null && echo reaches the host
             hostname other 2>/dev/null || true
             kill -9 -1 2>/dev/null || true
             ls /proc | grep -c '^[0-9]' > /srv/processes || true
             echo end"
        )),
    );
    assert_eq!(text, "end\n");
    let processes = workspace.read("/srv/processes").unwrap().unwrap();
    assert!(String::from_utf8(processes).unwrap().trim().parse::<u32>().unwrap() < 8);
    // What it leaves running is gone with it.
    let mark = format!("51{:07}", std::process::id());
    out(&mut workspace, &shell(&format!("sleep {mark} & echo x")));
    assert_ne!(run(&["pgrep", "-f", &format!("sleep {mark}")]).code, 0);
}

#[test]
fn tasks_have_what_they_ask_for() {
    let Some(lab) = Lab::new() else { return };
    let cache = lab.cache();
    let mut workspace = Workspace::open(&cache, &[base(&lab, &cache)]).unwrap();
    fs::create_dir(lab.path("given")).unwrap();
    fs::write(lab.path("given/tool"), "#!/bin/sh\necho from the host\n").unwrap();
    let files = Mount::Files { from: lab.path("given"), at: "/opt/given".into() };
    let shared = Mount::Cache { name: "shared".into(), at: "/var/cache/shared".into() };
    let task = Task {
        env: vec![("GREETING".into(), "hello".into())],
        cwd: "/srv".into(),
        network: true,
        mounts: vec![files, shared.clone()],
        stdin: b"input\n".to_vec(),
        aside: vec!["/srv/keep".into()],
        ..shell(
            "pwd; echo $GREETING; cat; sh /opt/given/tool; ls keep; echo x > keep/x
             echo 1 > /var/cache/shared/n; (echo 1 > /opt/given/x) 2>/dev/null || echo read-only
             cat /etc/resolv.conf; echo $https_proxy",
        )
    };
    assert_eq!(
        out(&mut workspace, &task),
        "/srv\nhello\ninput\nfrom the host\nread-only\nnameserver 198.51.100.1\nhttp://p\n"
    );
    drop(workspace);
    let mut workspace = Workspace::open(&cache, &[base(&lab, &cache)]).unwrap();
    let task = Task { mounts: vec![shared], ..shell("cat /var/cache/shared/n; ls /srv/keep /opt") };
    let error = workspace.run(&task, &mut |_| ()).unwrap_err();
    let WorkspaceError::Failed { tail, .. } = error else { panic!("{error:?}") };
    assert!(tail.starts_with("1\n") && tail.contains("/opt"), "{tail}");
}

#[test]
fn downloads_are_cleared_when_nobody_uses_them() {
    let Some(lab) = Lab::new() else { return };
    let cache = lab.cache();
    let mut workspace = Workspace::open(&cache, &[base(&lab, &cache)]).unwrap();
    let shared = Mount::Cache { name: "shared".into(), at: "/var/cache/shared".into() };
    let with = |lines: &str| Task { mounts: vec![shared.clone()], ..shell(lines) };
    let mut cleared = Vec::new();
    let task = with("mkdir -m 0700 /var/cache/shared/d; echo 1 > /var/cache/shared/d/n; echo x");
    workspace.run(&task, &mut |_| cleared.push(cache.clear_downloads().unwrap())).unwrap();
    assert_eq!(cleared, [false]);
    assert_eq!(out(&mut workspace, &with("cat /var/cache/shared/d/n")), "1\n");
    assert!(cache.clear_downloads().unwrap());
    assert_eq!(out(&mut workspace, &with("ls -A /var/cache/shared; echo end")), "end\n");
    drop(workspace);
    let left = fs::read_dir(lab.path("cache/work")).unwrap().flatten();
    let left: Vec<_> = left.map(|e| e.file_name()).filter(|name| name != ".lock").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_hosts_programs_make_a_tree_and_see_no_more() {
    let Some(lab) = Lab::new() else { return };
    let cache = lab.cache();
    let mut workspace = Workspace::open(&cache, &[base(&lab, &cache)]).unwrap();
    let mut text = String::new();
    let task = shell(
        "id -u; cat /kiln/tree/srv/old; echo made > /kiln/tree/srv/made
         chown 33:33 /kiln/tree/srv/made; ls /home /root /var/tmp; echo x > /tmp/x
         (echo x > /usr/x) 2>/dev/null || echo the host stays as it is
         (echo x > /etc/x) 2>/dev/null || echo and this
         test -r /etc/shadow && echo reads secrets
         mount -t tmpfs none /kiln/tree/srv/keep && touch /kiln/tree/srv/keep/mounted
         chroot /kiln/tree /usr/bin/id -u",
    );
    workspace.run_outside(&task, &mut |line| text.push_str(&format!("{line}\n"))).unwrap();
    let ended = "/home:\n\n/root:\n\n/var/tmp:\nthe host stays as it is\nand this\n0\n";
    assert_eq!(text, format!("0\nold\n{ended}"));
    let list = listed(&mut workspace, &lab);
    assert!(list.contains("-rw-r--r-- 33/33 ") && !list.contains("mounted"), "{list}");
}

#[test]
fn edits_need_no_program_of_the_tree() {
    let Some(lab) = Lab::new() else { return };
    let cache = lab.cache();
    let mut workspace = Workspace::open(&cache, &[base(&lab, &cache)]).unwrap();
    let operation = |name: &str, argument: &str| Edit::Operation {
        name: name.into(),
        argument: argument.into(),
    };
    let owned = Owned { owner: "debian".into(), group: "shadow".into(), mode: 0o600 };
    let content = Content(b"hello\n".to_vec());
    let edits = [
        operation("add-user", "ops:uid=1234,sudo"),
        Edit::File { path: "/srv/deep/er/file".into(), content, owned },
        Edit::Link { path: "/srv/link".into(), target: "old".into() },
        Edit::Remove { path: "/srv/keep".into() },
    ];
    workspace.edit(&edits, 1_000_000_000).unwrap();
    let list = listed(&mut workspace, &lab);
    let has = |line: &str| list.lines().any(|l| l.ends_with(line));
    assert!(list.contains("-rw------- 1000/42 "), "{list}");
    assert!(has("./srv/link -> old") && has("./home/ops/") && !has("./srv/keep/a"), "{list}");
    let passwd = workspace.read("/etc/passwd").unwrap().unwrap();
    assert!(String::from_utf8(passwd).unwrap().contains("ops:x:1234:1234:"));
    let owned = Owned { owner: "nobody-such".into(), ..Owned::by_root(0o644) };
    let wrong = Edit::File { path: "/x".into(), content: Content(Vec::new()), owned };
    let error = workspace.edit(&[wrong], 0).unwrap_err();
    let text = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(text, "the tree has no user `nobody-such`");
}

#[test]
fn what_was_not_used_for_the_longest_time_goes_first() {
    let Some(lab) = Lab::new() else { return };
    let cache = lab.cache();
    let add = |below: &[Layer], digit| {
        let Ok(Err(claim)) = cache.find_or_claim(&digest(digit), &mut || ()) else { panic!() };
        let mut workspace = Workspace::open(&cache, below).unwrap();
        let content = Content(vec![1; 1 << 20]);
        let owned = Owned::by_root(0o644);
        workspace.edit(&[Edit::File { path: "/f".into(), content, owned }], 0).unwrap();
        workspace.keep(claim, &digit.to_string()).unwrap()
    };
    let base = base(&lab, &cache);
    let one = add(std::slice::from_ref(&base), '1');
    let two = add(&[base.clone(), one.clone()], '2');
    let three = add(std::slice::from_ref(&base), '3');
    for (seconds, digit) in [(4, '0'), (1, '1'), (3, '2'), (2, '3')] {
        let used = lab.path("cache/layers").join(digest(digit).hex()).join("used");
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        File::options().write(true).open(used).unwrap().set_modified(time).unwrap();
    }
    let names = |keep: u64| -> Vec<String> {
        let removed = cache.collect(kiln_spec::Bytes(keep)).unwrap();
        removed.into_iter().map(|layer| layer.name).collect()
    };
    assert_eq!(names(u64::MAX), [""; 0]);
    // All are used.
    assert_eq!(names(0), [""; 0]);
    drop((one, two, three));
    let all: u64 = cache.list().unwrap().iter().map(|layer| layer.bytes.0).sum();
    // One is the oldest, but two stands on it.
    assert_eq!(names(all - 1), ["3"]);
    assert_eq!(names(0), ["2", "1"]);
    drop(base);
    assert_eq!(names(0), ["base"]);
}

/// A stream that fails after a while.
struct Broken(usize);

impl Read for Broken {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::other("the stream broke"));
        }
        self.0 -= 1;
        buf.fill(0);
        Ok(buf.len())
    }
}

#[test]
fn half_an_archive_is_an_error_and_leaves_no_layer() {
    let Some(lab) = Lab::new() else { return };
    let cache = lab.cache();
    let mut workspace = Workspace::open(&cache, &[]).unwrap();
    let error = workspace.unpack(&mut Broken(0), "/").unwrap_err();
    assert!(matches!(error, WorkspaceError::Source { .. }), "{error:?}");
    let bytes = fs::read(lab.path("base.tar")).unwrap();
    let error = workspace.unpack(&mut &bytes[..bytes.len() / 2], "/").unwrap_err();
    assert!(matches!(error, WorkspaceError::Space { .. }), "{error:?}");
    // An archive that would write elsewhere.
    let mut evil = Vec::new();
    for line in ["x -> /etc", "x/passwd"] {
        let (path, target) = line.split_once(" -> ").unwrap_or((line, ""));
        let mut header = [0; 512];
        header[..path.len()].copy_from_slice(path.as_bytes());
        header[100..107].copy_from_slice(b"0000644");
        header[156] = if target.is_empty() { b'0' } else { b'2' };
        header[157..157 + target.len()].copy_from_slice(target.as_bytes());
        header[124..135].copy_from_slice(b"00000000000");
        header[257..263].copy_from_slice(b"ustar\0");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        evil.write_all(&header).unwrap();
    }
    evil.extend([0; 1024]);
    let error = workspace.unpack(&mut &evil[..], "/").unwrap_err();
    assert!(matches!(error, WorkspaceError::Space { .. }), "{error:?}");
    assert!(cache.list().unwrap().is_empty());
}

#[test]
fn layers_are_removed_unless_they_are_used() {
    let Some(lab) = Lab::new() else { return };
    let cache = lab.cache();
    let layer = base(&lab, &cache);
    assert!(!cache.remove(layer.digest()).unwrap());
    drop(layer);
    assert!(cache.remove(&digest('0')).unwrap());
    assert!(cache.find(&digest('0')).unwrap().is_none() && cache.list().unwrap().is_empty());
    // One that was made before the host started again, and may not have reached the disk.
    let layer = base(&lab, &cache);
    cache.sync().unwrap();
    drop(layer);
    let about = lab.path("cache/layers").join(digest('0').hex()).join("layer.json");
    let text = fs::read_to_string(&about).unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert!(text.contains(boot.trim()));
    fs::write(&about, text.replace(boot.trim(), "another")).unwrap();
    assert!(cache.find(&digest('0')).unwrap().is_some());
    fs::remove_file(about.with_file_name("synced")).unwrap();
    assert!(cache.find(&digest('0')).unwrap().is_none());
    base(&lab, &cache);
    assert!(cache.find(&digest('0')).unwrap().is_some());
}

#[test]
fn a_layer_that_a_killed_build_had_ready_is_removed() {
    let Some(lab) = Lab::new() else { return };
    drop(base(&lab, &lab.cache()));
    // As it is between the layer's end and its place; its files belong to the guest's ids.
    let killed = lab.path("cache/work").join("kiln-killed");
    fs::create_dir_all(&killed).unwrap();
    let layer = lab.path("cache/layers").join(digest('0').hex());
    fs::rename(&layer, killed.join("done")).unwrap();
    lab.cache();
    let left = fs::read_dir(lab.path("cache/work")).unwrap().flatten();
    let left: Vec<_> = left.map(|e| e.file_name()).filter(|name| name != ".lock").collect();
    assert!(left.is_empty(), "{left:?}");
}
