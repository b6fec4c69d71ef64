// SPDX-License-Identifier: Apache-2.0 OR MIT
//! All of this once more without root's rights.

use kiln_testkit::{need, need_program, run};

use crate::support::USER;

#[test]
fn without_root_it_is_the_same() {
    if run(&["id", "-u"]).success().stdout.trim() != "0" {
        return;
    }
    if !need_program("runuser") || !need_program("newuidmap") {
        return;
    }
    if run(&["id", USER]).code != 0 {
        drop(run(&["useradd", "--create-home", USER]));
    }
    if !need(run(&["id", USER]).code == 0, "a user without rights") {
        return;
    }
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let shown = folder.path().display().to_string();
    let own = std::env::current_exe().unwrap().display().to_string();
    drop(run(&["cp", &own, &format!("{shown}/tests")]).success());
    drop(run(&["cp", env!("CARGO_BIN_EXE_kiln"), &format!("{shown}/kiln")]).success());
    drop(run(&["chmod", "-R", "a+rx", &shown]).success());
    let program = format!("KILN_TEST_PROGRAM={shown}/kiln");
    let tests = format!("{shown}/tests");
    // An appliance needs no rights, and half a minute for each of its starts.
    let skip = ["--skip", "a_root_is_what_the_recipe_says"];
    let command = ["runuser", "-u", USER, "--", "env", "-C", "/", &program, &tests];
    let out = run(&[&command[..], &skip].concat());
    assert_eq!(out.code, 0, "{}{}", out.stdout, out.stderr);
    assert!(out.stdout.contains("test result: ok"), "{}", out.stdout);
}
