// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Images of other formats through QEMU's daemon, against what `qemu-img` and `qemu-io` say.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use kiln_disk::device::Device;
use kiln_disk::format::foreign::{self, Foreign, ForeignFormat};
use kiln_disk::format::nbd::{NbdDevice, Served, serve};
use kiln_host::RealHost;
use kiln_host::tools::qemu_storage_daemon::{Access, Backing, Node, Source};
use kiln_testkit::{need_program, run};

const MIB: u64 = 1 << 20;

fn tools() -> bool {
    need_program("qemu-img") && need_program("qemu-io") && need_program("qemu-storage-daemon")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary folder's name is text")
}

fn found(path: &Path) -> Foreign {
    let name = text(path);
    foreign::probe(&mut File::open(path).expect("it"), name).expect("good").expect("foreign")
}

fn error(path: &Path, follow: bool) -> String {
    let probed = foreign::probe(&mut File::open(path).expect("it"), "it");
    let node = probed.and_then(|found| found.expect("foreign").node(path, follow));
    node.expect_err("refused").to_string()
}

fn open(path: &Path, access: Access) -> Served {
    let node = found(path).node(path, false).expect("its files are there");
    serve(&RealHost, node, access, text(path)).unwrap_or_else(|error| {
        panic!("{error}: {:?}", std::error::Error::source(&error).map(ToString::to_string))
    })
}

fn create(path: &Path, format: &str, options: &str, size: &str) {
    let mut argv = vec!["qemu-img", "create", "-q", "-f", format];
    if !options.is_empty() {
        argv.extend(["-o", options]);
    }
    argv.extend([text(path), size]);
    drop(run(&argv).success());
}

#[test]
fn every_format_is_read_and_written() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (format, options) in [
        ("vmdk", ""),
        ("vmdk", "subformat=monolithicFlat"),
        ("vmdk", "subformat=twoGbMaxExtentSparse"),
        ("vmdk", "subformat=twoGbMaxExtentFlat"),
        ("vpc", ""),
        ("vpc", "subformat=fixed"),
        ("vhdx", ""),
        ("vdi", ""),
        ("parallels", ""),
        ("qed", ""),
        ("qcow", ""),
    ] {
        let path = folder.path().join(format!("a,{format}{}", options.len()));
        create(&path, format, options, "64M");
        let mut device = open(&path, Access::Write);
        assert!(device.size() >= 64 * MIB, "{format}");
        // Of others QEMU tells no holes.
        let told = ["vmdk", "vdi", "qed"].contains(&format) && !options.ends_with("Flat");
        assert!(device.extent(0).unwrap().zeros || !told, "{format} {options}");
        let noise: Vec<u8> = (0..9 * MIB).map(|n| (n * 7 % 251).to_le_bytes()[0]).collect();
        device.write_at(3 * MIB + 512, &noise).unwrap();
        device.discard(4 * MIB, MIB).unwrap();
        device.flush().unwrap();
        let error = device.write_at(device.size() - 1, &[1, 2]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
        drop(device);
        // What QEMU's own program reads.
        let raw = folder.path().join("raw");
        drop(
            run(&["qemu-img", "convert", "-f", format, "-O", "raw", text(&path), text(&raw)])
                .success(),
        );
        let mut expected = vec![0; 16 << 20];
        expected[(3 << 20) + 512..][..noise.len()].copy_from_slice(&noise);
        expected[4 << 20..5 << 20].fill(0);
        let mut got = vec![0; 16 << 20];
        File::open(&raw).unwrap().read_exact_at(&mut got, 0).unwrap();
        assert!(got == expected, "{format} {options}");
        let mut device = open(&path, Access::Read);
        assert!(device.is_read_only());
        device.read_at(0, &mut got).unwrap();
        assert!(got == expected, "{format} {options} read again");
        assert!(device.write_at(0, &[1]).is_err());
        let mut at = 0;
        while at < device.size() {
            let extent = device.extent(at).unwrap();
            assert!(extent.len > 0);
            if extent.zeros && at < 16 * MIB {
                let end = usize::try_from((at + extent.len).min(16 * MIB)).unwrap();
                let start = usize::try_from(at).unwrap();
                assert!(got[start..end].iter().all(|&b| b == 0), "{format}: {at}");
            }
            at += extent.len;
        }
    }
}

