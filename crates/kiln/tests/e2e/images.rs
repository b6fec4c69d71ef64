// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Images that were changed without being booted, and what boots from them.

use kiln_testkit::{Output, need_program, run};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::hosts::User;
use crate::lab::{Lab, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("e2e::images::what_root_installs_is_served", as_root),
        trial("e2e::images::what_a_user_installs_is_served", as_user),
    ]
}

fn as_root(lab: &Lab) {
    if need_program("curl") {
        let image = lab.folder.join("web-root.qcow2").display().to_string();
        served(lab, "kt-web-root", &image, &|args| lab.kiln(args));
    }
}

fn as_user(lab: &Lab) {
    if !need_program("curl") {
        return;
    }
    let Some(user) = User::new(lab, "web") else { return };
    let image = user.folder.join("web-user.qcow2").display().to_string();
    served(lab, "kt-web-user", &image, &|args| user.kiln(args));
}

/// Installs a web server into a copy of the image with `kiln`, and asks the machine that is
/// launched from the copy for a page.
fn served(lab: &Lab, name: &str, image: &str, kiln: &dyn Fn(&[&str]) -> Output) {
    let page = format!("/var/www/html/index.html:page of {name}");
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

    let out = lab.launch(image, name, &["--json"]).success();
    let json: Value = serde_json::from_str(&out.stdout).expect("JSON");
    let address = json["machines"][0]["ssh"]["address"].as_str().expect("an address");
    let got = run(&["curl", "-sS", "--max-time", "30", &format!("http://{address}/")]).success();
    assert_eq!(got.stdout, format!("page of {name}"));
    drop(lab.kiln(&["rm", name]).success());
}
