// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Images from recipes, by the program.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use kiln_testkit::{need_program, run};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::hosts::USER;
use crate::lab::{IMAGE, Lab, project, trial};
use crate::seeds::Served;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("e2e::build::the_same_recipe_is_answered_from_the_store", from_the_store),
        trial("e2e::build::an_unprivileged_user_gets_the_same_bytes", unprivileged),
        trial("e2e::build::recipes_that_cannot_be_built_say_why", refused),
    ]
}

fn recipe() -> String {
    project().join("examples/debian-12.yaml").display().to_string()
}

fn digest_of(json: &str) -> String {
    let built: Value = serde_json::from_str(json).expect("JSON");
    built["image"]["digest"].as_str().expect("a digest").to_owned()
}

fn from_the_store(lab: &Lab) {
    lab.image();
    let began = Instant::now();
    let out = lab.kiln(&["build", &recipe(), "--json"]).success();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let built: Value = serde_json::from_str(&out.stdout).expect("JSON");
    assert_eq!(built["cached"], true);
    assert_eq!(built["image"]["name"], IMAGE);
    assert_eq!(built["image"]["firmware"], serde_json::json!(["bios", "uefi"]));
    let path = built["path"].as_str().expect("a path");
    let check = run(&["qemu-img", "check", path]);
    assert_eq!(check.code, 0, "{}", check.stdout);
}

/// Builds a recipe of elements, which stands on one of steps, which stands on the one that most
/// tests launch; and looks in a machine of that name for what they say.
pub(crate) fn layered(lab: &Lab, name: &str) {
    lab.image();
    let dev = project().join("examples/dev.yaml").display().to_string();
    let build = |args: &[&str]| -> Value {
        let out = lab.kiln(&[&["build", &dev, "--json"], args].concat());
        serde_json::from_str(&out.success().stdout).expect("JSON")
    };
    let built = build(&[]);
    assert_eq!(built["cached"], false);
    // Its own steps again, on those of the recipes below: the same bytes.
    let plan = lab.kiln(&["build", &dev, "--dry-run", "--json"]).success().stdout;
    let plan: Value = serde_json::from_str(&plan).expect("JSON");
    let steps = plan["steps"].as_array().expect("steps");
    let first = steps.iter().filter_map(|step| step["step"].as_str()).find(|s| s.contains("acpid"));
    let again = build(&["--from", first.expect("a step of the element")]);
    assert_eq!(
        (&again["cached"], &again["image"]["digest"]),
        (&false.into(), &built["image"]["digest"])
    );
    // It gets ready but for a command of its user's, which fails.
    let data = lab.folder.join("failing.yaml");
    fs::write(&data, "#cloud-config\nruncmd:\n  - exit 3\n").expect("written");
    // Its guest fetches that from a server.
    let served = Served::begin(lab);
    let data = data.display().to_string();
    let out = lab.launch("dev", name, &["--user-data", &data, "--seed-url", &served.url]);
    assert_eq!(out.code, 7, "{}", out.stderr);
    let failed = format!("error: cloud-init failed in `{name}`");
    assert!(out.stderr.contains(&failed), "{}", out.stderr);
    assert!(out.stderr.contains("  | module `scripts-user` (modules-final)"), "{}", out.stderr);
    served.refuses_us(name);
    // It was kept to be looked at.
    let info = lab.kiln(&["info", name, "--json"]).success().stdout;
    let info: Value = serde_json::from_str(&info).expect("JSON");
    let address = info["ssh"]["address"].as_str().expect("an address");
    let page = run(&["curl", "-sS", "--max-time", "30", &format!("http://{address}/")]).success();
    assert!(page.stdout.contains("<title>It works</title>"), "{}", page.stdout);
    let said = |script: &str| lab.kiln(&["exec", name, "--", "sh", "-c", script]).success().stdout;
    assert_eq!(said("systemctl is-active acpid nginx"), "active\nactive\n");
    assert_eq!(said("id -nG ada; id -nG ops"), "ada adm\nops adm\n");
    assert_eq!(said("readlink /etc/localtime"), "/usr/share/zoneinfo/Europe/Berlin\n");
    assert_eq!(said("swapon --show=NAME,SIZE --noheadings"), "/swapfile  64M\n");
    let policy = said("sshd -T | grep -E '^(permitrootlogin|allowtcpforwarding) '");
    assert!(policy.contains("permitrootlogin no") && policy.contains("forwarding no"), "{policy}");
    assert!(said("cat /proc/cmdline").contains("console=ttyS0,115200"));
}

/// Builds as a user without rights and compares with what root built.
fn unprivileged(lab: &Lab) {
    if !need_program("runuser") || !crate::hosts::user_is_there() {
        return;
    }
    let folder = lab.folder.join("unprivileged");
    fs::create_dir_all(&folder).expect("made");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("its mode can be set");
    let home = format!("KILN_HOME={}", folder.join("home").display());
    let copy = folder.join("recipe.yaml");
    fs::copy(recipe(), &copy).expect("copied");
    let kiln = folder.join("kiln");
    let (kiln, copy) = (kiln.display().to_string(), copy.display().to_string());
    drop(run(&["cp", env!("CARGO_BIN_EXE_kiln"), &kiln]).success());
    let out = run(&["runuser", "-u", USER, "--", "env", &home, &kiln, "build", &copy, "--json"])
        .success();
    lab.image();
    let root = lab.kiln(&["build", &recipe(), "--json"]).success();
    assert_eq!(digest_of(&out.stdout), digest_of(&root.stdout));
}

fn refused(lab: &Lab) {
    let build = |name: &str, text: &str| {
        let file = lab.folder.join(name);
        fs::write(&file, text).expect("written");
        lab.kiln(&["build", &file.display().to_string()])
    };
    let out = build("typo.yaml", "kiln: 1\nname: x\nbase: {debian: bookworm}\npackges: [vim]\n");
    assert_eq!(out.code, 3, "{}", out.stderr);
    assert!(out.stderr.contains("typo.yaml:4:1"), "{}", out.stderr);
    assert!(out.stderr.contains("`packages`"), "{}", out.stderr);
    let out = build(
        "mirror.yaml",
        "kiln: 1\nname: x\nbase: {debian: bookworm, mirror: \"http://127.0.0.1:1/debian\"}\n",
    );
    assert_eq!(out.code, 6, "{}", out.stderr);
    assert!(out.stderr.contains("127.0.0.1:1"), "{}", out.stderr);
    let out = lab.kiln(&["build", "/no/such/recipe.yaml"]);
    assert_eq!(out.code, 4, "{}", out.stderr);
    // Nothing half built is in the store.
    let list = lab.kiln(&["image", "list"]).success().stdout;
    assert!(!list.lines().any(|line| line.starts_with("x ")), "{list}");
}
