// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Guests on disks: found, mounted, changed, kept or forgotten.

use std::fs;

use kiln_disk::image::Mode;
use kiln_guest::guest::{Guest, GuestError, Note};
use kiln_guest::tree::{TreeError, read_text};
use kiln_testkit::{Files, run};

use crate::disks::{Disk, Fill, Part, open, open_root};
use crate::support::{Image, attrs, path};

const ROOT_UUID: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const BOOT_UUID: &str = "aaaaaaaa-0000-4000-8000-000000000002";

fn text(guest: &mut Guest, at: &str) -> Option<String> {
    read_text(guest.tree(), &path(at)).unwrap()
}

fn mounted(guest: &mut Guest) -> Vec<String> {
    let usage = guest.tree().usage().unwrap();
    usage.iter().map(|u| format!("{} {} {}", u.source, u.mounted_on, u.fs)).collect()
}

fn gpt_with_esp() -> Option<Disk> {
    let fstab = "UUID=AAAAAAAA-0000-4000-8000-000000000001 / ext4 defaults 0 1\n\
                 LABEL=ESP /boot/efi vfat umask=0077 0 1\n\
                 UUID=99999999-0000-4000-8000-000000000001 /gone ext4 nofail 0 1\n";
    let root = Files::debian().file("etc/fstab", fstab).dir("boot/efi");
    Disk::new(
        "gpt",
        &[
            Part("type=21686148-6449-6E6F-744E-656564454649", 1, Fill::Nothing),
            Part("type=uefi", 8, Fill::Vfat("ESP", &[("EFI/BOOT/BOOTX64.EFI", "loader")])),
            Part("type=linux", 24, Fill::Ext(root, &["-t", "ext4", "-U", ROOT_UUID])),
        ],
    )
}

#[test]
fn a_root_with_an_esp_is_found_on_a_gpt() {
    let Some(disk) = gpt_with_esp() else { return };
    for image in [disk.raw(), disk.qcow2()] {
        let mut guest = open(&image, Mode::Read).unwrap();
        assert_eq!(text(&mut guest, "/etc/hostname").as_deref(), Some("bookworm\n"));
        assert_eq!(text(&mut guest, "/boot/efi/efi/boot/bootx64.efi").as_deref(), Some("loader"));
        assert_eq!(mounted(&mut guest), ["sda3 / ext4", "sda2 /boot/efi vfat"]);
        let root = guest.root().unwrap();
        assert_eq!(root.shown(1), "1: sda3, Debian GNU/Linux 12 (bookworm)");
        let notes: Vec<String> = guest.notes().iter().map(ToString::to_string).collect();
        let gone = "`UUID=99999999-0000-4000-8000-000000000001`, to be mounted on `/gone`, is not \
                    on this disk";
        assert_eq!(notes, [gone]);
        let refused = guest.tree().unlink(&path("/etc/hostname"));
        assert!(matches!(refused, Err(TreeError::ReadOnly { .. })), "{refused:?}");
    }
}

#[test]
fn changes_are_kept_all_or_not_at_all() {
    let Some(disk) = gpt_with_esp() else { return };
    let before = fs::read(disk.raw()).unwrap();
    let change = |guest: &mut Guest| {
        let tree = guest.tree();
        tree.write(&path("/etc/hostname"), &mut &b"changed\n"[..], &attrs(0o644)).unwrap();
        tree.write(&path("/boot/efi/new"), &mut &b"esp\n"[..], &attrs(0o644)).unwrap();
    };
    let mut guest = open(&disk.raw(), Mode::Write).unwrap();
    change(&mut guest);
    drop(guest);
    assert!(fs::read(disk.raw()).unwrap() == before, "a guest that is dropped");
    open(&disk.raw(), Mode::Write).unwrap().commit().unwrap();
    assert!(fs::read(disk.raw()).unwrap() == before, "a guest that nothing was changed in");
    let mut guest = open(&disk.raw(), Mode::Write).unwrap();
    change(&mut guest);
    guest.commit().unwrap();
    let mut guest = open(&disk.raw(), Mode::Read).unwrap();
    assert_eq!(text(&mut guest, "/etc/hostname").as_deref(), Some("changed\n"));
    assert_eq!(text(&mut guest, "/boot/efi/new").as_deref(), Some("esp\n"));
    drop(run(&["e2fsck", "-fn", &disk.part(12, 24)]).success());
    drop(run(&["fsck.vfat", "-n", &disk.part(3, 8)]).success());
}

