// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Pools of the host. No guest boots here.

use std::fs;
use std::time::Instant;

use libtest_mimic::Trial;
use serde_json::json;

use crate::lab::{Lab, cut_short, kills, ours, parsed, trial, virsh};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("e2e::pools::a_pool_lives_its_whole_life", whole_life),
        trial("e2e::pools::what_cannot_be_a_pool_is_refused", refused),
        trial("e2e::pools::a_create_killed_at_any_moment_leaves_nothing", killed),
    ]
}

/// Removes the pools of an earlier run that was killed.
pub(crate) fn remove_all() {
    for name in names() {
        drop(virsh(&["pool-destroy", &name]));
        drop(virsh(&["pool-undefine", &name]));
    }
}

fn names() -> Vec<String> {
    ours("pool-list")
}

fn whole_life(lab: &Lab) {
    let lab = &lab.with_home("pools");
    let (name, machine) = ("kt-pool-life", "kt-pool-guest");
    let folder = lab.folder.join("fast").display().to_string();
    let create = ["pool", "create", name, "--dir", &folder];
    let would = lab.kiln(&[&create[..], &["--dry-run"]].concat()).success();
    assert!(would.stdout.contains("<pool type='dir'>"), "{}", would.stdout);
    assert!(!names().contains(&name.to_owned()) && fs::metadata(&folder).is_err());
    let made = parsed(lab.kiln(&[&create[..], &["--json"]].concat()));
    assert_eq!((&made["active"], &made["autostart"]), (&json!(true), &json!(true)), "{made}");
    assert!(made["free_bytes"].as_u64().is_some_and(|free| free > 0), "{made}");
    assert!(fs::metadata(&folder).is_ok_and(|m| m.is_dir()));

    // A machine in it: what hangs on what is seen, and the pool is not taken from under it.
    let image = crate::faults::phony(lab);
    drop(lab.kiln(&["launch", &image, machine, "--pool", name, "--no-wait"]).success());
    let info = parsed(lab.kiln(&["pool", "info", name, "--json"]));
    let volumes = info["volumes"].as_array().expect("volumes");
    let of = |wanted: &dyn Fn(&str) -> bool| {
        volumes.iter().find(|v| v["name"].as_str().is_some_and(wanted)).expect("a volume")
    };
    let disk = format!("{machine}.qcow2");
    assert_eq!(of(&|name| name == disk)["machines"], json!([machine]), "{info}");
    let template = of(&|name| name.starts_with("kiln-") && !name.ends_with(".complete"));
    assert_eq!(template["clones"], json!([disk]), "{info}");
    let shown = lab.kiln(&["pool", "info", name]).success().stdout;
    assert!(shown.lines().any(|l| l.starts_with(&disk) && l.ends_with(machine)), "{shown}");
    let out = lab.kiln(&["pool", "rm", name]);
    assert!(out.code == 4 && out.stderr.contains(&format!("`{machine}`")), "{}", out.stderr);
    // So is one whose disk is in another pool.
    drop(lab.kiln(&["stop", "--hard", machine]).success());
    let away = "kt-pool-away";
    let clone = ["clone", machine, away, "--linked", "--as-is", "--pool", "kiln-e2e"];
    drop(lab.kiln(&clone).success());
    drop(lab.kiln(&["rm", machine]).success());
    let info = parsed(lab.kiln(&["pool", "info", name, "--json"]));
    let volumes = info["volumes"].as_array().expect("volumes");
    assert!(volumes.iter().any(|volume| volume["machines"] == json!([away])), "{info}");
    let out = lab.kiln(&["pool", "rm", name]);
    assert!(out.code == 4 && out.stderr.contains(&format!("`{away}`")), "{}", out.stderr);
    drop(lab.kiln(&["rm", away]).success());

    let list = lab.kiln(&["pool", "list"]).success().stdout;
    assert!(list.lines().any(|l| l.starts_with(name) && l.ends_with(&folder)), "{list}");
    let out = lab.kiln(&["pool", "rm", name]).success();
    assert!(out.stderr.contains("volumes stay in"), "{}", out.stderr);
    assert!(!names().contains(&name.to_owned()) && lab.journals() == 0);
    assert!(fs::read_dir(&folder).expect("it stays").count() > 0, "the template stays");
}

