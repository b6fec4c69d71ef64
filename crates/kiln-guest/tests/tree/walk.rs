// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whole parts of trees: found by patterns, walked through, removed, copied, given away.

use kiln_guest::tree::walk::{glob, remove_all};
use kiln_guest::tree::{
    self, GuestPath, Kind, New, Step, Tree, TreeError, chown, chown_all, copy, edit_bytes, empty,
    find_all, make_dirs, visit,
};
use kiln_testkit::{Files, run};

use crate::support::{Image, attrs, path};

fn image(files: &Files) -> Option<Image> {
    Image::new(files, "8M", &[])
}

fn shown(paths: &[GuestPath]) -> Vec<String> {
    paths.iter().map(ToString::to_string).collect()
}

fn all(tree: &mut dyn Tree, top: &str) -> Vec<String> {
    let found = find_all(tree, &path(top)).unwrap();
    found.iter().map(|found| found.path.to_string()).collect()
}

#[test]
fn patterns_find_names() {
    let files = Files::new()
        .file("var/log/a.log", "")
        .file("var/log/b.log.1", "")
        .file("var/log/.hidden.log", "")
        .file("var/log/deep/c.log", "")
        .file("odd/a*b", "")
        .file("odd/aXb", "")
        .link("logs", "var/log")
        .link("loop", "loop");
    let Some(image) = image(&files) else { return };
    let mut tree = image.tree();
    let mut found = |pattern: &str| shown(&glob(&mut tree, pattern.as_bytes()).unwrap());
    assert_eq!(found("/var/log/*.log"), ["/var/log/a.log"]);
    assert_eq!(found("/var/log/*.log*"), ["/var/log/a.log", "/var/log/b.log.1"]);
    assert_eq!(found("/var/log/.*.log"), ["/var/log/.hidden.log"]);
    assert_eq!(found("/var/*/*/*"), ["/var/log/deep/c.log"]);
    assert_eq!(found("/logs/{a,b}.log*"), ["/logs/a.log", "/logs/b.log.1"]);
    assert_eq!(found("/odd/a\\*b"), ["/odd/a*b"]);
    assert_eq!(found("/odd/a*b"), ["/odd/a*b", "/odd/aXb"]);
    assert_eq!(found("/l*"), ["/logs", "/loop", "/lost+found"]);
    assert_eq!(found("/loop/*"), [""; 0]);
    assert_eq!(found("/nowhere"), [""; 0]);
    assert_eq!(found("/*/../odd/aXb").len(), 3);
    assert_eq!(found("/"), ["/"]);
}

#[test]
fn nothing_is_removed_behind_a_link() {
    let files = Files::new()
        .file("keep/file", "x")
        .file("gone/a/b/c", "x")
        .link("gone/a/out", "/keep")
        .link("gone/up", "..")
        .link("alias", "keep");
    let Some(image) = image(&files) else { return };
    let mut tree = image.tree();
    assert!(remove_all(&mut tree, &path("/gone")).unwrap());
    assert!(!remove_all(&mut tree, &path("/gone")).unwrap());
    assert!(remove_all(&mut tree, &path("/alias")).unwrap());
    assert_eq!(all(&mut tree, "/"), ["/", "/keep", "/keep/file", "/lost+found"]);
    assert!(empty(&mut tree, &path("/keep")).unwrap());
    assert!(!empty(&mut tree, &path("/keep")).unwrap());
    tree.finish().unwrap();
    image.check();
}

#[test]
fn walks_can_be_cut_short() {
    let files = Files::new().file("a/1", "").file("b/2", "").file("c/3", "");
    let Some(image) = image(&files) else { return };
    let mut tree = image.tree();
    let mut seen = Vec::new();
    visit(&mut tree, &path("/"), &mut |_, found| {
        seen.push(format!("{} {}", found.depth, found.path));
        Ok(match found.path.name() {
            Some(b"a") => Step::Past,
            Some(b"c") => Step::Stop,
            _ => Step::In,
        })
    })
    .unwrap();
    assert_eq!(seen, ["0 /", "1 /a", "1 /b", "2 /b/2", "1 /c"]);
}

#[test]
fn a_directory_within_itself_ends_a_walk() {
    let Some(image) = image(&Files::new().dir("a/b")) else { return };
    let fs = image.path().display().to_string();
    drop(run(&["debugfs", "-w", "-R", "link /a /a/b/again", &fs]).success());
    let mut tree = image.tree();
    let error = find_all(&mut tree, &path("/")).unwrap_err();
    assert!(matches!(&error, TreeError::TooDeep { path } if path.to_string() == "/a/b/again"));
}

