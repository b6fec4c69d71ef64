// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Systems that look like those of distributions, inspected.

use std::fs;
use std::path::Path;

use kiln_disk::image::Mode;
use kiln_guest::guest::Guest;
use kiln_guest::inspect::{
    Driver, MachineId, Package, Password, System, inspect_disk, inspect_system,
};
use kiln_testkit::{Files, need_program, run};

use kiln_guest::tree::Tree;

use crate::disks::{Disk, Fill, Part, open};
use crate::support::{Image, attrs, path};

fn inspect(guest: &mut Guest) -> (System, Vec<String>) {
    let root = guest.root().map(|root| root.name.clone()).unwrap_or_default();
    let start = guest.disk().map(|disk| disk.start(512).unwrap()).unwrap_or_default();
    inspect_system(guest.tree(), &root, &start)
}

fn on_disk(files: Files, size: u64) -> Option<Disk> {
    Disk::new("gpt", &[Part("type=linux", size, Fill::Ext(files, &[]))])
}

/// Packs a folder as an initramfs, with a program that packs.
fn initramfs(names: &[&str], pack: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        let path = folder.path().join("tree").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "module").unwrap();
    }
    let at = folder.path().display();
    let pack = pack.join(" ");
    let command = format!("cd {at}/tree && find . | cpio --quiet -o -H newc | {pack} > {at}/out");
    drop(run(&["sh", "-c", &command]).success());
    fs::read(folder.path().join("out")).unwrap()
}

fn names(packages: &[Package]) -> Vec<String> {
    packages.iter().map(|p| format!("{} {} {}", p.name, p.version, p.architecture)).collect()
}

/// Returns a Debian with something of everything.
fn full_debian() -> Files {
    let status = "Package: bash\nStatus: install ok installed\nArchitecture: amd64\n\
                  Version: 5.2.15-2\nDescription: shell\n more\n\n\
                  Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\
                  Package: cloud-init\nStatus: hold ok installed\nArchitecture: all\n\
                  Version: 22.4.2-1\n";
    let modules = "usr/lib/modules/6.1.0-1-amd64";
    let early = initramfs(&["kernel/x86/microcode/x.bin"], &["cat"]);
    let main = initramfs(
        &[&format!("{modules}/kernel/drivers/block/virtio_blk.ko")],
        &["zstd", "-q", "-19", "-c"],
    );
    let shadow = "root:$y$j9T$abcdefgh$0123456789:19000:::::\ndaemon:*:1::::::\ndebian:!:1::::::\n";
    Files::debian()
        .file("var/lib/dpkg/status", status)
        .file("etc/shadow", shadow)
        .file("boot/vmlinuz-6.1.0-1-amd64", "kernel")
        .file("boot/initrd.img-6.1.0-1-amd64", [early, main].concat())
        .file("boot/config-6.1.0-1-amd64", "CONFIG_VIRTIO_PCI=y\nCONFIG_VIRTIO_NET=m\n")
        .file(&format!("{modules}/modules.dep"), "kernel/drivers/net/virtio_net.ko: x.ko\n")
        .link("lib", "usr/lib")
        .file("boot/grub/grub.cfg", "menuentry\n")
        .file("usr/lib/systemd/systemd", "")
        .link("usr/sbin/init", "../lib/systemd/systemd")
        .link("etc/systemd/system/multi-user.target.wants/ssh.service", "/x/ssh.service")
        .link("etc/systemd/system/apt.timer", "/dev/null")
        .link("etc/systemd/system/default.target", "/lib/systemd/system/multi-user.target")
        .link("etc/localtime", "/usr/share/zoneinfo/Europe/Berlin")
        .file("etc/default/locale", "LANG=\"de_DE.UTF-8\"\n")
        .file("etc/ssh/ssh_host_rsa_key", "key")
        .file("etc/ssh/ssh_host_rsa_key.pub", "key")
        .file("etc/network/interfaces", "auto lo\niface lo inet loopback\niface ens3 inet dhcp\n")
        .file("usr/sbin/qemu-ga", "")
        .file("home/debian/.ssh/authorized_keys", "# mine\nssh-ed25519 AAAA x\n")
        .dir("var/lib/cloud/instances/i-1")
}