#[test]
fn logical_partitions_of_an_mbr_are_mounted() {
    let fstab = "/dev/vda5 / ext4 defaults 0 1\n\
                 UUID=aaaaaaaa-0000-4000-8000-000000000002 /boot ext2 defaults 0 2\n\
                 PARTUUID=1234abcd-06 /srv ext4 defaults 0 2\n";
    let root = Files::debian().file("etc/fstab", fstab).dir("srv");
    let ext2 = &["-t", "ext2", "-U", BOOT_UUID];
    let disk = Disk::new(
        "dos",
        &[
            Part("type=83", 8, Fill::Ext(Files::new().file("vmlinuz", "kernel"), ext2)),
            Part("type=5", 60, Fill::Nothing),
        ],
    );
    let Some(disk) = disk else { return };
    // sfdisk places logical partitions within the extended one.
    let script = "start=11MiB,size=24MiB,type=83\nstart=36MiB,size=8MiB,type=83\n";
    let file = disk.raw().display().to_string();
    drop(run(&["sh", "-c", &format!("printf '{script}' | sfdisk -q -a {file}")]).success());
    for (at, files) in [(11, root), (36, Files::new().file("data", "x"))] {
        let size = if at == 11 { "24M" } else { "8M" };
        let Some(image) = Image::new(&files, size, &[]) else { return };
        let from = image.path().display().to_string();
        let to = format!("of={file}");
        let seek = format!("seek={at}");
        let from = format!("if={from}");
        drop(run(&["dd", &from, &to, "bs=1M", &seek, "conv=notrunc", "status=none"]).success());
    }
    let mut guest = open(&disk.raw(), Mode::Read).unwrap();
    assert_eq!(mounted(&mut guest), ["sda5 / ext4", "sda1 /boot ext2", "sda6 /srv ext4"]);
    assert_eq!(text(&mut guest, "/boot/vmlinuz").as_deref(), Some("kernel"));
    assert_eq!(text(&mut guest, "/srv/data").as_deref(), Some("x"));
}

#[test]
fn a_file_system_on_the_whole_disk_is_enough() {
    let Some(image) = Image::new(&Files::debian(), "16M", &[]) else { return };
    let mut guest = open(&image.path(), Mode::Read).unwrap();
    assert_eq!(mounted(&mut guest), ["sda / ext4"]);
    assert_eq!(guest.root().unwrap().os.as_ref().unwrap().id, "debian");
    // One without a system shows its files.
    let Some(image) = Image::new(&Files::new().file("data", "x"), "8M", &[]) else { return };
    let mut guest = open(&image.path(), Mode::Read).unwrap();
    assert_eq!(text(&mut guest, "/data").as_deref(), Some("x"));
    assert_eq!(guest.notes(), [Note::NoSystem { place: "sda".to_owned() }]);
    assert_eq!(guest.root(), None);
}

