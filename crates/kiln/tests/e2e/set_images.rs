// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sets whose images are made by recipes, pulled and fetched, and sets in a Ceph pool. The guests are of no use: a
//! kernel that is none, a boot sector.

use std::fs;

use kiln_testkit::http::Server;
use kiln_testkit::{Files, need_program, run};
use libtest_mimic::Trial;
use serde_json::json;

use crate::lab::{Lab, parsed, trial, virsh};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("e2e::set_images::an_image_is_built_for_who_needs_it", built),
        trial("e2e::set_images::images_are_pulled_and_fetched", pulled),
        trial("e2e::set_images::disks_are_made_of_bundles", bundled),
    ]
}

/// Makes an archive of a system, and returns the recipe of it.
fn recipe(lab: &Lab) -> String {
    let (tree, tar) = (tree(lab, "kt-tree"), lab.folder.join("kt-base.tar"));
    let tar = tar.display().to_string();
    let pack = ["tar", "-C", &tree, "--owner=0", "--group=0", "-cf", &tar, "."];
    drop(run(&pack).success());
    "kiln: 1\nname: kt-small\nbase: {tar: kt-base.tar}\n\
     disk: {size: 1GiB, firmware: uefi}\n\
     files: [{path: /etc/motd, content: \"one\\n\"}]\n"
        .to_owned()
}

/// Makes the tree of a small Debian that starts by UEFI.
fn tree(lab: &Lab, name: &str) -> String {
    let tree = lab.folder.join(name);
    fs::create_dir(&tree).expect("made");
    Files::debian()
        .dir("etc/skel")
        .file("boot/vmlinuz-6.1.0-10-amd64", "kernel")
        .file("boot/initrd.img-6.1.0-10-amd64", "initrd")
        .file("usr/lib/shim/shimx64.efi.signed", "shim")
        .file("usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", "grub")
        .unpack(&tree);
    tree.display().to_string()
}

/// A disk is made of a bundle beside the file, and of one on a server, which must be the one that the file
/// says.
fn bundled(lab: &Lab) {
    if !["tar", "zstd", "mke2fs", "qemu-img"].into_iter().all(need_program) {
        return;
    }
    let lab = &lab.with_home("set-bundles");
    let kiln = |args: &[&str]| lab.kiln_with(args, &[("no_proxy", "127.0.0.1")]);
    let made = parsed(kiln(&[
        "bundle",
        "create",
        &tree(lab, "kt-packed-tree"),
        "--name",
        "kt-packed",
        "--json",
    ]));
    let sha256 = made["bundle"]["digest"].as_str().expect("a digest").trim_start_matches("sha256:");
    let www = lab.folder.join("kt-packed-www");
    fs::create_dir(&www).expect("made");
    for ending in ["tar.zst", "tar.zst.json"] {
        let from = lab.home.join(format!("bundles/kt-packed.{ending}"));
        fs::copy(&from, www.join(format!("kt-served.{ending}"))).expect("copied");
    }
    drop(kiln(&["bundle", "rm", "kt-packed"]).success());
    let (server, path) = (Server::start(&www), lab.folder.join("kt-packed.yaml"));
    let (file, pool) = (path.display().to_string(), lab.folder.join("kt-packed-pool"));
    let write = |image: &str| {
        let text = format!(
            "kiln: 1\nname: kt-packed\npools:\n  kt-packed-pool: {{dir: {}}}\nimages:\n  web: {{{image}}}\n\
             machines:\n  kt-packed-m: {{image: web, memory: 512MiB, firmware: uefi, pool: kt-packed-pool}}\n",
            pool.display()
        );
        fs::write(&path, text).expect("written");
    };
    let whole = || {
        let up = parsed(kiln(&["up", &file, "--no-wait", "--json"]));
        assert_eq!(
            (&up["plan"][1]["do"], &up["done"][0]["object"]),
            (&json!("assemble"), &json!("image")),
            "{up}"
        );
        let again = kiln(&["up", &file]).success();
        assert_eq!(again.stderr, "`kt-packed` is as its file says: nothing to do\n");
        drop(kiln(&["down", &file]).success());
        assert!(!pool.exists() && lab.journals() == 0);
    };
    write("bundle: kt-packed-www/kt-served.tar.zst");
    let plan = kiln(&["plan", &file]).success().stdout;
    let line = "+ image kt-packed: make it of the bundle ";
    assert!(plan.contains(line) && plan.contains("kt-packed-www/kt-served.tar.zst\n"), "{plan}");
    assert!(!lab.home.join("store/images").exists(), "a plan makes nothing");
    whole();
    drop(kiln(&["image", "rm", "kt-packed"]).success());

    let url = server.url("kt-served.tar.zst");
    write(&format!("bundle: '{url}', sha256: {}", "0".repeat(64)));
    let out = kiln(&["up", &file, "--no-wait"]);
    assert_eq!(out.code, 3, "{}", out.stderr);
    assert!(
        out.stderr.contains(&format!("has the digest sha256:{sha256}, and must have sha256:000")),
        "{}",
        out.stderr
    );
    assert_eq!(server.requests().len(), 1, "nothing but what says what it is");
    assert!(!pool.exists() && lab.journals() == 0);
    write(&format!("bundle: '{url}', sha256: {sha256}"));
    let plan = kiln(&["plan", &file]).success().stdout;
    assert!(plan.contains("+ image kt-served: make it of the bundle http://127.0.0.1:"), "{plan}");
    assert_eq!(server.requests().len(), 0, "a plan fetches nothing");
    whole();
    write("bundle: nowhere.tar.zst");
    assert_eq!(kiln(&["plan", &file]).code, 4);
}