#[test]
fn a_debian_is_told_in_all_its_parts() {
    if !["cpio", "zstd"].into_iter().all(need_program) {
        return;
    }
    let files = full_debian();
    let Some(disk) = on_disk(files, 24) else { return };
    let mut guest = open(&disk.raw(), Mode::Read).unwrap();
    let report = inspect_disk(guest.disk().unwrap(), true);
    assert_eq!((report.table.as_deref(), report.parts.len()), (Some("gpt"), 1));
    let part = &report.parts[0];
    assert_eq!((part.device.as_str(), part.content.as_str()), ("sda1", "ext4"));
    assert!(part.used.unwrap() > 0 && part.used.unwrap() + part.free.unwrap() <= part.size);
    let (system, notes) = inspect(&mut guest);
    assert_eq!(notes, [""; 0]);
    let expected = ["bash 5.2.15-2 amd64", "cloud-init 22.4.2-1 all"];
    assert_eq!(names(&system.packages), expected);
    assert_eq!(system.architecture.as_deref(), Some("x86_64"));
    assert_eq!(system.hostname.as_deref(), Some("bookworm"));
    assert_eq!(system.init.as_deref(), Some("systemd"));
    assert_eq!(system.machine_id, MachineId::Set("0123456789abcdef".repeat(2)));
    let [kernel] = system.kernels.as_slice() else { panic!("{:?}", system.kernels) };
    assert_eq!(kernel.initramfs.as_deref(), Some("/boot/initrd.img-6.1.0-1-amd64"));
    let drivers = ["virtio_pci", "virtio_blk", "virtio_net", "nvme"];
    let places = drivers.map(|driver| kernel.drivers[driver]);
    let expected = [Driver::BuiltIn, Driver::Initramfs, Driver::Module, Driver::Missing];
    assert_eq!(places, expected);
    assert_eq!(
        (system.boot.loaders.as_slice(), system.boot.uefi),
        (&["grub".to_owned()][..], false)
    );
    let users: Vec<_> =
        system.users.iter().map(|u| (u.name.as_str(), u.login, u.password)).collect();
    assert_eq!(
        users,
        [
            ("root", true, Password::Set),
            ("daemon", false, Password::Locked),
            ("debian", true, Password::Locked)
        ]
    );
    assert_eq!(system.users[2].ssh_keys, 1);
    assert_eq!(system.services.enabled, ["ssh.service"]);
    assert_eq!(system.services.masked, ["apt.timer"]);
    assert_eq!(system.services.default_target.as_deref(), Some("multi-user.target"));
    assert_eq!(system.timezone.as_deref(), Some("Europe/Berlin"));
    assert_eq!(system.locale.as_deref(), Some("de_DE.UTF-8"));
    assert_eq!(system.ssh_host_keys, ["ssh_host_rsa_key"]);
    assert_eq!(system.network, ["ifupdown"]);
    assert_eq!(system.agents, ["qemu-guest-agent"]);
    assert!(system.cloud_init.installed && system.cloud_init.ran);
    assert_eq!(system.cloud_init.version.as_deref(), Some("22.4.2-1"));
}