#[test]
fn streams_of_vmdk_are_read_only() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (raw, path) = (folder.path().join("raw"), folder.path().join("s.vmdk"));
    fs::write(&raw, vec![7; 3 << 20]).unwrap();
    let argv = ["qemu-img", "convert", "-O", "vmdk", "-o", "subformat=streamOptimized"];
    drop(run(&[&argv[..], &["-f", "raw", text(&raw), text(&path)]].concat()).success());
    assert!(!found(&path).writable);
    let mut got = vec![0; 3 << 20];
    open(&path, Access::Read).read_at(0, &mut got).unwrap();
    assert!(got.iter().all(|&b| b == 7));
}

#[test]
fn a_luks_container_opens_with_a_file_for_a_key() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (key, path) = (folder.path().join("key"), folder.path().join("d.luks"));
    fs::write(&key, "correct horse").unwrap();
    let object = format!("secret,id=k,file={}", text(&key));
    let argv = ["qemu-img", "create", "-q", "-f", "luks", "--object", &object];
    let options = ["-o", "key-secret=k,iter-time=10", text(&path), "4M"];
    drop(run(&[&argv[..], &options].concat()).success());
    let node = |key: &Path| Node {
        driver: "luks".to_owned(),
        source: Source::File(path.clone()),
        backing: Backing::Unknown,
        key: Some(key.to_owned()),
    };
    let mut device = serve(&RealHost, node(&key), Access::Write, "d.luks").unwrap();
    device.write_at(1 << 20, b"hidden").unwrap();
    drop(device);
    let mut got = [0; 6];
    serve(&RealHost, node(&key), Access::Read, "d.luks")
        .unwrap()
        .read_at(1 << 20, &mut got)
        .unwrap();
    assert_eq!(&got, b"hidden");
    assert!(!fs::read(&path).unwrap().windows(6).any(|window| window == b"hidden"));
    fs::write(&key, "wrong").unwrap();
    let error = serve(&RealHost, node(&key), Access::Read, "d.luks").unwrap_err();
    let error = error.to_string();
    assert!(error.starts_with("QEMU does not take `d.luks`: "), "{error}");
    assert!(!error.contains("correct") && !error.contains("driver"), "{error}");
}

#[test]
fn the_daemon_and_its_folder_are_gone_with_the_device() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.vmdk");
    create(&path, "vmdk", "", "16M");
    let processes = || {
        let list = run(&["ps", "-eo", "args"]).success().stdout;
        list.lines().filter(|line| line.contains(text(&path)) && !line.contains("ps -eo")).count()
    };
    let device = open(&path, Access::Read);
    assert_eq!(processes(), 1);
    let socket = format!("{device:?}");
    let at = socket.find("kiln-nbd-").expect("the folder's name");
    let name: String = socket[at..].chars().take_while(|c| !"\"/".contains(*c)).collect();
    let private = std::env::temp_dir().join(name);
    assert_eq!(fs::metadata(&private).unwrap().permissions().mode() & 0o777, 0o700);
    drop(device);
    assert_eq!(processes(), 0);
    assert!(!private.exists());
}

#[test]
fn what_names_another_file_is_refused() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base.vmdk");
    create(&base, "vmdk", "", "16M");
    drop(run(&["qemu-io", "-f", "vmdk", "-c", "write -P 9 1M 4k", text(&base)]).success());
    let child = folder.path().join("child.vmdk");
    let argv = ["qemu-img", "create", "-q", "-f", "vmdk", "-F", "vmdk", "-b"];
    drop(run(&[&argv[..], &[text(&base), text(&child)]].concat()).success());
    let refused = error(&child, false);
    assert!(refused.starts_with(&format!("`{}` is no image by itself", text(&child))), "{refused}");
    // Followed, it shows what the parent has.
    let node = found(&child).node(&child, true).unwrap();
    let mut device = serve(&RealHost, node, Access::Read, "child").unwrap();
    let mut got = [0; 4096];
    device.read_at(1 << 20, &mut got).unwrap();
    assert_eq!(got, [9; 4096]);

    for (format, magic) in [("qed", "QED"), ("qcow", "QFI")] {
        let child = folder.path().join(magic);
        let argv = ["qemu-img", "create", "-q", "-f", format, "-F", "raw", "-b", "/etc/passwd"];
        drop(run(&[&argv[..], &[text(&child), "16M"]].concat()).success());
        assert!(error(&child, true).contains("is no image by itself"), "{format}");
    }
    let vhd = folder.path().join("d.vhd");
    create(&vhd, "vpc", "", "16M");
    let file = File::options().write(true).open(&vhd).unwrap();
    file.write_all_at(&[0, 0, 0, 4], 60).unwrap();
    assert!(error(&vhd, false).contains("is no image by itself"));
    file.write_all_at(&[0, 0, 0, 9], 60).unwrap();
    assert_eq!(error(&vhd, false), "`it` is damaged or refused: a VHD of kind 9");

    let hostile = folder.path().join("h.vmdk");
    let head = "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\n";
    let passwd = "createType=\"monolithicFlat\"\nRW 8 FLAT \"/etc/passwd\" 0\n";
    fs::write(&hostile, format!("{head}{passwd}")).unwrap();
    assert!(error(&hostile, true).contains("outside of its folder"));
}

