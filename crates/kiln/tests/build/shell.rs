// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln build --shell`: into the tree of a step that failed.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use kiln_testkit::need_program;

use crate::recipes::{Home, kiln};
use crate::support::{Lab, program};

const RECIPE: &str = "\
kiln: 1
name: small
base: {tar: base.tar}
disk: {size: 1GiB}
commands: [echo one > /srv/one, 'echo half > /srv/two; false']
";

/// Runs a command that reads `typed`.
fn typed(mut command: Command, typed: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_failed_step_leaves_its_tree_for_a_shell() {
    let Some(lab) = Lab::new() else { return };
    let home = Home { lab: &lab, home: "home" };
    fs::write(lab.path("recipe.yaml"), RECIPE).unwrap();
    let recipe = lab.text("recipe.yaml");
    let shell = ["build", &recipe, "--shell"];
    let out = home.kiln(&shell);
    assert_eq!(out.code, 4, "{}", out.stderr);
    assert!(out.stderr.contains("the step `base` left no tree to look into"), "{}", out.stderr);
    let fail = || {
        let out = home.kiln(&["build", &recipe]);
        assert_eq!(out.code, 7, "{}", out.stderr);
        assert!(out.stderr.contains("--shell"), "{}", out.stderr);
    };
    fail();
    fail();
    let list = home.kiln(&["cache", "list"]).success().stdout;
    assert_eq!(list.matches("failed command 2").count(), 1, "{list}");
    let lines = "cat /srv/one /srv/two\ntest -t 0 && test -t 1 && echo term-$((40 + 2))\n\
                 echo uid-$(id -u)-$TERM; echo lost > /srv/three; exit 3\n";
    let out = typed(kiln(&lab, home.home, &shell), lines);
    let shown = text(&out.stdout);
    assert_eq!(out.status.code(), Some(3), "{shown}{}", text(&out.stderr));
    for words in ["\none\r", "\nhalf\r", "term-42", "uid-0-"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let told = text(&out.stderr);
    assert!(told.contains("the shell ended with status 3"), "{told}");
    // The tree is gone, and nothing else is left.
    let out = home.kiln(&shell);
    assert_eq!(out.code, 4, "{}", out.stderr);
    let names = home.kiln(&["cache", "list"]).success().stdout;
    assert!(names.contains("command 1") && !names.contains("failed"), "{names}");
    let work = fs::read_dir(lab.path("home/cache/work")).unwrap().flatten();
    let work: Vec<_> = work.map(|e| e.file_name()).filter(|name| name != ".lock").collect();
    assert!(work.is_empty(), "{work:?}");
    // A step that succeeds forgets how it failed.
    fs::write(lab.path("recipe.yaml"), RECIPE.replace("; false", "; test -e /srv/x")).unwrap();
    let _ = home.kiln(&["build", &recipe]);
    assert!(home.kiln(&["cache", "list"]).success().stdout.contains("failed command 2"));
    fs::write(lab.path("recipe.yaml"), RECIPE.replace("; false", "")).unwrap();
    let _ = home.kiln(&["build", &recipe]).success();
    let out = home.kiln(&shell);
    assert_eq!(out.code, 4, "{}", out.stderr);
    assert!(out.stderr.contains("no step of the recipe failed"), "{}", out.stderr);
}

#[test]
fn the_terminal_is_as_before() {
    let Some(lab) = Lab::new() else { return };
    if !["script", "stty"].into_iter().all(need_program) {
        return;
    }
    let home = Home { lab: &lab, home: "home" };
    fs::write(lab.path("recipe.yaml"), RECIPE).unwrap();
    let recipe = lab.text("recipe.yaml");
    assert_eq!(home.kiln(&["build", &recipe]).code, 7);
    let line = format!(
        "stty rows 31 cols 97; stty -g; {} build {recipe} --shell; echo code-$?; stty -g",
        program()
    );
    let mut command = kiln(&lab, home.home, &[]);
    #[expect(clippy::disallowed_methods, reason = "a terminal to run it in")]
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    script.envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
    command = script;
    let out = typed(command, "exit 5\n");
    let shown = text(&out.stdout);
    assert!(shown.contains("code-5"), "{shown}");
    let settings: Vec<_> = shown.lines().filter(|line| line.matches(':').count() > 10).collect();
    assert_eq!(settings.len(), 2, "{shown}");
    assert_eq!(settings[0], settings[1]);
}