/// Lets rpm itself make its database, of two packages.
fn rpm_database(folder: &Path) -> bool {
    if !["rpm", "rpmbuild"].into_iter().all(need_program) {
        return false;
    }
    let spec = |name: &str, epoch: &str| {
        format!(
            "Name: {name}\nVersion: 1.2\nRelease: 3\n{epoch}Summary: x\nLicense: x\nBuildArch: \
             noarch\n%description\n{}\n%files\n",
            "long ".repeat(2000)
        )
    };
    for (name, epoch) in [("alpha", "Epoch: 4\n"), ("beta", "")] {
        fs::write(folder.join(format!("{name}.spec")), spec(name, epoch)).unwrap();
        let top = format!("_topdir {}", folder.display());
        let file = folder.join(format!("{name}.spec")).display().to_string();
        drop(run(&["rpmbuild", "--quiet", "--define", &top, "-bb", &file]).success());
        let package = folder.join(format!("RPMS/noarch/{name}-1.2-3.noarch.rpm"));
        let package = package.display().to_string();
        let path = format!("{}/db", folder.display());
        let args = ["rpm", "--dbpath", &path, "--justdb", "--nodeps", "-i"];
        drop(run(&[&args[..], &[&package]].concat()).success());
    }
    true
}

#[test]
fn a_fedora_is_told_by_the_database_that_rpm_made() {
    let folder = tempfile::tempdir().unwrap();
    if !rpm_database(folder.path()) {
        return;
    }
    let bytes = fs::read(folder.path().join("db/rpmdb.sqlite")).unwrap();
    let files = Files::debian()
        .file("usr/lib/os-release", "ID=fedora\nVERSION_ID=40\nPRETTY_NAME=\"Fedora 40\"\n")
        .file("usr/lib/sysimage/rpm/rpmdb.sqlite", &bytes)
        .link("var/lib/rpm", "../../usr/lib/sysimage/rpm")
        .file("etc/selinux/config", "# mode\nSELINUX=enforcing\nSELINUXTYPE=targeted\n")
        .file("etc/NetworkManager/system-connections/eth0.nmconnection", "x")
        .file("etc/machine-id", "uninitialized\n");
    let Some(disk) = on_disk(files, 24) else { return };
    let (system, notes) = inspect(&mut open(&disk.raw(), Mode::Read).unwrap());
    assert_eq!(notes, [""; 0]);
    assert_eq!(system.package_format.as_deref(), Some("rpm"));
    assert_eq!(names(&system.packages), ["alpha 4:1.2-3 noarch", "beta 1.2-3 noarch"]);
    assert_eq!(system.os.id.as_deref(), Some("fedora"));
    assert_eq!(system.selinux.as_deref(), Some("enforcing"));
    assert_eq!(system.network, ["NetworkManager"]);
    assert_eq!(system.machine_id, MachineId::Uninitialized);
    // Damaged anywhere, it is noted or read in part.
    let Some(image) = Image::new(&Files::debian().dir("var/lib/rpm"), "16M", &[]) else { return };
    let mut tree = image.tree();
    for at in (0..bytes.len()).step_by(512) {
        let mut bad = bytes.clone();
        let end = (at + 512).min(bad.len());
        bad[at..end].fill(0xff);
        let file = path("/var/lib/rpm/rpmdb.sqlite");
        tree.write(&file, &mut bad.as_slice(), &attrs(0o644)).unwrap();
        let (system, _) = inspect_system(&mut tree, "sda", &[]);
        assert!(system.packages.len() <= 2, "{at}");
    }
}

#[test]
fn a_table_of_many_pages_is_read_as_sqlite_wrote_it() {
    if !need_program("sqlite3") {
        return;
    }
    // 3000 headers, from none to long enough for several pages each.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rpmdb.sqlite").display().to_string();
    let sql = "CREATE TABLE Other(x); CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY \
               AUTOINCREMENT, blob BLOB NOT NULL); CREATE TABLE Later(x); \
               WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 2999) \
               INSERT INTO Packages(blob) SELECT X'00000003' || X'00000020' || \
               X'000003E8000000060000000000000001' || X'000003E9000000060000000700000001' || \
               X'000003EA000000060000000900000001' || \
               CAST(printf('p%05d', i) || x'00' || '1' || x'00' || '2' || x'00' AS BLOB) || \
               zeroblob((i * 37) % 12000) FROM n;";
    drop(run(&["sqlite3", &file, sql]).success());
    let files = Files::debian().file("var/lib/rpm/rpmdb.sqlite", fs::read(&file).unwrap());
    let Some(disk) = on_disk(files, 64) else { return };
    let (system, notes) = inspect(&mut open(&disk.raw(), Mode::Read).unwrap());
    assert_eq!(notes, [""; 0]);
    assert_eq!(system.packages.len(), 3000);
    assert_eq!(names(&system.packages)[2999], "p02999 1-2 ");
}

