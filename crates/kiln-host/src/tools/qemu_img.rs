// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `qemu-img`: conversion between disk formats, and whether an image is in order.
//!
//! Source: qemu-img(1), QEMU 8.2 to 10.0. Exit status 0, or 1 on failure; `check` has 2 for
//! corruption, 3 for leaked clusters and 63 for a format that it cannot check.

use std::path::Path;

use serde_json::{Value, json};

use super::qemu_storage_daemon::{EXPORT, Node, file_name};
use crate::cmd::{Cmd, Tool};

/// Returns the command that writes `from` (raw) anew as qcow2 version 3 at `to`: sparse, not
/// compressed, and in order, so that the same disk gives the same file (`-W` would not).
#[must_use]
pub fn raw_to_qcow2(from: &Path, to: &Path) -> Cmd {
    Cmd::new(Tool::QemuImg)
        .args(["convert", "-q", "-f", "raw", "-O", "qcow2", "-o", "compat=1.1"])
        .arg(from)
        .arg(to)
        .deadline(None)
}

/// An image to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewImage<'a> {
    /// QEMU's name of the format.
    pub format: &'a str,
    /// Its options: `name=value`.
    pub options: &'a [&'a str],
}

/// Returns the command that makes an empty image of `size` bytes at `path`, which is absolute: in
/// another a colon would end the name of a protocol.
#[must_use]
pub fn create(image: &NewImage<'_>, path: &Path, size: u64) -> Cmd {
    let options = image.options.iter().flat_map(|option| ["-o", option]);
    Cmd::new(Tool::QemuImg)
        .args(["create", "-q", "-f", image.format])
        .args(options)
        .arg(path)
        .arg(size.to_string())
}

/// What [`check`] found, or [`mend`] left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Tables that cannot be right, and clusters that are used more often than is noted.
    pub corruptions: u64,
    /// Clusters that nothing uses, and that are not free.
    pub leaks: u64,
    /// What could not be looked at.
    pub errors: u64,
}

/// Returns the command that looks whether the tables of an image are in order. The image may be
/// in use; the verdict is worth nothing then. Read what it prints by [`parse_check`].
#[must_use]
pub fn check(disk: &Node) -> Cmd {
    checking(disk, false)
}

/// Returns the command that mends the tables of an image.
#[must_use]
pub fn mend(disk: &Node) -> Cmd {
    checking(disk, true)
}

fn checking(disk: &Node, mend: bool) -> Cmd {
    let cmd = Cmd::new(Tool::QemuImg).args(["check", "--output=json"]);
    let cmd = if mend { cmd.args(["-r", "all"]) } else { cmd };
    let cmd = cmd.arg(file_name(disk, mend));
    // 1 is any failure, that something could not be looked at among them.
    [1, 2, 3, 63].into_iter().fold(cmd, Cmd::also_ok).deadline(None)
}

/// Reads what [`check`] printed: `None` if the tool failed or knows no check of the format.
#[must_use]
pub fn parse_check(printed: &[u8]) -> Option<Checked> {
    let value: Value = serde_json::from_slice(printed).ok()?;
    let count = |name: &str| value.get(name).and_then(Value::as_u64).unwrap_or_default();
    value.is_object().then(|| Checked {
        corruptions: count("corruptions"),
        leaks: count("leaks"),
        errors: count("check-errors"),
    })
}

/// Returns the command that makes an empty qcow2 file over `image`, whose format is given and not
/// guessed, and which the caller keeps locked: QEMU takes no lock of it. Without `chain`, files
/// that the image names are not opened.
///
/// `None` if the image's path is no text, which QEMU's options are.
#[must_use]
pub fn overlay(overlay: &Path, image: &Path, format: &str, chain: bool) -> Option<Cmd> {
    let file = json!({ "driver": "file", "filename": image.to_str()?, "locking": "off" });
    let mut node = json!({ "driver": format, "file": file });
    if !chain && format != "raw" {
        node["backing"] = Value::Null;
    }
    let cmd = Cmd::new(Tool::QemuImg)
        .args(["create", "-q", "-f", "qcow2", "-F", format, "-b"])
        .arg(format!("json:{node}"))
        .arg(overlay);
    Some(cmd)
}

/// Returns the command that makes an empty qcow2 file over the disk that a daemon serves at
/// `socket`: see [`super::qemu_storage_daemon`]. `None` if the socket's path is no text.
#[must_use]
pub fn overlay_served(overlay: &Path, socket: &Path) -> Option<Cmd> {
    let server = json!({ "type": "unix", "path": socket.to_str()? });
    let nbd = json!({ "driver": "nbd", "server": server, "export": EXPORT });
    let node = json!({ "driver": "raw", "file": nbd });
    let cmd = Cmd::new(Tool::QemuImg)
        .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"])
        .arg(format!("json:{node}"))
        .arg(overlay);
    Some(cmd)
}