#[test]
fn what_cannot_be_held_in_process_is_said() {
    let boot = Files::new().file("vmlinuz", "kernel");
    let fedora = Disk::new(
        "gpt",
        &[
            Part("type=linux", 8, Fill::Ext(boot, &[])),
            Part("type=linux", 320, Fill::Made(&["mkfs.xfs", "-q"])),
        ],
    );
    let Some(fedora) = fedora else { return };
    let error = open(&fedora.raw(), Mode::Read).unwrap_err();
    assert!(matches!(&error, GuestError::NeedsAppliance { why } if why == "`sda2` holds xfs"));
    let fstab = "/dev/sda2 /home xfs defaults 0 2\n";
    let root = Files::debian().file("etc/fstab", fstab);
    let home = Disk::new(
        "gpt",
        &[
            Part("type=linux", 24, Fill::Ext(root, &[])),
            Part("type=linux", 320, Fill::Made(&["mkfs.xfs", "-q"])),
        ],
    );
    let Some(home) = home else { return };
    let error = open(&home.raw(), Mode::Write).unwrap_err();
    let text_of = "the guest cannot be opened in process: `/home` is on `sda2`, which holds xfs";
    assert_eq!(error.to_string(), text_of);
    let mut guest = open(&home.raw(), Mode::Read).unwrap();
    assert_eq!(text(&mut guest, "/etc/hostname").as_deref(), Some("bookworm\n"));
    // It must not look as if it were empty.
    let closed = guest.tree().list(&path("/home"));
    assert!(matches!(&closed, Err(TreeError::ReadOnly { why, .. }) if why == "it is on /dev/sda2"));
    assert!(matches!(guest.notes(), [Note::Closed { at, .. }] if *at == path("/home")));
}

#[test]
fn one_of_several_systems_is_chosen() {
    let two = Files::debian().file("etc/hostname", "second\n");
    let disk = Disk::new(
        "gpt",
        &[
            Part("type=linux", 24, Fill::Ext(Files::debian(), &[])),
            Part("type=linux", 24, Fill::Ext(two, &[])),
        ],
    );
    let Some(disk) = disk else { return };
    let error = open(&disk.raw(), Mode::Read).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there are several systems in the image: 1: sda1, Debian GNU/Linux 12 (bookworm); \
         2: sda2, Debian GNU/Linux 12 (bookworm)"
    );
    assert_eq!(error.hint().as_deref(), Some("choose one with `--root NUMBER`"));
    let mut guest = open_root(&disk.raw(), Mode::Read, Some(2)).unwrap();
    // Its fstab says `/dev/sda1` for its root; that is not mounted anywhere.
    assert_eq!(mounted(&mut guest), ["sda2 / ext4"]);
    assert_eq!(text(&mut guest, "/etc/hostname").as_deref(), Some("second\n"));
    for wanted in [0, 3] {
        let error = open_root(&disk.raw(), Mode::Read, Some(wanted)).unwrap_err();
        assert!(matches!(error, GuestError::NoSuchRoot { count: 2, .. }), "{error:?}");
    }
}

#[test]
fn a_hostile_fstab_leads_nowhere() {
    let fstab = "/etc/passwd /mnt ext4 loop 0 0\n\
                 /dev/../../../etc /mnt ext4 defaults\n\
                 /dev/sda99999999999999999999 /mnt ext4 defaults\n\
                 UUID= /mnt ext4 defaults\n\
                 LABEL=\u{1b}[31m /mnt ext4 defaults\n\
                 /dev/sda1 /../../../mnt/\\057..\\057x ext4 defaults\n\
                 /dev/sda1 /mnt ext4 defaults\n\
                 PARTLABEL= /mnt ext4 defaults\n";
    let root = Files::debian().file("etc/fstab", fstab).dir("mnt");
    let disk = Disk::new("gpt", &[Part("type=linux", 24, Fill::Ext(root, &[]))]);
    let Some(disk) = disk else { return };
    let mut guest = open(&disk.raw(), Mode::Read).unwrap();
    assert_eq!(mounted(&mut guest), ["sda1 / ext4"]);
    assert_eq!(guest.notes().len(), 8);
    let shown: Vec<String> = guest.notes().iter().map(ToString::to_string).collect();
    assert!(shown.iter().all(|note| !note.contains('\u{1b}')), "{shown:?}");
}
