// SPDX-License-Identifier: Apache-2.0 OR MIT
//! SELinux labels as matchpathcon, of libselinux, finds them.

use crate::support::{Image, NOW, path};
use kiln_guest::selinux::{Contexts, Labels, label};
use kiln_guest::tree::{Attrs, Kind, New, Tree};
use kiln_testkit::{Files, Rng, need_program, run};

/// Where the contexts of the policy `mine` lie.
const BASE: &str = "etc/selinux/mine/contexts/files/file_contexts";

/// Lines as policies have them.
const POLICY: &str = r"
# what is not said otherwise
/.*	system_u:object_r:default_t:s0
/[^/]+	--	system_u:object_r:etc_runtime_t:s0
/	-d	system_u:object_r:root_t:s0
/etc(/.*)?	system_u:object_r:etc_t:s0
/etc/passwd[-\+]?	--	system_u:object_r:passwd_file_t:s0
/etc/shadow.*	--	system_u:object_r:shadow_t:s0
/etc/ssh/ssh_host.*_key(\.pub)?	--	system_u:object_r:sshd_key_t:s0
/etc/resolv\.conf.*	--	system_u:object_r:net_conf_t:s0
/etc/\.pwd\.lock	--	system_u:object_r:shadow_t:s0
/etc/mtab	--	system_u:object_r:etc_runtime_t:s0
/usr(/.*)?	system_u:object_r:usr_t:s0
/usr/lib(/.*)?	system_u:object_r:lib_t:s0
/usr/lib(64)?/.+\.so(\.[^/]*)*	--	system_u:object_r:lib_t:s1
/usr/(s)?bin(/.*)?	system_u:object_r:bin_t:s0
/usr/bin/c\+\+	--	system_u:object_r:gcc_t:s0
/dev/[shmxv]d[^/]*	-b	system_u:object_r:fixed_disk_device_t:s0
/dev/(misc/)?rtc[0-9]*	-c	system_u:object_r:clock_device_t:s0
/proc/.*	<<none>>
/run/.*\.*pid	<<none>>
/var/run/[[:alnum:]]{2,}\d/x	system_u:object_r:var_run_t:s0
/home/[^/]*/\.ssh(/.*)?	system_u:object_r:ssh_home_t:s0
";

/// Paths to look up.
const PATHS: [&str; 30] = [
    "/",
    "/x",
    "/x/y",
    "/etc",
    "/etc/passwd",
    "/etc/passwd-",
    "/etc/passwd+x",
    "/etc/shadow.old",
    "/etc/ssh/ssh_host_rsa_key.pub",
    "/etc/resolv.conf",
    "/etc/resolvxconf",
    "/etc/.pwd.lock",
    "/etc/mtab",
    "/usr/lib/libc.so.6",
    "/usr/lib64/a/b.so",
    "/usr/bin/c++",
    "/usr/sbin",
    "/lib64/x.so",
    "/usr/bin/cc",
    "/dev/sda1",
    "/dev/rtc0",
    "/dev/misc/rtc",
    "/proc/1",
    "/run/a.pid",
    "/run/x",
    "/var/run/ab3/x",
    "/opt/y",
    "/home/ann/.ssh/id",
    "/home/ann/x/.ssh",
    "/srv/mine/z",
];

/// Kinds, as matchpathcon calls them.
const KINDS: [(Kind, &str); 5] = [
    (Kind::File, "file"),
    (Kind::Directory, "dir"),
    (Kind::Symlink, "lnk_file"),
    (Kind::Block, "blk_file"),
    (Kind::Char, "chr_file"),
];