/// Returns the command that prints which file of its chain holds which part of a qcow2 disk.
#[must_use]
pub fn map(file: &Path) -> Cmd {
    Cmd::new(Tool::QemuImg).args(["map", "--output=json", "-f", "qcow2"]).arg(file)
}

/// Returns the command that makes a qcow2 file forget the one below it, without reading that.
#[must_use]
pub fn detach(file: &Path) -> Cmd {
    Cmd::new(Tool::QemuImg).args(["rebase", "-q", "-u", "-f", "qcow2", "-b", ""]).arg(file)
}

/// A part of a disk, as [`map`] prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Mapped {
    /// Its first byte.
    pub start: u64,
    /// Its length in bytes.
    pub length: u64,
    /// Which file of the chain holds it: 0 is the one that was asked about.
    pub depth: u32,
    /// Whether it is known to be zeros.
    pub zero: bool,
}

/// Reads what [`map`] printed.
///
/// # Errors
///
/// That it is no such list.
pub fn parse_map(printed: &[u8]) -> std::io::Result<Vec<Mapped>> {
    serde_json::from_slice(printed).map_err(std::io::Error::other)
}

/// Returns the command that prints the version.
#[must_use]
pub fn version() -> Cmd {
    Cmd::new(Tool::QemuImg).arg("--version")
}

/// Reads what [`version`] printed: `qemu-img version 10.0.2 (Debian 1:10.0.2+ds-2)`.
#[must_use]
pub fn parse_version(printed: &str) -> Option<&str> {
    printed.lines().next()?.strip_prefix("qemu-img version ")?.split(' ').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command() {
        assert_eq!(
            raw_to_qcow2(Path::new("a"), Path::new("b")).to_string(),
            "qemu-img convert -q -f raw -O qcow2 -o compat=1.1 a b"
        );
    }

    #[test]
    fn an_image_is_made_with_its_options() {
        let image = NewImage { format: "vpc", options: &["subformat=dynamic", "force_size=on"] };
        assert_eq!(
            create(&image, Path::new("/a:b"), 1024).to_string(),
            "qemu-img create -q -f vpc -o subformat=dynamic -o force_size=on /a:b 1024"
        );
    }

    #[test]
    fn a_check_names_the_format_and_no_backing_file() {
        use super::super::qemu_storage_daemon::{Backing, Source};
        let source = Source::File("/a".into());
        let disk = Node { driver: "qcow2".into(), source, backing: Backing::None, key: None };
        let shown = check(&disk).to_string();
        assert!(shown.starts_with("qemu-img check --output=json 'json:{"), "{shown}");
        assert!(shown.contains(r#""backing":null"#) && shown.contains(r#""force-share":true"#));
        assert!(mend(&disk).to_string().starts_with("qemu-img check --output=json -r all "));
    }

    #[test]
    fn the_counts_of_a_check_are_read() {
        let printed = br#"{"check-errors": 0, "corruptions": 2, "leaks": 3, "format": "qcow2"}"#;
        assert_eq!(parse_check(printed), Some(Checked { corruptions: 2, leaks: 3, errors: 0 }));
        assert_eq!(parse_check(br#"{"check-errors": 0}"#), Some(Checked::default()));
        assert_eq!(parse_check(b""), None);
    }

    #[test]
    fn an_overlay_opens_what_it_is_told_to_alone() {
        let made = |format, chain| -> Value {
            let cmd = overlay(Path::new("/o"), Path::new("/a,b"), format, chain).unwrap();
            let shown = cmd.to_string();
            let start = format!("qemu-img create -q -f qcow2 -F {format} -b 'json:");
            let node = shown.strip_prefix(&start).unwrap().strip_suffix("' /o").unwrap();
            serde_json::from_str(node).unwrap()
        };
        let file = json!({ "driver": "file", "filename": "/a,b", "locking": "off" });
        assert_eq!(made("raw", false), json!({ "driver": "raw", "file": file }));
        let closed = json!({ "driver": "qcow2", "file": file, "backing": null });
        assert_eq!(made("qcow2", false), closed);
        assert_eq!(made("qcow2", true), json!({ "driver": "qcow2", "file": file }));
    }

    #[test]
    fn the_map_is_read() {
        let printed = br#"[{ "start": 0, "length": 65536, "depth": 0, "present": true, "zero": false,
            "data": true, "compressed": false, "offset": 327680},
            { "start": 65536, "length": 9, "depth": 1, "present": false, "zero": true, "data": false}]"#;
        let parts = parse_map(printed).unwrap();
        assert_eq!(parts[0], Mapped { start: 0, length: 65536, depth: 0, zero: false });
        assert_eq!((parts[1].depth, parts[1].zero), (1, true));
        assert!(parse_map(b"no").is_err());
    }

    #[test]
    fn the_version_is_read() {
        let printed = "qemu-img version 10.0.2 (Debian 1:10.0.2+ds-2)\nCopyright (c) 2003\n";
        assert_eq!(parse_version(printed), Some("10.0.2"));
    }
}