#[test]
fn other_distributions_are_told_apart() {
    if !["cpio", "gzip", "xz"].into_iter().all(need_program) {
        return;
    }
    let gz = initramfs(&["lib/modules/6.6/kernel/drivers/block/virtio_blk.ko.gz"], &["gzip"]);
    let alpine = Files::new()
        .file("etc/os-release", "ID=alpine\nVERSION_ID=3.19.1\n")
        .file("lib/apk/db/installed", "C:Q1\nP:musl\nV:1.2.4-r2\nA:x86_64\n\nP:openrc\nV:0.52\n\n")
        .file("bin/busybox", "")
        .link("sbin/init", "/bin/busybox")
        .file("sbin/openrc", "")
        .link("etc/runlevels/default/sshd", "/etc/init.d/sshd")
        .file("boot/vmlinuz-lts", "x")
        .file("boot/initramfs-lts", gz)
        .file("boot/extlinux.conf", "")
        .file("etc/passwd", "root:x:0:0:root:/root:/bin/ash\n");
    let Some(disk) = on_disk(alpine, 16) else { return };
    let (system, _) = inspect(&mut open(&disk.raw(), Mode::Read).unwrap());
    assert_eq!(names(&system.packages), ["musl 1.2.4-r2 x86_64", "openrc 0.52 "]);
    assert_eq!(system.init.as_deref(), Some("openrc"));
    assert_eq!(system.services.enabled, ["sshd"]);
    assert_eq!(system.boot.loaders, ["extlinux"]);
    assert_eq!(system.kernels[0].drivers["virtio_blk"], Driver::Initramfs);
    assert_eq!(system.users[0].password, Password::Unknown);
    assert_eq!(system.machine_id, MachineId::Absent);
    let xz = initramfs(&["usr/lib/modules/6.6/virtio_blk.ko.xz"], &["xz", "--check=crc32"]);
    let desc = "%NAME%\nlinux\n\n%VERSION%\n6.6.1-1\n\n%ARCH%\nx86_64\n";
    let arch = Files::new()
        .file("etc/os-release", "ID=arch\n")
        .dir("usr/bin")
        .file("var/lib/pacman/local/linux-6.6.1-1/desc", desc)
        .file("var/lib/pacman/local/ALPM_DB_VERSION", "9\n")
        .file("boot/vmlinuz-linux", "x")
        .file("boot/initramfs-linux.img", xz)
        .file("etc/systemd/network/20-wired.network", "[Match]\n")
        .file("boot/EFI/systemd/systemd-bootx64.efi", "x")
        .file("boot/EFI/BOOT/BOOTX64.EFI", "x");
    let Some(disk) = on_disk(arch, 16) else { return };
    let (system, _) = inspect(&mut open(&disk.raw(), Mode::Read).unwrap());
    assert_eq!(names(&system.packages), ["linux 6.6.1-1 x86_64"]);
    assert_eq!(system.network, ["networkd"]);
    assert_eq!(
        (system.boot.loaders.as_slice(), system.boot.uefi),
        (&["systemd-boot".to_owned()][..], true)
    );
    assert_eq!(system.kernels[0].drivers["virtio_blk"], Driver::Initramfs);
}

#[test]
fn nothing_at_all_is_no_error() {
    let Some(disk) = on_disk(Files::new().dir("etc").dir("bin"), 8) else { return };
    let (system, notes) = inspect(&mut open(&disk.raw(), Mode::Read).unwrap());
    assert_eq!(notes, [""; 0]);
    let mounts = system.mounts.clone();
    assert_eq!(system, System { root: "sda1".to_owned(), mounts, ..System::default() });
}