#[test]
fn a_copy_is_like_what_it_was_made_from() {
    let files = Files::new()
        .file("from/file", "contents")
        .mode(0o4750)
        .owner(5, 6)
        .xattr("user.note", "kept")
        .file("from/sub/x", "y")
        .link("from/link", "/from/file")
        .file("to/file", "old");
    let Some(image) = image(&files) else { return };
    let mut tree = image.tree();
    tree.hard_link(&path("/from/file"), &path("/from/sub/name")).unwrap();
    tree.make(&path("/from/null"), &New::Char(1, 3), &attrs(0o666)).unwrap();
    tree.make(&path("/from/pipe"), &New::Fifo, &attrs(0o600)).unwrap();
    copy(&mut tree, &path("/from"), &path("/copy")).unwrap();
    copy(&mut tree, &path("/from/file"), &path("/to/file")).unwrap();
    assert_eq!(
        all(&mut tree, "/copy"),
        ["", "/file", "/link", "/null", "/pipe", "/sub", "/sub/name", "/sub/x"]
            .map(|name| format!("/copy{name}"))
    );
    for name in ["", "/file", "/link", "/null", "/pipe", "/sub", "/sub/x"] {
        let mut stat = |top: &str| {
            let at = path(&format!("{top}{name}"));
            let stat = tree.lstat(&at).unwrap().unwrap();
            (stat.kind, stat.attrs, stat.device, tree.xattrs(&at).unwrap())
        };
        assert_eq!(stat("/from"), stat("/copy"), "{name}");
    }
    let mut identity = |at: &str| tree.stat(&path(at)).unwrap().unwrap().identity;
    assert_eq!(identity("/copy/file"), identity("/copy/sub/name"));
    assert_ne!(identity("/copy/file"), identity("/from/file"));
    let into = copy(&mut tree, &path("/from"), &path("/from/sub/self"));
    assert!(matches!(into, Err(TreeError::ReadOnly { .. })), "{into:?}");
    tree.finish().unwrap();
    image.check();
    assert_eq!(image.debugfs("cat /copy/file"), "contents");
    assert_eq!(image.debugfs("cat /to/file"), "contents");
}

#[test]
fn files_that_are_given_away_lose_their_set_id_bits() {
    let files = Files::new()
        .file("top/suid", "")
        .mode(0o6755)
        .file("top/lock", "")
        .mode(0o2644)
        .dir("top/dir")
        .mode(0o2775)
        .link("top/link", "../outside")
        .file("outside", "")
        .mode(0o4755);
    let Some(image) = image(&files) else { return };
    let mut tree = image.tree();
    chown_all(&mut tree, &path("/top"), Some(1000), None).unwrap();
    let mut seen = |at: &str| {
        let attrs = tree.lstat(&path(at)).unwrap().unwrap().attrs;
        (attrs.mode, attrs.uid, attrs.gid)
    };
    assert_eq!(seen("/top/suid"), (0o755, 1000, 0));
    assert_eq!(seen("/top/lock"), (0o2644, 1000, 0));
    assert_eq!(seen("/top/dir"), (0o2775, 1000, 0));
    assert_eq!(seen("/top/link"), (0o777, 1000, 0));
    assert_eq!(seen("/outside"), (0o4755, 0, 0));
    chown(&mut tree, &path("/top/link"), None, Some(7)).unwrap();
    assert_eq!(tree.stat(&path("/outside")).unwrap().unwrap().attrs.mode, 0o755);
}

#[test]
fn small_files_are_read_and_edited_whole() {
    let files = Files::new().file("etc/conf", b"a\xff\n").link("conf", "etc/conf").dir("etc/d");
    let Some(image) = image(&files) else { return };
    let mut tree = image.tree();
    assert_eq!(tree::read_text(&mut tree, &path("/conf")).unwrap(), Some("a\u{fffd}\n".into()));
    assert_eq!(tree::read_bytes(&mut tree, &path("/etc/d")).unwrap(), None);
    assert_eq!(tree::read_bytes(&mut tree, &path("/none")).unwrap(), None);
    let same = edit_bytes(&mut tree, &path("/conf"), &attrs(0o600), |old| Some(old.to_vec()));
    assert!(!same.unwrap());
    let more = |old: &[u8]| Some([old, b"b\n"].concat());
    assert!(edit_bytes(&mut tree, &path("/conf"), &attrs(0o600), more).unwrap());
    assert!(edit_bytes(&mut tree, &path("/new"), &attrs(0o600), more).unwrap());
    assert!(make_dirs(&mut tree, &path("/x/y/z"), &attrs(0o711)).unwrap());
    assert!(!make_dirs(&mut tree, &path("/x/y"), &attrs(0o755)).unwrap());
    let blocked = make_dirs(&mut tree, &path("/conf/y"), &attrs(0o755));
    assert!(matches!(blocked, Err(TreeError::NotADirectory { .. })), "{blocked:?}");
    assert!(tree::is_dir(&mut tree, &path("/x/y/z")).unwrap());
    assert!(tree::is_file(&mut tree, &path("/conf")).unwrap());
    assert!(!tree::exists(&mut tree, &path("/conf/y")).unwrap());
    assert_eq!(tree.stat(&path("/x")).unwrap().unwrap().attrs.mode, 0o711);
    assert_eq!(tree.stat(&path("/x")).unwrap().unwrap().kind, Kind::Directory);
    assert_eq!(tree.read(&path("/etc/conf"), 100).unwrap(), b"a\xff\nb\n");
    let large = tree.read(&path("/etc/conf"), 3);
    assert!(matches!(large, Err(TreeError::TooLarge { .. })), "{large:?}");
}
