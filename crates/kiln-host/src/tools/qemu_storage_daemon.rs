// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `qemu-storage-daemon`: any image that QEMU knows, over NBD on a Unix socket.
//!
//! Source: qemu-storage-daemon(1) and qemu-storage-daemon-qmp-ref(7), QEMU 8.2 to 10.0. Options
//! are followed in their order, so the greeting of the monitor, a line on standard output, says
//! that the export is there. It ends on SIGTERM with all written; exit status 1 if an option
//! fails, with the reason on standard error.
//!
//! The format is always named, and a backing file is never opened unless it is named here, too:
//! QEMU guesses nothing from what the image holds.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cmd::{Cmd, Tool};

/// The name that the disk is exported by.
pub const EXPORT: &str = "disk";

/// A disk: a format, and where its bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// QEMU's name of the format: `vmdk`, `vhdx`, `luks`, `raw`.
    pub driver: String,
    /// Where the bytes are.
    pub source: Source,
    /// The disk that has what this one does not.
    pub backing: Backing,
    /// A file with the key, for `luks`, and for a `qcow2` that is encrypted with it.
    pub key: Option<PathBuf>,
}

/// Where the bytes of a disk are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In a file, or on a disk of the host.
    File(PathBuf),
    /// In a part of a file, in bytes.
    Part {
        /// The file.
        path: PathBuf,
        /// Where it begins.
        start: u64,
        /// How long it is.
        len: u64,
    },
    /// In an image of a Ceph cluster.
    Rbd(Rbd),
}

/// An image of a Ceph cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rbd {
    /// The pool.
    pub pool: String,
    /// The namespace in the pool, if it is in one.
    pub namespace: Option<String>,
    /// The image.
    pub image: String,
    /// The snapshot of it, if it is one.
    pub snapshot: Option<String>,
    /// The user, without `client.`; whose key Ceph's own configuration leads to.
    pub user: Option<String>,
    /// Ceph's configuration, if it is not the usual one.
    pub conf: Option<PathBuf>,
}

/// The disk behind a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backing {
    /// The format knows no such thing.
    Unknown,
    /// There is none, whatever the image says.
    None,
    /// This one.
    Disk(Box<Node>),
}

/// A disk to be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// The disk.
    pub disk: Node,
    /// What may be done with it.
    pub access: Access,
    /// The socket that is made.
    pub socket: PathBuf,
}

/// What may be done with a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It is read. It is not locked: a machine may be using it.
    Read,
    /// It is read and written.
    Write,
    /// It is written, each cluster once, and what is written is compressed.
    WriteCompressed,
}

/// Returns the command that serves a disk until it is ended.
#[must_use]
pub fn serve(export: &Export) -> Cmd {
    let mut cmd = Cmd::new(Tool::QemuStorageDaemon);
    let mut keys = Vec::new();
    let writable = export.access != Access::Read;
    let mut disk = node(&export.disk, writable, &mut keys);
    if export.access == Access::WriteCompressed {
        disk = json!({"driver": "compress", "file": disk});
    }
    disk["node-name"] = json!("disk");
    for (id, path) in keys {
        let object = json!({"qom-type": "secret", "id": id, "file": shown(&path)});
        cmd = cmd.arg("--object").arg(object.to_string());
    }
    let nbd = json!({
        "type": "nbd", "id": "export", "node-name": "disk", "name": EXPORT,
        "writable": writable,
    });
    // In this option a comma is written twice; the others are JSON.
    cmd.arg("--blockdev")
        .arg(disk.to_string())
        .arg("--nbd-server")
        .arg(format!("addr.type=unix,addr.path={}", shown(&export.socket).replace(',', ",,")))
        .arg("--export")
        .arg(nbd.to_string())
        .args(["--chardev", "stdio,id=monitor", "--monitor", "chardev=monitor"])
        .deadline(None)
}

