// SPDX-License-Identifier: Apache-2.0 OR MIT
//! XFS and btrfs as xfs_repair, btrfs and libguestfs read them.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use kiln_disk::assemble::{
    AssembleError, Assembled, BIOS_BOOT, Holds, Layout, NewTable, Part, Progress, Volume,
    VolumeKind, assemble,
};
use kiln_host::RealHost;
use kiln_host::tools::guestfish::Fish;
use kiln_spec::Bytes;
use kiln_testkit::{need_program, run, run_with};

const TIME: u64 = 1_700_000_000;

struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    /// Makes a tree with a kernel, signed loaders, and files of each kind.
    fn new() -> Option<Self> {
        let tools = [
            "tar",
            "mke2fs",
            "mkfs.xfs",
            "mkfs.btrfs",
            "guestfish",
            "xfs_repair",
            "btrfs",
            "e2fsck",
        ];
        if !tools.into_iter().chain(["sfdisk", "setfattr"]).all(need_program) {
            return None;
        }
        let lab = Self { folder: tempfile::tempdir_in("/var/tmp").expect("a folder") };
        lab.file("usr/bin/sh", &fs::read("/bin/sh").expect("this machine's shell"));
        symlink("usr/bin", lab.path("tree/bin")).expect("a link");
        lab.file("etc/os-release", b"ID=debian\nVERSION_ID=12\n");
        lab.file("boot/vmlinuz-6.1.0-10-amd64", b"kernel");
        lab.file("boot/initrd.img-6.1.0-10-amd64", b"initrd");
        lab.file("usr/lib/shim/shimx64.efi.signed", b"shim");
        lab.file("usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", b"grub");
        lab.file("var/a name (x)", b"of one");
        fs::hard_link(lab.path("tree/var/a name (x)"), lab.path("tree/var/twin")).expect("a link");
        symlink("../etc/other", lab.path("tree/var/link")).expect("a link");
        lab.file("srv/data/deep", b"deep\n");
        fs::set_permissions(lab.path("tree/srv/data"), fs::Permissions::from_mode(0o2770))
            .expect("permissions");
        let deep = lab.text("tree/srv/data/deep");
        drop(run(&["setfattr", "-n", "user.note", "-v", "kept", &deep]).success());
        Some(lab)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn text(&self, path: &str) -> String {
        self.path(path).display().to_string()
    }

    fn file(&self, path: &str, bytes: &[u8]) {
        let path = self.path("tree").join(path);
        fs::create_dir_all(path.parent().expect("not the root")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }

    fn made(&self, layout: &Layout, seen: &mut Vec<Progress>) -> Result<Assembled, AssembleError> {
        let (tree, tar) = (self.text("tree"), self.text("t.tar"));
        let words = ["tar", "--owner=0", "--group=0", "--mtime=@1600000000", "--xattrs"];
        let words = [&words[..], &["-C", &tree, "-cf", &tar, "."]].concat();
        drop(run(&words).success());
        let mut stream = File::open(tar).expect("the archive");
        assemble(layout, &mut stream, &RealHost, &mut |progress| {
            if !matches!(progress, Progress::Tree { .. }) {
                seen.push(progress);
            }
        })
    }

    fn layout(&self, filesystem: VolumeKind, more: Option<Part>) -> Layout {
        let mut parts = vec![
            Part { name: "bios".into(), size: Some(BIOS_BOOT), holds: Holds::BiosBoot },
            Part { name: "esp".into(), size: Some(Bytes::from_mib(40)), holds: Holds::Esp },
        ];
        parts.extend(more);
        parts.push(Part { name: "root".into(), size: None, holds: Holds::Root });
        let new = Layout::new(self.path("d.raw"), Bytes::from_mib(700), [9; 16], TIME);
        Layout {
            filesystem,
            partitions: Some(parts),
            any_firmware: true,
            fish: Fish { kvm: false },
            ..new
        }
    }

    /// Copies a partition into a file of its own.
    fn partition(&self, number: usize) -> String {
        let disk = self.text("d.raw");
        let dump = run(&["sfdisk", "-d", &disk]).success().stdout;
        let part = dump.lines().filter(|line| line.contains("start=")).nth(number - 1);
        let part = part.expect("a partition");
        let value = |key: &str| {
            let rest = part.split(&format!("{key}=")).nth(1).expect("the key");
            let word = rest.split(',').next().expect("a value").trim();
            word.parse::<u64>().expect("a number") * 512
        };
        let to = self.path(&format!("part{number}"));
        let (from, file) =
            (File::open(disk).expect("the disk"), File::create(&to).expect("a file"));
        file.set_len(value("size")).expect("a sparse file");
        let mut chunk = vec![0; 1 << 20];
        for at in (0..value("size")).step_by(chunk.len()) {
            let count = from.read_at(&mut chunk, value("start") + at).expect("the disk");
            if chunk.iter().any(|byte| *byte != 0) {
                file.write_all_at(&chunk[..count], at).expect("the copy");
            }
        }
        to.display().to_string()
    }

    /// Has libguestfs do what the lines say.
    fn fish(&self, lines: &str) -> String {
        let script = self.path("script");
        fs::write(&script, lines).expect("a file");
        let environment =
            [("LIBGUESTFS_BACKEND", "direct"), ("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg")];
        run_with(&["guestfish", "-f", &script.display().to_string()], &environment).success().stdout
    }
}

fn volume(mount: &str, mib: u64, kind: VolumeKind) -> Part {
    let (label, options) = (Some("data".into()), None);
    let holds = Holds::Volume(Volume { mount: mount.into(), kind, label, options });
    Part { name: mount.replace('/', ""), size: Some(Bytes::from_mib(mib)), holds }
}

fn error(lab: &Lab, layout: &Layout) -> String {
    lab.made(layout, &mut Vec::new()).expect_err("a disk").to_string()
}

#[test]
fn an_appliance_fills_xfs_and_btrfs() {
    let Some(lab) = Lab::new() else { return };
    let layout = lab.layout(VolumeKind::Xfs, Some(volume("/srv", 200, VolumeKind::Btrfs)));
    let mut seen = Vec::new();
    let made = lab.made(&layout, &mut seen).unwrap();
    assert!(seen.contains(&Progress::Appliance), "{seen:?}");
    let (srv, root) = (lab.partition(3), lab.partition(4));
    drop(run(&["xfs_repair", "-n", "-f", &root]).success());
    drop(run(&["btrfs", "check", "--readonly", &srv]).success());
    let told = lab.fish(&format!(
        "add-drive {root} readonly:true format:raw\nadd-drive {srv} readonly:true format:raw\nrun\n\
         vfs-type /dev/sda\nvfs-type /dev/sdb\nvfs-uuid /dev/sda\nvfs-label /dev/sda\n\
         vfs-label /dev/sdb\nmount-ro /dev/sda /\nmount-ro /dev/sdb /srv\n\
         tar-out / {} xattrs:true\ncat /etc/fstab\n",
        lab.text("out.tar")
    ));
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[..5], ["xfs", "btrfs", made.root_uuid.as_str(), "root", "data"], "{told}");
    let fstab = format!("UUID={} / xfs defaults 0 0", made.root_uuid);
    assert!(lines.contains(&fstab.as_str()), "{told}");
    assert!(lines.iter().any(|line| line.ends_with(" /srv btrfs defaults 0 0")), "{told}");
    // What the archive had is there, with owners, modes, times and links; nothing of the stage is.
    let list = |tar: &str| {
        let words = ["tar", "--numeric-owner", "--full-time", "--utc", "-tvf", &lab.text(tar)];
        let all = run(&words).success().stdout;
        let ours = |line: &&str| line.contains("./srv/") || line.contains("./var/");
        // Which of a file's two names comes first, and which is its link, is chance.
        let one = |line: &str| match line.split_once(" link to ") {
            Some((name, _)) => name.replacen('h', "-", 1).replace(" 0 2020", " 6 2020"),
            None => line.to_owned(),
        };
        let mut all: Vec<_> = all.lines().filter(ours).map(one).collect();
        all.sort();
        all
    };
    assert!(!list("t.tar").is_empty());
    assert_eq!(list("out.tar"), list("t.tar"));
    let names = run(&["tar", "-tvf", &lab.text("out.tar")]).success().stdout;
    assert!(!names.contains("lost+found") && names.contains(" link to "), "{names}");
    let verbose = run(&["tar", "--xattrs", "-tvvf", &lab.text("out.tar")]).success().stdout;
    assert!(verbose.contains("user.note"), "{verbose}");
    // What is not used costs nothing.
    let taken = fs::metadata(lab.path("d.raw")).unwrap().blocks() * 512;
    assert!(taken < 200 << 20, "{taken}");
    // Nothing else is left beside the disk.
    let beside: Vec<_> = fs::read_dir(lab.folder.path()).unwrap().flatten().collect();
    let hidden = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with('.');
    assert!(!beside.iter().any(hidden), "{beside:?}");
}