fn refused(lab: &Lab) {
    let lab = &lab.with_home("pools-refused");
    let taken = lab.folder.join("pool").display().to_string() + "/";
    let file = lab.folder.join("pool-file");
    fs::write(&file, "x").expect("written");
    let file = file.display().to_string();
    let up = lab.folder.join("pool/../pool").display().to_string();
    let link = lab.folder.join("pool-link");
    std::os::unix::fs::symlink(&taken, &link).expect("a link");
    let link = link.display().to_string();
    let table: &[(&[&str], i32, &str)] = &[
        (&["kt-bad"], 2, "--dir"),
        (&["kt-bad", "--dir", "relative"], 2, "`relative` is no absolute path"),
        (&["a/b", "--dir", "/x"], 2, "`a/b` is no name of a pool"),
        (&["kt-bad", "--nfs", "filer", "--mount", "/mnt/x"], 2, "`filer` is not HOST:FOLDER"),
        (&["kiln-e2e", "--dir", "/var/tmp/x"], 4, "the host has a pool `kiln-e2e` already"),
        (&["kt-bad", "--dir", &taken], 4, "is that of the pool `kiln-e2e`"),
        (&["kt-bad", "--dir", &up], 2, "has a `..` in it"),
        (&["kt-bad", "--dir", &link], 4, "is that of the pool `kiln-e2e`"),
        (&["kt-bad", "--dir", &file], 4, "no folder"),
    ];
    for (args, code, words) in table {
        let out = lab.kiln(&[&["pool", "create"], *args].concat());
        assert_eq!(out.code, *code, "{args:?}: {}", out.stderr);
        assert!(out.stderr.contains(words), "{args:?}: {}", out.stderr);
    }
    let out = lab.kiln(&["pool", "info", "kiln-e2f"]);
    assert!(out.code == 4 && out.stderr.contains("`kiln-e2e`"), "{}", out.stderr);
    assert!(!names().contains(&"kt-bad".to_owned()) && lab.journals() == 0);
    assert_eq!(fs::read_to_string(&file).expect("it stays"), "x");
}

/// Kills a create at moments spread over its whole length, and lets the next command tidy.
fn killed(lab: &Lab) {
    let lab = &lab.with_home("pools-killed");
    let name = "kt-pool-killed";
    let folder = lab.folder.join("killed-pool");
    let path = folder.display().to_string();
    let args = ["pool", "create", name, "--dir", &path];
    let began = Instant::now();
    drop(lab.kiln(&args).success());
    let whole = began.elapsed();
    drop(lab.kiln(&["pool", "rm", name]).success());
    fs::remove_dir(&folder).expect("it is empty");
    let (kills, mut cut, mut n) = (kills(5), 0, 0_u32);
    while cut < kills && n < 10 * kills {
        n += 1;
        cut += u32::from(cut_short(lab, &args, whole, n));
        let list = parsed(lab.kiln(&["pool", "list", "--json"]));
        assert_eq!(lab.journals(), 0, "after kill {n}: nothing is left to undo");
        let pools = list["pools"].as_array().expect("pools");
        if let Some(pool) = pools.iter().find(|pool| pool["name"] == name) {
            assert_eq!(pool["active"], true, "after kill {n}");
            drop(lab.kiln(&["pool", "rm", name]).success());
            fs::remove_dir(&folder).expect("it is empty");
        }
        assert!(!names().contains(&name.to_owned()), "after kill {n}");
        assert!(!folder.exists(), "after kill {n}: its folder");
    }
    assert_eq!(cut, kills, "of {n}");
}