/// Compares all lookups with those of libselinux.
#[track_caller]
fn compare(files: &[(&str, &str)], paths: &[String]) {
    let tools = ["matchpathcon"];
    if !tools.into_iter().all(need_program) {
        return;
    }
    let host = tempfile::tempdir().unwrap();
    let mut guest = Files::new();
    for (end, text) in files {
        std::fs::write(host.path().join(format!("file_contexts{end}")), text).unwrap();
        guest = guest.file(&format!("{BASE}{end}"), *text);
    }
    let Some(image) = Image::new(&guest, "8M", &[]) else { return };
    let mut contexts = Contexts::load(&mut image.tree(), "mine").unwrap().unwrap();
    let spec = host.path().join("file_contexts").display().to_string();
    for (kind, name) in KINDS {
        let mut argv = vec!["matchpathcon", "-f", &spec, "-n", "-m", name];
        argv.extend(paths.iter().map(String::as_str));
        let theirs = run(&argv).success().stdout;
        let theirs: Vec<_> = theirs.lines().collect();
        assert_eq!(theirs.len(), paths.len());
        for (at, theirs) in paths.iter().zip(theirs) {
            let ours = contexts.lookup(&path(at), kind).unwrap();
            assert_eq!(ours.as_deref().unwrap_or("<<none>>"), theirs, "{at} {name}");
        }
    }
}

#[test]
fn labels_are_those_of_libselinux() {
    let paths = PATHS.map(String::from);
    compare(&[("", POLICY)], &paths);
    compare(
        &[
            ("", POLICY),
            (".homedirs", "/home/[^/]+/.+\tu:r:home_t:s0\n/home/ann\t-d\tu:r:ann_t:s0\n"),
            (".local", "/srv/mine(/.*)?\tu:r:mine_t:s0\n/etc/.*w.*\tu:r:w_t:s0\n"),
            (".subs_dist", "/lib64 /usr/bin\n/lib64 /usr/lib\n/run /etc\n"),
            (".subs", "/opt /lib64\n/x /\n"),
        ],
        &paths,
    );
}

#[test]
fn lines_in_any_order_win_as_in_libselinux() {
    let mut dice = Rng::new(7);
    let folders = ["", "/etc", "/usr", "/usr/lib", "/a\\.b", "/a\\+", "/c[0-9]", "/(d|e)", "/f?"];
    let ends = ["", "(/.*)?", "/.*", "/[^/]+", "/x.*", "/x", "\\.conf", "/.+\\.so(\\.[0-9])*"];
    let kinds = ["", "\t--", "\t-d", "\t-l"];
    let names =
        ["/etc", "/usr", "/lib", "/a.b", "/a+", "/c5", "/d", "/f", "/x", "/y.so.1", "/x.conf"];
    for round in 0..20 {
        let mut text = String::from("/.*\tu:r:all:s0\n/\tu:r:root:s0\n");
        for number in 0..60 {
            let (a, b) = (*dice.pick(&folders), *dice.pick(&folders));
            let (end, kind) = (*dice.pick(&ends), *dice.pick(&kinds));
            if !(a.is_empty() && b.is_empty() && end.is_empty()) {
                text += &format!("{a}{b}{end}{kind}\tu:r:t{number}:s{round}\n");
            }
        }
        let path = |dice: &mut Rng| [(); 3].map(|()| *dice.pick(&names)).concat();
        let mut paths: Vec<_> = (0..60).map(|_| path(&mut dice)).collect();
        paths.extend(names.map(String::from));
        compare(&[("", &text)], &paths);
    }
}

#[test]
fn new_files_of_an_image_are_labelled() {
    let files = Files::new()
        .file("etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=mine\n")
        .file(BASE, POLICY);
    let Some(image) = Image::new(&files, "8M", &[]) else { return };
    let mut tree = image.tree();
    let attrs = Attrs { mode: 0o644, uid: 0, gid: 0, mtime: NOW };
    tree.write(&path("/etc/shadow"), &mut &b"x"[..], &attrs).unwrap();
    tree.make(&path("/etc/link"), &New::Symlink(b"shadow".to_vec()), &attrs).unwrap();
    let made = [path("/etc/shadow"), path("/etc/link"), path("/etc/gone")];
    assert_eq!(label(&mut tree, &made, NOW).unwrap(), Labels::Given(2));
    tree.finish().unwrap();
    image.check();
    for (file, wanted) in [("shadow", "shadow_t"), ("link", "etc_t")] {
        let value = image.debugfs(&format!("ea_get /etc/{file} security.selinux"));
        assert!(value.contains(&format!("system_u:object_r:{wanted}:s0\\000")), "{value}");
    }
}
