// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The daily verbs, on a machine that is ready.

use std::fs;
use std::time::{Duration, Instant};

use kiln_testkit::{need_program, run};
use serde_json::Value;

use crate::lab::{Lab, until, virsh};
use crate::terminal;

/// Uses every daily verb on the machine `name`.
pub(crate) fn daily(lab: &Lab, name: &str) {
    listed(lab, name);
    exec(lab, name);
    ssh(lab, name);
    others_find_it(lab, name);
    copies(lab, name);
    logs(lab, name);
    terminal::console_is_left_with_the_terminal_as_it_was(lab, name);
    stop_and_start(lab, name);
}

fn listed(lab: &Lab, name: &str) {
    let list: Value =
        serde_json::from_str(&lab.kiln(&["list", "--json"]).success().stdout).expect("JSON");
    let all = list["machines"].as_array().expect("machines");
    let ours = all.iter().find(|m| m["name"] == name).expect("it is listed");
    assert_eq!(ours["state"], "running");
    let info = lab.kiln(&["info", name, "--json"]).success().stdout;
    let info: Value = serde_json::from_str(&info).expect("JSON");
    assert_eq!(info["agent"], true);
    assert_eq!(info["addresses"], ours["addresses"]);
    let shown = lab.kiln(&["list"]).success().stdout;
    let heading = shown.lines().next().expect("a heading");
    assert_eq!(
        heading.split_whitespace().collect::<Vec<_>>(),
        ["NAME", "STATE", "ADDRESS", "CPUS", "MEMORY", "IMAGE"]
    );
}

