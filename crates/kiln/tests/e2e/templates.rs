// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Templates: made of machines and images, launched, guarded. No guest boots here.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use kiln_testkit::{need_program, run};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::clones::{cat, off, used, volume};
use crate::lab::{Lab, POOL, cut_short, kills, parsed, trial, virsh};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("e2e::templates::a_template_lives_its_whole_life", whole_life),
        trial("e2e::templates::a_full_copy_needs_its_template_no_more", full),
        trial("e2e::templates::a_create_killed_at_any_moment_leaves_nothing", killed),
    ]
}

/// Returns what is in the tests' pool of templates of a name.
fn files(lab: &Lab, start: &str) -> Vec<String> {
    let all = fs::read_dir(lab.folder.join("pool")).expect("the pool");
    let names = all.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(start)).collect();
    names.sort();
    names
}

fn full(lab: &Lab) {
    if !need_program("mke2fs") || !need_program("debugfs") {
        return;
    }
    let lab = &lab.with_home("templates-full");
    let (image, name) = (used(lab, "whole.raw"), "kt-whole");
    let more = ["--full", "--disk", "1GiB", "--no-wait", "--memory", "128MiB"];
    let dry = lab.launch(&image, name, &[&more[..], &["--dry-run"]].concat()).success().stdout;
    assert!(dry.contains("`kt-whole.qcow2`, 1 GiB, a full copy of the template\n"), "{dry}");
    drop(lab.launch(&image, name, &more).success());
    let disk = volume(lab, "kt-whole.qcow2");
    let info = run(&["qemu-img", "info", "-U", "--output=json", &disk]).success().stdout;
    let info: Value = serde_json::from_str(&info).expect("JSON");
    assert_eq!((&info["format"], &info["virtual-size"]), (&json!("qcow2"), &json!(1 << 30)));
    assert_eq!(info["backing-filename"], json!(null));
    assert_eq!(parsed(lab.kiln(&["info", name, "--json"]))["template"], json!(null));
    // So the template can go, and the machine has all that was in it.
    let list = parsed(lab.kiln(&["template", "list", "--pool", POOL, "--json"]));
    let all = list["templates"].as_array().expect("templates");
    let of = all.iter().find(|one| one["name"] == "whole").expect("that of the image");
    assert_eq!(of["clones"], json!([]));
    let of = format!("whole:{}", of["version"].as_str().expect("a version"));
    drop(lab.kiln(&["template", "rm", &of, "--pool", POOL]).success());
    drop(lab.kiln(&["stop", "--hard", name]).success());
    assert_eq!(cat(lab, "kt-whole.qcow2", "/home/debian/work"), "kept");
    drop(run(&["qemu-img", "check", "-q", &disk]).success());
    drop(lab.kiln(&["rm", name]).success());
    assert!(!lab.volumes().iter().any(|volume| volume.starts_with(name)));
}

