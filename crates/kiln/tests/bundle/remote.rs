// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bundles on a web server: put there, fetched, gone on with, and lied about.

use std::fs;
use std::path::Path;

use kiln_testkit::http::{Lie, Server};

use crate::support::Lab;

/// A lab with a bundle `web` and a server.
fn served() -> Option<(Lab, Server)> {
    let lab = Lab::new()?;
    // Longer than what is asked for at once.
    let noise: Vec<u8> = (0..700_000_u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
    lab.file("srv/noise", &noise);
    let _ = lab.bundle(&["create", &lab.path("tree/"), "--name", "web"]).success();
    fs::create_dir(lab.path("served")).expect("a folder");
    let server = Server::start(Path::new(&lab.path("served")));
    Some((lab, server))
}

#[test]
fn a_bundle_goes_to_a_server_and_comes_back() {
    let Some((lab, server)) = served() else { return };
    let refused = lab.bundle(&["push", "web", &server.url("")]);
    assert_eq!(refused.code, 6, "{}", refused.stderr);
    assert!(refused.stderr.contains("the server takes no files by PUT"), "{}", refused.stderr);
    server.allow_put();
    let out = lab.bundle(&["push", "web", &server.url("")]).success().stdout;
    let url = server.url("web.tar.zst");
    assert_eq!(out.trim(), url);
    for name in ["web.tar.zst", "web.tar.zst.json"] {
        let (here, there) = (format!("home/bundles/{name}"), format!("served/{name}"));
        assert!(fs::read(lab.path(&here)).unwrap() == fs::read(lab.path(&there)).unwrap());
    }
    // There already: not fetched again.
    drop(server.requests());
    let _ = lab.bundle(&["pull", &url]).success();
    assert_eq!(server.requests().len(), 1);
    let _ = lab.bundle(&["pull", &url, "--name", "other"]).success();
    let info = lab.json(&["info", "other", "--verify"]);
    assert_eq!((&info["verified"], &info["manifest"]["name"]), (&true.into(), &"other".into()));
    // By its address straight to a disk.
    let _ = lab.bundle(&["rm", "web"]).success();
    let made = lab.json(&["assemble", &url]);
    assert_eq!(made["image"]["name"], "web");
    let gone = lab.bundle(&["pull", &server.url("none.tar.zst")]);
    assert_eq!(gone.code, 4, "{}", gone.stderr);
}

#[test]
fn a_fetch_goes_on_where_it_broke_off() {
    let Some((lab, server)) = served() else { return };
    server.allow_put();
    let _ = lab.bundle(&["push", "web", &server.url("")]).success();
    let url = server.url("web.tar.zst");
    let pull = || lab.bundle(&["pull", &url, "--name", "two"]);
    drop(server.requests());
    server.lie("web.tar.zst", Lie::Truncate(100_000));
    let _ = pull().success();
    let starts: Vec<_> =
        server.requests().iter().filter_map(|r| r.range().map(|(at, _)| at)).collect();
    assert!(starts.len() > 10 && starts.windows(2).all(|two| two[0] < two[1]), "{starts:?}");
    let _ = lab.bundle(&["info", "two", "--verify"]).success();
    let _ = lab.bundle(&["rm", "two"]).success();

    // A kiln that gives up leaves what came, and the next one goes on.
    server.honest();
    // The last lie is told first.
    server.lie_times("web.tar.zst", Lie::Status(404), 1);
    server.lie_times("web.tar.zst", Lie::Truncate(500_000), 1);
    assert_eq!(pull().code, 4);
    let left = fs::read_dir(lab.path("home/bundles")).unwrap();
    let left = left.map(|e| e.unwrap().file_name().into_string().unwrap());
    let parts: Vec<_> = left.filter(|name| name.starts_with(".part-")).collect();
    assert!(!parts.is_empty());
    server.honest();
    drop(server.requests());
    let _ = pull().success();
    let _ = lab.bundle(&["info", "two", "--verify"]).success();
    let ranges: Vec<_> = server.requests().iter().filter_map(|r| r.range()).collect();
    assert!(ranges.len() == 1 && ranges[0].0 >= 500_000, "{ranges:?}");
}

#[test]
fn a_server_that_lies_gives_no_bundle() {
    let Some((lab, server)) = served() else { return };
    server.allow_put();
    let _ = lab.bundle(&["push", "web", &server.url("")]).success();
    let url = server.url("web.tar.zst");
    let pull = || lab.bundle(&["pull", &url, "--name", "two"]);
    server.lie("web.tar.zst", Lie::Flip(1000));
    let out = pull();
    assert_eq!(out.code, 3, "{}", out.stderr);
    assert!(out.stderr.contains("and its manifest says sha256:"), "{}", out.stderr);
    assert_eq!(lab.bundle(&["info", "two"]).code, 4);
    // What was wrong is not gone on with.
    server.honest();
    let _ = pull().success();
    // Another bundle of the name is not replaced.
    let manifest = lab.path("served/web.tar.zst.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let other = text.replacen("\"digest\": \"sha256:", "\"digest\": \"sha256:0", 1);
    let cut = other.find("\"from\"").unwrap();
    let digest_end = other[..cut].rfind('"').unwrap();
    let other = format!("{}{}", &other[..digest_end - 1], &other[digest_end..]);
    fs::write(&manifest, other).unwrap();
    let taken = pull();
    assert_eq!(taken.code, 4, "{}", taken.stderr);
    fs::write(&manifest, text.replace("\"web\"", "\"../../evil\"")).unwrap();
    let evil = lab.bundle(&["pull", &url]);
    assert_eq!(evil.code, 3, "{}", evil.stderr);
    assert!(evil.stderr.contains("which is no name for one"), "{}", evil.stderr);
}