fn exec(lab: &Lab, name: &str) {
    let out = lab.kiln(&["exec", name, "--", "sh", "-c", "echo out; echo err >&2; exit 42"]);
    assert_eq!((out.code, out.stdout.as_str(), out.stderr.as_str()), (42, "out\n", "err\n"));
    let out = lab.kiln(&["exec", name, "--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(out.code, 137, "{}", out.stderr);
    // As a shell says it: 127, and the shell's own words.
    let out = lab.kiln(&["exec", name, "--", "no-such-program"]);
    assert_eq!(out.code, 127, "{}", out.stderr);
    assert!(out.stderr.contains("no-such-program"), "{}", out.stderr);
    // More than fits an answer of the agent, and the agent is well after it.
    let out = lab.kiln(&["exec", name, "--", "sh", "-c", "head -c 6000000 /dev/zero | tr '\\0' x"]);
    assert_eq!((out.code, out.stdout.len()), (0, 6_000_000), "{}", out.stderr);
    let left = lab.kiln(&["exec", name, "--", "sh", "-c", "ls /run | grep -c '^kiln-exec'"]);
    // The one that this very command uses.
    assert_eq!(left.stdout, "1\n");
    // Standard input: a little, and more than fits a message to the agent.
    for size in [5, 3 << 20] {
        let file = lab.folder.join(format!("stdin-{size}"));
        fs::write(&file, vec![b'x'; size]).expect("written");
        let kiln = env!("CARGO_BIN_EXE_kiln");
        let script = format!(
            "KILN_HOME={} {kiln} exec {name} -- wc -c < {}",
            lab.home.display(),
            file.display()
        );
        assert_eq!(run(&["sh", "-c", &script]).success().stdout, format!("{size}\n"));
    }
}

fn ssh(lab: &Lab, name: &str) {
    let out = lab.kiln(&["ssh", name, "--", "echo hello; exit 5"]);
    assert_eq!((out.code, out.stdout.as_str(), out.stderr.as_str()), (5, "hello\n", ""));
    // The host keys are the guest's own, had through the agent: no trust on first use.
    let info = lab.kiln(&["info", name, "--json"]).success().stdout;
    let info: Value = serde_json::from_str(&info).expect("JSON");
    let command = info["ssh"]["command"].as_str().expect("a command");
    assert!(command.contains("StrictHostKeyChecking=yes"), "{command}");
    let known =
        lab.home.join("machines").join(info["uuid"].as_str().expect("a UUID")).join("known_hosts");
    let known = fs::read_to_string(known).expect("known_hosts");
    let guest = lab
        .kiln(&["exec", name, "--", "cat", "/etc/ssh/ssh_host_ed25519_key.pub"])
        .success()
        .stdout;
    let key = guest.split_whitespace().nth(1).expect("a key");
    assert!(known.contains(key), "{known}");
    // The line that is shown works without kiln.
    let out = run(&["sh", "-c", &format!("{command} -o BatchMode=yes hostname")]);
    assert_eq!(out.stdout, format!("{name}\n"), "{}", out.stderr);
}

/// OpenSSH by the machine's name alone, and Ansible by its tag.
fn others_find_it(lab: &Lab, name: &str) {
    let file = |name: &str, text: &str| {
        let path = lab.folder.join(name);
        fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let config = file("ssh-config", &lab.kiln(&["ssh-config", name]).success().stdout);
    let out = run(&["ssh", "-F", &config, "-o", "BatchMode=yes", name, "hostname"]);
    assert_eq!(out.stdout, format!("{name}\n"), "{}", out.stderr);
    if !need_program("ansible") {
        return;
    }
    let (home, kiln) = (lab.home.display(), env!("CARGO_BIN_EXE_kiln"));
    let script = format!("#!/bin/sh\nKILN_HOME={home} exec {kiln} inventory \"$@\"\n");
    let script = file("machines", &script);
    drop(run(&["chmod", "+x", &script]).success());
    let graph = run(&["ansible-inventory", "-i", &script, "--graph"]).success().stdout;
    for group in ["@image_debian_12", "@state_running", "@tag_life"] {
        assert!(graph.contains(group), "{graph}");
    }
    let out = run(&["ansible", "-i", &script, "tag_life", "-m", "ping", "-T", "60"]);
    assert!(out.code == 0 && out.stdout.contains("\"ping\": \"pong\""), "{out:?}");
    let vars = lab.kiln(&["inventory", "--host", name]).success().stdout;
    let vars: Value = serde_json::from_str(&vars).expect("JSON");
    assert_eq!(vars["ansible_user"], "ops");
    let out = lab.kiln(&["inventory", "--host", "kt-nobody"]);
    assert_eq!(out.code, 4, "{}", out.stderr);
}

fn copies(lab: &Lab, name: &str) {
    let here = lab.folder.join("copied");
    fs::create_dir_all(here.join("in")).expect("made");
    let bytes: Vec<u8> =
        (0..300_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    fs::write(here.join("in/data"), &bytes).expect("written");
    let path = |name: &str| here.join(name).display().to_string();
    for via in ["agent", "scp"] {
        let there = format!("{name}:/tmp/by-{via}");
        drop(lab.kiln(&["cp", "--via", via, &path("in/data"), &there]).success());
        let back = path(&format!("back-{via}"));
        drop(lab.kiln(&["cp", "--via", via, &there, &back]).success());
        assert!(fs::read(&back).expect("copied back") == bytes, "by {via}");
    }
    drop(lab.kiln(&["cp", "-r", &path("in"), &format!("{name}:/tmp/folder")]).success());
    drop(lab.kiln(&["cp", "-r", &format!("{name}:/tmp/folder"), &path("out")]).success());
    assert!(fs::read(here.join("out/data")).expect("copied back") == bytes);
    let out = lab.kiln(&["cp", &format!("{name}:/no/such"), &path("x")]);
    assert_eq!(out.code, 6, "{}", out.stderr);
    let out = lab.kiln(&["cp", "a", "b"]);
    assert_eq!(out.code, 2, "{}", out.stderr);
}

fn logs(lab: &Lab, name: &str) {
    let all = lab.kiln(&["logs", name]).success().stdout;
    assert!(all.contains("Linux version "), "{all}");
    assert!(!all.contains('\u{1b}'), "escape sequences of the guest are taken out");
    let last = lab.kiln(&["logs", name, "-n", "2"]).success().stdout;
    assert_eq!(last.lines().count(), 2, "{last}");
    // With -f it goes on: what the guest writes now is seen.
    let file = lab.folder.join("followed");
    let script = format!(
        "KILN_HOME={} timeout 60 {} logs -f {name} > {} & echo $!",
        lab.home.display(),
        env!("CARGO_BIN_EXE_kiln"),
        file.display()
    );
    drop(run(&["sh", "-c", &format!("({script}) >/dev/null 2>&1")]).success());
    drop(lab.kiln(&["exec", name, "--", "sh", "-c", "echo seen-by-follow >/dev/ttyS0"]).success());
    let seen = || fs::read_to_string(&file).is_ok_and(|text| text.contains("seen-by-follow"));
    assert!(until(Duration::from_secs(30), seen), "logs -f shows what comes");
}

fn stop_and_start(lab: &Lab, name: &str) {
    let began = Instant::now();
    // What was said before a start says nothing of what comes after it.
    let said = "echo Kernel panic - not syncing: a word >/dev/ttyS0";
    drop(lab.kiln(&["exec", name, "--", "sh", "-c", said]).success());
    let out = lab.kiln(&["stop", name, "--json"]).success();
    let how: Value = serde_json::from_str(&out.stdout).expect("JSON");
    assert_eq!(how["stopped"][0]["how"], "by-guest", "{} after {:?}", out.stderr, began.elapsed());
    assert_eq!(lab.kiln(&["stop", name]).success().stderr, format!("`{name}` is off already\n"));
    for verb in ["ssh", "exec", "console"] {
        let args: &[&str] = if verb == "exec" { &[verb, name, "true"] } else { &[verb, name] };
        let out = lab.kiln(args);
        assert_eq!(out.code, 4, "{verb}: {}", out.stderr);
        assert!(out.stderr.contains(&format!("`{name}` is off")), "{verb}: {}", out.stderr);
    }
    drop(lab.kiln(&["start", name]).success());
    assert_eq!(lab.kiln(&["start", name]).success().stderr, format!("`{name}` runs already\n"));
    // The same machine after a restart: same host keys, same instance, no second first boot.
    drop(lab.kiln(&["wait", name]).success());
    let runs = lab.kiln(&["exec", name, "--", "sh", "-c", "ls /var/lib/cloud/instances | wc -l"]);
    assert_eq!(runs.success().stdout, "1\n");
    drop(lab.kiln(&["restart", "--hard", name]).success());
    let out = lab.kiln(&["stop", "--hard", name]).success();
    assert_eq!(out.stderr, format!("`{name}` was switched off\n"));
    drop(lab.kiln(&["wait", "--for", "stopped", name]).success());
}

/// Removes the machine and looks for anything of it.
pub(crate) fn removed_without_a_trace(lab: &Lab, name: &str) {
    let info = lab.kiln(&["info", name, "--json"]).success().stdout;
    let info: Value = serde_json::from_str(&info).expect("JSON");
    let uuid = info["uuid"].as_str().expect("a UUID");
    drop(lab.kiln(&["rm", name]).success());
    assert!(!lab.domains().iter().any(|domain| domain == name));
    let volumes = lab.volumes();
    assert!(!volumes.iter().any(|volume| volume.starts_with(name)), "{volumes:?}");
    let network = virsh(&["net-dumpxml", "default"]).success().stdout;
    assert!(!network.contains(&format!("name='{name}'")), "{network}");
    assert!(!lab.home.join("machines").join(uuid).exists());
    let out = lab.kiln(&["info", name]);
    assert_eq!(out.code, 4, "{}", out.stderr);
}