fn whole_life(lab: &Lab) {
    if !need_program("mke2fs") || !need_program("debugfs") {
        return;
    }
    let lab = &lab.with_home("templates");
    let image = used(lab, "templates.raw");
    let source = "kt-mould";
    let create = ["template", "create", source, "kt-shop"];
    drop(lab.launch(&image, source, &["--no-wait", "--memory", "128MiB"]).success());
    let out = lab.kiln(&create);
    assert!(out.code == 4 && out.stderr.contains("`kiln stop kt-mould`"), "{}", out.stderr);
    drop(lab.kiln(&["stop", "--hard", source]).success());
    let before = fs::read(volume(lab, "kt-mould.qcow2")).expect("its disk");
    assert_eq!(lab.kiln(&create).success().stdout, "kt-shop:1\n");
    // Sealed, and nobody writes to it; the machine is as it was.
    let disk = "kiln-kt-shop.1.qcow2";
    assert_eq!(cat(lab, disk, "/etc/machine-id"), "");
    let mode = fs::metadata(volume(lab, disk)).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o400);
    assert!(fs::read(volume(lab, "kt-mould.qcow2")).expect("its disk") == before);
    let made = parsed(lab.kiln(&[&create[..], &["--json"]].concat()));
    assert_eq!((&made["version"], &made["sealed"]), (&json!("2"), &json!(true)), "{made}");

    // The newest, and one by its version; both are linked clones, and can be cloned again.
    let launch = |template: &str, name: &str| {
        drop(lab.launch(template, name, &["--no-wait", "--memory", "128MiB"]).success());
        drop(lab.kiln(&["stop", "--hard", name]).success());
    };
    launch("kt-shop", "kt-newest");
    launch("kt-shop:1", "kt-first");
    drop(lab.kiln(&["clone", "kt-first", "kt-second", "--linked"]).success());
    // Whose mark somebody took away, what hangs on it brings back.
    let mark = "kiln-kt-shop.1.qcow2.complete";
    drop(virsh(&["vol-delete", "--pool", POOL, mark]).success());
    let template =
        |name: &str| parsed(lab.kiln(&["template", "info", name, "--pool", POOL, "--json"]));
    assert_eq!(template("kt-shop")["clones"], json!(["kt-newest"]));
    assert_eq!(template("kt-shop:1")["clones"], json!(["kt-first", "kt-second"]));
    assert_eq!(template("kt-shop:1")["made"]["name"], source);
    let list = lab.kiln(&["template", "list", "--pool", POOL]).success().stdout;
    assert!(list.lines().any(|line| line.starts_with("└─ kt-second")), "{list}");
    assert_eq!(files(lab, mark), [mark]);
    // Not even root changes it.
    let write = ["image", "customize", &volume(lab, disk), "--write", "/etc/motd:hello"];
    let out = lab.kiln(&write);
    assert!(out.code == 4 && out.stderr.contains("is read-only"), "{}", out.stderr);
    let rm = |name: &str| lab.kiln(&["template", "rm", name, "--pool", POOL]);
    let out = rm("kt-shop:1");
    assert_eq!(out.code, 4, "{}", out.stderr);
    let said = "on the template `kt-shop:1` hang `kt-first`, `kt-second`";
    assert!(out.stderr.contains(said), "{}", out.stderr);
    cloned(lab);
    let out = lab.launch("kt-shop:9", "kt-third", &["--no-wait"]);
    assert!(out.code == 4 && out.stderr.contains("kt-shop:2, kt-shop:1"), "{}", out.stderr);

    // A machine becomes a template; an image, too.
    off(lab, &image, "kt-turned", &[]);
    drop(lab.kiln(&["template", "create", "kt-turned", "kt-turn", "--convert"]).success());
    assert!(!lab.domains().contains(&"kt-turned".to_owned()));
    drop(lab.kiln(&["template", "create", &image, "kt-raw", "--pool", POOL]).success());
    assert_eq!(cat(lab, "kiln-kt-raw.1.raw", "/etc/machine-id"), "");
    let out = lab.kiln(&["template", "create", "kt-nobody", "kt-raw"]);
    assert_eq!(out.code, 4, "{}", out.stderr);
    let out = lab.kiln(&["template", "create", source, "No Name"]);
    assert_eq!(out.code, 2, "{}", out.stderr);

    // Removed behind our back: nobody takes what is left for a template.
    drop(virsh(&["vol-delete", "--pool", POOL, "kiln-kt-raw.1.raw"]).success());
    let out = lab.launch("kt-raw", "kt-third", &["--no-wait"]);
    assert_eq!(out.code, 4, "{}", out.stderr);
    drop(lab.kiln(&["rm", source, "kt-newest", "kt-first", "kt-second"]).success());
    for name in ["kt-shop:1", "kt-shop", "kt-turn"] {
        drop(rm(name).success());
    }
    assert_eq!(files(lab, "kiln-kt-shop"), [""; 0]);
    assert_eq!(files(lab, "kiln-kt-turn"), [""; 0]);
    for left in files(lab, "kiln-kt-raw") {
        drop(virsh(&["vol-delete", "--pool", POOL, &left]).success());
    }
    assert_eq!(lab.journals(), 0);
}

