// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A machine to a bundle over SSH, to a web server, to a machine again.

use std::fs;
use std::io::Write;

use kiln_testkit::http::Server;
use libtest_mimic::Trial;
use serde_json::Value;

use crate::lab::{Lab, trial};
use crate::verbs;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("e2e::bundles::a_machine_becomes_a_bundle_and_machines_of_both_firmwares", story)]
}

/// What is put into the first machine, and asked of the second.
const MARKS: &str = "mkdir -p /srv/s4 && cd /srv/s4 && echo first > name && \
    ln name other && ln -s name link && mkfifo pipe && truncate -s 1G holes && \
    chown 1234:4321 name && chmod 4750 name && setcap cap_net_raw+ep other 2>/dev/null; true";
const ASKED: &str = "cd /srv/s4 && stat -c '%n %a %u:%g %h %s %F' name other link pipe holes && \
    cat name && (getcap other 2>/dev/null; true)";

fn story(lab: &Lab) {
    let (first, second) = ("kt-bundled", "kt-unbundled");
    drop(lab.launch(lab.image(), first, &[]).success());
    let exec = |name: &str, script: &str| {
        lab.kiln(&["exec", name, "--", "sh", "-c", script]).success().stdout
    };
    let _ = exec(first, MARKS);
    let (marks, id) = (exec(first, ASKED), exec(first, "cat /etc/machine-id"));
    let keys = exec(first, "cat /etc/ssh/ssh_host_*_key.pub");

    let json = |args: &[&str]| -> Value {
        let out = lab.kiln(&[args, &["--json"]].concat()).success().stdout;
        serde_json::from_str(&out).expect("JSON")
    };
    let source = format!("machine:{first}");
    let made = json(&["bundle", "create", &source, "--name", "kt-s4"]);
    let manifest = &made["bundle"];
    assert_eq!((&manifest["from"], &manifest["arch"]), (&"ssh".into(), &"amd64".into()));
    assert_eq!(manifest["firmware"], serde_json::json!(["bios", "uefi"]), "{manifest}");

    let served = lab.folder.join("served");
    fs::create_dir_all(&served).expect("a folder");
    let server = Server::start(&served);
    server.allow_put();
    let url = server.url("kt-s4.tar.zst");
    drop(lab.kiln(&["bundle", "push", "kt-s4", &url]).success());
    drop(lab.kiln(&["bundle", "rm", "kt-s4"]).success());
    verbs::removed_without_a_trace(lab, first);

    let out = lab.launch(&url, second, &["--timings", "--json"]).success();
    let launched: Value = serde_json::from_str(&out.stdout).expect("JSON");
    let machine = &launched["machines"][0];
    assert_eq!(machine["ready"]["ssh"], true, "{machine}");
    assert_eq!(exec(second, "hostname"), format!("{second}\n"));
    assert_eq!(exec(second, ASKED), marks);
    // It is another machine.
    assert_ne!(exec(second, "cat /etc/machine-id"), id);
    assert_ne!(exec(second, "cat /etc/ssh/ssh_host_*_key.pub"), keys);
    show(&made, machine, &out.stderr);

    verbs::removed_without_a_trace(lab, second);

    // The same bundle again is there already, and boots by UEFI.
    let third = "kt-unbundled-uefi";
    drop(lab.launch(&url, third, &["--firmware", "uefi"]).success());
    let out = lab.kiln(&["exec", third, "--", "test", "-d", "/sys/firmware/efi"]);
    assert_eq!((out.code, out.stderr.as_str()), (0, ""));
    verbs::removed_without_a_trace(lab, third);
    drop(lab.kiln(&["bundle", "rm", "kt-s4"]).success());
    drop(lab.kiln(&["image", "rm", "kt-s4"]).success());
}

/// Prints the table of timings: what a reader of the story wants to know.
fn show(made: &Value, machine: &Value, stderr: &str) {
    let text = format!(
        "bundle over SSH: {} ms, {} bytes of {}\nlaunch: {}\n{stderr}\n",
        made["took_ms"],
        made["bundle"]["file_size"],
        made["bundle"]["tar_bytes"],
        machine["timings"],
    );
    std::io::stderr().write_all(text.as_bytes()).expect("written");
}
