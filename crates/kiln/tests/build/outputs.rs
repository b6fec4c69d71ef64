// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The outputs of a recipe, read by the tools whose formats they are.

use std::fs;

use kiln_testkit::{need_program, run};
use serde_json::Value;

use crate::recipes::Home;
use crate::support::Lab;

const RECIPE: &str = "\
kiln: 1
name: small
base: {tar: base.tar}
disk: {size: 1GiB}
files: [{path: /srv/secret, content: x, owner: debian, group: debian, mode: 0640}]
outputs: [qcow2, qcow2-zstd, qcow2-zlib, raw, tar, squashfs]
properties: {hw_disk_bus: virtio, 'os_admin_user': 'debian'}
";

#[test]
fn each_output_is_what_its_own_tool_reads() {
    let Some(lab) = Lab::new() else { return };
    if !["unsquashfs", "sqfstar"].into_iter().all(need_program) {
        return;
    }
    let home = Home { lab: &lab, home: "home" };
    let build = |folder: &str| -> Value {
        fs::write(lab.path("recipe.yaml"), RECIPE).unwrap();
        let (recipe, folder) = (lab.text("recipe.yaml"), lab.text(folder));
        let out = home.kiln(&["build", &recipe, "-o", &folder, "--json"]).success();
        serde_json::from_str(&out.stdout).unwrap()
    };
    let built = build("out");
    let names: Vec<_> = built["outputs"].as_array().unwrap().iter().collect();
    assert_eq!(names.len(), 7, "{names:?}");
    let file = |name: &str| lab.text(&format!("out/{name}"));
    let image = built["path"].as_str().unwrap().to_owned();
    for name in ["small.qcow2", "small.zstd.qcow2", "small.zlib.qcow2", "small.raw"] {
        let out = run(&["qemu-img", "compare", &image, &file(name)]);
        assert_eq!(out.code, 0, "{name}: {}{}", out.stdout, out.stderr);
    }
    let zstd = run(&["qemu-img", "info", &file("small.zstd.qcow2")]).success().stdout;
    assert!(zstd.contains("compression type: zstd"), "{zstd}");
    // Owners, modes and links.
    let list = run(&["unsquashfs", "-lln", &file("small.squashfs"), "srv"]).success().stdout;
    assert!(list.contains("-rw-r----- 1000/1000"), "{list}");
    assert!(list.starts_with("drwxr-xr-x 0/0") && list.contains("2025-01-01"), "{list}");
    let list = run(&["tar", "--numeric-owner", "-tvf", &file("small.tar.zst")]).success().stdout;
    let line = list.lines().find(|line| line.ends_with("/srv/secret")).unwrap_or(&list);
    assert!(line.starts_with("-rw-r-----") && line.contains("1000/1000"), "{line}");
    let info = home.kiln(&["bundle", "info", &file("small.tar.zst"), "--json"]).success().stdout;
    assert!(info.contains("\"entries\""), "{info}");
    // From the store: the same again, in place of the old ones; nothing else is left.
    let before = fs::read(file("small.squashfs")).unwrap();
    fs::write(file("small.raw"), "old").unwrap();
    assert_eq!(build("out")["cached"], true);
    assert_eq!(fs::read(file("small.squashfs")).unwrap(), before);
    assert_eq!(fs::metadata(file("small.raw")).unwrap().len(), 1 << 30);
    assert_eq!(fs::read_dir(lab.path("out")).unwrap().count(), 7);
    let info = home.kiln(&["image", "info", "small"]).success().stdout;
    let info: Value = serde_json::from_str(&info).unwrap();
    let properties = serde_json::json!({"hw_disk_bus": "virtio", "os_admin_user": "debian"});
    assert_eq!(info["properties"], properties);
    // Where nothing can be written.
    fs::write(lab.path("file"), "").unwrap();
    let (recipe, folder) = (lab.text("recipe.yaml"), lab.text("file"));
    let out = home.kiln(&["build", &recipe, "-o", &folder]);
    assert_eq!(out.code, 5, "{}", out.stderr);
}