#[test]
fn cut_off_images_are_clear_errors() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (format, options) in
        [("vmdk", ""), ("vpc", ""), ("vhdx", ""), ("vdi", ""), ("qed", ""), ("parallels", "")]
    {
        let path = folder.path().join(format);
        create(&path, format, options, "64M");
        drop(run(&["qemu-io", "-f", format, "-c", "write -P 9 1M 1M", text(&path)]).success());
        let whole = fs::metadata(&path).unwrap().len();
        for len in [100, 600, 4096, 70_000, whole / 2, whole - 600] {
            let cut = folder.path().join("cut");
            fs::copy(&path, &cut).unwrap();
            File::options().write(true).open(&cut).unwrap().set_len(len.min(whole)).unwrap();
            // Refused at once, by QEMU, or when the missing part is read: an error each time.
            let Ok(Some(found)) = foreign::probe(&mut File::open(&cut).unwrap(), "cut") else {
                continue;
            };
            let node = found.node(&cut, false).unwrap();
            let Ok(mut device) = serve(&RealHost, node, Access::Read, "cut") else { continue };
            let mut got = vec![0; 1 << 20];
            let size = device.size();
            device.read_at(0, &mut got[..usize::try_from(size.min(1 << 20)).unwrap()]).ok();
        }
    }
}

/// A server that answers what it likes.
fn lie(reply: Vec<u8>) -> std::io::Result<NbdDevice> {
    use std::io::Write;
    let folder = tempfile::tempdir()?;
    let socket: PathBuf = folder.path().join("s");
    let listener = std::os::unix::net::UnixListener::bind(&socket)?;
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        stream.write_all(&reply)?;
        stream.shutdown(std::net::Shutdown::Write)
    });
    let device = NbdDevice::connect(&socket, "x");
    server.join().expect("the server ends").ok();
    device
}

#[test]
fn servers_that_lie_are_refused() {
    let greeting = [&b"NBDMAGICIHAVEOPT"[..], &[0, 3]].concat();
    let reply = |option: u32, kind: u32, data: &[u8]| {
        let mut bytes = 0x0003_e889_0455_65a9_u64.to_be_bytes().to_vec();
        bytes.extend(option.to_be_bytes());
        bytes.extend(kind.to_be_bytes());
        bytes.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        bytes.extend(data);
        bytes
    };
    let cases: Vec<Vec<u8>> = vec![
        vec![],
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        b"NBDMAGICIHAVEOPT\0\0".to_vec(),
        greeting.clone(),
        [greeting.clone(), vec![0xff; 64]].concat(),
        // A reply of 4 GiB.
        [greeting.clone(), 0x0003_e889_0455_65a9_u64.to_be_bytes().to_vec(), vec![0xff; 12]]
            .concat(),
        [greeting.clone(), reply(8, 1, &[]), reply(10, 4, &[1])].concat(),
        [greeting.clone(), reply(8, 1, &[]), reply(10, 1, &[]), reply(7, 0x8000_0006, b"no")]
            .concat(),
    ];
    for case in cases {
        assert!(lie(case.clone()).is_err(), "{case:?}");
    }
}

#[test]
fn other_files_are_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    for bytes in [&b""[..], b"KDM", b"#!/bin/sh\necho", &[0; 4096]] {
        fs::write(&path, bytes).unwrap();
        assert_eq!(foreign::probe(&mut File::open(&path).unwrap(), "x").unwrap(), None);
    }
    fs::write(&path, b"KDMV").unwrap();
    let error = foreign::probe(&mut File::open(&path).unwrap(), "x").unwrap_err().to_string();
    assert_eq!(error, "`x` is cut off: at least 508 B are missing at its end");
    assert_eq!(ForeignFormat::Vpc.name(), "vpc");
}