#[test]
fn a_root_in_lvm_is_a_whole_file_system() {
    let Some(lab) = Lab::new() else { return };
    let layout = Layout { lvm: Some("vg_0".into()), ..lab.layout(VolumeKind::Ext4, None) };
    let made = lab.made(&layout, &mut Vec::new()).unwrap();
    let dump = run(&["sfdisk", "-d", &lab.text("d.raw")]).success().stdout;
    assert!(dump.contains("type=E6D6D379-F507-44C2-A23C-238F2A3DF928"), "{dump}");
    let told = lab.fish(&format!(
        "add-drive {} readonly:true format:raw\nrun\nlvs\nvfs-uuid /dev/vg_0/root\n\
         mount-ro /dev/vg_0/root /\ncat /etc/fstab\n\
         cat /boot/grub/grub.cfg\nchecksum sha256 /srv/data/deep\n",
        lab.text("d.raw")
    ));
    assert!(told.starts_with(&format!("/dev/vg_0/root\n{}\n", made.root_uuid)), "{told}");
    let fstab = format!("UUID={} / ext4 errors=remount-ro 0 1", made.root_uuid);
    assert!(told.contains(&fstab) && told.contains(" root=/dev/mapper/vg_0-root ro "), "{told}");
    // The only volume of the group lies in one piece, behind what LVM keeps for itself.
    let whole = format!("{}?offset={}", lab.partition(3), 1 << 20);
    drop(run(&["e2fsck", "-fn", &whole]).success());
    let sum = run(&["sha256sum", &lab.text("tree/srv/data/deep")]).success().stdout;
    assert!(told.contains(sum.split(' ').next().unwrap()), "{told}");
}