fn built(lab: &Lab) {
    if !["tar", "mke2fs", "qemu-img"].into_iter().all(need_program) {
        return;
    }
    let lab = &lab.with_home("set-images");
    let text = recipe(lab);
    let write = |name: &str, text: &str| {
        let path = lab.folder.join(name);
        fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    write("kt-small.yaml", &text);
    let pool = lab.folder.join("kt-built").display().to_string();
    let file = write(
        "kt-built.yaml",
        &format!(
            "kiln: 1\nname: kt-built\npools:\n  kt-built-pool: {{dir: {pool}}}\n\
             images:\n  web: {{build: kt-small.yaml}}\nmachines:\n  kt-built-m:\n    count: 2\n    \
             image: web\n    memory: 512MiB\n    firmware: uefi\n    pool: kt-built-pool\n"
        ),
    );
    let plan = lab.kiln(&["plan", &file]).success();
    assert!(plan.stdout.contains("+ image kt-small: build it of "), "{}", plan.stdout);
    assert!(!lab.home.join("store").exists(), "a plan makes nothing");
    let up = parsed(lab.kiln(&["up", &file, "--no-wait", "--json"]));
    assert_eq!(up["plan"][1]["do"], "build", "{up}");
    assert_eq!(up["done"][0], json!({"object": "image", "name": "kt-small", "done": "made"}));
    assert_eq!(up["machines"].as_array().map(Vec::len), Some(2), "{up}");
    let again = lab.kiln(&["up", &file]).success();
    assert_eq!(again.stderr, "`kt-built` is as its file says: nothing to do\n");

    // Another recipe: machines that are there keep their image until they may be made anew.
    write("kt-small.yaml", &text.replace("one", "two"));
    let held = lab.kiln(&["up", &file]).success();
    assert!(held.stderr.contains("nothing to do; 3 held back"), "{}", held.stderr);
    let up = lab.kiln(&["up", &file, "--no-wait", "--rebuild"]).success();
    assert!(up.stderr.contains("built the image `kt-small`"), "{}", up.stderr);
    assert_eq!(lab.kiln(&["plan", &file]).success().stdout, "");

    // A build that fails: nothing is taken away for it.
    write("kt-small.yaml", &text.replace("files:", "commands: ['exit 3']\nfiles:"));
    let failed = lab.kiln(&["up", &file, "--rebuild"]);
    assert_eq!(failed.code, 7, "{}", failed.stderr);
    let there = lab.domains().into_iter().filter(|name| name.starts_with("kt-built-m-"));
    assert_eq!(there.count(), 2);
    write("kt-small.yaml", "kiln: 1\nname: kt-small\n");
    let wrong = lab.kiln(&["plan", &file]);
    assert_eq!(wrong.code, 3, "{}", wrong.stderr);
    drop(lab.kiln(&["down", &file]).success());
    assert!(!std::path::Path::new(&pool).exists());
    assert_eq!(lab.journals(), 0);
}

fn pulled(lab: &Lab) {
    if !["mke2fs", "qemu-img"].into_iter().all(need_program) {
        return;
    }
    let lab = &lab.with_home("set-pulls");
    let www = lab.folder.join("kt-www");
    fs::create_dir(&www).expect("made");
    Files::debian().ext(&www.join("kt-listed.raw"), "16M", &["-t", "ext4"]);
    Files::debian().file("etc/other", "1").ext(&www.join("kt-plain.raw"), "16M", &["-t", "ext4"]);
    let (server, folder) = (Server::start(&www), www.display().to_string());
    let kiln = |args: &[&str]| lab.kiln_with(args, &[("no_proxy", "127.0.0.1")]);
    drop(kiln(&["catalog", "sign", "--unsigned", "--level", "0", &folder]).success());
    drop(kiln(&["catalog", "add", "--unsigned", "lab", &server.url("index")]).success());
    let sum = run(&["sha256sum", &www.join("kt-plain.raw").display().to_string()]).success().stdout;
    let sha256 = sum.split_whitespace().next().expect("a sum");
    let pool = lab.folder.join("kt-got").display().to_string();
    let text = format!(
        "kiln: 1\nname: kt-got\npools:\n  kt-got-pool: {{dir: {pool}}}\nimages:\n  \
         one: {{catalog: lab/kt-listed}}\n  two: {{url: \"{}\", sha256: {sha256}}}\nmachines:\n  \
         kt-got-a: {{image: one, memory: 256MiB, pool: kt-got-pool}}\n  \
         kt-got-b: {{image: two, clone: full, memory: 256MiB, pool: kt-got-pool}}\n",
        server.url("kt-plain.raw")
    );
    let path = lab.folder.join("kt-got.yaml");
    let file = path.display().to_string();
    // Another file is there than the set's file says: nothing is made.
    fs::write(&path, text.replace(sha256, &"0".repeat(64))).expect("written");
    let out = kiln(&["up", &file, "--no-wait"]);
    assert_eq!(out.code, 3, "{}", out.stderr);
    assert!(!std::path::Path::new(&pool).exists() && lab.journals() == 0, "{}", out.stderr);
    drop(kiln(&["image", "rm", "kt-listed"]).success());
    fs::write(&path, &text).expect("written");
    drop(server.requests());
    let plan = kiln(&["plan", &file]).success().stdout;
    assert_eq!(server.requests().len(), 0, "a plan fetches nothing");
    assert!(plan.contains("+ image kt-listed: pull lab/kt-listed of a catalog"), "{plan}");
    assert!(plan.contains("+ image kt-plain: fetch it from http://127.0.0.1:"), "{plan}");
    let up = parsed(kiln(&["up", &file, "--no-wait", "--json"]));
    assert_eq!(up["done"].as_array().map(Vec::len), Some(5), "{up}");
    assert_eq!(up["machines"][1]["image"], "kt-plain", "{up}");
    for (name, below) in [("kt-got-a", true), ("kt-got-b", false)] {
        let disk = format!("{pool}/{name}.qcow2");
        let info = run(&["qemu-img", "info", "-U", "--output=json", &disk]).success().stdout;
        assert_eq!(info.contains("backing-filename"), below, "{info}");
    }
    let again = kiln(&["up", &file]).success();
    assert_eq!(again.stderr, "`kt-got` is as its file says: nothing to do\n");
    drop(kiln(&["down", &file]).success());
    assert_eq!(lab.journals(), 0);
}

fn secret() -> String {
    let list = virsh(&["secret-list"]).success().stdout;
    let line = list.lines().find(|line| line.contains("kt-sea-key")).expect("the secret is there");
    line.split_whitespace().next().expect("its UUID").to_owned()
}

/// A set whose machines live in a Ceph pool; called where there is a cluster, with the words of its
/// file for the monitors, a keyring and an image.
pub(crate) fn on_ceph(lab: &Lab, (monitors, keyring, image): (&str, &str, &str)) {
    let text = format!(
        "kiln: 1\nname: kt-sea\nnetworks:\n  kt-sea-net: {{isolated: 192.168.238.0/24}}\n\
         secrets:\n  kt-sea-key: {{keyring: {keyring}}}\n\
         pools:\n  kt-sea-pool: {{rbd: {{pool: vms, monitors: [{monitors}], secret: kt-sea-key}}}}\n\
         images:\n  guest: {{file: {image}}}\nmachines:\n  kt-sea-m:\n    count: 3\n    \
         image: guest\n    clone: linked\n    memory: 128MiB\n    pool: kt-sea-pool\n    \
         networks: [{{name: kt-sea-net}}]\n"
    );
    let path = lab.folder.join("kt-sea.yaml");
    let write = |text: &str| fs::write(&path, text).expect("written");
    write(&text);
    let file = path.display().to_string();
    let plan = lab.kiln(&["plan", &file]).success().stdout;
    assert!(plan.contains("+ pool kt-sea-pool: Ceph's vms at "), "{plan}");
    let up = parsed(lab.kiln(&["up", &file, "--no-wait", "--json"]));
    assert_eq!(up["done"].as_array().map(Vec::len), Some(6), "{up}");
    for n in 1..=3 {
        let xml = virsh(&["dumpxml", &format!("kt-sea-m-{n}")]).success().stdout;
        // Of its disk and of its seed.
        assert_eq!(xml.matches("<auth username='libvirt'>").count(), 2, "{xml}");
        assert_eq!(xml.matches("<host name='127.0.67.").count(), 6, "{xml}");
    }
    let again = lab.kiln(&["up", &file]).success();
    assert_eq!(again.stderr, "`kt-sea` is as its file says: nothing to do\n");
    // A key that somebody has changed is put right; one that is used stays.
    let key = format!("{}=", "A".repeat(39));
    drop(virsh(&["secret-set-value", &secret(), "--base64", &key]).success());
    let up = lab.kiln(&["up", &file]).success().stderr;
    assert!(up.contains("~ secret kt-sea-key: give it another key\n"), "{up}");
    let silent = "the disks in pool `kt-sea-pool` are not compared: ";
    assert_eq!(up.matches(silent).count(), 1, "{up}");
    assert_eq!(lab.kiln(&["plan", &file]).success().stdout, "");
    write(&text.replace("pool: vms, monitors: [", "pool: vms, monitors: [nowhere, "));
    let differs = lab.kiln(&["plan", &file]).success().stdout;
    assert!(differs.contains("! pool kt-sea-pool: its monitors are others"), "{differs}");
    write(&text.replace(keyring, "nowhere"));
    let out = lab.kiln(&["plan", &file]);
    assert_eq!(out.code, 4, "{}", out.stderr);
    drop(lab.kiln(&["down", &file]).success());
    let left = lab.kiln(&["secret", "list", "--json"]).success().stdout;
    assert!(!left.contains("kt-sea"), "{left}");
}
