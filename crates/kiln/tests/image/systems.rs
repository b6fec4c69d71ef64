// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image inspect --json` of disks laid out as distributions do.

use std::fs;

use kiln_testkit::{Files, need_program, run};
use serde_json::{Value, json};

/// A file system: its first MiB on the disk, its size in MiB, options for mke2fs, files.
type System<'a> = (u64, u64, &'a [&'a str], Files);

/// Makes a disk of `size` MiB from a script for sfdisk and inspects it.
fn inspect(size: u64, script: &str, systems: &[System<'_>]) -> Option<Value> {
    if !["mke2fs", "debugfs", "mkfs.vfat", "sfdisk"].into_iter().all(need_program) {
        return None;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let disk = path("disk.raw");
    fs::File::create(&disk).expect("made").set_len(size << 20).expect("sized");
    fs::write(path("script"), script).expect("written");
    let command = format!("sfdisk -q '{disk}' < '{}'", path("script"));
    drop(run(&["sh", "-c", &command]).success());
    for (n, (start, size, options, files)) in systems.iter().enumerate() {
        let part = path(&format!("part-{n}"));
        if let ["vfat", label] = options {
            let blocks = (size << 10).to_string();
            drop(run(&["mkfs.vfat", "-n", label, "-C", &part, &blocks]).success());
        } else {
            files.ext(part.as_ref(), &format!("{size}M"), options);
        }
        let (from, to) = (format!("if={part}"), format!("of={disk}"));
        let seek = format!("seek={start}");
        let dd = ["dd", &from, &to, "bs=1M", &seek, "conv=notrunc,sparse", "status=none"];
        drop(run(&dd).success());
    }
    let program = env!("CARGO_BIN_EXE_kiln");
    let home = format!("KILN_HOME={}", path("home"));
    let all = ["env", &home, program, "image", "inspect", &disk, "--json"];
    let out = run(&all).success();
    Some(serde_json::from_str(&out.stdout).expect("JSON"))
}

fn mounts(system: &Value) -> Vec<String> {
    let text = |mount: &Value, name: &str| mount[name].as_str().unwrap_or("?").to_owned();
    let all = system["mounts"].as_array().expect("mounts").iter();
    let all = all.map(|mount| ["device", "path", "kind"].map(|name| text(mount, name)).join(" "));
    all.collect()
}

fn ubuntu(fstab: &str) -> Files {
    let release = "PRETTY_NAME=\"Ubuntu 24.04.1 LTS\"\nID=ubuntu\nVERSION_ID=\"24.04\"\n";
    let status = "Package: base-files\nStatus: install ok installed\nVersion: 13ubuntu10\n\
        Architecture: amd64\n";
    Files::debian()
        .file("usr/lib/os-release", release)
        .file("etc/hostname", "noble\n")
        .file("etc/fstab", fstab)
        .file("var/lib/dpkg/status", status)
        .dir("usr/lib/modules/6.8.0-31-generic")
        .link("lib", "usr/lib")
        .dir("srv")
}

fn boot() -> Files {
    Files::new()
        .file("vmlinuz-6.8.0-31-generic", "kernel")
        .file("initrd.img-6.8.0-31-generic", "")
        .file("grub/grub.cfg", "menuentry\n")
        .dir("efi")
}

fn told_rightly(found: &Value, root: &str) {
    assert_eq!(found["systems"].as_array().expect("systems").len(), 1, "{found:#}");
    let system = &found["systems"][0];
    assert_eq!(system["root"], root);
    let os = json!({ "id": "ubuntu", "version": "24.04", "name": "Ubuntu 24.04.1 LTS" });
    assert_eq!(system["os"], os);
    assert_eq!((&system["hostname"], &system["architecture"]), (&json!("noble"), &json!("x86_64")));
    assert_eq!(system["package_format"], "dpkg");
    assert_eq!(system["packages"][0]["version"], "13ubuntu10");
    let kernels = system["kernels"].as_array().expect("kernels");
    assert_eq!(kernels.len(), 1);
    assert_eq!(kernels[0]["version"], "6.8.0-31-generic");
    assert_eq!(kernels[0]["image"], "/boot/vmlinuz-6.8.0-31-generic");
    assert_eq!(kernels[0]["initramfs"], "/boot/initrd.img-6.8.0-31-generic");
    assert_eq!(kernels[0]["modules"], true);
    assert_eq!(system["boot"]["loaders"], json!(["grub"]));
}

/// As Ubuntu's cloud images: the root first in number and last on the disk, `/boot` and the ESP
/// with numbers of their own.
#[test]
fn an_ubuntu_with_boot_and_esp_apart() {
    let fstab = "LABEL=cloudimg-rootfs / ext4 discard,errors=remount-ro 0 1\n\
        LABEL=BOOT /boot ext4 defaults 0 2\nLABEL=UEFI /boot/efi vfat umask=0077 0 1\n";
    let script = "label: gpt\n\
        1 : start=46MiB, size=24MiB, type=linux\n\
        14 : start=1MiB, size=4MiB, type=21686148-6449-6E6F-744E-656564454649\n\
        15 : start=5MiB, size=8MiB, type=uefi\n\
        16 : start=13MiB, size=32MiB, type=linux-extended-boot\n";
    let script = script.replace("linux-extended-boot", "BC13C2FF-59E6-4262-A352-B275FD6F7172");
    let systems = [
        (46, 24, &["-t", "ext4", "-L", "cloudimg-rootfs"][..], ubuntu(fstab)),
        (5, 8, &["vfat", "UEFI"][..], Files::new()),
        (13, 32, &["-t", "ext4", "-L", "BOOT"][..], boot()),
    ];
    let Some(found) = inspect(72, &script, &systems) else { return };
    told_rightly(&found, "sda1");
    let expected = ["sda1 / ext4", "sda16 /boot ext4", "sda15 /boot/efi vfat"];
    assert_eq!(mounts(&found["systems"][0]), expected);
    assert_eq!(found["disk"]["table"], "gpt");
    assert_eq!(found["notes"], json!([]));
}

/// As an old installer makes it: `/boot` in a primary partition, all else in logical ones.
#[test]
fn a_root_in_a_logical_partition() {
    let fstab = "/dev/sda5 / ext4 defaults 0 1\n/dev/sda1 /boot ext2 defaults 0 2\n\
        PARTUUID=1234abcd-06 /srv ext3 defaults 0 2\n/dev/sda7 none swap sw 0 0\n";
    let script = "label: dos\nlabel-id: 0x1234abcd\n\
        start=1MiB, size=16MiB, type=83, bootable\nstart=17MiB, size=46MiB, type=5\n\
        start=18MiB, size=24MiB, type=83\nstart=43MiB, size=16MiB, type=83\n\
        start=60MiB, size=2MiB, type=82\n";
    let systems = [
        (18, 24, &["-t", "ext4"][..], ubuntu(fstab)),
        (1, 16, &["-t", "ext2"][..], boot()),
        (43, 16, &["-t", "ext3"][..], Files::new().file("data", "x")),
    ];
    let Some(found) = inspect(64, script, &systems) else { return };
    told_rightly(&found, "sda5");
    let expected = ["sda5 / ext4", "sda1 /boot ext2", "sda6 /srv ext3"];
    assert_eq!(mounts(&found["systems"][0]), expected);
    assert_eq!(
        (&found["disk"]["table"], &found["disk"]["id"]),
        (&json!("dos"), &json!("1234abcd"))
    );
}

/// Packs the names of an initramfs's files, as initramfs-tools does.
fn initramfs(names: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    for name in names {
        let path = folder.path().join("tree").join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, "module").expect("written");
    }
    let at = folder.path().display();
    let pack = format!("cd {at}/tree && find . | cpio --quiet -o -H newc | zstd -q -c > {at}/out");
    drop(run(&["sh", "-c", &pack]).success());
    fs::read(folder.path().join("out")).expect("packed")
}

/// Returns what Debian 13 has in its images for clouds, before the first boot.
fn trixie() -> Files {
    let version = "6.12.43+deb13-cloud-amd64";
    let modules = format!("usr/lib/modules/{version}");
    let release = "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nNAME=\"Debian GNU/Linux\"\n\
        VERSION_ID=\"13\"\nVERSION=\"13 (trixie)\"\nVERSION_CODENAME=trixie\n\
        DEBIAN_VERSION_FULL=13.1\nID=debian\nHOME_URL=\"https://www.debian.org/\"\n";
    let packages = [
        ("base-files", "13.8+deb13u1", "amd64"),
        ("cloud-init", "25.1.4-1", "all"),
        ("libc6", "2.41-12", "amd64"),
        ("linux-image-6.12.43+deb13-cloud-amd64", "6.12.43-1", "amd64"),
        ("systemd", "257.7-1", "amd64"),
    ];
    let status = packages.map(|(name, version, architecture)| {
        format!(
            "Package: {name}\nStatus: install ok installed\nPriority: important\n\
             Architecture: {architecture}\nMulti-Arch: same\nVersion: {version}\n\
             Description: what it is\n more of that\n .\n and more\n\n"
        )
    });
    let initramfs = initramfs(&[
        &format!("{modules}/kernel/drivers/block/virtio_blk.ko.xz"),
        &format!("{modules}/kernel/drivers/virtio/virtio_pci.ko.xz"),
    ]);
    Files::debian()
        .without("etc/hosts")
        .file("usr/lib/os-release", release)
        .file("etc/debian_version", "13.1\n")
        .file("etc/hostname", "localhost\n")
        .file("etc/machine-id", "uninitialized\n")
        .file(
            "etc/fstab",
            "PARTUUID=6f3f1b9a-0001-4d4b-a0f2-7b0f7c3e0001 / ext4 rw,discard,errors=remount-ro,x-systemd.growfs 0 1\n\
             PARTUUID=6f3f1b9a-000f-4d4b-a0f2-7b0f7c3e000f /boot/efi vfat defaults 0 0\n",
        )
        .file("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")
        .file("etc/shadow", "root:*:20319:0:99999:7:::\n")
        .mode(0o640)
        .owner(0, 42)
        .file("var/lib/dpkg/status", status.concat())
        .link("lib", "usr/lib")
        .link("lib64", "usr/lib64")
        .dir("usr/lib64")
        .file(&format!("boot/vmlinuz-{version}"), "kernel")
        .file(&format!("boot/initrd.img-{version}"), initramfs)
        .file(&format!("boot/config-{version}"), "CONFIG_VIRTIO_BLK=m\nCONFIG_VIRTIO_NET=m\n")
        .file(
            &format!("{modules}/modules.dep"),
            "kernel/drivers/net/virtio_net.ko.xz: kernel/net/core/failover.ko.xz\n",
        )
        .file("boot/grub/grub.cfg", "menuentry\n")
        .dir("boot/efi")
        .file("usr/lib/systemd/systemd", "")
        .mode(0o755)
        .link("usr/sbin/init", "../lib/systemd/systemd")
        .link("etc/localtime", "/usr/share/zoneinfo/Etc/UTC")
        .file("etc/locale.conf", "LANG=C.UTF-8\n")
        .link("etc/default/locale", "../locale.conf")
        .file("etc/netplan/90-default.yaml", "network:\n  version: 2\n")
        .file("etc/cloud/cloud.cfg", "users:\n  - default\n")
        .link(
            "etc/systemd/system/multi-user.target.wants/ssh.service",
            "/usr/lib/systemd/system/ssh.service",
        )
}

/// As Debian's cloud images: the root first in number and last on the disk, found by its
/// partition's number; modules and names of Debian 13.
#[test]
fn a_debian_13_of_its_cloud_images() {
    if !["cpio", "zstd"].into_iter().all(need_program) {
        return;
    }
    let script = "label: gpt\n\
        1 : start=13MiB, size=32MiB, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, \
            uuid=6F3F1B9A-0001-4D4B-A0F2-7B0F7C3E0001\n\
        14 : start=1MiB, size=3MiB, type=21686148-6449-6E6F-744E-656564454649\n\
        15 : start=4MiB, size=8MiB, type=uefi, uuid=6F3F1B9A-000F-4D4B-A0F2-7B0F7C3E000F\n";
    let systems =
        [(13, 32, &["-t", "ext4"][..], trixie()), (4, 8, &["vfat", "ESP"][..], Files::new())];
    let Some(found) = inspect(46, script, &systems) else { return };
    assert_eq!(found["notes"], json!([]));
    assert_eq!(found["systems"].as_array().expect("systems").len(), 1, "{found:#}");
    let system = &found["systems"][0];
    let name = "Debian GNU/Linux 13 (trixie)";
    let version = "6.12.43+deb13-cloud-amd64";
    let (dep, initramfs, none) = ("module", "initramfs", "missing");
    for (path, expected) in [
        ("/root", json!("sda1")),
        ("/os", json!({ "id": "debian", "version": "13", "name": name })),
        ("/architecture", json!("x86_64")),
        ("/hostname", json!("localhost")),
        ("/machine_id", json!({ "state": "uninitialized" })),
        ("/init", json!("systemd")),
        ("/package_format", json!("dpkg")),
        (
            "/packages/4",
            json!({ "name": "systemd", "version": "257.7-1", "architecture": "amd64" }),
        ),
        ("/kernels/0/version", json!(version)),
        ("/kernels/0/image", json!(format!("/boot/vmlinuz-{version}"))),
        ("/kernels/0/initramfs", json!(format!("/boot/initrd.img-{version}"))),
        ("/kernels/0/modules", json!(true)),
        (
            "/kernels/0/drivers",
            json!({ "virtio_pci": initramfs, "virtio_blk": initramfs, "virtio_scsi": none,
                "virtio_net": dep, "nvme": none }),
        ),
        ("/boot/loaders", json!(["grub"])),
        ("/users/0/password", json!("locked")),
        ("/services/enabled", json!(["ssh.service"])),
        (
            "/cloud_init",
            json!({ "installed": true, "version": "25.1.4-1", "disabled": false, "ran": false }),
        ),
        ("/timezone", json!("Etc/UTC")),
        ("/locale", json!("C.UTF-8")),
        ("/ssh_host_keys", json!([])),
        ("/network", json!(["netplan"])),
    ] {
        assert_eq!(system.pointer(path), Some(&expected), "{path}");
    }
    assert_eq!(system["packages"].as_array().expect("packages").len(), 5);
    assert_eq!(mounts(system), ["sda1 / ext4", "sda15 /boot/efi vfat"]);
}
