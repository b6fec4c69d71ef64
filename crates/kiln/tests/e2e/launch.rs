// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From an image to a machine that one can log in to.

use std::fs;
use std::time::Duration;

use kiln_testkit::run;
use libtest_mimic::Trial;
use serde_json::Value;

use crate::lab::{Lab, POOL, trial};
use crate::verbs;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("e2e::launch::a_machine_lives_its_whole_life", whole_life),
        trial("e2e::launch::a_kernel_that_panics_is_recognised", panic),
    ]
}

/// Launches, looks at everything, uses every daily verb, removes, and finds nothing left.
fn whole_life(lab: &Lab) {
    let (name, file) = ("kt-life", set(lab));
    let out = lab.kiln(&["up", &file, "--json"]);
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
    first_boot(&exec);
    assert_eq!(lab.kiln(&["plan", &file]).success().stdout, "");
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
    drop(lab.kiln(&["down", &file]).success());
    assert!(!crate::lab::ours("net-list").contains(&"kt-life-net".to_owned()));
}

/// Writes the set that the machine is of, with all that its first boot can be told.
fn set(lab: &Lab) -> String {
    let write = |name: &str, text: &str| {
        let path = lab.folder.join(name);
        fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let theirs =
        "write_files:\n  - {path: /etc/kiln-test, content: merged}\nruncmd: [touch /srv/theirs]\n";
    write("life.user-data", &format!("#cloud-config\n{theirs}"));
    write("life.hash", "$6$kiln$not.a.hash.of.anything\n");
    write("life.bin", "\u{1}of the host\n");
    let image = lab.image();
    write(
        "life.yaml",
        &format!(
            r#"kiln: 1
name: kt-life-set
networks:
  kt-life-net: {{isolated: 10.77.9.0/24, dhcp: []}}
machines:
  kt-life:
    image: {image}
    pool: {POOL}
    disk: 4GiB
    networks: [{{name: default, ip: auto}}, {{name: kt-life-net, static: [10.77.9.5/24]}}]
    users:
      - {{name: ops, sudo: true, groups: [adm]}}
      - {{name: ann, shell: /bin/sh, groups: [kt-team], password_hash: life.hash}}
    files:
      - {{path: /etc/kiln-inline, content: "inline: yes\n"}}
      - {{path: /srv/kiln.bin, source: life.bin, mode: "0600", owner: ann, group: kt-team}}
    commands: ["touch /srv/ours", [cp, /etc/kiln-inline, "/srv/a b"]]
    user_data: life.user-data
    autostart: true
    tags: [life]
    ready: [agent, cloud-init, ssh, "tcp:22"]
"#
        ),
    )
}

/// Looks in the guest for what the set's file says.
fn first_boot(exec: &impl Fn(&str) -> String) {
    assert_eq!(exec("cat /etc/kiln-test"), "merged");
    assert_eq!(exec("cat /etc/kiln-inline '/srv/a b'"), "inline: yes\ninline: yes\n");
    assert_eq!(exec("cat /srv/kiln.bin"), "\u{1}of the host\n");
    assert_eq!(
        exec("stat -c '%a %U:%G' /srv/kiln.bin /etc/kiln-inline"),
        "600 ann:kt-team\n644 root:root\n"
    );
    assert_eq!(exec("ls /srv"), "a b\nkiln.bin\nours\ntheirs\n");
    assert_eq!(exec("id -nG ops; id -nG ann"), "ops adm\nann kt-team\n");
    assert_eq!(exec("getent passwd ann | cut -d: -f7"), "/bin/sh\n");
    let shadow = exec("getent shadow ann ops | cut -d: -f2");
    let (ann, ops) = shadow.split_once('\n').expect("two lines");
    assert_eq!(ann, "$6$kiln$not.a.hash.of.anything");
    assert!(ops.starts_with('!'), "no password opens it: {ops}");
    assert_eq!(exec("sudo -u ops sudo -n id -u"), "0\n");
    assert_eq!(exec("sudo -u ann sudo -n id -u 2>/dev/null || echo refused"), "refused\n");
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