/// Returns the command that shows a disk as the file at `mountpoint`, which exists, by FUSE, until
/// it is ended. The mount is in a mount namespace of its own: others see the empty file.
#[must_use]
pub fn show(disk: &Node, mountpoint: &Path) -> Cmd {
    let mut disk = node(disk, true, &mut Vec::new());
    disk["node-name"] = json!("disk");
    let fuse = json!({
        "type": "fuse", "id": "export", "node-name": "disk", "mountpoint": shown(mountpoint),
        "writable": true, "allow-other": "off",
    });
    // unshare(1) becomes the program: it forks no process.
    Cmd::new(Tool::Unshare)
        .args(["--mount", "--propagation", "private", "--", Tool::QemuStorageDaemon.program()])
        .arg("--blockdev")
        .arg(disk.to_string())
        .arg("--export")
        .arg(fuse.to_string())
        .args(["--chardev", "stdio,id=monitor", "--monitor", "chardev=monitor"])
        .deadline(None)
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Returns the description of a disk; the keys that it needs are added to `keys`.
fn node(disk: &Node, writable: bool, keys: &mut Vec<(String, PathBuf)>) -> Value {
    let below = match &disk.source {
        Source::File(path) => file(path, writable),
        Source::Part { path, start, len } => json!({
            "driver": "raw", "offset": start, "size": len, "file": file(path, writable),
            "read-only": !writable,
        }),
        Source::Rbd(image) => rbd(image, writable),
    };
    let mut value = json!({
        "driver": disk.driver, "file": below, "read-only": !writable, "discard": "unmap",
    });
    if !writable {
        value["force-share"] = json!(true);
    }
    match &disk.backing {
        Backing::Unknown => {}
        Backing::None => value["backing"] = Value::Null,
        Backing::Disk(backing) => value["backing"] = node(backing, false, keys),
    }
    if let Some(path) = &disk.key {
        let id = format!("key{}", keys.len());
        match disk.driver.as_str() {
            "qcow2" => value["encrypt"] = json!({"format": "luks", "key-secret": id}),
            _ => value["key-secret"] = json!(id),
        }
        keys.push((id, path.clone()));
    }
    value
}

/// Returns a disk without keys as QEMU's other tools take it for a file's name: `json:{…}`.
pub(super) fn file_name(disk: &Node, writable: bool) -> String {
    format!("json:{}", node(disk, writable, &mut Vec::new()))
}

fn rbd(image: &Rbd, writable: bool) -> Value {
    let mut rbd = json!({
        "driver": "rbd", "pool": image.pool, "image": image.image, "read-only": !writable,
        "discard": "unmap",
    });
    for (name, value) in [
        ("namespace", image.namespace.clone()),
        ("snapshot", image.snapshot.clone()),
        ("user", image.user.clone()),
        ("conf", image.conf.as_deref().map(shown)),
    ] {
        if let Some(value) = value {
            rbd[name] = json!(value);
        }
    }
    rbd
}

fn file(path: &Path, writable: bool) -> Value {
    json!({"driver": "file", "filename": shown(path), "read-only": !writable, "discard": "unmap"})
}

/// Returns the command that prints the version.
#[must_use]
pub fn version() -> Cmd {
    Cmd::new(Tool::QemuStorageDaemon).arg("--version")
}

/// Returns what QEMU said, for people: `the image` where it writes down all that it was told of it.
#[must_use]
pub fn plain(said: &str) -> String {
    let mut text = String::with_capacity(said.len());
    let mut rest = said;
    while let Some(at) = rest.find("{\"") {
        let (before, object) = rest.split_at(at);
        text.push_str(before.strip_suffix("json:").unwrap_or(before));
        let Some(end) = object_end(object) else {
            rest = object;
            break;
        };
        text.push_str("the image");
        rest = &object[end..];
    }
    text.push_str(rest);
    text
}

/// Returns where an object ends that a text begins with.
fn object_end(text: &str) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0_u32, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' if !quoted => depth += 1,
            b'}' if !quoted => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(cmd: &Cmd) -> Vec<String> {
        cmd.arguments().map(|arg| arg.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn the_format_is_named_and_nothing_is_guessed() {
        let disk = Node {
            driver: "vmdk".into(),
            source: Source::File("/x/a,b.vmdk".into()),
            backing: Backing::None,
            key: None,
        };
        let export = Export { disk, access: Access::Read, socket: "/run/a,b/s".into() };
        let got = arguments(&serve(&export));
        let disk: Value = serde_json::from_str(&got[1]).unwrap();
        assert_eq!(
            disk,
            json!({
                "driver": "vmdk",
                "node-name": "disk",
                "backing": null,
                "read-only": true,
                "force-share": true,
                "discard": "unmap",
                "file": {
                    "driver": "file", "filename": "/x/a,b.vmdk", "read-only": true,
                    "discard": "unmap",
                },
            })
        );
        assert_eq!(got[3], "addr.type=unix,addr.path=/run/a,,b/s");
    }

    #[test]
    fn keys_are_files_and_never_arguments() {
        let disk = Node {
            driver: "luks".into(),
            source: Source::Part { path: "/x/disk".into(), start: 1 << 20, len: 8 << 20 },
            backing: Backing::Unknown,
            key: Some("/run/key".into()),
        };
        let export = Export { disk, access: Access::Write, socket: "/s".into() };
        let got = arguments(&serve(&export));
        assert_eq!(got[0], "--object");
        let object: Value = serde_json::from_str(&got[1]).unwrap();
        assert_eq!(object, json!({"qom-type": "secret", "id": "key0", "file": "/run/key"}));
        let disk: Value = serde_json::from_str(&got[3]).unwrap();
        assert_eq!(disk["key-secret"], "key0");
        assert_eq!(disk["file"]["offset"], 1 << 20);
        assert_eq!(disk.get("force-share"), None);
    }

    #[test]
    fn the_key_of_a_qcow2_file_is_its_encryptions() {
        let disk = Node {
            driver: "qcow2".into(),
            source: Source::File("/x".into()),
            backing: Backing::None,
            key: Some("/run/key".into()),
        };
        let got = arguments(&serve(&Export { disk, access: Access::Read, socket: "/s".into() }));
        let disk: Value = serde_json::from_str(&got[3]).unwrap();
        assert_eq!(disk["encrypt"], json!({"format": "luks", "key-secret": "key0"}));
    }

    #[test]
    fn an_image_of_a_cluster_has_no_file() {
        let source = Source::Rbd(Rbd {
            pool: "vms".into(),
            namespace: Some("team".into()),
            image: "web".into(),
            user: Some("libvirt".into()),
            ..Rbd::default()
        });
        let disk = Node { driver: "raw".into(), source, backing: Backing::Unknown, key: None };
        let got = arguments(&serve(&Export { disk, access: Access::Write, socket: "/s".into() }));
        let disk: Value = serde_json::from_str(&got[1]).unwrap();
        let file = json!({
            "driver": "rbd", "pool": "vms", "namespace": "team", "image": "web",
            "user": "libvirt", "read-only": false, "discard": "unmap",
        });
        assert_eq!(disk["file"], file);
    }

    #[test]
    fn what_qemu_was_told_is_not_told_again() {
        let said = r#"qemu-img: Could not open 'json:{"driver":"vpc","file":{"filename":"/a}\"{b"}}': cut
x: --blockdev {"driver":"vhdx"}: No valid VHDX header found"#;
        let shown = "qemu-img: Could not open 'the image': cut\nx: --blockdev the image: No valid VHDX header found";
        assert_eq!(plain(said), shown);
        assert_eq!(plain("no { object {\"here"), "no { object {\"here");
    }
}