/// A clone of a template is made and not started, with a disk of its own or over the template.
fn cloned(lab: &Lab) {
    let clone = |more: &[&str]| lab.kiln(&[&["clone", "--pool", POOL, "kt-shop"], more].concat());
    let dry = clone(&["kt-third", "--dry-run"]).success().stdout;
    assert!(dry.contains("a full copy of the template\n"), "{dry}");
    assert!(!dry.contains("start `kt-third`"), "{dry}");
    let out = clone(&["kt-third", "--as-is"]);
    assert!(out.code == 2 && out.stderr.contains("`kt-shop:2` is a template"), "{}", out.stderr);
    let out = clone(&["kt-third"]).success();
    assert_eq!(out.stdout, "kt-third\n");
    assert!(out.stderr.contains("`kt-third` is made; `kiln start kt-third`"), "{}", out.stderr);
    let made = parsed(clone(&["kt-fourth", "-n", "2", "--linked", "--json"]));
    let (one, names) = (&made["machines"][1], ["kt-third", "kt-fourth-1", "kt-fourth-2"]);
    assert_eq!(one["started"], false, "{made}");
    assert_eq!(one["template"]["name"], "kiln-kt-shop.2.qcow2", "{made}");
    for name in names {
        let info = parsed(lab.kiln(&["info", name, "--json"]));
        assert_eq!(info["state"], "stopped", "{info}");
        let disk = volume(lab, &format!("{name}.qcow2"));
        let info = run(&["qemu-img", "info", "--output=json", &disk]).success().stdout;
        assert_eq!(info.contains("backing-filename"), name != "kt-third", "{info}");
    }
    let seed = |name: &str| cat(lab, &format!("{name}-seed.iso"), "/meta-data");
    assert!(seed("kt-third").contains("local-hostname: kt-third"), "{}", seed("kt-third"));
    let out = clone(&["kt-third"]);
    assert!(out.code == 4 && out.stderr.contains("kt-third"), "{}", out.stderr);
    drop(lab.kiln(&[&["rm"], &names[..]].concat()).success());
    drop(clone(&["kt-third", "--linked", "--start"]).success());
    assert_eq!(parsed(lab.kiln(&["info", "kt-third", "--json"]))["state"], "running");
    drop(lab.kiln(&["rm", "kt-third"]).success());
}

/// Kills a create at moments spread over its whole length, and lets the next command tidy.
fn killed(lab: &Lab) {
    if !need_program("mke2fs") || !need_program("debugfs") {
        return;
    }
    let lab = &lab.with_home("templates-killed");
    off(lab, &used(lab, "templates-killed.raw"), "kt-moulded", &[]);
    let args = ["template", "create", "kt-moulded", "kt-cast"];
    let rm = || drop(lab.kiln(&["template", "rm", "kt-cast", "--pool", POOL]).success());
    let began = Instant::now();
    drop(lab.kiln(&args).success());
    let whole = began.elapsed();
    rm();
    let (kills, mut cut, mut n) = (kills(6), 0, 0_u32);
    while cut < kills && n < 10 * kills {
        n += 1;
        cut += u32::from(cut_short(lab, &args, whole, n));
        let list = parsed(lab.kiln(&["template", "list", "--pool", POOL, "--json"]));
        assert_eq!(lab.journals(), 0, "after kill {n}: nothing is left to undo");
        let all = list["templates"].as_array().expect("templates");
        if all.iter().any(|one| one["name"] == "kt-cast") {
            assert_eq!(cat(lab, "kiln-kt-cast.1.qcow2", "/etc/machine-id"), "", "after kill {n}");
            rm();
        }
        assert_eq!(files(lab, "kiln-kt-cast"), [""; 0], "after kill {n}");
    }
    assert_eq!(cut, kills, "of {n}");
    drop(lab.kiln(&["rm", "kt-moulded"]).success());
}
