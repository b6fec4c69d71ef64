// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From an image to a machine that one can log in to.

use std::fs;
use std::time::Duration;

use kiln_testkit::run;
use libtest_mimic::Trial;
use serde_json::Value;

use crate::lab::{Lab, trial};
use crate::verbs;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("e2e::launch::a_machine_lives_its_whole_life", whole_life),
        trial("e2e::launch::a_kernel_that_panics_is_recognised", panic),
    ]
}

/// Launches, looks at everything, uses every daily verb, removes, and finds nothing left.
fn whole_life(lab: &Lab) {
    let data = lab.folder.join("life.yaml");
    fs::write(&data, "#cloud-config\nwrite_files:\n  - {path: /etc/kiln-test, content: merged}\n")
        .expect("written");
    let data = data.display().to_string();
    let name = "kt-life";
    let inner = ["kt-life-net", "--mode", "isolated", "--subnet", "10.77.9.0/24", "--no-dhcp"];
    drop(lab.kiln(&[&["network", "create"], &inner[..]].concat()).success());
    let networks = ["--network", "default", "--network", "kt-life-net,static=10.77.9.5/24"];
    let more = ["--user-data", &data, "--disk", "4GiB", "--ip", "auto", "--tag", "life", "--json"];
    let ready = ["--ready", "agent,cloud-init,ssh,tcp:22"];
    let out = lab.launch_as_usual(lab.image(), name, &[&networks[..], &more, &ready].concat());
    let json: Value = serde_json::from_str(&out.success().stdout).expect("JSON");
    let machine = &json["machines"][0];
    assert_eq!(machine["ready"]["agent"], true, "{machine}");
    assert_eq!(machine["ready"]["cloud_init"]["state"], "done", "{machine}");
    assert_eq!(machine["ready"]["ssh"], true, "{machine}");
    let phases: Vec<&str> = machine["timings"]["phases"]
        .as_array()
        .expect("phases")
        .iter()
        .filter_map(|phase| phase["phase"].as_str())
        .collect();
    assert_eq!(
        phases,
        [
            "image",
            "connect",
            "template",
            "define",
            "disk",
            "seed",
            "network",
            "start",
            "firmware+kernel",
            "agent",
            "cloud-init",
            "ssh"
        ]
    );

    let never = lab.kiln(&["wait", name, "--ready", "tcp:9", "--timeout", "5s"]);
    assert_eq!(never.code, 7, "{}", never.stderr);
    let said = "`kt-life` was not ready after 5 s: waiting for tcp:9";
    assert!(never.stderr.contains(said), "{}", never.stderr);

    let exec = |script: &str| lab.kiln(&["exec", name, "--", "sh", "-c", script]).success().stdout;
    assert_eq!(exec("hostname"), "kt-life\n");
    assert_eq!(exec("cat /etc/kiln-test"), "merged");
    // The root file system has grown to the disk that was asked for.
    let blocks: u64 = exec("df --output=size -B1 / | tail -n 1").trim().parse().expect("a number");
    assert!(blocks > 3 << 30, "the root file system has {blocks} bytes");
    let instance = exec("cat /var/lib/cloud/data/instance-id");
    assert_eq!(instance.trim(), machine["uuid"].as_str().expect("a UUID"));
    // Both interfaces are there, the second as it was told, and the host reaches it.
    assert_eq!(exec("ip -br -4 addr show eth1").split_whitespace().nth(2), Some("10.77.9.5/24"));
    assert_eq!(exec("ip -4 route show default | grep -c 'dev eth0'"), "1\n");
    let address = std::net::SocketAddr::from(([10, 77, 9, 5], 22));
    drop(
        std::net::TcpStream::connect_timeout(&address, Duration::from_secs(30))
            .expect("it answers"),
    );
    verbs::daily(lab, name);
    verbs::removed_without_a_trace(lab, name);
    drop(lab.kiln(&["network", "rm", "kt-life-net"]).success());
}

/// Where the root file system begins in the image: after 1 MiB of table, 1 MiB for GRUB and the
/// ESP; asked of `sfdisk`, not known.
fn root_offset(raw: &str) -> u64 {
    let table = run(&["sfdisk", "--json", raw]).success().stdout;
    let table: Value = serde_json::from_str(&table).expect("JSON");
    let partitions = table["partitiontable"]["partitions"].as_array().expect("partitions");
    partitions.last().and_then(|p| p["start"].as_u64()).expect("a start") * 512
}

/// Changes a file system inside an image with `debugfs`, as a stranger would.
fn debugfs(raw: &str, commands: &[&str]) {
    let device = format!("{raw}?offset={}", root_offset(raw));
    for command in commands {
        drop(run(&["debugfs", "-w", "-R", command, &device]).success());
    }
}

fn panic(lab: &Lab) {
    let raw = lab.raw_image("panic.raw").display().to_string();
    // Programs that cannot be started: no init at all.
    debugfs(
        &raw,
        &["rm /usr/lib/systemd/systemd", "rm /usr/sbin/init", "rm /usr/bin/sh", "rm /usr/bin/dash"],
    );
    let name = "kt-panic";
    let out = lab.launch(&raw, name, &["--user", "debian"]);
    assert_eq!(out.code, 7, "{}", out.stderr);
    let said = ["the kernel panicked", "the boot stopped in the initramfs"];
    assert_eq!(said.iter().filter(|what| out.stderr.contains(**what)).count(), 1, "{}", out.stderr);
    verbs::removed_without_a_trace(lab, name);
}