#[test]
fn a_tree_that_does_not_fit_is_told_with_its_place() {
    let Some(lab) = Lab::new() else { return };
    lab.file("srv/large", &vec![7; 200 << 20]);
    let layout = lab.layout(VolumeKind::Ext4, Some(volume("/srv", 130, VolumeKind::Btrfs)));
    let layout = Layout { size: Bytes::from_mib(900), ..layout };
    assert_eq!(
        error(&lab, &layout),
        "what the tree has for `/srv` does not fit its partition of 130 MiB"
    );
    assert!(!lab.path("d.raw").exists());
}

#[test]
fn what_these_file_systems_cannot_be_is_refused() {
    let lab = Lab { folder: tempfile::tempdir().unwrap() };
    fs::create_dir(lab.path("tree")).unwrap();
    let of =
        |layout: &Layout| error(&lab, layout).replace("the disk's layout cannot be made: ", "");
    let small = lab.layout(VolumeKind::Ext4, Some(volume("/srv", 299, VolumeKind::Xfs)));
    assert_eq!(of(&small), "xfs for `/srv` needs at least 300 MiB, and its partition has 299 MiB");
    let root = Layout { size: Bytes::from_mib(160), ..lab.layout(VolumeKind::Btrfs, None) };
    assert!(of(&root).starts_with("btrfs for `/` needs at least 128 MiB"), "{}", of(&root));
    let label = Layout { label: "thirteen-long".into(), ..lab.layout(VolumeKind::Xfs, None) };
    assert_eq!(of(&label), "`thirteen-long` is no label of 1 to 12 ASCII characters");
    let group = Layout { lvm: Some("a-b".into()), ..lab.layout(VolumeKind::Ext4, None) };
    assert_eq!(of(&group), "`a-b` is no name of a volume group");
    let fat = Layout { table: NewTable::Gpt, ..lab.layout(VolumeKind::Vfat, None) };
    assert_eq!(of(&fat), "FAT cannot hold the root of a system");
}
