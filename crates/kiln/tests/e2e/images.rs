// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Images that were changed without being booted, and what boots from them. What a user installs
//! is asked for in [`crate::hosts`].

use std::fs;

use kiln_testkit::{Output, need_program, run};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::lab::{Lab, trial};
use crate::verbs;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("e2e::images::what_root_installs_is_served_and_a_module_that_fails_is_named", root)]
}

/// One machine for two things that have nothing to do with each other: a boot takes minutes.
fn root(lab: &Lab) {
    if !need_program("curl") {
        return;
    }
    let (name, image) = ("kt-web", lab.folder.join("web.qcow2").display().to_string());
    web_server(lab, &image, "page of root", &|args| lab.kiln(args));
    let data = lab.folder.join("failing.yaml");
    fs::write(&data, "#cloud-config\nruncmd:\n  - exit 3\n").expect("written");
    let out = lab.launch(&image, name, &["--user-data", &data.display().to_string()]);
    assert_eq!(out.code, 7, "{}", out.stderr);
    assert!(out.stderr.contains("error: cloud-init failed in `kt-web`"), "{}", out.stderr);
    assert!(out.stderr.contains("  | module `scripts-user` (modules-final)"), "{}", out.stderr);
    // It was kept to be looked at.
    assert_eq!(lab.kiln(&["exec", name, "--", "hostname"]).success().stdout, "kt-web\n");

    let info = lab.kiln(&["info", name, "--json"]).success().stdout;
    let info: Value = serde_json::from_str(&info).expect("JSON");
    let address = info["addresses"][0].as_str().expect("an address");
    let got = run(&["curl", "-sS", "--max-time", "30", &format!("http://{address}/")]).success();
    assert_eq!(got.stdout, "page of root");
    verbs::removed_without_a_trace(lab, name);
}

/// Installs a web server with a page into a copy of the tests' image, with `kiln`.
pub(crate) fn web_server(lab: &Lab, image: &str, page: &str, kiln: &dyn Fn(&[&str]) -> Output) {
    let page = format!("/var/www/html/index.html:{page}");
    let out = kiln(&[
        "image",
        "customize",
        "--output",
        image,
        lab.image(),
        "--install",
        "nginx",
        "--run-command",
        "systemctl enable nginx",
        "--write",
        &page,
    ]);
    drop(out.success());
    // Nothing of the visit is left in the image, and what was there is as it was.
    let log = kiln(&["image", "cat", image, "/etc/resolv.conf"]);
    let before = kiln(&["image", "cat", lab.image(), "/etc/resolv.conf"]);
    assert_eq!((log.code, log.stdout), (before.code, before.stdout));
    drop(run(&["qemu-img", "check", "-q", image]).success());
}
